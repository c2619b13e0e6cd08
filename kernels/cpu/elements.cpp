#include "kernels/elements.hpp"

#include <algorithm>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

template <class D, class T>
void ElementsOn<D, T>::fill(Vector<T> y, T value) {
  std::fill_n(y.data, y.size, value);
}

template <class D, class T>
void ElementsOn<D, T>::scale(Vector<T> y, T a) {
  map(
      y.size, y.data, [=](Batch<T> v) { return a * v; }, y.data);
}

template <class D, class T>
void ElementsOn<D, T>::add(Vector<T> y, T a, Vector<const T> x) {
  axpy(y.size, a, x.data, y.data);
}

template <class D, class T>
void ElementsOn<D, T>::add(Vector<const T> a, Vector<const T> b, Vector<T> y) {
  in_ranges(y.size, 0.5, 64, [&](std::size_t first, std::size_t last) {
    map(
        last - first, y.data + first, [](Batch<T> u, Batch<T> v) { return u + v; }, a.data + first, b.data + first);
  });
}

template <class D, class T>
void ElementsOn<D, T>::multiply_rows(Matrix<T> y, Vector<const T> x) {
  const std::size_t rows = y.rows, columns = y.columns;
  if (columns == 1) {
    map(
        rows, y.data, [](Batch<T> a, Batch<T> b) { return a * b; }, y.data, x.data);
    return;
  }
  for (std::size_t i = 0; i < rows; ++i) {
    const Batch<T> factor(x.data[i]);
    map(
        columns, y.data + i * columns, [=](Batch<T> v) { return factor * v; }, y.data + i * columns);
  }
}

template <class D, class T>
void ElementsOn<D, T>::gather_rows(Matrix<const T> x, Vector<const double> rows, Matrix<T> y) {
  const std::size_t columns = y.columns;
  in_ranges(rows.size, 20 + static_cast<double>(columns) / 4, 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i)
      std::copy_n(x.data + static_cast<std::size_t>(rows.data[i]) * columns, columns, y.data + i * columns);
  });
}

template <class D, class T>
void ElementsOn<D, T>::sum_of_squares(Vector<const T> x, T a, T* value) {
  *value = static_cast<T>(static_cast<double>(a) * sum<T>(
                                                       x.size, [](Batch<T> v) { return v * v; }, x.data));
}

template class ElementsOn<cpu::Cpu, float>;
template class ElementsOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
