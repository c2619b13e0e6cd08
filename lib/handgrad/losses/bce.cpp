#include "handgrad/losses/bce.hpp"

#include <limits>

#include "handgrad/base/format.hpp"
#include "kernels/formulas/losses.hpp"

namespace handgrad {

namespace {

/// Checks on the CPU only: on a GPU it would stall the stream.
template <class T>
void require_unit_interval(const char* what, const Tensor<T>& x) {
  if (!x.device().is_cpu()) return;
  for (std::size_t i = 0; i < x.numel(); ++i)
    if (!(x.data()[i] >= 0 && x.data()[i] <= 1))
      throw ValueError(std::string("BCELoss: ") + what + " " + std::to_string(i) + " is " +
                       format_number(static_cast<double>(x.data()[i])) + ", a number in [0, 1] expected");
}

template <class T>
void require_numbers(const char* loss, const Tensor<T>& t) {
  if (!t.device().is_cpu()) return;
  for (std::size_t i = 0; i < t.numel(); ++i)
    if (t.data()[i] != t.data()[i]) throw ValueError(std::string(loss) + ": target " + std::to_string(i) + " is NaN");
}

/// `expanded` = the weight repeated to like's shape, whose last dimensions it must have.
template <class T>
void expand(const char* what, const Tensor<T>& weight, const Tensor<T>& like, Tensor<T>& expanded) {
  const Shape& shape = like.shape();
  if (!weight.defined() || (expanded.defined() && expanded.shape() == shape && expanded.device() == like.device()))
    return;
  bool fits = weight.rank() <= shape.rank();
  for (std::size_t i = 1; fits && i <= weight.rank(); ++i) fits = weight.shape()[-int(i)] == shape[-int(i)];
  if (!fits && weight.numel() != 1)
    throw ShapeError(std::string("BCEWithLogitsLoss: ") + what + " has shape " + weight.shape().str() +
                     ", prediction has shape " + shape.str() + "; the last dimensions must be equal");
  const std::vector<T> once = weight.to_vector();
  std::vector<T> all(shape.numel());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = once[i % once.size()];
  expanded = Tensor<T>(shape, all).to(like.device());
}

}  // namespace

template <class T>
BCELoss<T>::BCELoss(BCELossOptions options) : ElementLoss<T>(options.reduction), clamp_(options.clamp) {
  // Below that, 1 − clamp rounds to 1, and log 0 is not prevented.
  const double least = std::numeric_limits<T>::epsilon() / 2;
  if (clamp_ != 0 && !(clamp_ >= least && clamp_ < 0.5))
    throw ValueError("BCELoss: clamp = " + format_number(clamp_) + ", 0 or a number in [" + format_number(least) +
                     ", 0.5) expected");
}

template <class T>
formulas::ElementLoss BCELoss<T>::formula() const {
  if (clamp_ > 0) return formulas::ClampedBinaryCrossEntropy{clamp_};
  return formulas::BinaryCrossEntropy{};
}

template <class T>
void BCELoss<T>::forward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& value) {
  require_unit_interval("probability", p);
  require_unit_interval("target", t);
  ElementLoss<T>::forward_into(p, t, value);
}

template <class T>
formulas::ElementLoss BCEWithLogitsLoss<T>::formula() const {
  return formulas::BinaryCrossEntropyWithLogits{};
}

template <class T>
void BCEWithLogitsLoss<T>::forward_into(const Tensor<T>& z, const Tensor<T>& t, Tensor<T>& value) {
  require_numbers("BCEWithLogitsLoss", t);
  expand("weight", options_.weight, z, weight_);
  expand("pos_weight", options_.pos_weight, z, pos_weight_);
  ElementLoss<T>::forward_into(z, t, value);
}

template class BCELoss<float>;
template class BCELoss<double>;
template class BCEWithLogitsLoss<float>;
template class BCEWithLogitsLoss<double>;

}  // namespace handgrad
