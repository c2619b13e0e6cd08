#pragma once
// How the labs train networks on digits, and what they report of it.
#include <functional>
#include <string>
#include <vector>

#include "common/digit_images.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/data/loader.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/training/fit.hpp"

namespace handgrad::labs {

/// Cross-entropy, AdamW with a rate that falls along half a cosine, shuffled batches.
struct DigitRecipe {
  double lr = 1e-3;
  std::size_t batch_size = 128;
  int epochs = 25;
};

/// Trains on what lies where the network is.
template <class T>
History fit_digits(Sequential<T>& net, const Tensor<T>& x, const Tensor<T>& y, const DigitRecipe& recipe,
                   std::function<bool(const EpochResult&)> callback = {}) {
  CrossEntropyLoss<T> loss;
  AdamW<T> adamw(net.parameters(), {.lr = recipe.lr});
  CosineAnnealingLR schedule(adamw, recipe.epochs);
  DataLoader<T> train(TensorDataset<T>(x, y), {.batch_size = recipe.batch_size, .shuffle = true});
  FitOptions<T> options{.epochs = recipe.epochs, .schedulers = {&schedule}};
  if (callback) options.callbacks.push_back(std::move(callback));
  return fit(net, loss, adamw, train, options);
}

/// The digits as the network takes them: rows of pixels, or images (N, 1, 28, 28).
Digits as_images(Digits data);

/// The class with the largest logit of each row, in evaluation mode, a few hundred rows at a time.
std::vector<long> predict(Sequential<float>& net, const Tensor<float>& x);

/// Brings the network to the lab's device and trains it, with a line for each epoch; draws the course of loss and test
/// error. Throws Interrupted.
void train_digits(const Lab& lab, Sequential<float>& net, const Digits& data, const DigitRecipe& recipe);

/// Which test digits are taken for which: a report, the confusion matrix, the accuracy as the figure `LAB.accuracy`,
/// and the mistakes, drawn.
void report_digits(const Lab& lab, Sequential<float>& net, const Digits& data);

}  // namespace handgrad::labs
