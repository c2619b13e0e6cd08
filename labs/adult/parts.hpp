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

// What the sections of this lab share: the data (census.cpp), how a model is judged (evaluate.cpp), and one function
// for each part of the notebook.

struct Split {
  handgrad::Tensor<float> x, y;  // (N, D), (N, 1)
};

/// The three parts of the census, as the notebook cuts them.
struct Census {
  bool real = false;  // the UCI file, or made up
  Split train, valid, test;
  double positive_weight = 0;  // "balanced", of the class > 50K: N/(2·N₁) over all rows, as the notebook computes it

  std::size_t columns() const { return train.x.size(1); }
  /// Where it lies, all of it: where networks train, the whole run long.
  handgrad::Device device() const { return train.x.device(); }
};

/// The file as it is, and with its spaces removed and the categories merged as the notebook meant to.
struct Censuses {
  Census as_read, intended;
};
Censuses census_section(handgrad::labs::Lab& lab);

/// Records a figure that the notebook reached from an unseeded start: beside the notebook's number where the data is
/// the notebook's, alone where it is made up.
void reach(handgrad::labs::Lab& lab, const Census& census, const std::string& id, double here,
           const std::string& notebook, bool reached);

// ---- how a model is judged (evaluate.cpp) ----

struct Scores {
  double loss, auroc, threshold, precision, recall, f1;
};

/// The notebook's evaluate_model: in evaluation mode, with the threshold (a probability) that is given, or else with
/// the one that is best for F1 on these very data.
Scores evaluate_model(handgrad::Sequential<float>& net, handgrad::Loss<float>& loss, const Split& data,
                      std::optional<double> threshold = {});
/// σ(z) of the network's outputs, on the CPU.
handgrad::Tensor<float> predict_proba(handgrad::Sequential<float>& net, const handgrad::Tensor<float>& x);

/// A row under `print_scores_heading`: AUROC, F1, precision, recall in per cent, threshold.
void print_scores_heading(const std::string& title);
void print_scores(const std::string& name, const Scores& scores);
/// Lowest, middle and highest of each, over several seeds.
void print_spread(const std::vector<Scores>& runs);

/// Records .auroc, .f1, .precision and .recall, each reached when it is not below the notebook's.
struct Reached {
  double auroc, f1, precision, recall;  // by the notebook
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
  bool shuffle = false;  // the notebook's loader takes the rows in order
  double gamma = 1;      // the learning rate's factor from epoch to epoch
};
struct Training {
  handgrad::History history;
  std::vector<handgrad::NamedTensor<float>> last_weights;  // beside the best ones, which the network has
};
/// The network has its best weights in the end.
Training train(handgrad::Sequential<float>& net, handgrad::Loss<float>& loss, handgrad::Optimizer<float>& optimizer,
               const Census& census, const TrainingOptions& options);
double best_validation_loss(const handgrad::History& history);
/// A line for each epoch, or for the first of every so many.
void print_epochs(const handgrad::History& history, std::size_t every = 1);
void print_end(const handgrad::History& history);
/// Losses over the epochs, the best epoch and the early stop marked.
handgrad::labs::Plot loss_plot(const std::string& title, const handgrad::History& history);

struct Judged {
  Scores valid, test;
  Scores leaked;  // on the test data with the threshold that is best there
};
Judged judge(handgrad::Sequential<float>& net, handgrad::Loss<float>& loss, const Census& census);

struct Trained {
  Training training;
  handgrad::Sequential<float> net;
  Judged scores;
};

// ---- the notebook's parts ----
//
// Each begins what it runs beside the trainings that it shows, from other seeds and with other settings
// (common/later.hpp), so that a second thread has something to do from the first part on, and returns the part itself.

std::function<void()> plain_part(handgrad::labs::Lab& lab, const Census& census);            // tasks 3 and 4
std::function<void()> regularized_part(handgrad::labs::Lab& lab, const Census& census);      // tasks 5 to 7
std::function<void()> normalizing_part(handgrad::labs::Lab& lab, const Censuses& censuses);  // task 8
std::function<void()> tuning_part(handgrad::labs::Lab& lab, const Census& census);           // the last, optional task
