#include "kernels/optimizers.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <variant>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

namespace {

// One pass over elements first … last of a parameter, its gradient and its N states.
template <int N, class T, class Rule>
void update(const Rule& rule, const Update<T>& u, std::size_t first, std::size_t last) {
  constexpr std::size_t w = Batch<T>::size;
  T* value = u.value.data;
  const T* grad = u.grad;
  T* state[N + 1] = {};
  for (int k = 0; k < N; ++k) state[k] = u.state[static_cast<std::size_t>(k)];
  const auto step = [&](std::size_t i, auto read, auto write) {
    Batch<T> x = read(value + i), s[N + 1];
    for (int k = 0; k < N; ++k) s[k] = read(state[k] + i);
    rule.step(x, read(grad + i), s);
    write(x, value + i);
    for (int k = 0; k < N; ++k) write(s[k], state[k] + i);
  };
  std::size_t i = first;
  for (; i + w <= last; i += w)
    step(
        i, [](const T* p) { return load(p); }, [](Batch<T> v, T* p) { v.store(p); });
  if (i < last)
    step(
        i, [=](const T* p) { return load_part(p, last - i); }, [=](Batch<T> v, T* p) { store_part(v, p, last - i); });
}

template <class T>
void update(const Update<T>& u, std::size_t first, std::size_t last) {
  std::visit(
      [&](const auto rule) {  // a copy, which no store can change: its numbers stay in registers
        using Rule = std::decay_t<decltype(rule)>;
        switch (rule.states()) {
          case 0:
            if constexpr (may_have<Rule>(0)) update<0>(rule, u, first, last);
            break;
          case 1:
            if constexpr (may_have<Rule>(1)) update<1>(rule, u, first, last);
            break;
          case 2:
            if constexpr (may_have<Rule>(2)) update<2>(rule, u, first, last);
            break;
          default:
            if constexpr (may_have<Rule>(3)) update<3>(rule, u, first, last);
        }
      },
      u.rule);
}

}  // namespace

// Threads share each parameter's elements: a thread updates the rows of W whose gradient it has computed.
template <class D, class T>
void OptimizersOn<D, T>::optimize(std::span<const Update<T>> updates) {
  std::size_t all = 0;
  for (const Update<T>& u : updates) all += u.value.size;
  constexpr std::size_t unit = 64 / sizeof(T), worth = worth_a_part / 2;
  const std::size_t parts = std::clamp<std::size_t>(all / worth, 1, threads_at_most());
  parallel(parts, [&](std::size_t part) {
    for (const Update<T>& u : updates) {
      const auto begin = [&](std::size_t p) {
        return p == parts ? u.value.size : u.value.size * p / parts / unit * unit;
      };
      update(u, begin(part), begin(part + 1));
    }
  });
}

// ‖g‖ₚ = (Σ |gᵢ|ᵖ)^(1/p),  ‖g‖∞ = max |gᵢ|
template <class D, class T>
void OptimizersOn<D, T>::clip_norm(std::span<const Vector<T>> grads, T max_norm, double p, T* norm) {
  double total = 0;
  for (const Vector<T>& g : grads) {
    if (p == 2) {
      total += sum<T>(
          g.size, [](Batch<T> v) { return v * v; }, g.data);
    } else if (std::isinf(p)) {
      for (std::size_t i = 0; i < g.size; ++i) {
        const double size = std::abs(static_cast<double>(g.data[i]));
        if (!(size <= total)) total = std::isnan(total) ? total : size;  // NaN stays NaN
      }
    } else {
      RunningSum powers;
      for (std::size_t i = 0; i < g.size; ++i) powers.add(exp(p * log(std::abs(static_cast<double>(g.data[i])))));
      total += powers.total();
    }
  }
  if (p == 2)
    total = std::sqrt(total);
  else if (!std::isinf(p))
    total = exp(log(total) / p);
  *norm = static_cast<T>(total);
  const T factor = max_norm / (*norm + T(1e-6));
  if (factor < T(1) || std::isnan(factor))
    for (const Vector<T>& g : grads)
      map(
          g.size, g.data, [=](Batch<T> v) { return factor * v; }, g.data);
}

template <class D, class T>
void OptimizersOn<D, T>::normalize(Vector<T> x, T eps, T* norm) {
  *norm = static_cast<T>(std::sqrt(sum<T>(
      x.size, [](Batch<T> v) { return v * v; }, x.data)));
  const T divisor = *norm < eps ? eps : *norm;
  map(
      x.size, x.data, [=](Batch<T> v) { return v / divisor; }, x.data);
}

template <class D, class T>
void OptimizersOn<D, T>::clip_value(std::span<const Vector<T>> grads, T bound) {
  const Batch<T> high(bound), low(-bound);
  for (const Vector<T>& g : grads)
    map(
        g.size, g.data, [=](Batch<T> v) { return select(v < low, low, select(v > high, high, v)); }, g.data);
}

template class OptimizersOn<cpu::Cpu, float>;
template class OptimizersOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
