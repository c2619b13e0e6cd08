// Backward through a max pooling and the ReLU below: the same as unfused, to the sign of a zero.
#include "handgrad/fusion/relu_max_pool.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/fusion/plan.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/convolution.hpp"
#include "handgrad/layers/pooling.hpp"
#include "support/typed.hpp"
#include "support/unfused.hpp"

using namespace handgrad;
using namespace handgrad::test;

namespace {

template <class T>
void same_signs(const Tensor<T>& a, const Tensor<T>& b, const std::string& what) {
  const std::vector<T> left = a.to_vector(), right = b.to_vector();
  for (std::size_t i = 0; i < left.size(); ++i)
    BOOST_TEST_REQUIRE(std::signbit(left[i]) == std::signbit(right[i]), what << ", element " << i);
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(a_relu_and_a_max_pooling_are_the_two_layers) {
  using T = typename Place::T;
  const Device device = Place::device();
  manual_seed(8);
  const auto run = [&](const std::string& what, std::shared_ptr<Layer<T>> pool, const Shape& shape) {
    Sequential<T> net;
    net.push_back(std::make_shared<ReLU<T>>());
    net.push_back(pool);
    net.to(device);
    net.requires_input_grad(true);
    Tensor<T> x = randn<T>(shape);
    for (std::size_t i = 0; i < x.numel() / 2; ++i) x.data()[i] = i % 3 == 0 ? 0 : -1;  // no positive one, and ties
    x.data()[x.numel() - 5] = std::numeric_limits<T>::quiet_NaN();
    x = x.to(device);
    const Tensor<T> dy = randn<T>(net.output_shape(shape)).to(device);
    const Tensor<T> y = net.forward(x);
    const Tensor<T> fused = net.backward(dy).clone();
    const Tensor<T> expected = backward_one_by_one(net, dy);
    check_close(fused, expected, 0, what);
    if (device.is_cpu()) same_signs(fused, expected, what);
  };
  run("2×2", std::make_shared<MaxPool2d<T>>(2), {3, 2, 8, 18});
  run("2×2 with a rest", std::make_shared<MaxPool2d<T>>(2), {2, 3, 7, 9});
}

// A fused backward belongs to the two layers' last forwards.
HANDGRAD_TEST_EVERYWHERE(a_layer_that_ran_alone_in_between_goes_back_alone) {
  using T = typename Place::T;
  manual_seed(9);
  Sequential<T> net{Conv2d<T>(1, 2, 3), ReLU<T>(), MaxPool2d<T>(2)};
  net.to(Place::device());
  net.requires_input_grad(true);
  const Tensor<T> x = randn<T>({2, 1, 8, 8}).to(Place::device()), dy = randn<T>({2, 2, 3, 3}).to(Place::device());
  net.forward(x);
  const Tensor<T> other = net[1].forward(randn<T>({2, 2, 6, 6}).to(Place::device())).clone();
  const Results<T> fused = results(net, other, net.backward(dy));
  net.zero_grad();
  check_same(fused, results(net, other, backward_one_by_one(net, dy)), Place::tolerance, "ReLU alone");
}

BOOST_AUTO_TEST_CASE(other_windows_are_left_alone) {
  const auto found = [](std::shared_ptr<Layer<float>> below, std::shared_ptr<Layer<float>> pool) {
    return fusion::Plan<float>({below.get(), pool.get()}).backward_at(1) != nullptr;
  };
  const auto relu = std::make_shared<ReLU<float>>();
  BOOST_TEST(found(relu, std::make_shared<MaxPool2d<float>>(2)));
  BOOST_TEST(!found(relu, std::make_shared<MaxPool2d<float>>(3, MaxPool2dOptions{.stride = 2})));
  BOOST_TEST(!found(relu, std::make_shared<MaxPool2d<float>>(2, MaxPool2dOptions{.dilation = 2})));
  BOOST_TEST(!found(relu, std::make_shared<MaxPool2d<float>>(2, MaxPool2dOptions{.padding = 1})));
  BOOST_TEST(!found(relu, std::make_shared<AvgPool2d<float>>(2)));
  BOOST_TEST(!found(std::make_shared<LeakyReLU<float>>(), std::make_shared<MaxPool2d<float>>(2)));
}
