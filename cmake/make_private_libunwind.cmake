# Makes the private object; see PrivateLibunwind.cmake. Needs ARCHIVE, OUTPUT, AR, LINKER, OBJCOPY.
cmake_minimum_required(VERSION 3.25)
cmake_path(GET OUTPUT PARENT_PATH folder)
file(REMOVE_RECURSE ${folder})
file(MAKE_DIRECTORY ${folder})

execute_process(COMMAND ${AR} t ${ARCHIVE} OUTPUT_VARIABLE members COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" members "${members}")
# libunwind.cpp.o holds the cursor; UnwindRegisters{Save,Restore}.S.o the context.
list(FILTER members INCLUDE REGEX "^(libunwind\\.cpp|UnwindRegisters(Save|Restore)\\.S)\\.o(bj)?$")
list(LENGTH members count)
if(NOT count EQUAL 3)
  message(FATAL_ERROR "${ARCHIVE} has other members than expected: ${members}")
endif()
execute_process(COMMAND ${AR} x ${ARCHIVE} ${members} WORKING_DIRECTORY ${folder} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${LINKER} -r --force-group-allocation -o joined.o ${members}
                WORKING_DIRECTORY ${folder} COMMAND_ERROR_IS_FATAL ANY)
set(redefinitions)
foreach(name dl_iterate_phdr dlsym abort fprintf fwrite fflush)
  list(APPEND redefinitions --redefine-sym ${name}=coppice_hook_${name})
endforeach()
list(APPEND redefinitions --redefine-sym __assert_fail=coppice_hook_assert_fail
     --redefine-sym __fprintf_chk=coppice_hook_fprintf_chk)
execute_process(COMMAND ${OBJCOPY} --wildcard --keep-global-symbol=unw_* ${redefinitions} joined.o ${OUTPUT}
                WORKING_DIRECTORY ${folder} COMMAND_ERROR_IS_FATAL ANY)
