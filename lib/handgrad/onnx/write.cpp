#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "handgrad/base/format.hpp"
#include "handgrad/handgrad.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/onnx/functions.hpp"
#include "handgrad/onnx/onnx.hpp"
#include "kernels/formulas/activations.hpp"
#include "kernels/recurrent.hpp"

namespace handgrad {
namespace {

using detail::OnnxAttribute;
using detail::OnnxFunction;
using Integers = std::vector<std::int64_t>;

std::int64_t integer(std::size_t n) { return static_cast<std::int64_t>(n); }

Integers integers(const Shape& shape) { return Integers(shape.begin(), shape.end()); }

/// A tensor of the graph. Its shapes for the example and for one with a row more differ where the file leaves the size
/// open.
struct Value {
  std::string name;
  Shape shape, other;
  bool is_open(std::size_t dim) const { return shape[static_cast<int>(dim)] != other[static_cast<int>(dim)]; }
};

template <class T>
class Writer {
 public:
  Writer(const Layer<T>& net, const Shape& example, const OnnxOptions& options) {
    const int batch = options.batch_dimension;
    if (batch < 0 || batch >= static_cast<int>(example.rank()))
      throw ValueError("write_onnx: an example with dimension " + std::to_string(batch) +
                       " (batch_dimension) expected, one of shape " + example.str() + " came");
    for (const auto& [name, parameter] : net.named_parameters()) names_.emplace_back(name, parameter);
    Value x{"x", example, example};
    ++x.other[batch];
    net.output_shape(x.shape);
    try {
      net.output_shape(x.other);
    } catch (const ShapeError& error) {
      throw ValueError("write_onnx: the network takes an input of shape " + example.str() + " but not " +
                       x.other.str() + ", so dimension " + std::to_string(batch) +
                       " (batch_dimension) is no batch: " + error.what());
    }
    const Value last = run(net, "", x);
    detail::add_node(*graph().mutable_node(), "y", "Identity", {last.name});
    describe(*graph().add_input(), x, net.differentiable_input() ? detail::onnx_type<T> : onnx::TensorProto::INT64);
    describe(*graph().add_output(), {"y", last.shape, last.other}, detail::onnx_type<T>);

    model_.set_ir_version(detail::onnx_ir);
    model_.set_producer_name("handgrad");
    graph().set_name(net.name());
    for (const char* domain : {"", detail::onnx_domain}) {
      if (*domain && functions_.empty()) break;
      auto& opset = *model_.add_opset_import();
      opset.set_domain(domain);
      opset.set_version(*domain ? 1 : detail::onnx_opset);
    }
  }
  std::string bytes() const { return model_.SerializeAsString(); }

 private:
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }

  void describe(onnx::ValueInfoProto& info, const Value& value, std::int32_t type) {
    info.set_name(value.name);
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    auto& shape = *tensor.mutable_shape();
    for (std::size_t i = 0; i < value.shape.rank(); ++i)
      if (value.is_open(i))
        shape.add_dim()->set_dim_param("N");
      else
        shape.add_dim()->set_dim_value(integer(value.shape[static_cast<int>(i)]));
  }

  // Each layer's forward in ONNX. `name` is the layer's place in the network and the name of its output.

  Value run(const Layer<T>& layer, const std::string& name, const Value& x) {
    Value y{name.empty() ? "net" : name, layer.output_shape(x.shape), layer.output_shape(x.other)};
    bool known = false;
    const auto try_type = [&]<class L>(const L*) {
      if (known) return;
      if (const auto* one = dynamic_cast<const L*>(&layer)) y.name = write(*one, y, x), known = true;
    };
    [&]<class... L>(std::tuple<L...>*) {
      (try_type(static_cast<const L*>(nullptr)), ...);
    }(static_cast<std::tuple<Sequential<T>, Residual<T>, Concat<T>, Split<T>, Linear<T>, Neuron<T>, ActivationLayer<T>,
                             PReLU<T>, Softmax<T>, LogSoftmax<T>, BatchNorm<T>, GroupNorm<T>, RMSNorm<T>, LayerNorm<T>,
                             Dropout<T>, Flatten<T>, Unflatten<T>, ConvolutionLayer<T>, ConvTranspose2d<T>,
                             MaxPoolLayer<T>, AvgPoolLayer<T>, AdaptiveAvgPool2d<T>, Embedding<T>,
                             PositionalEncoding<T>, MultiheadAttention<T>, TransformerEncoderLayer<T>, Recurrent<T>>*>(
        nullptr));
    if (!known) refuse(layer, y, "is none of the layers that can be written");
    return y;
  }

