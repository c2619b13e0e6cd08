// Forward through a convolution and an activation: the same as unfused.
#include "handgrad/fusion/convolution_activation.hpp"

#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/fusion/plan.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/convolution.hpp"
#include "support/typed.hpp"
#include "support/unfused.hpp"

using namespace handgrad;
using namespace handgrad::test;

HANDGRAD_TEST_EVERYWHERE(a_convolution_and_an_activation_are_the_two_layers) {
  using T = typename Place::T;
  const Device device = Place::device();
  const auto run = [&](const std::string& what, std::shared_ptr<Layer<T>> convolution,
                       std::shared_ptr<Layer<T>> activation, const Shape& shape) {
    Sequential<T> net;
    net.push_back(convolution);
    net.push_back(activation);
    net.to(device);
    net.requires_input_grad(true);
    const Tensor<T> x = randn<T>(shape).to(device), dy = randn<T>(net.output_shape(shape)).to(device);
    const Results<T> fused = together(net, x, dy);
    net.zero_grad();
    check_same(fused, one_by_one(net, x, dy), Place::tolerance, what);
  };
  manual_seed(8);
  for (const bool bias : {true, false})
    for (const std::size_t groups : {1, 2})
      for (const std::size_t stride : {1, 2}) {
        const auto convolution = [&](std::size_t out) {
          return std::make_shared<Conv2d<T>>(
              4, out, Size2d(3, 2), Conv2dOptions{.stride = stride, .padding = 1, .groups = groups, .bias = bias});
        };
        const std::string what = "groups " + std::to_string(groups) + ", stride " + std::to_string(stride);
        run("ReLU, " + what, convolution(6), std::make_shared<ReLU<T>>(), {3, 4, 11, 19});
        run("Sigmoid, " + what, convolution(14), std::make_shared<Sigmoid<T>>(), {1, 4, 5, 3});
      }
  run("1×1", std::make_shared<Conv2d<T>>(3, 5, 1), std::make_shared<ReLU<T>>(), {2, 3, 9, 7});
  run("a tall image, in pieces", std::make_shared<Conv2d<T>>(16, 2, 3), std::make_shared<ReLU<T>>(), {1, 16, 77, 65});
  run("one dimension", std::make_shared<Conv1d<T>>(3, 5, 4), std::make_shared<Tanh<T>>(), {2, 3, 37});
}

BOOST_AUTO_TEST_CASE(only_what_needs_no_z_is_found) {
  const auto found = [](std::shared_ptr<Layer<float>> activation) {
    Conv2d<float> convolution(2, 3, 3);
    return fusion::Plan<float>({&convolution, activation.get()}).forward_at(0) != nullptr;
  };
  BOOST_TEST(found(std::make_shared<ReLU<float>>()));
  BOOST_TEST(!found(std::make_shared<GELU<float>>()));
  BOOST_TEST(!found(std::make_shared<Conv2d<float>>(3, 2, 1)));
}
