#include "kernels/norms.hpp"

#include "kernels/formulas/norms.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels {

using namespace cpu;

namespace {

// finish(c, Σᵣ f(r)) for each column c. f(read, c, i) gives K batches for the columns from c on, at offset i in the
// matrix, and reads with `read`. Added in blocks of rows, and these in double, so that the rounding of a long column
// does not grow with its length.
template <class T, std::size_t K, class F, class Finish>
void column_sums(std::size_t rows, std::size_t columns, F f, Finish finish) {
  using V = Batch<T>;
  constexpr std::size_t block = 16;
  const auto sums_of = [&](std::size_t c, std::size_t width, auto read) {
    double total[K][V::size] = {};
    for (std::size_t first = 0; first < rows; first += block) {
      std::array<V, K> part;
      part.fill(V(T(0)));
      for (std::size_t r = first; r < std::min(first + block, rows); ++r) {
        const std::array<V, K> terms = f(read, c, r * columns + c);
        for (std::size_t k = 0; k < K; ++k) part[k] = part[k] + terms[k];
      }
      for (std::size_t k = 0; k < K; ++k) {
        alignas(64) T values[V::size];
        part[k].store_aligned(values);
        for (std::size_t j = 0; j < V::size; ++j) total[k][j] += static_cast<double>(values[j]);
      }
    }
    for (std::size_t j = 0; j < width; ++j) {
      std::array<double, K> sums;
      for (std::size_t k = 0; k < K; ++k) sums[k] = total[k][j];
      finish(c + j, sums);
    }
  };
  std::size_t c = 0;
  for (; c + V::size <= columns; c += V::size) sums_of(c, V::size, [](const T* at) { return load(at); });
  const std::size_t rest = columns - c;
  if (rest > 0) sums_of(c, rest, [=](const T* at) { return load_part(at, rest); });
}

// Σ f(in[i]…), K sums at once, in blocks as above; the order depends on n only.
template <class T, std::size_t K, class F, class... In>
std::array<double, K> row_sums(std::size_t n, F f, const In*... in) {
  using V = Batch<T>;
  constexpr std::size_t w = V::size, block = 16 * w;
  std::array<double, K> total{};
  std::size_t i = 0;
  while (i + w <= n) {
    std::array<V, K> part;
    part.fill(V(T(0)));
    for (const std::size_t end = std::min(i + block, n); i + w <= end; i += w) {
      const std::array<V, K> terms = f(load(in + i)...);
      for (std::size_t k = 0; k < K; ++k) part[k] = part[k] + terms[k];
    }
    for (std::size_t k = 0; k < K; ++k) total[k] += static_cast<double>(xsimd::hadd(part[k]));
  }
  if (i < n) {
    const std::array<V, K> terms = f(load_part(in + i, n - i)...);
    for (std::size_t k = 0; k < K; ++k) {
      alignas(64) T values[w];
      terms[k].store_aligned(values);
      for (std::size_t j = 0; j < n - i; ++j) total[k] += static_cast<double>(values[j]);
    }
  }
  return total;
}

// µ in two numbers and σ², from n, m = the first sum's mean, Σ d and Σ d² with d = x − m.
template <class T>
struct Moments {
  T mean, rest, variance;
  Moments(double n, T m, const std::array<double, 2>& sums) {
    const double mu = static_cast<double>(m) + sums[0] / n;
    mean = static_cast<T>(mu);
    // µ − mean without µ, which in double is itself rounded
    rest = static_cast<T>((static_cast<double>(m) - static_cast<double>(mean)) + sums[0] / n);
    variance = static_cast<T>(std::max(0.0, (sums[1] - sums[0] * sums[0] / n) / n));
    if (sums[1] != sums[1]) variance = static_cast<T>(sums[1]);  // NaN stays NaN
  }
};

// grad = β·grad + sums
template <class T>
void accumulate_sums(std::size_t n, const T* sums, Gradient<T> to) {
  if (!to) return;
  for (std::size_t c = 0; c < n; ++c) to.data[c] = to.beta == T(0) ? sums[c] : to.data[c] + sums[c];
}

}  // namespace

