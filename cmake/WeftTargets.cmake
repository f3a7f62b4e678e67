# weft_library(NAME SOURCES ... [DEPS ...] [PCH header ...]): a room's static library. Includes are relative to the
#   repository's root ("core/config/config.h"); the SDK's are <weft/...>.
# weft_plugin(KIND NAME SOURCES ... [DEPS ...]): libweft-KIND-NAME.so, which sees the SDK and its own libraries only.
# weft_test(NAME SOURCES ... [DEPS ...] [LABELS ...] [TIMEOUT s]): a GoogleTest binary, each case a ctest test.

function(weft_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PUBLIC weft_sdk ${ARG_DEPS} PRIVATE weft_options ${ARG_PRIVATE_DEPS})
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
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${name} PRIVATE
    WEFT_SOURCE_DIR="${PROJECT_SOURCE_DIR}" WEFT_BUILD_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE weft_sdk weft_options ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    WORKING_DIRECTORY "${CMAKE_BINARY_DIR}" PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
