#pragma once
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/distributed/communicator.hpp"

namespace handgrad {

/// What the ranks computed in place of the gradient of all rows.
enum class RankCause {
  None,             ///< the same
  NotSummed,        ///< each rank has the gradient of its own rows
  MeanOfMeans,      ///< (1/k)·Σᵣ gᵣ, whatever the ranks' numbers of rows
  NotDivided,       ///< Σᵣ gᵣ: the sum of means, without 1/k or the shares nᵣ/N
  DividedTwice,     ///< 1/k of what it should be
  RankLeftOut,      ///< the sum is without one rank's
  LocalStatistics,  ///< rightly summed, but BatchNorm normalised by each rank's own rows
  RanksDiffer,      ///< ranks have different gradients, and none of the above is why
  Unknown
};

/// What check_ranks found: which formula the gradients of several ranks fit.
struct RankReport {
  RankCause cause = RankCause::None;
  std::string diagnosis;     ///< in words, with the formula that the gradients fit
  int rank = -1;             ///< for RankLeftOut and RanksDiffer
  std::string worst_tensor;  ///< and its distance |a − r|/max(1, |r|)
  double worst = 0;
  double tolerance = 0;
  bool passed() const { return cause == RankCause::None; }
};
std::ostream& operator<<(std::ostream& out, const RankReport& report);

/// The options of check_ranks.
struct RankCheckOptions {
  int ranks = 3;
  double tolerance = 1e-12;  ///< for float 1e-5
};

/// One rank's part of a training step: computes from its rows (x, t) the gradients in `net`, as they are before the
/// optimizer's step.
template <class T>
using RankStep =
    std::function<void(Layer<T>& net, Loss<T>& loss, Communicator& ranks, const Tensor<T>& x, const Tensor<T>& t)>;

/// Compares, tensor by tensor, the gradients that several ranks (threads here) have after `step` with those of one rank
/// on all rows, and names the formula that wrong ones fit. Ranks get different numbers of rows, since with equal
/// numbers the mean of means is right. `make_net` is called on each rank with its communicator and the same random
/// numbers. The default `step` is DataParallel's.
///
///     const auto x = randn<double>({12, 2}), t = randn<double>({12, 1});
///     BOOST_TEST(check_ranks<double>(make_net, make_loss, x, t).passed());
///
/// Throws ValueError for fewer than k(k+1)/2 rows, too few to tell k ranks apart.
template <class T>
RankReport check_ranks(const std::function<std::shared_ptr<Layer<T>>(Communicator&)>& make_net,
                       const std::function<std::unique_ptr<Loss<T>>()>& make_loss, const Tensor<T>& x,
                       const Tensor<T>& t, const RankStep<T>& step = {}, RankCheckOptions options = {});

}  // namespace handgrad
