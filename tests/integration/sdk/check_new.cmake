# cmake -D BUILD_DIR=... -D WORK_DIR=... [-D WEFT_COMPILERS=g++;clang++] -P check_new.cmake
# From an installed prefix alone: `weft plugins new` for each kind; the projects build with each compiler and no warning,
# and hold every rule for all plugins. What `new` and weft_add_conformance_test refuse is refused with a reason.
set(kinds executor communicator load_balancer device)

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${WORK_DIR}" RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "'${command}' failed (${status}):\n${output}")
  endif()
  set(run_output "${output}" PARENT_SCOPE)
endfunction()
# The command must fail and say `expected` (a regular expression).
function(run_refused expected)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${WORK_DIR}" RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REPLACE "\n" " " line "${output}")
  if(status EQUAL 0 OR NOT line MATCHES "${expected}")
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "'${command}' is to fail with '${expected}'; it ended with ${status}:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
run("${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${WORK_DIR}/prefix")
set(weft "${WORK_DIR}/prefix/bin/weft")

set(together "cmake_minimum_required(VERSION 3.25)\nproject(together LANGUAGES CXX)\nenable_testing()\n")
foreach(kind ${kinds})
  run("${weft}" plugins new ${kind} my_${kind})
  string(APPEND together "add_subdirectory(my_${kind})\n")
endforeach()
file(WRITE "${WORK_DIR}/CMakeLists.txt" "${together}")

run_refused("my_device exists and is not an empty directory" "${weft}" plugins new device my_device)
run_refused("unknown kind 'executr'.*did you mean 'executor'" "${weft}" plugins new executr mine)
run_refused("'Mine' cannot be a plugin's name" "${weft}" plugins new executor Mine)
run_refused("'../mine' cannot be a plugin's name" "${weft}" plugins new executor ../mine)
run_refused("'test' is a target that CMake makes itself" "${weft}" plugins new executor test)
run("${weft}" plugins new executor elsewhere --directory deep/down)
if(NOT EXISTS "${WORK_DIR}/deep/down/elsewhere.cpp" OR EXISTS "${WORK_DIR}/elsewhere")
  message(FATAL_ERROR "--directory was not heeded")
endif()
file(GLOB_RECURSE written "${WORK_DIR}/my_*/*" "${WORK_DIR}/deep/*")
foreach(file ${written})
  file(READ "${file}" text)
  if(text MATCHES "@[A-Z]+@")
    message(FATAL_ERROR "${file} still holds '${CMAKE_MATCH_0}'")
  endif()
endforeach()

foreach(compiler ${WEFT_COMPILERS})
  get_filename_component(name "${compiler}" NAME)
  set(build "${WORK_DIR}/build-${name}")
  run("${CMAKE_COMMAND}" -S "${WORK_DIR}" -B "${build}" -G Ninja "-DCMAKE_CXX_COMPILER=${compiler}" -DCMAKE_BUILD_TYPE=Debug
    "-DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix" -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
    "-DCMAKE_CXX_FLAGS=-Werror -Wpedantic -Wconversion -Wshadow")
  run("${CMAKE_COMMAND}" --build "${build}")
  run(ctest --test-dir "${build}" --show-only)
  foreach(kind ${kinds})
    if(NOT run_output MATCHES "conformance-my_${kind}")
      message(FATAL_ERROR "the ${kind} has no conformance test; the package is to find the suite beside itself:\n${run_output}")
    endif()
  endforeach()
  foreach(kind ${kinds})
    set(plugin "${build}/my_${kind}/libweft-${kind}-my_${kind}.so")
    run("${weft}" plugins inspect ${kind}/my_${kind} --plugin-dir "${build}/my_${kind}")
    if(NOT run_output MATCHES "state +usable")
      message(FATAL_ERROR "${compiler}: the host refuses the ${kind}:\n${run_output}")
    endif()
    run("${WORK_DIR}/prefix/bin/weft-conformance" --plugin "${plugin}" --profile "${WORK_DIR}/my_${kind}/conformance.toml"
      --filter PL-* --jobs 2)
  endforeach()
endforeach()

# A plugin is installed where this Weft looks for it.
run("${CMAKE_COMMAND}" --install "${build}")
if(NOT EXISTS "${WORK_DIR}/prefix/lib/weft/plugins/libweft-executor-my_executor.so")
  message(FATAL_ERROR "cmake --install did not put the plugin into the folder of the prefix:\n${run_output}")
endif()

# Without its suite a Weft says so when the project is configured, not when its tests run.
file(REMOVE "${WORK_DIR}/prefix/bin/weft-conformance")
file(WRITE "${WORK_DIR}/without/CMakeLists.txt" "cmake_minimum_required(VERSION 3.25)\nproject(without LANGUAGES CXX)\n"
  "find_package(weft REQUIRED)\nweft_add_plugin(\${NAME} KIND \${KIND} SOURCES ../my_executor/my_executor.cpp)\n"
  "weft_add_conformance_test(mine)\n")
set(configure "${CMAKE_COMMAND}" -S without -B without/build -G Ninja "-DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix")
run_refused("prefix/bin/weft-conformance'; +this Weft was +installed without its +conformance suite" ${configure} -DNAME=mine -DKIND=executor)
run_refused("KIND is 'exec'; it is one of" ${configure} -DNAME=mine -DKIND=exec)
run_refused("the name is 'My-Own'" ${configure} -DNAME=My-Own -DKIND=executor)
run_refused("no target 'mine'" ${configure} -DNAME=other -DKIND=executor)
file(REMOVE_RECURSE "${WORK_DIR}")
