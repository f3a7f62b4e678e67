# cmake -D BUILD_DIR=... -D WORK_DIR=... -P check_examples.cmake
# Installs the build into an empty prefix and runs the examples' CI script that lies there.
file(REMOVE_RECURSE "${WORK_DIR}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${WORK_DIR}/prefix"
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
# Compiling is most of it; what is compiled seldom changes.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(ENV{CMAKE_CXX_COMPILER_LAUNCHER} "${CCACHE_PROGRAM}")
endif()
execute_process(COMMAND "${WORK_DIR}/prefix/share/weft/examples/ci.sh" "${WORK_DIR}/prefix" "${WORK_DIR}/empty"
  COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE_RECURSE "${WORK_DIR}")
