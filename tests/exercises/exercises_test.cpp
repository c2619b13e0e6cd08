// Every exercise's stub fails, its solution passes, and every planted mistake gets the right diagnosis. All are
// compiled at once, without sanitizers, to save time.
#include <dlfcn.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <tuple>

#include "exercises/engine/after.hpp"
#include "exercises/engine/build.hpp"
#include "exercises/engine/check.hpp"
#include "exercises/engine/workshop.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

using namespace handgrad;
using namespace handgrad::exercises;
namespace fs = std::filesystem;

namespace {

/// A learner's file, right or wrong, and the diagnosis it must get.
struct Variant {
  const Exercise* exercise;
  std::string what, text, cause;  // cause: as to_string(Cause) writes it
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const Exercise& e : exercises::exercises()) {
    all.push_back({&e, "the stub", e.text("exercise.cpp"), "fails"});
    all.push_back({&e, "the solution", e.solved(), "passes"});
    std::istringstream lines(e.text("mistakes.txt"));
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line);) {  // CAUSE :: TEXT OF THE SOLUTION ==> WHAT IS PUT THERE
      if (line.empty()) continue;
      const std::size_t first = line.find(" :: "), second = line.find(" ==> ");
      if (first == std::string::npos || second == std::string::npos)
        throw ParseError(e.folder + "/mistakes.txt: CAUSE :: TEXT ==> TEXT expected in: " + line);
      const std::string from = line.substr(first + 4, second - first - 4), to = line.substr(second + 5);
      std::string solution = e.text("solution.cpp");
      const std::size_t place = solution.find(from);
      if (place == std::string::npos) throw ParseError(e.folder + "/mistakes.txt: the solution does not have: " + from);
      solution.replace(place, from.size(), to);
      all.push_back(
          {&e, "mistake " + std::to_string(++count) + ": " + to, e.with_solution(solution), line.substr(0, first)});
    }
    BOOST_TEST(count >= 3u, e.folder << " plants " << count << " mistakes");
  }
  return all;
}

std::string text_of(const Check& check) {
  std::ostringstream out;
  print_verdict(out, check, false);
  return out.str();
}

/// Equal numbers in PyTorch, for as many of the results as its code computes.
void check_pytorch(const Exercise& e, const GradientReport& report) {
  const auto numbers = pytorch_numbers(e);
  BOOST_TEST(!numbers.empty(), e.folder);
  for (const auto& [name, theirs] : numbers) {
    const std::vector<double> ours = report[name].analytic.to_vector();
    BOOST_REQUIRE_MESSAGE(ours.size() == theirs.size(), e.folder << ": " << name);
    for (std::size_t i = 0; i < ours.size(); ++i)
      BOOST_TEST(std::abs(ours[i] - theirs[i]) <= 1e-9 * std::max(1.0, std::abs(theirs[i])),
                 e.folder << ": " << name << '[' << i << "] = " << ours[i] << ", PyTorch " << theirs[i]);
  }
}

