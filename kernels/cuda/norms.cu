#include "kernels/norms.hpp"

#include "kernels/formulas/norms.hpp"

#include "kernels/cuda/device.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

template <class T>
__device__ inline void accumulate_into(T* grad, T beta, std::size_t j, double sum) {
  if (grad) grad[j] = beta == T(0) ? static_cast<T>(sum) : static_cast<T>(sum) + beta * grad[j];
}

// --- BatchNorm: columns ---

// Σₙ x
template <class T>
struct ColumnElements {
  const T* x;
  std::size_t columns;
  __device__ Sums<1> operator()(std::size_t i, std::size_t j) const {
    return {{static_cast<double>(x[i * columns + j])}};
  }
};
// µ = Σₙ x / N; the batch is counted here, before the next kernel reads the count.
template <class T>
struct FinishMean {
  T n, *mean;
  double* count;
  __device__ void operator()(std::size_t j, const Sums<1>& sum) const {
    mean[j] = static_cast<T>(sum.of[0] / static_cast<double>(n));
    if (count && j == 0) *count += 1;
  }
};
// Σₙ d and Σₙ d²,  d = x − m, with m the mean from the first sum
template <class T>
struct Deviations {
  const T *x, *mean;
  std::size_t columns;
  __device__ Sums<2> operator()(std::size_t i, std::size_t j) const {
    const double d = static_cast<double>(x[i * columns + j] - mean[j]);
    return {{d, d * d}};
  }
};
// µ as two numbers and Σ (x − µ)², from n, m = the first sum's mean, Σ d and Σ d² with d = x − m
template <class T>
struct Moments {
  T mean, rest, squares;
  __device__ Moments(T n, T m, double deviations, double of_squares) {
    const double first = static_cast<double>(m), correction = deviations / static_cast<double>(n),
                 left = of_squares - deviations * correction;
    mean = static_cast<T>(first + correction);
    rest = static_cast<T>((first - static_cast<double>(mean)) + correction);
    squares = static_cast<T>(left < 0 ? 0 : left);
  }
};
// µ as two numbers, s = 1/√(σ²+ε), and the running statistics r ← (1−a)·r + a·(µ, σ²·N/(N−1))
template <class T>
struct FinishVariance {
  T n, eps, momentum;
  bool cumulative;
  const double* count;
  T *mean, *rest, *inv_std, *running_mean, *running_var;
  __device__ void operator()(std::size_t j, const Sums<2>& sum) const {
    const Moments<T> moments(n, mean[j], sum.of[0], sum.of[1]);
    mean[j] = moments.mean;
    rest[j] = moments.rest;
    inv_std[j] = T(1) / formulas::sqrt(moments.squares / n + eps);
    if (!running_mean) return;
    const T a = count && cumulative ? static_cast<T>(1 / *count) : momentum;
    running_mean[j] = (T(1) - a) * running_mean[j] + a * mean[j];
    running_var[j] = (T(1) - a) * running_var[j] + a * (moments.squares / (n - T(1)));
  }
};
// N, µ and Σ (x − µ)², of one rank's rows
template <class T>
struct FinishPart {
  T n;
  const T* mean;
  double* part;
  std::size_t columns;
  __device__ void operator()(std::size_t j, const Sums<2>& sum) const {
    const Moments<T> moments(n, mean[j], sum.of[0], sum.of[1]);
    if (j == 0) part[0] = static_cast<double>(n);
    part[1 + j] = static_cast<double>(moments.mean) + static_cast<double>(moments.rest);
    part[1 + columns + j] = static_cast<double>(moments.squares);
  }
};
// In evaluation: the running µ, and s from the running σ²
template <class T>
struct FromRunning {
  const T *running_mean, *running_var;
  T eps, *mean, *rest;
  __device__ T operator()(std::size_t j) const {
    mean[j] = running_mean[j];
    rest[j] = T(0);
    return T(1) / formulas::sqrt(running_var[j] + eps);
  }
};
// y = γ∘(x−µ)∘s + β
template <class T>
struct NormalizeColumns {
  const T *mean, *rest, *inv_std, *gamma, *beta;
  struct Column {
    T mean, rest, scale, shift;
    __device__ T operator()(std::size_t, T x) const { return formulas::normalized(x, mean, rest, scale, shift); }
  };
  __device__ Column column(std::size_t j) const {
    return {mean[j], rest[j], gamma ? inv_std[j] * gamma[j] : inv_std[j], beta ? beta[j] : T(0)};
  }
};
// δ and δ∘x̂, with the statistics of the element's column (BatchNorm) or row (LayerNorm)
template <class T, bool of_row>
struct GradientTerms {
  const T *x, *dy, *mean, *rest, *inv_std;
  std::size_t columns;
  __device__ Sums<2> operator()(std::size_t i, std::size_t j) const {
    const std::size_t at = i * columns + j, s = of_row ? i : j;
    const T d = dy[at], x_hat = formulas::standardized(x[at], mean[s], rest[s], inv_std[s]);
    return {{static_cast<double>(d), static_cast<double>(d) * static_cast<double>(x_hat)}};
  }
};
template <class T>
struct FinishGradients {
  T *sums, *dgamma, *dbeta;  // sums may be null
  T gamma_factor, beta_factor;
  std::size_t columns;
  __device__ void operator()(std::size_t j, const Sums<2>& sum) const {
    if (sums) {
      sums[j] = static_cast<T>(sum.of[0]);
      sums[columns + j] = static_cast<T>(sum.of[1]);
    }
    accumulate_into(dbeta, beta_factor, j, sum.of[0]);
    accumulate_into(dgamma, gamma_factor, j, sum.of[1]);
  }
};
// dx = γ∘s∘(δ − dβ/N − x̂∘dγ/N)
template <class T>
struct ColumnGradient {
  const T *mean, *rest, *inv_std, *gamma, *sums;
  T per_row;  // 1/N, or 0 if µ and s do not depend on x
  std::size_t columns;
  struct Column {
    T mean, rest, inv_std, mean_dy, mean_dy_x_hat, scale;
    __device__ T operator()(std::size_t, T dy, T x) const {
      return formulas::normalized_gradient(dy, formulas::standardized(x, mean, rest, inv_std), mean_dy, mean_dy_x_hat,
                                           scale);
    }
  };
  __device__ Column column(std::size_t j) const {
    const T s = inv_std[j];
    return {mean[j], rest[j], s, sums[j] * per_row, sums[columns + j] * per_row, gamma ? s * gamma[j] : s};
  }
};

