// A parameter's gradient is announced once, after its last use, fused or not; and frozen parameters get none.
#include "handgrad/contract/gradient_hook.hpp"

#include <optional>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/l2_penalty.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/optim/sgd.hpp"
#include "handgrad/trace/recorder.hpp"
#include "support/check.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;

namespace {

/// The names of a network's parameters in the order in which they become ready, and their gradients at that time.
template <class T>
struct Heard : GradientListener<T> {
  explicit Heard(const Layer<T>& net) : names(net.named_parameters()) {}
  void ready(Parameter<T>& parameter) override {
    for (const auto& [name, own] : names)
      if (own.same_as(parameter)) order += name + " ", grads.emplace_back(name, parameter.grad().clone());
  }
  std::vector<NamedParameter<T>> names;
  std::string order;
  std::vector<NamedTensor<T>> grads;
};

/// y = w·(w·x): one parameter, used twice by one layer.
struct Twice : Layer<double> {
  Parameter<double> w = this->register_parameter("w", Tensor<double>{3});
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    y.xt() = w.value().item() * w.value().item() * x.xt();
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    const Tensor<double> part({1}, {xt::sum(dy.xt() * x.xt())() * w.value().item()});
    w.accumulate(part.xt());
    w.accumulate(part.xt());
    dx.xt() = w.value().item() * w.value().item() * dy.xt();
  }
};

/// y[n] = w[x[n]]: the inputs are row indices.
struct Table : Layer<double> {
  Parameter<double> w = this->register_parameter("w", Tensor<double>{{1, 2}, {3, 5}, {7, 11}});
  Shape output_shape(const Shape& x) const override { return {x.numel(), 2}; }
  bool differentiable_input() const override { return false; }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    for (std::size_t n = 0; n < x.numel(); ++n)
      for (std::size_t j = 0; j < 2; ++j) y.data()[2 * n + j] = w.value().data()[2 * row(x, n) + j];
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    BOOST_TEST(!dx.defined());
    Tensor<double> dw = zeros<double>({3, 2});
    for (std::size_t n = 0; n < x.numel(); ++n)
      for (std::size_t j = 0; j < 2; ++j) dw.data()[2 * row(x, n) + j] += dy.data()[2 * n + j];
    w.accumulate(dw.xt());
  }
  static std::size_t row(const Tensor<double>& x, std::size_t n) { return static_cast<std::size_t>(x.data()[n]); }
};

}  // namespace

HANDGRAD_TEST_EVERYWHERE(ready_once_and_final) {
  using T = typename Place::T;
  manual_seed(1);
  Sequential<T> net{Linear<T>(3, 5),
                    ReLU<T>(),
                    Linear<T>(5, 4),
                    BatchNorm1d<T>(4),
                    Linear<T>(4, 4, false),
                    Tanh<T>(),
                    Sequential<T>{Linear<T>(4, 2)}};
  net.to(Place::device());
  const Tensor<T> x = randn<T>({7, 3}).to(Place::device()), dy = randn<T>({7, 2}).to(Place::device());
  for (const bool traced : {false, true}) {  // a traced run is unfused
    Heard<T> heard(net);
    net.forward(x);
    net.zero_grad();
    std::optional<trace::Recorder> recorder;
    if (traced) recorder.emplace();
    net.backward(dy);
    // In a fused chain the lower Linear's bias is done with the upper one's product.
    BOOST_TEST(heard.order == (traced
                                   ? "6.0.weight 6.0.bias 4.weight 3.weight 3.bias 2.weight 2.bias 0.weight 0.bias "
                                   : "6.0.weight 6.0.bias 4.weight 3.weight 3.bias 2.weight 2.bias 0.bias 0.weight "));
    for (const auto& [name, grad] : heard.grads)
      for (const auto& [other, parameter] : net.named_parameters())
        if (name == other) BOOST_TEST((grad == parameter.grad()), name);
  }
}

BOOST_AUTO_TEST_CASE(several_uses_are_ready_after_the_last) {
  Sequential<double> net;
  net.push_back(std::make_shared<Twice>());
  Heard<double> heard(net), also(net);
  net.forward(Tensor<double>{1, 2});
  net.backward(Tensor<double>{1, 1});
  BOOST_TEST(heard.order == "0.w ");
  BOOST_TEST(also.order == "0.w ");
  BOOST_TEST((heard.grads[0].second == Tensor<double>{18}));  // 2·w·Σx
}

BOOST_AUTO_TEST_CASE(a_listener_hears_while_it_lives_and_after_an_error) {
  Sequential<float> net{Linear<float>(2, 3), ReLU<float>(), Linear<float>(3, 1)};
  Heard<float> outer(net);
  {
    Heard<float> inner(net);
    BOOST_CHECK_THROW(net.backward(ones({1, 1})), StateError);
    BOOST_TEST(inner.order.empty());
    net[2].forward(ones({1, 3}));
    net[2].backward(ones({1, 1}));  // a single layer is a backward too
    BOOST_TEST(inner.order == "2.weight 2.bias ");
  }
  net.forward(ones({1, 2}));
  net.backward(ones({1, 1}));
  BOOST_TEST(outer.order == "2.weight 2.bias 2.weight 2.bias 0.bias 0.weight ");
}

