#include "handgrad/check/ranks.hpp"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "handgrad/base/format.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/distributed/data_parallel.hpp"
#include "handgrad/distributed/in_process.hpp"

namespace handgrad {

namespace {

/// All gradients of a network as one vector, with the offset of each.
struct Gradients {
  std::vector<double> all;
  std::vector<std::pair<std::string, std::size_t>> names;
};

template <class T>
Gradients gradients_of(const Layer<T>& net) {
  Gradients gradients;
  for (const auto& [name, parameter] : net.named_parameters()) {
    gradients.names.emplace_back(name, gradients.all.size());
    for (const T g : parameter.grad().to_vector()) gradients.all.push_back(static_cast<double>(g));
  }
  return gradients;
}

double distance(double a, double r) {
  const double d = std::abs(a - r) / std::max(1.0, std::abs(r));
  return std::isnan(d) ? INFINITY : d;
}

double distance(const std::vector<double>& a, const std::vector<double>& r) {
  double worst = 0;
  for (std::size_t i = 0; i < r.size(); ++i) worst = std::max(worst, distance(a[i], r[i]));
  return worst;
}

/// Σᵣ factorᵣ·gᵣ
std::vector<double> combined(const std::vector<Gradients>& ranks, const std::function<double(std::size_t)>& factor) {
  std::vector<double> sum(ranks[0].all.size(), 0.0);
  for (std::size_t r = 0; r < ranks.size(); ++r)
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += factor(r) * ranks[r].all[i];
  return sum;
}

}  // namespace

template <class T>
RankReport check_ranks(const std::function<std::shared_ptr<Layer<T>>(Communicator&)>& make_net,
                       const std::function<std::unique_ptr<Loss<T>>()>& make_loss, const Tensor<T>& x,
                       const Tensor<T>& t, const RankStep<T>& step, RankCheckOptions options) {
  const auto k = static_cast<std::size_t>(options.ranks);
  const std::size_t parts = k * (k + 1) / 2, N = x.size(0);
  if (options.ranks < 2 || N < parts)
    throw ValueError(
        "check_ranks: " + std::to_string(options.ranks) + " ranks and " + std::to_string(N) +
        " rows; at least 2 ranks expected, and k(k+1)/2 rows, so that each rank has another number of them");
  if (sizeof(T) == sizeof(float)) options.tolerance = std::max(options.tolerance, 1e-5);
  std::vector<std::size_t> from{0};  // shares as 1 : 2 : 3 …
  for (std::size_t r = 0; r < k; ++r) from.push_back(N * (r + 1) * (r + 2) / 2 / parts);

  // Single-rank backwards: r of all rows, and gᵣ of each rank's rows with weight nᵣ.
  std::vector<double> weights;
  bool mean = true;
  const auto alone = [&](std::size_t first, std::size_t last) {
    Gradients gradients;
    run_ranks(1, [&](Communicator& one) {
      auto net = make_net(one);
      auto loss = make_loss();
      loss->forward(net->forward(x.rows(first, last)), t.rows(first, last));
      net->backward(loss->backward());
      mean = loss->reduction() != Reduction::Sum;
      weights.push_back(mean ? loss->averaged_over() : 1);
      gradients = gradients_of(*net);
    });
    return gradients;
  };
  const Gradients expected = alone(0, N);
  weights.clear();
  std::vector<Gradients> own, actual(k);
  for (std::size_t r = 0; r < k; ++r) own.push_back(alone(from[r], from[r + 1]));

  run_ranks(options.ranks, [&](Communicator& ranks) {
    auto net = make_net(ranks);
    auto loss = make_loss();
    const auto r = static_cast<std::size_t>(ranks.rank());
    const Tensor<T> xs = x.rows(from[r], from[r + 1]), ts = t.rows(from[r], from[r + 1]);
    if (step) {
      step(*net, *loss, ranks, xs, ts);
    } else {
      DataParallel<T> parallel(*net, ranks);
      loss->forward(net->forward(xs), ts);
      net->backward(loss->backward());
    }
    actual[r] = gradients_of(*net);
  });

  RankReport report;
  report.tolerance = options.tolerance;
  for (std::size_t r = 0; r < k; ++r)
    for (std::size_t of = 0; of < expected.names.size(); ++of) {
      const std::size_t end = of + 1 < expected.names.size() ? expected.names[of + 1].second : expected.all.size();
      for (std::size_t i = expected.names[of].second; i < end; ++i)
        if (const double d = distance(actual[r].all[i], expected.all[i]); d > report.worst) {
          report.worst = d;
          report.worst_tensor = expected.names[of].first;
        }
    }
  if (report.worst <= options.tolerance) return report;

  // Which formula do they fit instead, on all ranks and up to rounding?
  const auto fits = [&](const std::vector<double>& formula) {
    return std::all_of(actual.begin(), actual.end(),
                       [&](const Gradients& a) { return distance(a.all, formula) <= options.tolerance; });
  };
  const auto found = [&](RankCause cause, const std::string& diagnosis, int rank = -1) {
    report.cause = cause;
    report.diagnosis = diagnosis;
    report.rank = rank;
    return report;
  };
  double total = 0;
  for (const double weight : weights) total += weight;
  if (!mean) total = 1;
  const auto share = [&](std::size_t r) { return weights[r] / total; };
  const double world = static_cast<double>(k);

  bool not_summed = true;
  for (std::size_t r = 0; r < k; ++r)
    not_summed = not_summed && distance(actual[r].all, own[r].all) <= options.tolerance;
  if (not_summed)
    return found(RankCause::NotSummed,
                 "each rank has the gradient of its own rows: they are not summed over the ranks");
  if (fits(combined(own, share)))
    return found(
        RankCause::LocalStatistics,
        "the sum Σᵣ (nᵣ/N)·gᵣ is right, but the gᵣ are not those of the whole batch: a layer normalises by each "
        "rank's own rows (BatchNorm; SyncBatchNorm takes those of all)");
  if (mean && fits(combined(own, [&](std::size_t) { return 1 / world; })))
    return found(RankCause::MeanOfMeans,
                 "they are (1/k)·Σᵣ gᵣ, the mean of the ranks' means, though the ranks have different numbers of rows: "
                 "Σᵣ (nᵣ/N)·gᵣ expected");
  if (mean && fits(combined(own, [](std::size_t) { return 1.0; })))
    return found(RankCause::NotDivided,
                 "they are Σᵣ gᵣ, the sum of the ranks' means: not divided by the number of ranks");
  std::vector<double> scaled = expected.all;
  for (double& g : scaled) g *= world;
  if (fits(scaled))
    return found(RankCause::NotDivided, "they are k times what they should be: not divided by the number of ranks");
  for (double& g : scaled) g /= world * world;
  if (fits(scaled))
    return found(RankCause::DividedTwice,
                 "they are 1/k of what they should be: divided by the number of ranks once more");
  for (std::size_t left = 0; left < k; ++left) {
    const double rest = total - (mean ? weights[left] : 0);
    const std::function<double(std::size_t)> ways[] = {
        [&](std::size_t r) { return r == left ? 0 : share(r); },
        [&](std::size_t r) { return r == left ? 0 : weights[r] / rest; },
        [&](std::size_t r) { return r == left ? 0 : 1 / world; },
        [&](std::size_t r) { return r == left ? 0 : 1 / (world - 1); },
    };
    for (const auto& way : ways)
      if (fits(combined(own, way)))
        return found(RankCause::RankLeftOut, "they are the sum without rank " + std::to_string(left) + "'s gradient",
                     static_cast<int>(left));
  }
  for (std::size_t r = 1; r < k; ++r)
    if (distance(actual[r].all, actual[0].all) > options.tolerance)
      return found(RankCause::RanksDiffer,
                   "rank " + std::to_string(r) + " has other gradients than rank 0, so their parameters will part",
                   static_cast<int>(r));
  return found(RankCause::Unknown,
               "all ranks have the same gradients, which are not those of one rank on all the rows");
}

std::ostream& operator<<(std::ostream& out, const RankReport& report) {
  if (report.passed())
    return out << "the ranks' gradients are those of one rank on all the rows (largest distance "
               << format_number(report.worst) << ")";
  return out << "the ranks' gradients are not those of one rank on all the rows: d" << report.worst_tensor
             << " is off by " << format_number(report.worst) << " (allowed " << format_number(report.tolerance) << ")\n"
             << report.diagnosis;
}

template RankReport check_ranks(const std::function<std::shared_ptr<Layer<float>>(Communicator&)>&,
                                const std::function<std::unique_ptr<Loss<float>>()>&, const Tensor<float>&,
                                const Tensor<float>&, const RankStep<float>&, RankCheckOptions);
template RankReport check_ranks(const std::function<std::shared_ptr<Layer<double>>(Communicator&)>&,
                                const std::function<std::unique_ptr<Loss<double>>()>&, const Tensor<double>&,
                                const Tensor<double>&, const RankStep<double>&, RankCheckOptions);

}  // namespace handgrad
