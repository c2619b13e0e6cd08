// Printed and stored numbers do not depend on a locale of decimal commas and grouped digits, as GUI programs set it in
// German or French.
#include <clocale>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <locale>
#include <sstream>

#include "handgrad/base/format.hpp"
#include "handgrad/handgrad.hpp"
#include "handgrad/io/files.hpp"
#include "support/check.hpp"
#include "support/files.hpp"

using namespace handgrad;
using handgrad::test::TemporaryFolder;

namespace {

struct German : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

/// The C functions' locale: the system's, or one made here; false if it has no sources of locales.
bool set_german() {
  if (std::setlocale(LC_ALL, "de_DE.UTF-8")) return true;
  static const TemporaryFolder folder;
  const std::string make = "localedef -i de_DE -f UTF-8 '" + folder / "de_DE.UTF-8" + "' 2>/dev/null";
  ::setenv("LOCPATH", (folder / "").c_str(), 1);
  return std::system(make.c_str()) >= 0 && std::setlocale(LC_ALL, "de_DE.UTF-8");
}

/// For C++ streams, and for C functions if the machine can have such a locale.
class UnderGermanLocale {
 public:
  UnderGermanLocale() : before_(std::locale::global(std::locale(std::locale::classic(), new German))) {
    std::ostringstream of_streams;
    of_streams << 1234.5;
    BOOST_TEST_REQUIRE(of_streams.str() == "1.234,5");
    char of_functions[10];
    if (!set_german())
      BOOST_TEST_MESSAGE("only C++ streams: this machine has no de_DE.UTF-8 (package locales)");
    else if (std::snprintf(of_functions, sizeof of_functions, "%.1f", 1234.5); std::string(of_functions) != "1234,5")
      BOOST_ERROR("the locale is not in force: " << of_functions);
  }
  ~UnderGermanLocale() {
    std::locale::global(before_);
    std::setlocale(LC_ALL, "C");
  }

 private:
  std::locale before_;
};

template <class F>
void same_under_both(F&& text) {
  const std::string expected = text();
  const UnderGermanLocale german;
  BOOST_TEST(text() == expected);
}

template <class... T>
std::string printed(const T&... values) {
  std::ostringstream out;
  ((out << values << '\n'), ...);
  return out.str();
}

/// y = x with twice its dx.
struct Doubled : Layer<double> {
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.copy_from(x); }
  void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    for (std::size_t i = 0; i < dx.numel(); ++i) dx.data()[i] = 2.0625 * dy.data()[i];
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(printing_is_the_same) {
  same_under_both([] {
    return printed(Tensor<float>{{1234.5f, -0.25f}, {1e-7f, 3e10f}}, Tensor<float>{1234.5f, 0.25f},
                   Sequential{Linear(1000, 1234), Dropout(0.25)});
  });
  same_under_both([] {
    manual_seed(1);
    Linear<double> right(40, 30);
    Doubled wrong;
    const Tensor<double> x = randn<double>({3, 40});
    return printed(check_gradients(right, x), check_gradients(wrong, x));
  });
  same_under_both([] { return classification_report({0, 1, 1}, {0, 0, 1}); });
  same_under_both([] {
    manual_seed(1);
    Sequential net{Linear(2, 1)};
    MSELoss loss;
    trace::Recorder recorder;
    loss.forward(net.forward(Tensor<float>{{0.25f, 1234.5f}}), Tensor<float>{{0.5f}});
    net.backward(loss.backward());
    return trace::to_json(recorder.stop()) + trace::number_text(1234.5, 6);
  });
  same_under_both([] {
    try {
      L2Penalty<double>({Tensor<double>{1}}, -0.5);
    } catch (const ValueError& error) {
      return std::string(error.what());
    }
    return std::string("not refused");
  });
}

BOOST_AUTO_TEST_CASE(states_are_the_same) {
  same_under_both([] {
    Generator generator(1234567);
    generator.normal();
    const std::string state = generator.state();
    Generator other;
    other.set_state(state);
    BOOST_TEST(other.normal() == generator.normal());
    return state;
  });
  same_under_both([] {
    StandardScaler scaler;
    scaler.fit(Tensor<double>{{1234.5, 0.1}, {2, 0.25}});
    return StandardScaler::from_json(scaler.to_json()).to_json();
  });
  const TemporaryFolder folder;
  same_under_both([&] {
    const std::string file = folder / "study.json";
    std::filesystem::remove(file);
    std::string values;
    for (const int trials : {2, 3}) {  // the second goes on from the file
      Study study({.seed = 3, .file = file});
      study.optimize([](Trial& trial) { return std::abs(trial.suggest_float("x", 0, 1234.5) - 0.25); }, trials);
      for (const TrialRecord& trial : study.trials()) values += format_number(trial.value) + "\n";
    }
    return values;
  });
}

BOOST_AUTO_TEST_CASE(files_are_the_same) {
  const TemporaryFolder folder;
  const Tensor<float> x = ones<float>({1, 1234});
  same_under_both([&] {
    write_npy(folder / "x", x);
    BOOST_TEST((read_npy(folder / "x") == x));
    return read_file(folder / "x");
  });
  same_under_both([&] {
    write_safetensors<float>(folder / "x", {{"w", x}}, {{"lr", "0.1"}});
    BOOST_TEST((read_safetensors(folder / "x").tensors.at(0).second == x));
    return read_file(folder / "x");
  });
  const std::string table = folder.file("t.csv", "a;b\n1234.5;1.234,5\n0.25;2\n");
  same_under_both([&] {
    const Table t = read_csv(table, {.delimiter = ';'});
    BOOST_TEST(t.numbers("a")[0] == 1234.5);
    BOOST_TEST(!t.is_numeric("b"));
    return std::to_string(t.rows());
  });
}

// A run that goes on under the other locale, either way, is one that was never interrupted.
BOOST_AUTO_TEST_CASE(checkpoints_are_the_same) {
  const TemporaryFolder folder;
  const auto train = [&](int epochs, const std::string& file) {
    manual_seed(1);
    Sequential net{Linear(2, 5), Dropout(0.25), Linear(5, 1)};
    MSELoss loss;
    Adam adam(net.parameters(), {.lr = 0.0125});
    CosineAnnealingLR cosine(adam, 4);
    DataLoader<float> loader(TensorDataset<float>(randn<float>({1200, 2}), randn<float>({1200, 1})),
                             {.batch_size = 500, .shuffle = true});
    std::string losses;
    for (const EpochResult& e :
         fit(net, loss, adam, loader, {.epochs = epochs, .schedulers = {&cosine}, .checkpoint = folder / file}).epochs)
      losses += format_number(e.loss) + " " + format_number(e.lr) + "\n";
    return losses;
  };
  const std::string whole = train(4, "whole");
  train(2, "begun");
  {
    const UnderGermanLocale german;
    train(2, "begun in German");
    BOOST_TEST(train(4, "begun") == whole);
  }
  BOOST_TEST(train(4, "begun in German") == whole);
}
