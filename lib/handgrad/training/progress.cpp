#include "handgrad/training/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "handgrad/base/format.hpp"

namespace handgrad::detail {

namespace {

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

Progress::Progress(bool wanted, int epochs, std::size_t batches, std::vector<std::string> metrics)
    : wanted_(wanted),
      shown_(wanted && ::isatty(STDERR_FILENO)),
      epochs_(epochs),
      batches_(batches),
      metrics_(std::move(metrics)),
      begin_(Clock::now()),
      epoch_begin_(begin_),
      last_(begin_) {}

void Progress::begin_epoch(int epoch) {
  if (first_ == 0) first_ = epoch;
  epoch_ = epoch;
  batch_ = examples_ = 0;
  epoch_begin_ = Clock::now();
}

bool Progress::due() {
  const auto now = Clock::now();
  if (seconds_between(last_, now) < 0.1) return false;
  last_ = now;
  return true;
}

double Progress::examples_per_second() const {
  const double seconds = seconds_between(epoch_begin_, Clock::now());
  return seconds > 0 ? static_cast<double>(examples_) / seconds : 0;
}

std::string Progress::time_left(double epochs_done) const {
  if (!(epochs_done > 0)) return "";
  const double left = (epochs_ - first_ + 1) - epochs_done;
  const double seconds = std::ceil(seconds_between(begin_, Clock::now()) / epochs_done * left);
  return formatted("  %.0f:%02d left", std::floor(seconds / 60), static_cast<int>(std::fmod(seconds, 60)));
}

std::string Progress::line(double loss) const {
  const double part = batches_ > 0 ? static_cast<double>(batch_) / static_cast<double>(batches_) : 0;
  return "epoch " + std::to_string(epoch_) + "/" + std::to_string(epochs_) + "  batch " + std::to_string(batch_) + "/" +
         std::to_string(batches_) + "  loss " + formatted("%.4f", loss) + "  " +
         formatted("%.0f", examples_per_second()) + " examples/s" + time_left(epoch_ - first_ + part);
}

std::string Progress::summary(const EpochResult& result, bool best) const {
  std::string text = "epoch " + std::to_string(result.epoch) + "/" + std::to_string(epochs_) + "  loss " +
                     formatted("%.4f", result.loss);
  if (result.validation_loss) text += "  validation " + formatted("%.4f", *result.validation_loss);
  for (std::size_t i = 0; i < result.metrics.size(); ++i)
    text += "  " + metrics_[i] + " " + formatted("%.4f", result.metrics[i]);
  text += "  " + formatted("%.0f", examples_per_second()) + " examples/s";
  if (result.epoch < epochs_) text += time_left(result.epoch - first_ + 1);
  return text + (best ? "  *" : "");
}

void Progress::end_epoch(const EpochResult& result, bool best) {
  if (!shown_) return;
  show(summary(result, best));
  std::fputc('\n', stderr);
  width_ = 0;
}

void Progress::say(const std::string& text) {
  if (!wanted_) return;
  if (width_ > 0) std::fputc('\n', stderr);
  std::fprintf(stderr, "%s\n", text.c_str());
  width_ = 0;
}

void Progress::show(const std::string& text) {
  const std::size_t blanks = width_ > text.size() ? width_ - text.size() : 0;  // erase the rest of a longer line
  std::fprintf(stderr, "\r%s%*s", text.c_str(), static_cast<int>(blanks), "");
  std::fflush(stderr);
  width_ = text.size();
}

}  // namespace handgrad::detail
