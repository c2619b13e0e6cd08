#include "kernels/norms.hpp"

#include "kernels/formulas/norms.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

namespace {

// finish(c, Σᵣ f(r)) for the columns first ≤ c < last. f(read, r, c, i) gives K batches for the columns from c on in
// row r, which lie at offset i in the matrix, and reads with `read`. The order, for each column:
//
//     block   16 rows, one after the other, in T
//     column  the blocks, one after the other, in double, so that rounding does not grow with the column's length
template <class T, std::size_t K, class F, class Finish>
void column_sums(std::size_t rows, std::size_t columns, std::size_t first, std::size_t last, F f, Finish finish) {
  using V = Batch<T>;
  constexpr std::size_t block = 16, w = V::size;
  const auto sums_of = [&]<std::size_t U>(std::integral_constant<std::size_t, U>, std::size_t c, std::size_t width,
                                          auto read) {  // of U batches of columns side by side
    double total[K][U * w] = {};
    for (std::size_t top = 0; top < rows; top += block) {
      V part[K][U];
      for (auto& sums : part)
        for (V& sum : sums) sum = V(T(0));
      for (std::size_t r = top; r < std::min(top + block, rows); ++r) {
        HANDGRAD_UNROLL
        for (std::size_t u = 0; u < U; ++u) {
          const std::array<V, K> terms = f(read, r, c + u * w, r * columns + c + u * w);
          HANDGRAD_UNROLL
          for (std::size_t k = 0; k < K; ++k) part[k][u] = part[k][u] + terms[k];
        }
      }
      for (std::size_t k = 0; k < K; ++k) {
        T values[U * w];
        for (std::size_t u = 0; u < U; ++u) part[k][u].store(values + u * w);
        for (std::size_t j = 0; j < U * w; ++j) total[k][j] += static_cast<double>(values[j]);
      }
    }
    for (std::size_t j = 0; j < width; ++j) {
      std::array<double, K> sums;
      for (std::size_t k = 0; k < K; ++k) sums[k] = total[k][j];
      finish(c + j, sums);
    }
  };
  const auto whole = [](const T* at) { return load(at); };
  std::size_t c = first;
  for (; c + 4 * w <= last; c += 4 * w) sums_of(std::integral_constant<std::size_t, 4>(), c, 4 * w, whole);
  for (; c + w <= last; c += w) sums_of(std::integral_constant<std::size_t, 1>(), c, w, whole);
  if (const std::size_t rest = last - c)
    sums_of(std::integral_constant<std::size_t, 1>(), c, rest, [=](const T* at) { return load_part(at, rest); });
}

/// f(first, last) for columns that threads share: in each, `passes` over a matrix of so many rows.
template <class F>
void share_columns(std::size_t rows, std::size_t columns, double passes, F f) {
  in_ranges(columns, passes * static_cast<double>(rows) / 2, 16, f);
}
/// f(r) for rows that threads share.
template <class F>
void share_rows(std::size_t rows, std::size_t columns, F f) {
  in_ranges(rows, 200 + static_cast<double>(columns), 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t r = first; r < last; ++r) f(r);
  });
}

