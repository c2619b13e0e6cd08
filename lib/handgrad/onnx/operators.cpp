#include "handgrad/onnx/operators.hpp"

#include <algorithm>
#include <charconv>

#include "handgrad/base/format.hpp"
#include "handgrad/handgrad.hpp"

namespace handgrad::detail {
namespace {

using Integers = std::vector<std::int64_t>;

/// The shortest decimal that reads back as the float, as a double: 1e-5 for 9.99999975e-06.
double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double number = value;
  read_number({text, end}, number);
  return number;
}

template <class T>
class Operators {
  using LayerPtr = std::shared_ptr<Layer<T>>;
  using Node = onnx::NodeProto;
  using ShapeOf = std::function<Shape()>;

 public:
  Operators(const OnnxFile& file, std::map<std::string, Parameter<T>>& parameters)
      : file_(file), parameters_(parameters) {}

  LayerPtr layer(const Node& node, const Node* sum, const ShapeOf& shape) {
    if (sum) return product_layer(node, sum);
    if (node.domain() == "handgrad") return own_function(node);
    if (!node.domain().empty() && node.domain() != "ai.onnx") file_.unknown(node);
    static const std::map<std::string, LayerPtr (Operators::*)(const Node&, const ShapeOf&)> operators = {
        {"Identity", &Operators::nothing},
        {"Dropout", &Operators::dropout},
        {"Cast", &Operators::cast},
        {"Gemm", &Operators::gemm},
        {"MatMul", &Operators::matmul},
        {"Relu", &Operators::activation},
        {"Sigmoid", &Operators::activation},
        {"Tanh", &Operators::activation},
        {"LeakyRelu", &Operators::activation},
        {"Elu", &Operators::activation},
        {"Gelu", &Operators::activation},
        {"Softplus", &Operators::activation},
        {"Softsign", &Operators::activation},
        {"Mish", &Operators::activation},
        {"HardSigmoid", &Operators::activation},
        {"HardSwish", &Operators::activation},
        {"Clip", &Operators::activation},
        {"PRelu", &Operators::prelu},
        {"Softmax", &Operators::softmax},
        {"LogSoftmax", &Operators::softmax},
        {"BatchNormalization", &Operators::batch_norm},
        {"LayerNormalization", &Operators::layer_norm},
        {"Flatten", &Operators::flatten},
        {"Reshape", &Operators::reshape},
        {"Conv", &Operators::conv},
        {"ConvTranspose", &Operators::conv_transpose},
        {"MaxPool", &Operators::pool},
        {"AveragePool", &Operators::pool},
        {"GlobalAveragePool", &Operators::pool},
        {"Gather", &Operators::gather}};
    const auto found = operators.find(node.op_type());
    if (found == operators.end()) file_.unknown(node);
    return (this->*found->second)(node, shape);
  }

 private:
  LayerPtr nothing(const Node&, const ShapeOf&) { return nullptr; }
  LayerPtr dropout(const Node& node, const ShapeOf&) {
    return std::make_shared<Dropout<T>>(node.input_size() > 1 ? file_.tensor<T>(node, 1).item()
                                                              : file_.real(node, "ratio", 0.5f));
  }
  LayerPtr cast(const Node& node, const ShapeOf&) {  // no layer: indices and numbers alike are T here
    const auto to = file_.integer(node, "to", 0);
    if (to != onnx::TensorProto::INT64 && to != onnx::TensorProto::INT32 && to != onnx::TensorProto::FLOAT &&
        to != onnx::TensorProto::DOUBLE)
      file_.fail(node, "casts to a type that is no layer's");
    return nullptr;
  }

