#pragma once
// The functions that a file brings along for what ONNX's opset 17 has no operator for: each one layer's forward.
#include "handgrad/onnx/graph.hpp"

namespace handgrad::detail {

/// Builds the body of a function, node by node: values are v0, v1, …, but what is called `y` is the result.
template <class T>
class OnnxFunction {
 public:
  OnnxFunction(onnx::FunctionProto& function, const std::string& name, const std::vector<std::string>& inputs,
               const std::vector<std::string>& attributes = {})
      : function_(function) {
    function.set_name(name);
    function.set_domain(onnx_domain);
    auto& opset = *function.add_opset_import();
    opset.set_domain("");
    opset.set_version(onnx_opset);
    for (const std::string& input : inputs) function.add_input(input);
    for (const std::string& attribute : attributes) function.add_attribute(attribute);
    function.add_output("y");
  }
  std::string operator()(const char* type, const std::vector<std::string>& inputs,
                         const std::vector<OnnxAttribute>& attributes = {}) {
    return add_node(*function_.mutable_node(), "v" + std::to_string(count_++), type, inputs, attributes);
  }
  std::string number(double value) { return (*this)("Constant", {}, {{"value", onnx_number(static_cast<T>(value))}}); }
  std::string integers(const std::vector<std::int64_t>& values) {
    return (*this)("Constant", {}, {{"value", onnx_integers(values)}});
  }
  void result(const char* type, const std::vector<std::string>& inputs,
              const std::vector<OnnxAttribute>& attributes = {}) {
    add_node(*function_.mutable_node(), "y", type, inputs, attributes);
  }

 private:
  onnx::FunctionProto& function_;
  int count_ = 0;
};

// 1 if z > 0, else 0
template <class T>
void threshold_function(OnnxFunction<T>& f) {
  f.result("Cast", {f("Greater", {"z", f.number(0)})}, {{"to", std::int64_t{onnx_type<T>}}});
}
// z/2·(1 + erf(z/√2))
template <class T>
void gelu_function(OnnxFunction<T>& f) {
  const auto erf = f("Erf", {f("Mul", {"z", f.number(0.70710678118654752440)})});
  f.result("Mul", {f("Mul", {"z", f.number(0.5)}), f("Add", {erf, f.number(1)})});
}
// z/2·(1 + tanh(√(2/π)·(z + 0.044715·z³)))
template <class T>
void gelu_tanh_function(OnnxFunction<T>& f) {
  const auto cube = f("Mul", {f("Mul", {"z", "z"}), "z"});
  const auto inner = f("Add", {"z", f("Mul", {cube, f.number(0.044715)})});
  const auto tanh = f("Tanh", {f("Mul", {inner, f.number(0.79788456080286535588)})});
  f.result("Mul", {f("Mul", {"z", f.number(0.5)}), f("Add", {tanh, f.number(1)})});
}
// z·σ(z)
template <class T>
void silu_function(OnnxFunction<T>& f) {
  f.result("Mul", {"z", f("Sigmoid", {"z"})});
}
// z·tanh(log(1 + eᶻ))
template <class T>
void mish_function(OnnxFunction<T>& f) {
  f.result("Mul", {"z", f("Tanh", {f("Softplus", {"z"})})});
}
// −log(1 + e⁻ᶻ)
template <class T>
void log_sigmoid_function(OnnxFunction<T>& f) {
  f.result("Neg", {f("Softplus", {f("Neg", {"z"})})});
}

/// x + pe[:T]; x is (N, T, E), (T, N, E) or (T, E), pe (max_len, 1, E).
template <class T>
void positional_function(OnnxFunction<T>& f, bool batch_first, bool batched) {
  const auto length =
      f("Shape", {"x"},
        {{"start", std::int64_t{batched && batch_first}}, {"end", std::int64_t{batched && batch_first} + 1}});
  auto rows = f("Slice", {"pe", f.integers({0}), length});
  if (!batched) rows = f("Squeeze", {rows, f.integers({1})});
  if (batched && batch_first) rows = f("Transpose", {rows}, {{"perm", std::vector<std::int64_t>{1, 0, 2}}});
  f.result("Add", {"x", rows});
}

/// Self-attention as layers/multihead_attention.hpp has it, of x (N, T, E), (T, N, E) or (T, E).
template <class T>
void attention_function(OnnxFunction<T>& f, std::int64_t heads, std::int64_t width, bool causal, bool batch_first,
                        bool batched) {
  using Integers = std::vector<std::int64_t>;
  std::string x = "x";  // (N, T, E)
  if (!batched) x = f("Unsqueeze", {x, f.integers({0})});
  if (batched && !batch_first) x = f("Transpose", {x}, {{"perm", Integers{1, 0, 2}}});
  // Q, K, V: (N, H, T, d)
  const auto qkv = f("Add", {f("MatMul", {x, f("Transpose", {"W_in"})}), "b_in"});
  const auto parts =
      f("Transpose", {f("Reshape", {qkv, f.integers({0, 0, 3, heads, width})})}, {{"perm", Integers{2, 0, 3, 1, 4}}});
  const auto part = [&](std::int64_t i) {
    return f("Gather", {parts, f("Constant", {}, {{"value", onnx_number(i)}})});
  };
  const auto Q = f("Mul", {part(0), f.number(1 / std::sqrt(static_cast<double>(width)))});
  auto S = f("MatMul", {Q, f("Transpose", {part(1)}, {{"perm", Integers{0, 1, 3, 2}}})});
  if (causal) {  // −∞ above the diagonal
    const auto size = f("Shape", {S}, {{"start", std::int64_t{2}}});
    const T infinite = -std::numeric_limits<T>::infinity();
    const auto all = f("ConstantOfShape", {size}, {{"value", onnx_tensor(&infinite, 1, {1})}});
    const auto one = f("Constant", {}, {{"value", onnx_number(std::int64_t{1})}});
    S = f("Add", {S, f("Trilu", {all, one}, {{"upper", std::int64_t{1}}})});
  }
  const auto O = f("MatMul", {f("Softmax", {S}, {{"axis", std::int64_t{-1}}}), part(2)});
  auto rows = f("Reshape", {f("Transpose", {O}, {{"perm", Integers{0, 2, 1, 3}}}), f.integers({0, 0, heads * width})});
  if (batched && !batch_first) rows = f("Transpose", {rows}, {{"perm", Integers{1, 0, 2}}});
  if (!batched) rows = f("Squeeze", {rows, f.integers({0})});
  f.result("Add", {f("MatMul", {rows, f("Transpose", {"W_out"})}), "b_out"});
}

}  // namespace handgrad::detail
