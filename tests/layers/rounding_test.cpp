// What rounding must not destroy: a mean or logit large beside what matters, sums over many rows; and a class target
// that changes unnoticed by the loss.
#include <algorithm>
#include <cmath>
#include <limits>

#include "handgrad/base/random.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/convolution.hpp"
#include "handgrad/layers/embedding.hpp"
#include "handgrad/layers/group_norm.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/neuron.hpp"
#include "handgrad/layers/prelu.hpp"
#include "handgrad/layers/rms_norm.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "support/check.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

/// offset + i·step, i < n, rounded to T: a row, and the same numbers in double.
template <class T>
std::vector<T> ramp(double offset, double step, std::size_t n) {
  std::vector<T> x;
  for (std::size_t i = 0; i < n; ++i) x.push_back(static_cast<T>(offset + step * static_cast<double>(i)));
  return x;
}
template <class T>
std::vector<double> in_double(const std::vector<T>& x) {
  return {x.begin(), x.end()};
}

}  // namespace

// The first expected values are torch's in double for these very floats: −1.3415, −1.3415 and −1.3313.
HANDGRAD_TEST_EVERYWHERE(norms_of_numbers_far_from_zero) {
  using T = typename Place::T;
  for (const double offset : {0.0, 100.0, 1000.0, 10000.0, -10000.0, 300000.0}) {
    const double step = offset == 300000 ? 0.03125 : 1e-3;
    const std::vector<T> numbers = ramp<T>(offset, step, 16);
    std::vector<T> upstream;  // not linear in x, or dx would be pure rounding
    for (int i = 0; i < 16; ++i) upstream.push_back(static_cast<T>(std::cos(3 * i)));
    const std::string where = "offset " + std::to_string(offset);
    const auto agree = [&](auto& layer, auto& exact, const Shape& shape) {
      const Tensor<T> x = Tensor<T>(shape, numbers).to(Place::device()),
                      dy = Tensor<T>(shape, upstream).to(Place::device());
      const Tensor<double> x64(shape, in_double(numbers)), dy64(shape, in_double(upstream));
      layer.to(Place::device());
      check_close(layer.forward(x), exact.forward(x64), 1e-5, where + " " + layer.label());
      const Tensor<double> dx = exact.backward(dy64);
      double most = 0;
      for (const double v : dx.to_vector()) most = std::max(most, std::abs(v));
      const std::vector<T> own = layer.backward(dy).to_vector();
      for (std::size_t i = 0; i < own.size(); ++i)
        BOOST_TEST(std::abs(double(own[i]) - dx.to_vector()[i]) <= 1e-5 * most, where << " dx " << i);
      for (std::size_t i = 0; i < layer.parameters().size(); ++i)
        check_close(layer.parameters()[i].grad(), exact.parameters()[i].grad(), 1e-5, where + " gradient");
    };
    LayerNorm<T> row(16);
    LayerNorm<double> exact_row(16);
    agree(row, exact_row, {1, 16});
    BatchNorm1d<T> column(1);
    BatchNorm1d<double> exact_column(1);
    agree(column, exact_column, {16, 1});
    if (offset == 10000 && std::is_same_v<T, float>)
      BOOST_TEST(std::abs(double(row.forward(Tensor<T>({1, 16}, numbers).to(Place::device())).to_vector()[0]) +
                          1.331333351732216) < 1e-5);
  }
}

HANDGRAD_TEST_EVERYWHERE(norms_of_equal_numbers_are_0) {
  using T = typename Place::T;
  for (const double c : {12345.678, 0.1, -3e7, 1e-20})
    for (const std::size_t n : {10, 1000, 2500}) {
      const Tensor<T> x = full<T>({n, 1}, static_cast<T>(c), Place::device());
      const auto check = [&](Layer<T>&& norm, const Shape& shape) {
        norm.to(Place::device());
        for (const T v : norm.forward(x.reshape(shape)).to_vector())
          BOOST_TEST_REQUIRE(v == T(0), norm.label() << ": " << n << " times " << c);
      };
      check(BatchNorm1d<T>(1), {n, 1});
      check(BatchNorm1d<T>(1), {n / 2, 1, 2});
      check(BatchNorm2d<T>(1), {1, 1, n / 2, 2});
      check(LayerNorm<T>(n), {1, n});
      check(LayerNorm<T>(Shape{n / 2, 2}), {1, n / 2, 2});
      check(GroupNorm<T>(1, 2), {1, 2, n / 2});
    }
}

HANDGRAD_TEST_EVERYWHERE(sums_over_many_rows_keep_their_digits) {
  using T = typename Place::T;
  const std::size_t rows = Place::device().is_cpu() ? 3000000 : 100000;
  const Tensor<T> x = Tensor<T>::empty({rows, 1}), dy = full<T>({rows, 1}, T(0.1), Place::device());
  Tensor<T> alternating = x;
  for (std::size_t i = 0; i < rows; ++i) alternating.data()[i] = i % 2 == 0 ? T(1) : T(-1);
  for (const bool batch : {true, false}) {
    std::shared_ptr<Layer<T>> layer;
    if (batch)
      layer = std::make_shared<BatchNorm1d<T>>(1);
    else
      layer = std::make_shared<LayerNorm<T>>(1);
    layer->to(Place::device());
    layer->forward(x.to(Place::device()));
    layer->backward(dy);
    const double expected = static_cast<double>(T(0.1)) * static_cast<double>(rows);
    const double sum = double(layer->parameters()[1].grad().to_vector()[0]);
    BOOST_TEST(std::abs(sum - expected) <= 1e-6 * expected, layer->label() << ": dβ = " << sum);
  }
}

