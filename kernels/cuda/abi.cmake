# HANDGRAD_CUDA_ABI: a hash of the headers that the library and the CUDA module share.
file(GLOB handgrad_abi_headers CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/kernels/*.hpp ${PROJECT_SOURCE_DIR}/kernels/formulas/*.hpp)
list(APPEND handgrad_abi_headers ${PROJECT_SOURCE_DIR}/kernels/cuda/module.hpp)
set(handgrad_abi "${PROJECT_VERSION}")
foreach(header IN LISTS handgrad_abi_headers)
  file(MD5 ${header} hash)
  string(APPEND handgrad_abi " ${hash}")
endforeach()
string(MD5 HANDGRAD_CUDA_ABI "${handgrad_abi}")
set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${handgrad_abi_headers})
