#include <algorithm>
#include <functional>
#include <map>

#include "handgrad/handgrad.hpp"
#include "handgrad/onnx/file.hpp"
#include "handgrad/onnx/onnx.hpp"
#include "handgrad/onnx/operators.hpp"

namespace handgrad {
namespace {

using detail::onnx_layer, detail::OnnxFile;
using Integers = std::vector<std::int64_t>;

/// Walks from the output to the input, a layer at a time; where branches meet, it walks each to their fork.
template <class T>
class Reader {
  using LayerPtr = std::shared_ptr<Layer<T>>;
  using Node = onnx::NodeProto;

 public:
  explicit Reader(const std::string& path) : file_(path) {}

  Sequential<T> network() {
    try {
      Sequential<T> net;
      for (LayerPtr& layer : layers(file_.input(), file_.output())) net.push_back(std::move(layer));
      return net;
    } catch (const ParseError&) {
      throw;
    } catch (const Error& error) {  // a container refuses the layers that it is given
      file_.fail(error.what());
    }
  }

 private:
  /// Those between two values.
  std::vector<LayerPtr> layers(const std::string& from, const std::string& to) {
    if (++depth_ > 1000) file_.fail("has branches within branches within …");
    std::vector<LayerPtr> backwards;
    for (std::string value = to; value != from;) {
      if (value == file_.input()) file_.fail("has a way to '" + to + "' that does not pass '" + from + "'");
      const Node& node = file_.producer(value);
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
    const auto inputs = file_.computed(node);
    const std::string& type = node.op_type();
    if (node.domain().empty() && inputs.size() > 1) {
      if (type == "Add" && inputs.size() == 2) return sum(node, inputs);
      if (type == "Concat") return side_by_side(node, inputs);
      if (type == "Mul" && inputs.size() == 2)  // x·σ(x)
        for (const int i : {0, 1})
          if (const Node& other = file_.producer(inputs[static_cast<std::size_t>(1 - i)]);
              other.op_type() == "Sigmoid" && other.input_size() == 1 &&
              other.input(0) == inputs[static_cast<std::size_t>(i)])
            return {other.input(0), std::make_shared<SiLU<T>>()};
    }
    if (inputs.size() != 1)
      file_.fail(node, "takes " + std::to_string(inputs.size()) + " computed values; as a layer it has one");
    // A bias added to a product belongs to the product.
    if (const Node* product = file_.biased_product(node))
      return {file_.computed(*product)[0], memo(node, [&] {
                return onnx_layer<T>(
                    file_, *product, &node, [] { return Shape(); }, parameters_);
              })};
    return {inputs[0], memo(node, [&] {
              return onnx_layer<T>(
                  file_, node, nullptr, [&] { return shape(inputs[0]); }, parameters_);
            })};
  }

  LayerPtr memo(const Node& node, const std::function<LayerPtr()>& make) {
    if (const auto found = made_.find(&node); found != made_.end()) return found->second;
    try {
      return made_[&node] = make();
    } catch (const ParseError&) {
      throw;
    } catch (const Error& error) {
      file_.fail(node, error.what());
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
    const std::string fork = file_.common(inputs[0], inputs[1]);
    auto first = layers(fork, inputs[0]), second = layers(fork, inputs[1]);
    if (second.empty()) std::swap(first, second);
    if (second.empty()) file_.fail(node, "adds a value to itself");
    auto residual = std::make_shared<Residual<T>>(as_one(std::move(second)));
    if (!first.empty()) residual->set_shortcut(as_one(std::move(first)));
    return {fork, residual};
  }

  std::pair<std::string, LayerPtr> side_by_side(const Node& node, const std::vector<std::string>& inputs) {
    if (static_cast<int>(inputs.size()) != node.input_size())
      file_.fail(node, "puts constants beside what is computed");
    const int axis = static_cast<int>(file_.integer(node, "axis", 1));
    const std::string fork = file_.source(node);
    if (const auto cut = split(node, inputs, fork, axis))
      return {file_.producer(split_output(inputs[0], fork)).input(0), cut};
    std::vector<LayerPtr> branches;
    for (const std::string& input : inputs) branches.push_back(as_one(layers(fork, input)));
    auto concat = std::make_shared<Concat<T>>();
    for (LayerPtr& branch : branches) concat->push_back(std::move(branch));
    std::move(*concat).dim(axis);
    return {fork, concat};
  }

  /// The output of a Split node that a value derives from, going back to the fork; empty if none.
  std::string split_output(const std::string& value, const std::string& fork) {
    for (std::string v = value; v != fork; v = file_.source(file_.producer(v)))
      if (const Node& node = file_.producer(v); node.op_type() == "Split" && file_.name(node, 0) == fork) return v;
    return {};
  }
  /// If the branches begin at the outputs of one Split, in order: a Split container.
  LayerPtr split(const Node& node, const std::vector<std::string>& inputs, const std::string& fork, int axis) {
    std::vector<std::string> begins;
    for (const std::string& input : inputs) begins.push_back(split_output(input, fork));
    if (std::any_of(begins.begin(), begins.end(), [](const auto& v) { return v.empty(); })) return nullptr;
    const Node& cut = file_.producer(begins[0]);
    if (!std::equal(begins.begin(), begins.end(), cut.output().begin(), cut.output().end()) ||
        file_.integer(cut, "axis", 0) != axis)
      file_.fail(node, "puts the parts of a Split together in another order than they were");
    std::vector<std::size_t> sizes;
    if (cut.input_size() > 1)
      for (const std::int64_t size : file_.integers(cut, 1)) sizes.push_back(static_cast<std::size_t>(size));
    else {
      const Shape whole = shape(fork);
      const int rank = static_cast<int>(whole.rank());
      if (axis < -rank || axis >= rank) file_.fail(cut, "has a wrong axis");
      sizes.assign(begins.size(), whole[axis] / begins.size());
    }
    std::vector<LayerPtr> branches;
    for (std::size_t i = 0; i < inputs.size(); ++i) branches.push_back(as_one(layers(begins[i], inputs[i])));
    auto container = std::make_shared<Split<T>>(sizes, branches);
    std::move(*container).dim(axis);
    return container;
  }

  // Shapes.

  Shape shape(const std::string& value) {
    if (value == file_.input()) return file_.input_shape();
    // Back to a value whose shape is known and forward from there, so that no recursion goes deep.
    std::vector<std::string> way;
    for (std::string v = value; v != file_.input() && !shapes_.count(v);) {
      way.push_back(v);
      const Node& node = file_.producer(v);
      const Node* product = file_.biased_product(node);
      v = product ? file_.computed(*product)[0] : file_.source(node);
    }
    for (; !way.empty(); way.pop_back()) next_shape(way.back());
    return shapes_.at(value);
  }
  /// Finds the shape of a value if that of the value before it is known.
  void next_shape(const std::string& value) {
    const Node& node = file_.producer(value);
    Shape result;
    if (node.op_type() == "Split" && node.domain().empty()) {
      result = shape(node.input(0));
      int axis = static_cast<int>(file_.integer(node, "axis", 0));
      if (axis < 0) axis += static_cast<int>(result.rank());
      if (axis < 0 || axis >= static_cast<int>(result.rank())) file_.fail(node, "has a wrong axis");
      const auto at = std::find(node.output().begin(), node.output().end(), value) - node.output().begin();
      const Integers sizes = node.input_size() > 1 ? file_.integers(node, 1) : Integers{};
      if (!sizes.empty() && at >= static_cast<std::ptrdiff_t>(sizes.size()))
        file_.fail(node, "has fewer sizes than outputs");
      result[axis] = sizes.empty() ? result[axis] / static_cast<std::size_t>(node.output_size())
                                   : static_cast<std::size_t>(sizes[static_cast<std::size_t>(at)]);
    } else {
      const auto [before, layer] = last_layer(node);
      try {
        result = layer ? layer->output_shape(shape(before)) : shape(before);
      } catch (Error& error) {
        error.prepend(file_.place(node));
        throw ParseError(error.what());
      }
    }
    shapes_[value] = result;
  }

  OnnxFile file_;
  std::map<std::string, Shape> shapes_;
  std::map<std::string, Parameter<T>> parameters_;
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
