#pragma once
// Shared by the writer and the reader of ONNX files.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <onnx/onnx_pb.h>
#pragma GCC diagnostic pop

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace handgrad::detail {

constexpr std::int64_t onnx_opset = 17, onnx_ir = 8;
/// The domain of the functions defined by the file itself.
constexpr const char* onnx_domain = "handgrad";

template <class T>
constexpr auto onnx_type = std::is_same_v<T, float> ? onnx::TensorProto::FLOAT : onnx::TensorProto::DOUBLE;

using OnnxAttribute = std::pair<const char*, std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>,
                                                          std::vector<std::string>, onnx::TensorProto>>;

/// Appends a node with one output of that name; returns the name.
template <class Nodes>
std::string add_node(Nodes& nodes, const std::string& output, const std::string& type,
                     const std::vector<std::string>& inputs, const std::vector<OnnxAttribute>& attributes = {},
                     const char* domain = "") {
  onnx::NodeProto& node = *nodes.Add();
  node.set_op_type(type);
  node.set_name(output);
  if (*domain) node.set_domain(domain);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  for (const auto& [name, value] : attributes) {
    onnx::AttributeProto& to = *node.add_attribute();
    to.set_name(name);
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      to.set_type(onnx::AttributeProto::INT);
      to.set_i(*number);
    } else if (const auto* real = std::get_if<float>(&value)) {
      to.set_type(onnx::AttributeProto::FLOAT);
      to.set_f(*real);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      to.set_type(onnx::AttributeProto::STRING);
      to.set_s(*text);
    } else if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(&value)) {
      to.set_type(onnx::AttributeProto::INTS);
      for (const std::int64_t n : *numbers) to.add_ints(n);
    } else if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
      to.set_type(onnx::AttributeProto::STRINGS);
      for (const std::string& one : *texts) to.add_strings(one);
    } else {
      to.set_type(onnx::AttributeProto::TENSOR);
      *to.mutable_t() = std::get<onnx::TensorProto>(value);
    }
  }
  return output;
}

template <class E>
onnx::TensorProto onnx_tensor(const E* elements, std::size_t count, const std::vector<std::int64_t>& sizes) {
  onnx::TensorProto tensor;
  tensor.set_data_type(std::is_same_v<E, std::int64_t> ? onnx::TensorProto::INT64
                       : std::is_same_v<E, float>      ? onnx::TensorProto::FLOAT
                                                       : onnx::TensorProto::DOUBLE);
  for (const std::int64_t size : sizes) tensor.add_dims(size);
  tensor.set_raw_data(elements, count * sizeof(E));
  return tensor;
}
template <class E>
onnx::TensorProto onnx_number(E number) {
  return onnx_tensor(&number, 1, {});
}
inline onnx::TensorProto onnx_integers(const std::vector<std::int64_t>& numbers) {
  return onnx_tensor(numbers.data(), numbers.size(), {static_cast<std::int64_t>(numbers.size())});
}

}  // namespace handgrad::detail
