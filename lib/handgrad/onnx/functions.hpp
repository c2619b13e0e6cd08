#pragma once
// The functions that a file defines itself where ONNX's opset 17 has no operator: each is one layer's forward.
#include <cmath>
#include <limits>

#include "handgrad/onnx/graph.hpp"

namespace handgrad::detail {

/// Builds the body of a function node by node; values are v0, v1, …, the result `y`.
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

/// Self-attention, as in layers/multihead_attention.hpp, of x (N, T, E), (T, N, E) or (T, E).
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

// (x − µ)/√(σ² + eps)·γ_c + β_c with µ and σ² of each group of channels
template <class T>
void group_norm_function(OnnxFunction<T>& f, std::int64_t groups, std::int64_t channels, std::size_t rank, double eps) {
  const auto wide = f("Reshape", {"x", f.integers({0, groups, -1})});
  const std::vector<T> one(static_cast<std::size_t>(groups), T(1)), zero(one.size(), T(0));
  const auto row = [&](const std::vector<T>& v) {
    return f("Constant", {}, {{"value", onnx_tensor(v.data(), v.size(), {groups})}});
  };
  const auto normal =
      f("Reshape", {f("InstanceNormalization", {wide, row(one), row(zero)}, {{"epsilon", static_cast<float>(eps)}}),
                    f("Shape", {"x"})});
  std::vector<std::int64_t> sizes(rank - 1, 1);
  sizes[0] = channels;
  const auto of_channels = [&](const char* name) { return f("Reshape", {name, f.integers(sizes)}); };
  f.result("Add", {f("Mul", {normal, of_channels("weight")}), of_channels("bias")});
}
// x/√(mean x² + eps)·γ over the last dimensions
template <class T>
void rms_norm_function(OnnxFunction<T>& f, std::size_t dims, double eps) {
  std::vector<std::int64_t> axes;
  for (std::size_t i = dims; i > 0; --i) axes.push_back(-static_cast<std::int64_t>(i));
  const auto mean = f("ReduceMean", {f("Mul", {"x", "x"})}, {{"axes", axes}});
  f.result("Mul", {f("Div", {"x", f("Sqrt", {f("Add", {mean, f.number(eps)})})}), "weight"});
}

/// What a recurrent function's body depends on beside the parameters.
struct OnnxRecurrence {
  std::string type;  // RNN, LSTM, GRU
  std::int64_t layers, directions, hidden;
  bool relu, bias, batch_first, batched, last;
};

/// x (T, N, in) through ONNX's operator, layer by layer. Its parameters are PyTorch's (layers/recurrent.hpp), whose
/// gates are in a different order from ONNX's.
template <class T>
void recurrent_function(OnnxFunction<T>& f, const OnnxRecurrence& r) {
  using Integers = std::vector<std::int64_t>;
  const Integers order = r.type == "LSTM" ? Integers{0, 3, 1, 2} : r.type == "GRU" ? Integers{1, 0, 2} : Integers{0};
  const std::int64_t D = r.directions, H = r.hidden, gates = static_cast<std::int64_t>(order.size());
  const auto index = [&](std::int64_t i) { return f("Constant", {}, {{"value", onnx_number(i)}}); };
  const auto exchange = [&](const std::string& x) { return f("Transpose", {x}, {{"perm", Integers{1, 0, 2}}}); };
  // A parameter's rows in ONNX's order, with a leading dimension for the direction.
  const auto reordered = [&](const std::string& name, bool matrix) {
    const auto blocks = f("Gather", {f("Reshape", {name, f.integers({gates, H, -1})}), f.integers(order)});
    return f("Reshape", {blocks, f.integers(matrix ? Integers{1, gates * H, -1} : Integers{1, gates * H})});
  };
  const auto stacked = [&](const std::vector<std::string>& parts, std::int64_t axis) {
    return parts.size() == 1 ? parts[0] : f("Concat", parts, {{"axis", axis}});
  };

  std::string x = "x", y;
  if (!r.batched)
    x = f("Unsqueeze", {x, f.integers({1})});
  else if (r.batch_first)
    x = exchange(x);
  for (std::int64_t layer = 0; layer < r.layers; ++layer) {
    std::vector<std::string> W, R, B;
    for (std::int64_t k = layer * D; k < (layer + 1) * D; ++k) {
      const std::string end = std::to_string(k);
      W.push_back(reordered("weight_ih_" + end, true));
      R.push_back(reordered("weight_hh_" + end, true));
      if (r.bias) B.push_back(stacked({reordered("bias_ih_" + end, false), reordered("bias_hh_" + end, false)}, 1));
    }
    std::vector<std::string> inputs{x, stacked(W, 0), stacked(R, 0)};
    if (r.bias) inputs.push_back(stacked(B, 0));
    std::vector<OnnxAttribute> attributes{{"hidden_size", H}};
    if (D == 2) attributes.emplace_back("direction", std::string("bidirectional"));
    if (r.type == "GRU") attributes.emplace_back("linear_before_reset", std::int64_t{1});
    if (r.relu) attributes.emplace_back("activations", std::vector<std::string>(static_cast<std::size_t>(D), "Relu"));
    y = f(r.type.c_str(), inputs, attributes);  // (T, D, N, H)
    x = f("Reshape", {f("Transpose", {y}, {{"perm", Integers{0, 2, 1, 3}}}), f.integers({0, 0, D * H})});
  }
  if (r.last) {  // each direction's end: forward the last step, reverse the first
    const auto at = [&](std::int64_t step, std::int64_t direction) {
      return f("Gather", {f("Gather", {y, index(step)}), index(direction)});
    };
    x = D == 1 ? at(-1, 0) : f("Concat", {at(-1, 0), at(0, 1)}, {{"axis", std::int64_t{-1}}});
  }
  if (!r.batched)
    f.result("Squeeze", {x, f.integers({r.last ? 0 : 1})});
  else if (r.batch_first && !r.last)
    f.result("Transpose", {x}, {{"perm", Integers{1, 0, 2}}});
  else
    f.result("Identity", {x});
}

}  // namespace handgrad::detail