  std::string write(const Sequential<T>& net, const Value& y, const Value& x) { return chain(net, y, x).name; }

  Value chain(const Layer<T>& net, const Value& y, Value x) {
    for (const auto& [name, child] : net.children()) x = run(*child, below(y, name), x);
    return x;
  }

  // x + f(x), s(x) + f(x)
  std::string write(const Residual<T>& residual, const Value& y, const Value& x) {
    const auto& children = residual.children();
    const Value f = run(*children[0].second, below(y, "f"), x);
    const Value s = children.size() > 1 ? run(*children[1].second, below(y, "shortcut"), x) : x;
    return node(y, "Add", {s.name, f.name});
  }

  std::string write(const Concat<T>& concat, const Value& y, const Value& x) {
    std::vector<std::string> parts;
    for (const auto& [name, branch] : concat.children()) parts.push_back(run(*branch, below(y, name), x).name);
    return node(y, "Concat", parts, {{"axis", std::int64_t{concat.dim()}}});
  }

  std::string write(const Split<T>& split, const Value& y, const Value& x) {
    const int dim = split.dim() < 0 ? static_cast<int>(x.shape.rank()) + split.dim() : split.dim();
    onnx::NodeProto& cut = *graph().add_node();
    cut.set_op_type("Split");
    cut.set_name(y.name + "/Split");
    cut.add_input(x.name);
    cut.add_input(
        constant(y.name + "/sizes", detail::onnx_integers(Integers(split.sizes().begin(), split.sizes().end()))));
    auto& axis = *cut.add_attribute();
    axis.set_name("axis");
    axis.set_type(onnx::AttributeProto::INT);
    axis.set_i(dim);
    for (std::size_t i = 0; i < split.size(); ++i) cut.add_output(y.name + "/" + std::to_string(i));
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < split.size(); ++i) {
      Value part{y.name + "/" + std::to_string(i), x.shape, x.other};
      part.shape[dim] = part.other[dim] = split.sizes()[i];
      parts.push_back(run(split[i], below(y, std::to_string(i)), part).name);
    }
    return node(y, "Concat", parts, {{"axis", std::int64_t{dim}}});
  }

  // x·Wᵀ + b
  std::string write(const Linear<T>& linear, const Value& y, const Value& x) {
    return affine(y, x, linear.weight, linear.bias);
  }
  std::string affine(const Value& y, const Value& x, const Parameter<T>& weight, const Parameter<T>& bias) {
    const std::string W = parameter(y, "weight", weight);
    if (x.shape.rank() == 2) {
      std::vector<std::string> inputs{x.name, W};
      if (bias.defined()) inputs.push_back(parameter(y, "bias", bias));
      return node(y, "Gemm", inputs, {{"transB", std::int64_t{1}}});
    }
    const std::string product =
        part(y, bias.defined() ? "MatMul" : "", "MatMul", {x.name, part(y, "Transpose", "Transpose", {W})});
    return bias.defined() ? node(y, "Add", {product, parameter(y, "bias", bias)}) : product;
  }
  // x·w + b of a vector w
  std::string write(const Neuron<T>& neuron, const Value& y, const Value& x) {
    return node(y, "Add",
                {part(y, "MatMul", "MatMul", {x.name, parameter(y, "weight", neuron.weight)}),
                 parameter(y, "bias", neuron.bias)});
  }

