#pragma once
// Several vectors, with each operation done for all of them before the next. In a long chain of operations every one
// waits for the result of the one before; several chains side by side leave the processor less time to wait.
#include <array>
#include <concepts>
#include <cstddef>
#include <utility>

#include "kernels/cpu/simd.hpp"
#include "kernels/formulas/math.hpp"

namespace handgrad::kernels::cpu {

using elementary::scaled;

/// N of P: Batch, Mask or Words.
template <class P, std::size_t N>
struct Several {
  std::array<P, N> part;

  Several() = default;
  Several(const std::array<P, N>& parts) : part(parts) {}
  /// x in each lane
  template <class X>
  requires std::convertible_to<X, P> Several(X x)
      : part([p = P(x)]<std::size_t... I>(std::index_sequence<I...>) {
          return std::array<P, N>{(static_cast<void>(I), p)...};
        }(std::make_index_sequence<N>())) {}

  static Several load(const auto* p) {
    Several r;
    HANDGRAD_UNROLL
    for (std::size_t i = 0; i < N; ++i) r.part[i] = P::load(p + i * P::size);
    return r;
  }
  void store(auto* p) const {
    HANDGRAD_UNROLL
    for (std::size_t i = 0; i < N; ++i) part[i].store(p + i * P::size);
  }

  Several operator-() const {
    return each([](P x) { return -x; }, *this);
  }
#define HANDGRAD_EACH(operation)                                       \
  friend auto operator operation(const Several& a, const Several& b) { \
    return each([](P x, P y) { return x operation y; }, a, b);         \
  }
  HANDGRAD_EACH(+)
  HANDGRAD_EACH(-)
  HANDGRAD_EACH(*)
  HANDGRAD_EACH(/)
  HANDGRAD_EACH(<)
  HANDGRAD_EACH(>)
  HANDGRAD_EACH(==)
  HANDGRAD_EACH(&)
  HANDGRAD_EACH(|)
#undef HANDGRAD_EACH
  friend Several operator<<(const Several& a, int n) {
    return each([n](P x) { return x << n; }, a);
  }
  Several& operator+=(const Several& b) { return *this = *this + b; }
};

/// f of the first parts, of the second parts, …
template <std::size_t N, class F, class... P>
inline auto each(F f, const Several<P, N>&... x) {
  const auto at = [&](std::size_t i) { return f(x.part[i]...); };
  return [&]<std::size_t... I>(std::index_sequence<I...>) { return Several<decltype(at(0)), N>(std::array{at(I)...}); }
  (std::make_index_sequence<N>());
}

template <class T, std::size_t N>
using Batches = Several<Batch<T>, N>;

template <class T, std::size_t N>
inline Batches<T, N> select(const Several<Mask<T>, N>& c, const Batches<T, N>& a, const Batches<T, N>& b) {
  return each([](Mask<T> k, Batch<T> x, Batch<T> y) { return select(k, x, y); }, c, a, b);
}
template <class T, std::size_t N>
inline Batches<T, N> fused(const Batches<T, N>& a, const Batches<T, N>& b, const Batches<T, N>& c) {
  return each([](Batch<T> x, Batch<T> y, Batch<T> z) { return fused(x, y, z); }, a, b, c);
}
template <class T, std::size_t N>
inline Batches<T, N> min(const Batches<T, N>& a, const Batches<T, N>& b) {
  return each([](Batch<T> x, Batch<T> y) { return min(x, y); }, a, b);
}
template <class T, std::size_t N>
inline Batches<T, N> max(const Batches<T, N>& a, const Batches<T, N>& b) {
  return each([](Batch<T> x, Batch<T> y) { return max(x, y); }, a, b);
}
template <class T, std::size_t N>
inline Batches<T, N> abs(const Batches<T, N>& a) {
  return each([](Batch<T> x) { return abs(x); }, a);
}
template <class T, std::size_t N>
inline Batches<T, N> scaled(const Batches<T, N>& y, const Batches<T, N>& n) {
  return each([](Batch<T> x, Batch<T> k) { return scaled(x, k); }, y, n);
}
template <class T, std::size_t N>
inline Several<Words<T>, N> bits(const Batches<T, N>& a) {
  return each([](Batch<T> x) { return bits(x); }, a);
}
template <class T, std::size_t N>
inline Batches<T, N> number(const Several<Words<T>, N>& words) {
  return each([](Words<T> x) { return number(x); }, words);
}

}  // namespace handgrad::kernels::cpu

template <class T, std::size_t N>
struct handgrad::elementary::Format<handgrad::kernels::cpu::Batches<T, N>> : handgrad::elementary::Format<T> {};
template <class T, std::size_t N>
struct handgrad::formulas::detail::Scalar<handgrad::kernels::cpu::Batches<T, N>> {
  using type = T;
};