  LayerPtr gemm(const Node& node, const ShapeOf&) {
    if (file_.real(node, "alpha", 1) != 1 || file_.real(node, "beta", 1) != 1 || file_.integer(node, "transA", 0) ||
        file_.is_computed(node, 1))
      file_.fail(node, "is more than x·W + b");
    return linear(node, 1, !file_.integer(node, "transB", 0), node.input_size() > 2 ? node.input(2) : "");
  }
  LayerPtr matmul(const Node& node, const ShapeOf&) { return product_layer(node, nullptr); }
  /// x·W, and + b if the next node adds it.
  LayerPtr product_layer(const Node& node, const Node* sum) {
    if (node.input_size() != 2 || file_.is_computed(node, 1)) file_.fail(node, "multiplies a matrix from the left");
    const std::string bias = !sum ? "" : sum->input(file_.is_constant(sum->input(0)) ? 0 : 1);
    if (file_.rank(file_.name(node, 1)) == 1) {
      if (bias.empty()) file_.fail(node, "multiplies by a vector without adding a bias");
      auto neuron = std::make_shared<Neuron<T>>(file_.tensor<T>(node, 1).numel());
      set(neuron->weight, file_.name(node, 1), file_.tensor<T>(node, 1));
      set(neuron->bias, bias, file_.constant<T>(*sum, bias).reshape(neuron->bias.shape()));
      return neuron;
    }
    return linear(node, 1, true, bias);
  }
  LayerPtr linear(const Node& node, int input, bool transposed, const std::string& bias) {
    std::string name = file_.name(node, input);
    if (const Node* made = file_.find_producer(name); made && made->op_type() == "Transpose")
      name = made->input(0), transposed = !transposed;
    const Tensor<T> W = file_.constant<T>(node, name);
    if (W.rank() != 2) file_.fail(node, "has weights of shape " + W.shape().str() + ", a matrix expected");
    const std::size_t in = W.size(transposed ? 0 : 1), out = W.size(transposed ? 1 : 0);
    auto layer = std::make_shared<Linear<T>>(in, out, !bias.empty());
    if (transposed)
      layer->weight = Tensor<T>(xt::transpose(W.template xt<2>()));
    else
      set(layer->weight, name, W);
    if (!bias.empty()) set(layer->bias, bias, file_.constant<T>(node, bias).reshape({out}));
    return layer;
  }

  LayerPtr activation(const Node& node, const ShapeOf&) {
    const std::string& type = node.op_type();
    if (type == "Relu") return std::make_shared<ReLU<T>>();
    if (type == "Sigmoid") return std::make_shared<Sigmoid<T>>();
    if (type == "Tanh") return std::make_shared<Tanh<T>>();
    if (type == "LeakyRelu") return std::make_shared<LeakyReLU<T>>(shortest(file_.real(node, "alpha", 0.01f)));
    if (type == "Elu") return std::make_shared<ELU<T>>(shortest(file_.real(node, "alpha", 1)));
    if (type == "Gelu") return std::make_shared<GELU<T>>(file_.text(node, "approximate", "none"));
    if (type == "Softsign") return std::make_shared<Softsign<T>>();
    if (type == "Mish") return std::make_shared<Mish<T>>();
    if (type == "HardSwish") return std::make_shared<Hardswish<T>>();
    if (type == "HardSigmoid") {
      if (std::abs(file_.real(node, "alpha", 0.2f) - 1.0f / 6) > 1e-6f || file_.real(node, "beta", 0.5f) != 0.5f)
        file_.fail(node, "has other pieces than min(max(z + 3, 0), 6)/6");
      return std::make_shared<Hardsigmoid<T>>();
    }
    if (type == "Clip") {
      if (node.input_size() != 3) file_.fail(node, "does not have two bounds");
      return std::make_shared<Hardtanh<T>>(file_.tensor<T>(node, 1).item(), file_.tensor<T>(node, 2).item());
    }
    return std::make_shared<Softplus<T>>();
  }
  LayerPtr prelu(const Node& node, const ShapeOf&) {
    std::string name = file_.name(node, 1);  // of the slopes; a reshaped name of write_onnx's leads to the original
    if (const Node* made = file_.find_producer(name); made && made->op_type() == "Reshape") name = made->input(0);
    const Tensor<T> slopes = file_.constant<T>(node, name);
    if (slopes.numel() != slopes.shape()[0] && slopes.rank() > 0)
      file_.fail(node, "has slopes of shape " + slopes.shape().str());
    auto layer = std::make_shared<PReLU<T>>(slopes.numel());
    set(layer->weight, name, slopes.reshape({slopes.numel()}));
    return layer;
  }
  LayerPtr softmax(const Node& node, const ShapeOf&) {
    const int axis = static_cast<int>(file_.integer(node, "axis", -1));
    if (node.op_type() == "Softmax") return std::make_shared<Softmax<T>>(axis);
    return std::make_shared<LogSoftmax<T>>(axis);
  }

