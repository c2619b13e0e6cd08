#include "kernels/elements.hpp"

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/kernels.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

template <class T>
struct Constant {
  T value;
  __device__ T operator()() const { return value; }
};
template <class T>
struct Times {
  T a;
  __device__ T operator()(T v) const { return a * v; }
};
template <class T>
struct PlusTimes {
  T a;
  __device__ T operator()(T y, T x) const { return y + a * x; }
};
// yᵢⱼ·xᵢ
template <class T>
struct TimesRow {
  const T* x;
  __device__ TimesRow column(std::size_t) const { return *this; }
  __device__ T operator()(std::size_t i, T y) const { return y * x[i]; }
};
template <class T>
struct RowTaken {
  const T* x;
  const double* rows;
  std::size_t columns;
  __device__ T operator()(std::size_t i) const {
    const auto [row, column] = place_of(i, columns);
    return x[static_cast<std::size_t>(rows[row]) * columns + column];
  }
};
struct Product2 {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a * b;
  }
};
template <class T>
struct Square {
  const T* x;
  __device__ T operator()(std::size_t i) const { return x[i] * x[i]; }
};
struct ToBFloat16 {
  const float* x;
  __device__ unsigned short operator()(std::size_t i) const { return bfloat16_bits(__float_as_uint(x[i])); }
};
struct alignas(8) FourBFloat16 {
  unsigned short at[4];
};
struct ToFourBFloat16 {
  const Pack<float>* x;
  __device__ FourBFloat16 operator()(std::size_t i) const {
    const Pack<float> pack = x[i];
    FourBFloat16 rounded;
#pragma unroll
    for (std::size_t k = 0; k < 4; ++k) rounded.at[k] = bfloat16_bits(__float_as_uint(pack.at[k]));
    return rounded;
  }
};

}  // namespace

template <class D, class T>
void ElementsOn<D, T>::fill(Vector<T> y, T value) {
  const auto guard = device_.use();
  map(device_, y.size, y.data, Constant<T>{value});
}

template <class D, class T>
void ElementsOn<D, T>::scale(Vector<T> y, T a) {
  const auto guard = device_.use();
  map(device_, y.size, y.data, Times<T>{a}, static_cast<const T*>(y.data));
}

template <class D, class T>
void ElementsOn<D, T>::add(Vector<T> y, T a, Vector<const T> x) {
  const auto guard = device_.use();
  map(device_, y.size, y.data, PlusTimes<T>{a}, static_cast<const T*>(y.data), x.data);
}

template <class D, class T>
void ElementsOn<D, T>::add(Vector<const T> a, Vector<const T> b, Vector<T> y) {
  const auto guard = device_.use();
  map(device_, y.size, y.data, Plus(), a.data, b.data);
}

template <class D, class T>
void ElementsOn<D, T>::multiply_rows(Matrix<T> y, Vector<const T> x) {
  const auto guard = device_.use();
  if (y.columns == 1)
    map(device_, y.size(), y.data, Product2(), static_cast<const T*>(y.data), x.data);
  else
    map_columns(device_, y.rows, y.columns, y.data, TimesRow<T>{x.data}, static_cast<const T*>(y.data));
}

template <class D, class T>
void ElementsOn<D, T>::gather_rows(Matrix<const T> x, Vector<const double> rows, Matrix<T> y) {
  const auto guard = device_.use();
  map_index(device_, y.size(), y.data, RowTaken<T>{x.data, rows.data, y.columns});
}

template <class D, class T>
void ElementsOn<D, T>::sum_of_squares(Vector<const T> x, T a, T* value) {
  const auto guard = device_.use();
  sum(device_, x.size, Square<T>{x.data}, StoreScaled<T>{value, static_cast<double>(a)});
}

namespace cuda {

void round_to_bfloat16(Context& context, std::size_t n, const float* x, unsigned short* y) {
  if (n % 4 == 0 && aligned(x, y))
    map_index(context, n / 4, reinterpret_cast<FourBFloat16*>(y),
              ToFourBFloat16{reinterpret_cast<const Pack<float>*>(x)});
  else
    map_index(context, n, y, ToBFloat16{x});
}

}  // namespace cuda

template class ElementsOn<cuda::Context, float>;
template class ElementsOn<cuda::Context, double>;

}  // namespace handgrad::kernels
