#include "handgrad/training/fit.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <sstream>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/io/safetensors.hpp"
#include "handgrad/optim/clip_grad.hpp"
#include "handgrad/training/checkpoint.hpp"
#include "handgrad/training/interrupt.hpp"
#include "handgrad/training/progress.hpp"
#include "handgrad/training/training_step.hpp"

namespace handgrad {

namespace {

/// The mean loss of an epoch. The values of the batches stay where they are computed, so that a GPU need not be waited
/// for, and are added in double at the end.
template <class T>
class MeanLoss {
 public:
  MeanLoss(const Loss<T>& loss, std::size_t batches) : mean_(loss.reduction() == Reduction::Mean), room_(batches) {
    if (loss.reduction() == Reduction::None)
      throw ValueError("fit: " + loss.name() +
                       " with Reduction::None gives a loss for each example; Mean or Sum expected");
  }
  void clear() { rows_.clear(); }
  void add(const Tensor<T>& value, std::size_t rows) {
    if (!values_.defined() || values_.device() != value.device()) values_ = Tensor<T>::empty({room_}, value.device());
    last(rows_.size()).copy_from(value);
    rows_.push_back(rows);
  }
  double so_far() const { return static_cast<double>(last(rows_.size() - 1).item()) / (mean_ ? 1 : rows_.back()); }
  double mean() const {
    if (rows_.empty()) return std::numeric_limits<double>::quiet_NaN();
    const std::vector<T> values = values_.rows(0, rows_.size()).to_vector();
    double total = 0, rows = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      total += static_cast<double>(values[i]) * (mean_ ? static_cast<double>(rows_[i]) : 1);
      rows += static_cast<double>(rows_[i]);
    }
    return total / rows;
  }

 private:
  Tensor<T> last(std::size_t i) const { return values_.rows(i, i + 1).reshape({}); }
  bool mean_;
  std::size_t room_;
  Tensor<T> values_;
  std::vector<std::size_t> rows_;
};

/// The predictions of all batches in one tensor, where they are computed: a GPU need not be waited for.
template <class T>
class Gathered {
 public:
  explicit Gathered(std::size_t rows) : total_(rows) {}
  void add(const Tensor<T>& part) {
    if (!all_.defined()) {
      Shape shape = part.shape();
      shape[0] = total_;
      all_ = Tensor<T>::empty(shape, part.device());
    }
    all_.rows(rows_, rows_ + part.size(0)).copy_from(part);
    rows_ += part.size(0);
  }
  Tensor<T> get() const { return all_.rows(0, rows_).cpu(); }

 private:
  std::size_t total_, rows_ = 0;
  Tensor<T> all_;
};

/// Puts a network back into the mode in which it was.
template <class T>
class ModeGuard {
 public:
  explicit ModeGuard(Layer<T>& net) : net_(net), training_(net.is_training()) {}
  ~ModeGuard() { net_.train(training_); }
  ModeGuard(const ModeGuard&) = delete;
  ModeGuard& operator=(const ModeGuard&) = delete;

 private:
  Layer<T>& net_;
  bool training_;
};

// The history as lines of numbers, for the checkpoint.
std::string text_of(const std::vector<EpochResult>& epochs) {
  std::string text;
  for (const EpochResult& e : epochs) {
    text += std::to_string(e.epoch) + " " + format_number(e.loss) + " " + format_number(e.lr) + " " +
            format_number(e.seconds) + " " + (e.validation_loss ? format_number(*e.validation_loss) : "-");
    for (const double metric : e.metrics) text += " " + format_number(metric);
    text += "\n";
  }
  return text;
}

std::vector<EpochResult> epochs_of(const std::string& text) {
  std::vector<EpochResult> epochs;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    if (words.size() < 5) throw ParseError("notes.history: '" + line + "' is no epoch");
    const auto number = [&](std::size_t i) {
      double value = 0;
      if (!read_number(words[i], value)) throw ParseError("notes.history: '" + words[i] + "' is no number");
      return value;
    };
    EpochResult e{static_cast<int>(whole_number("notes.history: epoch", number(0), std::numeric_limits<int>::max())),
                  number(1)};
    e.lr = number(2);
    e.seconds = number(3);
    if (words[4] != "-") e.validation_loss = number(4);
    for (std::size_t i = 5; i < words.size(); ++i) e.metrics.push_back(number(i));
    epochs.push_back(std::move(e));
  }
  return epochs;
}

/// One training: its parts by reference, its history.
template <class T>
class Run {
 public:
  Run(Layer<T>& net, Loss<T>& loss, Optimizer<T>& optimizer, DataLoader<T>& train, const FitOptions<T>& options)
      : net_(net),
        loss_(loss),
        optimizer_(optimizer),
        train_(train),
        options_(options),
        mean_(loss, train.size()),
        step_(net, loss, optimizer, clipping()),
        stopping_(options.early_stopping.value_or(EarlyStoppingOptions{.restore_best = false})),
        state_{net, &optimizer, options.schedulers, &stopping_} {
    if (train.generator()) state_.generators.push_back(train.generator());
    if (options.epochs < 0) throw ValueError("fit: " + std::to_string(options.epochs) + " epochs");
    if (options.monitor != "loss") {
      const auto at = std::find_if(options.metrics.begin(), options.metrics.end(),
                                   [&](const Metric<T>& m) { return m.name == options.monitor; });
      if (at == options.metrics.end() || !options.validation)
        throw ValueError("fit: monitor '" + options.monitor +
                         "' is neither \"loss\" nor the name of a metric of validation data");
      monitored_ = static_cast<std::size_t>(at - options.metrics.begin());
      if (!options.best_weights.empty() && !options.early_stopping)
        throw ValueError("fit: best_weights by '" + options.monitor +
                         "' needs early_stopping, which says whether more or less of it is better");
    }
  }

