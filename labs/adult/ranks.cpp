// The same trainings on several ranks: tasks 3, 4 and 8, in double, beside one rank alone (README.md, 9).
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "adult/parts.hpp"
#include "common/ranks.hpp"
#include "common/text.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

struct Rows {
  Tensor<double> x, y;
};
struct Data {
  Rows train, valid, test;
  double positive_weight;
};

/// In double, and as many training rows as the ranks can share evenly: then their b-th batches are one rank's b-th.
Data in_double(const Census& census, std::size_t ranks) {
  const auto part = [](const Split& split, std::size_t rows) {
    return Rows{xt::cast<double>(split.x.cpu().rows(0, rows).xt()), xt::cast<double>(split.y.cpu().rows(0, rows).xt())};
  };
  const std::size_t rows = census.train.x.size(0);
  return {part(census.train, rows - rows % ranks), part(census.valid, census.valid.x.size(0)),
          part(census.test, census.test.x.size(0)), census.positive_weight};
}

/// What a training comes to, the same on all ranks.
struct Result {
  std::vector<double> numbers;
  double seconds = 0;
};

template <class Work>
Result timed(hg::Communicator& ranks, Work&& work) {
  ranks.barrier();
  const auto begin = std::chrono::steady_clock::now();
  Result result{work()};
  ranks.barrier();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

double auroc(hg::Layer<double>& net, const Rows& rows) {
  net.eval();
  return hg::roc_auc_score(rows.y, net.forward(rows.x));
}

/// Tasks 3 and 4: descent on all rows, of which each rank has its part. The loss of the last step, and the AUROC.
Result descent(hg::Communicator& ranks, const Data& data, hg::Sequential<double> net, double lr, int steps) {
  return timed(ranks, [&] {
    hg::DataParallel<double> parallel(net, ranks);
    const Tensor<double> x = parallel.share(data.train.x), y = parallel.share(data.train.y);
    hg::BCEWithLogitsLoss<double> loss;
    hg::SGD<double> sgd(net.parameters(), {.lr = lr});
    double value = 0;
    for (int step = 0; step < steps; ++step) {
      value = loss.forward(net.forward(x), y).item();
      sgd.zero_grad();
      net.backward(loss.backward());
      sgd.step();
    }
    const double sum = hg::all_reduce(ranks, value * static_cast<double>(x.size(0)));
    return std::vector<double>{sum / static_cast<double>(data.train.x.size(0)), auroc(net, data.test)};
  });
}

/// Task 8 as it was meant, without dropout, whose masks are each rank's own: batch norm over the rows of all ranks,
/// shuffled batches of which each rank has its part, the validation data shared among the ranks.
Result normalizing(hg::Communicator& ranks, const Data& data, std::size_t batch, int epochs) {
  return timed(ranks, [&] {
    hg::Sequential<double> net;
    std::size_t in = data.train.x.size(1);
    for (const std::size_t out : {256, 128}) {
      net.push_back(std::make_shared<hg::Linear<double>>(in, out));
      net.push_back(std::make_shared<hg::SyncBatchNorm<double>>(out, ranks));
      net.push_back(std::make_shared<hg::ReLU<double>>());
      in = out;
    }
    net.push_back(std::make_shared<hg::Linear<double>>(in, 1));
    hg::DataParallel<double> parallel(net, ranks);
    hg::BCEWithLogitsLoss<double> loss({.pos_weight = Tensor<double>{data.positive_weight}});
    hg::SGD<double> sgd(net.parameters(), {.lr = 0.02, .momentum = 0.9, .weight_decay = 1e-4});
    const auto size = static_cast<std::size_t>(ranks.size());
    hg::DistributedSampler mine(data.train.x.size(0), ranks.size(), ranks.rank(), {.seed = 36});
    hg::DistributedSampler valid_mine(data.valid.x.size(0), ranks.size(), ranks.rank(),
                                      {.shuffle = false, .pad = false});
    hg::DataLoader<double> train(hg::TensorDataset<double>(data.train.x, data.train.y),
                                 {.batch_size = batch / size, .sampler = &mine});
    hg::DataLoader<double> valid(hg::TensorDataset<double>(data.valid.x, data.valid.y),
                                 {.batch_size = data.valid.x.size(0), .sampler = &valid_mine});
    hg::FitOptions<double> options{
        .epochs = epochs,
        .validation = &valid,
        .metrics = {{"auroc", [](const auto& z, const auto& y) { return hg::roc_auc_score(y, z); }}},
        .parallel = &parallel,
        .progress = false};
    const hg::History history = hg::fit(net, loss, sgd, train, options);
    if (history.end == hg::History::End::Interrupted) throw Interrupted();
    const hg::EpochResult& last = history.epochs.back();
    return std::vector<double>{last.loss, last.validation_loss.value_or(0), last.metrics.at(0), auroc(net, data.test)};
  });
}

struct Comparison {
  std::string id, what;
  std::vector<std::string> numbers;
  std::function<Result(hg::Communicator&)> run;
};

std::string digits(double x) {
  std::ostringstream text;
  text << std::setprecision(17) << x;
  return text.str();
}

}  // namespace

