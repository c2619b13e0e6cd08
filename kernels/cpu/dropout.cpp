#include "kernels/dropout.hpp"

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

// y = m∘x/(1−p). The words of many blocks are computed side by side, in plain loops that the compiler vectorises.
template <class D, class T>
void DropoutOn<D, T>::apply(const formulas::Dropout& rule, bool advance, double* step, Vector<const T> x, Vector<T> y) {
  if (advance) *step += 1;
  const auto count = static_cast<std::uint32_t>(static_cast<std::uint64_t>(*step));
  const std::size_t n = x.size;
  const T scale = static_cast<T>(rule.scale());
  if (rule.p >= 1) {
    std::fill_n(y.data, n, T(0));
    return;
  }
  const std::uint32_t threshold = rule.threshold();
  constexpr std::size_t blocks = 32;
  in_ranges(n, 3, 4 * blocks, [&](std::size_t begin, std::size_t end) {
    std::uint32_t words[4 * blocks];
    for (std::size_t first = begin; first < end; first += 4 * blocks) {
      for (std::size_t b = 0; b < blocks; ++b) {
        const formulas::Words w = rule.words(first / 4 + b, count);
        for (std::size_t k = 0; k < 4; ++k) words[4 * b + k] = w.word[k];
      }
      const T* in = x.data + first;
      T* out = y.data + first;
      const std::size_t here = std::min(4 * blocks, end - first);
      for (std::size_t i = 0; i < here; ++i) out[i] = words[i] < threshold ? T(0) : in[i] * scale;
    }
  });
}

template class DropoutOn<cpu::Cpu, float>;
template class DropoutOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
