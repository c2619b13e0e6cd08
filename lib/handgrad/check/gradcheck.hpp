#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "handgrad/check/report.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"

namespace handgrad {

/// The options of check_gradients, by the names of torch.autograd.gradcheck where it has them.
struct GradcheckOptions {
  /// The largest relative error accepted; by default 1e-7 for a layer or a loss, 1e-6 for a network with its loss.
  std::optional<double> tolerance = {};
  /// The first h in (f(x+h) − f(x−h)) / 2h, relative to the spread of the entry's row or column (to |x| if nothing
  /// varies): for x = 1700000000 ± 0.5 the scale is ½.
  double step = 1e-5;
  /// Seed of the projection R and of the choice of entries.
  std::uint64_t seed = 1;
  /// A tensor with more entries is tested along a few random directions, all entries at once, and at this many single
  /// entries (fewer if each forward is slow; more after a failure).
  std::size_t max_entries = 500;
  /// A larger share of entries skipped at kinks makes the result inconclusive.
  double max_skipped = 0.2;
  /// Whether to check the gradient of the input too.
  bool input = true;
};

/// Compares what a backward computes with central differences of the forward, in double:
///
///     Linear<double> layer(3, 7);
///     std::cout << check_gradients(layer, randn<double>({5, 3}));
///
/// A layer is checked through the scalar S = Σ y∘R with a fixed random R, so δ = R. (A plain sum hides faults:
/// BatchNorm's is constant.) Each tensor is judged separately. An entry agrees if |a−n| ≤ tolerance·(|a|+|n|). One that
/// does not is differenced again with a sweep of steps and judged by the noise of those differences: the last digits of
/// S, the measured rounding of forward and backward, and curvature. No entry passes merely because it is small. A
/// forward that throws or is not finite near an entry marks the edge of the domain: the difference is taken on the
/// other side, or the report counts the entry as outside.
///
/// First, another x with one row more and other parameters go through, to expose stale caches. Two forwards of the same
/// x must agree; buffers are poisoned, so that entries never written show; a second backward must add to the gradients;
/// the backward must be linear in δ and leave x, y and δ unchanged. Random layers repeat their draw. Parameters and
/// buffers are restored bit for bit, and gradients zeroed.
///
/// Inputs and outputs beside x and y (a recurrent layer's states, if set by `set_state`) are checked too, with
/// S = Σ y∘R + Σ h_n∘R′; the report includes the gradients of h0 and c0.
///
/// Use sizes that are different primes (5 rows, 3 inputs, 7 outputs): equal sizes hide a transposition.
GradientReport check_gradients(Layer<double>& layer, const Tensor<double>& x, const GradcheckOptions& options = {});
/// Checks a loss with respect to its prediction.
GradientReport check_gradients(Loss<double>& loss, const Tensor<double>& prediction, const Tensor<double>& target,
                               const GradcheckOptions& options = {});
/// Checks a network with its loss, S = L(f(x), t).
GradientReport check_gradients(Layer<double>& network, Loss<double>& loss, const Tensor<double>& x,
                               const Tensor<double>& t, const GradcheckOptions& options = {});

/// A gradient computed by a plain function, and the tensor it belongs to.
struct FunctionGradient {
  std::string name;         // "dW"
  Tensor<double> gradient;  // as computed
  Tensor<double> value;     // W
  /// S as a function of W alone: a single number, or terms to be summed.
  std::function<Tensor<double>(const Tensor<double>& value)> forward;
  /// What the diagnosis may use.
  GradientStep step = {};
  std::vector<KnownMistake> mistakes = {};
  /// Whether a second call adds to the gradient, where it should.
  bool accumulates = true;
  /// The side of each kink on which the forward runs, if it has any.
  std::function<std::vector<bool>(const Tensor<double>& value)> kink_sides = {};
};
/// Checks backward passes written as plain functions. List the gradients in the order in which the backward computes
/// them. A wrong shape fails. The default tolerance is 1e-7.
GradientReport check_gradients(const std::string& subject, const std::vector<FunctionGradient>& gradients,
                               const GradcheckOptions& options = {});

}  // namespace handgrad
