#include <cmath>
#include <string>
#include <variant>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "kernels/cpu/backend.hpp"
#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels::cpu {

// Calls run(in…) with a loss of batches `l(p, y, w, q)` and those of the four arrays that there are; the others are 1.
template <class T, class Loss, class Run>
static void with_weights(Loss l, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w, const Tensor<T>* q,
                         Run run) {
  using V = Batch<T>;
  const V one(T(1));
  if (w && q)
    run([=](V a, V b, V c, V d) { return c * l(a, b, d); }, p.data(), y.data(), w->data(), q->data());
  else if (w)
    run([=](V a, V b, V c) { return c * l(a, b, one); }, p.data(), y.data(), w->data());
  else if (q)
    run([=](V a, V b, V d) { return l(a, b, d); }, p.data(), y.data(), q->data());
  else
    run([=](V a, V b) { return l(a, b, one); }, p.data(), y.data());
}

// ℓᵢ = wᵢ·f(pᵢ, yᵢ, qᵢ);  value = a·Σℓ, or all ℓ
template <class T>
void CpuBackend<T>::element_loss_forward(const L& f, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w,
                                         const Tensor<T>* q, Reduction reduction, T a, Tensor<T>& value) {
  std::visit(
      [&](const auto& g) {
        const auto loss = [=](Batch<T> pi, Batch<T> yi, Batch<T> qi) { return g.value(pi, yi, qi); };
        with_weights<T>(loss, p, y, w, q, [&](auto l, auto... in) {
          if (reduction == Reduction::None)
            map(p.numel(), value.data(), l, in...);
          else
            *value.data() = static_cast<T>(static_cast<double>(a) * sum<T>(p.numel(), l, in...));
        });
      },
      f);
}

// dpᵢ = a·wᵢ·∂f/∂p
template <class T>
void CpuBackend<T>::element_loss_backward(const L& f, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w,
                                          const Tensor<T>* q, T a, Tensor<T>& dp) {
  std::visit(
      [&](const auto& g) {
        const auto slope = [=](Batch<T> pi, Batch<T> yi, Batch<T> qi) { return a * g.derivative(pi, yi, qi); };
        with_weights<T>(slope, p, y, w, q, [&](auto l, auto... in) { map(p.numel(), dp.data(), l, in...); });
      },
      f);
}

namespace {

// A row's target: one class, or a distribution over all.
template <class T>
class Targets {
 public:
  Targets(const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w)
      : columns_(p.shape().columns()),
        classes_(y.numel() != p.numel() || y.rank() != p.rank()),
        y_(y.data()),
        w_(w ? w->data() : nullptr) {}
  bool are_classes() const { return classes_; }
  /// Calls visit(j, wⱼ·yⱼ) for the classes that matter in row i.
  template <class F>
  void each(std::size_t i, F&& visit) const {
    if (classes_) {
      const std::size_t j = static_cast<std::size_t>(y_[i]);
      visit(j, weight(j));
    } else {
      for (std::size_t j = 0; j < columns_; ++j) visit(j, weight(j) * y_[i * columns_ + j]);
    }
  }
  T weight(std::size_t j) const { return w_ ? w_[j] : T(1); }
  void check(std::size_t i) const {
    if (!classes_) return;
    const double y = static_cast<double>(y_[i]);
    if (!(y >= 0 && y < static_cast<double>(columns_) && y == std::floor(y)))
      throw ValueError("target " + std::to_string(i) + " is " + format_number(y) + ", a class from 0 to " +
                       std::to_string(columns_ - 1) + " expected");
  }
  T of_class(std::size_t i) const { return weight(static_cast<std::size_t>(y_[i])); }

 private:
  std::size_t columns_;
  bool classes_;
  const T *y_, *w_;
};

// log Σⱼ e^(pⱼ) = m + log Σⱼ e^(pⱼ−m),  m = max p
template <class T>
T log_sum_exp(const T* p, std::size_t n) {
  T m = p[0], sum = 0;
  for (std::size_t j = 1; j < n; ++j) m = std::max(m, p[j]);
  for (std::size_t j = 0; j < n; ++j) sum += std::exp(p[j] - m);
  return m + std::log(sum);
}

}  // namespace

template <class T>
void CpuBackend<T>::row_loss_forward(RowLoss loss, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w,
                                     Reduction reduction, Tensor<T>& divisor, Tensor<T>& value) {
  const std::size_t columns = p.shape().columns(), rows = p.numel() / columns;
  const Targets<T> targets(p, y, w);
  double total = 0, weights = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    targets.check(i);
    const T* row = p.data() + i * columns;
    const T lse = loss == RowLoss::CrossEntropy ? log_sum_exp(row, columns) : T(0);
    T l = 0;
    targets.each(i, [&](std::size_t j, T wy) {
      if (wy == T(0)) return;  // 0·log 0 = 0
      l -= wy * (loss == RowLoss::Categorical ? std::log(row[j]) : row[j] - lse);
    });
    if (reduction == Reduction::None) value.data()[i] = l;
    total += static_cast<double>(l);
    weights += targets.are_classes() ? static_cast<double>(targets.of_class(i)) : 1.0;
  }
  *divisor.data() = reduction == Reduction::Mean ? static_cast<T>(weights) : T(1);
  if (reduction != Reduction::None) *value.data() = static_cast<T>(total / static_cast<double>(*divisor.data()));
}

template <class T>
void CpuBackend<T>::row_loss_backward(RowLoss loss, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w,
                                      const Tensor<T>& divisor, Tensor<T>& dp) {
  const std::size_t columns = p.shape().columns(), rows = p.numel() / columns;
  const Targets<T> targets(p, y, w);
  const T a = T(1) / *divisor.data();
  for (std::size_t i = 0; i < rows; ++i) {
    targets.check(i);  // again: it may have been changed since, and would be an index
    const T* row = p.data() + i * columns;
    T* d = dp.data() + i * columns;
    if (loss == RowLoss::CrossEntropy) {  // dzᵢ = softmax(z)ᵢ·Σⱼ wⱼyⱼ − wᵢyᵢ
      const T lse = log_sum_exp(row, columns);
      T sum = 0;
      targets.each(i, [&](std::size_t, T wy) { sum += wy; });
      for (std::size_t j = 0; j < columns; ++j) d[j] = a * sum * std::exp(row[j] - lse);
      targets.each(i, [&](std::size_t j, T wy) { d[j] -= a * wy; });
    } else {  // dpⱼ = −wⱼyⱼ, or −wⱼyⱼ/pⱼ for probabilities
      std::fill_n(d, columns, T(0));
      targets.each(i, [&](std::size_t j, T wy) {
        if (wy != T(0)) d[j] = -a * wy / (loss == RowLoss::Categorical ? row[j] : T(1));
      });
    }
  }
}

#define HANDGRAD_INSTANTIATE(T)                                                                                      \
  template void CpuBackend<T>::element_loss_forward(const L&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>*,  \
                                                    const Tensor<T>*, Reduction, T, Tensor<T>&);                     \
  template void CpuBackend<T>::element_loss_backward(const L&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>*, \
                                                     const Tensor<T>*, T, Tensor<T>&);                               \
  template void CpuBackend<T>::row_loss_forward(RowLoss, const Tensor<T>&, const Tensor<T>&, const Tensor<T>*,       \
                                                Reduction, Tensor<T>&, Tensor<T>&);                                  \
  template void CpuBackend<T>::row_loss_backward(RowLoss, const Tensor<T>&, const Tensor<T>&, const Tensor<T>*,      \
                                                 const Tensor<T>&, Tensor<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::kernels::cpu