// --- LayerNorm: rows ---

template <unsigned G, class T>
__global__ void __launch_bounds__(threads) layer_norm_kernel(std::size_t rows, std::size_t columns, T eps, const T* x,
                                                             const T* gamma, const T* beta, T* mean, T* inv_std, T* y) {
  const Group<G> group;
  const T n = static_cast<T>(columns);
  for (std::size_t i = std::size_t{blockIdx.x} * group.in_block + group.index; i < rows;
       i += std::size_t{gridDim.x} * group.in_block) {
    const T* row = x + i * columns;
    double sum = 0, deviations = 0, squares = 0;
    for (std::size_t j = group.lane; j < columns; j += G) sum += static_cast<double>(row[j]);
    const T m = static_cast<T>(group.sum(sum) / static_cast<double>(columns));
    for (std::size_t j = group.lane; j < columns; j += G) {
      const double d = static_cast<double>(row[j] - m);
      deviations += d;
      squares += d * d;
    }
    const Moments<T> moments(n, m, group.sum(deviations), group.sum(squares));
    const T s = T(1) / formulas::sqrt(moments.squares / n + eps);
    for (std::size_t j = group.lane; j < columns; j += G)
      y[i * columns + j] =
          formulas::normalized(row[j], moments.mean, moments.rest, gamma ? s * gamma[j] : s, beta ? beta[j] : T(0));
    if (group.lane == 0) {
      mean[i] = moments.mean;
      mean[rows + i] = moments.rest;
      inv_std[i] = s;
    }
  }
}

