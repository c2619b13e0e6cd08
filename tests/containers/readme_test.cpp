// README's program of a network with a residual connection and two heads, as it stands there (tests/CMakeLists.txt).
#include "readme/branches.inc"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <string>

BOOST_AUTO_TEST_CASE(it_compiles_and_runs_in_25_lines) {
  std::ifstream in(HANDGRAD_README_PROGRAM);
  int lines = 0;
  for (std::string line; std::getline(in, line);) ++lines;
  BOOST_TEST(lines > 10);
  BOOST_TEST(lines <= 25);

  // How it learns: branches_test.cpp.
  hg::manual_seed(0);
  const hg::Tensor<float> x = hg::randn({64, 8}), t = hg::split(x, {1, 7}, 1)[0];
  hg::Tensor<float> c = hg::full<float>({64}, 0);
  for (std::size_t i = 0; i < 64; ++i) c.data()[i] = t.data()[i] > 0 ? 2 : 0;
  train(x, t, c);
}
