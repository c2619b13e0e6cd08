// Tasks 6 and 7 of notebook 003: dropout, weight decay and early stopping, and what the notebook's early stopping lost.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "adult/parts.hpp"
#include "common/plot.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;

Training train(hg::Sequential<float>& net, hg::Loss<float>& loss, hg::Optimizer<float>& optimizer, const Census& census,
               const TrainingOptions& options) {
  hg::DataLoader rows(hg::TensorDataset(census.train.x, census.train.y),
                      {.batch_size = options.batch_size, .shuffle = options.shuffle});
  hg::DataLoader valid(hg::TensorDataset(census.valid.x, census.valid.y), {.batch_size = census.valid.x.size(0)});
  hg::ExponentialLR schedule(optimizer, options.gamma);
  Training training;
  hg::FitOptions<float> fit{
      .epochs = options.epochs,
      .validation = &valid,
      .early_stopping = hg::EarlyStoppingOptions{.patience = options.patience},
      .schedulers = {&schedule},
  };
  fit.callbacks.push_back([&](const hg::EpochResult&) {
    training.last_weights = net.state_dict();
    return true;
  });
  training.history = hg::fit(net, loss, optimizer, rows, fit);
  if (training.history.end == hg::History::End::Interrupted) throw Interrupted();
  return training;
}

double best_validation_loss(const hg::History& history) {
  return history.epochs.at(static_cast<std::size_t>(history.best_epoch) - 1).validation_loss.value_or(0);
}

void print_epochs(const hg::History& history, std::size_t every) {
  for (std::size_t i = 0; i < history.epochs.size(); i += every) {
    const hg::EpochResult& epoch = history.epochs[i];
    std::cout << "epoch " << std::setw(3) << epoch.epoch << "  training loss " << std::fixed << std::setprecision(4)
              << epoch.loss << "  validation loss " << epoch.validation_loss.value_or(0) << '\n';
  }
}

Judged judge(hg::Sequential<float>& net, hg::Loss<float>& loss, const Census& census) {
  const Scores valid = evaluate_model(net, loss, census.valid);
  return {valid, evaluate_model(net, loss, census.test, valid.threshold), evaluate_model(net, loss, census.test)};
}

void print_end(const hg::History& history) {
  std::cout << (history.end == hg::History::End::EarlyStopping ? "stopped early after epoch " : "ran to epoch ")
            << history.epochs.size() << "; the best validation loss, " << std::fixed << std::setprecision(4)
            << best_validation_loss(history) << ", was that of epoch " << history.best_epoch << '\n';
}

Plot loss_plot(const std::string& title, const hg::History& history) {
  std::vector<double> epochs, training, validation;
  for (const hg::EpochResult& result : history.epochs) {
    epochs.push_back(result.epoch);
    training.push_back(result.loss);
    validation.push_back(result.validation_loss.value_or(0));
  }
  Plot plot(title, "epoch", "loss");
  plot.line(epochs, training, "training").line(epochs, validation, "validation");
  plot.marks({static_cast<double>(history.best_epoch)}, {best_validation_loss(history)}, "best weights");
  if (history.end == hg::History::End::EarlyStopping) plot.vertical(epochs.back(), "early stop");
  return plot;
}

Seeds print_seeds(Trained& shown, const std::vector<Later<Trained>>& others) {
  std::vector<const Trained*> all{&shown};
  for (const Later<Trained>& other : others) all.push_back(&other.get());
  std::vector<Scores> like_notebook, honest;
  std::vector<double> losses;
  for (const Trained* run : all) {
    like_notebook.push_back(run->scores.leaked);
    honest.push_back(run->scores.test);
    losses.push_back(best_validation_loss(run->training.history));
  }
  std::sort(losses.begin(), losses.end());
  print_scores_heading("\ntest, threshold chosen there as the notebook does");
  print_spread(like_notebook);
  print_scores_heading("test, threshold of the validation data");
  print_spread(honest);
  std::cout
      << "\nThe median of the first is held against the notebook: like with like. The second is what to expect on\n"
         "new data.\n";
  return {losses[(losses.size() - 1) / 2], median_of(like_notebook)};
}

