#include "kernels/losses.hpp"

#include <variant>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/line_sum.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

// wᵢ·f(pᵢ, tᵢ, qᵢ), and a·wᵢ·∂f/∂p; null w and q stand for 1
template <class F, class T>
struct Value {
  F f;
  const T *p, *t, *w, *q;
  __device__ T operator()(std::size_t i) const {
    const T l = f.value(p[i], t[i], q ? q[i] : T(1));
    return w ? w[i] * l : l;
  }
};
template <class F, class T>
struct Slope {
  F f;
  const T *p, *t, *w, *q;
  T a;
  __device__ T operator()(std::size_t i) const {
    const T d = a * f.derivative(p[i], t[i], q ? q[i] : T(1));
    return w ? w[i] * d : d;
  }
};

}  // namespace

// ℓᵢ = wᵢ·f(pᵢ, tᵢ, qᵢ);  value = a·Σℓ, or all ℓ
template <class D, class T>
void LossesOn<D, T>::element_forward(const formulas::ElementLoss& f, Vector<const T> p, Vector<const T> t,
                                     Vector<const T> w, Vector<const T> q, Reduction reduction, T a, T* value) {
  const auto guard = device_.use();
  std::visit(
      [&](const auto& g) {
        const Value<std::decay_t<decltype(g)>, T> loss{g, p.data, t.data, w.data, q.data};
        if (reduction == Reduction::None)
          map_index(device_, p.size, value, loss);
        else
          sum(device_, p.size, loss, StoreScaled<T>{value, static_cast<double>(a)});
      },
      f);
}

// dpᵢ = a·wᵢ·∂f/∂p
template <class D, class T>
void LossesOn<D, T>::element_backward(const formulas::ElementLoss& f, Vector<const T> p, Vector<const T> t,
                                      Vector<const T> w, Vector<const T> q, T a, Vector<T> dp) {
  const auto guard = device_.use();
  std::visit(
      [&](const auto& g) {
        map_index(device_, p.size, dp.data, Slope<std::decay_t<decltype(g)>, T>{g, p.data, t.data, w.data, q.data, a});
      },
      f);
}

namespace {

// The inputs of the losses over rows; one warp per row.
template <class T>
struct Rows {
  RowLoss loss;
  std::size_t count, columns;
  bool classes;  // t is one class per row, else a distribution
  const T *p, *t, *w;
  T ignored, smoothing;

  Rows(RowLoss kind, Matrix<const T> prediction, Targets<T> target, Vector<const T> weight)
      : loss(kind),
        count(prediction.rows),
        columns(prediction.columns),
        classes(target.are_classes),
        p(prediction.data),
        t(target.data),
        w(weight.data),
        ignored(target.ignored),
        smoothing(target.smoothing) {}

