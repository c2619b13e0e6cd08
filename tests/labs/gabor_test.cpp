// The gabor lab's layer, written with xtensor like a user's: its gradient is right on every device.
#include "gabor/gabor.hpp"

#include <boost/test/unit_test.hpp>

#include "handgrad/check/testing.hpp"
#include "support/typed.hpp"

using namespace handgrad;

HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(the_gradient_is_right) {
  Gabor<double> layer(2, 14);
  layer.to(Place::device());
  for (const Shape& shape : {Shape{1, 1}, Shape{7, 1}, Shape{3, 5}})
    HANDGRAD_CHECK_GRADIENTS(layer, randn<double>(shape).to(Place::device()));
}

HANDGRAD_TEST_CUDA(it_learns_what_it_learns_on_the_cpu) {
  using T = typename Place::T;
  Generator generator(3);
  const Samples<T> data = make_gabor<T>(50, 0.1, 3, 15, generator);
  const auto learnt_on = [&](Device device) {
    Gabor<T> layer(2, 14);
    layer.to(device);
    MSELoss<T> loss;
    SGD<T> sgd(layer.parameters(), {.lr = 0.1, .momentum = 0.9});
    TrainingStep<T> step(layer, loss, sgd);
    const Tensor<T> x = data.x.to(device), y = data.y.to(device);
    for (int i = 0; i < 20; ++i) step(x, y);
    return std::pair{layer.w1.value().item(), layer.w2.value().item()};
  };
  const auto [w1, w2] = learnt_on(Place::device());
  const auto [w1_cpu, w2_cpu] = learnt_on(Device::cpu());
  BOOST_TEST(std::abs(w1 - w1_cpu) <= Place::tolerance * 10);
  BOOST_TEST(std::abs(w2 - w2_cpu) <= Place::tolerance * 100);
  BOOST_TEST(w1 != T(2));
}
