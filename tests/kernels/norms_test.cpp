// BatchNorm and LayerNorm on the CPU against a plain loop in the order that kernels/cpu/norms.cpp states: every bit, on
// every instruction set that this processor has.
#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/instruction_sets.hpp"
#include "kernels/formulas/norms.hpp"
#include "support/check.hpp"

namespace cpu = handgrad::kernels::cpu;
namespace formulas = handgrad::formulas;
using handgrad::kernels::Matrix;
using handgrad::kernels::Vector;

namespace {

/// Σᵣ f(r) of one column: blocks of 16 rows, one row after the other, in T; the blocks, one after the other, in double.
template <class T, class F>
double column_sum(std::size_t rows, F f) {
  double total = 0;
  for (std::size_t first = 0; first < rows; first += 16) {
    T block = 0;
    for (std::size_t r = first; r < std::min(first + 16, rows); ++r) block = block + f(r);
    total = total + static_cast<double>(block);
  }
  return total;
}

template <class T>
struct Case {
  std::size_t rows, columns;
  std::vector<T> x, dy, gamma, beta;

  Case(std::size_t n, std::size_t c) : rows(n), columns(c) {
    std::mt19937 random(7);
    std::normal_distribution<double> normal;
    const auto numbers = [&](std::size_t size, double mean) {
      std::vector<T> v(size);
      for (T& element : v) element = static_cast<T>(mean + normal(random));
      return v;
    };
    x = numbers(rows * columns, 3);
    dy = numbers(rows * columns, 0.1);
    gamma = numbers(columns, 1);
    beta = numbers(columns, 0);
  }
  Matrix<const T> matrix(const std::vector<T>& v) const { return {v.data(), rows, columns}; }
  Vector<const T> vector(const std::vector<T>& v) const { return {v.data(), v.size()}; }
};

/// What comes out, in one row.
template <class T>
using Results = std::vector<T>;

template <class T>
Results<T> specified(const Case<T>& c) {
  const double n = static_cast<double>(c.rows);
  const T eps = T(1e-5), per_row = T(1) / static_cast<T>(c.rows);
  std::vector<T> mean(2 * c.columns), s(c.columns), y(c.x.size()), sums(2 * c.columns), dx(c.x.size());
  for (std::size_t j = 0; j < c.columns; ++j) {
    const auto at = [&](std::size_t r) { return r * c.columns + j; };
    const T m = static_cast<T>(column_sum<T>(c.rows, [&](std::size_t r) { return c.x[at(r)]; }) / n);
    const double d = column_sum<T>(c.rows, [&](std::size_t r) { return c.x[at(r)] - m; });
    const double dd = column_sum<T>(c.rows, [&](std::size_t r) { return (c.x[at(r)] - m) * (c.x[at(r)] - m); });
    const T mu = static_cast<T>(static_cast<double>(m) + d / n);
    const T rest = static_cast<T>((static_cast<double>(m) - static_cast<double>(mu)) + d / n);
    const T variance = static_cast<T>(std::max(0.0, (dd - d * d / n) / n));
    mean[j] = mu;
    mean[c.columns + j] = rest;
    s[j] = T(1) / std::sqrt(variance + eps);
    const T scale = s[j] * c.gamma[j];
    const auto x_hat = [&](std::size_t r) { return formulas::standardized(c.x[at(r)], mu, rest, s[j]); };
    for (std::size_t r = 0; r < c.rows; ++r) y[at(r)] = formulas::normalized(c.x[at(r)], mu, rest, scale, c.beta[j]);
    sums[j] = static_cast<T>(column_sum<T>(c.rows, [&](std::size_t r) { return c.dy[at(r)]; }));
    sums[c.columns + j] = static_cast<T>(column_sum<T>(c.rows, [&](std::size_t r) { return c.dy[at(r)] * x_hat(r); }));
    for (std::size_t r = 0; r < c.rows; ++r)
      dx[at(r)] =
          formulas::normalized_gradient(c.dy[at(r)], x_hat(r), sums[j] * per_row, sums[c.columns + j] * per_row, scale);
  }
  Results<T> all;
  for (const auto& part : {mean, s, y, sums, dx}) all.insert(all.end(), part.begin(), part.end());
  return all;
}

template <class T>
Results<T> batch_norm(const cpu::InstructionSet& set, const Case<T>& c) {
  auto& norms = set.operations<T>().backend.norms;
  std::vector<T> mean(2 * c.columns), s(c.columns), y(c.x.size()), sums(2 * c.columns), dx(c.x.size()),
      dgamma(c.columns), dbeta(c.columns);
  const Matrix<T> mean_rows{mean.data(), 2, c.columns};
  norms.batch_norm_forward(c.matrix(c.x), c.vector(c.gamma), c.vector(c.beta), T(1e-5), {}, true, mean_rows,
                           {s.data(), c.columns}, {y.data(), c.rows, c.columns});
  norms.batch_norm_backward(c.matrix(c.x), c.matrix(c.dy), c.vector(c.gamma), mean_rows, {s.data(), c.columns}, true,
                            {sums.data(), 2, c.columns}, {dgamma.data(), T(0)}, {dbeta.data(), T(0)},
                            {dx.data(), c.rows, c.columns});
  BOOST_TEST(std::equal(dbeta.begin(), dbeta.end(), sums.begin()));
  BOOST_TEST(std::equal(dgamma.begin(), dgamma.end(), sums.begin() + static_cast<std::ptrdiff_t>(c.columns)));
  Results<T> all;
  for (const auto& part : {mean, s, y, sums, dx}) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// dγ of LayerNorm, whose mean and s belong to rows; the statistics are anything here.
template <class T>
void check_layer_norm(const Case<T>& c) {
  std::vector<T> mean(2 * c.rows), s(c.rows), expected(c.columns);
  for (std::size_t r = 0; r < c.rows; ++r) {
    mean[r] = c.x[r * c.columns];
    mean[c.rows + r] = static_cast<T>(1e-7) * c.dy[r * c.columns];
    s[r] = T(1) + c.dy[r * c.columns];
  }
  for (std::size_t j = 0; j < c.columns; ++j)
    expected[j] = static_cast<T>(column_sum<T>(c.rows, [&](std::size_t r) {
      const std::size_t at = r * c.columns + j;
      return c.dy[at] * formulas::standardized(c.x[at], mean[r], mean[c.rows + r], s[r]);
    }));
  for (const cpu::InstructionSet* set : cpu::instruction_sets()) {
    std::vector<T> dgamma(c.columns), dbeta(c.columns);
    set->operations<T>().backend.norms.layer_norm_backward(c.matrix(c.x), c.matrix(c.dy), c.vector(c.gamma),
                                                           {mean.data(), 2, c.rows}, {s.data(), c.rows},
                                                           {dgamma.data(), T(0)}, {dbeta.data(), T(0)}, {});
    BOOST_TEST(dgamma == expected,
               "LayerNorm " << c.rows << "x" << c.columns << " of " << sizeof(T) << " bytes, " << set->name);
  }
}

template <class T>
void check() {
  for (const std::size_t rows : {2u, 3u, 15u, 16u, 17u, 33u, 128u, 1001u})
    for (const std::size_t columns : {1u, 2u, 5u, 8u, 15u, 16u, 17u, 37u, 100u}) {
      const Case<T> c(rows, columns);
      const Results<T> expected = specified(c);
      for (const cpu::InstructionSet* set : cpu::instruction_sets())
        BOOST_TEST(batch_norm(*set, c) == expected,
                   "BatchNorm " << rows << "x" << columns << " of " << sizeof(T) << " bytes, " << set->name);
      check_layer_norm(c);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(floats_are_as_specified) { check<float>(); }
BOOST_AUTO_TEST_CASE(doubles_are_as_specified) { check<double>(); }
