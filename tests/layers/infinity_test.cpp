// At ±∞ every activation and loss takes its limit, if there is one, and NaN stays NaN.
#include <cmath>
#include <limits>
#include <memory>

#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/prelu.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/kl_div.hpp"
#include "handgrad/losses/mse.hpp"
#include "support/check.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity(), not_a_number = std::numeric_limits<double>::quiet_NaN();

/// f(−∞), f(∞), f′(−∞), f′(∞)
template <class T>
struct Limits {
  std::shared_ptr<Layer<T>> f;
  std::vector<double> y, slope;
};

template <class T>
std::vector<Limits<T>> limits() {
  return {{std::make_shared<Identity<T>>(), {-inf, inf}, {1, 1}},
          {std::make_shared<Threshold<T>>(), {0, 1}, {0, 0}},
          {std::make_shared<Sigmoid<T>>(), {0, 1}, {0, 0}},
          {std::make_shared<Tanh<T>>(), {-1, 1}, {0, 0}},
          {std::make_shared<ReLU<T>>(), {0, inf}, {0, 1}},
          {std::make_shared<LeakyReLU<T>>(), {-inf, inf}, {T(0.01), 1}},
          {std::make_shared<LeakyReLU<T>>(0.0), {0, inf}, {0, 1}},
          {std::make_shared<LeakyReLU<T>>(-0.5), {inf, inf}, {-0.5, 1}},
          {std::make_shared<ELU<T>>(), {-1, inf}, {0, 1}},
          {std::make_shared<ELU<T>>(0.25), {-0.25, inf}, {0, 1}},
          {std::make_shared<ELU<T>>(0.0), {0, inf}, {0, 1}},
          {std::make_shared<GELU<T>>(), {0, inf}, {0, 1}},
          {std::make_shared<GELU<T>>("tanh"), {0, inf}, {0, 1}},
          {std::make_shared<SiLU<T>>(), {0, inf}, {0, 1}},
          {std::make_shared<Softplus<T>>(), {0, inf}, {0, 1}},
          {std::make_shared<Softplus<T>>(2.0, 5.0), {0, inf}, {0, 1}},
          {std::make_shared<Hardtanh<T>>(), {-1, 1}, {0, 0}},
          {std::make_shared<Hardtanh<T>>(-2.0, 0.5), {-2, 0.5}, {0, 0}},
          {std::make_shared<Hardsigmoid<T>>(), {0, 1}, {0, 0}},
          {std::make_shared<Hardswish<T>>(), {0, inf}, {0, 1}},
          {std::make_shared<LogSigmoid<T>>(), {-inf, 0}, {1, 0}},
          {std::make_shared<Softsign<T>>(), {-1, 1}, {0, 0}},
          {std::make_shared<Mish<T>>(), {0, inf}, {0, 1}},
          {std::make_shared<PReLU<T>>(), {-inf, inf}, {0.25, 1}},
          {std::make_shared<PReLU<T>>(1, 0.0), {0, inf}, {0, 1}},
          {std::make_shared<PReLU<T>>(1, -0.5), {inf, inf}, {-0.5, 1}}};
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(activations_take_their_limits) {
  using T = typename Place::T;
  // Besides infinities, the largest numbers, whose squares overflow; enough elements for whole SIMD batches.
  const double most = static_cast<double>(std::numeric_limits<T>::max()) / 4;
  std::vector<T> z;
  for (int i = 0; i < 9; ++i)
    for (const double v : {-inf, inf, not_a_number}) z.push_back(static_cast<T>(v));
  const Tensor<T> x = Tensor<T>({z.size()}, z).to(Place::device()), ones = full<T>({z.size()}, T(1), Place::device());
  const Tensor<T> far = Tensor<T>{T(-most), T(most)}.to(Place::device()), two = full<T>({2}, T(1), Place::device());
  for (const auto& [f, y, slope] : limits<T>()) {
    f->to(Place::device());
    const std::string name = f->label();
    const std::vector<T> values = f->forward(x).to_vector(), slopes = f->backward(ones).to_vector();
    std::vector<double> expected_values, expected_slopes;
    for (int i = 0; i < 9; ++i) {
      expected_values.insert(expected_values.end(), {y[0], y[1], not_a_number});
      expected_slopes.insert(expected_slopes.end(), {slope[0], slope[1], slopes[2]});  // f′(NaN) may be anything
    }
    check_close(values, expected_values, 0, name);
    for (std::size_t i = 0; i < slopes.size(); ++i)
      if (i % 3 != 2) BOOST_TEST(double(slopes[i]) == expected_slopes[i], name << "′ at " << z[i]);
    // Finite inputs give finite outputs.
    for (const T v : f->forward(far).to_vector()) BOOST_TEST(std::isfinite(v), name << " far out");
    for (const T v : f->backward(two).to_vector()) BOOST_TEST(std::isfinite(v), name << "′ far out");
  }
}

HANDGRAD_TEST_EVERYWHERE(losses_take_their_limits) {
  using T = typename Place::T;
  const std::vector<T> p{T(-inf), T(inf), T(-inf), T(inf), T(-inf), T(inf), T(-inf), T(inf), T(not_a_number)},
      y{0, 0, 1, 1, T(0.5), T(0.5), T(0.25), T(0.25), 1};
  const Tensor<T> z = Tensor<T>({p.size()}, p).to(Place::device()), t = Tensor<T>({y.size()}, y).to(Place::device());
  const Tensor<T> upstream = full<T>({p.size()}, T(1), Place::device());
  const auto check = [&](Loss<T>& loss, const std::vector<double>& value, const std::vector<double>& slope,
                         const std::string& name) {
    check_close(loss.forward(z, t).to_vector(), value, 0, name);
    check_close(loss.backward(upstream).to_vector(), slope, 1e-6, name + "′");
  };
  BCEWithLogitsLoss<T> bce(Reduction::None);
  check(bce, {0, inf, inf, 0, inf, inf, inf, inf, not_a_number}, {0, 1, -1, 0, -0.5, 0.5, -0.25, 0.75, not_a_number},
        "BCEWithLogitsLoss");
  BCEWithLogitsLoss<T> weighted({.pos_weight = Tensor<T>{3}.to(Place::device()), .reduction = Reduction::None});
  check(weighted, {0, inf, inf, 0, inf, inf, inf, inf, not_a_number},
        {0, 1, -3, 0, -1.5, 0.5, -0.75, 0.75, not_a_number}, "BCEWithLogitsLoss, q = 3");
  MSELoss<T> mse(Reduction::None);
  check(mse, {inf, inf, inf, inf, inf, inf, inf, inf, not_a_number},
        {-inf, inf, -inf, inf, -inf, inf, -inf, inf, not_a_number}, "MSELoss");
  L1Loss<T> l1(Reduction::None);
  check(l1, {inf, inf, inf, inf, inf, inf, inf, inf, not_a_number}, {-1, 1, -1, 1, -1, 1, -1, 1, not_a_number},
        "L1Loss");
  HuberLoss<T> huber({.delta = 2, .reduction = Reduction::None});
  check(huber, {inf, inf, inf, inf, inf, inf, inf, inf, not_a_number}, {-2, 2, -2, 2, -2, 2, -2, 2, not_a_number},
        "HuberLoss");
  for (const double beta : {0.0, 0.5}) {
    SmoothL1Loss<T> smooth({.reduction = Reduction::None, .beta = beta});
    check(smooth, {inf, inf, inf, inf, inf, inf, inf, inf, not_a_number}, {-1, 1, -1, 1, -1, 1, -1, 1, not_a_number},
          "SmoothL1Loss");
  }
  KLDivLoss<T> divergence(Reduction::None);
  check(divergence, {0, 0, inf, -inf, inf, -inf, inf, -inf, not_a_number}, {0, 0, -1, -1, -0.5, -0.5, -0.25, -0.25, -1},
        "KLDivLoss");
}

// log(1 + e⁻⁵⁰) must not be computed as a difference of two large numbers.
HANDGRAD_TEST_EVERYWHERE(a_right_logit_far_out_costs_what_it_costs) {
  using T = typename Place::T;
  const Tensor<T> z = Tensor<T>{-50, 50, -20, 20}.to(Place::device()), t = Tensor<T>{0, 1, 0, 1}.to(Place::device());
  BCEWithLogitsLoss<T> bce(Reduction::None);
  const std::vector<T> values = bce.forward(z, t).to_vector();
  const double far = std::log1p(std::exp(-50.0)), near = std::log1p(std::exp(-20.0));
  for (std::size_t i = 0; i < 4; ++i) {
    const double expected = i < 2 ? far : near;
    BOOST_TEST(std::abs(double(values[i]) - expected) <= 1e-5 * expected, "element " << i << " is " << values[i]);
  }
}