  __device__ T weight(std::size_t j) const { return w ? w[j] : T(1); }
  /// Row i's class, if it has one, and whether the row counts.
  __device__ T class_of(std::size_t i) const { return classes ? t[i] : T(0); }
  __device__ bool counts(T c) const { return !classes || c != ignored; }
  /// wⱼtⱼ of row i, whose class is c
  __device__ T target(std::size_t i, T c, std::size_t j) const {
    T share = !classes ? t[i * columns + j] : static_cast<std::size_t>(c) == j ? T(1) : T(0);
    if (smoothing != T(0)) share = (T(1) - smoothing) * share + smoothing / static_cast<T>(columns);
    return share == T(0) ? T(0) : weight(j) * share;
  }
  __device__ bool is_class(T c) const { return c >= T(0) && c < static_cast<T>(columns) && c == floor(c); }
};

// log yⱼ = (pⱼ − m) − log Σ of a row's softmax y
template <class T>
struct LogSoftmaxOf {
  const T* row;
  T m, log_sum, beside_largest;  // 1 − y of the largest, whose y may be too near 1 to subtract
  __device__ LogSoftmaxOf(const Group<warp>& group, const T* p, std::size_t n) : row(p) {
    const LineSum<T> line = line_sum(Row<warp>{group}, n, p);
    m = line.m;
    log_sum = formulas::log1p(line.beyond_one);
    beside_largest = line.beyond_one / (T(1) + line.beyond_one);
  }
  __device__ LogSoftmaxOf() : row(nullptr), m(0), log_sum(0), beside_largest(0) {}
  __device__ T operator()(std::size_t j) const { return formulas::below(row[j], m) - log_sum; }
};

// (row, target) in one word, so that the lowest row is the smallest
__device__ inline void report(unsigned long long* error, std::size_t row, float target) {
  atomicMin(error, static_cast<unsigned long long>(row) << 32 | __float_as_uint(target));
}

// From the blocks' sums: value = Σℓ / divisor, where the divisor of a mean is Σw.
template <class T>
struct FinishRows {
  bool mean;
  T *divisor, *value;  // value is null if the losses are kept separately
  __device__ void operator()(double losses, double weights) const {
    const T d = mean ? static_cast<T>(weights) : T(1);
    *divisor = d;
    if (value) *value = static_cast<T>(losses / static_cast<double>(d));
  }
};

// ℓᵢ of each row, and each block's Σℓ and Σw; a single block finishes itself.
template <class T>
__global__ void __launch_bounds__(threads)
    row_loss_kernel(Rows<T> rows, T* each, double* partial, FinishRows<T> finish, unsigned long long* error) {
  const Group<warp> group;
  double losses = 0, weights = 0;
  for (std::size_t i = std::size_t{blockIdx.x} * group.in_block + group.index; i < rows.count;
       i += std::size_t{gridDim.x} * group.in_block) {
    const T* row = rows.p + i * rows.columns;
    const auto log_softmax =
        rows.loss == RowLoss::CrossEntropy ? LogSoftmaxOf<T>(group, row, rows.columns) : LogSoftmaxOf<T>();
    const auto term = [&](std::size_t j, T wt) {  // −wⱼtⱼ·log pⱼ, 0·log 0 = 0
      if (wt == T(0)) return T(0);
      if (rows.loss == RowLoss::CrossEntropy) return -wt * log_softmax(j);
      return -wt * (rows.loss == RowLoss::Categorical ? formulas::log(row[j]) : row[j]);
    };
    const T c = rows.class_of(i);
    T l = 0, w = 1;
    if (!rows.counts(c)) {
      w = 0;
    } else if (rows.classes && !rows.is_class(c)) {
      l = w = NAN;
      if (group.lane == 0) report(error, i, static_cast<float>(c));
    } else {
      if (rows.classes) w = rows.weight(static_cast<std::size_t>(c));
      if (rows.classes && rows.smoothing == T(0)) {
        l = term(static_cast<std::size_t>(c), w);
      } else {
        for (std::size_t j = group.lane; j < rows.columns; j += warp) l += term(j, rows.target(i, c, j));
        l = group.sum(l);
      }
    }
    if (each && group.lane == 0) each[i] = l;
    losses += static_cast<double>(l);
    weights += static_cast<double>(w);
  }
  // every lane of a warp holds its sums; only lane 0 counts
  const Group<threads> block;
  losses = block.sum(group.lane == 0 ? losses : 0.0);
  weights = block.sum(group.lane == 0 ? weights : 0.0);
  if (threadIdx.x != 0) return;
  if (gridDim.x == 1) {
    finish(losses, weights);
  } else {
    partial[2 * blockIdx.x] = losses;
    partial[2 * blockIdx.x + 1] = weights;
  }
}

template <class T>
__global__ void __launch_bounds__(threads)
    row_loss_finish_kernel(unsigned blocks, const double* partial, FinishRows<T> finish) {
  const Group<threads> block;
  double losses = 0, weights = 0;
  for (unsigned i = threadIdx.x; i < blocks; i += threads) {
    losses += partial[2 * i];
    weights += partial[2 * i + 1];
  }
  losses = block.sum(losses);
  weights = block.sum(weights);
  if (threadIdx.x == 0) finish(losses, weights);
}

// CrossEntropy:  dzⱼ = (softmax(z)ⱼ·Σₖ wₖtₖ − wⱼtⱼ)/divisor
// otherwise:     dpⱼ = −wⱼtⱼ/divisor, for probabilities −wⱼtⱼ/(pⱼ·divisor)
template <class T>
__global__ void __launch_bounds__(threads)
    row_slope_kernel(Rows<T> rows, const T* divisor, T* dp, unsigned long long* error) {
  const Group<warp> group;
  const T a = T(1) / *divisor;
  for (std::size_t i = std::size_t{blockIdx.x} * group.in_block + group.index; i < rows.count;
       i += std::size_t{gridDim.x} * group.in_block) {
    const T* row = rows.p + i * rows.columns;
    const bool softmax = rows.loss == RowLoss::CrossEntropy;
    const T c = rows.class_of(i);
    if (!rows.counts(c)) {
      for (std::size_t j = group.lane; j < rows.columns; j += warp) dp[i * rows.columns + j] = T(0);
      continue;
    }
    const bool valid = !rows.classes || rows.is_class(c);  // again, since the target may have changed after the forward
    if (!valid && group.lane == 0) report(error, i, static_cast<float>(c));
    const auto target = [&](std::size_t j) { return valid ? rows.target(i, c, j) : static_cast<T>(NAN); };
    T total = 0;
    LogSoftmaxOf<T> log_softmax;
    if (softmax) {
      log_softmax = LogSoftmaxOf<T>(group, row, rows.columns);
      for (std::size_t j = group.lane; j < rows.columns; j += warp) total += target(j);
      total = group.sum(total);
    }
    for (std::size_t j = group.lane; j < rows.columns; j += warp) {
      const T wt = target(j);
      T d = wt == T(0) ? T(0) : -a * wt / (rows.loss == RowLoss::Categorical ? row[j] : T(1));
      if (softmax && row[j] == log_softmax.m)
        d = a * ((total - wt) - total * log_softmax.beside_largest);
      else if (softmax)
        d = a * total * formulas::exp(log_softmax(j)) - a * wt;
      dp[i * rows.columns + j] = d;
    }
  }
}

}  // namespace

