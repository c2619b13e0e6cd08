#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <map>
#include <set>

#include "handgrad/base/format.hpp"
#include "handgrad/handgrad.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/onnx/graph.hpp"
#include "handgrad/onnx/onnx.hpp"

namespace handgrad {
namespace {

using Integers = std::vector<std::int64_t>;

/// A batch size unlike that of any layer, for a size that the file leaves open.
constexpr std::size_t open_size = 7919;

template <class T>
class Reader {
  using LayerPtr = std::shared_ptr<Layer<T>>;
  using Node = onnx::NodeProto;

 public:
  Reader(const std::string& path) : path_(path) {
    const std::string bytes = read_file(path);
    if (bytes.empty() || !model_.ParseFromString(bytes) || !model_.has_graph()) fail("is no ONNX file, or is damaged");
    for (const auto& tensor : model_.graph().initializer()) constants_[tensor.name()] = &tensor;
    if (model_.graph().node_size() > 10000) fail("has more than 10000 nodes");
    for (const Node& node : model_.graph().node()) {
      for (const std::string& output : node.output())
        if (!output.empty() && !producers_.emplace(output, &node).second) fail("two nodes give '" + output + "'");
      if (node.op_type() == "Identity" && node.input_size() == 1 && node.output_size() == 1 &&
          constants_.count(node.input(0)))
        constants_[node.output(0)] = constants_[node.input(0)];
      if (node.op_type() == "Constant" && node.output_size() == 1)
        for (const auto& attribute : node.attribute())
          if (attribute.name() == "value") constants_[node.output(0)] = &attribute.t();
    }
    for (const auto& input : model_.graph().input())
      if (!constants_.count(input.name())) {
        if (!input_.empty()) fail("has several inputs, '" + input_ + "' and '" + input.name() + "'; one expected");
        input_ = input.name();
        input_shape_ = shape_of_input(input);
      }
    if (input_.empty()) fail("has no input");
    // In file order no node takes a later value, so there are no cycles.
    std::set<std::string> known{input_, ""};
    for (const Node& node : model_.graph().node()) {
      for (const std::string& input : node.input())
        if (!known.count(input) && !constants_.count(input))
          fail(node, "takes '" + input + "', which nothing before gives");
      known.insert(node.output().begin(), node.output().end());
    }
    if (model_.graph().output_size() != 1)
      fail("has " + std::to_string(model_.graph().output_size()) + " outputs, one expected");
  }

  Sequential<T> network() {
    Sequential<T> net;
    for (LayerPtr& layer : layers(input_, model_.graph().output(0).name())) net.push_back(std::move(layer));
    return net;
  }

 private:
  // The graph: which node gives a value, and which values all ways from the input to it share.

  const Node& producer(const std::string& value) {
    const auto found = producers_.find(value);
    if (found == producers_.end()) fail("nothing gives '" + value + "'");
    return *found->second;
  }
  bool is_constant(const std::string& value) const {
    return value.empty() || constants_.count(value) || is_reshaped_constant(value);
  }
  /// The inputs that are computed, in order.
  std::vector<std::string> computed(const Node& node) const {
    std::vector<std::string> inputs;
    for (const std::string& input : node.input())
      if (!is_constant(input)) inputs.push_back(input);
    return inputs;
  }
  /// The last value through which everything the node takes has passed: its input, or where its inputs fork.
  std::string source(const Node& node) {
    if (const auto found = sources_.find(&node); found != sources_.end()) return found->second;
    const auto inputs = computed(node);
    if (inputs.empty()) fail(node, "takes nothing that is computed");
    std::string fork = inputs[0];
    for (std::size_t i = 1; i < inputs.size(); ++i) fork = common(fork, inputs[i]);
    return sources_[&node] = fork;
  }
  /// The last value on every way to both.
  std::string common(const std::string& a, const std::string& b) {
    std::set<std::string> seen;
    for (std::string value = a;; value = source(producer(value))) {
      seen.insert(value);
      if (value == input_) break;
    }
    std::string value = b;
    while (!seen.count(value)) value = source(producer(value));
    return value;
  }

  // Layers between two values, from last to first.

  std::vector<LayerPtr> layers(const std::string& from, const std::string& to) {
    if (++depth_ > 1000) fail("has branches within branches within …");
    std::vector<LayerPtr> backwards;
    for (std::string value = to; value != from;) {
      if (value == input_) fail("has a way to '" + to + "' that does not pass '" + from + "'");
      const Node& node = producer(value);
      const auto [before, layer] = last_layer(node);
      if (layer) backwards.push_back(layer);
      value = before;
    }
    --depth_;
    std::reverse(backwards.begin(), backwards.end());
    return backwards;
  }