  LayerPtr batch_norm(const Node& node, const ShapeOf& shape) {
    const Tensor<T> weight = file_.tensor<T>(node, 1);
    const BatchNormOptions options{.eps = shortest(file_.real(node, "epsilon", 1e-5f))};
    std::shared_ptr<BatchNorm<T>> norm;
    if (shape().rank() == 4)
      norm = std::make_shared<BatchNorm2d<T>>(weight.numel(), options);
    else
      norm = std::make_shared<BatchNorm1d<T>>(weight.numel(), options);
    set(norm->weight, file_.name(node, 1), weight);
    set(norm->bias, file_.name(node, 2), file_.tensor<T>(node, 2));
    norm->running_mean = file_.tensor<T>(node, 3);
    norm->running_var = file_.tensor<T>(node, 4);
    return norm;
  }
  LayerPtr layer_norm(const Node& node, const ShapeOf& shape) {
    const Tensor<T> weight = file_.tensor<T>(node, 1);
    const int rank = static_cast<int>(weight.rank()), axis = static_cast<int>(file_.integer(node, "axis", -1));
    if (axis != -rank && axis != static_cast<int>(shape().rank()) - rank)
      file_.fail(
          node, "normalises from dimension " + std::to_string(axis) + " with weights of shape " + weight.shape().str());
    auto norm = std::make_shared<LayerNorm<T>>(
        weight.shape(),
        LayerNormOptions{.eps = shortest(file_.real(node, "epsilon", 1e-5f)), .bias = node.input_size() > 2});
    set(norm->weight, file_.name(node, 1), weight);
    if (node.input_size() > 2) set(norm->bias, file_.name(node, 2), file_.tensor<T>(node, 2));
    return norm;
  }