  std::string write(const ActivationLayer<T>& layer, const Value& y, const Value& x) {
    const auto formula = layer.formula();
    const auto plain = [&](const char* type, const std::vector<OnnxAttribute>& attributes = {}) {
      return node(y, type, {x.name}, attributes);
    };
    const auto of_function = [&](void (*body)(OnnxFunction<T>&)) {
      return call(y, layer.name() == "GELU" && body == &detail::gelu_tanh_function<T> ? "GELU_tanh" : layer.name(),
                  {"z"}, {x.name}, {}, body);
    };
    return std::visit(
        [&]<class F>(const F& f) -> std::string {
          if constexpr (std::is_same_v<F, formulas::Identity>) return plain("Identity");
          if constexpr (std::is_same_v<F, formulas::Threshold>) return of_function(&detail::threshold_function<T>);
          if constexpr (std::is_same_v<F, formulas::Sigmoid>) return plain("Sigmoid");
          if constexpr (std::is_same_v<F, formulas::Tanh>) return plain("Tanh");
          if constexpr (std::is_same_v<F, formulas::ReLU>) return plain("Relu");
          if constexpr (std::is_same_v<F, formulas::LeakyReLU>)
            return plain("LeakyRelu", {{"alpha", static_cast<float>(f.negative_slope)}});
          if constexpr (std::is_same_v<F, formulas::ELU>) return plain("Elu", {{"alpha", static_cast<float>(f.alpha)}});
          if constexpr (std::is_same_v<F, formulas::GELU>) return of_function(&detail::gelu_function<T>);
          if constexpr (std::is_same_v<F, formulas::GELUTanh>) return of_function(&detail::gelu_tanh_function<T>);
          if constexpr (std::is_same_v<F, formulas::SiLU>) return of_function(&detail::silu_function<T>);
          if constexpr (std::is_same_v<F, formulas::Softplus>) {
            if (f.beta == 1) return plain("Softplus");
            refuse(layer, y, "with beta ≠ 1 has no operator");
          }
          if constexpr (std::is_same_v<F, formulas::Hardtanh>)
            return node(y, "Clip", {x.name, number(y, "min", f.low), number(y, "max", f.high)});
          if constexpr (std::is_same_v<F, formulas::Hardsigmoid>)
            return plain("HardSigmoid", {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
          if constexpr (std::is_same_v<F, formulas::Hardswish>) return plain("HardSwish");
          if constexpr (std::is_same_v<F, formulas::LogSigmoid>) return of_function(&detail::log_sigmoid_function<T>);
          if constexpr (std::is_same_v<F, formulas::Softsign>) return plain("Softsign");
          if constexpr (std::is_same_v<F, formulas::Mish>) return of_function(&detail::mish_function<T>);
          refuse(layer, y, "has no operator");
        },
        static_cast<const typename formulas::Activation::variant&>(formula));
  }

  // One slope, or one per channel: (C, 1, …) beside (N, C, …).
  std::string write(const PReLU<T>& prelu, const Value& y, const Value& x) {
    std::string slope = parameter(y, "weight", prelu.weight);
    if (prelu.weight.numel() > 1 && x.shape.rank() > 2) {
      Integers sizes(x.shape.rank() - 1, 1);
      sizes[0] = -1;
      slope = part(y, "slope", "Reshape", {slope, constant(y.name + "/sizes", detail::onnx_integers(sizes))});
    }
    return node(y, "PRelu", {x.name, slope});
  }

  std::string write(const Softmax<T>& softmax, const Value& y, const Value& x) {
    return node(y, "Softmax", {x.name}, {{"axis", std::int64_t{softmax.dim()}}});
  }
  std::string write(const LogSoftmax<T>& softmax, const Value& y, const Value& x) {
    return node(y, "LogSoftmax", {x.name}, {{"axis", std::int64_t{softmax.dim()}}});
  }

  std::string write(const BatchNorm<T>& norm, const Value& y, const Value& x) {
    if (!norm.options().track_running_stats)
      refuse(norm, y, "normalises by the batch at hand (track_running_stats = false)");
    const Shape features{norm.num_features()};
    const std::string weight = norm.weight.defined() ? parameter(y, "weight", norm.weight)
                                                     : constant(below(y, "weight"), proto(ones<T>(features)));
    const std::string bias =
        norm.bias.defined() ? parameter(y, "bias", norm.bias) : constant(below(y, "bias"), proto(zeros<T>(features)));
    return node(y, "BatchNormalization",
                {x.name, weight, bias, constant(below(y, "running_mean"), proto(norm.running_mean.value())),
                 constant(below(y, "running_var"), proto(norm.running_var.value()))},
                {{"epsilon", static_cast<float>(norm.options().eps)}});
  }

  std::string write(const GroupNorm<T>& norm, const Value& y, const Value& x) {
    const std::size_t groups = norm.num_groups(), channels = norm.num_channels(), rank = x.shape.rank();
    const bool affine = norm.options().affine;
    const double eps = norm.options().eps;
    return call(
        y,
        "GroupNorm_" + std::to_string(groups) + "x" + std::to_string(channels) + "_" + std::to_string(rank) + "d_" +
            format_number(eps),
        {"x", "weight", "bias"},
        {x.name,
         affine ? parameter(y, "weight", norm.weight) : constant(below(y, "weight"), proto(ones<T>({channels}))),
         affine ? parameter(y, "bias", norm.bias) : constant(below(y, "bias"), proto(zeros<T>({channels})))},
        {{"num_groups", integer(groups)}, {"eps", static_cast<float>(eps)}},
        [&](OnnxFunction<T>& f) { detail::group_norm_function(f, integer(groups), integer(channels), rank, eps); });
  }
  std::string write(const RMSNorm<T>& norm, const Value& y, const Value& x) {
    const std::size_t dims = norm.normalized_shape().rank();
    const double eps = norm.eps();
    return call(y, "RMSNorm_" + std::to_string(dims) + "d_" + format_number(eps), {"x", "weight"},
                {x.name, norm.weight.defined() ? parameter(y, "weight", norm.weight)
                                               : constant(below(y, "weight"), proto(ones<T>(norm.normalized_shape())))},
                {{"eps", static_cast<float>(eps)}},
                [&](OnnxFunction<T>& f) { detail::rms_norm_function(f, dims, eps); });
  }

  std::string write(const LayerNorm<T>& norm, const Value& y, const Value& x) {
    std::vector<std::string> inputs{
        x.name, norm.weight.defined() ? parameter(y, "weight", norm.weight)
                                      : constant(below(y, "weight"), proto(ones<T>(norm.normalized_shape())))};
    if (norm.bias.defined()) inputs.push_back(parameter(y, "bias", norm.bias));
    return node(
        y, "LayerNormalization", inputs,
        {{"axis", -integer(norm.normalized_shape().rank())}, {"epsilon", static_cast<float>(norm.options().eps)}});
  }

  std::string write(const Dropout<T>&, const Value&, const Value& x) { return x.name; }

  std::string write(const Flatten<T>&, const Value& y, const Value& x) { return reshape(y, x); }
  std::string write(const Unflatten<T>&, const Value& y, const Value& x) { return reshape(y, x); }
  std::string reshape(const Value& y, const Value& x) {
    Integers sizes = integers(y.shape);
    for (std::size_t i = 0; i < sizes.size(); ++i)
      if (y.is_open(i)) sizes[i] = -1;
    return node(y, "Reshape", {x.name, constant(y.name + "/shape", detail::onnx_integers(sizes))});
  }

  // A Size2d as integers; in one dimension without the rows.
  static Integers plane(const Size2d& size, std::size_t spatial) {
    return spatial == 1 ? Integers{integer(size.width)} : Integers{integer(size.height), integer(size.width)};
  }
  static Integers sides(const Size2d& before, const Size2d& after, std::size_t spatial) {
    Integers all = plane(before, spatial);
    for (const std::int64_t n : plane(after, spatial)) all.push_back(n);
    return all;
  }
  template <class L>
  void require_batch(const L& layer, const Value& y, const Value& x, std::size_t spatial) {
    if (x.shape.rank() != spatial + 2)
      refuse(layer, y, "takes batches only in ONNX, not an input of shape " + x.shape.str());
  }

  std::string write(const ConvolutionLayer<T>& conv, const Value& y, const Value& x) {
    const auto& o = conv.options();
    const std::size_t spatial = conv.spatial();
    require_batch(conv, y, x, spatial);
    Size2d before = o.padding.size, after = o.padding.size;
    if (o.padding.same) {  // d·(k − 1) in all, the larger half at the end
      const auto halves = [](std::size_t k, std::size_t d, std::size_t& first, std::size_t& second) {
        first = d * (k - 1) / 2, second = d * (k - 1) - first;
      };
      halves(conv.kernel_size().height, o.dilation.height, before.height, after.height);
      halves(conv.kernel_size().width, o.dilation.width, before.width, after.width);
    }
    std::vector<std::string> inputs{x.name, parameter(y, "weight", conv.weight)};
    if (conv.has_bias()) inputs.push_back(parameter(y, "bias", conv.bias));
    return node(y, "Conv", inputs,
                {{"kernel_shape", plane(conv.kernel_size(), spatial)},
                 {"strides", plane(o.stride, spatial)},
                 {"pads", sides(before, after, spatial)},
                 {"dilations", plane(o.dilation, spatial)},
                 {"group", integer(o.groups)}});
  }
  std::string write(const ConvTranspose2d<T>& conv, const Value& y, const Value& x) {
    const auto& o = conv.options();
    require_batch(conv, y, x, 2);
    std::vector<std::string> inputs{x.name, parameter(y, "weight", conv.weight)};
    if (conv.bias.defined()) inputs.push_back(parameter(y, "bias", conv.bias));
    return node(y, "ConvTranspose", inputs,
                {{"kernel_shape", plane(conv.kernel_size(), 2)},
                 {"strides", plane(o.stride, 2)},
                 {"pads", sides(o.padding, o.padding, 2)},
                 {"output_padding", plane(o.output_padding, 2)},
                 {"dilations", plane(o.dilation, 2)},
                 {"group", integer(o.groups)}});
  }
  std::string write(const MaxPoolLayer<T>& pool, const Value& y, const Value& x) {
    const auto& o = pool.options();
    require_batch(pool, y, x, pool.spatial());
    return node(y, "MaxPool", {x.name},
                {{"kernel_shape", plane(pool.kernel_size(), pool.spatial())},
                 {"strides", plane(pool.stride(), pool.spatial())},
                 {"pads", sides(o.padding, o.padding, pool.spatial())},
                 {"dilations", plane(o.dilation, pool.spatial())},
                 {"ceil_mode", std::int64_t{o.ceil_mode}}});
  }
  std::string write(const AvgPoolLayer<T>& pool, const Value& y, const Value& x) {
    const auto& o = pool.options();
    require_batch(pool, y, x, pool.spatial());
    if (o.divisor_override) refuse(pool, y, "with a divisor_override has no operator");
    return node(y, "AveragePool", {x.name},
                {{"kernel_shape", plane(pool.kernel_size(), pool.spatial())},
                 {"strides", plane(pool.stride(), pool.spatial())},
                 {"pads", sides(o.padding, o.padding, pool.spatial())},
                 {"ceil_mode", std::int64_t{o.ceil_mode}},
                 {"count_include_pad", std::int64_t{o.count_include_pad}}});
  }
  // The windows are equal, an AveragePool, if the sizes divide.
  std::string write(const AdaptiveAvgPool2d<T>& pool, const Value& y, const Value& x) {
    require_batch(pool, y, x, 2);
    const Size2d to(y.shape[-2], y.shape[-1]), from(x.shape[-2], x.shape[-1]);
    if (to == Size2d(1)) return node(y, "GlobalAveragePool", {x.name});
    if (from.height % to.height || from.width % to.width)
      refuse(pool, y, "has windows of different sizes for an input of shape " + x.shape.str());
    const Size2d window(from.height / to.height, from.width / to.width);
    return node(y, "AveragePool", {x.name}, {{"kernel_shape", plane(window, 2)}, {"strides", plane(window, 2)}});
  }

  std::string write(const Embedding<T>& embedding, const Value& y, const Value& x) {
    std::string rows = x.name;  // only the network's own input is int64
    if (x.name != "x") rows = part(y, "Cast", "Cast", {x.name}, {{"to", std::int64_t{onnx::TensorProto::INT64}}});
    return node(y, "Gather", {parameter(y, "weight", embedding.weight), rows}, {{"axis", std::int64_t{0}}});
  }
  std::string write(const PositionalEncoding<T>& encoding, const Value& y, const Value& x) {
    const bool batched = x.shape.rank() == 3, first = encoding.batch_first();
    return call(y, std::string("PositionalEncoding") + (first ? "_batch_first" : "") + (batched ? "" : "_unbatched"),
                {"x", "pe"}, {x.name, constant(below(y, "pe"), proto(encoding.pe.value()))},
                {{"batch_first", std::int64_t{first}}},
                [&](OnnxFunction<T>& f) { detail::positional_function(f, first, batched); });
  }
  std::string write(const MultiheadAttention<T>& attention, const Value& y, const Value& x) {
    const auto& o = attention.options();
    const std::size_t E = attention.embed_dim(), heads = attention.num_heads();
    const bool batched = x.shape.rank() == 3;
    const Linear<T>& out = attention.out_proj();
    const auto bias = [&](const char* name, const Parameter<T>& b, std::size_t n) {
      return b.defined() ? parameter(y, name, b) : constant(below(y, name), proto(zeros<T>({n})));
    };
    return call(
        y,
        "MultiheadAttention_" + std::to_string(heads) + "x" + std::to_string(E / heads) +
            (o.is_causal ? "_causal" : "") + (o.batch_first ? "_batch_first" : "") + (batched ? "" : "_unbatched"),
        {"x", "W_in", "b_in", "W_out", "b_out"},
        {x.name, parameter(y, "in_proj_weight", attention.in_proj_weight),
         bias("in_proj_bias", attention.in_proj_bias, 3 * E), parameter(y, "out_proj.weight", out.weight),
         bias("out_proj.bias", out.bias, E)},
        {{"num_heads", integer(heads)},
         {"is_causal", std::int64_t{o.is_causal}},
         {"batch_first", std::int64_t{o.batch_first}}},
        [&](OnnxFunction<T>& f) {
          detail::attention_function(f, integer(heads), integer(E / heads), o.is_causal, o.batch_first, batched);
        });
  }
  // h = norm1(x + A(x)), y = norm2(h + F(h)), or h = x + A(norm1(x)), y = h + F(norm2(h))
  std::string write(const TransformerEncoderLayer<T>& layer, const Value& y, const Value& x) {
    std::map<std::string, const Layer<T>*> child;
    for (const auto& [name, one] : layer.children()) child[name] = one.get();
    const auto apply = [&](const char* name, const Value& to) { return run(*child.at(name), below(y, name), to); };
    const auto sum = [&](const char* name, const Value& a, const Value& b) {
      return Value{part(y, name, "Add", {a.name, b.name}), a.shape, a.other};
    };
    const auto feed_forward = [&](const Value& h) {
      return apply("linear2", apply("activation", apply("linear1", h)));
    };
    if (layer.norm_first()) {
      const Value h = sum("h", x, apply("self_attn", apply("norm1", x)));
      return sum("y", h, feed_forward(apply("norm2", h))).name;
    }
    const Value h = apply("norm1", sum("h", x, apply("self_attn", x)));
    return apply("norm2", sum("y", h, feed_forward(h))).name;
  }

  std::string write(const Recurrent<T>& layer, const Value& y, const Value& x) {
    const auto& o = layer.options();
    using Cell = kernels::RecurrentCell;
    const Cell cell = layer.cell();
    const detail::OnnxRecurrence r{.type = cell == Cell::LSTM  ? "LSTM"
                                           : cell == Cell::GRU ? "GRU"
                                                               : "RNN",
                                   .layers = integer(layer.num_layers()),
                                   .directions = integer(layer.num_directions()),
                                   .hidden = integer(layer.hidden_size()),
                                   .relu = cell == Cell::ReLU,
                                   .bias = o.bias,
                                   .batch_first = o.batch_first,
                                   .batched = x.shape.rank() == 3,
                                   .last = o.output == Steps::Last};
    std::vector<std::string> inputs{"x"}, arguments{x.name};
    std::map<std::string, Parameter<T>> parameters;
    for (const auto& [name, one] : layer.named_parameters()) parameters.emplace(name, one);
    for (std::int64_t k = 0; k < r.layers * r.directions; ++k) {
      const std::string suffix =
          "_l" + std::to_string(k / r.directions) + (r.directions == 2 && k % 2 == 1 ? "_reverse" : "");
      for (const std::string name : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
        if (!r.bias && name[0] == 'b') continue;
        inputs.push_back(name + "_" + std::to_string(k));
        arguments.push_back(parameter(y, name + suffix, parameters.at(name + suffix)));
      }
    }
    return call(y,
                r.type + "_" + std::to_string(r.hidden) +
                    (r.layers > 1 ? "_" + std::to_string(r.layers) + "_layers" : "") +
                    (r.directions == 2 ? "_bidirectional" : "") + (r.relu ? "_relu" : "") + (r.bias ? "" : "_no_bias") +
                    (r.batch_first ? "_batch_first" : "") + (r.batched ? "" : "_unbatched") + (r.last ? "_last" : ""),
                inputs, arguments,
                {{"num_layers", r.layers},
                 {"bidirectional", r.directions - 1},
                 {"relu", std::int64_t{r.relu}},
                 {"bias", std::int64_t{r.bias}},
                 {"batch_first", std::int64_t{r.batch_first}},
                 {"last", std::int64_t{r.last}}},
                [&](OnnxFunction<T>& f) { detail::recurrent_function(f, r); });
  }

  // Nodes and initializers.

  static std::string below(const Value& y, const std::string& name) {
    return y.name == "net" ? name : y.name + "." + name;
  }

  std::string node(const Value& y, const char* type, const std::vector<std::string>& inputs,
                   const std::vector<OnnxAttribute>& attributes = {}) {
    return detail::add_node(*graph().mutable_node(), y.name, type, inputs, attributes);
  }
  /// A node within a layer; its result is called `layer/name`, or as the layer itself.
  std::string part(const Value& y, const std::string& name, const char* type, const std::vector<std::string>& inputs,
                   const std::vector<OnnxAttribute>& attributes = {}) {
    return detail::add_node(*graph().mutable_node(), name.empty() ? y.name : y.name + "/" + name, type, inputs,
                            attributes);
  }
  /// A node that calls a function of the file, defined on first use.
  template <class Body>
  std::string call(const Value& y, const std::string& function, const std::vector<std::string>& inputs,
                   const std::vector<std::string>& arguments, const std::vector<OnnxAttribute>& attributes,
                   Body&& body) {
    if (functions_.insert(function).second) {
      std::vector<std::string> names;
      for (const auto& [name, value] : attributes) names.emplace_back(name);
      OnnxFunction<T> f(*model_.add_functions(), function, inputs, names);
      body(f);
    }
    return detail::add_node(*graph().mutable_node(), y.name, function, arguments, attributes, detail::onnx_domain);
  }

  static onnx::TensorProto proto(const Tensor<T>& tensor) {
    const Tensor<T> host = tensor.cpu();
    return detail::onnx_tensor(host.data(), host.numel(), integers(host.shape()));
  }
  std::string constant(const std::string& name, onnx::TensorProto tensor) {
    tensor.set_name(name);
    *graph().add_initializer() = std::move(tensor);
    return name;
  }
  std::string number(const Value& y, const char* name, double value) {
    return constant(y.name + "/" + name, detail::onnx_number(static_cast<T>(value)));
  }
  /// A parameter's initializer under its name in the network; a tied one is written once.
  std::string parameter(const Value& y, const std::string& name, const Parameter<T>& parameter) {
    std::string known = below(y, name);
    for (const auto& [one, other] : names_)
      if (other.same_as(parameter)) {
        known = one;
        break;
      }
    return written_.insert(known).second ? constant(known, proto(parameter.value())) : known;
  }

  [[noreturn]] static void refuse(const Layer<T>& layer, const Value& y, const std::string& why) {
    throw ValueError("write_onnx: " + (y.name == "net" ? "" : y.name + " ") + layer.label() + " " + why);
  }

  onnx::ModelProto model_;
  std::vector<NamedParameter<T>> names_;
  std::set<std::string> written_, functions_;
};

}  // namespace

template <class T>
void write_onnx(const std::string& path, const Layer<T>& net, const Shape& example, const OnnxOptions& options) {
  write_file(path, Writer<T>(net, example, options).bytes());
}

template void write_onnx(const std::string&, const Layer<float>&, const Shape&, const OnnxOptions&);
template void write_onnx(const std::string&, const Layer<double>&, const Shape&, const OnnxOptions&);

}  // namespace handgrad
