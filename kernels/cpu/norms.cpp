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

// Σ over the rows, column by column: totals[k] (columns) = Σᵣ f(r)[k]. f(read, c, i) gives K batches for the columns
// from c on, at offset i in the matrix, and reads with `read`. Added in blocks of rows, so that the rounding of a long
// column does not grow with its length.
template <class T, std::size_t K, class F>
void column_sums(std::size_t rows, std::size_t columns, F f, const std::array<T*, K>& totals) {
  using V = Batch<T>;
  constexpr std::size_t block = 64;
  const auto sums_of = [&](std::size_t c, auto read) {
    std::array<V, K> total;
    total.fill(V(T(0)));
    for (std::size_t first = 0; first < rows; first += block) {
      std::array<V, K> part;
      part.fill(V(T(0)));
      for (std::size_t r = first; r < std::min(first + block, rows); ++r) {
        const std::array<V, K> terms = f(read, c, r * columns + c);
        for (std::size_t k = 0; k < K; ++k) part[k] = part[k] + terms[k];
      }
      for (std::size_t k = 0; k < K; ++k) total[k] = total[k] + part[k];
    }
    return total;
  };
  std::size_t c = 0;
  for (; c + V::size <= columns; c += V::size) {
    const auto total = sums_of(c, [](const T* p) { return load(p); });
    for (std::size_t k = 0; k < K; ++k) total[k].store_unaligned(totals[k] + c);
  }
  if (c == columns) return;
  const std::size_t rest = columns - c;
  const auto total = sums_of(c, [=](const T* p) { return load_part(p, rest); });
  for (std::size_t k = 0; k < K; ++k) store_part(total[k], totals[k] + c, rest);
}

// Σ f(in[i]…) in T, in an order that depends on n only.
template <class T, class F, class... In>
T row_sum(std::size_t n, F f, const In*... in) {
  constexpr std::size_t w = Batch<T>::size;
  Batch<T> total(T(0));
  std::size_t i = 0;
  for (; i + w <= n; i += w) total = total + f(load(in + i)...);
  T rest = 0;
  if (i < n) {
    alignas(64) T values[w];
    f(load_part(in + i, n - i)...).store_aligned(values);
    for (std::size_t j = 0; j < n - i; ++j) rest += values[j];
  }
  return xsimd::hadd(total) + rest;
}

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
                                       const RunningStatistics<T>& running, bool of_batch, Vector<T> mean,
                                       Vector<T> inv_std, Matrix<T> y) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  T *mu = mean.data, *s = inv_std.data;
  const T n = static_cast<T>(rows);
  if (of_batch) {
    column_sums<T, 1>(rows, columns,
                      [&](auto read, std::size_t, std::size_t i) { return std::array<V, 1>{read(x.data + i)}; }, {mu});
    for (std::size_t c = 0; c < columns; ++c) mu[c] /= n;
    column_sums<T, 1>(rows, columns,
                      [&](auto read, std::size_t c, std::size_t i) {
                        const V d = read(x.data + i) - read(mu + c);
                        return std::array<V, 1>{d * d};
                      },
                      {s});
    T a = running.momentum;
    if (running.count) *running.count += 1;
    if (running.count && running.cumulative) a = T(1) / *running.count;
    for (std::size_t c = 0; c < columns; ++c) {
      const T var = s[c] / n;
      if (running.mean) {
        T &m = running.mean[c], &v = running.var[c];
        m = (1 - a) * m + a * mu[c];
        v = (1 - a) * v + a * (s[c] / (n - 1));
      }
      s[c] = T(1) / std::sqrt(var + eps);
    }
  } else {
    for (std::size_t c = 0; c < columns; ++c) {
      mu[c] = running.mean[c];
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
        columns, y.data + r * columns, [](V v, V m, V k, V b) { return formulas::normalized(v, m, k, b); },
        x.data + r * columns, mu, scale, shift);
}

