// Forward through a Linear and an activation: the same as unfused.
#include "handgrad/fusion/linear_activation.hpp"

#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/fusion/plan.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/trace/recorder.hpp"
#include "support/typed.hpp"
#include "support/unfused.hpp"

using namespace handgrad;
using namespace handgrad::test;

HANDGRAD_TEST_EVERYWHERE(a_linear_and_an_activation_are_the_two_layers) {
  using T = typename Place::T;
  const Device device = Place::device();
  const auto run = [&](const std::string& what, std::shared_ptr<Layer<T>> activation, std::size_t n, std::size_t out,
                       bool bias) {
    Sequential<T> net;
    net.push_back(std::make_shared<Linear<T>>(5, out, bias));
    net.push_back(activation);
    net.to(device);
    net.requires_input_grad(true);
    const Tensor<T> x = randn<T>({n, 5}).to(device), dy = randn<T>({n, out}).to(device);
    for (const bool training : {true, false}) {
      net.train(training);
      net.zero_grad();
      const Results<T> fused = together(net, x, dy);
      net.zero_grad();
      check_same(fused, one_by_one(net, x, dy), Place::tolerance,
                 what + ", " + std::to_string(n) + " rows, width " + std::to_string(out));
    }
  };
  manual_seed(8);
  for (const std::size_t n : {1, 2, 33})
    for (const std::size_t out : {1, 7, 31, 127, 129})
      for (const bool bias : {true, false}) {
        run("Identity", std::make_shared<Identity<T>>(), n, out, bias);
        run("Threshold", std::make_shared<Threshold<T>>(), n, out, bias);
        run("Sigmoid", std::make_shared<Sigmoid<T>>(), n, out, bias);
        run("Tanh", std::make_shared<Tanh<T>>(), n, out, bias);
        run("ReLU", std::make_shared<ReLU<T>>(), n, out, bias);
        run("GELU", std::make_shared<GELU<T>>(), n, out, bias);
      }
}

BOOST_AUTO_TEST_CASE(only_what_needs_no_z_is_found) {
  const auto found = [](std::shared_ptr<Layer<float>> activation) {
    Linear<float> linear(2, 3);
    return fusion::Plan<float>({&linear, activation.get()}).forward_at(0) != nullptr;
  };
  BOOST_TEST(found(std::make_shared<ReLU<float>>()));
  BOOST_TEST(found(std::make_shared<Identity<float>>()));
  BOOST_TEST(!found(std::make_shared<LeakyReLU<float>>()));  // z and y differ in sign
  BOOST_TEST(!found(std::make_shared<GELU<float>>()));
  BOOST_TEST(!found(std::make_shared<Softmax<float>>()));
}

// z exists only if the layers run one by one: a traced run shows it.
BOOST_AUTO_TEST_CASE(a_traced_run_is_unfused) {
  manual_seed(9);
  Sequential<float> net{Linear<float>(2, 3), Tanh<float>()};
  const Tensor<float> x{{1, -2}};
  const Tensor<float> y = net.forward(x).clone();
  trace::Recorder recorder;
  net.forward(x);
  const trace::Trace step = recorder.stop();
  BOOST_TEST_REQUIRE(step.assignments.size() == 2u);
  const auto& z = step.values[step.assignments[0].value].array.numbers;
  for (std::size_t i = 0; i < 3; ++i)
    BOOST_TEST(std::abs(std::tanh(z[i]) - static_cast<double>(y.to_vector()[i])) < 1e-6);
}

// A user's class derived from an activation may compute something else, and must not be run as its base.
struct Square : Tanh<double> {
  void forward_into(const Tensor<double>& z, Tensor<double>& y) override { y.xt() = z.xt() * z.xt(); }
  void backward_into(const Tensor<double>& z, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dz) override {
    dz.xt() = 2 * dy.xt() * z.xt();
  }
};

BOOST_AUTO_TEST_CASE(a_class_derived_from_an_activation_computes_its_own) {
  Sequential<double> net{Linear<double>(3, 5), Square()};
  HANDGRAD_CHECK_GRADIENTS(net, randn<double>({7, 3}));
  const Tensor<double> x = randn<double>({2, 3}), z = net[0].forward(x).clone();
  const Tensor<double> expected = z.xt() * z.xt();
  BOOST_TEST(allclose(net.forward(x), expected, 1e-12));
}
