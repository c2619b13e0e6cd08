#include "handgrad/training/fit.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <sstream>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/distributed/data_parallel.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/io/safetensors.hpp"
#include "handgrad/optim/clip_grad.hpp"
#include "handgrad/training/checkpoint.hpp"
#include "handgrad/training/first_not_finite.hpp"
#include "handgrad/training/interrupt.hpp"
#include "handgrad/training/progress.hpp"
#include "handgrad/training/training_step.hpp"

namespace handgrad {

namespace {

/// The mean loss of an epoch. The batches' values stay on their device, so that a GPU need not be waited for, and are
/// added in double at the end.
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
  /// The first batch (from 0) whose loss was not finite; the number of batches if all were.
  std::size_t first_not_finite() const {
    if (rows_.empty()) return 0;
    const std::vector<T> values = values_.rows(0, rows_.size()).to_vector();
    const auto at = std::find_if(values.begin(), values.end(), [](T v) { return !std::isfinite(v); });
    return static_cast<std::size_t>(at - values.begin());
  }
  /// The mean over the examples, of all ranks if there are several.
  double mean(Communicator* ranks) const {
    const std::vector<T> values = rows_.empty() ? std::vector<T>() : values_.rows(0, rows_.size()).to_vector();
    double sums[] = {0, 0};
    auto& [total, rows] = sums;
    for (std::size_t i = 0; i < values.size(); ++i) {
      total += static_cast<double>(values[i]) * (mean_ ? static_cast<double>(rows_[i]) : 1);
      rows += static_cast<double>(rows_[i]);
    }
    if (ranks) ranks->all_reduce(std::span<double>(sums));
    return rows > 0 ? total / rows : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  Tensor<T> last(std::size_t i) const { return values_.rows(i, i + 1).reshape({}); }
  bool mean_;
  std::size_t room_;
  Tensor<T> values_;
  std::vector<std::size_t> rows_;
};

/// The predictions of all batches in one tensor, on their device.
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
  Tensor<T> get(Communicator* ranks) const {
    Tensor<T> mine = all_.rows(0, rows_).cpu();
    if (!ranks) return mine;
    const std::vector<T> elements = mine.to_vector();
    const std::vector<double> all = all_gather(*ranks, std::vector<double>(elements.begin(), elements.end()));
    Shape shape = mine.shape();
    shape[0] = all.size() / (mine.numel() / rows_);
    return Tensor<T>(shape, std::vector<T>(all.begin(), all.end()));
  }

