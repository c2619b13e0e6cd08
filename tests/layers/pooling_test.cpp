// Pooling beyond PyTorch's values (reference_test.cpp): which of several equal elements gets the gradient, overlapping
// windows, NaN and infinities, the adjoint identity, errors.
#include "handgrad/layers/pooling.hpp"

#include <cmath>

#include "handgrad/base/random.hpp"
#include "handgrad/base/threads.hpp"
#include "handgrad/check/testing.hpp"
#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::make_layer;
using handgrad::test::Reference;

HANDGRAD_TEST_EVERYWHERE(of_equal_elements_the_one_that_torch_takes) {
  using T = typename Place::T;
  for (const Reference c : Reference::file("convolution")["ties"]) {
    const auto layer = make_layer<T>(c, Place::device());
    const Reference step = c["steps"][0];
    check_close(layer->forward(step["x"].tensor<T>().to(Place::device())), step["y"].tensor<double>(), 0, c.where());
    check_close(layer->backward(step["dy"].tensor<T>().to(Place::device())), step["dx"].tensor<double>(),
                Place::tolerance, c.where() + " dx");
  }
}

HANDGRAD_TEST_EVERYWHERE(gradients_of_overlapping_windows_add) {
  using T = typename Place::T;
  MaxPool2d<T> pool(3, {.stride = 1});
  Tensor<T> x = zeros<T>({1, 1, 5, 5});
  x.data()[2 * 5 + 2] = 1;  // in the middle: all nine windows see it
  pool.forward(x.to(Place::device()));
  const std::vector<T> dx = pool.backward(ones<T>({1, 1, 3, 3}).to(Place::device())).to_vector();
  for (std::size_t i = 0; i < 25; ++i) BOOST_TEST(dx[i] == (i == 12 ? T(9) : T(0)));
}

HANDGRAD_TEST_EVERYWHERE(extremes) {
  using T = typename Place::T;
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  for (const std::size_t padding : {0u, 1u}) {  // both paths of the kernel
    MaxPool2d<T> pool(2, {.padding = padding});
    Tensor<T> x({1, 1, 4, 4}, {-inf, -inf, 1, nan, -inf, -inf, 2, inf, nan, 3, -1, -2, 4, nan, -3, -4});
    const std::vector<T> y = pool.forward(x.to(Place::device())).to_vector();
    const Shape shape = pool.output_shape(x.shape());
    const std::vector<T> dx = pool.backward(ones<T>(shape).to(Place::device())).to_vector();
    if (padding == 0) {
      BOOST_TEST(y[0] == -inf);
      BOOST_TEST(std::isnan(y[1]));
      BOOST_TEST(std::isnan(y[2]));
      BOOST_TEST(y[3] == T(-1));
      BOOST_TEST(dx == (std::vector<T>{1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0}),
                 boost::test_tools::per_element());
    } else {
      BOOST_TEST(y[0] == -inf);  // the corner alone: padding is never the maximum
      BOOST_TEST(std::isnan(y[2]));
      BOOST_TEST(y[4] == T(3));
    }
  }
}

HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(the_mean_s_backward_is_its_adjoint) {
  manual_seed(2);
  const auto check = [](Layer<double>& pool, const Shape& shape) {
    const Tensor<double> x = randn<double>(shape).to(Place::device());
    const Tensor<double> y = pool.forward(x).clone(), z = randn<double>(y.shape()).to(Place::device());
    const std::vector<double> xs = x.to_vector(), ys = y.to_vector(), zs = z.to_vector(),
                              adjoint = pool.backward(z).to_vector();
    double left = 0, right = 0;
    for (std::size_t i = 0; i < ys.size(); ++i) left += ys[i] * zs[i];
    for (std::size_t i = 0; i < xs.size(); ++i) right += xs[i] * adjoint[i];
    BOOST_TEST(std::abs(left - right) < 1e-12 * (1 + std::abs(left)));
  };
  for (const std::size_t stride : {1u, 2u, 3u})
    for (const std::size_t padding : {0u, 1u})
      for (const bool ceil_mode : {false, true})
        for (const bool counts : {false, true}) {
          AvgPool2d<double> pool(
              {3, 2},
              {.stride = stride, .padding = {padding, padding}, .ceil_mode = ceil_mode, .count_include_pad = counts});
          check(pool, {2, 3, 7, 11});
        }
  for (const Size2d& size : {Size2d(1), Size2d(2, 3), Size2d(7, 5), Size2d(11, 13)}) {
    AdaptiveAvgPool2d<double> pool(size);
    check(pool, {2, 3, 7, 11});
  }
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_any_number_of_threads) {
  manual_seed(3);
  const Tensor<float> x = randn<float>({16, 8, 33, 35});
  MaxPool2d two(2), three(3, {.stride = 2, .padding = 1});
  AvgPool2d mean(3, {.stride = 2, .padding = 1});
  const int before = num_threads();
  for (Layer<float>* layer :
       {static_cast<Layer<float>*>(&two), static_cast<Layer<float>*>(&three), static_cast<Layer<float>*>(&mean)}) {
    std::vector<float> y, dx;
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      const std::vector<float> now = layer->forward(x).to_vector(),
                               back = layer->backward(layer->forward(x).clone()).to_vector();
      if (y.empty()) y = now, dx = back;
      BOOST_TEST((now == y));
      BOOST_TEST((back == dx));
    }
  }
  set_num_threads(before);
}

BOOST_AUTO_TEST_CASE(wrong_shapes_and_numbers_are_refused) {
  MaxPool2d pool(3);
  check_throws<ShapeError>([&] { pool.forward(zeros<float>({2, 3})); }, {"MaxPool2d", "(N, C, H, W)", "(2, 3)"});
  check_throws<ShapeError>([&] { pool.forward(zeros<float>({1, 1, 2, 5})); }, {"3 rows", "has 2"});
  check_throws<ValueError>([] { MaxPool2d(0); }, {"MaxPool2d", "kernel_size = 0"});
  check_throws<ValueError>([] { MaxPool2d(2, {.stride = Size2d(0)}); }, {"stride = 0"});
  check_throws<ValueError>([] { MaxPool2d(2, {.padding = 2}); }, {"padding = 2", "half"});
  check_throws<ValueError>([] { AvgPool2d(2, {.padding = 2}); }, {"padding = 2", "half"});
  check_throws<ValueError>([] { AvgPool2d(2, {.divisor_override = 0}); }, {"divisor_override"});
  check_throws<ValueError>([] { AdaptiveAvgPool2d({2, 0}); }, {"output_size = (2, 0)"});
  AvgPool1d line(2);
  check_throws<ShapeError>([&] { line.forward(zeros<float>({1, 1, 2, 5})); }, {"AvgPool1d", "(N, C, L)"});
}