// µ = (1/N) Σₙ x,  σ² = (1/N) Σₙ (x−µ)²,  s = 1/√(σ²+ε),  y = γ∘(x−µ)∘s + β
template <class D, class T>
void NormsOn<D, T>::batch_norm_forward(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, T eps,
                                       const RunningStatistics<T>& running, bool of_batch, Matrix<T> mean,
                                       Vector<T> inv_std, Matrix<T> y) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  T *mu = mean.data, *left = mu + columns, *s = inv_std.data;
  const auto n = static_cast<double>(rows);
  if (of_batch) {
    column_sums<T, 1>(
        rows, columns, [&](auto read, std::size_t, std::size_t i) { return std::array<V, 1>{read(x.data + i)}; },
        [&](std::size_t c, const std::array<double, 1>& sum) { mu[c] = static_cast<T>(sum[0] / n); });
    T a = running.momentum;
    if (running.count) *running.count += 1;
    if (running.count && running.cumulative) a = static_cast<T>(1 / *running.count);
    column_sums<T, 2>(
        rows, columns,
        [&](auto read, std::size_t c, std::size_t i) {
          const V d = read(x.data + i) - read(mu + c);
          return std::array<V, 2>{d, d * d};
        },
        [&](std::size_t c, const std::array<double, 2>& sums) {
          const Moments<T> moments(n, mu[c], sums);
          mu[c] = moments.mean;
          left[c] = moments.rest;
          s[c] = T(1) / std::sqrt(moments.variance + eps);
          if (!running.mean) return;
          T &m = running.mean[c], &v = running.var[c];
          m = (1 - a) * m + a * mu[c];
          v = (1 - a) * v + a * static_cast<T>(static_cast<double>(moments.variance) * n / (n - 1));
        });
  } else {
    for (std::size_t c = 0; c < columns; ++c) {
      mu[c] = running.mean[c];
      left[c] = 0;
      s[c] = T(1) / std::sqrt(running.var[c] + eps);
    }
  }
  T *scale = scratch<T>(2 * columns), *shift = scale + columns;
  for (std::size_t c = 0; c < columns; ++c) {
    scale[c] = gamma ? s[c] * gamma.data[c] : s[c];
    shift[c] = beta ? beta.data[c] : T(0);
  }
  for (std::size_t r = 0; r < rows; ++r)
    map(
        columns, y.data + r * columns, [](V v, V m, V l, V k, V b) { return formulas::normalized(v, m, l, k, b); },
        x.data + r * columns, mu, left, scale, shift);
}

// dβ = Σₙ δ,  dγ = Σₙ δ∘x̂,  dx = γ∘s∘(δ − dβ/N − x̂∘dγ/N)
template <class D, class T>
void NormsOn<D, T>::batch_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                        Matrix<const T> mean, Vector<const T> inv_std, bool of_batch, Matrix<T> sums,
                                        Gradient<T> dgamma, Gradient<T> dbeta, Matrix<T> dx) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  const T *mu = mean.data, *left = mu + columns, *s = inv_std.data;
  T *sum_d = sums.data, *sum_dx = sum_d + columns;
  column_sums<T, 2>(
      rows, columns,
      [&](auto read, std::size_t c, std::size_t i) {
        const V d = read(dy.data + i);
        return std::array<V, 2>{
            d, d * formulas::standardized(read(x.data + i), read(mu + c), read(left + c), read(s + c))};
      },
      [&](std::size_t c, const std::array<double, 2>& sum) {
        sum_d[c] = static_cast<T>(sum[0]);
        sum_dx[c] = static_cast<T>(sum[1]);
      });
  accumulate_sums(columns, sum_d, dbeta);
  accumulate_sums(columns, sum_dx, dgamma);
  if (!dx) return;
  T *scale = scratch<T>(3 * columns), *mean_d = scale + columns, *mean_dx = mean_d + columns;
  const T per_row = of_batch ? T(1) / static_cast<T>(rows) : T(0);
  for (std::size_t c = 0; c < columns; ++c) {
    scale[c] = gamma ? s[c] * gamma.data[c] : s[c];
    mean_d[c] = sum_d[c] * per_row;
    mean_dx[c] = sum_dx[c] * per_row;
  }
  for (std::size_t r = 0; r < rows; ++r)
    map(
        columns, dx.data + r * columns,
        [](V d, V v, V m, V l, V si, V md, V mdx, V k) {
          return formulas::normalized_gradient(d, formulas::standardized(v, m, l, si), md, mdx, k);
        },
        dy.data + r * columns, x.data + r * columns, mu, left, s, mean_d, mean_dx, scale);
}

