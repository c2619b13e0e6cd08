// Random networks of all layers and containers against PyTorch: outputs, losses and all gradients. To generate any
// number of others, see reference/subject_networks.py.
#include <cmath>
#include <set>
#include <string>

#include "handgrad/containers/concat.hpp"
#include "handgrad/containers/repeat.hpp"
#include "handgrad/containers/residual.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/containers/split.hpp"
#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::make_layer;
using handgrad::test::make_loss;
using handgrad::test::Reference;

namespace {

/// Uniform in [−1, 1): splitmix64 of the seed's counter i, its upper 53 bits.
double value(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t z = seed * 0x9E3779B97F4A7C15 + i * 0xD1B54A32D192ED03;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
}

template <class T, class F>
Tensor<T> values(std::uint64_t seed, const Shape& shape, Device device, F f) {
  std::vector<T> numbers(shape.numel());
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<T>(f(value(seed, i)));
  return Tensor<T>(shape, numbers).to(device);
}

template <class T>
double projection(std::uint64_t seed, const Tensor<T>& x) {
  double sum = 0;
  const std::vector<T> numbers = x.to_vector();
  for (std::size_t i = 0; i < numbers.size(); ++i) sum += static_cast<double>(numbers[i]) * value(seed, i);
  return sum;
}

/// Nothing, of nothing: indices have no gradient.
template <class T>
Tensor<T> copy_of(const Tensor<T>& x) {
  return x.defined() ? x.clone() : x;
}

template <class T>
std::shared_ptr<Layer<T>> build(const Reference& d) {
  const std::string name = d["layer"].text();
  const auto child = [&](std::size_t i) { return build<T>(d["children"][i]); };
  const auto children = [&] {
    std::vector<std::shared_ptr<Layer<T>>> all;
    for (std::size_t i = 0; i < d["children"].size(); ++i) all.push_back(child(i));
    return all;
  };
  if (name == "Sequential") {
    auto net = std::make_shared<Sequential<T>>();
    for (auto& layer : children()) net->push_back(layer);
    return net;
  }
  if (name == "Residual") {
    auto net = std::make_shared<Residual<T>>(child(0));
    if (d["children"].size() > 1) net->set_shortcut(child(1));
    return net;
  }
  if (name == "Concat") {
    Concat<T> net;
    for (auto& layer : children()) net.push_back(layer);
    return std::make_shared<Concat<T>>(std::move(net).dim(static_cast<int>(d["args"]["dim"].number())));
  }
  if (name == "Split")
    return std::make_shared<Split<T>>(
        Split<T>(d["args"]["sizes"].indices(), children()).dim(static_cast<int>(d["args"]["dim"].number())));
  if (name == "Repeat") {
    Repeat<T> net(static_cast<std::size_t>(d["args"]["times"].number()), [&] {
      Sequential<T> block;
      block.push_back(child(0));
      return block;
    });
    if (d["args"].flag("shared", false)) return std::make_shared<Repeat<T>>(std::move(net).shared());
    return std::make_shared<Repeat<T>>(std::move(net));
  }
  return make_layer<T>(d, Device::cpu());
}

template <class T>
void collect_kinds(const Layer<T>& layer, std::set<std::string>& kinds) {
  kinds.insert(layer.name());
  for (const auto& [name, child] : layer.children()) collect_kinds(*child, kinds);
}

/// Every layer and container but Neuron, which torch has not, and Threshold, whose gradient is 0.
constexpr const char* all_kinds[] = {"Linear",      "Conv1d",
                                     "Conv2d",      "ConvTranspose2d",
                                     "MaxPool1d",   "MaxPool2d",
                                     "AvgPool1d",   "AvgPool2d",
                                     "Embedding",   "AdaptiveAvgPool2d",
                                     "RNN",         "LSTM",
                                     "GRU",         "BatchNorm1d",
                                     "BatchNorm2d", "MultiheadAttention",
                                     "LayerNorm",   "GroupNorm",
                                     "RMSNorm",     "Dropout",
                                     "Dropout2d",   "PositionalEncoding",
                                     "Flatten",     "Unflatten",
                                     "ReLU",        "LeakyReLU",
                                     "PReLU",       "TransformerEncoderLayer",
                                     "ELU",         "GELU",
                                     "SiLU",        "Mish",
                                     "Sigmoid",     "Tanh",
                                     "Softplus",    "Softsign",
                                     "LogSigmoid",  "Hardtanh",
                                     "Hardsigmoid", "Hardswish",
                                     "Identity",    "Softmax",
                                     "LogSoftmax",  "Sequential",
                                     "Residual",    "Concat",
                                     "Split",       "Repeat"};

}  // namespace

