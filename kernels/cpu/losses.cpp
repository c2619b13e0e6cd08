#include "kernels/losses.hpp"

#include <cmath>
#include <variant>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/line_sum.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

namespace {

// Calls run(in…) with a loss of batches `l(p, t, w, q)` and those of the four arrays that are not null; the others are
// 1.
template <class T, class Loss, class Run>
void with_weights(Loss l, Vector<const T> p, Vector<const T> t, Vector<const T> w, Vector<const T> q, Run run) {
  using V = Batch<T>;
  const V one(T(1));
  if (w && q)
    run([=](V a, V b, V c, V d) { return c * l(a, b, d); }, p.data, t.data, w.data, q.data);
  else if (w)
    run([=](V a, V b, V c) { return c * l(a, b, one); }, p.data, t.data, w.data);
  else if (q)
    run([=](V a, V b, V d) { return l(a, b, d); }, p.data, t.data, q.data);
  else
    run([=](V a, V b) { return l(a, b, one); }, p.data, t.data);
}

}  // namespace

// ℓᵢ = wᵢ·f(pᵢ, tᵢ, qᵢ);  value = a·Σℓ, or all ℓ
template <class D, class T>
void LossesOn<D, T>::element_forward(const formulas::ElementLoss& f, Vector<const T> p, Vector<const T> t,
                                     Vector<const T> w, Vector<const T> q, Reduction reduction, T a, T* value) {
  std::visit(
      [&](const auto& g) {
        const auto loss = [=](Batch<T> pi, Batch<T> ti, Batch<T> qi) { return g.value(pi, ti, qi); };
        with_weights<T>(loss, p, t, w, q, [&](auto l, auto... in) {
          if (reduction == Reduction::None)
            map(p.size, value, l, in...);
          else
            *value = static_cast<T>(static_cast<double>(a) * sum<T>(p.size, l, in...));
        });
      },
      f);
}

// dpᵢ = a·wᵢ·∂f/∂p
template <class D, class T>
void LossesOn<D, T>::element_backward(const formulas::ElementLoss& f, Vector<const T> p, Vector<const T> t,
                                      Vector<const T> w, Vector<const T> q, T a, Vector<T> dp) {
  std::visit(
      [&](const auto& g) {
        const auto slope = [=](Batch<T> pi, Batch<T> ti, Batch<T> qi) { return a * g.derivative(pi, ti, qi); };
        with_weights<T>(slope, p, t, w, q, [&](auto l, auto... in) {
          in_ranges(p.size, 4, 64, [&](std::size_t first, std::size_t last) {
            map(last - first, dp.data + first, l, (in + first)...);
          });
        });
      },
      f);
}

namespace {

// A row's target: one class, or a distribution over all.
template <class T>
class RowTargets {
 public:
  RowTargets(Matrix<const T> p, Targets<T> t, Vector<const T> w)
      : rows_(p.rows), columns_(p.columns), t_(t), w_(w.data) {}
  bool counts(std::size_t i) const { return !t_.are_classes || t_.data[i] != t_.ignored; }
  /// Calls visit(j, wⱼ·tⱼ) for the classes that matter in row i, which must count.
  template <class F>
  void each(std::size_t i, F&& visit) const {
    if (t_.are_classes && t_.smoothing == T(0)) {
      const std::size_t j = static_cast<std::size_t>(t_.data[i]);
      visit(j, weight(j));
    } else {
      const T rest = t_.smoothing / static_cast<T>(columns_);
      for (std::size_t j = 0; j < columns_; ++j) visit(j, weight(j) * ((T(1) - t_.smoothing) * share(i, j) + rest));
    }
  }
  T weight(std::size_t j) const { return w_ ? w_[j] : T(1); }
  /// The first target that is no class.
  std::optional<BadClass> bad() const {
    for (std::size_t i = 0; i < rows_ && t_.are_classes; ++i) {
      const double t = static_cast<double>(t_.data[i]);
      if (counts(i) && !(t >= 0 && t < static_cast<double>(columns_) && t == std::floor(t)))
        return BadClass{i, t, columns_};
    }
    return {};
  }
  /// Row i's weight in a mean.
  T of_row(std::size_t i) const { return t_.are_classes ? weight(static_cast<std::size_t>(t_.data[i])) : T(1); }

