#include "handgrad/losses/cross_entropy.hpp"

#include <algorithm>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

template <class T>
Shape RowLoss<T>::losses_shape(const Shape& prediction, const Shape& target) const {
  const bool matrix = prediction.rank() == 2, vector = prediction.rank() == 1;
  const Shape rows = matrix ? Shape{prediction[0]} : Shape{};
  if (!(matrix || vector) || !(target == prediction || target == rows))
    throw ShapeError(this->name() +
                     ": prediction of shape (N, C) with classes (N,) or distributions (N, C) as target "
                     "expected; prediction has shape " +
                     prediction.str() + ", target has shape " + target.str());
  if (weight_.defined() && !(weight_.shape() == Shape{prediction.columns()}))
    throw ShapeError(this->name() + ": weight has shape " + weight_.shape().str() + ", one factor for each of " +
                     std::to_string(prediction.columns()) + " classes expected");
  return rows;
}

template <class T>
CrossEntropyLoss<T>::CrossEntropyLoss(CrossEntropyLossOptions<T> options)
    : RowLoss<T>({std::move(options.weight), options.ignore_index, options.reduction}),
      smoothing_(static_cast<T>(options.label_smoothing)) {
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1))
    throw ValueError("CrossEntropyLoss: label_smoothing = " + format_number(options.label_smoothing) +
                     ", a number in [0, 1] expected");
}

// Targets are distributions if they have the prediction's shape, else classes.
template <class T>
static kernels::Targets<T> targets(const Tensor<T>& p, const Tensor<T>& t, T ignored, T smoothing) {
  return {t.data(), !(t.shape() == p.shape()), ignored, smoothing};
}

template <class T>
void RowLoss<T>::forward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& value) {
  if (weight_.defined()) weight_ = weight_.to(p.device());
  divisor_.reserve({}, p.device());
  const auto bad =
      backend<T>(p.device())
          .losses.row_forward(static_cast<kernels::RowLoss>(kind()), view::matrix(p),
                              targets(p, t, ignored_, smoothing()), view::vector(weight_),
                              static_cast<kernels::Reduction>(this->reduction()), divisor_.data(), value.data());
  if (bad) throw_bad_class(this->name() + ": ", *bad);
}

template <class T>
void RowLoss<T>::backward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& dp) {
  const auto bad = backend<T>(p.device())
                       .losses.row_backward(static_cast<kernels::RowLoss>(kind()), view::matrix(p),
                                            targets(p, t, ignored_, smoothing()), view::vector(weight_),
                                            divisor_.data(), view::matrix(dp));
  if (bad) throw_bad_class(this->name() + ": ", *bad);
}

template <class T>
double RowLoss<T>::averaged_over() const {
  return this->reduction() == Reduction::Mean && divisor_.defined() ? static_cast<double>(divisor_.item())
                                                                    : Loss<T>::averaged_over();
}