/// A folder that is removed at the end.
struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "handgrad-exercises-test-XXXXXX").string();
    BOOST_REQUIRE(mkdtemp(name.data()));
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(stubs_fail_solutions_pass_and_mistakes_are_named) {
  const std::vector<Variant> all = variants();
  const Folder folder;
  std::string source =
      "#include \"exercise.hpp\"\n#include <typeinfo>\n"
      "struct HandgradEntry { const char* name; const char* type; void (*function)(); };\n";
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string space = "variant_" + std::to_string(i);
    source += "namespace " + space + " {\n" + all[i].text + "}\nextern \"C\" const HandgradEntry " + space +
              "_entries[];\nconst HandgradEntry " + space + "_entries[] = {\n";
    for (const std::string& f : check_of(all[i].exercise->name).functions)
      source += "    {\"" + f + "\", typeid(&" + space + "::" + f + ").name(), reinterpret_cast<void (*)()>(&" + space +
                "::" + f + ")},\n";
    source += "    {nullptr, nullptr, nullptr}};\n";
  }
  const std::string file = (folder.path / "variants.cpp").string(), library = (folder.path / "variants.so").string();
  write_file(file, source);
  const Outcome built = run_command(compile_command(file, library, {"-O0", "-w"}), 240);
  BOOST_REQUIRE_MESSAGE(built.status == 0, built.output);
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  BOOST_REQUIRE_MESSAGE(handle, dlerror());

  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string symbol = "variant_" + std::to_string(i) + "_entries";
    const auto* entries = static_cast<const Entry*>(dlsym(handle, symbol.c_str()));
    BOOST_REQUIRE(entries);
    const Variant& variant = all[i];
    const Check check = run_check(variant.exercise->name, entries);
    const GradientReport& report = check.report();
    const std::string about = variant.exercise->folder + ", " + variant.what + "\n" + text_of(check);
    if (variant.cause == "passes") {
      BOOST_TEST(report.passed(), about);
      BOOST_TEST(check.smallest_wrong() == "", about);
      if (!variant.exercise->has_fault()) check_pytorch(*variant.exercise, report);
    } else {
      BOOST_TEST(!report.passed(), about);
      const bool of_numbers = report.tensors.back().reason != "no";  // else it threw, or learns nothing
      BOOST_TEST((!of_numbers || !check.smallest_wrong().empty()), "no case for paper: " << about);
    }
    if (variant.cause != "passes" && variant.cause != "fails") {
      const std::string cause = to_string(report.diagnose().cause);
      BOOST_TEST(cause == variant.cause, cause << " for " << variant.cause << " in " << about);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_can_be_read_off_a_file_is_named_with_its_line) {
  const Folder folder;
  const auto text_of_check = [&](const std::string& name, const std::string& from, const std::string& to) {
    const Exercise& e = exercise(name);
    std::string solution = e.text("solution.cpp");
    BOOST_REQUIRE(solution.find(from) != std::string::npos);
    solution.replace(solution.find(from), from.size(), to);
    const std::string file = (folder.path / (name + ".cpp")).string();
    write_file(file, e.with_solution(solution));
    const Result result = check_file(e, file, false, 10);
    BOOST_TEST(!result.passed);
    return result.text;
  };
  const auto has = [](const std::string& text, const std::string& what) {
    BOOST_TEST(text.find(what) != std::string::npos, text << "\nlacks: " << what);
  };
  const std::string cut = text_of_check("mse", "return sum / p.size();", "return sum * (1 / p.size());");
  has(cut, "What is wrong: a division of whole numbers: 1 / p.size() is cut to a whole number\n");
  has(cut, "Where to look: line ");
  const std::string delta =
      text_of_check("bce_with_logits", "(p - t(n, c)) / z.size()", "1 / z.size() * (p - t(n, c))");
  has(delta, "1 / z.size() is cut");
  has(delta, "to be redone on paper:\n    z = [0 0]   t = [1 0]\n");
  const std::string whole = text_of_check("cross_entropy", "double total = 0;", "int total = 0;");
  has(whole, "What is wrong: total is an int: what is put there loses its fraction\n");
  const std::string other =
      text_of_check("mse", "return sum / p.size();", "return sum / p.rows() + 0 * (1 / p.size());");
  has(other, "What is wrong: ");
  BOOST_TEST(other.find("whole numbers") == std::string::npos, other);  // there is one, but it is not what is wrong
  for (const auto& [name, from, to, of] :
       {std::tuple("xor", "b2(0) -=", "b2(0) +=", "b2"), std::tuple("xor", "W2(0, j) -= lr", "W2(0, j) += lr", "W2"),
        std::tuple("xor", "W1(j, 1) -=", "W1(j, 1) +=", "column 1 of W1"),
        std::tuple("convolutional_net", "b -= lr", "b += lr", "b"),
        std::tuple("convolutional_net", "v(f) -= lr", "v(f) += lr", "v")})
    has(text_of_check(name, from, to),
        "What is wrong: the update of " + std::string(of) + " goes uphill: it adds where it must subtract\n");
  has(text_of_check("xor", "(1 / (1 + std::exp(-z)) - t(n, 0))", "(t(n, 0) - 1 / (1 + std::exp(-z)))"),
      "What is wrong: the whole step goes uphill: its sign is wrong\n");
  const std::string sign = text_of_check("linear_dW", "+= delta(n, o)", "-= delta(n, o)");
  has(sign, "delta = [3]   x = [2]\n    dW: yours [-6], expected [6]\n");
  const std::string beyond = text_of_check("linear_db", "db(o) += delta(n, o);", "db(o) += delta(o, n);");
  has(beyond, "element (5, 0) of delta, a matrix of 5 rows and 7 columns, in line ");
  has(beyond, ": for (int o");
}

