#include "kernels/embedding.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

// yₜ = E[iₜ]
template <class D, class T>
std::optional<BadClass> EmbeddingOn<D, T>::forward(Vector<const T> indices, Matrix<const T> table, Matrix<T> y) {
  const std::size_t columns = table.columns;
  for (std::size_t t = 0; t < indices.size; ++t) {
    const T i = indices.data[t];
    if (!(i >= T(0) && i < static_cast<T>(table.rows) && i == std::floor(i)))
      return BadClass{t, static_cast<double>(i), table.rows};
    std::copy_n(table.data + static_cast<std::size_t>(i) * columns, columns, y.data + t * columns);
  }
  return {};
}

// dE[iₜ] += δₜ. Threads share the columns, so that each element accumulates in the order of t.
template <class D, class T>
void EmbeddingOn<D, T>::backward(Vector<const T> indices, Matrix<const T> dy, std::size_t padding, Matrix<T> dE,
                                 const TouchedRows& touched) {
  const std::size_t columns = dE.columns;
  const auto row = [&](std::size_t t) { return static_cast<std::size_t>(indices.data[t]); };
  if (touched.rows)
    for (std::size_t t = 0; t < indices.size; ++t)
      if (const std::size_t k = row(t); k != padding && !touched.marks[k]) {
        touched.marks[k] = 1;
        touched.rows[(*touched.count)++] = static_cast<std::uint32_t>(k);
      }
  // A row that occurs very often is summed in double, since its rounding error grows with the count. Its mark is its
  // place among those rows.
  constexpr std::size_t often = 1024;
  std::size_t frequent = 0;
  std::uint32_t* marks = nullptr;
  double* sums = nullptr;
  if (indices.size > often) {
    sums = static_cast<double*>(
        scratch_bytes(indices.size / often * columns * sizeof(double) + dE.rows * sizeof(std::uint32_t)));
    marks = reinterpret_cast<std::uint32_t*>(sums + indices.size / often * columns);
    std::fill_n(marks, dE.rows, 0u);
    for (std::size_t t = 0; t < indices.size; ++t) ++marks[row(t)];
    for (std::size_t k = 0; k < dE.rows; ++k)
      marks[k] = marks[k] > often && k != padding ? static_cast<std::uint32_t>(++frequent) : 0;
    std::fill_n(sums, frequent * columns, 0.0);
  }
  constexpr std::size_t elements_a_part = 100'000, unit = 16;
  const std::size_t parts = std::clamp<std::size_t>(indices.size * columns / elements_a_part, 1,
                                                    std::min(threads_at_most(), columns / unit + 1));
  const std::size_t width = ((columns + parts - 1) / parts + unit - 1) / unit * unit;
  parallel(parts, [&](std::size_t part) {
    const std::size_t first = std::min(part * width, columns), n = std::min(width, columns - first);
    if (n == 0) return;
    for (std::size_t t = 0; t < indices.size; ++t)
      if (const std::size_t k = row(t); k != padding) {
        if (marks && marks[k] > 0) {
          double* sum = sums + (marks[k] - 1) * columns + first;
          for (std::size_t j = 0; j < n; ++j) sum[j] += static_cast<double>(dy.data[t * columns + first + j]);
          continue;
        }
        T* to = dE.data + k * columns + first;
        map(
            n, to, [](Batch<T> sum, Batch<T> delta) { return sum + delta; }, to, dy.data + t * columns + first);
      }
  });
  for (std::size_t k = 0; frequent > 0 && k < dE.rows; ++k)
    if (marks[k] > 0)
      for (std::size_t j = 0; j < columns; ++j) {
        T& to = dE.data[k * columns + j];
        to = static_cast<T>(static_cast<double>(to) + sums[(marks[k] - 1) * columns + j]);
      }
}

// yᵣ = xᵣ + table[⌊r/step⌋ mod length]
template <class D, class T>
void EmbeddingOn<D, T>::add_positions(Matrix<const T> x, Matrix<const T> table, std::size_t step, std::size_t length,
                                      Matrix<T> y) {
  for (std::size_t r = 0; r < x.rows; ++r)
    map(
        x.columns, y.data + r * x.columns, [](Batch<T> a, Batch<T> b) { return a + b; }, x.data + r * x.columns,
        table.data + r / step % length * x.columns);
}

template class EmbeddingOn<cpu::Cpu, float>;
template class EmbeddingOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