  /// The layer that ends with this node (null if the node does nothing) and the value it takes.
  std::pair<std::string, LayerPtr> last_layer(const Node& node) {
    const auto inputs = computed(node);
    const std::string& type = node.op_type();
    if (node.domain().empty() && inputs.size() > 1) {
      if (type == "Add" && inputs.size() == 2) return sum(node, inputs);
      if (type == "Concat") return side_by_side(node, inputs);
      if (type == "Mul" && inputs.size() == 2)  // x·σ(x)
        for (const int i : {0, 1})
          if (const Node& other = producer(inputs[static_cast<std::size_t>(1 - i)]);
              other.op_type() == "Sigmoid" && other.input(0) == inputs[static_cast<std::size_t>(i)])
            return {other.input(0), std::make_shared<SiLU<T>>()};
    }
    if (inputs.size() != 1)
      fail(node, "takes " + std::to_string(inputs.size()) + " computed values; as a layer it has one");
    // A bias added to a product belongs to the product.
    if (node.domain().empty() && type == "Add" && inputs[0] != input_)
      if (const Node& product = producer(inputs[0]); product.op_type() == "MatMul" && computed(product).size() == 1)
        return {computed(product)[0], memo(node, [&] { return product_layer(product, &node); })};
    return {inputs[0], memo(node, [&] { return layer(node, inputs[0]); })};
  }

  LayerPtr memo(const Node& node, const std::function<LayerPtr()>& make) {
    if (const auto found = made_.find(&node); found != made_.end()) return found->second;
    try {
      return made_[&node] = make();
    } catch (const ParseError&) {
      throw;
    } catch (const Error& error) {
      fail(node, error.what());
    }
  }

  LayerPtr as_one(std::vector<LayerPtr> chain) {
    if (chain.size() == 1) return chain[0];
    if (chain.empty()) return std::make_shared<Identity<T>>();
    auto net = std::make_shared<Sequential<T>>();
    for (LayerPtr& layer : chain) net->push_back(std::move(layer));
    return net;
  }

  std::pair<std::string, LayerPtr> sum(const Node& node, const std::vector<std::string>& inputs) {
    const std::string fork = common(inputs[0], inputs[1]);
    auto first = layers(fork, inputs[0]), second = layers(fork, inputs[1]);
    if (second.empty()) std::swap(first, second);
    if (second.empty()) fail(node, "adds a value to itself");
    auto residual = std::make_shared<Residual<T>>(as_one(std::move(second)));
    if (!first.empty()) residual->set_shortcut(as_one(std::move(first)));
    return {fork, residual};
  }

  std::pair<std::string, LayerPtr> side_by_side(const Node& node, const std::vector<std::string>& inputs) {
    if (static_cast<int>(inputs.size()) != node.input_size()) fail(node, "puts constants beside what is computed");
    const int axis = static_cast<int>(integer(node, "axis", 1));
    const std::string fork = source(node);
    if (const auto cut = split(node, inputs, fork, axis))
      return {producer(split_output(inputs[0], fork)).input(0), cut};
    std::vector<LayerPtr> branches;
    for (const std::string& input : inputs) branches.push_back(as_one(layers(fork, input)));
    auto concat = std::make_shared<Concat<T>>();
    for (LayerPtr& branch : branches) concat->push_back(std::move(branch));
    std::move(*concat).dim(axis);
    return {fork, concat};
  }

  /// The output of a Split node that a value derives from, going back to the fork; empty if none.
  std::string split_output(const std::string& value, const std::string& fork) {
    for (std::string v = value; v != fork; v = source(producer(v)))
      if (producer(v).op_type() == "Split" && producer(v).input(0) == fork) return v;
    return {};
  }
  /// If the branches begin at the outputs of one Split, in order: a Split container.
  LayerPtr split(const Node& node, const std::vector<std::string>& inputs, const std::string& fork, int axis) {
    std::vector<std::string> begins;
    for (const std::string& input : inputs) begins.push_back(split_output(input, fork));
    if (std::any_of(begins.begin(), begins.end(), [](const auto& v) { return v.empty(); })) return nullptr;
    const Node& cut = producer(begins[0]);
    if (!std::equal(begins.begin(), begins.end(), cut.output().begin(), cut.output().end()) ||
        integer(cut, "axis", 0) != axis)
      fail(node, "puts the parts of a Split together in another order than they were");
    std::vector<std::size_t> sizes;
    if (cut.input_size() > 1)
      for (const std::int64_t size : integers(cut, 1)) sizes.push_back(static_cast<std::size_t>(size));
    else {
      const std::size_t whole = shape(fork)[axis], parts = begins.size();
      sizes.assign(parts, whole / parts);
    }
    std::vector<LayerPtr> branches;
    for (std::size_t i = 0; i < inputs.size(); ++i) branches.push_back(as_one(layers(begins[i], inputs[i])));
    auto container = std::make_shared<Split<T>>(sizes, branches);
    std::move(*container).dim(axis);
    return container;
  }