// µ in two numbers and σ², from n, m = the first sum's mean, Σ d and Σ d² with d = x − m.
template <class T>
struct Moments {
  T mean, rest, variance;
  Moments(double n, T m, const std::array<double, 2>& sums) {
    const double mu = static_cast<double>(m) + sums[0] / n;
    mean = static_cast<T>(mu);
    // from m, since µ in double is itself rounded
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

// The columns' means go to mu as first computed; f(c, {Σ(x − µ), Σ(x − µ)²}) corrects them.
template <class T, class F>
void column_moments(Matrix<const T> x, T* mu, std::size_t first, std::size_t last, F f) {
  using V = Batch<T>;
  const auto n = static_cast<double>(x.rows);
  column_sums<T, 1>(
      x.rows, x.columns, first, last,
      [&](auto read, std::size_t, std::size_t, std::size_t i) { return std::array<V, 1>{read(x.data + i)}; },
      [&](std::size_t c, const std::array<double, 1>& sum) { mu[c] = static_cast<T>(sum[0] / n); });
  column_sums<T, 2>(
      x.rows, x.columns, first, last,
      [&](auto read, std::size_t, std::size_t c, std::size_t i) {
        const V d = read(x.data + i) - read(mu + c);
        return std::array<V, 2>{d, d * d};
      },
      f);
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
  T a = running.momentum;
  if (of_batch && running.count) {
    *running.count += 1;
    if (running.cumulative) a = static_cast<T>(1 / *running.count);
  }
  T *scale = scratch<T>(2 * columns), *shift = scale + columns;
  share_columns(rows, columns, 3, [&](std::size_t first, std::size_t last) {
    if (of_batch) {
      column_moments<T>(x, mu, first, last, [&](std::size_t c, const std::array<double, 2>& sums) {
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
      for (std::size_t c = first; c < last; ++c) {
        mu[c] = running.mean[c];
        left[c] = 0;
        s[c] = T(1) / std::sqrt(running.var[c] + eps);
      }
    }
    for (std::size_t c = first; c < last; ++c) {
      scale[c] = gamma ? s[c] * gamma.data[c] : s[c];
      shift[c] = beta ? beta.data[c] : T(0);
    }
    for (std::size_t r = 0; r < rows; ++r)
      map(
          last - first, y.data + r * columns + first,
          [](V v, V m, V l, V k, V b) { return formulas::normalized(v, m, l, k, b); }, x.data + r * columns + first,
          mu + first, left + first, scale + first, shift + first);
  });
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
  T *scale = scratch<T>(3 * columns), *mean_d = scale + columns, *mean_dx = mean_d + columns;
  const T per_row = of_batch ? T(1) / static_cast<T>(rows) : T(0);
  share_columns(rows, columns, 3, [&](std::size_t first, std::size_t last) {
    column_sums<T, 2>(
        rows, columns, first, last,
        [&](auto read, std::size_t, std::size_t c, std::size_t i) {
          const V d = read(dy.data + i);
          return std::array<V, 2>{
              d, d * formulas::standardized(read(x.data + i), read(mu + c), read(left + c), read(s + c))};
        },
        [&](std::size_t c, const std::array<double, 2>& sum) {
          sum_d[c] = static_cast<T>(sum[0]);
          sum_dx[c] = static_cast<T>(sum[1]);
        });
    if (!dx) return;
    for (std::size_t c = first; c < last; ++c) {
      scale[c] = gamma ? s[c] * gamma.data[c] : s[c];
      mean_d[c] = sum_d[c] * per_row;
      mean_dx[c] = sum_dx[c] * per_row;
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t at = r * columns + first;
      map(
          last - first, dx.data + at,
          [](V d, V v, V m, V l, V si, V md, V mdx, V k) {
            return formulas::normalized_gradient(d, formulas::standardized(v, m, l, si), md, mdx, k);
          },
          dy.data + at, x.data + at, mu + first, left + first, s + first, mean_d + first, mean_dx + first,
          scale + first);
    }
  });
  accumulate_sums(columns, sum_d, dbeta);
  accumulate_sums(columns, sum_dx, dgamma);
}

template <class D, class T>
void NormsOn<D, T>::batch_norm_part(Matrix<const T> x, Matrix<T> mean, Vector<double> part) {
  const std::size_t rows = x.rows, columns = x.columns;
  const auto n = static_cast<double>(rows);
  T* mu = mean.data;
  part.data[0] = n;
  share_columns(rows, columns, 2, [&](std::size_t first, std::size_t last) {
    column_moments<T>(x, mu, first, last, [&](std::size_t c, const std::array<double, 2>& sums) {
      part.data[1 + c] = static_cast<double>(mu[c]) + sums[0] / n;
      part.data[1 + columns + c] = sums[1] - sums[0] * sums[0] / n;
    });
  });
}

template <class D, class T>
void NormsOn<D, T>::batch_norm_apply(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta,
                                     Matrix<const T> mean, Vector<const T> inv_std, Matrix<T> y) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  const T *mu = mean.data, *left = mu + columns, *s = inv_std.data;
  T *scale = scratch<T>(2 * columns), *shift = scale + columns;
  for (std::size_t c = 0; c < columns; ++c) {
    scale[c] = gamma ? s[c] * gamma.data[c] : s[c];
    shift[c] = beta ? beta.data[c] : T(0);
  }
  share_rows(rows, columns, [&](std::size_t r) {
    map(
        columns, y.data + r * columns, [](V v, V m, V l, V k, V b) { return formulas::normalized(v, m, l, k, b); },
        x.data + r * columns, mu, left, scale, shift);
  });
}

template <class D, class T>
void NormsOn<D, T>::batch_norm_apply_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                              Matrix<const T> mean, Vector<const T> inv_std, Matrix<const T> means,
                                              Matrix<T> dx) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  const T *mu = mean.data, *left = mu + columns, *s = inv_std.data, *mean_d = means.data, *mean_dx = mean_d + columns;
  T* scale = scratch<T>(columns);
  for (std::size_t c = 0; c < columns; ++c) scale[c] = gamma ? s[c] * gamma.data[c] : s[c];
  share_rows(rows, columns, [&](std::size_t r) {
    map(
        columns, dx.data + r * columns,
        [](V d, V v, V m, V l, V si, V md, V mdx, V k) {
          return formulas::normalized_gradient(d, formulas::standardized(v, m, l, si), md, mdx, k);
        },
        dy.data + r * columns, x.data + r * columns, mu, left, s, mean_d, mean_dx, scale);
  });
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
  const auto n = static_cast<double>(columns);
  share_rows(rows, columns, [&](std::size_t r) {
    const T* row = x.data + r * columns;
    const auto [sum] = sums<T, 1>(
        columns, [](V v) { return std::array<V, 1>{v}; }, row);
    const T first = static_cast<T>(sum / n);
    const Moments<T> moments(n, first,
                             sums<T, 2>(
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
  });
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
    share_columns(rows, columns, 2, [&](std::size_t first, std::size_t last) {
      column_sums<T, 2>(
          rows, columns, first, last,
          [&](auto read, std::size_t r, std::size_t, std::size_t i) {
            const V d = read(dy.data + i);
            return std::array<V, 2>{d, d * formulas::standardized(read(x.data + i), V(mean.data[r]),
                                                                  V(mean.data[rows + r]), V(inv_std.data[r]))};
          },
          [&](std::size_t c, const std::array<double, 2>& sum) {
            sum_d[c] = static_cast<T>(sum[0]);
            sum_dx[c] = static_cast<T>(sum[1]);
          });
    });
    accumulate_sums(columns, sum_d, dbeta);
    accumulate_sums(columns, sum_dx, dgamma);
  }
  if (!dx) return;
  T* ones = scratch<T>(columns);
  std::fill_n(ones, columns, T(1));
  const T* k = gamma ? gamma.data : ones;
  share_rows(rows, columns, [&](std::size_t r) {
    const T *row = x.data + r * columns, *delta = dy.data + r * columns;
    const V m(mean.data[r]), l(mean.data[rows + r]), s(inv_std.data[r]);
    const auto [sum_g, sum_gx] = sums<T, 2>(
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
  });
}

namespace {

// Which elements of x (N×C×L) are normalised together: those of one channel (groups = 0), or of C/groups channels of
// one example. A set lies in `runs` pieces of `run` elements, `stride` apart.
template <class T>
struct Sets {
  std::size_t examples, channels, length, groups;
  std::size_t count, runs, run, stride;

  Sets(Lines<const T> x, std::size_t g) : examples(x.outer), channels(x.size), length(x.inner), groups(g) {
    count = groups == 0 ? channels : examples * groups;
    runs = groups == 0 ? examples : 1;
    run = groups == 0 ? length : channels / groups * length;
    stride = channels * length;
  }
  double size() const { return static_cast<double>(runs * run); }
  std::size_t first(std::size_t set) const { return set * run; }
  /// The set of channel c of example n.
  std::size_t of(std::size_t n, std::size_t c) const { return groups == 0 ? c : n * groups + c / (channels / groups); }
};

// Σ f(x) over a set, K sums at once.
template <class T, std::size_t K, class F>
std::array<double, K> set_sums(const Sets<T>& sets, std::size_t set, const T* x, F f) {
  std::array<double, K> total{};
  for (std::size_t r = 0; r < sets.runs; ++r) {
    const std::array<double, K> part = sums<T, K>(sets.run, f, x + sets.first(set) + r * sets.stride);
    for (std::size_t k = 0; k < K; ++k) total[k] += part[k];
  }
  return total;
}

}  // namespace

// Set by set: µ = mean(x),  σ² = mean((x−µ)²),  s = 1/√(σ²+ε);  channel by channel: y = γ_c·(x−µ)·s + β_c
template <class D, class T>
void NormsOn<D, T>::channel_norm_forward(Lines<const T> x, std::size_t groups, Vector<const T> gamma,
                                         Vector<const T> beta, T eps, const RunningStatistics<T>& running,
                                         bool of_batch, Matrix<T> mean, Vector<T> inv_std, Vector<T> y) {
  using V = Batch<T>;
  const Sets<T> sets(x, groups);
  T *mu = mean.data, *left = mu + sets.count, *s = inv_std.data;
  if (of_batch) {
    T a = running.momentum;
    if (running.count) *running.count += 1;
    if (running.count && running.cumulative) a = static_cast<T>(1 / *running.count);
    const double n = sets.size();
    for (std::size_t k = 0; k < sets.count; ++k) {
      const auto [sum] = set_sums<T, 1>(sets, k, x.data, [](V v) { return std::array<V, 1>{v}; });
      const T first = static_cast<T>(sum / n);
      const Moments<T> moments(n, first, set_sums<T, 2>(sets, k, x.data, [m = V(first)](V v) {
                                 const V d = v - m;
                                 return std::array<V, 2>{d, d * d};
                               }));
      mu[k] = moments.mean;
      left[k] = moments.rest;
      s[k] = T(1) / std::sqrt(moments.variance + eps);
      if (!running.mean) continue;
      T &m = running.mean[k], &v = running.var[k];
      m = (1 - a) * m + a * mu[k];
      v = (1 - a) * v + a * static_cast<T>(static_cast<double>(moments.variance) * n / (n - 1));
    }
  } else {
    for (std::size_t c = 0; c < sets.channels; ++c) {
      mu[c] = running.mean[c];
      left[c] = 0;
      s[c] = T(1) / std::sqrt(running.var[c] + eps);
    }
  }
  for (std::size_t n = 0; n < sets.examples; ++n)
    for (std::size_t c = 0; c < sets.channels; ++c) {
      const std::size_t k = sets.of(n, c), line = (n * sets.channels + c) * sets.length;
      const V m(mu[k]), l(left[k]), scale(gamma ? s[k] * gamma.data[c] : s[k]), shift(beta ? beta.data[c] : T(0));
      map(
          sets.length, y.data + line, [=](V v) { return formulas::normalized(v, m, l, scale, shift); }, x.data + line);
    }
}

// dβ_c = Σ δ,  dγ_c = Σ δ·x̂;  set by set, with g = γ·δ:  dx = s·(g − mean(g) − x̂·mean(g∘x̂))
template <class D, class T>
void NormsOn<D, T>::channel_norm_backward(Lines<const T> x, std::size_t groups, Vector<const T> dy,
                                          Vector<const T> gamma, Matrix<const T> mean, Vector<const T> inv_std,
                                          bool of_batch, Gradient<T> dgamma, Gradient<T> dbeta, Vector<T> dx) {
  using V = Batch<T>;
  const Sets<T> sets(x, groups);
  const T *mu = mean.data, *left = mu + sets.count, *s = inv_std.data;
  double *sum_d = scratch<double>(2 * (sets.channels + sets.count)), *sum_dx = sum_d + sets.channels,
         *sum_g = sum_dx + sets.channels, *sum_gx = sum_g + sets.count;
  std::fill_n(sum_d, 2 * (sets.channels + sets.count), 0.0);
  for (std::size_t n = 0; n < sets.examples; ++n)
    for (std::size_t c = 0; c < sets.channels; ++c) {
      const std::size_t k = sets.of(n, c), line = (n * sets.channels + c) * sets.length;
      const auto [d, d_x_hat] = sums<T, 2>(
          sets.length,
          [m = V(mu[k]), l = V(left[k]), si = V(s[k])](V delta, V v) {
            return std::array<V, 2>{delta, delta * formulas::standardized(v, m, l, si)};
          },
          dy.data + line, x.data + line);
      const double weight = gamma ? static_cast<double>(gamma.data[c]) : 1.0;
      sum_d[c] += d;
      sum_dx[c] += d_x_hat;
      sum_g[k] += weight * d;
      sum_gx[k] += weight * d_x_hat;
    }
  const auto accumulate = [&](const double* sums, Gradient<T> to) {
    for (std::size_t c = 0; to && c < sets.channels; ++c)
      to.data[c] = static_cast<T>(sums[c]) + (to.beta == T(0) ? T(0) : to.data[c]);
  };
  accumulate(sum_d, dbeta);
  accumulate(sum_dx, dgamma);
  if (!dx) return;
  const double per_element = of_batch ? 1 / sets.size() : 0.0;
  for (std::size_t n = 0; n < sets.examples; ++n)
    for (std::size_t c = 0; c < sets.channels; ++c) {
      const std::size_t k = sets.of(n, c), line = (n * sets.channels + c) * sets.length;
      const V m(mu[k]), l(left[k]), si(s[k]), weight(gamma ? gamma.data[c] : T(1)),
          mean_g(static_cast<T>(sum_g[k] * per_element)), mean_gx(static_cast<T>(sum_gx[k] * per_element));
      map(
          sets.length, dx.data + line,
          [=](V d, V v) {
            return formulas::normalized_gradient(weight * d, formulas::standardized(v, m, l, si), mean_g, mean_gx, si);
          },
          dy.data + line, x.data + line);
    }
}

// Row by row: r = 1/√(mean(x²)+ε),  y = γ∘x·r
template <class D, class T>
void NormsOn<D, T>::rms_norm_forward(Matrix<const T> x, Vector<const T> gamma, T eps, Vector<T> inv_rms, Matrix<T> y) {
  using V = Batch<T>;
  const std::size_t columns = x.columns;
  for (std::size_t n = 0; n < x.rows; ++n) {
    const T* row = x.data + n * columns;
    const auto [squares] = sums<T, 1>(
        columns, [](V v) { return std::array<V, 1>{v * v}; }, row);
    const T r = T(1) / std::sqrt(static_cast<T>(squares / static_cast<double>(columns)) + eps);
    inv_rms.data[n] = r;
    if (gamma)
      map(
          columns, y.data + n * columns, [k = V(r)](V v, V w) { return v * k * w; }, row, gamma.data);
    else
      map(
          columns, y.data + n * columns, [k = V(r)](V v) { return v * k; }, row);
  }
}

// dγ = Σₙ δ∘x̂;  row by row, with g = γ∘δ:  dx = r·(g − x̂·mean(g∘x̂))
template <class D, class T>
void NormsOn<D, T>::rms_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                      Vector<const T> inv_rms, Gradient<T> dgamma, Matrix<T> dx) {
  using V = Batch<T>;
  const std::size_t rows = x.rows, columns = x.columns;
  if (dgamma)
    share_columns(rows, columns, 2, [&](std::size_t first, std::size_t last) {
      column_sums<T, 1>(
          rows, columns, first, last,
          [&](auto read, std::size_t r, std::size_t, std::size_t i) {
            return std::array<V, 1>{read(dy.data + i) * read(x.data + i) * V(inv_rms.data[r])};
          },
          [&](std::size_t c, const std::array<double, 1>& sum) {
            dgamma.data[c] = static_cast<T>(sum[0]) + (dgamma.beta == T(0) ? T(0) : dgamma.data[c]);
          });
    });
  if (!dx) return;
  T* ones = scratch<T>(columns);
  std::fill_n(ones, columns, T(1));
  const T* weight = gamma ? gamma.data : ones;
  for (std::size_t n = 0; n < rows; ++n) {
    const T *row = x.data + n * columns, *delta = dy.data + n * columns;
    const V r(inv_rms.data[n]);
    const auto [sum] = sums<T, 1>(
        columns, [=](V d, V w, V v) { return std::array<V, 1>{d * w * (v * r)}; }, delta, weight, row);
    const V mean_gx(static_cast<T>(sum / static_cast<double>(columns)));
    map(
        columns, dx.data + n * columns, [=](V d, V w, V v) { return r * (d * w - v * r * mean_gx); }, delta, weight,
        row);
  }
}

template class NormsOn<cpu::Cpu, float>;
template class NormsOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