// dβ = Σₙ δ,  dγ = Σₙ δ∘x̂,  dx = γ∘s∘(δ − dβ/N − x̂∘dγ/N)
template <class D, class T>
void NormsOn<D, T>::batch_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                        Vector<const T> mean, Vector<const T> inv_std, bool of_batch, Matrix<T> sums,
                                        Gradient<T> dgamma, Gradient<T> dbeta, Matrix<T> dx) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  const T *mu = mean.data, *s = inv_std.data;
  T *sum_d = sums.data, *sum_dx = sum_d + columns;
  column_sums<T, 2>(rows, columns,
                    [&](auto read, std::size_t c, std::size_t i) {
                      const V d = read(dy.data + i), x_hat = (read(x.data + i) - read(mu + c)) * read(s + c);
                      return std::array<V, 2>{d, d * x_hat};
                    },
                    {sum_d, sum_dx});
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
        [](V d, V v, V m, V si, V md, V mdx, V k) {
          return formulas::normalized_gradient(d, (v - m) * si, md, mdx, k);
        },
        dy.data + r * columns, x.data + r * columns, mu, s, mean_d, mean_dx, scale);
}

// Row by row: µ = mean(x),  σ² = mean((x−µ)²),  s = 1/√(σ²+ε),  y = γ∘(x−µ)·s + β
template <class D, class T>
void NormsOn<D, T>::layer_norm_forward(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, T eps,
                                       Vector<T> mean, Vector<T> inv_std, Matrix<T> y) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  T *ones = scratch<T>(2 * columns), *nothing = ones + columns;
  std::fill_n(ones, columns, T(1));
  std::fill_n(nothing, columns, T(0));
  const T *scale = gamma ? gamma.data : ones, *shift = beta ? beta.data : nothing;
  for (std::size_t r = 0; r < rows; ++r) {
    const T* row = x.data + r * columns;
    const T n = static_cast<T>(columns);
    const T mu = row_sum<T>(
                     columns, [](V v) { return v; }, row) /
                 n;
    const V m(mu);
    const T var = row_sum<T>(
                      columns, [=](V v) { return (v - m) * (v - m); }, row) /
                  n;
    const V s(T(1) / std::sqrt(var + eps));
    map(
        columns, y.data + r * columns, [=](V v, V k, V b) { return formulas::normalized(v, m, s * k, b); }, row, scale,
        shift);
    mean.data[r] = mu;
    inv_std.data[r] = T(1) / std::sqrt(var + eps);
  }
}

// dβ = Σₙ δ,  dγ = Σₙ δ∘x̂;  row by row, with g = γ∘δ:  dx = s·(g − mean(g) − x̂·mean(g∘x̂))
template <class D, class T>
void NormsOn<D, T>::layer_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                        Vector<const T> mean, Vector<const T> inv_std, Gradient<T> dgamma,
                                        Gradient<T> dbeta, Matrix<T> dx) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  if (dgamma || dbeta) {
    T *sum_d = scratch<T>(2 * columns), *sum_dx = sum_d + columns;
    column_sums<T, 2>(rows, columns,
                      [&](auto read, std::size_t c, std::size_t i) {
                        const std::size_t r = (i - c) / columns;
                        const V d = read(dy.data + i),
                                x_hat = (read(x.data + i) - V(mean.data[r])) * V(inv_std.data[r]);
                        return std::array<V, 2>{d, d * x_hat};
                      },
                      {sum_d, sum_dx});
    accumulate_sums(columns, sum_d, dbeta);
    accumulate_sums(columns, sum_dx, dgamma);
  }
  if (!dx) return;
  T* ones = scratch<T>(columns);
  std::fill_n(ones, columns, T(1));
  const T *k = gamma ? gamma.data : ones, n = static_cast<T>(columns);
  for (std::size_t r = 0; r < rows; ++r) {
    const T *row = x.data + r * columns, *delta = dy.data + r * columns;
    const V m(mean.data[r]), s(inv_std.data[r]);
    const V mean_g(row_sum<T>(
                       columns, [](V d, V w) { return d * w; }, delta, k) /
                   n);
    const V mean_gx(row_sum<T>(
                        columns, [=](V d, V w, V v) { return d * w * ((v - m) * s); }, delta, k, row) /
                    n);
    map(
        columns, dx.data + r * columns,
        [=](V d, V w, V v) { return formulas::normalized_gradient(d * w, (v - m) * s, mean_g, mean_gx, s); }, delta, k,
        row);
  }
}

template class NormsOn<cpu::Cpu, float>;
template class NormsOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
