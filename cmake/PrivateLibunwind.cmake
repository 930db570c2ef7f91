# coppice_private_libunwind: LLVM libunwind as one relocatable object that shares nothing with the program it is linked to.
#
# Linking libunwind.a plainly would export LLVM's _Unwind_RaiseException beside libgcc's and break C++ exceptions.
# So only the members that step (unw_*) are taken, joined by `ld -r`, and all but unw_* is made local. What libunwind
# would ask the process it runs in is asked of hooks instead, which whoever links the object must define:
#
#   dl_iterate_phdr, dlsym   -> coppice_hook_dl_iterate_phdr, coppice_hook_dlsym   (where are the modules?)
#   abort, __assert_fail     -> coppice_hook_abort, coppice_hook_assert_fail       (the CFI is malformed)
#   fprintf, fwrite, fflush  -> coppice_hook_fprintf, ...                          (what it would print)
set(COPPICE_LIBUNWIND_ROOT "" CACHE PATH
    "Folder with lib/libunwind.a and the headers of LLVM libunwind >= 15; empty: /usr/lib/llvm-*, build/deps")

set(_coppice_llvm_roots ${COPPICE_LIBUNWIND_ROOT})
if(NOT _coppice_llvm_roots)
  foreach(_version 19 20 21 18 17 16 15)
    list(APPEND _coppice_llvm_roots ${CMAKE_SOURCE_DIR}/build/deps/usr/lib/llvm-${_version} /usr/lib/llvm-${_version})
  endforeach()
endif()
find_file(COPPICE_LIBUNWIND_ARCHIVE libunwind.a PATHS ${_coppice_llvm_roots} PATH_SUFFIXES lib NO_DEFAULT_PATH)
if(NOT COPPICE_LIBUNWIND_ARCHIVE)
  message(FATAL_ERROR "libunwind.a of LLVM (Debian: libunwind-19-dev) was not found; set COPPICE_LIBUNWIND_ROOT")
endif()
cmake_path(GET COPPICE_LIBUNWIND_ARCHIVE PARENT_PATH _coppice_llvm_lib)
cmake_path(GET _coppice_llvm_lib PARENT_PATH _coppice_llvm_root)
# Debian keeps the headers in the version's own include folder, other builds beside the archive or one folder down.
find_path(COPPICE_LIBUNWIND_INCLUDE __libunwind_config.h NO_DEFAULT_PATH
          PATHS ${_coppice_llvm_root}/include ${_coppice_llvm_root}/../../include PATH_SUFFIXES libunwind)
if(NOT COPPICE_LIBUNWIND_INCLUDE)
  message(FATAL_ERROR "The headers of ${COPPICE_LIBUNWIND_ARCHIVE} were not found; set COPPICE_LIBUNWIND_ROOT")
endif()
message(STATUS "LLVM libunwind: ${COPPICE_LIBUNWIND_ARCHIVE}")

set(_coppice_object ${CMAKE_BINARY_DIR}/private_libunwind/libunwind.o)
add_custom_command(
  OUTPUT ${_coppice_object}
  COMMAND ${CMAKE_COMMAND} -DARCHIVE=${COPPICE_LIBUNWIND_ARCHIVE} -DOUTPUT=${_coppice_object} -DAR=${CMAKE_AR}
          -DLINKER=${CMAKE_LINKER} -DOBJCOPY=${CMAKE_OBJCOPY}
          -P ${CMAKE_CURRENT_LIST_DIR}/make_private_libunwind.cmake
  DEPENDS ${COPPICE_LIBUNWIND_ARCHIVE} ${CMAKE_CURRENT_LIST_DIR}/make_private_libunwind.cmake
  COMMENT "Making the private LLVM libunwind" VERBATIM)
add_custom_target(coppice_private_libunwind_object DEPENDS ${_coppice_object})

add_library(coppice_private_libunwind INTERFACE)
add_dependencies(coppice_private_libunwind coppice_private_libunwind_object)
target_include_directories(coppice_private_libunwind SYSTEM INTERFACE ${COPPICE_LIBUNWIND_INCLUDE})
target_link_libraries(coppice_private_libunwind INTERFACE ${_coppice_object})