// g = γ∘δ,  dx = s·(g − mean(g) − x̂·mean(g∘x̂))
template <unsigned G, class T>
__global__ void __launch_bounds__(threads)
    layer_norm_gradient_kernel(std::size_t rows, std::size_t columns, const T* x, const T* dy, const T* gamma,
                               const T* mean, const T* inv_std, T* dx) {
  const Group<G> group;
  const double n = static_cast<double>(columns);
  for (std::size_t i = std::size_t{blockIdx.x} * group.in_block + group.index; i < rows;
       i += std::size_t{gridDim.x} * group.in_block) {
    const T *row = x + i * columns, *delta = dy + i * columns;
    const T mu = mean[i], rest = mean[rows + i], s = inv_std[i];
    double sum_g = 0, sum_gx = 0;
    for (std::size_t j = group.lane; j < columns; j += G) {
      const T g = gamma ? gamma[j] * delta[j] : delta[j];
      sum_g += static_cast<double>(g);
      sum_gx += static_cast<double>(g) * static_cast<double>(formulas::standardized(row[j], mu, rest, s));
    }
    const T mean_g = static_cast<T>(group.sum(sum_g) / n), mean_gx = static_cast<T>(group.sum(sum_gx) / n);
    for (std::size_t j = group.lane; j < columns; j += G) {
      const T g = gamma ? gamma[j] * delta[j] : delta[j];
      dx[i * columns + j] =
          formulas::normalized_gradient(g, formulas::standardized(row[j], mu, rest, s), mean_g, mean_gx, s);
    }
  }
}

}  // namespace

template <class D, class T>
void NormsOn<D, T>::batch_norm_forward(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, T eps,
                                       const RunningStatistics<T>& running, bool of_batch, Matrix<T> mean,
                                       Vector<T> inv_std, Matrix<T> y) {
  const auto guard = device_.use();
  const std::size_t rows = x.rows, columns = x.columns;
  const T n = static_cast<T>(rows);
  T* rest = mean.data + columns;
  if (of_batch) {
    column_sums<1>(device_, rows, columns, ColumnElements<T>{x.data, columns},
                   FinishMean<T>{n, mean.data, running.count});
    column_sums<2>(device_, rows, columns, Deviations<T>{x.data, mean.data, columns},
                   FinishVariance<T>{n, eps, running.momentum, running.cumulative, running.count, mean.data, rest,
                                     inv_std.data, running.mean, running.var});
  } else {
    map_index(device_, columns, inv_std.data, FromRunning<T>{running.mean, running.var, eps, mean.data, rest});
  }
  map_columns(device_, rows, columns, y.data, NormalizeColumns<T>{mean.data, rest, inv_std.data, gamma.data, beta.data},
              x.data);
}

template <class D, class T>
void NormsOn<D, T>::batch_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                        Matrix<const T> mean, Vector<const T> inv_std, bool of_batch, Matrix<T> sums,
                                        Gradient<T> dgamma, Gradient<T> dbeta, Matrix<T> dx) {
  const auto guard = device_.use();
  const std::size_t rows = x.rows, columns = x.columns;
  column_sums<2>(device_, rows, columns,
                 GradientTerms<T, false>{x.data, dy.data, mean.data, mean.data + columns, inv_std.data, columns},
                 FinishGradients<T>{sums.data, dgamma.data, dbeta.data, dgamma.beta, dbeta.beta, columns});
  if (!dx) return;
  map_columns(device_, rows, columns, dx.data,
              ColumnGradient<T>{mean.data, mean.data + columns, inv_std.data, gamma.data, sums.data,
                                of_batch ? T(1) / static_cast<T>(rows) : T(0), columns},
              dy.data, x.data);
}