// The same for every gradient that is summed over all rows or positions. δ = 0.1 everywhere; its factor is 1 or −½.
HANDGRAD_TEST_EVERYWHERE(gradients_of_shared_parameters_keep_their_digits) {
  using T = typename Place::T;
  const std::size_t n = Place::device().is_cpu() ? 1000000 : 50000;
  const double each = static_cast<double>(T(0.1));
  const auto check = [&](std::shared_ptr<Layer<T>> layer, const Shape& shape, T x, std::size_t parameter, double sum) {
    layer->to(Place::device());
    const Tensor<T>& y = layer->forward(full<T>(shape, x, Place::device()));
    layer->backward(full<T>(y.shape(), T(0.1), Place::device()));
    for (const T got : layer->parameters().at(parameter).grad().to_vector())
      BOOST_TEST(std::abs(double(got) - sum) <= 1e-5 * std::abs(sum),
                 layer->label() << ", parameter " << parameter << ": " << got << ", expected " << sum);
  };
  const double total = each * static_cast<double>(n);
  for (const std::size_t parameter : {0, 1}) {  // dW, db
    check(std::make_shared<Linear<T>>(1, 3), {n, 1}, 1, parameter, total);
    check(std::make_shared<Neuron<T>>(3), {n, 3}, 1, parameter, total);
    check(std::make_shared<Conv1d<T>>(1, 2, 1), {10, 1, n / 10}, 1, parameter, total);
    check(std::make_shared<Conv2d<T>>(1, 2, 1), {10, 1, 100, n / 1000}, 1, parameter, total);
    check(std::make_shared<ConvTranspose2d<T>>(1, 2, 1), {10, 1, 100, n / 1000}, 1, parameter, total);
  }
  check(std::make_shared<PReLU<T>>(), {n, 1}, T(-0.5), 0, -0.5 * total);
  check(std::make_shared<RMSNorm<T>>(1), {n, 1}, 1, 0, total);
  check(std::make_shared<BatchNorm2d<T>>(1), {10, 1, 100, n / 1000}, 1, 1, total);
  check(std::make_shared<GroupNorm<T>>(1, 1), {10, 1, n / 10}, 1, 1, total);
  check(std::make_shared<LayerNorm<T>>(1), {n, 1}, 1, 1, total);
  check(std::make_shared<Embedding<T>>(1, 3), {n}, 0, 0, total);
}

// log Σ and the maximum are kept apart, so that what is small beside 1 survives.
HANDGRAD_TEST_EVERYWHERE(cross_entropy_of_large_logits) {
  using T = typename Place::T;
  const auto check = [](std::vector<T> logits, int c, double loss, std::vector<double> gradient, double relative) {
    const std::size_t n = logits.size();
    const Tensor<T> z = Tensor<T>({1, n}, logits).to(Place::device()), y = Tensor<T>{T(c)}.to(Place::device());
    CrossEntropyLoss<T> cross_entropy;
    const double value = double(cross_entropy.forward(z, y).item());
    BOOST_TEST(std::abs(value - loss) <= relative * loss, logits[0] << " …: " << value << ", expected " << loss);
    check_close(cross_entropy.backward().to_vector(), gradient, 1e-6, "gradient");
    LogSoftmax<T> log_softmax;
    const double y_c = double(log_softmax.forward(z).to_vector()[std::size_t(c)]);
    BOOST_TEST(std::abs(y_c + loss) <= relative * loss, "LogSoftmax " << y_c);
  };
  const double relative = std::is_same_v<T, double> ? 1e-12 : 5e-7;
  const double p = 1 / (1 + std::exp(-1.0));
  for (const double o : {0.0, 1e4, 1e5, 1e6, 1e7, -1e7})
    check({T(o), T(o + 1)}, 1, std::log1p(std::exp(-1.0)), {1 - p, p - 1}, relative);
  const double a = std::exp(-10.0), b = std::exp(-12.0), sum = 1 + a + b;
  check({1003, 1013, 1001}, 1, std::log1p(a + b), {a / sum, -(a + b) / sum, b / sum}, relative);
  check({5, 5, 5, 5}, 2, std::log(4.0), {0.25, 0.25, -0.75, 0.25}, relative);
}