template <class T>
trace::Derivation RowLoss<T>::derivation(const Shape& prediction, const Shape& target) const {
  using trace::Why;
  const bool classes = !(target == prediction), mean = this->reduction() == Reduction::Mean;
  const bool weighted = weight_.defined(), logits = kind() == Kind::CrossEntropy, smoothed = smoothing() != T(0);
  const std::vector<T> t = classes ? this->target().to_vector() : std::vector<T>();
  const bool some_ignored = std::find(t.begin(), t.end(), ignored_) != t.end();
  // The share of class j in row n's target, times the class's weight; and a term of a sum over the classes with a
  // share.
  const std::string counts = some_ignored ? "(1 − [t[n] = i])·" : "";
  const auto share = [&](const std::string& j) {
    std::string text = classes ? "[t[n] = " + j + "]" : "t[n," + j + "]";
    if (smoothed) text = "((1 − ε)·" + text + " + ε/C)";
    return counts + (weighted ? "w[" + j + "]·" : "") + text;
  };
  const auto where_shared = [&](const std::string& j, const std::string& then) {  // 0·log 0 = 0
    if (smoothed) return share(j) + "·" + then;
    const std::string shared = classes ? "if(t[n] = " + j + ", " + (weighted ? "w[" + j + "]·" : "") + then + ", 0)"
                                       : "if(t[n," + j + "] = 0, 0, " + share(j) + "·" + then + ")";
    return some_ignored ? "if(t[n] = i, 0, " + shared + ")" : shared;
  };
  const Why of_right_class{"−log of the probability that was given to the right class."};
  const Why counting{"The rows that count" + std::string(weighted ? ", each with the weight of its class." : ".")};
  const Why one_number{"One number for the whole batch, of which all gradients are the slopes."};
  trace::Derivation d;
  if (logits) {
    d.rename = {{"p", "z"}};
    d.forward = {
        {"m = max z", "m[n] = max(k: z[n,k])",
         Why{"The row's largest logit is taken off first, so that no exponential overflows."}},
        {"s = log Σ exp(z − m)", "s[n] = log(sum(k: exp(z[n,k] − m[n])))",
         Why{"The logarithm of the sum by which softmax divides."}},
        {"p = softmax(z)", "p[n,j] = exp(z[n,j] − m[n] − s[n])", Why{"The probabilities that the logits stand for."}},
        {"ℓ = −Σ t∘log p", "ℓ[n] = sum(j: " + where_shared("j", "(s[n] − (z[n,j] − m[n]))") + ")", of_right_class}};
  } else if (kind() == Kind::NegativeLogLikelihood) {
    d.forward = {{"ℓ = −Σ t∘p", "ℓ[n] = −sum(j: " + where_shared("j", "p[n,j]") + ")", of_right_class}};
  } else {
    d.forward = {{"ℓ = −Σ t∘log p", "ℓ[n] = −sum(j: " + where_shared("j", "log(p[n,j])") + ")", of_right_class}};
  }
  if (mean && weighted && classes)
    d.forward.emplace_back("N = Σₙ w[tₙ]", "N = sum(n: sum(j: " + counts + "w[j]·[t[n] = j]))", counting);
  else if (mean && some_ignored)
    d.forward.emplace_back("N = number of rows that count", "N = sum(n: 1 − [t[n] = i])", counting);
  else if (mean)
    d.known.emplace_back("N", trace::constant(static_cast<double>(losses_shape(prediction, target).numel())));
  if (weighted) d.known.emplace_back("w", trace::array(weight_));
  if (some_ignored) d.known.emplace_back("i", trace::constant(static_cast<double>(ignored_)));
  if (smoothed) {
    d.known.emplace_back("ε", trace::constant(static_cast<double>(smoothing())));
    d.known.emplace_back("C", trace::constant(static_cast<double>(prediction.columns())));
  }
  if (this->reduction() == Reduction::None)
    d.forward.back().target = "L";  // the losses of the rows are the result
  else
    d.forward.emplace_back(mean ? "L = sum(n: ℓ[n])/N" : "L = sum(n: ℓ[n])", one_number);
  const std::string over = mean ? "/N" : "";
  if (logits) {
    // Σₖ of a row's shares: 1 for a class without weights, if the row counts.
    const std::string total = weighted || !classes ? "·sum(k: " + share("k") + ")"
                              : some_ignored       ? "·(1 − [t[n] = i])"
                                                   : "";
    d.backward = {{"dz = (p − t)" + over, "dz[n,j] = (p[n,j]" + total + " − " + share("j") + ")" + over,
                   Why{"zⱼ lowers ℓ where j is the right class, and raises the common sum with the factor pⱼ: together "
                       "pⱼ − tⱼ. A row adds up to 0."}}};
  } else if (kind() == Kind::NegativeLogLikelihood) {
    d.backward = {{"dp = −t" + over, "dp[n,j] = −" + share("j") + over,
                   Why{"Only the right class's number is in the loss, with the factor −1."}}};
  } else {
    d.backward = {{"dp = −t/p" + over, "dp[n,j] = " + where_shared("j", "(−1/p[n,j])") + over,
                   Why{"Only the right class's p is in the loss, and the slope of −log p is −1/p."}}};
  }
  return d;
}

template class RowLoss<float>;
template class RowLoss<double>;
template class CrossEntropyLoss<float>;
template class CrossEntropyLoss<double>;
template class NLLLoss<float>;
template class NLLLoss<double>;
template class CategoricalCrossEntropyLoss<float>;
template class CategoricalCrossEntropyLoss<double>;

}  // namespace handgrad