template <class D, class T>
void NormsOn<D, T>::batch_norm_part(Matrix<const T> x, Matrix<T> mean, Vector<double> part) {
  const auto guard = device_.use();
  const std::size_t rows = x.rows, columns = x.columns;
  const T n = static_cast<T>(rows);
  column_sums<1>(device_, rows, columns, ColumnElements<T>{x.data, columns}, FinishMean<T>{n, mean.data, nullptr});
  column_sums<2>(device_, rows, columns, Deviations<T>{x.data, mean.data, columns},
                 FinishPart<T>{n, mean.data, part.data, columns});
}

template <class D, class T>
void NormsOn<D, T>::batch_norm_apply(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta,
                                     Matrix<const T> mean, Vector<const T> inv_std, Matrix<T> y) {
  const auto guard = device_.use();
  map_columns(device_, x.rows, x.columns, y.data,
              NormalizeColumns<T>{mean.data, mean.data + x.columns, inv_std.data, gamma.data, beta.data}, x.data);
}

template <class D, class T>
void NormsOn<D, T>::batch_norm_apply_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                              Matrix<const T> mean, Vector<const T> inv_std, Matrix<const T> means,
                                              Matrix<T> dx) {
  const auto guard = device_.use();
  map_columns(
      device_, x.rows, x.columns, dx.data,
      ColumnGradient<T>{mean.data, mean.data + x.columns, inv_std.data, gamma.data, means.data, T(1), x.columns},
      dy.data, x.data);
}

template <class D, class T>
void NormsOn<D, T>::layer_norm_forward(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, T eps,
                                       Matrix<T> mean, Vector<T> inv_std, Matrix<T> y) {
  const auto guard = device_.use();
  const std::size_t rows = x.rows, columns = x.columns;
  const auto run = [&](auto kernel, unsigned blocks) {
    device_.launch(kernel, blocks, threads, rows, columns, eps, x.data, gamma.data, beta.data, mean.data, inv_std.data,
                   y.data);
  };
  if (columns > long_row)
    run(layer_norm_kernel<threads, T>, row_blocks<threads>(device_, rows));
  else
    run(layer_norm_kernel<warp, T>, row_blocks<warp>(device_, rows));
}

template <class D, class T>
void NormsOn<D, T>::layer_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                        Matrix<const T> mean, Vector<const T> inv_std, Gradient<T> dgamma,
                                        Gradient<T> dbeta, Matrix<T> dx) {
  const auto guard = device_.use();
  const std::size_t rows = x.rows, columns = x.columns;
  if (dgamma || dbeta)
    column_sums<2>(device_, rows, columns,
                   GradientTerms<T, true>{x.data, dy.data, mean.data, mean.data + rows, inv_std.data, columns},
                   FinishGradients<T>{nullptr, dgamma.data, dbeta.data, dgamma.beta, dbeta.beta, columns});
  if (!dx) return;
  const auto run = [&](auto kernel, unsigned blocks) {
    device_.launch(kernel, blocks, threads, rows, columns, x.data, dy.data, gamma.data, mean.data, inv_std.data,
                   dx.data);
  };
  if (columns > long_row)
    run(layer_norm_gradient_kernel<threads, T>, row_blocks<threads>(device_, rows));
  else
    run(layer_norm_gradient_kernel<warp, T>, row_blocks<warp>(device_, rows));
}

