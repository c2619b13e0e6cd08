// The last task of notebook 003, left to the reader there: a hyperparameter search by TPE and at random.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "adult/parts.hpp"
#include "common/plot.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;

namespace {

struct Settings {
  std::size_t n, batch_size;  // n and n/2 hidden neurons
  double lr, weight_decay, dropout;
};

Settings suggest(hg::Trial& trial) {
  return {.n = static_cast<std::size_t>(trial.suggest_int("N", 16, 256, true)),
          .batch_size = std::stoul(trial.suggest_categorical("batch size", {"64", "128", "256", "512"})),
          .lr = trial.suggest_float("lr", 3e-4, 3e-2, true),
          .weight_decay = trial.suggest_float("weight decay", 1e-6, 1e-2, true),
          .dropout = trial.suggest_float("dropout", 0, 0.6)};
}

hg::Sequential<float> model(std::size_t columns, const Settings& s) {
  return hg::Sequential{hg::Linear(columns, s.n), hg::ReLU(), hg::Dropout(s.dropout),
                        hg::Linear(s.n, s.n / 2), hg::ReLU(), hg::Dropout(s.dropout),
                        hg::Linear(s.n / 2, 1)};
}

/// The result of a search, including the trained network, so that it need not be trained again.
struct Found {
  std::string name;
  std::vector<hg::TrialRecord> trials;
  std::vector<double> best_values;
  hg::TrialRecord best;
  hg::Sequential<float> net;
};

/// One training: Adam, at most 300 epochs, ended when the validation AUROC has not grown for 10 epochs or the trial
/// falls behind the median of earlier ones.
double auroc_of(hg::Trial& trial, const Settings& settings, const Census& census, std::uint64_t seed,
                hg::Sequential<float>& net) {
  hg::manual_seed(seed);  // the same for every trial, so that only settings differ
  net = model(census.columns(), settings);
  net.to(census.device());
  hg::BCEWithLogitsLoss loss;
  hg::Adam adam(net.parameters(), {.lr = settings.lr, .weight_decay = settings.weight_decay});
  hg::DataLoader rows(hg::TensorDataset(census.train.x, census.train.y),
                      {.batch_size = settings.batch_size, .shuffle = true});
  hg::DataLoader valid(hg::TensorDataset(census.valid.x, census.valid.y), {.batch_size = census.valid.x.size(0)});
  hg::FitOptions<float> options{
      .epochs = 300,
      .validation = &valid,
      .metrics = {{"auroc", [](const auto& z, const auto& y) { return hg::roc_auc_score(y, z); }}},
      .monitor = "auroc",
      .early_stopping = hg::EarlyStoppingOptions{.patience = 10, .maximize = true},
  };
  double best = 0;
  options.callbacks.push_back([&](const hg::EpochResult& result) {
    best = std::max(best, result.metrics[0]);
    trial.report(result.metrics[0], result.epoch);
    return !trial.should_prune();
  });
  const hg::History history = hg::fit(net, loss, adam, rows, options);
  if (history.end == hg::History::End::Interrupted) throw Interrupted();
  if (history.end == hg::History::End::Callback) throw hg::TrialPruned();
  return best;
}

/// `out` gets one line per trial.
Found search(const std::string& name, std::shared_ptr<hg::Sampler> sampler, const Census& census, std::uint64_t seed,
             int trials, std::ostream& out) {
  out << '\n' << name << "\n  trial     N  batch        lr   weight decay  dropout   AUROC, validation\n";
  hg::Study study({.maximize = true, .sampler = std::move(sampler), .pruner = hg::MedianPruner{5, 2}, .seed = seed});
  Found found{name, {}, {}, {}, {}};
  double best = 0;
  study.optimize(
      [&](hg::Trial& trial) {
        const Settings s = suggest(trial);
        out << std::setw(7) << trial.number() + 1 << std::setw(6) << s.n << std::setw(7) << s.batch_size
            << std::scientific << std::setprecision(1) << std::setw(10) << s.lr << std::setw(15) << s.weight_decay
            << std::fixed << std::setprecision(2) << std::setw(9) << s.dropout << std::flush;
        hg::Sequential<float> net;
        try {
          const double auroc = auroc_of(trial, s, census, seed, net);
          out << std::setprecision(4) << std::setw(10) << auroc << (auroc > best ? "  best so far" : "") << std::endl;
          if (auroc > best) found.net = std::move(net);
          best = std::max(best, auroc);
          return auroc;
        } catch (const hg::TrialPruned&) {
          out << "    pruned" << std::endl;
          throw;
        }
      },
      trials);
  found.trials = study.trials();
  found.best_values = study.best_values();
  found.best = study.best_trial();
  return found;
}

Plot history_plot(const std::vector<Found*>& searches) {
  Plot plot("Search for hyperparameters", "trial", "validation AUROC");
  double low = 1, high = 0, last = 1;
  for (const Found* found : searches) {
    std::vector<double> numbers, at, values;
    for (const hg::TrialRecord& trial : found->trials) {
      numbers.push_back(trial.number + 1);
      if (trial.state != hg::TrialRecord::State::Complete) continue;
      at.push_back(trial.number + 1);
      values.push_back(trial.value);
      low = std::min(low, trial.value);
      high = std::max(high, trial.value);
    }
    last = std::max(last, numbers.back());
    plot.steps(numbers, found->best_values, found->name + ", best so far")
        .points(at, values, found->name + ", completed");
  }
  const double margin = 0.05 * (high - low) + 1e-4;
  return plot.limits(0, last + 1, low - margin, high + margin);
}

/// A search that prints nothing until it is over.
struct Silent {
  std::string text;
  Found found;
};

int trials_of(const Options& options) {
  const int wanted = static_cast<int>(std::min<std::size_t>(options.trials, 10000));
  return options.quick ? std::min(wanted, 5) : wanted;
}

void tuning_section(Lab& lab, const Census& census, const Later<Silent>& random) {
  const int trials = trials_of(lab.options);
  lab.section("9    Search for N, learning rate, batch size, weight decay and dropout: " + std::to_string(trials) +
                  " trials each",
              "8");
  if (lab.options.quick)
    std::cout << "(Quick form: " << trials << " trials. In full there are " << lab.options.trials << ".)\n";
  std::cout << "columns-N-N/2-1, Adam, at most 300 epochs, patience 10. A trial that is behind the median of those\n"
               "before it is pruned.";
  if (trials <= 10) std::cout << " TPE's first ten trials are random ones, too.";
  std::cout << '\n';
  Found tpe = search("TPE", std::make_shared<hg::TPESampler>(), census, lab.options.seed, trials, std::cout);
  std::cout << random.get().text << std::flush;
  const std::vector<Found*> searches{&tpe, &random.get().found};

  hg::BCEWithLogitsLoss loss;
  print_scores_heading("\nThe best of each, on the test data");
  for (Found* found : searches) print_scores(found->name, judge(found->net, loss, census).test);
  for (const Found* found : searches) {
    std::cout << found->name << ", trial " << found->best.number + 1 << ": validation AUROC " << std::setprecision(4)
              << found->best.value << "\n   ";
    for (const auto& [name, value] : found->best.parameters) {
      std::ostringstream number;
      number << std::setprecision(2) << value;
      const bool whole = found->best.distributions.at(name).kind != hg::Distribution::Kind::Float;
      std::cout << ' ' << name << ' ' << (whole ? found->best.text(name) : number.str());
    }
    std::cout << '\n';
  }
  draw(lab, "tuning", {history_plot(searches)});
  for (const Found* found : searches) lab.figures.weights("best by " + found->name, found->net.state_dict());
  lab.figures.reach("003.tuning.tpe", tpe.best.value);
  lab.figures.reach("003.tuning.random", random.get().found.best.value);
}

}  // namespace

std::function<void()> tuning_part(Lab& lab, const Census& census) {
  const Later<Silent> random = later(
      [&census, seed = lab.options.seed + 1, trials = trials_of(lab.options)] {
        std::ostringstream text;
        Found found = search("Random", std::make_shared<hg::RandomSampler>(), census, seed, trials, text);
        return Silent{text.str(), std::move(found)};
      },
      census.device());
  return [&lab, &census, random] { tuning_section(lab, census, random); };
}
