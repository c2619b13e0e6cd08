// Sequential: the chain rule, nesting, names, printing, places in errors. For fusion see tests/fusion.
#include "handgrad/containers/sequential.hpp"

#include <functional>
#include <optional>
#include <sstream>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/trace/recorder.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

template <class T>
std::string printed(const T& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

}  // namespace

BOOST_AUTO_TEST_CASE(prints_as_torch_does_with_the_number_of_parameters) {
  const Reference networks = Reference::file("print")["networks"];
  BOOST_TEST(printed(Sequential{Linear(2, 4), Tanh(), Linear(4, 1, false)}) ==
             networks[0]["text"].text() + "\n16 parameters");
  BOOST_TEST(printed(Sequential{Linear(2, 4), Sequential{Linear(4, 3), ReLU()}, Softmax()}) ==
             networks[1]["text"].text() + "\n27 parameters");
  BOOST_TEST(printed(Sequential{LeakyReLU(0.2), LeakyReLU(), ELU(1.409), ELU(), GELU(), GELU("tanh"), SiLU(),
                                Softplus(), Softplus(2, 5.5), Sigmoid(), Identity(), LogSoftmax(1)}) ==
             networks[2]["text"].text() + "\n0 parameters");
  BOOST_TEST(printed(Sequential{BatchNorm1d(7), BatchNorm1d(3, {.momentum = 0.2, .affine = false}), LayerNorm(5),
                                LayerNorm(Shape{3, 5}, {.eps = 0.01, .elementwise_affine = false})}) ==
             networks[3]["text"].text() + "\n24 parameters");
  BOOST_TEST(printed(Sequential{Linear(108, 256), ReLU(), Linear(256, 128), ReLU(), Linear(128, 1)})
                 .ends_with("\n60,929 parameters"));
}

BOOST_AUTO_TEST_CASE(parameters_have_torchs_names_in_its_order) {
  Sequential net{Linear(2, 4), Sequential{Tanh(), Linear(4, 3, false)}, Linear(3, 1)};
  std::string names;
  for (const auto& [name, parameter] : net.named_parameters()) names += name + " ";
  BOOST_TEST(names == "0.weight 0.bias 1.1.weight 2.weight 2.bias ");
  BOOST_TEST(net.parameter_count() == 2u * 4 + 4 + 4 * 3 + 3 + 1);
  BOOST_TEST(net.size() == 3u);
  BOOST_TEST(dynamic_cast<Linear<float>&>(net[2]).in_features() == 3u);
  check_throws<ValueError>([&] { net[3]; }, {"3"});
}

BOOST_AUTO_TEST_CASE(errors_name_the_place) {
  Sequential net{Linear(2, 16), Tanh(), Linear(4, 1)};
  check_throws<ShapeError>(
      [&] {
        net.forward(Tensor<float>{{1, 2}});
      },
      {"Sequential[2] Linear(4 → 1)", "16 columns", "4 expected", "(1, 16)"});
  Sequential nested{Linear(2, 3), Sequential{Tanh(), Linear(4, 1)}};
  check_throws<ShapeError>([&] { nested.forward(Tensor<float>{{1, 2}}); }, {"Sequential[1]", "Linear(4 → 1)"});
  check_throws<ShapeError>([&] { net.forward(Tensor<float>{{1, 2, 3}}); }, {"Sequential[0] Linear(2 → 16)"});
}

HANDGRAD_TEST_EVERYWHERE(the_chain_rule_layer_by_layer) {
  using T = typename Place::T;
  const Device device = Place::device();
  manual_seed(1);
  const Tensor<T> x = randn<T>({7, 5}).to(device), dy = randn<T>({7, 3}).to(device);
  for (const bool input_grad : {true, false}) {
    Sequential<T> net{Linear<T>(5, 11), ReLU<T>(), Linear<T>(11, 4), Sigmoid<T>(),
                      Sequential<T>{Linear<T>(4, 3), Tanh<T>()}};
    net.to(device);
    net.requires_input_grad(input_grad);
    const Tensor<T> y = net.forward(x).clone();
    net.zero_grad();
    const Tensor<T> dx = net.backward(dy);
    BOOST_TEST(dx.defined() == input_grad);

    auto& inner = dynamic_cast<Sequential<T>&>(net[4]);
    std::vector<Layer<T>*> layers{&net[0], &net[1], &net[2], &net[3], &inner[0], &inner[1]};
    std::vector<Tensor<double>> expected;
    for (const auto& parameter : net.parameters()) {
      const std::vector<T> g = parameter.grad().to_vector();
      expected.emplace_back(parameter.shape(), std::vector<double>(g.begin(), g.end()));
    }
    net.zero_grad();
    Tensor<T> h = x;
    for (Layer<T>* layer : layers) layer->requires_input_grad(true), h = layer->forward(h).clone();
    Tensor<T> d = dy;
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) d = (*layer)->backward(d).clone();

    check_close(h, y, Place::tolerance, "y");
    if (input_grad) check_close(d, dx, Place::tolerance, "dx");
    const auto parameters = net.parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i)
      check_close(parameters[i].grad(), expected[i], Place::tolerance, "gradient " + std::to_string(i));
  }
}

