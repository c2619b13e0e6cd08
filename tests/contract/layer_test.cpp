// The contract of Layer, for a user's layer and the library's: checks in forward and backward, parameters, buffers,
// state, errors.
#include "handgrad/contract/layer.hpp"

#include <sstream>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/neuron.hpp"
#include "handgrad/layers/prelu.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/optim/sgd.hpp"
#include "support/check.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_throws;

namespace {

/// y = a·x, as the documentation of Layer writes it.
template <class T>
struct Scale : Layer<T> {
  Parameter<T> a = this->register_parameter("a", Tensor<T>{2});
  Buffer<T> calls = this->register_buffer("calls", zeros<T>({1}));
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override {
    calls.value().xt() += 1;
    y.xt() = a.value().item() * x.xt();
  }
  void backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) override {
    a.accumulate(Tensor<T>({1}, {xt::sum(dy.xt() * x.xt())()}).xt());
    dx.xt() = a.value().item() * dy.xt();
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_layer_of_ones_own) {
  Scale<double> layer;
  const Tensor<double> x{{1, 2}, {3, 4}}, dy{{1, 0}, {0, 10}};
  BOOST_TEST((layer.forward(x) == Tensor<double>{{2, 4}, {6, 8}}));
  BOOST_TEST((layer.backward(dy) == Tensor<double>{{2, 0}, {0, 20}}));
  BOOST_TEST((layer.a.grad() == Tensor<double>{41}));
  layer.backward(dy);
  BOOST_TEST((layer.a.grad() == Tensor<double>{82}));
  layer.zero_grad();
  BOOST_TEST(!layer.a.has_grad());
  BOOST_TEST((layer.a.grad() == Tensor<double>{0}));
  layer.backward(dy);
  BOOST_TEST((layer.a.grad() == Tensor<double>{41}));
  BOOST_TEST(layer.name() == "Scale");
}

// δ is the very dx that the layer returned last, as in a power iteration.
BOOST_AUTO_TEST_CASE(a_layers_own_dx_may_come_back_as_its_delta) {
  struct Cumulative : Layer<double> {  // yᵢ = Σ xⱼ over j ≤ i
    void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
      double sum = 0;
      for (std::size_t i = 0; i < x.numel(); ++i) y.data()[i] = sum += x.data()[i];
    }
    void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                       Tensor<double>& dx) override {
      for (std::size_t j = 0; j < dx.numel(); ++j) {
        dx.data()[j] = 0;
        for (std::size_t i = j; i < dy.numel(); ++i) dx.data()[j] += dy.data()[i];
      }
    }
  } layer;
  layer.forward(ones<double>({3}));
  const Tensor<double> dy{1, 2, 4};
  BOOST_TEST((layer.backward(dy) == Tensor<double>{7, 6, 4}));
  BOOST_TEST((layer.backward(layer.backward(dy)) == Tensor<double>{17, 10, 4}));
  const Tensor<double> kept = layer.backward(dy);
  BOOST_TEST((layer.backward(kept) == Tensor<double>{17, 10, 4}));
  BOOST_TEST((kept == Tensor<double>{7, 6, 4}));
}

BOOST_AUTO_TEST_CASE(state_goes_out_as_copies_and_comes_back) {
  Scale<double> layer;
  layer.forward(Tensor<double>{1});
  const auto state = layer.state_dict();
  BOOST_TEST_REQUIRE(state.size() == 2u);
  BOOST_TEST(state[0].first == "a");
  BOOST_TEST(state[1].first == "calls");
  layer.a.value().fill(5);
  layer.forward(Tensor<double>{1});
  BOOST_TEST((state[0].second == Tensor<double>{2}));
  layer.load_state_dict(state);
  BOOST_TEST((layer.a.value() == Tensor<double>{2}));
  BOOST_TEST((layer.calls.value() == Tensor<double>{1}));
}

