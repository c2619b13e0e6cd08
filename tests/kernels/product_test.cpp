// The CPU's products, to the bit, against a plain loop of the definition in kernels/cpu/product.hpp.
#include "kernels/cpu/product.hpp"

#include <cmath>
#include <cstring>
#include <random>
#include <sstream>
#include <vector>

#include "handgrad/base/products.hpp"
#include "handgrad/base/threads.hpp"
#include "kernels/cpu/instruction_sets.hpp"
#include "support/check.hpp"

namespace cpu = handgrad::kernels::cpu;

namespace {

// On every instruction set of this processor.
template <class F>
void on_each_set(F&& f) {
  for (const cpu::InstructionSet* set : cpu::instruction_sets()) f(*set);
}
template <class T>
const cpu::Arithmetic<T>& arithmetic(const cpu::InstructionSet& set = cpu::instruction_set()) {
  return set.operations<T>().arithmetic;
}

template <class T>
T tree(const std::vector<T>& sums, std::size_t first, std::size_t count) {
  if (count == 1) return sums[first];
  std::size_t left = 1;
  while (2 * left < count) left *= 2;
  return tree(sums, first, left) + tree(sums, first + left, count - left);
}

// One element, as specified.
template <class T, class A, class B>
T element(std::size_t k, A a, B b) {
  std::vector<T> chunks;
  for (std::size_t chunk = 0; chunk < k; chunk += 4096) {
    T total = 0;
    for (std::size_t block = chunk; block < std::min(chunk + 4096, k); block += 256) {
      T s = 0;
      for (std::size_t l = block; l < std::min(block + 256, k); ++l) s = std::fma(a(l), b(l), s);
      total = block == chunk ? s : total + s;
    }
    chunks.push_back(total);
  }
  return tree(chunks, 0, chunks.size());
}

template <class T>
std::vector<T> numbers(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> u(-1, 1);
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(u(random));
  return x;
}

template <class T>
void check_product(std::size_t m, std::size_t n, std::size_t k) {
  const auto a = numbers<T>(m * k, 1), b = numbers<T>(k * n, 2), before = numbers<T>(m * n, 3);
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      std::vector<T> expected(m * n);
      for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j)
          expected[i * n + j] = element<T>(
              k, [&](std::size_t l) { return a[ta ? l * m + i : i * k + l]; },
              [&](std::size_t l) { return b[tb ? j * k + l : l * n + j]; });
      for (const T beta : {T(0), T(1)})
        for (const int threads : {1, 2, 3})
          on_each_set([&](const cpu::InstructionSet& set) {
            handgrad::set_num_threads(threads);
            std::vector<T> c = before;
            if (beta == T(0)) std::fill(c.begin(), c.end(), std::numeric_limits<T>::quiet_NaN());
            arithmetic<T>(set).gemm(ta, tb, m, n, k, a.data(), b.data(), beta, c.data());
            std::size_t wrong = 0, where = 0;
            for (std::size_t i = 0; i < m * n; ++i) {
              const T e = beta == T(0) ? expected[i] : before[i] + expected[i];
              if (std::memcmp(&c[i], &e, sizeof(T)) != 0 && wrong++ == 0) where = i;
            }
            std::ostringstream what;
            what << m << "x" << n << "x" << k << (ta ? " Aᵀ" : "") << (tb ? " Bᵀ" : "") << " β=" << beta << " threads "
                 << threads << " " << set.name << " " << sizeof(T) << " bytes: " << wrong << " of " << m * n
                 << " differ, first " << where;
            BOOST_TEST(wrong == 0u, what.str());
          });
    }
}

template <class T>
void check_all() {
  const std::size_t sizes[][3] = {
      {1, 1, 1},     {1, 1, 20000},   {2, 3, 5},      {1, 37, 300},   {37, 1, 300},    {1, 129, 9000}, {129, 1, 9000},
      {4, 67, 257},  {67, 4, 255},    {3, 200, 1},    {200, 3, 1},    {5, 5, 5},       {8, 8, 8},      {13, 31, 17},
      {12, 32, 256}, {12, 33, 257},   {31, 101, 512}, {97, 61, 4096}, {5, 7, 4097},    {7, 5, 20000},  {5, 6, 12289},
      {2, 3, 19999}, {64, 10, 128},   {127, 257, 53}, {61, 67, 1},    {133, 1031, 40}, {301, 530, 21}, {23, 29, 2},
      {17, 19, 3},   {16, 16, 4},     {1, 300, 108},  {300, 1, 108},  {6, 16, 700},    {1, 31, 40},    {1, 63, 40},
      {1, 127, 40},  {20, 1024, 300}, {1024, 20, 300}};
  for (const auto& [m, n, k] : sizes) check_product<T>(m, n, k);
}

}  // namespace

BOOST_AUTO_TEST_CASE(floats_are_as_specified) { check_all<float>(); }
BOOST_AUTO_TEST_CASE(doubles_are_as_specified) { check_all<double>(); }

