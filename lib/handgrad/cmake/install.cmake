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
# handgrad_install_component(COMPONENT TARGETS_FILE): a library that a program requests, find_package(handgrad COMPONENTS mpi):
# a package of its own, since it needs MPI or protobuf. ./labs/run does not build all of them: one is installed if it exists,
# and reported if not.
function(handgrad_install_component component targets_file)
  set(target handgrad_${component})
  if(NOT TARGET ${target})
    return()
  endif()
  install(TARGETS ${target} EXPORT ${target}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component} OPTIONAL
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component} OPTIONAL
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${component} OPTIONAL)
  install(EXPORT ${target} NAMESPACE handgrad:: FILE ${targets_file} DESTINATION ${handgrad_package_dir}
    COMPONENT ${component})
  install(CODE "if(NOT EXISTS \"$<TARGET_FILE:${target}>\")
  file(REMOVE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${handgrad_package_dir}/${targets_file}\")
  message(STATUS \"Without ${component}: ${target} is not built (cmake --build BUILD --target ${target}, then install again)\")
endif()" COMPONENT ${component})
endfunction()
handgrad_install_component(mpi handgradMpiTargets.cmake)
handgrad_install_component(onnx handgrad_onnxTargets.cmake)

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
