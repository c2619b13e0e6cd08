#pragma once
// Networks to ONNX files (https://onnx.ai) and back. A separate component, since it needs protobuf:
//
//     find_package(handgrad REQUIRED COMPONENTS onnx)
//     target_link_libraries(program PRIVATE handgrad::onnx)
#include <string>

#include "handgrad/containers/sequential.hpp"

namespace handgrad {

/// The options of write_onnx.
struct OnnxOptions {
  int batch_dimension = 0;  ///< of the input: any size there when the file is run; 1 for sequences (T, N, E)
};

/// Writes a network as it computes in evaluation mode: dropout is left out, batch norm uses its running statistics.
/// Parameters keep their names; a tied one is written once. The file is of opset 17, with elements of T, so that float
/// networks run in every runtime. What ONNX has no operator for (GELU, attention, …) becomes a function of the file
/// itself, in the domain `handgrad`, made of ONNX's operators.
///
///     write_onnx("net.onnx", net, {1, 784});      // input `x`, output `y`, any number of rows
///
/// A key_padding_mask belongs to a batch, not to the network, and is not written.
///
/// `example` is the shape of an input; the input is int64 if the network takes indices. Throws ValueError naming a
/// layer that cannot be written, ShapeError if the network does not accept the shape, IoError.
template <class T>
void write_onnx(const std::string& path, const Layer<T>& net, const Shape& example, const OnnxOptions& options = {});

/// Reads a network of this library's layers, to train or inspect it: a chain of operators, with sums as Residual, and
/// Concat and Split as the containers of these names. Reads the files of `write_onnx`, and others as far as their
/// operators match our layers; float and double initializers become T.
///
///     Sequential<float> net = read_onnx<float>("net.onnx");
///
/// Throws ParseError naming the node for an unknown operator, for a graph that is not such a network, and for a damaged
/// file; IoError.
template <class T = float>
Sequential<T> read_onnx(const std::string& path);

}  // namespace handgrad