namespace {

// --- Norms with channels: x (N×C×L) ---

// As in kernels/cpu/norms.cpp: the position of element i of a set.
struct Sets {
  std::size_t examples, channels, length, groups;
  std::size_t count, size;
  template <class T>
  Sets(Lines<const T> x, std::size_t g) : examples(x.outer), channels(x.size), length(x.inner), groups(g) {
    count = groups == 0 ? channels : examples * groups;
    size = groups == 0 ? examples * length : channels / groups * length;
  }
  __device__ std::size_t at(std::size_t set, std::size_t i) const {
    if (groups != 0) return set * size + i;
    return (i / length * channels + set) * length + i % length;
  }
  __device__ std::size_t channel(std::size_t at) const { return at / length % channels; }
  __device__ std::size_t set(std::size_t at) const {
    const std::size_t c = channel(at);
    return groups == 0 ? c : at / (channels * length) * groups + c / (channels / groups);
  }
};

struct CountOneMore {
  template <class C>
  __device__ C operator()(C count) const {
    return count + C(1);
  }
};

// One block per set.
template <class T, class Count>
__global__ void __launch_bounds__(threads)
    set_statistics_kernel(Sets sets, const T* x, T eps, T momentum, bool cumulative, const Count* count, T* mean,
                          T* inv_std, T* running_mean, T* running_var) {
  const Group<threads> block;
  const auto n = static_cast<double>(sets.size);
  for (std::size_t k = blockIdx.x; k < sets.count; k += gridDim.x) {
    double sum = 0, deviations = 0, squares = 0;
    for (std::size_t i = threadIdx.x; i < sets.size; i += threads) sum += static_cast<double>(x[sets.at(k, i)]);
    const T m = static_cast<T>(block.sum(sum) / n);
    for (std::size_t i = threadIdx.x; i < sets.size; i += threads) {
      const double d = static_cast<double>(x[sets.at(k, i)] - m);
      deviations += d;
      squares += d * d;
    }
    deviations = block.sum(deviations);
    squares = block.sum(squares);
    if (threadIdx.x != 0) continue;
    const double correction = deviations / n, left = squares - deviations * correction;
    const T mu = static_cast<T>(static_cast<double>(m) + correction);
    const T variance = static_cast<T>((left < 0 ? 0 : left) / n);
    mean[k] = mu;
    mean[sets.count + k] = static_cast<T>((static_cast<double>(m) - static_cast<double>(mu)) + correction);
    inv_std[k] = T(1) / formulas::sqrt(variance + eps);
    if (!running_mean) continue;
    const T a = count && cumulative ? static_cast<T>(1 / *count) : momentum;
    running_mean[k] = (T(1) - a) * running_mean[k] + a * mu;
    running_var[k] = (T(1) - a) * running_var[k] + a * static_cast<T>(static_cast<double>(variance) * n / (n - 1));
  }
}
// y = γ_c·(x−µ)·s + β_c
template <class T>
struct NormalizeSets {
  Sets sets;
  const T *x, *mean, *inv_std, *gamma, *beta;
  __device__ T operator()(std::size_t i) const {
    const std::size_t k = sets.set(i), c = sets.channel(i);
    return formulas::normalized(x[i], mean[k], mean[sets.count + k], gamma ? inv_std[k] * gamma[c] : inv_std[k],
                                beta ? beta[c] : T(0));
  }
};
// Σ g and Σ g∘x̂ of each set, g = γ·δ; dβ and dγ are these sums without γ, with the channels as sets
template <class T>
struct SetGradients {
  Sets sets;
  const T *x, *dy, *mean, *inv_std, *gamma;
  __device__ T x_hat(std::size_t i) const {
    const std::size_t k = sets.set(i);
    return formulas::standardized(x[i], mean[k], mean[sets.count + k], inv_std[k]);
  }
  __device__ T g(std::size_t i) const { return gamma ? gamma[sets.channel(i)] * dy[i] : dy[i]; }
};
template <class T>
__global__ void __launch_bounds__(threads) set_gradient_kernel(SetGradients<T> in, double* sums) {
  const Group<threads> block;
  for (std::size_t k = blockIdx.x; k < in.sets.count; k += gridDim.x) {
    double g = 0, g_x_hat = 0;
    for (std::size_t i = threadIdx.x; i < in.sets.size; i += threads) {
      const std::size_t at = in.sets.at(k, i);
      const double d = static_cast<double>(in.g(at));
      g += d;
      g_x_hat += d * static_cast<double>(in.x_hat(at));
    }
    g = block.sum(g);
    g_x_hat = block.sum(g_x_hat);
    if (threadIdx.x != 0) continue;
    sums[k] = g;
    sums[in.sets.count + k] = g_x_hat;
  }
}
template <class T>
__global__ void __launch_bounds__(threads)
    channel_gradient_kernel(SetGradients<T> in, Sets channels, T gamma_factor, T* dgamma, T beta_factor, T* dbeta) {
  const Group<threads> block;
  for (std::size_t c = blockIdx.x; c < channels.count; c += gridDim.x) {
    double d = 0, d_x_hat = 0;
    for (std::size_t i = threadIdx.x; i < channels.size; i += threads) {
      const std::size_t at = channels.at(c, i);
      d += static_cast<double>(in.dy[at]);
      d_x_hat += static_cast<double>(in.dy[at]) * static_cast<double>(in.x_hat(at));
    }
    d = block.sum(d);
    d_x_hat = block.sum(d_x_hat);
    if (threadIdx.x != 0) continue;
    accumulate_into(dbeta, beta_factor, c, d);
    accumulate_into(dgamma, gamma_factor, c, d_x_hat);
  }
}
// dx = s·(g − mean(g) − x̂·mean(g∘x̂))
template <class T>
struct SetChain {
  SetGradients<T> in;
  const double* sums;
  double per_element;
  __device__ T operator()(std::size_t i) const {
    const std::size_t k = in.sets.set(i);
    return formulas::normalized_gradient(in.g(i), in.x_hat(i), static_cast<T>(sums[k] * per_element),
                                         static_cast<T>(sums[in.sets.count + k] * per_element), in.inv_std[k]);
  }
};

// --- RMSNorm: rows ---

template <unsigned G, class T>
__global__ void __launch_bounds__(threads)
    rms_norm_kernel(std::size_t rows, std::size_t columns, T eps, const T* x, const T* gamma, T* inv_rms, T* y) {
  const Group<G> group;
  for (std::size_t i = std::size_t{blockIdx.x} * group.in_block + group.index; i < rows;
       i += std::size_t{gridDim.x} * group.in_block) {
    const T* row = x + i * columns;
    double squares = 0;
    for (std::size_t j = group.lane; j < columns; j += G)
      squares += static_cast<double>(row[j]) * static_cast<double>(row[j]);
    const T r = T(1) / formulas::sqrt(static_cast<T>(group.sum(squares) / static_cast<double>(columns)) + eps);
    for (std::size_t j = group.lane; j < columns; j += G)
      y[i * columns + j] = gamma ? row[j] * r * gamma[j] : row[j] * r;
    if (group.lane == 0) inv_rms[i] = r;
  }
}
template <unsigned G, class T>
__global__ void __launch_bounds__(threads)
    rms_norm_gradient_kernel(std::size_t rows, std::size_t columns, const T* x, const T* dy, const T* gamma,
                             const T* inv_rms, T* dx) {
  const Group<G> group;
  for (std::size_t i = std::size_t{blockIdx.x} * group.in_block + group.index; i < rows;
       i += std::size_t{gridDim.x} * group.in_block) {
    const T *row = x + i * columns, *delta = dy + i * columns;
    const T r = inv_rms[i];
    double sum = 0;
    for (std::size_t j = group.lane; j < columns; j += G)
      sum += static_cast<double>(gamma ? gamma[j] * delta[j] : delta[j]) * static_cast<double>(row[j] * r);
    const T mean_gx = static_cast<T>(group.sum(sum) / static_cast<double>(columns));
    for (std::size_t j = group.lane; j < columns; j += G)
      dx[i * columns + j] = r * ((gamma ? gamma[j] * delta[j] : delta[j]) - row[j] * r * mean_gx);
  }
}
// δ∘x̂
template <class T>
struct ScaleTerms {
  const T *x, *dy, *inv_rms;
  std::size_t columns;
  __device__ Sums<1> operator()(std::size_t i, std::size_t j) const {
    const std::size_t at = i * columns + j;
    return {{static_cast<double>(dy[at]) * static_cast<double>(x[at] * inv_rms[i])}};
  }
};
template <class T>
struct FinishScale {
  T *dgamma, factor;
  __device__ void operator()(std::size_t j, const Sums<1>& sum) const { accumulate_into(dgamma, factor, j, sum.of[0]); }
};

}  // namespace

