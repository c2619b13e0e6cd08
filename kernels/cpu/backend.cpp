// All operations, for the instruction set this file is compiled for.
#include "kernels/backend.hpp"

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/instruction_sets.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/cpu/simd.hpp"

#define HANDGRAD_TEXT(x) #x
#define HANDGRAD_TEXT_OF(x) HANDGRAD_TEXT(x)
#define HANDGRAD_JOIN(a, b) a##b
#define HANDGRAD_ENTRY(set) HANDGRAD_JOIN(handgrad_cpu_, set)

namespace handgrad::kernels::cpu {
namespace {

// Applies f to each element of an array.
template <class T, class F>
void (*each(F))(std::size_t, const T*, T*) {
  return [](std::size_t n, const T* x, T* y) { map(n, y, F(), x); };
}

template <class T>
Operations<T> operations() {
  using V = Batch<T>;
  const auto itself = [](V v) { return v; };
  static Cpu cpu;
  static auto* backend = new BackendOn<Cpu, T>(cpu);  // never destroyed: static objects may use it until the end
  return {backend->operations(),
          {[](bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T beta, T* c) {
             gemm(ta, tb, m, n, k, a, b, beta, c);
           },
           column_sums<T>, each<T>([](V v) { return exp(v); }), each<T>([](V v) { return log(v); }),
           each<T>([](V v) { return log1p(v); }), each<T>([](V v) { return expm1(v); }),
           each<T>([](V v) { return tanh(v); }), each<T>([](V v) { return erf(v); }),
           [](std::size_t n, const T* x) { return sum<T>(n, decltype(itself)(), x); },
           [](std::size_t n, const T* x, std::size_t step) {
             return sum<T>(n, decltype(itself)(), Strided<const T>{x, step});
           }}};
}

}  // namespace
}  // namespace handgrad::kernels::cpu

extern "C" const handgrad::kernels::cpu::InstructionSet* HANDGRAD_ENTRY(HANDGRAD_CPU_SET)();
extern "C" const handgrad::kernels::cpu::InstructionSet* HANDGRAD_ENTRY(HANDGRAD_CPU_SET)() {
  using namespace handgrad::kernels::cpu;
  static const auto* set =
      new InstructionSet{HANDGRAD_TEXT_OF(HANDGRAD_CPU_SET), operations<float>(), operations<double>()};
  return set;
}
