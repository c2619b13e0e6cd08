#include "kernels/dropout.hpp"

#include "kernels/cuda/device.hpp"

namespace handgrad::kernels {

using namespace cuda;

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

// y = m∘x/(1−p): one thread per four elements, which share a block of random words. `step` is read on the device, so
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

template <class D, class T>
void DropoutOn<D, T>::apply(const formulas::Dropout& rule, bool advance, double* step, Vector<const T> x, Vector<T> y) {
  const auto guard = device_.use();
  if (advance) map(device_, 1, step, PlusOne(), static_cast<const double*>(step));
  if (rule.p >= 1)
    map(device_, y.size, y.data, Zero(), x.data);
  else
    device_.launch(dropout_kernel<T>, blocks_for((x.size + 3) / 4, threads, device_.most_blocks()), threads, x.size,
                   rule, step, x.data, y.data);
}

template class DropoutOn<cuda::Context, float>;
template class DropoutOn<cuda::Context, double>;

}  // namespace handgrad::kernels