  // Layers of a single operator.

  LayerPtr layer(const Node& node, const std::string& x) {
    if (node.domain() == "handgrad") return own_function(node);
    if (!node.domain().empty() && node.domain() != "ai.onnx") unknown(node);
    static const std::map<std::string, LayerPtr (Reader::*)(const Node&, const std::string&)> operators = {
        {"Identity", &Reader::nothing},
        {"Dropout", &Reader::dropout},
        {"Cast", &Reader::cast},
        {"Gemm", &Reader::gemm},
        {"MatMul", &Reader::matmul},
        {"Relu", &Reader::activation},
        {"Sigmoid", &Reader::activation},
        {"Tanh", &Reader::activation},
        {"LeakyRelu", &Reader::activation},
        {"Elu", &Reader::activation},
        {"Gelu", &Reader::activation},
        {"Softplus", &Reader::activation},
        {"Softsign", &Reader::activation},
        {"Mish", &Reader::activation},
        {"HardSigmoid", &Reader::activation},
        {"HardSwish", &Reader::activation},
        {"Clip", &Reader::activation},
        {"PRelu", &Reader::prelu},
        {"Softmax", &Reader::softmax},
        {"LogSoftmax", &Reader::softmax},
        {"BatchNormalization", &Reader::batch_norm},
        {"LayerNormalization", &Reader::layer_norm},
        {"Flatten", &Reader::flatten},
        {"Reshape", &Reader::reshape},
        {"Conv", &Reader::conv},
        {"ConvTranspose", &Reader::conv_transpose},
        {"MaxPool", &Reader::pool},
        {"AveragePool", &Reader::pool},
        {"GlobalAveragePool", &Reader::pool},
        {"Gather", &Reader::gather}};
    const auto found = operators.find(node.op_type());
    if (found == operators.end()) unknown(node);
    return (this->*found->second)(node, x);
  }

  LayerPtr nothing(const Node&, const std::string&) { return nullptr; }
  LayerPtr dropout(const Node& node, const std::string&) {
    return std::make_shared<Dropout<T>>(node.input_size() > 1 ? tensor(node, 1).item() : real(node, "ratio", 0.5f));
  }
  LayerPtr cast(const Node& node, const std::string&) {  // no layer: indices and numbers alike are T here
    const auto to = integer(node, "to", 0);
    if (to != onnx::TensorProto::INT64 && to != onnx::TensorProto::INT32 && to != onnx::TensorProto::FLOAT &&
        to != onnx::TensorProto::DOUBLE)
      fail(node, "casts to a type that is no layer's");
    return nullptr;
  }

  LayerPtr gemm(const Node& node, const std::string&) {
    if (real(node, "alpha", 1) != 1 || real(node, "beta", 1) != 1 || integer(node, "transA", 0) || is_computed(node, 1))
      fail(node, "is more than x·W + b");
    return linear(node, 1, !integer(node, "transB", 0), node.input_size() > 2 ? node.input(2) : "");
  }
  LayerPtr matmul(const Node& node, const std::string&) { return product_layer(node, nullptr); }
  /// x·W, and + b if the next node adds it.
  LayerPtr product_layer(const Node& node, const Node* sum) {
    if (node.input_size() != 2 || is_computed(node, 1)) fail(node, "multiplies a matrix from the left");
    const std::string bias = !sum ? "" : sum->input(is_constant(sum->input(0)) ? 0 : 1);
    if (constants_.count(node.input(1)) && constants_.at(node.input(1))->dims_size() == 1) {
      if (bias.empty()) fail(node, "multiplies by a vector without adding a bias");
      auto neuron = std::make_shared<Neuron<T>>(tensor(node, 1).numel());
      set(neuron->weight, node.input(1), tensor(node, 1));
      set(neuron->bias, bias, constant(*sum, bias).reshape(neuron->bias.shape()));
      return neuron;
    }
    return linear(node, 1, true, bias);
  }
  LayerPtr linear(const Node& node, int input, bool transposed, const std::string& bias) {
    std::string name = node.input(input);
    if (const auto found = producers_.find(name); found != producers_.end() && found->second->op_type() == "Transpose")
      name = found->second->input(0), transposed = !transposed;
    const Tensor<T> W = constant(node, name);
    if (W.rank() != 2) fail(node, "has weights of shape " + W.shape().str() + ", a matrix expected");
    const std::size_t in = W.size(transposed ? 0 : 1), out = W.size(transposed ? 1 : 0);
    auto layer = std::make_shared<Linear<T>>(in, out, !bias.empty());
    if (transposed)
      layer->weight = Tensor<T>(xt::transpose(W.template xt<2>()));
    else
      set(layer->weight, name, W);
    if (!bias.empty()) set(layer->bias, bias, constant(node, bias).reshape({out}));
    return layer;
  }