template <class D, class T>
std::optional<BadClass> LossesOn<D, T>::row_forward(RowLoss loss, Matrix<const T> p, Targets<T> t, Vector<const T> w,
                                                    Reduction reduction, T* divisor, T* value) {
  const auto guard = device_.use();
  const Rows<T> rows(loss, p, t, w);
  const bool none = reduction == Reduction::None;
  const FinishRows<T> finish{reduction == Reduction::Mean, divisor, none ? nullptr : value};
  const unsigned blocks = rows.count <= 128 ? 1 : row_blocks<warp>(device_, rows.count);
  double* partial = blocks == 1 ? nullptr : device_.template scratch<double>(2 * std::size_t{blocks});
  device_.launch(row_loss_kernel<T>, blocks, threads, rows, none ? value : nullptr, partial, finish,
                 device_.class_error(rows.columns));
  if (blocks > 1) device_.launch(row_loss_finish_kernel<T>, 1, threads, blocks, partial, finish);
  return {};
}

template <class D, class T>
std::optional<BadClass> LossesOn<D, T>::row_backward(RowLoss loss, Matrix<const T> p, Targets<T> t, Vector<const T> w,
                                                     const T* divisor, Matrix<T> dp) {
  const auto guard = device_.use();
  const Rows<T> rows(loss, p, t, w);
  device_.launch(row_slope_kernel<T>, row_blocks<warp>(device_, rows.count), threads, rows, divisor, dp.data,
                 device_.class_error(rows.columns));
  return {};
}

template class LossesOn<cuda::Context, float>;
template class LossesOn<cuda::Context, double>;

}  // namespace handgrad::kernels
