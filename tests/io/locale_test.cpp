// Printed and stored numbers do not depend on a locale of decimal commas and grouped digits, as GUI programs set it in
// German or French.
#include <clocale>
#include <locale>
#include <sstream>

#include "handgrad/containers/sequential.hpp"
#include "handgrad/data/csv.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/io/npy.hpp"
#include "handgrad/io/safetensors.hpp"
#include "handgrad/layers/linear.hpp"
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

/// For C++ streams, and for C functions if the machine has such a locale.
class UnderGermanLocale {
 public:
  UnderGermanLocale() : before_(std::locale::global(std::locale(std::locale::classic(), new German))) {
    std::setlocale(LC_ALL, "de_DE.UTF-8");
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
  std::ostringstream proof;
  proof << 1234.5;
  BOOST_TEST_REQUIRE(proof.str() == "1.234,5");
  BOOST_TEST(text() == expected);
}

}  // namespace

BOOST_AUTO_TEST_CASE(printing_is_the_same) {
  same_under_both([] {
    std::ostringstream out;
    out << Tensor<float>{{1234.5f, -0.25f}, {1e-7f, 3e10f}} << '\n' << Sequential{Linear(1000, 1234)} << '\n';
    return out.str();
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