BOOST_AUTO_TEST_CASE(a_state_that_does_not_fit_is_refused_and_nothing_changes) {
  Sequential net{Linear(2, 3), Tanh(), Linear(3, 1)};
  Sequential wider{Linear(2, 4), Tanh(), Linear(4, 1)};
  Sequential deeper{Linear(2, 3), Tanh(), Linear(3, 1), Linear(1, 1)};
  const auto before = net.state_dict();
  check_throws<ShapeError>([&] { net.load_state_dict(wider.state_dict()); }, {"0.weight", "(3, 2)", "(4, 2)"});
  check_throws<ValueError>([&] { net.load_state_dict(deeper.state_dict()); }, {"unexpected", "3.weight", "3.bias"});
  check_throws<ValueError>([&] { deeper.load_state_dict(net.state_dict()); }, {"missing", "3.weight", "3.bias"});
  auto twisted = deeper.state_dict();
  std::swap(twisted[0].second, twisted[2].second);
  check_throws<ShapeError>([&] { net.load_state_dict(twisted, false); }, {"0.weight"});
  const auto after = net.state_dict();
  for (std::size_t i = 0; i < before.size(); ++i) BOOST_TEST((before[i].second == after[i].second));

  deeper.load_state_dict(net.state_dict(), false);  // not strict: loads what fits
  BOOST_TEST((deeper.state_dict()[0].second == before[0].second));
}

BOOST_AUTO_TEST_CASE(a_backward_needs_a_forward) {
  Linear layer(2, 3);
  check_throws<StateError>([&] { layer.backward(Tensor<float>{{1, 2, 3}}); }, {"Linear(2 → 3)", "forward"});
  Sequential net{Linear(2, 3), Tanh()};
  check_throws<StateError>([&] { net.backward(Tensor<float>{{1, 2, 3}}); }, {"forward"});
}

BOOST_AUTO_TEST_CASE(wrong_shapes_are_refused) {
  Linear layer(3, 2);
  check_throws<ShapeError>(
      [&] {
        layer.forward(Tensor<float>{{1, 2, 3, 4}});
      },
      {"Linear(3 → 2)", "4 columns", "3 expected", "(1, 4)"});
  check_throws<ShapeError>([&] { layer.forward(Tensor<float>{1, 2}); }, {"Linear(3 → 2)", "(2,)"});
  check_throws<ShapeError>([&] { layer.forward(full<float>({}, 1)); }, {"Linear(3 → 2)", "()"});
  check_throws<ShapeError>([&] { layer.forward(zeros<float>({0, 3})); }, {"Linear(3 → 2)", "empty", "(0, 3)"});
  check_throws<ShapeError>([&] { layer.forward(Tensor<float>()); }, {"empty"});
  layer.forward(Tensor<float>{{1, 2, 3}});
  check_throws<ShapeError>([&] { layer.backward(Tensor<float>{{1, 2, 3}}); }, {"Linear(3 → 2)", "(1, 2)", "(1, 3)"});
  check_throws<ShapeError>([&] { layer.backward(Tensor<float>{1, 2}); }, {"(1, 2)", "(2,)"});

  Neuron neuron(3);
  check_throws<ShapeError>([&] { neuron.forward(Tensor<float>{{1, 2}}); }, {"Neuron(3 → 1)", "(1, 2)"});
  Softmax<float> softmax(1);
  check_throws<ShapeError>([&] { softmax.forward(Tensor<float>{1, 2}); }, {"Softmax", "dim", "(2,)"});
  LogSoftmax<float> log_softmax(-3);
  check_throws<ShapeError>([&] { log_softmax.forward(Tensor<float>{{1, 2}}); }, {"LogSoftmax", "dim"});
}

BOOST_AUTO_TEST_CASE(after_a_refusal_the_layer_goes_on) {
  Linear<double> layer(Tensor<double>{{1, 2}}, Tensor<double>{3});
  const Tensor<double> x{{1, 1}};
  layer.forward(x);
  check_throws<ShapeError>([&] { layer.forward(Tensor<double>{{1, 2, 3}}); }, {});
  check_throws<StateError>([&] { layer.backward(Tensor<double>{{2}}); }, {"Linear(2 → 1)", "forward"});
  BOOST_TEST((layer.forward(x) == Tensor<double>{{6}}));
  BOOST_TEST((layer.backward(Tensor<double>{{2}}) == Tensor<double>{{2, 4}}));
}

