// The CPU's kernels on plain arrays, without the library.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "kernels/backend.hpp"
#include "kernels/device.hpp"

using namespace handgrad;

namespace {

// x (2×3), W (2×3), b (2):  z = x·Wᵀ + b = (−3, 8; −5, 6)
const std::vector<double> x{1, 2, 3, 4, 5, 6}, W{1, 0, -1, 1, 1, 1}, b{-1, 2};
kernels::Matrix<const double> matrix(const std::vector<double>& v, std::size_t columns) {
  return {v.data(), v.size() / columns, columns};
}
kernels::Matrix<double> matrix(std::vector<double>& v, std::size_t columns) {
  return {v.data(), v.size() / columns, columns};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_linear_layer_forward_and_backward) {
  auto& linear = kernels::cpu_backend<double>().linear;
  std::vector<double> y(4), dx(6), dW(6, 10), db(2);
  linear.forward(matrix(x, 3), matrix(W, 3), {b.data(), 2}, nullptr, matrix(y, 2));
  BOOST_TEST(y == (std::vector<double>{-3, 8, -3, 17}), boost::test_tools::per_element());
  const formulas::Activation relu = formulas::ReLU{};
  linear.forward(matrix(x, 3), matrix(W, 3), {b.data(), 2}, &relu, matrix(y, 2));
  BOOST_TEST(y == (std::vector<double>{0, 8, 0, 17}), boost::test_tools::per_element());
  const std::vector<double> dy{1, 2, 0, -1};
  linear.backward_input(matrix(dy, 2), matrix(W, 3), matrix(dx, 3));
  BOOST_TEST(dx == (std::vector<double>{3, 2, 1, -1, -1, -1}), boost::test_tools::per_element());
  linear.backward_parameters(matrix(x, 3), matrix(dy, 2), {dW.data(), 1}, {db.data(), 0});
  BOOST_TEST(dW == (std::vector<double>{11, 12, 13, 8, 9, 10}), boost::test_tools::per_element());
  BOOST_TEST(db == (std::vector<double>{1, 1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_class_that_does_not_exist_is_reported_by_value) {
  auto& losses = kernels::cpu_backend<double>().losses;
  const std::vector<double> classes{1, 3};
  double divisor = 0, value = 0;
  const auto bad = losses.row_forward(kernels::RowLoss::CrossEntropy, matrix(x, 3), {classes.data(), true}, {},
                                      kernels::Reduction::Mean, &divisor, &value);
  BOOST_REQUIRE(bad.has_value());
  BOOST_TEST(bad->row == 1u);
  BOOST_TEST(bad->target == 3);
  BOOST_TEST(bad->classes == 3u);
}

BOOST_AUTO_TEST_CASE(memory_comes_in_whole_cache_lines) {
  kernels::Memory& memory = kernels::cpu_memory();
  void* address = memory.allocate(100);
  BOOST_TEST(reinterpret_cast<std::size_t>(address) % 64 == 0u);
  memory.deallocate(address, 100);
}
