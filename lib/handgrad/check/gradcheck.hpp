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

struct GradcheckOptions {
  /// The largest error of an entry that agrees; by default 1e-7 for a layer or a loss, 1e-6 for a network with its
  /// loss.
  std::optional<double> tolerance = {};
  /// The first h in (f(x+h) − f(x−h)) / 2h, as a share of the spread of the entry's row or column (of |x| where nothing
  /// differs): what a function sees of x = 1700000000 ± 0.5 is the ½.
  double step = 1e-5;
  /// Seeds the projection R and the choice of entries.
  std::uint64_t seed = 1;
  /// A tensor with more entries is differenced along a few random directions, all entries at once, and then this many
  /// of them (fewer in a layer so large that each forward takes long) one by one; on failure more.
  std::size_t max_entries = 500;
  /// More than this share of entries skipped at kinks is inconclusive.
  double max_skipped = 0.2;
  /// Also the gradient with respect to the input.
  bool input = true;
};

/// Compares what a backward computes with central differences of the forward, in double:
///
///     Linear<double> layer(3, 7);
///     std::cout << check_gradients(layer, randn<double>({5, 3}));
///
/// A layer is checked through the scalar S = Σ y∘R with a fixed random R (a plain sum hides faults: BatchNorm's is
/// constant), so δ = R. Every tensor is judged on its own. An entry agrees when |a−n| ≤ tolerance·(|a|+|n|). One that
/// does not is differenced again with steps from far below the spread of the values upwards, and judged above the noise
/// of those differences alone: the last digits of S, those that forward and backward lose on the way (measured), and
/// curvature. No entry is excused or certified for being small. A forward that throws or is not finite beside an entry
/// is at the end of its domain: it is differenced to the other side, or the report says how many could not be.
///
/// Before that: another x with one row more goes first, for caches that keep what they should not; two forwards of the
/// same x must not differ; buffers are poisoned, so that an entry never written shows; a second backward must add; a
/// backward must be linear in δ, and leave x, y and δ alone. Random layers repeat their draw; parameters and buffers
/// are restored bit for bit, and the gradients zeroed.
///
/// What a layer takes and gives beside x and y (a recurrent layer's states, once `set_state` gave it some) is checked
/// with it: S = Σ y∘R + Σ h_n∘R′, and there are gradients of h0 and c0 in the report.
///
/// Use sizes that are different primes (5 rows, 3 inputs, 7 outputs): equal ones hide a transposition.
GradientReport check_gradients(Layer<double>& layer, const Tensor<double>& x, const GradcheckOptions& options = {});
/// A loss, with respect to its prediction.
GradientReport check_gradients(Loss<double>& loss, const Tensor<double>& prediction, const Tensor<double>& target,
                               const GradcheckOptions& options = {});
/// A network with its loss, S = L(f(x), y).
GradientReport check_gradients(Layer<double>& network, Loss<double>& loss, const Tensor<double>& x,
                               const Tensor<double>& y, const GradcheckOptions& options = {});

/// A gradient that a plain function computed, and what it is the gradient of.
struct FunctionGradient {
  std::string name;         // "dW"
  Tensor<double> gradient;  // as computed
  Tensor<double> value;     // W
  /// S as a function of W alone: one number, or terms that add up to it.
  std::function<Tensor<double>(const Tensor<double>& value)> forward;
  /// What the diagnosis may know.
  GradientStep step = {};
  std::vector<KnownMistake> mistakes = {};
  /// Whether a second call added to the first one's gradient, where it should.
  bool accumulates = true;
  /// On which sides of its kinks the forward runs, where it has any.
  std::function<std::vector<bool>(const Tensor<double>& value)> kink_sides = {};
};
/// Backward passes written as plain functions. List the gradients in the order in which the backward makes them. One of
/// a wrong shape fails. By default an entry agrees to 1e-7.
GradientReport check_gradients(const std::string& subject, const std::vector<FunctionGradient>& gradients,
                               const GradcheckOptions& options = {});

}  // namespace handgrad
