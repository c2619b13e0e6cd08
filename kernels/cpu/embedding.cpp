#include "kernels/embedding.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/cpu.hpp"
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
  constexpr std::size_t worth_a_part = 100'000, unit = 16;
  const std::size_t parts = std::clamp<std::size_t>(indices.size * columns / worth_a_part, 1,
                                                    std::min(threads_at_most(), columns / unit + 1));
  const std::size_t width = ((columns + parts - 1) / parts + unit - 1) / unit * unit;
  parallel(parts, [&](std::size_t part) {
    const std::size_t first = std::min(part * width, columns), n = std::min(width, columns - first);
    if (n == 0) return;
    for (std::size_t t = 0; t < indices.size; ++t)
      if (const std::size_t k = row(t); k != padding) {
        T* to = dE.data + k * columns + first;
        map(
            n, to, [](Batch<T> sum, Batch<T> delta) { return sum + delta; }, to, dy.data + t * columns + first);
      }
  });
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