  LayerPtr activation(const Node& node, const std::string&) {
    const std::string& type = node.op_type();
    if (type == "Relu") return std::make_shared<ReLU<T>>();
    if (type == "Sigmoid") return std::make_shared<Sigmoid<T>>();
    if (type == "Tanh") return std::make_shared<Tanh<T>>();
    if (type == "LeakyRelu") return std::make_shared<LeakyReLU<T>>(shortest(real(node, "alpha", 0.01f)));
    if (type == "Elu") return std::make_shared<ELU<T>>(shortest(real(node, "alpha", 1)));
    if (type == "Gelu") return std::make_shared<GELU<T>>(text(node, "approximate", "none"));
    if (type == "Softsign") return std::make_shared<Softsign<T>>();
    if (type == "Mish") return std::make_shared<Mish<T>>();
    if (type == "HardSwish") return std::make_shared<Hardswish<T>>();
    if (type == "HardSigmoid") {
      if (std::abs(real(node, "alpha", 0.2f) - 1.0f / 6) > 1e-6f || real(node, "beta", 0.5f) != 0.5f)
        fail(node, "has other pieces than min(max(z + 3, 0), 6)/6");
      return std::make_shared<Hardsigmoid<T>>();
    }
    if (type == "Clip") {
      if (node.input_size() != 3) fail(node, "has not two bounds");
      return std::make_shared<Hardtanh<T>>(tensor(node, 1).item(), tensor(node, 2).item());
    }
    return std::make_shared<Softplus<T>>();
  }
  LayerPtr prelu(const Node& node, const std::string&) {
    std::string name = node.input(1);  // of the slopes; a reshaped name of write_onnx's leads to the original
    if (const auto found = producers_.find(name); found != producers_.end() && found->second->op_type() == "Reshape")
      name = found->second->input(0);
    const Tensor<T> slopes = constant(node, name);
    if (slopes.numel() != slopes.shape()[0] && slopes.rank() > 0)
      fail(node, "has slopes of shape " + slopes.shape().str());
    auto layer = std::make_shared<PReLU<T>>(slopes.numel());
    set(layer->weight, name, slopes.reshape({slopes.numel()}));
    return layer;
  }
  LayerPtr softmax(const Node& node, const std::string&) {
    const int axis = static_cast<int>(integer(node, "axis", -1));
    if (node.op_type() == "Softmax") return std::make_shared<Softmax<T>>(axis);
    return std::make_shared<LogSoftmax<T>>(axis);
  }

  LayerPtr batch_norm(const Node& node, const std::string& x) {
    const Tensor<T> weight = tensor(node, 1);
    const BatchNormOptions options{.eps = shortest(real(node, "epsilon", 1e-5f))};
    std::shared_ptr<BatchNorm<T>> norm;
    if (shape(x).rank() == 4)
      norm = std::make_shared<BatchNorm2d<T>>(weight.numel(), options);
    else
      norm = std::make_shared<BatchNorm1d<T>>(weight.numel(), options);
    set(norm->weight, node.input(1), weight);
    set(norm->bias, node.input(2), tensor(node, 2));
    norm->running_mean = tensor(node, 3);
    norm->running_var = tensor(node, 4);
    return norm;
  }
  LayerPtr layer_norm(const Node& node, const std::string& x) {
    const Tensor<T> weight = tensor(node, 1);
    const int rank = static_cast<int>(weight.rank()), axis = static_cast<int>(integer(node, "axis", -1));
    if (axis != -rank && axis != static_cast<int>(shape(x).rank()) - rank)
      fail(node,
           "normalises from dimension " + std::to_string(axis) + " with weights of shape " + weight.shape().str());
    auto norm = std::make_shared<LayerNorm<T>>(
        weight.shape(), LayerNormOptions{.eps = shortest(real(node, "epsilon", 1e-5f)), .bias = node.input_size() > 2});
    set(norm->weight, node.input(1), weight);
    if (node.input_size() > 2) set(norm->bias, node.input(2), tensor(node, 2));
    return norm;
  }

