# `cmake --install` installs the library, its headers and the package for find_package(handgrad CONFIG).
include(CMakePackageConfigHelpers)

set(handgrad_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/handgrad)

# Components are packages (packaging/cpack.cmake): runtime and development.
install(TARGETS handgrad EXPORT handgrad
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT lib NAMELINK_COMPONENT dev
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT lib)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/lib/handgrad DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev
  FILES_MATCHING PATTERN "*.hpp" PATTERN cmake EXCLUDE
  PATTERN base/backend.hpp EXCLUDE PATTERN base/views.hpp EXCLUDE  # these need kernels/
  PATTERN distributed/mpi EXCLUDE PATTERN distributed/rank_order.hpp EXCLUDE)
install(EXPORT handgrad NAMESPACE handgrad:: FILE handgradTargets.cmake DESTINATION ${handgrad_package_dir}
  COMPONENT dev)
if(TARGET handgrad_mpi)
  install(TARGETS handgrad_mpi EXPORT handgrad_mpi
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT mpi
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT mpi
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT mpi)
  install(EXPORT handgrad_mpi NAMESPACE handgrad:: FILE handgradMpiTargets.cmake DESTINATION ${handgrad_package_dir}
    COMPONENT mpi)
endif()

# Components that a program requests: find_package(handgrad COMPONENTS onnx). A package of its own, since it needs protobuf.
if(TARGET handgrad_onnx)
  install(TARGETS handgrad_onnx EXPORT handgrad_onnx
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT onnx
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT onnx OPTIONAL)
  install(CODE "if(NOT EXISTS \"$<TARGET_FILE:handgrad_onnx>\")
  message(STATUS \"Without ONNX: handgrad_onnx is not built (cmake --build BUILD --target handgrad_onnx, then install again)\")
endif()" COMPONENT onnx)
  install(EXPORT handgrad_onnx NAMESPACE handgrad:: FILE handgrad_onnxTargets.cmake
    DESTINATION ${handgrad_package_dir} COMPONENT onnx)
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/handgradConfig.cmake.in
  ${PROJECT_BINARY_DIR}/handgradConfig.cmake INSTALL_DESTINATION ${handgrad_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/handgradConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/handgradConfig.cmake ${PROJECT_BINARY_DIR}/handgradConfigVersion.cmake
  DESTINATION ${handgrad_package_dir} COMPONENT dev)

# For pkg-config; paths are relative to the file, so that the folder can be moved. A static library's own dependencies
# must be linked by its users.
file(RELATIVE_PATH handgrad_prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" handgrad_prefix_from_pc "${handgrad_prefix_from_pc}")
set(handgrad_pc_libs "")
if(handgrad_library_type STREQUAL "STATIC_LIBRARY")
  set(handgrad_pc_libs "-lopenblas -lz -ldl -pthread")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/handgrad.pc.in ${PROJECT_BINARY_DIR}/handgrad.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/handgrad.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