 private:
  std::size_t total_, rows_ = 0;
  Tensor<T> all_;
};

/// Restores a network's mode on destruction.
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

// Checks that every layer, in the network's current mode, takes as few rows as the last batch has.
template <class T>
void require_rows(const Layer<T>& net, const DataLoader<T>& data, const char* whose) {
  const std::size_t rows = data.last_batch_size();
  if (net.least_rows() > rows)
    throw ShapeError(std::string("fit: the last batch of the ") + whose + " data has " + std::to_string(rows) +
                     (rows == 1 ? " row (" : " rows (") + std::to_string(data.examples()) + " in batches of " +
                     std::to_string(data.batch_size()) + "), " + net.label() + " takes at least " +
                     std::to_string(net.least_rows()) + "; drop_last leaves it out");
  for (const auto& [name, child] : net.children()) require_rows(*child, data, whose);
}

// The history as lines of numbers, for the file beside the checkpoint, from epoch index `first` (from 0).
std::string text_of(const std::vector<EpochResult>& epochs, std::size_t first) {
  std::string text;
  for (std::size_t i = first; i < epochs.size(); ++i) {
    const EpochResult& e = epochs[i];
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
    if (words.size() < 5) throw ParseError("history: '" + line + "' is no epoch");
    const auto number = [&](std::size_t i) {
      double value = 0;
      if (!read_number(words[i], value)) throw ParseError("history: '" + words[i] + "' is no number");
      return value;
    };
    EpochResult e{static_cast<int>(whole_number("history: epoch", number(0), std::numeric_limits<int>::max())),
                  number(1)};
    e.lr = number(2);
    e.seconds = number(3);
    if (words[4] != "-") e.validation_loss = number(4);
    for (std::size_t i = 5; i < words.size(); ++i) e.metrics.push_back(number(i));
    epochs.push_back(std::move(e));
  }
  return epochs;
}

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
        step_(net, loss, optimizer, clipping(),
              [this](const Tensor<T>& value) { return parallel() || std::isfinite(value.item()); }),
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
    if (parallel()) require_same_everywhere();
    net_.train();
    require_rows(net_, train_, "training");
    net_.eval();
    if (options_.validation) require_rows(net_, *options_.validation, "validation");
    resume();
    std::vector<std::string> names;
    for (const Metric<T>& metric : options_.metrics) names.push_back(metric.name);
    detail::Progress progress(options_.progress && writes(), options_.epochs, train_.size(), names);
    while (state_.epoch < options_.epochs && history_.end == History::End::Finished) epoch(progress);
    if (history_.end == History::End::NotFinite) progress.say("fit: " + history_.reason);
    if (options_.early_stopping) {
      stopping_.restore(net_);
      history_.best_epoch = stopping_.best_epoch();
    }
    return std::move(history_);
  }

 private:
  DataParallel<T>* parallel() const { return options_.parallel; }
  Communicator* ranks() const { return parallel() ? &parallel()->communicator() : nullptr; }
  bool writes() const { return !parallel() || parallel()->is_first(); }

  void require_same_everywhere() {
    std::string text = std::to_string(options_.epochs) + " epochs\n" + std::to_string(train_.size()) + " batches\n";
    if (const DistributedSampler* sampler = train_.sampler())
      text += std::string("a sampler of seed ") + std::to_string(sampler->options().seed) + "\n";
    text += options_.validation ? "validation data\n" : "no validation data\n";
    text += options_.checkpoint.empty() ? "no checkpoint\n" : "a checkpoint\n";
    require_same(*ranks(), "fit", "a training of", text + options_.monitor);
  }

  void epoch(detail::Progress& progress) {
    const auto begin = std::chrono::steady_clock::now();
    EpochResult result{state_.epoch + 1};
    result.lr = optimizer_.lr();
    progress.begin_epoch(result.epoch);
    net_.train();
    mean_.clear();
    std::size_t batch = 0;
    if (train_.sampler()) train_.sampler()->set_epoch(static_cast<std::size_t>(state_.epoch));
    for (auto& [x, t] : train_) {
      const Tensor<T>& loss = step_(x, t);
      ++batch;
      if (!parallel() && loss.device().is_cpu() && !std::isfinite(loss.item()))
        return not_finite(batch, loss.item(),
                          "the first tensor that was not finite: " + detail::first_not_finite(net_, loss_, x, t));
      mean_.add(loss, x.size(0));
      progress.batch(x.size(0), [&] { return mean_.so_far(); });
      bool stop = InterruptGuard::requested();
      if (parallel()) {
        if (stop) parallel()->request_stop();
        stop = parallel()->stop_requested();  // by any rank, before this step's sums
      }
      if (stop) {
        history_.end = History::End::Interrupted;
        return;
      }
    }
    result.loss = mean_.mean(ranks());
    if (!std::isfinite(result.loss)) return not_finite(first_not_finite() + 1, result.loss, not_named());
    if (parallel()) parallel()->broadcast_buffers();
    if (options_.validation) {
      auto [loss, metrics] = evaluate(net_, loss_, *options_.validation, options_.metrics, ranks());
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
    bool ended = false;
    for (const auto& callback : options_.callbacks) ended = !callback(result) || ended;
    if (parallel()) ended = all_reduce(*ranks(), ended ? 1.0 : 0.0) > 0;
    if (ended) history_.end = History::End::Callback;
    ++state_.epoch;
    if (!options_.best_weights.empty() && stopping_.improved() && writes())
      write_safetensors(options_.best_weights, net_.state_dict());
    if (!options_.checkpoint.empty() && writes()) save();
  }

  // The batch, on whichever rank it was first.
  std::size_t first_not_finite() const {
    const double mine[] = {static_cast<double>(mean_.first_not_finite())};
    if (!parallel()) return static_cast<std::size_t>(mine[0]);
    const std::vector<double> all = all_gather(*ranks(), mine);
    return static_cast<std::size_t>(*std::min_element(all.begin(), all.end()));
  }

  const char* not_named() const {
    return parallel() ? "on several ranks the steps after it have been made already; one alone would name the tensor"
                      : "on a GPU the steps after it have been made already; the CPU would name the tensor";
  }

  void not_finite(std::size_t batch, double loss, const std::string& where) {
    const std::size_t epoch = static_cast<std::size_t>(state_.epoch);
    history_.end = History::End::NotFinite;
    history_.reason = "the loss of step " + std::to_string(epoch * train_.size() + batch) + " (epoch " +
                      std::to_string(epoch + 1) + ", batch " + std::to_string(batch) + ") is " + format_number(loss) +
                      "; " + where;
  }

  std::function<void()> clipping() {
    if (!std::isfinite(options_.max_grad_norm)) return {};
    return [this] { clip_grad_norm_(optimizer_.parameters(), options_.max_grad_norm, 2, grad_norm_); };
  }

  void save() {
    const std::string lines = text_of(history_.epochs, written_epochs_);
    write_file_at(history_file(), written_bytes_, lines);
    written_epochs_ = history_.epochs.size();
    written_bytes_ += lines.size();
    state_.notes = {{"history_bytes", std::to_string(written_bytes_)},
                    {"end", std::to_string(static_cast<int>(history_.end))}};
    save_checkpoint(options_.checkpoint, state_);
  }

  void resume() {
    if (options_.checkpoint.empty()) return;
    const bool there = writes() && std::filesystem::exists(options_.checkpoint);
    if (!(parallel() ? all_reduce(*ranks(), there ? 1.0 : 0.0) > 0 : there)) return;
    if (parallel()) {
      load_of_first();
      parallel()->spread_random();
    } else {
      load_checkpoint(options_.checkpoint, state_);
    }
    if (state_.notes["end"] == std::to_string(static_cast<int>(History::End::EarlyStopping)))
      history_.end = History::End::EarlyStopping;
    if (const auto history = state_.notes.find("history"); history != state_.notes.end()) {
      history_.epochs = epochs_of(history->second);  // handgrad 0.1 kept it in the checkpoint itself
      return;
    }
    // Any line beyond the checkpoint's count belongs to an epoch that was not saved and will be repeated.
    std::string all = writes() ? read_file(history_file()) : "";
    if (parallel()) all = broadcast(*ranks(), all);
    double bytes = 0;
    if (!read_number(state_.notes["history_bytes"], bytes))
      throw ParseError(options_.checkpoint + ": notes.history_bytes: '" + state_.notes["history_bytes"] +
                       "' is no number");
    written_bytes_ = static_cast<std::size_t>(whole_number(options_.checkpoint + ": notes.history_bytes", bytes));
    if (all.size() < written_bytes_)
      throw ParseError(history_file() + ": " + std::to_string(written_bytes_) + " bytes expected, it has " +
                       std::to_string(all.size()));
    history_.epochs = epochs_of(all.substr(0, written_bytes_));
    written_epochs_ = history_.epochs.size();
  }

  // Rank 0's checkpoint: the others, perhaps on other machines, get a copy.
  void load_of_first() {
    const std::string content = broadcast(*ranks(), writes() ? read_file(options_.checkpoint) : "");
    if (writes()) return load_checkpoint(options_.checkpoint, state_);
    const std::filesystem::path copy =
        std::filesystem::temp_directory_path() /
        ("handgrad-" + std::to_string(::getpid()) + "-" + std::to_string(ranks()->rank()) + ".safetensors");
    write_file(copy.string(), content);
    try {
      load_checkpoint(copy.string(), state_);
    } catch (...) {
      std::filesystem::remove(copy);
      throw;
    }
    std::filesystem::remove(copy);
  }

  std::string history_file() const { return options_.checkpoint + ".history"; }

  Layer<T>& net_;
  Loss<T>& loss_;
  Optimizer<T>& optimizer_;
  DataLoader<T>& train_;
  const FitOptions<T>& options_;
  MeanLoss<T> mean_;
  TrainingStep<T> step_;
  EarlyStopping<T> stopping_;
  TrainingState<T> state_;
  std::optional<std::size_t> monitored_;  // index of the metric; empty: the loss
  Tensor<T> grad_norm_;
  History history_;
  std::size_t written_epochs_ = 0, written_bytes_ = 0;  // of the history, in its file
};

}  // namespace

