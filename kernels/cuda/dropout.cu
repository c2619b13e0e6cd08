#include "kernels/cuda/backend.hpp"
#include "kernels/cuda/device.hpp"

namespace handgrad::kernels::cuda {

namespace {

struct Zero {
  template <class T>
  __device__ T operator()(T) const {
    return T(0);
  }
};
struct PlusOne {
  __device__ double operator()(double v) const { return v + 1; }
};

// y = m∘x/(1−p): a thread for the four elements that share a block of random words. `step` is read on the device, so
// that a recorded step draws a new mask each time.
template <class T>
__global__ void __launch_bounds__(threads)
    dropout_kernel(std::size_t n, formulas::Dropout rule, const double* step, const T* x, T* y) {
  const auto count = static_cast<std::uint32_t>(static_cast<std::uint64_t>(*step));
  const std::uint32_t threshold = rule.threshold();
  const T scale = static_cast<T>(rule.scale());
  const bool packs = aligned(x, y);
  const std::size_t stride = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t block = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; 4 * block < n; block += stride) {
    const formulas::Words words = rule.words(block, count);
    const auto kept = [&](std::size_t k, T v) { return words.word[k] < threshold ? T(0) : v * scale; };
    const std::size_t first = 4 * block;
    if (packs && first + 4 <= n) {
#pragma unroll
      for (std::size_t k = 0; k < 4; k += Pack<T>::width) {
        Pack<T> pack = *reinterpret_cast<const Pack<T>*>(x + first + k);
#pragma unroll
        for (std::size_t i = 0; i < Pack<T>::width; ++i) pack.at[i] = kept(k + i, pack.at[i]);
        *reinterpret_cast<Pack<T>*>(y + first + k) = pack;
      }
    } else {
      for (std::size_t k = 0; k < 4 && first + k < n; ++k) y[first + k] = kept(k, x[first + k]);
    }
  }
}

}  // namespace

template <class T>
void CudaBackend<T>::dropout(const formulas::Dropout& rule, bool advance, Tensor<double>& step, const Tensor<T>& x,
                             Tensor<T>& y) {
  const auto guard = context_.use();
  if (advance) map(context_, 1, step.data(), PlusOne(), static_cast<const double*>(step.data()));
  if (rule.p >= 1)
    map(context_, y.numel(), y.data(), Zero(), x.data());
  else
    context_.launch(dropout_kernel<T>, blocks_for((x.numel() + 3) / 4, threads, context_.most_blocks()), threads,
                    x.numel(), rule, step.data(), x.data(), y.data());
}

template void CudaBackend<float>::dropout(const formulas::Dropout&, bool, Tensor<double>&, const Tensor<float>&,
                                          Tensor<float>&);
template void CudaBackend<double>::dropout(const formulas::Dropout&, bool, Tensor<double>&, const Tensor<double>&,
                                           Tensor<double>&);

}  // namespace handgrad::kernels::cuda