template <class D, class T>
void NormsOn<D, T>::channel_norm_forward(Lines<const T> x, std::size_t groups, Vector<const T> gamma,
                                         Vector<const T> beta, T eps, const RunningStatistics<T>& running,
                                         bool of_batch, Matrix<T> mean, Vector<T> inv_std, Vector<T> y) {
  const auto guard = device_.use();
  const Sets sets(x, groups);
  if (of_batch) {
    using Count = std::decay_t<decltype(*running.count)>;
    if (running.count) map(device_, 1, running.count, CountOneMore(), static_cast<const Count*>(running.count));
    device_.launch(set_statistics_kernel<T, Count>, row_blocks<threads>(device_, sets.count), threads, sets, x.data,
                   eps, running.momentum, running.cumulative, static_cast<const Count*>(running.count), mean.data,
                   inv_std.data, running.mean, running.var);
  } else {
    map_index(device_, sets.count, inv_std.data,
              FromRunning<T>{running.mean, running.var, eps, mean.data, mean.data + sets.count});
  }
  map_index(device_, y.size, y.data, NormalizeSets<T>{sets, x.data, mean.data, inv_std.data, gamma.data, beta.data});
}

template <class D, class T>
void NormsOn<D, T>::channel_norm_backward(Lines<const T> x, std::size_t groups, Vector<const T> dy,
                                          Vector<const T> gamma, Matrix<const T> mean, Vector<const T> inv_std,
                                          bool of_batch, Gradient<T> dgamma, Gradient<T> dbeta, Vector<T> dx) {
  const auto guard = device_.use();
  const Sets sets(x, groups), channels(x, 0);
  const SetGradients<T> in{sets, x.data, dy.data, mean.data, inv_std.data, gamma.data};
  if (dgamma || dbeta)
    device_.launch(channel_gradient_kernel<T>, row_blocks<threads>(device_, channels.count), threads, in, channels,
                   dgamma.beta, dgamma.data, dbeta.beta, dbeta.data);
  if (!dx) return;
  double* sums = device_.template scratch<double>(2 * sets.count);
  device_.launch(set_gradient_kernel<T>, row_blocks<threads>(device_, sets.count), threads, in, sums);
  map_index(device_, dx.size, dx.data, SetChain<T>{in, sums, of_batch ? 1 / static_cast<double>(sets.size) : 0.0});
}