template <class T>
std::pair<double, std::vector<double>> evaluate(Layer<T>& net, Loss<T>& loss, DataLoader<T>& data,
                                                const std::vector<Metric<T>>& metrics, Communicator* ranks) {
  const ModeGuard<T> mode(net);
  net.eval();
  const std::vector<Parameter<T>> parameters = net.parameters();
  MeanLoss<T> mean(loss, data.size());
  Gathered<T> predictions(data.dataset().size()), targets(data.dataset().size());
  for (auto& [x, t] : data) {
    const Device device = parameters.empty() ? x.device() : parameters.front().value().device();
    const Tensor<T>& prediction = net.forward(x.to(device));
    mean.add(loss.forward(prediction, t.to(device)), x.size(0));
    if (metrics.empty()) continue;
    predictions.add(prediction);
    targets.add(t);
  }
  std::pair<double, std::vector<double>> result{mean.mean(ranks), {}};
  if (metrics.empty()) return result;
  const Tensor<T> p = predictions.get(ranks), t = targets.get(ranks);
  for (const Metric<T>& metric : metrics) result.second.push_back(metric.value(p, t));
  return result;
}

template <class T>
History fit(Layer<T>& net, Loss<T>& loss, Optimizer<T>& optimizer, DataLoader<T>& train, const FitOptions<T>& options) {
  return Run<T>(net, loss, optimizer, train, options).run();
}

#define HANDGRAD_INSTANTIATE(T)                                                                           \
  template std::pair<double, std::vector<double>> evaluate(Layer<T>&, Loss<T>&, DataLoader<T>&,           \
                                                           const std::vector<Metric<T>>&, Communicator*); \
  template History fit(Layer<T>&, Loss<T>&, Optimizer<T>&, DataLoader<T>&, const FitOptions<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