// Row by row: µ = mean(x),  σ² = mean((x−µ)²),  s = 1/√(σ²+ε),  y = γ∘(x−µ)·s + β
template <class D, class T>
void NormsOn<D, T>::layer_norm_forward(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, T eps,
                                       Matrix<T> mean, Vector<T> inv_std, Matrix<T> y) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  T *ones = scratch<T>(2 * columns), *nothing = ones + columns;
  std::fill_n(ones, columns, T(1));
  std::fill_n(nothing, columns, T(0));
  const T *scale = gamma ? gamma.data : ones, *shift = beta ? beta.data : nothing;
  for (std::size_t r = 0; r < rows; ++r) {
    const T* row = x.data + r * columns;
    const auto n = static_cast<double>(columns);
    const auto [sum] = row_sums<T, 1>(
        columns, [](V v) { return std::array<V, 1>{v}; }, row);
    const T first = static_cast<T>(sum / n);
    const Moments<T> moments(n, first,
                             row_sums<T, 2>(
                                 columns,
                                 [m = V(first)](V v) {
                                   const V d = v - m;
                                   return std::array<V, 2>{d, d * d};
                                 },
                                 row));
    mean.data[r] = moments.mean;
    mean.data[rows + r] = moments.rest;
    inv_std.data[r] = T(1) / std::sqrt(moments.variance + eps);
    const V m(moments.mean), l(moments.rest), s(inv_std.data[r]);
    map(
        columns, y.data + r * columns, [=](V v, V k, V b) { return formulas::normalized(v, m, l, s * k, b); }, row,
        scale, shift);
  }
}

// dβ = Σₙ δ,  dγ = Σₙ δ∘x̂;  row by row, with g = γ∘δ:  dx = s·(g − mean(g) − x̂·mean(g∘x̂))
template <class D, class T>
void NormsOn<D, T>::layer_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                        Matrix<const T> mean, Vector<const T> inv_std, Gradient<T> dgamma,
                                        Gradient<T> dbeta, Matrix<T> dx) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  if (dgamma || dbeta) {
    T *sum_d = scratch<T>(2 * columns), *sum_dx = sum_d + columns;
    column_sums<T, 2>(
        rows, columns,
        [&](auto read, std::size_t c, std::size_t i) {
          const std::size_t r = (i - c) / columns;
          const V d = read(dy.data + i);
          return std::array<V, 2>{d, d * formulas::standardized(read(x.data + i), V(mean.data[r]),
                                                                V(mean.data[rows + r]), V(inv_std.data[r]))};
        },
        [&](std::size_t c, const std::array<double, 2>& sum) {
          sum_d[c] = static_cast<T>(sum[0]);
          sum_dx[c] = static_cast<T>(sum[1]);
        });
    accumulate_sums(columns, sum_d, dbeta);
    accumulate_sums(columns, sum_dx, dgamma);
  }
  if (!dx) return;
  T* ones = scratch<T>(columns);
  std::fill_n(ones, columns, T(1));
  const T* k = gamma ? gamma.data : ones;
  for (std::size_t r = 0; r < rows; ++r) {
    const T *row = x.data + r * columns, *delta = dy.data + r * columns;
    const V m(mean.data[r]), l(mean.data[rows + r]), s(inv_std.data[r]);
    const auto [sum_g, sum_gx] = row_sums<T, 2>(
        columns,
        [=](V d, V w, V v) {
          const V g = d * w;
          return std::array<V, 2>{g, g * formulas::standardized(v, m, l, s)};
        },
        delta, k, row);
    const V mean_g(static_cast<T>(sum_g / static_cast<double>(columns))),
        mean_gx(static_cast<T>(sum_gx / static_cast<double>(columns)));
    map(
        columns, dx.data + r * columns,
        [=](V d, V w, V v) {
          return formulas::normalized_gradient(d * w, formulas::standardized(v, m, l, s), mean_g, mean_gx, s);
        },
        delta, k, row);
  }
}

template class NormsOn<cpu::Cpu, float>;
template class NormsOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
