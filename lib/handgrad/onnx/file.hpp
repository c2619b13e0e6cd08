#pragma once
#include <map>
#include <string>
#include <vector>

#include "handgrad/base/tensor.hpp"
#include "handgrad/onnx/graph.hpp"

namespace handgrad::detail {

/// An ONNX file: which node gives a value, which values are constants, what a node's arguments are. Every error is a
/// ParseError that names the file, and the node where there is one.
class OnnxFile {
 public:
  using Node = onnx::NodeProto;

  explicit OnnxFile(const std::string& path);

  /// The value that the network takes, its shape, and the value that it gives. A size that the file leaves open is one
  /// that no layer has.
  const std::string& input() const { return input_; }
  const Shape& input_shape() const { return input_shape_; }
  const std::string& output() const { return model_.graph().output(0).name(); }

  /// The node that gives a value; `find_producer` returns null if there is none, `producer` fails.
  const Node* find_producer(const std::string& value) const;
  const Node& producer(const std::string& value) const;

  /// Known from the file alone: an initializer, a Constant, either of them transposed or reshaped, or nothing ("").
  bool is_constant(const std::string& value) const;
  bool is_computed(const Node& node, int input) const;
  /// The inputs that are computed, in order.
  std::vector<std::string> computed(const Node& node) const;
  /// The last value through which everything the node takes has passed: its input, or where its inputs fork.
  std::string source(const Node& node) const;
  /// The last value on every way to both.
  std::string common(std::string a, std::string b) const;
  /// The product to which this node adds a bias, or null.
  const Node* biased_product(const Node& node) const;

  /// The number of dimensions of an initializer or Constant; −1 if the value is none.
  int rank(const std::string& value) const;
  /// The numbers of an initializer or Constant; float, double, int32 and int64 are read.
  template <class T>
  Tensor<T> constant(const Node& node, const std::string& name) const;
  template <class T>
  Tensor<T> tensor(const Node& node, int input) const;
  std::vector<std::int64_t> integers(const Node& node, int input) const;
  /// The name of an input; fails if the node has fewer.
  const std::string& name(const Node& node, int input) const;

  /// Attributes, or what is said otherwise.
  static std::int64_t integer(const Node& node, const char* name, std::int64_t otherwise);
  static float real(const Node& node, const char* name, float otherwise);
  static std::string text(const Node& node, const char* name, const char* otherwise);
  static std::vector<std::int64_t> list(const Node& node, const char* name);

  /// "net.onnx: node 'n3' (Conv) "
  std::string place(const Node& node) const;
  [[noreturn]] void fail(const std::string& why) const;
  [[noreturn]] void fail(const Node& node, const std::string& why) const;
  [[noreturn]] void unknown(const Node& node) const;

 private:
  void find_constants();
  void find_input();
  void check_order();
  /// How many sources lie between the input and a value.
  std::size_t depth(const std::string& value) const;

  std::string path_, input_;
  onnx::ModelProto model_;
  Shape input_shape_;
  std::map<std::string, const onnx::TensorProto*> constants_;
  std::map<std::string, const Node*> producers_;
  mutable std::map<const Node*, std::string> sources_;  // found before
  mutable std::map<std::string, std::size_t> depths_;
};

}  // namespace handgrad::detail