// Frozen parameters, in every combination, fused and not: no gradient, others unchanged, and left alone by the
// optimizer.
HANDGRAD_TEST_EVERYWHERE(what_is_frozen_has_no_gradient) {
  using T = typename Place::T;
  manual_seed(2);
  Sequential<T> net{Linear<T>(3, 5), ReLU<T>(), Linear<T>(5, 4), BatchNorm1d<T>(4), Linear<T>(4, 1)};
  net.to(Place::device());
  const Tensor<T> x = randn<T>({7, 3}).to(Place::device()), dy = randn<T>({7, 1}).to(Place::device());
  auto all = net.named_parameters();
  net.forward(x);
  net.zero_grad();
  net.backward(dy);
  std::vector<Tensor<T>> expected;
  for (const auto& [name, parameter] : all) expected.push_back(parameter.grad().clone());
  for (const bool traced : {false, true})
    for (unsigned frozen = 1; frozen < 1u << all.size(); frozen = frozen * 2 + 1) {
      for (std::size_t i = 0; i < all.size(); ++i) all[i].second.requires_grad(!(frozen >> i & 1u));
      net.zero_grad();
      Heard<T> heard(net);
      std::optional<trace::Recorder> recorder;
      if (traced) recorder.emplace();
      net.forward(x);
      net.backward(dy);
      recorder.reset();
      const auto before = net.state_dict();
      SGD<T> sgd(net.parameters(), {.lr = 0.5, .weight_decay = 0.1});
      for (std::size_t i = 0; i < all.size(); ++i) {
        const auto& [name, parameter] = all[i];
        const bool is_frozen = frozen >> i & 1u;
        BOOST_TEST(parameter.has_grad() != is_frozen, name);
        BOOST_TEST((heard.order.find(name + " ") == std::string::npos) == is_frozen, name << " in " << heard.order);
        if (!is_frozen) check_close(parameter.grad(), expected[i], Place::tolerance, name);
      }
      sgd.step();
      const auto after = net.state_dict();
      BOOST_TEST_REQUIRE(after.size() == before.size());
      for (std::size_t k = 0; k < after.size(); ++k)
        for (std::size_t i = 0; i < all.size(); ++i)
          if (after[k].first == all[i].first)
            BOOST_TEST((after[k].second == before[k].second) == bool(frozen >> i & 1u), after[k].first);
      net.load_state_dict(before);
    }
  for (auto& [name, parameter] : all) parameter.requires_grad(true);
  for (std::size_t only : {0u, 1u}) {  // only a weight or only a bias
    net[0].freeze();
    net[0].parameters()[only].requires_grad(true);
    net.zero_grad();
    net.forward(x);
    net.backward(dy);
    BOOST_TEST(net[0].parameters()[only].has_grad());
    BOOST_TEST(!net[0].parameters()[1 - only].has_grad());
    check_close(net[0].parameters()[only].grad(), expected[only], Place::tolerance, "the other one of the two");
  }
}

BOOST_AUTO_TEST_CASE(freezing_drops_a_gradient_and_can_be_undone) {
  Linear<double> layer(Tensor<double>{{1, 2}}, Tensor<double>{3});
  const Tensor<double> x{{1, 1}}, dy{{1}};
  layer.forward(x);
  layer.backward(dy);
  layer.freeze();
  BOOST_TEST(!layer.weight.has_grad());
  L2Penalty<double>({layer.weight}, 0.1).backward();
  BOOST_TEST(!layer.weight.has_grad());
  layer.weight.accumulate().first.fill(5);  // like a layer that does not ask
  BOOST_TEST(!layer.weight.has_grad());
  layer.requires_grad(true);
  layer.backward(dy);
  BOOST_TEST((layer.weight.grad() == Tensor<double>{{1, 1}}));
  layer.weight.requires_grad(false);
  HANDGRAD_CHECK_GRADIENTS(layer, randn<double>({5, 2}));
}

BOOST_AUTO_TEST_CASE(through_indices_no_gradient_passes) {
  const Tensor<double> x{2, 0, 2}, dy{{1, 10}, {100, 1000}, {2, 20}};
  Table table;
  table.forward(x);
  BOOST_TEST(!table.backward(dy).defined());
  BOOST_TEST((table.w.grad() == Tensor<double>{{100, 1000}, {0, 0}, {3, 30}}));
  table.requires_input_grad(true);
  BOOST_TEST(!table.requires_input_grad());
  HANDGRAD_CHECK_GRADIENTS(table, x);

  Sequential<double> net;
  net.push_back(std::make_shared<Table>());
  net.push_back(std::make_shared<Linear<double>>(2, 3));
  net.requires_input_grad(true);
  BOOST_TEST(!net.differentiable_input());
  net.forward(x);
  BOOST_TEST(!net.backward(ones<double>({3, 3})).defined());
  HANDGRAD_CHECK_GRADIENTS(net, x);
  trace::Recorder recorder;
  net.forward(x);
  net.backward(ones<double>({3, 3}));
  for (const auto& assignment : recorder.stop().assignments)
    BOOST_TEST((assignment.target != "dx" || assignment.layer == "1"));

  Sequential<double> below;
  below.push_back(std::make_shared<Linear<double>>(1, 1));
  below.push_back(std::make_shared<Table>());
  below[0].parameters()[0].value().fill(0);
  below[0].parameters()[1].value().fill(1);
  below.forward(Tensor<double>{{4}, {5}});
  check_throws<StateError>(
      [&] {
        below.backward(ones<double>({2, 2}));
      },
      {"Sequential[1] Table", "indices", "Sequential[0]"});
  below[0].freeze();
  BOOST_TEST(!below.backward(ones<double>({2, 2})).defined());
}