BOOST_AUTO_TEST_CASE(what_a_layer_was_moved_from_holds_its_parameters_still) {
  Linear<double> linear(Tensor<double>{{1, 2}}, Tensor<double>{3});
  Sequential<double> net{std::move(linear)};
  net.forward(Tensor<double>{{1, 1}});
  net.backward(Tensor<double>{{1}});
  BOOST_TEST(linear.weight.same_as(net.parameters()[0]));
  BOOST_TEST((linear.weight.grad() == Tensor<double>{{1, 1}}));
  BOOST_TEST((linear.forward(Tensor<double>{{1, 1}}) == Tensor<double>{{6}}));
}

BOOST_AUTO_TEST_CASE(a_tensor_assigned_to_a_parameter_gives_it_its_values) {
  Linear<double> linear(2, 1);
  const std::vector<Parameter<double>> held = linear.parameters();
  const Tensor<double> W{{1, 2}};
  linear.weight = W;
  linear.bias = Tensor<double>{3};
  BOOST_TEST((held[0].value() == W));
  BOOST_TEST(!held[0].value().shares_with(W));
  BOOST_TEST((linear.forward(Tensor<double>{{1, 1}}) == Tensor<double>{{6}}));
  check_throws<ShapeError>([&] { linear.weight = Tensor<double>{1, 2}; }, {"(1, 2)", "(2,)"});
  Linear<double> without(2, 1, false);
  check_throws<ShapeError>([&] { without.bias = Tensor<double>{1}; }, {"(0,)", "(1,)"});
  Scale<double> scale;
  scale.calls = Tensor<double>{7};
  BOOST_TEST((scale.named_buffers()[0].second.value() == Tensor<double>{7}));
}

BOOST_AUTO_TEST_CASE(a_parameter_keeps_its_shape) {
  Linear<double> linear(2, 1);
  const Tensor<double> x = ones<double>({4, 2});
  SGD<double> sgd(linear.parameters());
  linear.backward(linear.forward(x));
  linear.weight.value() = ones<double>({300, 2});
  check_throws<ShapeError>([&] { linear.forward(x); }, {"weight", "another shape", "(300, 2)"});
  check_throws<ShapeError>([&] { sgd.step(); }, {"SGD", "parameter 0", "(300, 2)"});
  linear.weight.value() = ones<double>({1, 2});
  linear.forward(x);
}

BOOST_AUTO_TEST_CASE(a_layer_has_one_place) {
  const auto tanh = std::make_shared<Tanh<float>>();
  const auto inner = std::make_shared<Sequential<float>>(), net = std::make_shared<Sequential<float>>();
  inner->push_back(tanh);
  net->push_back(inner);
  check_throws<ValueError>([&] { net->push_back(tanh); }, {"Sequential", "Tanh()", "twice"});
  check_throws<ValueError>([&] { net->push_back(inner); }, {"twice"});
  check_throws<ValueError>([&] { net->push_back(net); }, {"twice"});
  BOOST_TEST(net->size() == 1u);
  Sequential<float> other;  // it may be in two networks that run in turn
  other.push_back(tanh);
}

BOOST_AUTO_TEST_CASE(what_a_temporary_computes_outlives_it) {
  const auto& y = Tanh<double>().forward(zeros<double>({2}));
  const Tensor<double> other = full<double>({2}, 5);  // would reuse the memory if it were free
  BOOST_TEST((y == Tensor<double>{0, 0}));
}