// (1, 0) is the limit of softmax(z, 0) for z → ∞; several +∞ have none.
HANDGRAD_TEST_EVERYWHERE(softmax_takes_its_limits) {
  using T = typename Place::T;
  const Tensor<T> z = Tensor<T>{{T(inf), 0, 1}, {T(-inf), 0, 0},     {T(inf), T(inf), 0}, {T(-inf), T(-inf), T(-inf)},
                                {0, T(NAN), 1}, {T(inf), T(-inf), 3}}
                          .to(Place::device());
  const double nan_ = std::numeric_limits<double>::quiet_NaN(), half = std::log(0.5);
  Softmax<T> softmax;
  LogSoftmax<T> log_softmax;
  check_close(softmax.forward(z).to_vector(),
              std::vector<double>{1, 0, 0, 0, 0.5, 0.5, nan_, nan_, nan_, nan_, nan_, nan_, nan_, nan_, nan_, 1, 0, 0},
              1e-6, "Softmax");
  check_close(log_softmax.forward(z).to_vector(),
              std::vector<double>{0, -inf, -inf, -inf, half, half, nan_, nan_, nan_, nan_, nan_, nan_, nan_, nan_, nan_,
                                  0, -inf, -inf},
              1e-6, "LogSoftmax");
  CrossEntropyLoss<T> each(Reduction::None);
  const Tensor<T> y = Tensor<T>{0, 1, 0, 0, 0, 2}.to(Place::device());
  check_close(each.forward(z, y).to_vector(), std::vector<double>{0, -half, nan_, nan_, nan_, inf}, 1e-6,
              "CrossEntropyLoss");
  check_close(
      each.backward(full<T>({6}, T(1), Place::device())).to_vector(),
      std::vector<double>{0, 0, 0, 0, -0.5, 0.5, nan_, nan_, nan_, nan_, nan_, nan_, nan_, nan_, nan_, 1, 0, -1}, 1e-6,
      "CrossEntropyLoss′");
}

// On the CPU backward() throws; on a GPU the error appears when the gradient is brought to the host.
HANDGRAD_TEST_EVERYWHERE(a_class_that_changed_between_forward_and_backward_is_an_error) {
  using T = typename Place::T;
  const Tensor<T> z = Tensor<T>{{1, 2, 3}, {3, 2, 1}}.to(Place::device());
  CrossEntropyLoss<T> cross_entropy;
  NLLLoss<T> nll;
  for (Loss<T>* loss : std::initializer_list<Loss<T>*>{&cross_entropy, &nll})
    for (const double wrong : {7.0, -1.0, 0.5, inf}) {
      Tensor<T> y = Tensor<T>{0, 2}.to(Place::device());
      loss->forward(z, y).item();
      y.copy_from(Tensor<T>{0, T(wrong)});
      check_throws<ValueError>([&] { loss->backward().to_vector(); }, {"target 1", "a class from 0 to 2"});
      y.copy_from(Tensor<T>{0, 2});  // and then the error is gone
      loss->forward(z, y);
      loss->backward().to_vector();
    }
}

// p − 1 for a p that float rounds to 1, or nearly: of CrossEntropyLoss, and of NLLLoss after LogSoftmax.
HANDGRAD_TEST_EVERYWHERE(the_gradient_of_a_class_that_is_almost_sure) {
  using T = typename Place::T;
  const Tensor<T> classes = Tensor<T>{1, 0, 2, 1}.to(Place::device()),
                  shares = Tensor<T>{{0, 1, 0}, {1, 0, 0}, {0.5, 0.25, 0.25}, {0, 1, 0}}.to(Place::device());
  const std::vector<T> logits{1003, 1013, 1001, 20, 0, 1, -30, 2, 2, 0, 60, 0};
  const Tensor<T> x = Tensor<T>({4, 3}, logits).to(Place::device());
  const Tensor<double> z64({4, 3}, in_double(logits));
  const auto check = [&](const Tensor<T>& target, const std::vector<T>& d, const char* what) {
    const std::vector<T> t = target.to_vector();
    for (std::size_t i = 0; i < 4; ++i) {
      const std::vector<double> z = z64.rows(i, i + 1).to_vector();
      const double m = *std::max_element(z.begin(), z.end());
      double sum = 0;
      for (const double v : z) sum += std::exp(v - m);
      for (std::size_t j = 0; j < 3; ++j) {
        const double share = target.rank() == 1 ? double(t[i]) == double(j) : double(t[i * 3 + j]);
        double others = 0;  // Σ p of the other classes: 1 − p
        for (std::size_t k = 0; k < 3; ++k) others += k == j ? 0 : std::exp(z[k] - m) / sum;
        const double expected = ((1 - share) - others) / 4, p = std::exp(z[j] - m) / sum / 4;
        const double exact = share == 0 ? p : share == 1 ? -others / 4 : expected;
        BOOST_TEST(std::abs(double(d[i * 3 + j]) - exact) <= 1e-5 * std::abs(exact) + 1e-37,
                   what << " " << i << ", " << j);
      }
    }
  };
  for (const Tensor<T>& target : {classes, shares}) {
    CrossEntropyLoss<T> loss;
    loss.forward(x, target);
    check(target, loss.backward().to_vector(), "CrossEntropyLoss");
  }
  LogSoftmax<T> log_softmax;
  log_softmax.requires_input_grad(true);
  NLLLoss<T> nll;
  nll.forward(log_softmax.forward(x), classes);
  check(classes, log_softmax.backward(nll.backward()).to_vector(), "LogSoftmax");
}
