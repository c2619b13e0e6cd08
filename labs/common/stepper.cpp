// The position in a training, and the commands that move it.
#include "common/stepper.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "handgrad/base/errors.hpp"

namespace handgrad::labs {

using trace::Phase;

namespace {

constexpr std::size_t remembered = 200;  // steps one can go back
constexpr std::size_t patience = 50000;  // steps before `run` gives up

double loss_of(const trace::Trace& trace) {
  for (std::size_t i = 0; i < trace.assignments.size(); ++i)
    if (trace.assignments[i].phase == Phase::Loss && trace.assignments[i].by_library)
      return trace.result(i).numbers.at(0);
  return 0;
}

std::size_t number(const std::string& word) {
  char* end = nullptr;
  const long value = std::strtol(word.c_str(), &end, 10);
  if (word.empty() || *end || value < 0) throw ValueError("'" + word + "' is not a number of an element");
  return static_cast<std::size_t>(value);
}

}  // namespace

Stepper::Stepper(Lesson lesson) : training_(std::move(lesson)) { record(); }

const char* Stepper::help() {
  return "next, back, forward, loss, backward, update, epoch, run loss < NUMBER, run gradient < NUMBER, "
         "run epoch NUMBER, run nan, element ROW [COLUMN], help, quit";
}

void Stepper::record() {
  const std::size_t epoch = training_.epoch(), batch = training_.batch();
  trace::Trace trace = training_.record();
  if (history_.size() == remembered) history_.erase(history_.begin());
  history_.push_back({std::move(trace), epoch, batch, 0});
  history_.back().loss = loss_of(history_.back().trace);
  step_ = history_.size() - 1;
  go(0);
}

void Stepper::go(std::size_t at) {
  at_ = at;
  element_ = 0;
}

void Stepper::move(int rows, int columns) {
  const Shape& shape = trace().result(at_).shape;
  const auto shifted = [](std::size_t from, int by, std::size_t size) {
    const long to = static_cast<long>(from) + by;
    return static_cast<std::size_t>(std::clamp(to, 0L, static_cast<long>(size) - 1));
  };
  const std::size_t width = shape.columns();
  element_ = shifted(element_ / width, rows, shape.rows()) * width + shifted(element_ % width, columns, width);
}

/// What `run` waits for, after a step: NaN ends every run.
struct Stepper::Condition {
  double loss_below = -1, gradient_below = -1;
  std::size_t epoch = 0;

  /// From the words behind `run`: loss < 0.1, gradient < 0.01 (or without the <), epoch 5, nan.
  static Condition parse(std::vector<std::string> words) {
    if (words.size() == 3 && words[1] == "<") words.erase(words.begin() + 1);
    if (words.size() == 1 && words[0] == "nan") return {};
    const std::string what = words.empty() ? "" : words[0];
    if (words.size() != 2 || (what != "loss" && what != "gradient" && what != "epoch"))
      throw ValueError("run: loss < NUMBER, gradient < NUMBER, epoch NUMBER or nan expected");
    char* end = nullptr;
    const double x = std::strtod(words[1].c_str(), &end);
    if (*end || !(x > 0)) throw ValueError("run " + what + ": a number above 0 expected, '" + words[1] + "' came");
    Condition condition;
    if (what == "loss") condition.loss_below = x;
    if (what == "gradient") condition.gradient_below = x;
    if (what == "epoch") condition.epoch = static_cast<std::size_t>(x);
    return condition;
  }
};

/// Trains until the condition holds after a step, and shows that step; for an epoch its first.
std::string Stepper::run(const Condition& condition) {
  if (step_ + 1 < history_.size()) return "there are recorded steps ahead: go to the last one first (epoch, or next)";
  const Training::State begin = training_.state();
  if (condition.epoch > 0) {
    if (condition.epoch <= recorded().epoch)
      return "epoch " + std::to_string(condition.epoch) + " is over: this is epoch " + std::to_string(recorded().epoch);
    for (std::size_t i = 0; training_.epoch() < condition.epoch; ++i) {
      if (i == patience) {
        training_.restore(begin);
        return "not in " + std::to_string(patience) + " steps; this is where you were";
      }
      training_.step();
    }
    return record(), "";
  }
  for (std::size_t i = 0; i < patience; ++i) {
    const Training::State before = training_.state();
    const double loss = training_.step(), gradient = training_.largest_gradient();
    const bool is_nan = std::isnan(loss) || std::isnan(gradient);
    if (is_nan || loss < condition.loss_below || gradient < condition.gradient_below) {
      training_.restore(before);
      record();
      std::ostringstream message;
      message << "after " << i + 1 << " steps: ";
      if (is_nan)
        message << "NaN";
      else if (loss < condition.loss_below)
        message << "the loss is " << loss;
      else
        message << "the largest gradient is " << gradient;
      return message.str();
    }
  }
  training_.restore(begin);
  return "not in " + std::to_string(patience) + " steps; this is where you were";
}

std::string Stepper::command(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  if (words.empty()) words = {"next"};
  const std::string& verb = words[0];

  if (verb == "next") {
    if (at_ + 1 < trace().assignments.size()) return go(at_ + 1), "";
    if (step_ + 1 < history_.size()) return ++step_, go(0), "";
    return record(), "";
  }
  if (verb == "back") {
    if (at_ > 0) return go(at_ - 1), "";
    if (step_ == 0) return "this is the beginning";
    return --step_, go(trace().assignments.size() - 1), "";
  }
  for (const Phase phase : {Phase::Forward, Phase::Loss, Phase::Backward, Phase::Update}) {
    if (verb != name(phase)) continue;
    for (std::size_t i = at_ + 1; i < trace().assignments.size(); ++i)
      if (trace().assignments[i].phase == phase && trace().assignments[i - 1].phase != phase) return go(i), "";
    for (std::size_t i = 0; i < trace().assignments.size(); ++i)  // from the start of the step again
      if (trace().assignments[i].phase == phase) return go(i), "";
  }
  if (verb == "epoch") {
    const std::size_t next = recorded().epoch + 1;
    while (step_ + 1 < history_.size() && recorded().epoch < next) ++step_;
    if (recorded().epoch >= next) return go(0), "";
    while (training_.epoch() < next) training_.step();
    return record(), "";
  }
  if (verb == "run") return run(Condition::parse({words.begin() + 1, words.end()}));
  if (verb == "element" && (words.size() == 2 || words.size() == 3)) {
    const Shape& shape = trace().result(at_).shape;
    const std::size_t row = words.size() == 3 ? number(words[1]) : 0, column = number(words.back());
    const std::size_t flat = words.size() == 3 ? row * shape.columns() + column : column;
    if (flat >= shape.numel() || (words.size() == 3 && column >= shape.columns()))
      throw ValueError(assignment().target + " has shape " + shape.str() + ": there is no such element");
    return element_ = flat, "";
  }
  throw ValueError("'" + line + "' is not understood. There is: " + help());
}

}  // namespace handgrad::labs