HANDGRAD_TEST_EVERYWHERE(two_backwards_add_up) {
  using T = typename Place::T;
  manual_seed(2);
  Sequential<T> net{Linear<T>(3, 5), ReLU<T>(), Linear<T>(5, 2)};
  net.to(Place::device());
  const Tensor<T> x = randn<T>({4, 3}).to(Place::device()), dy = randn<T>({4, 2}).to(Place::device());
  net.forward(x);
  net.zero_grad();
  net.backward(dy);
  std::vector<Tensor<T>> once;
  for (const auto& parameter : net.parameters()) once.push_back(parameter.grad().clone());
  net.backward(dy);
  const auto parameters = net.parameters();
  for (std::size_t i = 0; i < once.size(); ++i) {
    std::vector<T> twice = once[i].to_vector();
    for (T& g : twice) g *= 2;
    check_close(parameters[i].grad().to_vector(), twice, Place::tolerance, "gradient " + std::to_string(i));
  }
}

BOOST_AUTO_TEST_CASE(values_that_are_held_stay) {
  manual_seed(3);
  Sequential net{Linear(2, 3), Tanh()};
  const Tensor<float> held = net.forward(Tensor<float>{{1, 2}});
  const Tensor<float> copy = held.clone();
  net.forward(Tensor<float>{{-5, 7}});
  BOOST_TEST((held == copy));
}

// Running one layer alone keeps what the others saved of the last forward.
BOOST_AUTO_TEST_CASE(a_layer_run_alone_does_not_pull_the_rug) {
  Sequential net{Linear(2, 3), Tanh(), Sequential{Linear(3, 2), ReLU()}};
  const Tensor<float> dy = ones({1, 2});
  net.forward(ones({1, 2}));
  net.backward(dy);
  net.zero_grad();
  net.backward(dy);
  const Tensor<float> expected = net.parameters()[2].grad().clone();  // the inner Linear's weight: depends on its input
  net[0].forward(ones({50, 2}));
  net[1].forward(ones({50, 3}));
  net.zero_grad();
  net[2].backward(dy);
  BOOST_TEST((net.parameters()[2].grad() == expected));
}

BOOST_AUTO_TEST_CASE(after_a_forward_that_failed_there_is_nothing_to_go_back_through) {
  Sequential net{Linear(2, 3), Tanh(), Linear(4, 1)};  // 3 does not fit 4
  BOOST_CHECK_THROW(net.forward(ones({1, 2})), ShapeError);
  BOOST_CHECK_THROW(net.backward(ones({1, 1})), StateError);
}

BOOST_AUTO_TEST_CASE(an_empty_sequential_is_the_identity) {
  Sequential<float> net;
  BOOST_CHECK_THROW(net.backward(ones({2, 3})), StateError);
  const Tensor<float> x{{1, 2, 3}, {4, 5, 6}}, dy = ones({2, 3});
  BOOST_TEST((net.forward(x) == x));
  BOOST_TEST(!net.backward(dy).defined());  // not requested
  net.requires_input_grad(true);
  BOOST_TEST((net.backward(dy) == dy));
  BOOST_CHECK_THROW(net.backward(ones({3, 2})), ShapeError);

  Sequential<double> around;
  around.push_back(std::make_shared<Linear<double>>(3, 2));
  around.push_back(std::make_shared<Sequential<double>>());
  around.push_back(std::make_shared<Tanh<double>>());
  HANDGRAD_CHECK_GRADIENTS(around, randn<double>({5, 3}));
}