BOOST_AUTO_TEST_CASE(after_a_pass_a_sentence_fits_on_the_screen) {
  const Folder folder;
  for (const char* name : {"neuron", "sigmoid"}) {
    const Exercise& e = exercise(name);
    const std::string file = (folder.path / (e.name + ".cpp")).string();
    write_file(file, e.solved());
    std::istringstream text(check_file(e, file, false, 10).text);
    std::size_t lines = 0;
    for (std::string line; std::getline(text, line); ++lines) {
      const auto letters = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
      BOOST_TEST((letters < 80 || line.find("torch") != std::string::npos || line.find("randn") != std::string::npos),
                 line);
    }
    BOOST_TEST(lines > 10u);
  }
}

BOOST_AUTO_TEST_CASE(one_steps_through_a_fault) {
  const Folder folder;
  const Exercise& e = exercise("fault_pooling");
  const std::string file = (folder.path / "pool.cpp").string();
  write_file(file, e.text("exercise.cpp"));
  const Result steps = step_file(e, file, 10);
  BOOST_TEST(steps.passed);
  for (const char* what :
       {"delta = [3 1]   x = [1 3 2]\n", "dx(n, largest) = delta(n, k);", "delta[0,0] = 3   dx[0,1]: 0 → 3",
        "delta[0,1] = 1   dx[0,1]: 3 → 1", "dx: yours [0 1 0], expected [0 4 0]"})
    BOOST_TEST(steps.text.find(what) != std::string::npos, steps.text << "\nlacks: " << what);
}

BOOST_AUTO_TEST_CASE(an_exercise_is_complete) {
  BOOST_TEST(exercises::exercises().size() >= 42u);
  for (const Exercise& e : exercises::exercises()) {
    BOOST_TEST(e.hints().size() == 3u, e.folder);
    BOOST_TEST(e.text("README.md").size() > 300u, e.folder);
    BOOST_TEST(!e.title.empty());
    BOOST_TEST(after(e).sentence.size() > 40u, e.folder);
    BOOST_TEST(after(e).code.empty() == e.has_fault(), e.folder);
    const std::string stub = e.text("exercise.cpp");
    BOOST_TEST(stub.find("// TODO", stub.find("// TODO") + 1) == std::string::npos, e.folder << " has two fences");
  }
}

