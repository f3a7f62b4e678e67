# weft_objects(NAME SOURCES ... [DEPS ...] [ALONE file...]): the same as an object library, for a plugin whose pieces unit tests reach.
# weft_library(NAME SOURCES ... [DEPS ...] [PRIVATE_DEPS ...] [NO_PCH] [ALONE file...]): a room's static library. Includes are relative to
#   the repository's root ("core/config/config.h"); the SDK's are <weft/...>. NO_PCH: for a room whose own compile options
#   a precompiled header cannot share (-m..., -O...). ALONE: files that cannot be compiled together with others of
#   their room (WEFT_UNITY), because a local name means two things or they read themselves again (foreach_target.h).
# weft_plugin(KIND NAME SOURCES ... [DEPS ...]): libweft-KIND-NAME.so, which sees the SDK and its own libraries only.
# weft_test(NAME SOURCES ... [DEPS ...] [LABELS ...] [TIMEOUT s] [ALONE file...]): a GoogleTest binary, each case a ctest test.

option(WEFT_PCH "Precompile the third-party headers that most files read; a third less to compile. Off in the debug preset, \
which therefore finds an #include that somebody forgot" ON)
# One precompiled header for the rooms and one for the tests (executables differ in -fPIE), shared by all of them. The
# headers of Weft itself are not in it: it stays as it is while they change.
if(WEFT_PCH)
  set(pch_headers <algorithm> <atomic> <chrono> <condition_variable> <cstdint> <cstring> <deque> <filesystem> <fstream>
    <functional> <map> <memory> <mutex> <optional> <set> <span> <sstream> <string> <string_view> <thread> <unordered_map>
    <utility> <variant> <vector> <tl/expected.hpp> <fmt/format.h> <nlohmann/json.hpp>)
  add_library(weft_pch STATIC "${CMAKE_CURRENT_LIST_DIR}/pch.cpp")
  target_link_libraries(weft_pch PRIVATE weft_options tl::expected fmt::fmt nlohmann_json::nlohmann_json)
  target_precompile_headers(weft_pch PRIVATE ${pch_headers})
  if(WEFT_TESTS)
    add_executable(weft_test_pch "${CMAKE_CURRENT_LIST_DIR}/pch.cpp")
    target_link_libraries(weft_test_pch PRIVATE weft_options tl::expected fmt::fmt nlohmann_json::nlohmann_json
      GTest::gmock GTest::gtest GTest::gtest_main)
    set_target_properties(weft_test_pch PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/pch")
    target_compile_options(weft_test_pch PRIVATE ${WEFT_TEST_COMPILE_OPTIONS})
    target_precompile_headers(weft_test_pch PRIVATE ${pch_headers} <gtest/gtest.h> <gmock/gmock.h>)
  endif()
endif()

# Reading headers and making code of their templates is most of the work: many files together take little longer than one.
option(WEFT_UNITY "Compile the files of a room together, twelve at a time; a clean build takes a third of the time" OFF)
function(weft_unity name alone)
  if(WEFT_UNITY)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
    set_source_files_properties(${alone} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()

function(weft_library name)
  weft_library_of(STATIC ${name} ${ARGN})
endfunction()

function(weft_objects name)
  weft_library_of(OBJECT ${name} ${ARGN})
endfunction()

function(weft_library_of type name)
  cmake_parse_arguments(ARG "NO_PCH" "" "SOURCES;DEPS;PRIVATE_DEPS;ALONE" ${ARGN})
  add_library(${name} ${type} ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PUBLIC weft_sdk ${ARG_DEPS} PRIVATE weft_options ${ARG_PRIVATE_DEPS})
  weft_unity(${name} "${ARG_ALONE}")
  if(WEFT_PCH AND NOT ARG_NO_PCH)
    # The header is only valid where fmt's and json's settings are the same, so every room gets them.
    target_link_libraries(${name} PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
    target_precompile_headers(${name} REUSE_FROM weft_pch)
  endif()
endfunction()

function(weft_plugin kind name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  set(target weft_${kind}_${name})
  add_library(${target} MODULE ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE weft_sdk weft_options ${ARG_DEPS})
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME "libweft-${kind}-${name}"
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY "${WEFT_PLUGIN_OUTPUT_DIRECTORY}")
  set_property(GLOBAL APPEND PROPERTY WEFT_PLUGINS ${target})
  install(TARGETS ${target} LIBRARY DESTINATION "${WEFT_PLUGIN_INSTALL_DIR}")
endfunction()

function(weft_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS;ALONE" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${name} PRIVATE
    WEFT_SOURCE_DIR="${PROJECT_SOURCE_DIR}" WEFT_BUILD_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE weft_sdk weft_options ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  target_compile_options(${name} PRIVATE ${WEFT_TEST_COMPILE_OPTIONS})
  weft_unity(${name} "${ARG_ALONE}")
  if(WEFT_PCH)
    target_link_libraries(${name} PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
    target_precompile_headers(${name} REUSE_FROM weft_test_pch)
  endif()
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 NO_PRETTY_VALUES
    WORKING_DIRECTORY "${CMAKE_BINARY_DIR}" PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
