# `cmake --install` gives the library, its headers and the package that find_package(handgrad CONFIG) reads.
include(CMakePackageConfigHelpers)

set(handgrad_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/handgrad)

install(TARGETS handgrad EXPORT handgrad
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/lib/handgrad DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp" PATTERN cmake EXCLUDE)
install(EXPORT handgrad NAMESPACE handgrad:: FILE handgradTargets.cmake DESTINATION ${handgrad_package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/handgradConfig.cmake.in
  ${PROJECT_BINARY_DIR}/handgradConfig.cmake INSTALL_DESTINATION ${handgrad_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/handgradConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/handgradConfig.cmake ${PROJECT_BINARY_DIR}/handgradConfigVersion.cmake
  DESTINATION ${handgrad_package_dir})
