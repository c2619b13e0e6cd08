#include "kernels/dropout.hpp"

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

namespace {

constexpr std::size_t blocks = 32;  // of four words, side by side

// y = m∘x/(1−p) for the elements first … last, in plain loops that the compiler vectorises. All by value: no store to y
// can change it.
template <class T>
void drop(const formulas::Dropout rule, std::uint32_t step, std::size_t first, std::size_t last, const T* x, T* y) {
  const std::uint32_t threshold = rule.threshold();
  const T scale = static_cast<T>(rule.scale());
  std::uint32_t words[4 * blocks];
  for (; first < last; first += 4 * blocks) {
    for (std::size_t b = 0; b < blocks; ++b) {
      const formulas::Words w = rule.words(first / 4 + b, step);
      for (std::size_t k = 0; k < 4; ++k) words[4 * b + k] = w.word[k];
    }
    const std::size_t here = std::min(4 * blocks, last - first);
    for (std::size_t i = 0; i < here; ++i) y[first + i] = words[i] < threshold ? T(0) : x[first + i] * scale;
  }
}

}  // namespace

// y = m∘x/(1−p)
template <class D, class T>
void DropoutOn<D, T>::apply(const formulas::Dropout& rule, bool advance, double* step, Vector<const T> x, Vector<T> y) {
  if (advance) *step += 1;
  const auto count = static_cast<std::uint32_t>(static_cast<std::uint64_t>(*step));
  if (rule.p >= 1) {
    std::fill_n(y.data, x.size, T(0));
    return;
  }
  in_ranges(x.size, 3, 4 * blocks,
            [&](std::size_t first, std::size_t last) { drop(rule, count, first, last, x.data, y.data); });
}

template class DropoutOn<cpu::Cpu, float>;
template class DropoutOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