  LayerPtr flatten(const Node& node, const ShapeOf& shape) {
    const int rank = static_cast<int>(shape().rank());
    int axis = static_cast<int>(file_.integer(node, "axis", 1));
    if (axis < 0) axis += rank;
    if (axis != 1) file_.fail(node, "flattens to a matrix around dimension " + std::to_string(axis) + "; 1 is known");
    if (rank == 2) return nullptr;
    return std::make_shared<Flatten<T>>();
  }
  /// Merges sizes into one, or splits one into several.
  LayerPtr reshape(const Node& node, const ShapeOf& shape) {
    const Shape from = shape();
    Integers sizes = file_.integers(node, 1);
    if (sizes.size() > Shape::max_rank) file_.fail(node, "gives more than 4 dimensions");
    Shape to;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == 0 && i >= from.rank()) file_.fail(node, "keeps a dimension that does not exist");
      to.push_back(sizes[i] == 0 ? from[static_cast<int>(i)] : sizes[i] < 0 ? 1 : static_cast<std::size_t>(sizes[i]));
    }
    for (std::size_t i = 0; i < sizes.size(); ++i)
      if (sizes[i] < 0) to[static_cast<int>(i)] = to.numel() ? from.numel() / to.numel() : 0;
    if (to.numel() != from.numel()) file_.fail(node, "makes " + from.str() + " to " + to.str());
    if (to == from) return nullptr;
    std::size_t begin = 0, end = 0;  // unchanged leading and trailing sizes
    const std::size_t least = std::min(from.rank(), to.rank());
    const auto at = [](const Shape& of, std::size_t i) { return of[static_cast<int>(i)]; };
    while (begin < least && at(from, begin) == at(to, begin)) ++begin;
    while (end < least - begin && at(from, from.rank() - 1 - end) == at(to, to.rank() - 1 - end)) ++end;
    if (begin > 0 && (begin + end == from.rank() || begin + end == to.rank())) --begin;  // sizes of 1 come or go
    const std::size_t before = from.rank() - begin - end, after = to.rank() - begin - end;
    if (after == 1)
      return std::make_shared<Flatten<T>>(static_cast<int>(begin),
                                          end == 0 ? -1 : static_cast<int>(begin + before) - 1);
    if (before == 1)
      return std::make_shared<Unflatten<T>>(static_cast<int>(begin),
                                            Shape(to.begin() + begin, to.begin() + begin + after));
    file_.fail(node, "makes " + from.str() + " to " + to.str() + ": neither a Flatten nor an Unflatten");
  }

  // Convolution and pooling.

  struct Window {
    std::size_t spatial;
    Size2d kernel, stride, before, after, dilation;
  };
  Size2d plane(const Integers& sizes, std::size_t first, std::size_t spatial) {
    const auto at = [&](std::size_t i) { return static_cast<std::size_t>(sizes[first + i]); };
    return spatial == 1 ? Size2d(1, at(0)) : Size2d(at(0), at(1));
  }
  Window window(const Node& node, const ShapeOf& shape) {
    const std::size_t rank = shape().rank();
    if (rank != 3 && rank != 4) file_.fail(node, "takes (N, C, L) or (N, C, H, W), here " + shape().str());
    Window w{.spatial = rank - 2, .kernel = 1, .stride = 1, .before = 0, .after = 0, .dilation = 1};
    const auto numbers = [&](const char* name, std::size_t count) {
      Integers values = file_.list(node, name);
      if (!values.empty() &&
          (values.size() != count || std::any_of(values.begin(), values.end(), [](auto v) { return v < 0; })))
        file_.fail(node, std::string("has wrong ") + name);
      return values;
    };
    if (const auto v = numbers("kernel_shape", w.spatial); !v.empty()) w.kernel = plane(v, 0, w.spatial);
    if (const auto v = numbers("strides", w.spatial); !v.empty()) w.stride = plane(v, 0, w.spatial);
    if (const auto v = numbers("dilations", w.spatial); !v.empty()) w.dilation = plane(v, 0, w.spatial);
    if (const auto v = numbers("pads", 2 * w.spatial); !v.empty())
      w.before = plane(v, 0, w.spatial), w.after = plane(v, w.spatial, w.spatial);
    if (w.spatial == 1) w.before.height = w.after.height = 0;
    const std::string automatic = file_.text(node, "auto_pad", "NOTSET");
    if (automatic != "NOTSET" && automatic != "VALID") file_.fail(node, "has auto_pad = " + automatic);
    return w;
  }

  std::size_t groups_of(const Node& node, std::size_t most) {
    const std::int64_t groups = file_.integer(node, "group", 1);
    if (groups < 1 || static_cast<std::size_t>(groups) > most)
      file_.fail(node, "has " + std::to_string(groups) + " groups");
    return static_cast<std::size_t>(groups);
  }
  LayerPtr conv(const Node& node, const ShapeOf& shape) {
    const Tensor<T> W = file_.tensor<T>(node, 1);
    Window w = window(node, shape);
    if (W.rank() != w.spatial + 2) file_.fail(node, "has weights of shape " + W.shape().str());
    w.kernel = w.spatial == 1 ? Size2d(1, W.size(2)) : Size2d(W.size(2), W.size(3));
    const std::size_t groups = groups_of(node, W.size(0));
    const bool bias = node.input_size() > 2;
    Padding2d padding(w.before.height, w.before.width);
    if (!(w.before == w.after)) {
      const auto all = [](std::size_t k, std::size_t d) { return d * (k - 1); };
      if (w.before.height + w.after.height != all(w.kernel.height, w.dilation.height) ||
          w.before.width + w.after.width != all(w.kernel.width, w.dilation.width) || !(w.stride == Size2d(1)))
        file_.fail(node, "is padded differently on its sides, and not as 'same'");
      padding = "same";
    }
    const auto finish = [&](auto conv) -> LayerPtr {
      set(conv->weight, file_.name(node, 1), W);
      if (bias) set(conv->bias, file_.name(node, 2), file_.tensor<T>(node, 2));
      return conv;
    };
    if (w.spatial == 1)
      return finish(std::make_shared<Conv1d<T>>(
          W.size(1) * groups, W.size(0), W.size(2),
          Conv1dOptions{.stride = w.stride.width,
                        .padding = padding.same ? Padding2d("same") : Padding2d(w.before.width),
                        .dilation = w.dilation.width,
                        .groups = groups,
                        .bias = bias}));
    return finish(std::make_shared<Conv2d<T>>(
        W.size(1) * groups, W.size(0), w.kernel,
        Conv2dOptions{.stride = w.stride, .padding = padding, .dilation = w.dilation, .groups = groups, .bias = bias}));
  }
  LayerPtr conv_transpose(const Node& node, const ShapeOf& shape) {
    const Tensor<T> W = file_.tensor<T>(node, 1);
    const Window w = window(node, shape);
    if (w.spatial != 2 || W.rank() != 4 || !(w.before == w.after)) file_.fail(node, "is no ConvTranspose2d");
    const std::size_t groups = groups_of(node, W.size(0));
    const bool bias = node.input_size() > 2;
    const Integers more = file_.list(node, "output_padding");
    auto conv = std::make_shared<ConvTranspose2d<T>>(
        W.size(0), W.size(1) * groups, Size2d(W.size(2), W.size(3)),
        ConvTranspose2dOptions{.stride = w.stride,
                               .padding = w.before,
                               .output_padding = more.size() == 2 ? plane(more, 0, 2) : Size2d(0),
                               .groups = groups,
                               .bias = bias,
                               .dilation = w.dilation});
    set(conv->weight, file_.name(node, 1), W);
    if (bias) set(conv->bias, file_.name(node, 2), file_.tensor<T>(node, 2));
    return conv;
  }
  LayerPtr pool(const Node& node, const ShapeOf& shape) {
    const Window w = window(node, shape);
    if (node.op_type() == "GlobalAveragePool") {
      if (w.spatial != 2) file_.fail(node, "takes (N, C, H, W), here " + shape().str());
      return std::make_shared<AdaptiveAvgPool2d<T>>(1);
    }
    if (node.output_size() > 1) file_.fail(node, "hands out where the maxima lie");
    if (!(w.before == w.after)) file_.fail(node, "is padded differently on its sides");
    const bool ceil = file_.integer(node, "ceil_mode", 0);
    if (node.op_type() == "MaxPool") {
      if (w.spatial == 1)
        return std::make_shared<MaxPool1d<T>>(
            w.kernel.width,
            MaxPool1dOptions{
                .stride = w.stride.width, .padding = w.before.width, .dilation = w.dilation.width, .ceil_mode = ceil});
      return std::make_shared<MaxPool2d<T>>(
          w.kernel,
          MaxPool2dOptions{.stride = w.stride, .padding = w.before, .dilation = w.dilation, .ceil_mode = ceil});
    }
    const bool count = file_.integer(node, "count_include_pad", 0);
    if (!(w.dilation == Size2d(1))) file_.fail(node, "has windows with gaps");
    if (w.spatial == 1)
      return std::make_shared<AvgPool1d<T>>(
          w.kernel.width,
          AvgPool1dOptions{
              .stride = w.stride.width, .padding = w.before.width, .ceil_mode = ceil, .count_include_pad = count});
    return std::make_shared<AvgPool2d<T>>(
        w.kernel,
        AvgPool2dOptions{.stride = w.stride, .padding = w.before, .ceil_mode = ceil, .count_include_pad = count});
  }

  LayerPtr gather(const Node& node, const ShapeOf&) {
    if (file_.integer(node, "axis", 0) != 0 || file_.is_computed(node, 0))
      file_.fail(node, "takes no rows of a constant table");
    const Tensor<T> table = file_.tensor<T>(node, 0);
    if (table.rank() != 2) file_.fail(node, "takes rows of a table of shape " + table.shape().str());
    auto embedding = std::make_shared<Embedding<T>>(table.size(0), table.size(1));
    set(embedding->weight, file_.name(node, 0), table);
    return embedding;
  }

  // Functions defined by write_onnx.
  LayerPtr own_function(const Node& node) {
    const std::string& type = node.op_type();
    if (type == "Threshold") return std::make_shared<Threshold<T>>();
    if (type == "GELU") return std::make_shared<GELU<T>>();
    if (type == "GELU_tanh") return std::make_shared<GELU<T>>("tanh");
    if (type == "SiLU") return std::make_shared<SiLU<T>>();
    if (type == "Mish") return std::make_shared<Mish<T>>();
    if (type == "LogSigmoid") return std::make_shared<LogSigmoid<T>>();
    if (type.starts_with("PositionalEncoding")) {
      const Tensor<T> pe = file_.tensor<T>(node, 1);
      if (pe.rank() != 3) file_.fail(node, "has positions of shape " + pe.shape().str());
      auto encoding = std::make_shared<PositionalEncoding<T>>(
          pe.size(2),
          PositionalEncodingOptions{
              .dropout = 0, .max_len = pe.size(0), .batch_first = file_.integer(node, "batch_first", 0) != 0});
      encoding->pe = pe;
      return encoding;
    }
    if (type.starts_with("MultiheadAttention")) {
      const Tensor<T> W = file_.tensor<T>(node, 1);
      if (W.rank() != 2 || W.size(0) != 3 * W.size(1)) file_.fail(node, "has weights of shape " + W.shape().str());
      auto attention = std::make_shared<MultiheadAttention<T>>(
          W.size(1), static_cast<std::size_t>(file_.integer(node, "num_heads", 1)),
          MultiheadAttentionOptions{.batch_first = file_.integer(node, "batch_first", 0) != 0,
                                    .is_causal = file_.integer(node, "is_causal", 0) != 0});
      set(attention->in_proj_weight, file_.name(node, 1), W);
      set(attention->in_proj_bias, file_.name(node, 2), file_.tensor<T>(node, 2));
      set(attention->out_proj().weight, file_.name(node, 3), file_.tensor<T>(node, 3));
      set(attention->out_proj().bias, file_.name(node, 4), file_.tensor<T>(node, 4));
      return attention;
    }
    if (type.starts_with("GroupNorm")) {
      const Tensor<T> weight = file_.tensor<T>(node, 1);
      const std::int64_t groups = file_.integer(node, "num_groups", 1);
      if (groups < 1) file_.fail(node, "has " + std::to_string(groups) + " groups");
      auto norm = std::make_shared<GroupNorm<T>>(static_cast<std::size_t>(groups), weight.numel(),
                                                 GroupNormOptions{.eps = shortest(file_.real(node, "eps", 1e-5f))});
      set(norm->weight, file_.name(node, 1), weight);
      set(norm->bias, file_.name(node, 2), file_.tensor<T>(node, 2));
      return norm;
    }
    if (type.starts_with("RMSNorm")) {
      const Tensor<T> weight = file_.tensor<T>(node, 1);
      auto norm =
          std::make_shared<RMSNorm<T>>(weight.shape(), RMSNormOptions{.eps = shortest(file_.real(node, "eps", 1e-5f))});
      set(norm->weight, file_.name(node, 1), weight);
      return norm;
    }
    for (const char* name : {"RNN_", "LSTM_", "GRU_"})
      if (type.starts_with(name)) return recurrent(node);
    file_.unknown(node);
  }
  LayerPtr recurrent(const Node& node) {
    const std::int64_t layers = file_.integer(node, "num_layers", 1);
    if (layers < 1 || layers > node.input_size()) file_.fail(node, "has " + std::to_string(layers) + " layers");
    const RecurrentOptions o{.num_layers = static_cast<std::size_t>(layers),
                             .bias = file_.integer(node, "bias", 1) != 0,
                             .batch_first = file_.integer(node, "batch_first", 0) != 0,
                             .bidirectional = file_.integer(node, "bidirectional", 0) != 0,
                             .output = file_.integer(node, "last", 0) ? Steps::Last : Steps::All};
    const Tensor<T> first = file_.tensor<T>(node, 1), second = file_.tensor<T>(node, 2);
    if (first.rank() != 2 || second.rank() != 2) file_.fail(node, "has weights of shape " + first.shape().str());
    const std::size_t in = first.size(1), hidden = second.size(1);
    // Checked before the layer is made, whose size they determine.
    const std::size_t gates = node.op_type()[0] == 'L' ? 4 : node.op_type()[0] == 'G' ? 3 : 1;
    for (const Tensor<T>& W : {first, second})
      if (W.size(0) != gates * hidden)
        file_.fail(
            node, "has weights of shape " + W.shape().str() + ", " + std::to_string(gates * hidden) + " rows expected");
    const std::size_t expected = o.num_layers * (o.bidirectional ? 2 : 1) * (o.bias ? 4 : 2);
    if (static_cast<std::size_t>(node.input_size()) != expected + 1)
      file_.fail(node, "has " + std::to_string(node.input_size() - 1) + " parameters, " + std::to_string(expected) +
                           " expected");
    LayerPtr layer;
    if (node.op_type()[0] == 'L')
      layer = std::make_shared<LSTM<T>>(in, hidden, o);
    else if (node.op_type()[0] == 'G')
      layer = std::make_shared<GRU<T>>(in, hidden, o);
    else
      layer = std::make_shared<RNN<T>>(in, hidden,
                                       RNNOptions{.num_layers = o.num_layers,
                                                  .nonlinearity = file_.integer(node, "relu", 0) ? "relu" : "tanh",
                                                  .bias = o.bias,
                                                  .batch_first = o.batch_first,
                                                  .bidirectional = o.bidirectional,
                                                  .output = o.output});
    auto parameters = layer->named_parameters();
    for (int i = 1; i < node.input_size(); ++i)
      set(parameters[static_cast<std::size_t>(i - 1)].second, file_.name(node, i), file_.tensor<T>(node, i));
    return layer;
  }

  /// Sets a parameter's values; parameters that share an initializer are tied.
  void set(Parameter<T>& parameter, const std::string& name, const Tensor<T>& values) {
    const auto [first, is_new] = parameters_.try_emplace(name, parameter);
    if (!is_new && first->second.shape() == parameter.shape()) {
      tie(parameter, first->second);
      return;
    }
    try {
      parameter = values;
    } catch (const ShapeError& error) {
      file_.fail("'" + name + "': " + error.what());
    }
  }

  const OnnxFile& file_;
  std::map<std::string, Parameter<T>>& parameters_;
};

}  // namespace

template <class T>
std::shared_ptr<Layer<T>> onnx_layer(const OnnxFile& file, const onnx::NodeProto& node, const onnx::NodeProto* sum,
                                     const std::function<Shape()>& shape,
                                     std::map<std::string, Parameter<T>>& parameters) {
  return Operators<T>(file, parameters).layer(node, sum, shape);
}

template std::shared_ptr<Layer<float>> onnx_layer(const OnnxFile&, const onnx::NodeProto&, const onnx::NodeProto*,
                                                  const std::function<Shape()>&,
                                                  std::map<std::string, Parameter<float>>&);
template std::shared_ptr<Layer<double>> onnx_layer(const OnnxFile&, const onnx::NodeProto&, const onnx::NodeProto*,
                                                   const std::function<Shape()>&,
                                                   std::map<std::string, Parameter<double>>&);

}  // namespace handgrad::detail
