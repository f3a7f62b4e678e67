# What `cmake --install` puts under a prefix: bin/weft, lib/weft/plugins (each plugin installs itself), include/weft, the
# CMake package (find_package(weft) gives weft::sdk, weft_add_plugin and weft_add_conformance_test), the bundled model and the documents.
# `weft` looks for its plugins beside itself, so a prefix can be moved.
include(CMakePackageConfigHelpers)

if(TARGET weft)
  install(TARGETS weft RUNTIME DESTINATION bin)
endif()
install(DIRECTORY core/include/weft DESTINATION include FILES_MATCHING PATTERN "*.h")
install(TARGETS weft_sdk EXPORT weft-targets)
install(EXPORT weft-targets NAMESPACE weft:: DESTINATION lib/cmake/weft)

configure_package_config_file(cmake/weft-config.cmake.in "${CMAKE_BINARY_DIR}/cmake/weft-config.cmake"
  INSTALL_DESTINATION lib/cmake/weft PATH_VARS WEFT_PLUGIN_INSTALL_DIR CMAKE_INSTALL_BINDIR)
# Before 1.0 a minor version may change the SDK; what may not change within one is in docs/plugins.
write_basic_package_version_file("${CMAKE_BINARY_DIR}/cmake/weft-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/cmake/weft-config.cmake" "${CMAKE_BINARY_DIR}/cmake/weft-config-version.cmake"
  cmake/WeftAddPlugin.cmake DESTINATION lib/cmake/weft)

install(FILES docs/weft.schema.json DESTINATION share/weft)
install(DIRECTORY models/weft-tiny DESTINATION share/weft/models)
# Plugins that are built from what is installed, and their tutorials.
install(DIRECTORY examples/custom_executor examples/custom_balancer DESTINATION share/weft/examples
  USE_SOURCE_PERMISSIONS PATTERN "__pycache__" EXCLUDE PATTERN "build" EXCLUDE)
install(PROGRAMS examples/ci.sh examples/run_page DESTINATION share/weft/examples)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION share/doc/weft)
install(DIRECTORY docs DESTINATION share/doc/weft)