 private:
  T share(std::size_t i, std::size_t j) const {  // tⱼ before smoothing
    if (!t_.are_classes) return t_.data[i * columns_ + j];
    return static_cast<std::size_t>(t_.data[i]) == j ? T(1) : T(0);
  }
  std::size_t rows_, columns_;
  Targets<T> t_;
  const T* w_;
};

// log yⱼ = (pⱼ − m) − log Σ of a row's softmax y
template <class T>
class LogSoftmaxOf {
 public:
  LogSoftmaxOf(const T* p, std::size_t n) : p_(p) {
    const auto [m, beyond_one] = line_sum<T>(p, n);
    m_ = m;
    log_sum_ = log1p(beyond_one);
    beside_ = beyond_one / (T(1) + beyond_one);
  }
  T operator()(std::size_t j) const { return formulas::below(p_[j], m_) - log_sum_; }
  Batch<T> operator()(Batch<T> p) const { return below(p, Batch<T>(m_)) - log_sum_; }
  bool is_largest(std::size_t j) const { return p_[j] == m_; }
  /// 1 − y of the largest, which may be too near 1 to be subtracted.
  T beside_largest() const { return beside_; }

 private:
  const T* p_;
  T m_, log_sum_, beside_;
};

/// f(i) for rows that threads share.
template <class T, class F>
void share_rows(Matrix<const T> p, F f) {
  in_ranges(p.rows, 300 + 4 * static_cast<double>(p.columns), 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) f(i);
  });
}

}  // namespace

template <class D, class T>
std::optional<BadClass> LossesOn<D, T>::row_forward(RowLoss loss, Matrix<const T> p, Targets<T> t, Vector<const T> w,
                                                    Reduction reduction, T* divisor, T* value) {
  const std::size_t rows = p.rows, columns = p.columns;
  const RowTargets<T> targets(p, t, w);
  if (const auto bad = targets.bad()) return bad;
  T* each = reduction == Reduction::None ? value : scratch<T>(rows);
  share_rows(p, [&](std::size_t i) {
    const T* row = p.data + i * columns;
    T l = 0;
    const auto add = [&](auto log_p) {
      targets.each(i, [&](std::size_t j, T wt) {
        if (wt != T(0)) l -= wt * log_p(j);  // 0·log 0 = 0
      });
    };
    if (!targets.counts(i))
      ;
    else if (loss == RowLoss::CrossEntropy)
      add(LogSoftmaxOf<T>(row, columns));
    else if (loss == RowLoss::Categorical)
      add([row](std::size_t j) { return log(row[j]); });
    else
      add([row](std::size_t j) { return row[j]; });
    each[i] = l;
  });
  RunningSum total, weights;
  for (std::size_t i = 0; i < rows; ++i)
    if (targets.counts(i)) {
      total.add(static_cast<double>(each[i]));
      weights.add(static_cast<double>(targets.of_row(i)));
    }
  *divisor = reduction == Reduction::Mean ? static_cast<T>(weights.total()) : T(1);
  if (reduction != Reduction::None) *value = static_cast<T>(total.total() / static_cast<double>(*divisor));
  return {};
}

template <class D, class T>
std::optional<BadClass> LossesOn<D, T>::row_backward(RowLoss loss, Matrix<const T> p, Targets<T> t, Vector<const T> w,
                                                     const T* divisor, Matrix<T> dp) {
  const std::size_t columns = p.columns;
  const RowTargets<T> targets(p, t, w);
  if (const auto bad = targets.bad()) return bad;  // again: it may have been changed since, and would be an index
  const T a = T(1) / *divisor;
  share_rows(p, [&](std::size_t i) {
    const T* row = p.data + i * columns;
    T* d = dp.data + i * columns;
    if (!targets.counts(i)) {
      std::fill_n(d, columns, T(0));
      return;
    }
    if (loss == RowLoss::CrossEntropy) {  // dzᵢ = softmax(z)ᵢ·Σⱼ wⱼtⱼ − wᵢtᵢ
      const LogSoftmaxOf<T> log_softmax(row, columns);
      T sum = 0;
      targets.each(i, [&](std::size_t, T wt) { sum += wt; });
      map(
          columns, d, [=](Batch<T> z) { return a * sum * exp(log_softmax(z)); }, row);
      targets.each(i, [&](std::size_t j, T wt) {
        d[j] = log_softmax.is_largest(j) ? a * ((sum - wt) - sum * log_softmax.beside_largest()) : d[j] - a * wt;
      });
    } else {  // dpⱼ = −wⱼtⱼ, or −wⱼtⱼ/pⱼ for probabilities
      std::fill_n(d, columns, T(0));
      targets.each(i, [&](std::size_t j, T wt) {
        if (wt != T(0)) d[j] = -a * wt / (loss == RowLoss::Categorical ? row[j] : T(1));
      });
    }
  });
  return {};
}

template class LossesOn<cpu::Cpu, float>;
template class LossesOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