void ranks_section(Lab& lab, const Census& census) {
  const int ranks = lab.options.ranks;
  const auto k = static_cast<std::size_t>(ranks);
  const Data data = in_double(census, k);
  const std::size_t batch = std::max<std::size_t>(128 / k, 1) * k, columns = census.columns();
  const bool quick = lab.options.quick;
  const auto linear = [](std::size_t in, std::size_t out) { return hg::Linear<double>(in, out); };
  const std::vector<Comparison> trainings{
      {"logistic",
       "3  logistic regression",
       {"training loss", "AUROC, test"},
       [&](hg::Communicator& all) { return descent(all, data, hg::Sequential<double>{linear(columns, 1)}, 4e-2, 75); }},
      {"mlp",
       "4  108-256-128-1",
       {"training loss", "AUROC, test"},
       [&](hg::Communicator& all) {
         return descent(all, data,
                        hg::Sequential<double>{linear(columns, 256), hg::ReLU<double>(), linear(256, 128),
                                               hg::ReLU<double>(), linear(128, 1)},
                        4e-2, quick ? 10 : 50);
       }},
      {"normalizing",
       "8  with SyncBatchNorm",
       {"training loss", "validation loss", "AUROC, validation", "AUROC, test"},
       [&](hg::Communicator& all) { return normalizing(all, data, batch, quick ? 2 : 8); }},
  };

  lab.section("9    On " + std::to_string(ranks) + (ranks == 1 ? " rank, " : " ranks, ") +
                  (ranks_of_processes ? "processes that mpirun started" : "threads of this process"),
              "9");
  lab.stays_on_cpu("in double, to see that the order of a sum is all that differs");
  std::cout << data.train.x.size(0) << " training rows, " << data.train.x.size(0) / k << " for each rank; batches of "
            << batch << " in task 8.\n\n"
            << std::string(46, ' ') << "one rank      " << std::setw(3) << ranks << " ranks      difference\n";
  std::ostringstream times;
  for (const Comparison& training : trainings) {
    Result alone, together;
    on_ranks(ranks, [&](hg::Communicator& all) {
      const auto seeded = [&](hg::Communicator& communicator) {
        hg::manual_seed(lab.options.seed + 36);
        return training.run(communicator);
      };
      const Result several = seeded(all);
      if (all.rank() == 0) {
        together = several;
        hg::run_ranks(1, [&](hg::Communicator& one) { alone = seeded(one); });
      }
      all.barrier();
    });
    if (together.numbers.empty()) continue;  // in the processes that only help
    std::string expected;
    std::cout << training.what << '\n';
    for (std::size_t i = 0; i < alone.numbers.size(); ++i) {
      const double a = alone.numbers[i], b = together.numbers[i];
      std::cout << "     " << padded(training.numbers[i], 34) << std::fixed << std::setprecision(10) << std::setw(15)
                << a << std::setw(15) << b << std::scientific << std::setprecision(1) << std::setw(16)
                << std::abs(b - a) / std::abs(a) << '\n';
      expected += (i ? " " : "") + digits(a);
    }
    times << "     " << padded(training.what.substr(3), 34) << std::fixed << std::setprecision(2) << std::setw(13)
          << alone.seconds << " s" << std::setw(13) << together.seconds << " s\n";
    lab.figures.exact("ranks." + training.id, together.numbers, within(1e-12, expected));
  }
  std::cout << "\nThe differences are relative, and those of sums in another order. Times:\n" << times.str();
}