  LayerPtr flatten(const Node& node, const std::string& x) {
    const int rank = static_cast<int>(shape(x).rank());
    int axis = static_cast<int>(integer(node, "axis", 1));
    if (axis < 0) axis += rank;
    if (axis != 1) fail(node, "flattens to a matrix around dimension " + std::to_string(axis) + "; 1 is known");
    if (rank == 2) return nullptr;
    return std::make_shared<Flatten<T>>();
  }
  /// Merges sizes into one, or splits one into several.
  LayerPtr reshape(const Node& node, const std::string& x) {
    const Shape from = shape(x);
    Integers sizes = integers(node, 1);
    if (sizes.size() > Shape::max_rank) fail(node, "gives more than 4 dimensions");
    Shape to;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == 0 && i >= from.rank()) fail(node, "keeps a dimension that there is not");
      to.push_back(sizes[i] == 0 ? from[static_cast<int>(i)] : sizes[i] < 0 ? 1 : static_cast<std::size_t>(sizes[i]));
    }
    for (std::size_t i = 0; i < sizes.size(); ++i)
      if (sizes[i] < 0) to[static_cast<int>(i)] = to.numel() ? from.numel() / to.numel() : 0;
    if (to.numel() != from.numel()) fail(node, "makes " + from.str() + " to " + to.str());
    if (to == from) return nullptr;
    std::size_t begin = 0, end = 0;  // unchanged leading and trailing sizes
    const std::size_t least = std::min(from.rank(), to.rank());
    const auto at = [](const Shape& shape, std::size_t i) { return shape[static_cast<int>(i)]; };
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
    fail(node, "makes " + from.str() + " to " + to.str() + ": neither a Flatten nor an Unflatten");
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
  Window window(const Node& node, const std::string& x) {
    const std::size_t rank = shape(x).rank();
    if (rank != 3 && rank != 4) fail(node, "takes (N, C, L) or (N, C, H, W), here " + shape(x).str());
    Window w{.spatial = rank - 2, .kernel = 1, .stride = 1, .before = 0, .after = 0, .dilation = 1};
    const auto numbers = [&](const char* name, std::size_t count) {
      const Integers values = list(node, name);
      if (!values.empty() &&
          (values.size() != count || std::any_of(values.begin(), values.end(), [](auto v) { return v < 0; })))
        fail(node, std::string("has wrong ") + name);
      return values;
    };
    if (const auto v = numbers("kernel_shape", w.spatial); !v.empty()) w.kernel = plane(v, 0, w.spatial);
    if (const auto v = numbers("strides", w.spatial); !v.empty()) w.stride = plane(v, 0, w.spatial);
    if (const auto v = numbers("dilations", w.spatial); !v.empty()) w.dilation = plane(v, 0, w.spatial);
    if (const auto v = numbers("pads", 2 * w.spatial); !v.empty())
      w.before = plane(v, 0, w.spatial), w.after = plane(v, w.spatial, w.spatial);
    if (w.spatial == 1) w.before.height = w.after.height = 0;
    const std::string automatic = text(node, "auto_pad", "NOTSET");
    if (automatic != "NOTSET" && automatic != "VALID") fail(node, "has auto_pad = " + automatic);
    return w;
  }

