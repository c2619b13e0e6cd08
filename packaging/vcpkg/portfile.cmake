# An overlay port: vcpkg install handgrad --overlay-ports=packaging/vcpkg. It builds the checkout that it lies in; a port in
# a registry would fetch a tag with vcpkg_from_github instead.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS features FEATURES mpi WITH_MPI onnx WITH_ONNX)
set(components "")
foreach(component MPI ONNX)
  if(WITH_${component})
    list(APPEND components -DHANDGRAD_${component}=ON)
  else()
    list(APPEND components -DHANDGRAD_${component}=OFF)
  endif()
endforeach()

vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS ${components} -DHANDGRAD_CUDA=OFF -DHANDGRAD_BUILD_TESTS=OFF -DHANDGRAD_BUILD_LABS=OFF
    -DHANDGRAD_BUILD_BENCH=OFF -DHANDGRAD_WERROR=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/handgrad)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include")
set(VCPKG_POLICY_SKIP_COPYRIGHT_CHECK enabled)  # the licence is the owner's to choose
