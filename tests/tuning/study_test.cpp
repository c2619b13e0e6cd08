// Hyperparameter search: the samplers against Optuna's, pruning, and studies that survive an interruption.
#include "handgrad/tuning/study.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_throws;
using handgrad::test::Reference;
using handgrad::test::TemporaryFolder;

namespace {

// The functions of reference/subject_tuning.py.
double bowl(Trial& trial) {
  const double x = trial.suggest_float("x", -5, 5), y = trial.suggest_float("y", 1e-6, 1, true);
  return std::pow(x - 0.3, 2) + std::pow(std::log10(y) + 3, 2);
}

double mixed(Trial& trial) {
  const int n = trial.suggest_int("n", 1, 50), m = trial.suggest_int("m", 1, 1024, true);
  const double value = std::abs(n - 17) / 10.0 + std::abs(std::log2(m) - 6);
  const std::string kind = trial.suggest_categorical("kind", {"a", "b", "c"});
  if (kind == "b") return value + std::abs(trial.suggest_float("z", 0, 1) - 0.5);
  return value + (kind == "a" ? 1 : 2);
}

template <class F>
double median_of_best(F&& objective, const std::shared_ptr<Sampler>& sampler, int seeds, int trials) {
  std::vector<double> best;
  for (int seed = 0; seed < seeds; ++seed) {
    Study study({.sampler = sampler, .seed = static_cast<std::uint64_t>(seed)});
    study.optimize(objective, trials);
    best.push_back(study.best_trial().value);
  }
  std::sort(best.begin(), best.end());
  return (best[(best.size() - 1) / 2] + best[best.size() / 2]) / 2;
}

void check_same(const std::vector<TrialRecord>& a, const std::vector<TrialRecord>& b) {
  BOOST_TEST_REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    BOOST_TEST((a[i].parameters == b[i].parameters), "trial " << i);
    BOOST_TEST((a[i].distributions == b[i].distributions), "trial " << i);
    BOOST_TEST((a[i].state == b[i].state), "trial " << i);
    BOOST_TEST((a[i].value == b[i].value || (std::isnan(a[i].value) && std::isnan(b[i].value))), "trial " << i);
    BOOST_TEST((a[i].reported == b[i].reported), "trial " << i);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(samplers_do_as_well_as_optunas) {
  const Reference file = Reference::file("tuning");
  const int seeds = static_cast<int>(file["seeds"].number()), trials = static_cast<int>(file["trials"].number());
  const auto compare = [&](const char* name, double (*objective)(Trial&)) {
    const Reference theirs = file["median_of_best"][name];
    const double random = median_of_best(objective, std::make_shared<RandomSampler>(), seeds, trials),
                 tpe = median_of_best(objective, std::make_shared<TPESampler>(), seeds, trials);
    BOOST_TEST_MESSAGE(name << ": random " << random << " (Optuna " << theirs["random"].number() << "), TPE " << tpe
                            << " (Optuna " << theirs["tpe"].number() << ")");
    // Medians of 60 seeds vary by about a third.
    BOOST_TEST(random < 1.6 * theirs["random"].number(), name);
    BOOST_TEST(random > theirs["random"].number() / 1.6, name);
    BOOST_TEST(tpe < 1.6 * theirs["tpe"].number(), name);
    BOOST_TEST(tpe < random / 2, name);
  };
  compare("bowl", bowl);
  compare("mixed", mixed);
}

BOOST_AUTO_TEST_CASE(values_stay_in_their_range_and_fill_it) {
  for (const std::shared_ptr<Sampler>& sampler : {std::shared_ptr<Sampler>(std::make_shared<RandomSampler>()),
                                                  std::shared_ptr<Sampler>(std::make_shared<TPESampler>())}) {
    Study study({.sampler = sampler, .seed = 3});
    std::vector<int> seen(4, 0), choices(3, 0);
    study.optimize(
        [&](Trial& trial) {
          const double x = trial.suggest_float("x", 2, 3), y = trial.suggest_float("y", 1e-3, 10, true);
          const int n = trial.suggest_int("n", -1, 2), one = trial.suggest_int("one", 5, 5);
          const std::string c = trial.suggest_categorical("c", {"p", "q", "r"});
          BOOST_TEST((x >= 2 && x <= 3 && y >= 1e-3 && y <= 10 && n >= -1 && n <= 2 && one == 5));
          BOOST_TEST(trial.suggest_float("x", 2, 3) == x);
          ++seen[static_cast<std::size_t>(n + 1)];
          ++choices[static_cast<std::size_t>(c[0] - 'p')];
          return std::sin(50 * x) + y;
        },
        80);
    BOOST_TEST(*std::min_element(seen.begin(), seen.end()) > 0);
    BOOST_TEST(*std::min_element(choices.begin(), choices.end()) > 0);
  }
}

BOOST_AUTO_TEST_CASE(ranges_may_change_from_trial_to_trial) {
  Study study({.seed = 2});
  study.optimize(
      [](Trial& trial) {
        const bool wide = trial.number() < 15;
        const double x = wide ? trial.suggest_float("x", -1000, 1000) : trial.suggest_float("x", 1, 2);
        const std::string c = trial.suggest_categorical(
            "c", wide ? std::vector<std::string>{"p", "q", "r"} : std::vector<std::string>{"p"});
        const int n = wide ? trial.suggest_int("n", 0, 9) : static_cast<int>(trial.suggest_float("n", 0, 9));
        if (!wide) BOOST_TEST((x >= 1 && x <= 2 && c == "p"));
        return x + n;
      },
      40);
  BOOST_TEST(study.trials().size() == 40u);
}

BOOST_AUTO_TEST_CASE(an_interrupted_study_goes_on_as_if_it_had_not_been) {
  const TemporaryFolder folder;
  const auto objective = [](Trial& trial) {
    const double value = mixed(trial);
    for (int step = 0; step < 3; ++step) {
      trial.report(value + 1.0 / (step + 1), step);
      if (trial.should_prune()) throw TrialPruned();
    }
    return trial.number() == 4 ? NAN : value;
  };
  const auto options = [&](const std::string& file) {
    return StudyOptions{.pruner = MedianPruner{}, .seed = 5, .file = file};
  };
  Study whole(options(""));
  whole.optimize(objective, 30);
  BOOST_TEST((whole.trials()[4].state == TrialRecord::State::Failed));
  BOOST_TEST(std::count_if(whole.trials().begin(), whole.trials().end(),
                           [](const auto& t) { return t.state == TrialRecord::State::Pruned; }) > 3);

  const std::string path = folder / "study.json";
  for (const int trials : {7, 8, 20, 30}) {
    Study part(options(path));
    part.optimize(objective, trials);
    BOOST_TEST(part.trials().size() == std::size_t(trials));
  }
  const Study read(options(path));
  check_same(read.trials(), whole.trials());
  BOOST_TEST(read.best_trial().number == whole.best_trial().number);
  BOOST_TEST(read.best_values().back() == whole.best_trial().value);
}

BOOST_AUTO_TEST_CASE(ctrl_c_drops_the_trial_that_runs) {
  Study study;
  study.optimize(
      [](Trial& trial) {
        if (trial.number() == 3) std::raise(SIGINT);
        return bowl(trial);
      },
      10);
  BOOST_TEST(study.trials().size() == 3u);
  study.optimize(bowl, 5);
  BOOST_TEST(study.trials().size() == 5u);
}

BOOST_AUTO_TEST_CASE(an_objective_that_throws_leaves_the_trials_before_it) {
  const TemporaryFolder folder;
  const StudyOptions options{.file = folder / "study.json"};
  Study study(options);
  BOOST_CHECK_THROW(study.optimize(
                        [](Trial& trial) {
                          if (trial.number() == 2) throw ValueError("no");
                          return bowl(trial);
                        },
                        10),
                    ValueError);
  BOOST_TEST(Study(options).trials().size() == 2u);
}

// Trial i of n has value i and x = i/1000. The first draw chooses one of ℓ's normals: one around each good trial's x,
// and the prior's around the middle. A next draw of 0 gives the centre of that normal.
BOOST_AUTO_TEST_CASE(the_good_trials_are_a_tenth_rounded_up_and_25_at_most) {
  const Distribution range{.kind = Distribution::Kind::Float, .low = 0, .high = 1};
  const TPESampler tpe({.n_ei_candidates = 1});
  for (const auto& [n, expected] : {std::pair{10, 1}, {11, 2}, {20, 2}, {21, 3}, {240, 24}, {241, 25}, {300, 25}}) {
    const int good = expected;  // a copy, for Clang 14
    std::vector<TrialRecord> trials;
    for (int i = 0; i < n; ++i) {
      TrialRecord t{i, TrialRecord::State::Complete, static_cast<double>(i)};
      t.parameters = {{"x", i / 1000.0}};
      t.distributions = {{"x", range}};
      trials.push_back(t);
    }
    const auto middle_of = [&](int normal) {
      int draws = 0;
      return tpe.sample("x", range, trials, false, [&] { return draws++ == 0 ? (normal + 0.5) / (good + 1) : 0.0; });
    };
    BOOST_TEST(middle_of(0) == 0, n << " trials");
    BOOST_TEST(middle_of(good - 1) == (good - 1) / 1000.0, n << " trials");
    BOOST_TEST(middle_of(good) == 0.5, n << " trials");
  }
}

BOOST_AUTO_TEST_CASE(whole_numbers_at_random_have_equal_shares_up_to_the_ends) {
  const Distribution range{.kind = Distribution::Kind::Int, .low = -1, .high = 2};
  const auto drawn = [&](double u) { return RandomSampler().sample("n", range, {}, false, [&] { return u; }); };
  for (const auto& [u, n] : {std::pair{0.0, -1}, {0.24, -1}, {0.26, 0}, {0.49, 0}, {0.51, 1}, {0.76, 2}, {0.999, 2}})
    BOOST_TEST(drawn(u) == n, "u = " << u);
}

BOOST_AUTO_TEST_CASE(maximizing) {
  Study study({.maximize = true, .seed = 1});
  study.optimize([](Trial& trial) { return -bowl(trial); }, 60);
  BOOST_TEST(study.best_trial().value > -0.5);
  const std::vector<double> best = study.best_values();
  BOOST_TEST(std::is_sorted(best.begin(), best.end()));
}

BOOST_AUTO_TEST_CASE(the_median_pruner) {
  std::vector<TrialRecord> trials;
  for (int i = 0; i < 5; ++i) {
    TrialRecord t{i, TrialRecord::State::Complete, 0};
    t.reported = {{0, i + 1.0}, {1, i / 2.0}};  // medians 3 and 1
    trials.push_back(t);
  }
  MedianPruner pruner;
  TrialRecord trial;
  const auto prunes = [&](std::map<int, double> reported, bool maximize) {
    trial.reported = std::move(reported);
    return pruner.should_prune(trial, trials, maximize);
  };
  BOOST_TEST(!prunes({}, false));
  BOOST_TEST(!prunes({{0, 3.0}}, false));
  BOOST_TEST(prunes({{0, 3.1}}, false));
  BOOST_TEST(!prunes({{0, 3.1}}, true));
  BOOST_TEST(prunes({{0, 2.9}}, true));
  BOOST_TEST(!prunes({{0, 0.9}, {1, 5.0}}, false));  // its best counts, not its last
  BOOST_TEST(!prunes({{7, 100.0}}, false));          // no other trial got that far
  BOOST_TEST(prunes({{0, NAN}}, false));
  pruner.n_warmup_steps = 1;
  BOOST_TEST(!prunes({{0, 100.0}}, false));
  BOOST_TEST(prunes({{0, 100.0}, {1, 100.0}}, false));
  pruner.n_startup_trials = 6;
  BOOST_TEST(!prunes({{0, 100.0}, {1, 100.0}}, false));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_meant_is_refused) {
  Study study;
  const auto refused = [&](auto&& objective, std::initializer_list<const char*> texts) {
    check_throws<ValueError>([&] { study.optimize([&](Trial& t) { return static_cast<double>(objective(t)); }, 1); },
                             texts);
  };
  refused([](Trial& t) { return t.suggest_float("x", 1, 0); }, {"suggest_float", "x", "[1.0, 0.0]"});
  refused([](Trial& t) { return t.suggest_float("x", 0, 1, true); }, {"x", "logarithmic"});
  refused([](Trial& t) { return t.suggest_float("x", 0, INFINITY); }, {"x", "inf"});
  refused([](Trial& t) { return t.suggest_float("x", -1.7e308, 1.7e308); }, {"x", "no such range"});  // its width is ∞
  refused([](Trial& t) { return t.report(1, -1), 0; }, {"report", "-1"});
  refused([](Trial& t) { return t.suggest_int("n", 0, 4, true); }, {"suggest_int", "n"});
  refused([](Trial& t) { return t.suggest_categorical("c", {}).size(); }, {"suggest_categorical", "c"});
  refused([](Trial& t) { return t.suggest_float("x", 0, 1) + t.suggest_float("x", 0, 2); }, {"x", "another range"});
  check_throws<StateError>([&] { study.best_trial(); }, {"no trial"});
  check_throws<ValueError>([] { Study({.sampler = nullptr}); }, {"sampler"});
}

BOOST_AUTO_TEST_CASE(files_that_are_no_study_of_ours) {
  const TemporaryFolder folder;
  Study study({.seed = 3, .file = folder / "study"});
  study.optimize(mixed, 3);
  check_throws<ValueError>([&] { Study({.maximize = true, .seed = 3, .file = folder / "study"}); },
                           {"study", "minimizes"});
  check_throws<ValueError>([&] { Study({.seed = 4, .file = folder / "study"}); }, {"study", "seed is 3, not 4"});
  const std::string content = read_file(folder / "study");
  const auto read = [](const std::string& path) { Study({.seed = 3, .file = path}); };
  for (std::size_t length = 0; length + 2 < content.size(); length += 7) {
    const std::string path = folder.file("damaged", content.substr(0, length));
    check_throws<ParseError>([&] { read(path); }, {"damaged"});
  }
  handgrad::test::check_damage(folder, content, read);
  const auto refused = [&](const std::string& was, const std::string& now, std::initializer_list<const char*> texts) {
    std::string damaged = content;
    BOOST_TEST_REQUIRE(damaged.find(was) != std::string::npos, was);
    damaged.replace(damaged.find(was), was.size(), now);
    const std::string path = folder.file("damaged", damaged);
    try {
      read(path);
      BOOST_ERROR(now << " was taken");
    } catch (const Error& error) {
      for (const char* text : texts)
        BOOST_TEST(std::string(error.what()).find(text) != std::string::npos, error.what());
    }
  };
  refused("\"number\": 0", "\"number\": 1e300", {"damaged", "number", "1e+300"});
  refused(
      "\"state\": \"complete\",\n   \"value\": ", "\"state\": \"complete\", \"value\": \"1,5\", \"was\": ", {"1,5"});
  refused("\"low\": 1.0", "\"low\": 1e300", {"damaged", "range"});
  refused("\"high\": 50.0", "\"high\": -1e300", {"damaged", "range"});
}

BOOST_AUTO_TEST_CASE(a_place_that_cannot_be_written_to_is_found_before_the_first_trial) {
  const TemporaryFolder folder;
  check_throws<IoError>([&] { Study({.file = folder / "no/such/folder"}); }, {"no/such/folder"});
  check_throws<IoError>([&] { Study({.file = folder / ""}); }, {"directory"});
  check_throws<IoError>([&] { Study({.file = folder / std::string(5000, 'x')}); }, {"xxx"});
  const Study study({.file = folder / "new"});
  BOOST_TEST(Study({.file = folder / "new"}).trials().empty());
}