  std::size_t groups_of(const Node& node, std::size_t most) {
    const std::int64_t groups = integer(node, "group", 1);
    if (groups < 1 || static_cast<std::size_t>(groups) > most) fail(node, "has " + std::to_string(groups) + " groups");
    return static_cast<std::size_t>(groups);
  }
  LayerPtr conv(const Node& node, const std::string& x) {
    const Tensor<T> W = tensor(node, 1);
    Window w = window(node, x);
    if (W.rank() != w.spatial + 2) fail(node, "has weights of shape " + W.shape().str());
    w.kernel = w.spatial == 1 ? Size2d(1, W.size(2)) : Size2d(W.size(2), W.size(3));
    const std::size_t groups = groups_of(node, W.size(0));
    const bool bias = node.input_size() > 2;
    Padding2d padding(w.before.height, w.before.width);
    if (!(w.before == w.after)) {
      const auto all = [](std::size_t k, std::size_t d) { return d * (k - 1); };
      if (w.before.height + w.after.height != all(w.kernel.height, w.dilation.height) ||
          w.before.width + w.after.width != all(w.kernel.width, w.dilation.width) || !(w.stride == Size2d(1)))
        fail(node, "is padded differently on its sides, and not as 'same'");
      padding = "same";
    }
    const auto finish = [&](auto conv) -> LayerPtr {
      set(conv->weight, node.input(1), W);
      if (bias) set(conv->bias, node.input(2), tensor(node, 2));
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
  LayerPtr conv_transpose(const Node& node, const std::string& x) {
    const Tensor<T> W = tensor(node, 1);
    const Window w = window(node, x);
    if (w.spatial != 2 || W.rank() != 4 || !(w.before == w.after)) fail(node, "is no ConvTranspose2d");
    const std::size_t groups = groups_of(node, W.size(0));
    const bool bias = node.input_size() > 2;
    const Integers more = list(node, "output_padding");
    auto conv = std::make_shared<ConvTranspose2d<T>>(
        W.size(0), W.size(1) * groups, Size2d(W.size(2), W.size(3)),
        ConvTranspose2dOptions{.stride = w.stride,
                               .padding = w.before,
                               .output_padding = more.size() == 2 ? plane(more, 0, 2) : Size2d(0),
                               .groups = groups,
                               .bias = bias,
                               .dilation = w.dilation});
    set(conv->weight, node.input(1), W);
    if (bias) set(conv->bias, node.input(2), tensor(node, 2));
    return conv;
  }
  LayerPtr pool(const Node& node, const std::string& x) {
    const Window w = window(node, x);
    if (node.op_type() == "GlobalAveragePool") {
      if (w.spatial != 2) fail(node, "takes (N, C, H, W), here " + shape(x).str());
      return std::make_shared<AdaptiveAvgPool2d<T>>(1);
    }
    if (node.output_size() > 1) fail(node, "hands out where the maxima lie");
    if (!(w.before == w.after)) fail(node, "is padded differently on its sides");
    const bool ceil = integer(node, "ceil_mode", 0);
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
    const bool count = integer(node, "count_include_pad", 0);
    if (!(w.dilation == Size2d(1))) fail(node, "has windows with gaps");
    if (w.spatial == 1)
      return std::make_shared<AvgPool1d<T>>(
          w.kernel.width,
          AvgPool1dOptions{
              .stride = w.stride.width, .padding = w.before.width, .ceil_mode = ceil, .count_include_pad = count});
    return std::make_shared<AvgPool2d<T>>(
        w.kernel,
        AvgPool2dOptions{.stride = w.stride, .padding = w.before, .ceil_mode = ceil, .count_include_pad = count});
  }

  LayerPtr gather(const Node& node, const std::string&) {
    if (integer(node, "axis", 0) != 0 || is_computed(node, 0)) fail(node, "takes no rows of a constant table");
    const Tensor<T> table = tensor(node, 0);
    if (table.rank() != 2) fail(node, "takes rows of a table of shape " + table.shape().str());
    auto embedding = std::make_shared<Embedding<T>>(table.size(0), table.size(1));
    set(embedding->weight, node.input(0), table);
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
      const Tensor<T> pe = tensor(node, 1);
      if (pe.rank() != 3) fail(node, "has positions of shape " + pe.shape().str());
      auto encoding = std::make_shared<PositionalEncoding<T>>(
          pe.size(2), PositionalEncodingOptions{
                          .dropout = 0, .max_len = pe.size(0), .batch_first = integer(node, "batch_first", 0) != 0});
      encoding->pe = pe;
      return encoding;
    }
    if (type.starts_with("MultiheadAttention")) {
      const Tensor<T> W = tensor(node, 1);
      if (W.rank() != 2) fail(node, "has weights of shape " + W.shape().str());
      auto attention = std::make_shared<MultiheadAttention<T>>(
          W.size(1), static_cast<std::size_t>(integer(node, "num_heads", 1)),
          MultiheadAttentionOptions{.batch_first = integer(node, "batch_first", 0) != 0,
                                    .is_causal = integer(node, "is_causal", 0) != 0});
      set(attention->in_proj_weight, node.input(1), W);
      set(attention->in_proj_bias, node.input(2), tensor(node, 2));
      set(attention->out_proj().weight, node.input(3), tensor(node, 3));
      set(attention->out_proj().bias, node.input(4), tensor(node, 4));
      return attention;
    }
    if (type.starts_with("GroupNorm")) {
      const Tensor<T> weight = tensor(node, 1);
      const std::int64_t groups = integer(node, "num_groups", 1);
      if (groups < 1) fail(node, "has " + std::to_string(groups) + " groups");
      auto norm = std::make_shared<GroupNorm<T>>(static_cast<std::size_t>(groups), weight.numel(),
                                                 GroupNormOptions{.eps = shortest(real(node, "eps", 1e-5f))});
      set(norm->weight, node.input(1), weight);
      set(norm->bias, node.input(2), tensor(node, 2));
      return norm;
    }
    if (type.starts_with("RMSNorm")) {
      const Tensor<T> weight = tensor(node, 1);
      auto norm =
          std::make_shared<RMSNorm<T>>(weight.shape(), RMSNormOptions{.eps = shortest(real(node, "eps", 1e-5f))});
      set(norm->weight, node.input(1), weight);
      return norm;
    }
    for (const char* name : {"RNN_", "LSTM_", "GRU_"})
      if (type.starts_with(name)) return recurrent(node);
    unknown(node);
  }
  LayerPtr recurrent(const Node& node) {
    const std::int64_t layers = integer(node, "num_layers", 1);
    if (layers < 1 || layers > node.input_size()) fail(node, "has " + std::to_string(layers) + " layers");
    const RecurrentOptions o{.num_layers = static_cast<std::size_t>(layers),
                             .bias = integer(node, "bias", 1) != 0,
                             .batch_first = integer(node, "batch_first", 0) != 0,
                             .bidirectional = integer(node, "bidirectional", 0) != 0,
                             .output = integer(node, "last", 0) ? Steps::Last : Steps::All};
    const Tensor<T> first = tensor(node, 1), second = tensor(node, 2);
    if (first.rank() != 2 || second.rank() != 2) fail(node, "has weights of shape " + first.shape().str());
    const std::size_t in = first.size(1), hidden = second.size(1);
    LayerPtr layer;
    if (node.op_type()[0] == 'L')
      layer = std::make_shared<LSTM<T>>(in, hidden, o);
    else if (node.op_type()[0] == 'G')
      layer = std::make_shared<GRU<T>>(in, hidden, o);
    else
      layer = std::make_shared<RNN<T>>(in, hidden,
                                       RNNOptions{.num_layers = o.num_layers,
                                                  .nonlinearity = integer(node, "relu", 0) ? "relu" : "tanh",
                                                  .bias = o.bias,
                                                  .batch_first = o.batch_first,
                                                  .bidirectional = o.bidirectional,
                                                  .output = o.output});
    auto parameters = layer->named_parameters();
    if (node.input_size() != static_cast<int>(parameters.size()) + 1)
      fail(node, "has " + std::to_string(node.input_size() - 1) + " parameters, " + std::to_string(parameters.size()) +
                     " expected");
    for (int i = 1; i < node.input_size(); ++i)
      set(parameters[static_cast<std::size_t>(i - 1)].second, node.input(i), tensor(node, i));
    return layer;
  }

  // Shapes.

  Shape shape_of_input(const onnx::ValueInfoProto& input) {
    Shape shape;
    const auto& sizes = input.type().tensor_type().shape();
    if (sizes.dim_size() > static_cast<int>(Shape::max_rank)) fail("has an input of more than 4 dimensions");
    for (const auto& size : sizes.dim())
      shape.push_back(size.has_dim_value() && size.dim_value() > 0 ? static_cast<std::size_t>(size.dim_value())
                                                                   : open_size);
    return shape;
  }
  Shape shape(const std::string& value) {
    if (value == input_) return input_shape_;
    if (const auto found = shapes_.find(value); found != shapes_.end()) return found->second;
    const Node& node = producer(value);
    Shape result;
    if (node.op_type() == "Split" && node.domain().empty()) {
      result = shape(node.input(0));
      int axis = static_cast<int>(integer(node, "axis", 0));
      if (axis < 0) axis += static_cast<int>(result.rank());
      if (axis < 0 || axis >= static_cast<int>(result.rank())) fail(node, "has a wrong axis");
      const auto at = std::find(node.output().begin(), node.output().end(), value) - node.output().begin();
      const Integers sizes = node.input_size() > 1 ? integers(node, 1) : Integers{};
      if (!sizes.empty() && at >= static_cast<std::ptrdiff_t>(sizes.size())) fail(node, "has fewer sizes than outputs");
      result[axis] = sizes.empty() ? result[axis] / static_cast<std::size_t>(node.output_size())
                                   : static_cast<std::size_t>(sizes[static_cast<std::size_t>(at)]);
    } else {
      const auto [before, layer] = last_layer(node);
      try {
        result = layer ? layer->output_shape(shape(before)) : shape(before);
      } catch (Error& error) {
        error.prepend(place(node));
        throw ParseError(error.what());
      }
    }
    return shapes_[value] = result;
  }

  // Inputs, attributes and constants of a node.

  bool is_computed(const Node& node, int input) const {
    return input < node.input_size() && !is_constant(node.input(input));
  }
  /// A constant reshaped: x·Wᵀ of a matrix, slopes per channel.
  bool is_reshaped_constant(const std::string& value) const {
    const auto found = producers_.find(value);
    if (found == producers_.end()) return false;
    const Node& node = *found->second;
    return (node.op_type() == "Transpose" || node.op_type() == "Reshape") && constants_.count(node.input(0));
  }

  Tensor<T> tensor(const Node& node, int input) {
    if (input >= node.input_size()) fail(node, "has too few inputs");
    return constant(node, node.input(input));
  }
  Tensor<T> constant(const Node& node, const std::string& name) {
    const auto found = constants_.find(name);
    if (found == constants_.end()) fail(node, "takes '" + name + "', which is computed, where numbers are expected");
    const onnx::TensorProto& from = *found->second;
    if (from.data_location() == onnx::TensorProto::EXTERNAL) fail(node, "'" + name + "' lies in another file");
    Shape shape;
    if (from.dims_size() > static_cast<int>(Shape::max_rank)) fail(node, "'" + name + "' has more than 4 dimensions");
    for (const std::int64_t size : from.dims()) {
      if (size < 0) fail(node, "'" + name + "' has a negative size");
      shape.push_back(static_cast<std::size_t>(size));
    }
    std::vector<T> elements;
    const auto take = [&]<class E>(E, const auto& field) {
      if (from.has_raw_data()) {
        const std::string& raw = from.raw_data();
        for (std::size_t i = 0; i + sizeof(E) <= raw.size(); i += sizeof(E)) {
          E element;
          std::memcpy(&element, raw.data() + i, sizeof(E));
          elements.push_back(static_cast<T>(element));
        }
      } else {
        for (const auto element : field) elements.push_back(static_cast<T>(element));
      }
    };
    switch (from.data_type()) {
      case onnx::TensorProto::FLOAT:
        take(float{}, from.float_data());
        break;
      case onnx::TensorProto::DOUBLE:
        take(double{}, from.double_data());
        break;
      case onnx::TensorProto::INT64:
        take(std::int64_t{}, from.int64_data());
        break;
      case onnx::TensorProto::INT32:
        take(std::int32_t{}, from.int32_data());
        break;
      default:
        fail(node, "'" + name + "' is of a type that is not read (" + std::to_string(from.data_type()) + ")");
    }
    std::size_t left = elements.size();  // divided by each size in turn: ends at 1 if they fit
    for (const std::size_t size : shape) left = size > 0 && left % size == 0 ? left / size : 0;
    if (left != 1)
      fail(node, "'" + name + "' has " + std::to_string(elements.size()) + " elements, its shape is " + shape.str());
    return Tensor<T>(shape, elements);
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
      fail("'" + name + "': " + error.what());
    }
  }

