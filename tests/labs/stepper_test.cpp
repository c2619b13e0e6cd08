// Stepping: what is shown is what the trace holds, one can go back, and a screen is 80×24.
#include "common/stepper.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <regex>

#include "support/check.hpp"
#include "support/formulas.hpp"

using namespace handgrad;
using namespace handgrad::labs;
using handgrad::test::check_formulas;
using handgrad::test::check_throws;

namespace {

std::string without_colour(const std::string& line) {
  static const std::regex escape("\x1b\\[[0-9;]*m");
  return std::regex_replace(line, escape, "");
}

std::size_t columns(const std::string& line) {  // characters that occupy a column
  std::size_t count = 0;
  for (std::size_t i = 0; i < line.size(); ++i)
    count += (line[i] & 0xC0) != 0x80 && !(line[i] == '\xCC' && line[i + 1] == '\x82');
  return count;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line + '\n';
  return all;
}

/// The largest parameter gradient in the step shown; NaN if one is.
double stepper_gradient(const Stepper& stepper) {
  double largest = 0;
  for (std::size_t i = 0; i < stepper.trace().assignments.size(); ++i)
    if (stepper.trace().assignments[i].gradient != trace::Assignment::Gradient::None)
      for (double g : stepper.trace().result(i).numbers)
        if (std::isnan(g) || std::abs(g) > largest) largest = std::abs(g);
  return largest;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_lessons_formulas_say_what_it_computes) {
  for (const std::string& name : lesson_names()) BOOST_TEST_CONTEXT(name) {
      Training training(make_lesson(name));
      for (const std::size_t skipped : {0, 1, 20}) {
        for (std::size_t i = 0; i < skipped; ++i) training.step();
        const trace::Trace trace = training.record();
        BOOST_TEST(check_formulas(trace) > 10u);
        for (const auto& assignment : trace.assignments) BOOST_TEST(assignment.element.has_value());
      }
    }
}

BOOST_AUTO_TEST_CASE(lessons_learn) {
  for (const std::string& name : lesson_names()) BOOST_TEST_CONTEXT(name) {
      Training training(make_lesson(name));
      const double before = training.loss();
      while (training.epoch() < training.lesson().epochs) training.step();
      BOOST_TEST(training.loss() < before);
      if (!training.lesson().logits) continue;
      const Tensor<double> p = training.predict(training.lesson().x);
      const std::vector<double> t = training.lesson().y.to_vector();
      std::size_t right = 0;
      for (std::size_t n = 0; n < t.size(); ++n) {
        const double* row = p.data() + n * p.size(1);
        right += p.size(1) == 1 ? (row[0] > 0.5) == (t[n] > 0.5)
                                : std::max_element(row, row + p.size(1)) - row == std::ptrdiff_t(t[n]);
      }
      BOOST_TEST(double(right) / double(t.size()) >= 0.97);
    }
}

BOOST_AUTO_TEST_CASE(a_recorded_step_is_the_step_that_training_makes) {
  Training recorded(make_lesson("xor")), plain(make_lesson("xor"));
  for (int i = 0; i < 60; ++i) recorded.record(), plain.step();
  const auto a = recorded.state(), b = plain.state();
  BOOST_TEST(a.steps == b.steps);
  for (std::size_t i = 0; i < a.parameters.size(); ++i)
    BOOST_TEST(allclose(a.parameters[i].second, b.parameters[i].second, 1e-4, 1e-6));
}

BOOST_AUTO_TEST_CASE(next_and_back_lead_to_where_one_was) {
  Stepper stepper(make_lesson("xor"));
  std::vector<std::string> seen{describe(stepper)};
  for (int i = 0; i < 40; ++i) {
    BOOST_TEST(stepper.command("next") == "");
    seen.push_back(describe(stepper));
  }
  BOOST_TEST(stepper.recorded().batch == 2u);  // 18 assignments in a step
  for (std::size_t i = seen.size() - 1; i-- > 0;) {
    stepper.command("back");
    BOOST_TEST(describe(stepper) == seen[i]);
  }
  BOOST_TEST(stepper.command("back") == "this is the beginning");
  for (std::size_t i = 1; i < seen.size(); ++i) {
    stepper.command("next");
    BOOST_TEST(describe(stepper) == seen[i]);
  }
}

BOOST_AUTO_TEST_CASE(phases_and_epochs_are_jumped_to) {
  Stepper stepper(make_lesson("xor"));
  for (const char* phase : {"loss", "backward", "update", "forward", "backward"}) {
    stepper.command(phase);
    BOOST_TEST(name(stepper.assignment().phase) == std::string(phase));
  }
  BOOST_TEST(stepper.assignment().target == "dz");
  stepper.command("epoch");
  BOOST_TEST(stepper.recorded().epoch == 1u);
  BOOST_TEST(stepper.recorded().batch == 0u);
  BOOST_TEST(stepper.at() == 0u);
}

BOOST_AUTO_TEST_CASE(it_runs_to_a_small_gradient_and_to_nan) {
  Stepper stepper(make_lesson("from_scratch"));
  const std::string message = stepper.command("run gradient 1");
  BOOST_TEST(message.find("the largest gradient is 0.") != std::string::npos, message);
  BOOST_TEST(stepper_gradient(stepper) < 1);
  stepper.command("back");
  check_throws<ValueError>([&] { stepper.command("run gradient much"); }, {"a number above 0", "much"});

  Lesson steep = make_lesson("from_scratch");
  steep.optimizer->set_lr(3);
  Stepper diverging(std::move(steep));
  BOOST_TEST(diverging.command("run nan").ends_with("NaN"));
  BOOST_TEST(std::isnan(stepper_gradient(diverging)));
}

BOOST_AUTO_TEST_CASE(it_runs_to_a_loss_and_an_epoch_or_stays_where_it_was) {
  Stepper stepper(make_lesson("xor"));
  BOOST_TEST(stepper.command("run epoch 3") == "");
  BOOST_TEST(stepper.recorded().epoch == 3u);
  BOOST_TEST(stepper.recorded().batch == 0u);
  BOOST_TEST(stepper.command("run epoch 2") == "epoch 2 is over: this is epoch 3");
  const std::string message = stepper.command("run loss < 0.3");
  BOOST_TEST(message.find("steps: the loss is 0.2") != std::string::npos, message);
  BOOST_TEST(stepper.recorded().loss < 0.3);

  stepper.command("backward");
  stepper.command("element 1 0");
  const std::string before = describe(stepper);
  BOOST_TEST(stepper.command("run nan").find("this is where you were") != std::string::npos);
  BOOST_TEST(describe(stepper) == before);
  Stepper other(make_lesson("xor"));  // and the next step is the one that would have come anyway
  other.command("run epoch 3");
  other.command("run loss 0.3");
  for (Stepper* s : {&stepper, &other})
    while (s->at() + 1 < s->trace().assignments.size()) s->command("next");
  stepper.command("next"), other.command("next");
  BOOST_TEST(describe(stepper) == describe(other));
  for (const char* wrong : {"run", "run loss", "run loss < much", "run fast", "run epoch 0"})
    BOOST_CHECK_THROW(stepper.command(wrong), ValueError);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_announced) {
  Stepper stepper(make_lesson("network"));
  stepper.command("next");
  stepper.command("next");  // 20 neurons from 20: y = x·Wᵀ + b
  const std::string all = joined(screen(stepper, {}));
  BOOST_TEST(all.find("columns 0–") != std::string::npos, all);
  BOOST_TEST(all.find(" of 20 →") != std::string::npos, all);
  const std::size_t tables = 4;  // y, x, W, b
  std::string seen;
  for (std::size_t focus = 0; focus < tables; ++focus) {
    const std::string some = joined(screen(stepper, {.focus = focus}));
    BOOST_TEST(some.find("◂") != std::string::npos, some);
    seen += some;
  }
  BOOST_TEST(seen.find("not in sight: ") != std::string::npos, seen);
  BOOST_TEST(joined(screen(stepper, {.width = 1000, .height = 60})).find("not in sight") == std::string::npos);
  const std::string moved = joined(screen(stepper, {.focus = 1, .left = 17}));
  BOOST_TEST(moved.find("← columns ") != std::string::npos, moved);
}

BOOST_AUTO_TEST_CASE(an_element_is_put_into_the_formula) {
  Stepper stepper(make_lesson("xor"));
  stepper.command("element 2 1");
  BOOST_TEST(stepper.element() == 9u);
  BOOST_TEST(describe(stepper).find("y[2,1] = " + stepper.trace().numbers_text(0, 9)) != std::string::npos);
  stepper.move(-1, 2);
  BOOST_TEST(stepper.element() == 7u);
  stepper.move(100, 100);
  BOOST_TEST(stepper.element() == 15u);
  check_throws<ValueError>([&] { stepper.command("element 4 0"); }, {"y has shape (4, 4)"});
  check_throws<ValueError>([&] { stepper.command("element x"); }, {"'x'"});
  check_throws<ValueError>([&] { stepper.command("dance"); }, {"'dance'", "next, back"});
}

BOOST_AUTO_TEST_CASE(a_table_shows_a_window) {
  trace::Array array{{3, 12}, {}};
  for (int i = 0; i < 36; ++i) array.numbers.push_back(i / 10.);
  array.numbers[13] = -0.000123456;
  const auto lines = table(array, 2, 3, 1, 1, {14}, 13);
  BOOST_REQUIRE(lines.size() == 3u);
  BOOST_TEST(lines[0] == "          1         2         3 ");
  BOOST_TEST(lines[1] == "1 [−1.23e−4]     *1.4       1.5 ");
  BOOST_TEST(lines[2] == "2       2.5       2.6       2.7 ");
  BOOST_TEST(table(array, 2, 3, 100, 100, {}, nothing_chosen)[2].ends_with("3.5 "));  // no further than the end
}

BOOST_AUTO_TEST_CASE(a_screen_fits_80_by_24_and_says_the_same_without_colour) {
  for (const std::string& name : lesson_names()) BOOST_TEST_CONTEXT(name) {
      Stepper stepper(make_lesson(name));
      for (std::size_t i = 0; i < stepper.trace().assignments.size(); ++i) {
        stepper.move(3, 2);
        for (const std::size_t focus : {0, 1}) {
          const auto plain = screen(stepper, {.focus = focus});
          const auto coloured = screen(stepper, {.focus = focus, .colour = true});
          BOOST_REQUIRE(plain.size() == 24u);
          BOOST_REQUIRE(coloured.size() == 24u);
          for (std::size_t line = 0; line < 24; ++line) {
            BOOST_TEST(columns(plain[line]) <= 80u, plain[line]);
            BOOST_TEST(without_colour(coloured[line]) == plain[line]);
          }
          const std::string all = joined(plain);
          BOOST_TEST(all.find(stepper.trace().formula_text(i)) != std::string::npos);
          BOOST_TEST(all.find("[") != std::string::npos);
        }
        stepper.command("next");
      }
    }
}