namespace {

hg::Sequential<float> regularized_model(std::size_t columns, double dropout_p = 0.5) {
  return hg::Sequential{hg::Linear(columns, 256), hg::ReLU(), hg::Dropout(dropout_p),
                        hg::Linear(256, 128),     hg::ReLU(), hg::Dropout(dropout_p),
                        hg::Linear(128, 1)};
}

/// SGD with the notebook's values and optionally momentum µ; one step stands for `stride` of its steps, as in
/// plain.cpp.
Trained regularized(const Census& census, std::uint64_t seed, double momentum, int stride) {
  hg::manual_seed(seed);
  Trained run{{}, regularized_model(census.columns()), {}};
  run.net.to(census.device());
  hg::BCEWithLogitsLoss loss;
  hg::SGD optimizer(run.net.parameters(), {.lr = 1e-3 * stride, .momentum = momentum, .weight_decay = 1e-4});
  run.training = train(run.net, loss, optimizer, census, {.epochs = 300 / stride, .patience = 4, .batch_size = 128});
  run.scores = judge(run.net, loss, census);
  return run;
}

struct Runs {
  Later<Trained> plain, with_momentum;
  std::vector<Later<Trained>> other_seeds;
};

void regularized_section(Lab& lab, const Census& census, const Runs& runs) {
  const bool quick = lab.options.quick;
  lab.section("5 - 7  Dropout 0.5, weight decay 1e-4, batches of 128, patience 4", "6");
  if (quick)
    std::cout << "(Quick form: lr 6e-3 for 50 epochs, and with momentum 3e-3 for at most 100, where the notebook has\n"
                 "1e-3 for at most 300.)\n";
  const Trained& plain = runs.plain.get();
  print_epochs(plain.training.history, quick ? 5 : 30);
  print_end(plain.training.history);
  print_scores_heading("\n");
  print_scores("validation", plain.scores.valid);
  print_scores("test, threshold of the validation data", plain.scores.test);
  print_scores("test, threshold chosen there anew", plain.scores.leaked);
  std::cout << "\nThe last row is what the notebook prints: it looks for \"treshold\" among its results, where it is\n"
               "called \"optimal threshold\", finds nothing, and so chooses the threshold on the test data. That F1\n"
               "is no estimate of what the model does on new data, for the choice has seen the answers.\n";

  lab.section("7b   The descent had not arrived: the same with momentum 0.9", "6");
  std::cout << "Where the loss still falls when the epochs are over, as above, it is not early stopping that ends the\n"
               "run. Momentum adds up the steps that agree, up to ten for one.\n\n";
  Trained& run = runs.with_momentum.get();
  const hg::History& history = run.training.history;
  print_epochs(history, quick ? 5 : 10);
  print_end(history);
  print_scores_heading("\n");
  print_scores("validation", run.scores.valid);
  print_scores("test, threshold of the validation data", run.scores.test);
  const Seeds seeds = print_seeds(run, runs.other_seeds);
  draw(lab, "regularized",
       {loss_plot("SGD", plain.training.history), loss_plot("SGD with momentum 0.9", history),
        precision_recall_plot("Momentum, validation data", run.net, census.valid)},
       3);
  lab.figures.weights("regularized", plain.net.state_dict());
  lab.figures.weights("regularized, momentum", run.net.state_dict());
  reach(lab, census, "003.regularized.loss", seeds.loss, "0.3258", seeds.loss < 0.32585);
  reach_scores(lab, census, "003.regularized", seeds.scores, {0.9023, 0.6886, 0.6333, 0.7545});
}

}  // namespace

std::function<void()> regularized_part(Lab& lab, const Census& census) {
  const std::uint64_t start = lab.options.seed;
  const bool quick = lab.options.quick;
  const auto trained = [&census](std::uint64_t seed, double momentum, int stride) {
    return later([=, &census] { return regularized(census, seed, momentum, stride); }, census.device());
  };
  Runs runs{trained(start, 0, quick ? 6 : 1), trained(start, 0.9, quick ? 3 : 1), {}};
  for (std::uint64_t i = 1; i < seeds_that_decide(lab.options, census); ++i)
    runs.other_seeds.push_back(trained(start + i, 0.9, 3));
  return [=, &lab, &census] { regularized_section(lab, census, runs); };
}