BOOST_AUTO_TEST_CASE(a_learners_file_is_built_with_sanitizers_and_stopped_in_time) {
  const Folder folder;
  const std::string file = (folder.path / "neuron.cpp").string();
  const Exercise& e = exercise("neuron");
  const auto verdict_of = [&](const std::string& solution, double limit = 10) {
    write_file(file, e.with_solution(solution));
    return check_file(e, file, false, limit);
  };
  const std::string dw = "Vector neuron_dw(double delta, const Vector& x) { return x; }\n";
  const Result right = verdict_of(e.text("solution.cpp"));
  BOOST_TEST(right.passed, right.text);
  const Result wrong_index =
      verdict_of("double neuron(const Vector& w, double, const Vector&) { return w(99); }\n" + dw);
  BOOST_TEST(!wrong_index.passed);
  BOOST_TEST(wrong_index.text.find("element (99) of w, a vector of 7") != std::string::npos, wrong_index.text);
  const Result overflow = verdict_of(
      "double neuron(const Vector&, double, const Vector&) { double* p = new double[2]; double y = p[2]; delete[] p; "
      "return y; "
      "}\n" +
      dw);
  BOOST_TEST(!overflow.passed);
  BOOST_TEST(overflow.text.find("heap-buffer-overflow") != std::string::npos, overflow.text);
  const Result endless = verdict_of(
      "double neuron(const Vector&, double b, const Vector&) { volatile bool on = true; while (on) {} return b; }\n" +
          dw,
      0.5);
  BOOST_TEST(endless.text.find("stopped after 0.5 seconds in neuron: a loop without an end?") == 0u, endless.text);
  const Result no_code = verdict_of("double neuron(const Vector&) { return }\n");
  BOOST_TEST(no_code.text == "there is no function neuron_dw in it; `reset` shows the one that is expected\n");
  const Result three =
      verdict_of("double neuron(const Vector& w, double b, const Vector& x) { return one + two + three; }\n" + dw);
  BOOST_TEST(three.text.find("it does not compile:") == 0u, three.text);
  BOOST_TEST(three.text.find("one") != std::string::npos, three.text);
  BOOST_TEST(three.text.find("… 2 more") != std::string::npos, three.text);
  BOOST_TEST(three.text.find("‘two’") == std::string::npos, three.text);
  const Result cut = verdict_of(
      "double neuron(const Vector& w, double b, const Vector& x) { int y = b; for (int i = 0; i < w.size(); ++i) "
      "y += w(i) * x(i); return y; }\n" +
      dw);
  BOOST_TEST(!cut.passed);
  BOOST_TEST(cut.text.find("-Wfloat-conversion") != std::string::npos, cut.text);

  write_file(file, " \n");
  BOOST_TEST(check_file(e, file, false).text.find("the file is empty") == 0u);
  write_file(file, e.text("exercise.cpp"));
  BOOST_TEST(check_file(e, file, false).text.find("not begun yet") == 0u);
  write_file(file, e.with_solution(e.text("solution.cpp")));
  const Result ended = check_file(e, file, false, 2, [] { return true; });
  BOOST_TEST(ended.stopped);
  BOOST_TEST(!ended.passed);
  const Result other_type = verdict_of("float neuron(const Vector&) { return 0; }\n" + dw);
  BOOST_TEST(other_type.text.find("signature of neuron was changed") != std::string::npos, other_type.text);
}

BOOST_AUTO_TEST_CASE(a_workshop_keeps_what_is_the_learners) {
  const Folder folder;
  setenv("XDG_STATE_HOME", (folder.path / "state").c_str(), 1);
  const std::string root = (folder.path / "mine").string();
  {
    Workshop workshop = Workshop::init(root);
    const Exercise& e = workshop.current();
    BOOST_TEST(e.name == "neuron");
    write_file(workshop.file(e), "mine");
    Workshop::init(root);
    BOOST_TEST(read_file(workshop.file(e)) == "mine");
    workshop.reset(e);
    BOOST_TEST(read_file(workshop.file(e)) == e.text("exercise.cpp"));
    BOOST_TEST(read_file(workshop.file(e) + ".old") == "mine");
    workshop.set_passed(e, true);
    workshop.go_to(exercise("mse"));
    BOOST_TEST(workshop.next_hint(exercise("mse")).find("Hint 1 of 3, Place") == 0u);
  }
  Workshop again("");  // the most recent one
  BOOST_TEST(again.folder() == root);
  BOOST_TEST(again.current().name == "mse");
  BOOST_TEST(again.passed(exercise("neuron")));
  BOOST_TEST(again.next_open()->name == "linear_forward");
  for (const Exercise& e : exercises::exercises())
    if (e.name != "sigmoid" && e.name != "mse") again.set_passed(e, true);
  BOOST_TEST(again.next_open()->name == "sigmoid");  // searching from the first
  for (const Exercise& e : exercises::exercises()) again.set_passed(e, e.name == "neuron" || e.name == "mse");
  BOOST_TEST(again.next_open()->name == "sigmoid");  // the first left out, though it lies before the current one
  for (const Exercise& e : exercises::exercises()) again.set_passed(e, e.name == "neuron");
  BOOST_TEST(again.next_hint(exercise("mse")).find("Hint 2 of 3, Concept") == 0u);
  write_file(root + "/progress.txt", "passed nonsense\n\x01\xff hints hints\ncurrent\ncurrent sigmoid\n");
  Workshop spoilt(root);
  BOOST_TEST(spoilt.current().name == "sigmoid");
  BOOST_TEST(spoilt.passed_count() == 0u);
  BOOST_CHECK_THROW(Workshop((folder.path / "nowhere").string()), IoError);
  BOOST_CHECK_THROW(exercise("nonsense"), ValueError);
}
