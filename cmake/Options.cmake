# Compile options every target of ours shares: link to coppice_options, privately.
# cmake/setup.sh unpacks packages that could not be installed without removing others to build/deps.
if(EXISTS ${CMAKE_SOURCE_DIR}/build/deps/usr)
  list(PREPEND CMAKE_PREFIX_PATH ${CMAKE_SOURCE_DIR}/build/deps/usr)
endif()

add_library(coppice_options INTERFACE)
target_include_directories(coppice_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(coppice_options INTERFACE -Wall -Wextra -Wshadow
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Wextra-semi>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlap where std::string inserts a literal (its bug 105651).
  target_compile_options(coppice_options INTERFACE -Wno-restrict)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # std::stable_sort of libstdc++ 12 uses what libstdc++ 12 calls deprecated.
  target_compile_options(coppice_options INTERFACE -Wno-deprecated-declarations)
endif()
if(COPPICE_WERROR)
  target_compile_options(coppice_options INTERFACE -Werror)
endif()
if(COPPICE_SANITIZE STREQUAL "address")
  set(COPPICE_SANITIZER_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
elseif(COPPICE_SANITIZE STREQUAL "thread")
  set(COPPICE_SANITIZER_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # ThreadSanitizer does not understand fences, and GCC says so. The runtime's order what other processes read, of
    # which it sees nothing anyway.
    list(APPEND COPPICE_SANITIZER_FLAGS -Wno-tsan)
  endif()
elseif(COPPICE_SANITIZE)
  message(FATAL_ERROR "COPPICE_SANITIZE must be address or thread, not ${COPPICE_SANITIZE}")
endif()
if(COPPICE_SANITIZER_FLAGS)
  add_compile_options(${COPPICE_SANITIZER_FLAGS})
  add_link_options(${COPPICE_SANITIZER_FLAGS})
  string(TOUPPER ${COPPICE_SANITIZE} sanitizer)
  add_compile_definitions(COPPICE_SANITIZE_${sanitizer})
  if(COPPICE_SANITIZE STREQUAL "address" AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # Frames on ASan's fake stack do not survive switching between greenlets (runtime/src/sanitizers.hpp).
    add_compile_options(-fsanitize-address-use-after-return=never)
  endif()
endif()
# coppice_never_sanitize(TARGET): a program that is looked into stays as users run it. With a sanitizer's shadow memory it
# would leave no core, and its symbols and code would not be the compiler's own.
function(coppice_never_sanitize target)
  if(COPPICE_SANITIZE)
    target_compile_options(${target} PRIVATE -fno-sanitize=all -fomit-frame-pointer -UCOPPICE_SANITIZE_ADDRESS -UCOPPICE_SANITIZE_THREAD)
    target_link_options(${target} PRIVATE -fno-sanitize=all)
  endif()
endfunction()
if(COPPICE_FUZZ)
  # Everything is instrumented for coverage; only the fuzz targets link libFuzzer's main.
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