template <class D, class T>
void NormsOn<D, T>::rms_norm_forward(Matrix<const T> x, Vector<const T> gamma, T eps, Vector<T> inv_rms, Matrix<T> y) {
  const auto guard = device_.use();
  const auto run = [&](auto kernel, unsigned blocks) {
    device_.launch(kernel, blocks, threads, x.rows, x.columns, eps, x.data, gamma.data, inv_rms.data, y.data);
  };
  if (x.columns > long_row)
    run(rms_norm_kernel<threads, T>, row_blocks<threads>(device_, x.rows));
  else
    run(rms_norm_kernel<warp, T>, row_blocks<warp>(device_, x.rows));
}

template <class D, class T>
void NormsOn<D, T>::rms_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                      Vector<const T> inv_rms, Gradient<T> dgamma, Matrix<T> dx) {
  const auto guard = device_.use();
  if (dgamma)
    column_sums<1>(device_, x.rows, x.columns, ScaleTerms<T>{x.data, dy.data, inv_rms.data, x.columns},
                   FinishScale<T>{dgamma.data, dgamma.beta});
  if (!dx) return;
  const auto run = [&](auto kernel, unsigned blocks) {
    device_.launch(kernel, blocks, threads, x.rows, x.columns, x.data, dy.data, gamma.data, inv_rms.data, dx.data);
  };
  if (x.columns > long_row)
    run(rms_norm_gradient_kernel<threads, T>, row_blocks<threads>(device_, x.rows));
  else
    run(rms_norm_gradient_kernel<warp, T>, row_blocks<warp>(device_, x.rows));
}

template class NormsOn<cuda::Context, float>;
template class NormsOn<cuda::Context, double>;

}  // namespace handgrad::kernels
