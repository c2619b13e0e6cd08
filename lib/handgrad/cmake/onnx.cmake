# handgrad::onnx, the component that reads and writes ONNX files.
find_package(Protobuf QUIET)
find_package(ONNX CONFIG QUIET)
if(NOT Protobuf_FOUND OR NOT TARGET onnx_proto)
  if(HANDGRAD_ONNX STREQUAL "AUTO")
    message(STATUS "handgrad: no onnx or protobuf found (libonnx-dev, libprotobuf-dev), building without ONNX files")
    return()  # from this file
  endif()
  message(FATAL_ERROR "HANDGRAD_ONNX=ON, but onnx and protobuf were not both found (libonnx-dev, libprotobuf-dev).")
endif()

set(handgrad_onnx_sources file.cpp operators.cpp read.cpp write.cpp)
list(TRANSFORM handgrad_onnx_sources PREPEND ${CMAKE_CURRENT_LIST_DIR}/../onnx/)
add_library(handgrad_onnx ${handgrad_onnx_sources})
add_library(handgrad::onnx ALIAS handgrad_onnx)
set_target_properties(handgrad_onnx PROPERTIES
  EXPORT_NAME onnx POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_include_directories(handgrad_onnx PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(handgrad_onnx PUBLIC handgrad
  PRIVATE $<BUILD_INTERFACE:handgrad_own_flags> $<BUILD_INTERFACE:onnx_proto> $<INSTALL_INTERFACE:onnx_proto>)
