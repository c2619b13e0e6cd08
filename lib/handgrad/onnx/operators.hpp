#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "handgrad/contract/layer.hpp"
#include "handgrad/onnx/file.hpp"

namespace handgrad::detail {

/// The layer that one node computes; null if it does nothing, as Identity. `sum`: the Add that gives a MatMul its bias,
/// or null. `shape` gives the shape of what the node takes, for nodes whose layer depends on it. `parameters`: those
/// already read, by the name of their initializer; whoever takes one of them again is tied to it.
/// Throws ParseError naming the node where none of our layers computes it.
template <class T>
std::shared_ptr<Layer<T>> onnx_layer(const OnnxFile& file, const onnx::NodeProto& node, const onnx::NodeProto* sum,
                                     const std::function<Shape()>& shape,
                                     std::map<std::string, Parameter<T>>& parameters);

}  // namespace handgrad::detail