BOOST_AUTO_TEST_CASE(parameters_that_do_not_fit_are_refused) {
  check_throws<ShapeError>([] { Linear(Tensor<float>{1, 2}); }, {"(2,)"});
  check_throws<ShapeError>([] { Linear(Tensor<float>{{1, 2}}, Tensor<float>{1, 2}); }, {"(2,)"});
  check_throws<ValueError>([] { Linear(0, 2); }, {"Linear"});
  check_throws<ValueError>([] { Linear(2, 0); }, {"Linear"});
  check_throws<ValueError>([] { Neuron(0); }, {"Neuron"});
  check_throws<ShapeError>([] { Neuron(Tensor<float>{1, 2}, Tensor<float>{1, 2}); }, {"(2,)"});
  check_throws<ValueError>([] { GELU("erf"); }, {"erf", "none", "tanh"});
  check_throws<ValueError>([] { Softplus(0); }, {"beta"});
  check_throws<ValueError>([] { Hardtanh(1, 1); }, {"Hardtanh", "min_val", "max_val"});
  check_throws<ValueError>([] { PReLU(0); }, {"PReLU", "num_parameters"});
  PReLU<double> prelu(3);
  check_throws<ShapeError>([&] { prelu.forward(zeros<double>({2, 4})); }, {"PReLU", "3 channels", "(2, 4)"});
  check_throws<ShapeError>([&] { prelu.forward(zeros<double>({3})); }, {"PReLU", "3 channels", "(3,)"});
}

BOOST_AUTO_TEST_CASE(a_loss_gradient_on_another_batch_size) {
  Linear<double> layer(Tensor<double>{{1, 2}}, Tensor<double>{3});
  layer.forward(Tensor<double>{{1, 1}, {2, 2}, {3, 3}});
  layer.backward(Tensor<double>{{1}, {1}, {1}});
  layer.zero_grad();
  layer.forward(Tensor<double>{{1, 2}});
  layer.backward(Tensor<double>{{1}});
  BOOST_TEST((layer.weight.grad() == Tensor<double>{{1, 2}}));
  BOOST_TEST((layer.bias.grad() == Tensor<double>{1}));
}

HANDGRAD_TEST_EVERYWHERE(a_neuron_is_a_linear_of_one_output) {
  using T = typename Place::T;
  Neuron<T> neuron(Tensor<T>{0.5, -2, 3}, Tensor<T>{0.25});
  Linear<T> linear(Tensor<T>{{0.5, -2, 3}}, Tensor<T>{0.25});
  neuron.to(Place::device());
  linear.to(Place::device());
  const Tensor<T> x = Tensor<T>{{1, 2, 3}, {-1, 0.5, 2}}.to(Place::device());
  BOOST_TEST((neuron.forward(x) == linear.forward(x).reshape({2})));
  const Tensor<T> dy = Tensor<T>{1, -0.5}.to(Place::device());
  BOOST_TEST((neuron.backward(dy) == linear.backward(dy.reshape({2, 1}))));
  BOOST_TEST((neuron.weight.grad() == linear.weight.grad().reshape({3})));
  BOOST_TEST(neuron.bias.grad().to_vector() == linear.bias.grad().to_vector(), boost::test_tools::per_element());
  BOOST_TEST(neuron.forward(x.rows(0, 1).reshape({3})).item() == T(5.75));
  BOOST_TEST((neuron.forward(x.rows(0, 1).reshape({3})).shape() == Shape{}));
}

BOOST_AUTO_TEST_CASE(train_and_eval_reach_every_layer) {
  Sequential inner{Tanh()};
  Sequential net{Linear(1, 1), std::move(inner)};
  net.eval();
  BOOST_TEST(!net.is_training());
  BOOST_TEST(!net[1].children()[0].second->is_training());
  net.train();
  BOOST_TEST(net[1].children()[0].second->is_training());
}

BOOST_AUTO_TEST_CASE(a_buffer_of_another_shape_is_seen) {
  Scale<double> scale;
  scale.forward(Tensor<double>{1, 2});
  scale.calls.value() = zeros<double>({3});
  check_throws<ShapeError>([&] { scale.forward(Tensor<double>{1, 2}); }, {"Scale", "calls", "another shape", "(3,)"});
  scale.calls.value() = zeros<double>({1});
  scale.forward(Tensor<double>{1, 2});
}