  History run() {
    const InterruptGuard guard;
    const ModeGuard<T> mode(net_);
    resume();
    std::vector<std::string> names;
    for (const Metric<T>& metric : options_.metrics) names.push_back(metric.name);
    detail::Progress progress(options_.progress, options_.epochs, train_.size(), names);
    while (state_.epoch < options_.epochs && history_.end == History::End::Finished) epoch(progress);
    if (options_.early_stopping) {
      stopping_.restore(net_);
      history_.best_epoch = stopping_.best_epoch();
    }
    return std::move(history_);
  }

 private:
  void epoch(detail::Progress& progress) {
    const auto begin = std::chrono::steady_clock::now();
    EpochResult result{state_.epoch + 1};
    result.lr = optimizer_.lr();
    progress.begin_epoch(result.epoch);
    net_.train();
    mean_.clear();
    for (auto& [x, y] : train_) {
      mean_.add(step_(x, y), x.size(0));
      progress.batch(x.size(0), [&] { return mean_.so_far(); });
      if (InterruptGuard::requested()) {
        history_.end = History::End::Interrupted;
        return;
      }
    }
    result.loss = mean_.mean();
    if (options_.validation) {
      auto [loss, metrics] = evaluate(net_, loss_, *options_.validation, options_.metrics);
      result.validation_loss = loss;
      result.metrics = std::move(metrics);
    }
    const double watched = monitored_ ? result.metrics[*monitored_] : result.validation_loss.value_or(result.loss);
    for (Scheduler* scheduler : options_.schedulers) scheduler->step(watched);
    const bool stop = stopping_.step(watched, net_) && options_.early_stopping;
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    progress.end_epoch(result, stopping_.improved());

    history_.epochs.push_back(result);
    if (stop) history_.end = History::End::EarlyStopping;
    for (const auto& callback : options_.callbacks)
      if (!callback(result)) history_.end = History::End::Callback;
    ++state_.epoch;
    if (!options_.best_weights.empty() && stopping_.improved())
      write_safetensors(options_.best_weights, net_.state_dict());
    if (!options_.checkpoint.empty()) save();
  }

  std::function<void()> clipping() {
    if (!std::isfinite(options_.max_grad_norm)) return {};
    return [this] { clip_grad_norm_(optimizer_.parameters(), options_.max_grad_norm, 2, grad_norm_); };
  }

  void save() {
    state_.notes = {{"history", text_of(history_.epochs)}, {"end", std::to_string(static_cast<int>(history_.end))}};
    save_checkpoint(options_.checkpoint, state_);
  }

  void resume() {
    if (options_.checkpoint.empty() || !std::filesystem::exists(options_.checkpoint)) return;
    load_checkpoint(options_.checkpoint, state_);
    history_.epochs = epochs_of(state_.notes["history"]);
    if (state_.notes["end"] == std::to_string(static_cast<int>(History::End::EarlyStopping)))
      history_.end = History::End::EarlyStopping;
  }

  Layer<T>& net_;
  Loss<T>& loss_;
  Optimizer<T>& optimizer_;
  DataLoader<T>& train_;
  const FitOptions<T>& options_;
  MeanLoss<T> mean_;
  TrainingStep<T> step_;
  EarlyStopping<T> stopping_;
  TrainingState<T> state_;
  std::optional<std::size_t> monitored_;  // the metric; none: the loss
  Tensor<T> grad_norm_;
  History history_;
};

}  // namespace

template <class T>
std::pair<double, std::vector<double>> evaluate(Layer<T>& net, Loss<T>& loss, DataLoader<T>& data,
                                                const std::vector<Metric<T>>& metrics) {
  const ModeGuard<T> mode(net);
  net.eval();
  const std::vector<Parameter<T>> parameters = net.parameters();
  MeanLoss<T> mean(loss, data.size());
  Gathered<T> predictions(data.dataset().size()), targets(data.dataset().size());
  for (auto& [x, y] : data) {
    const Device device = parameters.empty() ? x.device() : parameters.front().value().device();
    const Tensor<T>& prediction = net.forward(x.to(device));
    mean.add(loss.forward(prediction, y.to(device)), x.size(0));
    if (metrics.empty()) continue;
    predictions.add(prediction);
    targets.add(y);
  }
  std::pair<double, std::vector<double>> result{mean.mean(), {}};
  for (const Metric<T>& metric : metrics) result.second.push_back(metric.value(predictions.get(), targets.get()));
  return result;
}

template <class T>
History fit(Layer<T>& net, Loss<T>& loss, Optimizer<T>& optimizer, DataLoader<T>& train, const FitOptions<T>& options) {
  return Run<T>(net, loss, optimizer, train, options).run();
}

#define HANDGRAD_INSTANTIATE(T)                                                                 \
  template std::pair<double, std::vector<double>> evaluate(Layer<T>&, Loss<T>&, DataLoader<T>&, \
                                                           const std::vector<Metric<T>>&);      \
  template History fit(Layer<T>&, Loss<T>&, Optimizer<T>&, DataLoader<T>&, const FitOptions<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
