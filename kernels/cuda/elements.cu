#include "kernels/cuda/backend.hpp"
#include "kernels/cuda/device.hpp"
#include "kernels/cuda/kernels.hpp"

namespace handgrad::kernels::cuda {

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
template <class T>
struct TimesRow {
  T* y;
  const T* x;
  std::size_t columns;
  __device__ T operator()(std::size_t i) const { return y[i] * x[place_of(i, columns).row]; }
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

}  // namespace

template <class T>
void CudaBackend<T>::fill(Tensor<T>& y, T value) {
  const auto guard = context_.use();
  map(context_, y.numel(), y.data(), Constant<T>{value});
}

template <class T>
void CudaBackend<T>::scale(Tensor<T>& y, T a) {
  const auto guard = context_.use();
  map(context_, y.numel(), y.data(), Times<T>{a}, static_cast<const T*>(y.data()));
}

template <class T>
void CudaBackend<T>::add(Tensor<T>& y, T a, const Tensor<T>& x) {
  const auto guard = context_.use();
  map(context_, y.numel(), y.data(), PlusTimes<T>{a}, static_cast<const T*>(y.data()), x.data());
}

template <class T>
void CudaBackend<T>::multiply_rows(Tensor<T>& y, const Tensor<T>& x) {
  const auto guard = context_.use();
  if (x.numel() == y.numel())
    map(context_, y.numel(), y.data(), Product2(), static_cast<const T*>(y.data()), x.data());
  else
    map_index(context_, y.numel(), y.data(), TimesRow<T>{y.data(), x.data(), y.numel() / x.numel()});
}

template <class T>
void CudaBackend<T>::gather_rows(const Tensor<T>& x, const Tensor<double>& rows, Tensor<T>& y) {
  const auto guard = context_.use();
  map_index(context_, y.numel(), y.data(), RowTaken<T>{x.data(), rows.data(), y.numel() / rows.numel()});
}

template <class T>
void CudaBackend<T>::sum_of_squares(const Tensor<T>& x, T a, Tensor<T>& value) {
  const auto guard = context_.use();
  sum(context_, x.numel(), Square<T>{x.data()}, StoreScaled<T>{value.data(), static_cast<double>(a)});
}

void round_to_bfloat16(Context& context, std::size_t n, const float* x, unsigned short* y) {
  map_index(context, n, y, ToBFloat16{x});
}

#define HANDGRAD_INSTANTIATE(T)                                              \
  template void CudaBackend<T>::fill(Tensor<T>&, T);                         \
  template void CudaBackend<T>::scale(Tensor<T>&, T);                        \
  template void CudaBackend<T>::add(Tensor<T>&, T, const Tensor<T>&);        \
  template void CudaBackend<T>::multiply_rows(Tensor<T>&, const Tensor<T>&); \
  template void CudaBackend<T>::gather_rows(const Tensor<T>&, const Tensor<double>&, Tensor<T>&); \
  template void CudaBackend<T>::sum_of_squares(const Tensor<T>&, T, Tensor<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::kernels::cuda
