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
    map_columns(context_, x.numel(), y.numel() / x.numel(), y.data(), TimesRow<T>{x.data()},
                static_cast<const T*>(y.data()));
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
  if (n % 4 == 0 && aligned(x, y))
    map_index(context, n / 4, reinterpret_cast<FourBFloat16*>(y),
              ToFourBFloat16{reinterpret_cast<const Pack<float>*>(x)});
  else
    map_index(context, n, y, ToBFloat16{x});
}

#define HANDGRAD_INSTANTIATE(T)                                                                   \
  template void CudaBackend<T>::fill(Tensor<T>&, T);                                              \
  template void CudaBackend<T>::scale(Tensor<T>&, T);                                             \
  template void CudaBackend<T>::add(Tensor<T>&, T, const Tensor<T>&);                             \
  template void CudaBackend<T>::multiply_rows(Tensor<T>&, const Tensor<T>&);                      \
  template void CudaBackend<T>::gather_rows(const Tensor<T>&, const Tensor<double>&, Tensor<T>&); \
  template void CudaBackend<T>::sum_of_squares(const Tensor<T>&, T, Tensor<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::kernels::cuda