// Large enough to be split among threads in every way; the reference is the same product on one thread, and a few
// elements.
BOOST_AUTO_TEST_CASE(threads_change_no_bit) {
  const std::size_t shapes[][3] = {
      {384, 520, 300}, {9, 11, 200000}, {1, 108, 300000}, {300000, 1, 20}, {520, 90, 5000}};
  for (const auto& [m, n, k] : shapes) {
    const auto a = numbers<float>(m * k, 1), b = numbers<float>(k * n, 2);
    std::vector<float> one(m * n), c(m * n);
    handgrad::set_num_threads(1);
    arithmetic<float>().gemm(false, false, m, n, k, a.data(), b.data(), 0.0f, one.data());
    for (const int threads : {2, 3, 5}) {
      handgrad::set_num_threads(threads);
      arithmetic<float>().gemm(false, false, m, n, k, a.data(), b.data(), 0.0f, c.data());
      BOOST_TEST(std::memcmp(c.data(), one.data(), c.size() * sizeof(float)) == 0, m << " " << n << " " << k);
    }
    for (std::size_t at = 0; at < m * n; at += m * n / 7 + 1) {
      const std::size_t row = at / n, column = at % n, columns = n, terms = k;
      BOOST_TEST(one[at] == element<float>(
                                k, [&](std::size_t l) { return a[row * terms + l]; },
                                [&](std::size_t l) { return b[l * columns + column]; }));
    }
  }
}

BOOST_AUTO_TEST_CASE(special_values_pass_through) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> a(40 * 40, 0.5f), b(40 * 40, 0.0f), c(40 * 40);
  a[0] = inf;          // row 0: ∞·0 is NaN
  a[3 * 40] = nan;     // row 3
  a[5 * 40] = 1e-45f;  // a denormal by 1 is itself
  for (std::size_t j = 1; j < 40; ++j) b[j] = 1;
  arithmetic<float>().gemm(false, false, 40, 40, 40, a.data(), b.data(), 0.0f, c.data());
  BOOST_TEST(std::isnan(c[0]));
  BOOST_TEST(c[1] == inf);
  BOOST_TEST(std::isnan(c[3 * 40 + 7]));
  BOOST_TEST(c[5 * 40 + 7] == 1e-45f);
}

// BLAS computes the same up to rounding.
BOOST_AUTO_TEST_CASE(blas_agrees) {
  BOOST_TEST((handgrad::product_engine() == handgrad::ProductEngine::own));
  const std::size_t m = 150, n = 210, k = 333;
  const auto a = numbers<double>(m * k, 1), b = numbers<double>(k * n, 2);
  std::vector<double> own(m * n), blas(m * n);
  arithmetic<double>().gemm(true, false, m, n, k, a.data(), b.data(), 0.0, own.data());
  handgrad::set_product_engine(handgrad::ProductEngine::blas);
  arithmetic<double>().gemm(true, false, m, n, k, a.data(), b.data(), 0.0, blas.data());
  handgrad::set_product_engine(handgrad::ProductEngine::own);
  double worst = 0;
  for (std::size_t i = 0; i < m * n; ++i) worst = std::max(worst, std::abs(own[i] - blas[i]));
  BOOST_TEST(worst < 1e-12);
}

// dW = δᵀx of 20,000,000 rows of 0.1: blocks and the tree keep what sequential addition would lose.
BOOST_AUTO_TEST_CASE(long_columns_keep_their_digits) {
  const std::size_t rows = 20'000'000;
  const std::vector<float> delta(rows, 0.1f), x(rows, 0.7f);
  handgrad::set_num_threads(2);
  float dW = 0;
  arithmetic<float>().gemm(true, false, 1, 1, rows, delta.data(), x.data(), 0.0f, &dW);
  const double exact = static_cast<double>(0.1f) * static_cast<double>(0.7f) * static_cast<double>(rows);
  BOOST_TEST(std::abs(static_cast<double>(dW) / exact - 1) < 1e-5);
}

namespace {

template <class T>
void check_column_sums(std::size_t rows, std::size_t columns) {
  const auto x = numbers<T>(rows * columns, 1), before = numbers<T>(columns, 2);
  for (const T beta : {T(0), T(1)})
    for (const int threads : {1, 2, 3})
      on_each_set([&](const cpu::InstructionSet& set) {
        handgrad::set_num_threads(threads);
        std::vector<T> sums = before;
        arithmetic<T>(set).column_sums(rows, columns, x.data(), beta, sums.data());
        for (std::size_t j = 0; j < columns; ++j) {
          const T sum = element<T>(
              rows, [](std::size_t) { return T(1); }, [&](std::size_t i) { return x[i * columns + j]; });
          const T expected = beta == T(0) ? sum : before[j] + sum;
          BOOST_TEST(sums[j] == expected,
                     rows << "x" << columns << " column " << j << " threads " << threads << " " << set.name);
        }
      });
}

}  // namespace

BOOST_AUTO_TEST_CASE(column_sums_are_as_specified) {
  const std::size_t sizes[][2] = {{1, 5},      {7, 1},     {300, 3},    {257, 129},
                                  {20000, 16}, {4097, 37}, {120000, 1}, {50001, 7}};
  for (const auto& size : sizes) {
    check_column_sums<float>(size[0], size[1]);
    check_column_sums<double>(size[0], size[1]);
  }
}

// db of Linear(1 → 3)
BOOST_AUTO_TEST_CASE(long_column_sums_keep_their_digits) {
  for (const std::size_t rows : {1'000'000, 20'000'000}) {
    const std::vector<float> delta(3 * rows, 0.1f);
    float db[3];
    arithmetic<float>().column_sums(rows, 3, delta.data(), 0.0f, db);
    const double exact = static_cast<double>(0.1f) * static_cast<double>(rows);
    for (const float sum : db) BOOST_TEST(std::abs(static_cast<double>(sum) / exact - 1) < 1e-5);
  }
}