HANDGRAD_TEST_EVERYWHERE(random_networks_are_torchs) {
  using T = typename Place::T;
  const Device device = Place::device();
  // Float rounding grows through the layers; a wrong gradient is off by more.
  const double tolerance = std::is_same_v<T, double> ? 1e-10 : 2e-3;
  std::set<std::string> kinds;
  std::size_t checked = 0;
  for (const Reference c : Reference::file("networks")["cases"]) {
    const std::string where = c["net"].where();
    const auto seed = static_cast<std::uint64_t>(c["seed"].number());
    const auto net = build<T>(c["net"]);
    collect_kinds(*net, kinds);
    net->to(device);
    net->requires_input_grad(true);
    auto parameters = net->named_parameters();
    BOOST_TEST_REQUIRE(parameters.size() == c["names"].size(), where);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      auto& [name, w] = parameters[i];
      BOOST_TEST(name == c["names"][i].text(), where);
      const double scale = w.shape().rank() > 1 ? std::sqrt(3.0 / static_cast<double>(w.numel() / w.shape()[0])) : 0.0;
      w.value().copy_from(
          values<T>(seed + i, w.shape(), device, [&](double v) { return scale > 0 ? v * scale : 1 + v / 2; }));
    }
    const std::vector<std::size_t> sizes = c["shape"].indices();
    const Reference first = c["net"]["children"][0];
    const double rows = first["layer"].text() == "Embedding" ? first["args"]["num_embeddings"].number() : 0;
    const Tensor<T> x = values<T>(seed + 100, Shape(sizes.begin(), sizes.end()), device,
                                  [&](double v) { return rows > 0 ? std::floor((v + 1) / 2 * rows) : 1.5 * v; });
    net->train(!c.flag("eval", false));
    const auto results = [&](int times) {  // a second backward accumulates
      std::vector<double> numbers;
      const Tensor<T> y = net->forward(x);
      net->zero_grad();
      numbers.push_back(projection(seed + 102, y));
      Tensor<T> dx;
      for (int i = 0; i < times; ++i) {
        if (!c.contains("loss")) {
          dx = copy_of(net->backward(values<T>(seed + 101, y.shape(), device, [](double v) { return v; })));
          continue;
        }
        const std::string loss_name = c["loss"].text();
        const auto loss = make_loss<T>(c, device);
        Tensor<T> t = values<T>(seed + 101, y.shape(), device,
                                [&](double v) { return loss_name == "BCEWithLogitsLoss" ? (v + 1) / 2 : v; });
        if (loss_name == "CrossEntropyLoss") {
          std::vector<T> classes(y.size(0));
          for (std::size_t k = 0; k < classes.size(); ++k) classes[k] = static_cast<T>(k % y.size(1));
          t = Tensor<T>({classes.size()}, classes).to(device);
        }
        check_close(std::vector<double>{double(loss->forward(y, t).item())}, std::vector<double>{c["value"].number()},
                    tolerance, where + " loss");
        dx = copy_of(net->backward(loss->backward()));
      }
      BOOST_TEST(dx.defined() == c.contains("dx"), where);
      if (dx.defined()) numbers.push_back(projection(seed + 103, dx));
      for (std::size_t i = 0; i < parameters.size(); ++i)
        numbers.push_back(projection(seed + 200 + i, parameters[i].second.grad()) / times);
      return numbers;
    };
    std::vector<double> expected{c["y"].number()};
    if (c.contains("dx")) expected.push_back(c["dx"].number());
    for (const double g : c["grads"].numbers()) expected.push_back(g);
    check_close(results(1), expected, tolerance, where + " output, dx, gradients");
    check_close(results(2), expected, tolerance, where + " output, dx, gradients, twice");
    ++checked;
  }
  BOOST_TEST(checked >= 300u);
  for (const char* kind : all_kinds) BOOST_TEST(kinds.count(kind) == 1u, "no network has a " << kind);
}
