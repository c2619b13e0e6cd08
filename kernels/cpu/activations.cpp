#include "kernels/activations.hpp"

#include <variant>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels {

using namespace cpu;

// y = f(z)
template <class D, class T>
void ActivationsOn<D, T>::forward(const formulas::Activation& f, Vector<const T> z, Vector<T> y) {
  std::visit(
      [&](const auto& g) {
        map(
            y.size, y.data, [=](Batch<T> v) { return g.value(v); }, z.data);
      },
      f);
}

// dz = δ ∘ f′(z)
template <class D, class T>
void ActivationsOn<D, T>::backward(const formulas::Activation& f, Vector<const T> z, Vector<const T> y,
                                   Vector<const T> dy, Vector<T> dz) {
  const auto derivative = [](const auto& g) {
    return [g](Batch<T> delta, Batch<T> in, Batch<T> out) { return delta * g.derivative(in, out); };
  };
  std::visit([&](const auto& g) { map(dz.size, dz.data, derivative(g), dy.data, z.data, y.data); }, f);
}

template class ActivationsOn<cpu::Cpu, float>;
template class ActivationsOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
