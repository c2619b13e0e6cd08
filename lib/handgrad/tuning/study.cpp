#include "handgrad/tuning/study.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/training/interrupt.hpp"

namespace handgrad {

namespace {

using nlohmann::json;
using State = TrialRecord::State;

const char* const state_names[] = {"running", "complete", "pruned", "failed"};
const char* const kind_names[] = {"float", "int", "categorical"};

template <std::size_t N>
int number_of(const char* const (&names)[N], const std::string& name) {
  for (std::size_t i = 0; i < N; ++i)
    if (name == names[i]) return static_cast<int>(i);
  throw ParseError("'" + name + "' is unknown");
}

// JSON has no NaN or infinity: these are written as text.
json number(double value) { return std::isfinite(value) ? json(value) : json(format_number(value)); }
double number(const json& value) {
  if (!value.is_string()) return value.get<double>();
  const auto text = value.get<std::string>();
  double number = 0;
  if (!read_number(text, number)) throw ParseError("'" + text + "' is no number");
  return number;
}
int whole(const std::string& what, const json& value) {
  return static_cast<int>(whole_number(what, value.get<double>(), std::numeric_limits<int>::max()));
}

json to_json(const TrialRecord& t) {
  json parameters = json::array(), reported = json::array();
  for (const auto& [name, value] : t.parameters) {
    const Distribution& d = t.distributions.at(name);
    json p{{"name", name}, {"value", number(value)}, {"kind", kind_names[static_cast<int>(d.kind)]}};
    if (d.kind == Distribution::Kind::Categorical)
      p["choices"] = d.choices;
    else
      p.update({{"low", d.low}, {"high", d.high}, {"log", d.log}});
    parameters.push_back(std::move(p));
  }
  for (const auto& [step, value] : t.reported) reported.push_back({step, number(value)});
  return {{"number", t.number},       {"state", state_names[static_cast<int>(t.state)]},
          {"value", number(t.value)}, {"seconds", t.seconds},
          {"parameters", parameters}, {"reported", reported}};
}

TrialRecord trial_of(const json& j) {
  TrialRecord t{whole("a trial's number", j.at("number")),
                static_cast<State>(number_of(state_names, j.at("state").get<std::string>())), number(j.at("value"))};
  t.seconds = j.at("seconds").get<double>();
  for (const json& p : j.at("parameters")) {
    const std::string name = p.at("name").get<std::string>();
    Distribution d{static_cast<Distribution::Kind>(number_of(kind_names, p.at("kind").get<std::string>()))};
    const double value = number(p.at("value"));
    if (d.kind == Distribution::Kind::Categorical) {
      d.choices = p.at("choices").get<std::vector<std::string>>();
      if (!(value >= 0 && value < static_cast<double>(d.choices.size())))
        throw ParseError(name + ": there is no choice " + format_number(value));
    } else {
      d.low = p.at("low").get<double>();
      d.high = p.at("high").get<double>();
      d.log = p.at("log").get<bool>();
      const bool whole = d.kind == Distribution::Kind::Int;
      if (!(value >= d.low && value <= d.high) || (whole && value != static_cast<int>(std::clamp(value, -2e9, 2e9))))
        throw ParseError(name + ": " + format_number(value) + " is not in its range");
    }
    t.parameters.emplace_back(name, value);
    t.distributions[name] = std::move(d);
  }
  for (const json& r : j.at("reported")) t.reported[whole("a step", r.at(0))] = number(r.at(1));
  return t;
}

/// Numbers that depend only on the seed, the trial and the parameter's name.
Generator generator_for(std::uint64_t seed, int trial, const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  const auto add = [&](const void* data, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3;
  };
  add(&seed, sizeof seed);
  add(&trial, sizeof trial);
  add(name.data(), name.size());
  return Generator(hash ^ hash >> 32);
}

}  // namespace

const double* TrialRecord::find(const std::string& name) const {
  for (const auto& [key, value_of] : parameters)
    if (key == name) return &value_of;
  return nullptr;
}

std::string TrialRecord::text(const std::string& name) const {
  const double* found = find(name);
  if (!found) throw ValueError("trial " + std::to_string(number) + " has no parameter " + name);
  const Distribution& d = distributions.at(name);
  if (d.kind == Distribution::Kind::Categorical) return d.choices[static_cast<std::size_t>(*found)];
  return d.kind == Distribution::Kind::Int ? std::to_string(static_cast<long>(*found)) : format_number(*found);
}

double Trial::suggest(const std::string& name, const Distribution& d) {
  if (const double* value = record_.find(name)) {
    if (record_.distributions.at(name) == d) return *value;
    throw ValueError("suggest: " + name + " has another range in this trial already");
  }
  Generator generator = generator_for(study_.options_.seed, record_.number, name);
  const StudyOptions& options = study_.options_;
  const double value =
      options.sampler->sample(name, d, study_.trials_, options.maximize, [&] { return generator.uniform<double>(); });
  record_.parameters.emplace_back(name, value);
  record_.distributions[name] = d;
  return value;
}

double Trial::suggest_float(const std::string& name, double low, double high, bool log) {
  if (!(low <= high) || !std::isfinite(high - low) || (log && low <= 0))
    throw ValueError("suggest_float: " + name + " in [" + format_number(low) + ", " + format_number(high) + "]" +
                     (log ? " on a logarithmic scale" : "") + ": no such range");
  return suggest(name, {Distribution::Kind::Float, low, high, log});
}

int Trial::suggest_int(const std::string& name, int low, int high, bool log) {
  if (low > high || (log && low < 1))
    throw ValueError("suggest_int: " + name + " in [" + std::to_string(low) + ", " + std::to_string(high) + "]" +
                     (log ? " on a logarithmic scale" : "") + ": no such range");
  return static_cast<int>(
      suggest(name, {Distribution::Kind::Int, static_cast<double>(low), static_cast<double>(high), log}));
}

std::string Trial::suggest_categorical(const std::string& name, const std::vector<std::string>& choices) {
  if (choices.empty()) throw ValueError("suggest_categorical: " + name + " has no choices");
  return choices[static_cast<std::size_t>(suggest(name, {Distribution::Kind::Categorical, 0, 0, false, choices}))];
}

void Trial::report(double value, int step) {
  if (step < 0) throw ValueError("report: step " + std::to_string(step) + ", 0 or more expected");
  record_.reported.emplace(step, value);
}

bool Trial::should_prune() const {
  const StudyOptions& options = study_.options_;
  return options.pruner && options.pruner->should_prune(record_, study_.trials_, options.maximize);
}

Study::Study(StudyOptions options) : options_(std::move(options)) {
  if (!options_.sampler) throw ValueError("Study: no sampler");
  if (options_.file.empty()) return;
  std::error_code unknown;
  if (std::filesystem::exists(options_.file, unknown))
    load();
  else
    save();  // find an unwritable place before the first trial
}

void Study::optimize(const std::function<double(Trial&)>& objective, int trials) {
  const InterruptGuard guard;
  while (trials_.size() < static_cast<std::size_t>(std::max(trials, 0)) && !InterruptGuard::requested()) {
    TrialRecord record;
    record.number = static_cast<int>(trials_.size());
    Trial trial(*this, record);
    const auto begin = std::chrono::steady_clock::now();
    try {
      record.value = objective(trial);
      record.state = std::isnan(record.value) ? State::Failed : State::Complete;
    } catch (const TrialPruned&) {
      record.state = State::Pruned;
      if (!record.reported.empty()) record.value = record.reported.rbegin()->second;
    }
    if (InterruptGuard::requested()) return;
    record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    trials_.push_back(std::move(record));
    if (!options_.file.empty()) save();
  }
}

const TrialRecord& Study::best_trial() const {
  const TrialRecord* best = nullptr;
  for (const TrialRecord& t : trials_)
    if (t.state == State::Complete && (!best || better(t.value, best->value))) best = &t;
  if (!best) throw StateError("Study: no trial is completed");
  return *best;
}

std::vector<double> Study::best_values() const {
  std::vector<double> values;
  double best = std::numeric_limits<double>::quiet_NaN();
  for (const TrialRecord& t : trials_) {
    if (t.state == State::Complete && (std::isnan(best) || better(t.value, best))) best = t.value;
    values.push_back(best);
  }
  return values;
}

void Study::save() const {
  json trials = json::array();
  for (const TrialRecord& t : trials_) trials.push_back(to_json(t));
  const json study{{"format", "handgrad study 1"},
                   {"maximize", options_.maximize},
                   {"seed", options_.seed},
                   {"trials", std::move(trials)}};
  write_file(options_.file, study.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
}

void Study::load() {
  const std::string& path = options_.file;
  try {
    const json study = json::parse(read_file(path));
    if (study.at("format") != "handgrad study 1") throw ParseError("another format");
    if (study.at("maximize") != options_.maximize)
      throw ValueError(std::string("it is a study that ") + (options_.maximize ? "minimizes" : "maximizes"));
    if (study.at("seed") != options_.seed)
      throw ValueError("its seed is " + study.at("seed").dump() + ", not " + std::to_string(options_.seed));
    std::vector<TrialRecord> trials;
    for (const json& t : study.at("trials")) {
      trials.push_back(trial_of(t));
      if (trials.back().number != static_cast<int>(trials.size()) - 1)
        throw ParseError("trial " + std::to_string(trials.back().number) + " is out of order");
    }
    trials_ = std::move(trials);
  } catch (const json::exception& error) {
    throw ParseError(path + ": no study: " + error.what());
  } catch (IoError&) {
    throw;
  } catch (Error& error) {
    error.prepend(path + ": ");
    throw;
  }
}

}  // namespace handgrad