  Integers integers(const Node& node, int input) {
    const Tensor<T> values = tensor(node, input);
    Integers numbers;
    for (const T value : values.to_vector()) numbers.push_back(static_cast<std::int64_t>(value));
    return numbers;
  }
  static const onnx::AttributeProto* attribute(const Node& node, const char* name) {
    for (const auto& one : node.attribute())
      if (one.name() == name) return &one;
    return nullptr;
  }
  static std::int64_t integer(const Node& node, const char* name, std::int64_t otherwise) {
    const auto* found = attribute(node, name);
    return found ? found->i() : otherwise;
  }
  static float real(const Node& node, const char* name, float otherwise) {
    const auto* found = attribute(node, name);
    return found ? found->f() : otherwise;
  }
  static std::string text(const Node& node, const char* name, const char* otherwise) {
    const auto* found = attribute(node, name);
    return found ? found->s() : otherwise;
  }
  static Integers list(const Node& node, const char* name) {
    const auto* found = attribute(node, name);
    return found ? Integers(found->ints().begin(), found->ints().end()) : Integers{};
  }
  /// The shortest decimal that reads back as the float, as a double: 1e-5 for 9.99999975e-06.
  static double shortest(float value) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    double number = value;
    read_number({text, end}, number);
    return number;
  }

  std::string place(const Node& node) const {
    return path_ + ": node '" + node.name() + "' (" + (node.domain().empty() ? "" : node.domain() + ".") +
           node.op_type() + ") ";
  }
  [[noreturn]] void fail(const std::string& why) const { throw ParseError(path_ + ": " + why); }
  [[noreturn]] void fail(const Node& node, const std::string& why) const { throw ParseError(place(node) + why); }
  [[noreturn]] void unknown(const Node& node) const {
    throw ParseError(place(node) + "is no operator that is known: none of the layers here computes it");
  }

  std::string path_, input_;
  onnx::ModelProto model_;
  Shape input_shape_;
  std::map<std::string, const onnx::TensorProto*> constants_;
  std::map<std::string, const Node*> producers_;
  std::map<std::string, Shape> shapes_;
  std::map<std::string, Parameter<T>> parameters_;
  std::map<const Node*, std::string> sources_;
  std::map<const Node*, LayerPtr> made_;
  int depth_ = 0;
};

}  // namespace

template <class T>
Sequential<T> read_onnx(const std::string& path) {
  return Reader<T>(path).network();
}

template Sequential<float> read_onnx(const std::string&);
template Sequential<double> read_onnx(const std::string&);

}  // namespace handgrad
