#pragma once
#include <cstdint>
#include <functional>
#include <handgrad/handgrad.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/lab.hpp"
#include "common/later.hpp"
#include "common/plot.hpp"

// Shared by the sections of this lab: the data (census.cpp), the evaluation of a model (evaluate.cpp), and one function
// per part of the notebook.

struct Split {
  handgrad::Tensor<float> x, y;  // (N, D), (N, 1)
};

/// The three parts of the census, split as in the notebook.
struct Census {
  bool real = false;  // the UCI file rather than a synthetic one
  Split train, valid, test;
  double positive_weight = 0;  // "balanced" for the class > 50K: N/(2·N₁) over all rows, as in the notebook

  std::size_t columns() const { return train.x.size(1); }
  /// Where all of it lies and networks train.
  handgrad::Device device() const { return train.x.device(); }
};

/// The file as it is, and with spaces removed and categories merged as the notebook intended.
struct Censuses {
  Census as_read, intended;
};
Censuses census_section(handgrad::labs::Lab& lab);

/// Records a figure that the notebook reached from an unseeded start: beside the notebook's number for the real data,
/// alone for synthetic data.
void reach(handgrad::labs::Lab& lab, const Census& census, const std::string& id, double here,
           const std::string& notebook, bool reached);

// ---- evaluation (evaluate.cpp) ----

struct Scores {
  double loss, auroc, threshold, precision, recall, f1;
};

/// The notebook's evaluate_model: in evaluation mode, with the given threshold (a probability), or with the one that is
/// best for F1 on these same data.
Scores evaluate_model(handgrad::Sequential<float>& net, handgrad::Loss<float>& loss, const Split& data,
                      std::optional<double> threshold = {});
/// σ(z) of the network's outputs, on the CPU.
handgrad::Tensor<float> predict_proba(handgrad::Sequential<float>& net, const handgrad::Tensor<float>& x);

/// Rows under `print_scores_heading`: AUROC, F1, precision, recall in per cent, threshold.
void print_scores_heading(const std::string& title);
void print_scores(const std::string& name, const Scores& scores);
/// The median of each score by itself.
Scores median_of(const std::vector<Scores>& runs);
/// How many seeds decide a figure, from the first on: their median is compared with the notebook's number, so that no
/// start need be picked. The quick form on made-up data, which is compared with nothing, runs one.
std::uint64_t seeds_that_decide(const handgrad::labs::Options& options, const Census& census);

/// The lowest, middle and highest of each score over several seeds.
void print_spread(const std::vector<Scores>& runs);

/// Records .auroc, .f1, .precision and .recall; each is reached if not below the notebook's.
struct Reached {
  double auroc, f1, precision, recall;  // the notebook's
};
void reach_scores(handgrad::labs::Lab& lab, const Census& census, const std::string& id, const Scores& here,
                  const Reached& notebook);

/// The precision-recall curve on the validation data, with the best threshold marked.
handgrad::labs::Plot precision_recall_plot(const std::string& title, handgrad::Sequential<float>& net,
                                           const Split& valid);

// ---- training with early stopping (regularized.cpp) ----

struct TrainingOptions {
  int epochs, patience;
  std::size_t batch_size;
  bool shuffle = false;  // the notebook's loader keeps the order of the rows
  double gamma = 1;      // the learning rate's factor from epoch to epoch
};
struct Training {
  handgrad::History history;
  std::vector<handgrad::NamedTensor<float>> last_weights;  // the network itself has the best ones
};
/// Leaves the network with its best weights.
Training train(handgrad::Sequential<float>& net, handgrad::Loss<float>& loss, handgrad::Optimizer<float>& optimizer,
               const Census& census, const TrainingOptions& options);
double best_validation_loss(const handgrad::History& history);
/// One line per epoch, or every `every` epochs.
void print_epochs(const handgrad::History& history, std::size_t every = 1);
void print_end(const handgrad::History& history);
/// Losses over the epochs, with the best epoch and the early stop marked.
handgrad::labs::Plot loss_plot(const std::string& title, const handgrad::History& history);

struct Judged {
  Scores valid, test;
  Scores leaked;  // on the test data with the threshold best there
};
Judged judge(handgrad::Sequential<float>& net, handgrad::Loss<float>& loss, const Census& census);

struct Trained {
  Training training;
  handgrad::Sequential<float> net;
  Judged scores;
};

/// What the figures of several seeds are judged by: medians, of the validation loss and of the scores with the
/// threshold that is best on the test data, which is how the notebook came to its numbers.
struct Seeds {
  double loss;
  Scores scores;
};
/// Also prints the spread of these scores, and of the honest ones.
Seeds print_seeds(Trained& shown, const std::vector<handgrad::labs::Later<Trained>>& others);

// ---- the notebook's parts ----
//
// Each starts its background trainings with other seeds and settings (common/later.hpp), so that a second thread has
// work from the first part on, and returns the part itself.

std::function<void()> plain_part(handgrad::labs::Lab& lab, const Census& census);            // tasks 3 and 4
std::function<void()> regularized_part(handgrad::labs::Lab& lab, const Census& census);      // tasks 5 to 7
std::function<void()> normalizing_part(handgrad::labs::Lab& lab, const Censuses& censuses);  // task 8
std::function<void()> tuning_part(handgrad::labs::Lab& lab, const Census& census);           // the last, optional task

/// `--ranks N`, instead of these: three of their trainings on N ranks, each beside one rank alone.
void ranks_section(handgrad::labs::Lab& lab, const Census& census);
