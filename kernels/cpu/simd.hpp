#pragma once
// Vectors of T as wide as those of the instruction set this is compiled for, and loops and sums over contiguous
// elements. Every operation is one IEEE operation per lane, and `fused` is always rounded once: a lane's bits do not
// depend on the width. The last, incomplete batch goes through the same operations as all others: an element's value
// does not depend on its place.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/formulas/elementary.hpp"

#if defined(__clang__)
#define HANDGRAD_UNROLL _Pragma("clang loop unroll(full)")
#else
#define HANDGRAD_UNROLL _Pragma("GCC unroll 32")
#endif

// Of a function in which all calls are to be compiled in line, so that vectors stay in registers.
#define HANDGRAD_FLATTEN __attribute__((flatten))

namespace handgrad::kernels::cpu {

#if defined(__AVX512F__)
inline constexpr std::size_t vector_bytes = 64;
#elif defined(__AVX2__) && defined(__FMA__)
inline constexpr std::size_t vector_bytes = 32;
#else
inline constexpr std::size_t vector_bytes = 16;
#endif

/// The compiler's vectors of T.
template <class T>
struct Native {
  using Word = typename elementary::Format<T>::Word;
  typedef T Numbers __attribute__((vector_size(vector_bytes)));
  typedef Word Words __attribute__((vector_size(vector_bytes)));
  typedef std::make_signed_t<Word> Truths __attribute__((vector_size(vector_bytes)));  // −1 or 0
};

/// A truth value per lane: the result of a comparison, the condition of `select`.
template <class T>
struct Mask {
  typename Native<T>::Truths v;
  friend Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
  friend Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
  friend Mask operator!(Mask a) { return {~a.v}; }
};

/// `size` numbers T.
template <class T>
struct Batch {
  using value_type = T;
  using Numbers = typename Native<T>::Numbers;
  static constexpr std::size_t size = vector_bytes / sizeof(T);
  Numbers v;

  Batch() = default;
  Batch(T x) : v(x - Numbers{}) {}  // in each lane; not 0 + x, which would turn −0 into 0
  Batch(Numbers numbers) : v(numbers) {}

  static Batch load(const T* p) {
    Batch r;
    std::memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  void store(T* p) const { std::memcpy(p, &v, sizeof v); }
  /// The first n ≤ size lanes: load makes the others 0, store leaves their memory alone.
  static Batch load(const T* p, std::size_t n);
  void store(T* p, std::size_t n) const;

  static Batch load_unaligned(const T* p) { return load(p); }
  static Batch load_aligned(const T* p) { return load(p); }
  void store_unaligned(T* p) const { store(p); }
  void store_aligned(T* p) const { store(p); }

  Batch operator-() const { return {-v}; }
  friend Batch operator+(Batch a, Batch b) { return {a.v + b.v}; }
  friend Batch operator-(Batch a, Batch b) { return {a.v - b.v}; }
  friend Batch operator*(Batch a, Batch b) { return {a.v * b.v}; }
  friend Batch operator/(Batch a, Batch b) { return {a.v / b.v}; }
  Batch& operator+=(Batch b) { return *this = *this + b; }
  Batch& operator-=(Batch b) { return *this = *this - b; }
  Batch& operator*=(Batch b) { return *this = *this * b; }
  friend Mask<T> operator<(Batch a, Batch b) { return {a.v < b.v}; }
  friend Mask<T> operator>(Batch a, Batch b) { return {a.v > b.v}; }
  friend Mask<T> operator<=(Batch a, Batch b) { return {a.v <= b.v}; }
  friend Mask<T> operator>=(Batch a, Batch b) { return {a.v >= b.v}; }
  friend Mask<T> operator==(Batch a, Batch b) { return {a.v == b.v}; }
  friend Mask<T> operator!=(Batch a, Batch b) { return {a.v != b.v}; }
  /// c ? a : b
  friend Batch select(Mask<T> c, Batch a, Batch b) { return {c.v ? a.v : b.v}; }
};

using elementary::fused;
using elementary::max;
using elementary::min;

// a·b + c rounded once, √a, the smaller and the larger of two, and the first n lanes of memory, by the processor's own
// instructions.

#if defined(__AVX512F__)

inline Batch<float> fused(Batch<float> a, Batch<float> b, Batch<float> c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Batch<double> fused(Batch<double> a, Batch<double> b, Batch<double> c) {
  return {_mm512_fmadd_pd(a.v, b.v, c.v)};
}
inline Batch<float> sqrt(Batch<float> a) { return {_mm512_sqrt_ps(a.v)}; }
inline Batch<double> sqrt(Batch<double> a) { return {_mm512_sqrt_pd(a.v)}; }
inline Batch<float> min(Batch<float> a, Batch<float> b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Batch<double> min(Batch<double> a, Batch<double> b) { return {_mm512_min_pd(a.v, b.v)}; }
inline Batch<float> max(Batch<float> a, Batch<float> b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Batch<double> max(Batch<double> a, Batch<double> b) { return {_mm512_max_pd(a.v, b.v)}; }
/// y·2ⁿ, rounded once: elementary::scaled in one instruction.
inline Batch<float> scaled(Batch<float> y, Batch<float> n) { return {_mm512_scalef_ps(y.v, n.v)}; }
inline Batch<double> scaled(Batch<double> y, Batch<double> n) { return {_mm512_scalef_pd(y.v, n.v)}; }
template <>
inline Batch<float> Batch<float>::load(const float* p, std::size_t n) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p)};
}
template <>
inline Batch<double> Batch<double>::load(const double* p, std::size_t n) {
  return {_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p)};
}
template <>
inline void Batch<float>::store(float* p, std::size_t n) const {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
}
template <>
inline void Batch<double>::store(double* p, std::size_t n) const {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), v);
}
/// The two halves of a's lanes, in double.
inline std::array<Batch<double>, 2> doubles(Batch<float> a) {
  return {Batch<double>(_mm512_cvtps_pd(_mm512_castps512_ps256(a.v))),
          Batch<double>(_mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1)))};
}

#elif defined(__AVX2__) && defined(__FMA__)

// A masked load is as fast as any other; a masked store takes some processors forty steps.
inline __m256i first_floats(std::size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline __m256i first_doubles(std::size_t n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(n)), _mm256_setr_epi64x(0, 1, 2, 3));
}
inline Batch<float> fused(Batch<float> a, Batch<float> b, Batch<float> c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Batch<double> fused(Batch<double> a, Batch<double> b, Batch<double> c) {
  return {_mm256_fmadd_pd(a.v, b.v, c.v)};
}
inline Batch<float> sqrt(Batch<float> a) { return {_mm256_sqrt_ps(a.v)}; }
inline Batch<double> sqrt(Batch<double> a) { return {_mm256_sqrt_pd(a.v)}; }
inline Batch<float> min(Batch<float> a, Batch<float> b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Batch<double> min(Batch<double> a, Batch<double> b) { return {_mm256_min_pd(a.v, b.v)}; }
inline Batch<float> max(Batch<float> a, Batch<float> b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Batch<double> max(Batch<double> a, Batch<double> b) { return {_mm256_max_pd(a.v, b.v)}; }
template <>
inline Batch<float> Batch<float>::load(const float* p, std::size_t n) {
  return {_mm256_maskload_ps(p, first_floats(n))};
}
template <>
inline Batch<double> Batch<double>::load(const double* p, std::size_t n) {
  return {_mm256_maskload_pd(p, first_doubles(n))};
}
template <>
inline void Batch<float>::store(float* p, std::size_t n) const {
  if (n >= 8) return _mm256_storeu_ps(p, v);
  __m128 rest = _mm256_castps256_ps128(v);
  if (n & 4) {
    _mm_storeu_ps(p, rest);
    rest = _mm256_extractf128_ps(v, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), rest);
    rest = _mm_movehl_ps(rest, rest);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, rest);
}
template <>
inline void Batch<double>::store(double* p, std::size_t n) const {
  if (n >= 4) return _mm256_storeu_pd(p, v);
  __m128d rest = _mm256_castpd256_pd128(v);
  if (n & 2) {
    _mm_storeu_pd(p, rest);
    rest = _mm256_extractf128_pd(v, 1);
    p += 2;
  }
  if (n & 1) _mm_store_sd(p, rest);
}
inline std::array<Batch<double>, 2> doubles(Batch<float> a) {
  return {Batch<double>(_mm256_cvtps_pd(_mm256_castps256_ps128(a.v))),
          Batch<double>(_mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1)))};
}

#else

template <class T>
inline Batch<T> fused(Batch<T> a, Batch<T> b, Batch<T> c) {
  for (std::size_t i = 0; i < Batch<T>::size; ++i) c.v[i] = elementary::fused(a.v[i], b.v[i], c.v[i]);
  return c;
}
template <class T>
inline Batch<T> sqrt(Batch<T> a) {
  for (std::size_t i = 0; i < Batch<T>::size; ++i) a.v[i] = std::sqrt(a.v[i]);
  return a;
}
template <class T>
inline Batch<T> Batch<T>::load(const T* p, std::size_t n) {
  Batch r(T(0));
  std::memcpy(&r.v, p, n * sizeof(T));
  return r;
}
template <class T>
inline void Batch<T>::store(T* p, std::size_t n) const {
  std::memcpy(p, &v, n * sizeof(T));
}
inline std::array<Batch<double>, 2> doubles(Batch<float> a) {
  std::array<Batch<double>, 2> r;
  constexpr std::size_t half = Batch<double>::size;
  for (std::size_t i = 0; i < half; ++i) {
    r[0].v[i] = static_cast<double>(a.v[i]);
    r[1].v[i] = static_cast<double>(a.v[half + i]);
  }
  return r;
}

#endif

/// The lanes' bits.
template <class T>
struct Words {
  using Word = typename Native<T>::Word;
  typename Native<T>::Words v;
  Words(typename Native<T>::Words words) : v(words) {}
  Words(Word x) : v(x - typename Native<T>::Words{}) {}
  friend Words operator+(Words a, Words b) { return {a.v + b.v}; }
  friend Words operator-(Words a, Words b) { return {a.v - b.v}; }
  friend Words operator&(Words a, Words b) { return {a.v & b.v}; }
  friend Words operator|(Words a, Words b) { return {a.v | b.v}; }
  friend Words operator<<(Words a, int n) { return {a.v << static_cast<Word>(n)}; }
  friend Words operator>>(Words a, int n) { return {a.v >> static_cast<Word>(n)}; }
};
template <class T>
inline Words<T> bits(Batch<T> a) {
  return {reinterpret_cast<typename Native<T>::Words>(a.v)};
}
template <class T>
inline Batch<T> number(Words<T> words) {
  return {reinterpret_cast<typename Native<T>::Numbers>(words.v)};
}

}  // namespace handgrad::kernels::cpu

namespace handgrad::elementary {

template <class T>
struct Format<kernels::cpu::Batch<T>> : Format<T> {
  using Words = kernels::cpu::Words<T>;
};

}  // namespace handgrad::elementary

namespace handgrad::kernels::cpu {

using elementary::erf;
using elementary::exp;
using elementary::expm1;
using elementary::log;
using elementary::log1p;
using elementary::tanh;

template <class T>
inline Batch<T> abs(Batch<T> a) {
  return elementary::absolute(a);
}

/// Lane k gets lane k xor `by`.
template <std::size_t by, class T>
inline Batch<T> exchanged(Batch<T> a) {
  return [&]<std::size_t... I>(std::index_sequence<I...>)->Batch<T> {
#if defined(__clang__)
    return {__builtin_shufflevector(a.v, a.v, static_cast<int>(I ^ by)...)};
#else
    return {__builtin_shuffle(a.v, typename Native<T>::Truths{(I ^ by)...})};
#endif
  }
  (std::make_index_sequence<Batch<T>::size>());
}

/// All lanes in a tree: lane k ← op(lane k, lane k + half), with half = size/2, size/4, … 1.
template <std::size_t half, class T, class Op>
inline T fold_halves(Batch<T> a, Op op) {
  if constexpr (half == 0)
    return a.v[0];
  else
    return fold_halves<half / 2>(op(a, exchanged<half>(a)), op);
}
/// The same for N batches' lanes, one after the other.
template <class T, std::size_t N, class Op>
inline T fold(const Batch<T> (&batches)[N], Op op) {
  Batch<T> part[N];
  HANDGRAD_UNROLL
  for (std::size_t i = 0; i < N; ++i) part[i] = batches[i];
  HANDGRAD_UNROLL
  for (std::size_t half = N / 2; half > 0; half /= 2) {
    HANDGRAD_UNROLL
    for (std::size_t i = 0; i < half; ++i) part[i] = op(part[i], part[i + half]);
  }
  return fold_halves<Batch<T>::size / 2>(part[0], op);
}

// Where a loop reads and writes: contiguous elements, as an address, or elements `step` apart.

template <class T>
struct Strided {
  T* data;
  std::size_t step;
};

template <class T>
inline Batch<T> load(const T* p) {
  return Batch<T>::load(p);
}
template <class T>
inline Batch<T> load_part(const T* p, std::size_t n) {
  return Batch<T>::load(p, n);
}
template <class T>
inline void store_part(Batch<T> v, T* p, std::size_t n) {
  v.store(p, n);
}
template <class T>
inline Batch<T> load_at(const T* p, std::size_t i) {
  return Batch<T>::load(p + i);
}
template <class T>
inline Batch<T> load_part_at(const T* p, std::size_t i, std::size_t n) {
  return Batch<T>::load(p + i, n);
}
template <class T>
inline void store_at(Batch<T> v, T* p, std::size_t i) {
  v.store(p + i);
}
template <class T>
inline void store_part_at(Batch<T> v, T* p, std::size_t i, std::size_t n) {
  v.store(p + i, n);
}
template <class T>
inline Batch<std::remove_const_t<T>> load_part_at(Strided<T> s, std::size_t i, std::size_t n) {
  std::remove_const_t<T> values[Batch<std::remove_const_t<T>>::size] = {};
  for (std::size_t j = 0; j < n; ++j) values[j] = s.data[(i + j) * s.step];
  return load(values);
}
template <class T>
inline Batch<std::remove_const_t<T>> load_at(Strided<T> s, std::size_t i) {
  return load_part_at(s, i, Batch<std::remove_const_t<T>>::size);
}
template <class T>
inline void store_part_at(Batch<T> v, Strided<T> s, std::size_t i, std::size_t n) {
  T values[Batch<T>::size];
  v.store(values);
  for (std::size_t j = 0; j < n; ++j) s.data[(i + j) * s.step] = values[j];
}
template <class T>
inline void store_at(Batch<T> v, Strided<T> s, std::size_t i) {
  store_part_at(v, s, i, Batch<T>::size);
}

/// out[i] = f(in[i]…) for i < n, with f on batches. out may be one of the inputs. Out and In are addresses or Strided.
template <class Out, class F, class... In>
inline void map(std::size_t n, Out out, F f, In... in) {
  constexpr std::size_t w = decltype(f(load_at(in, 0)...))::size;
  std::size_t i = 0;
  for (; i + w <= n; i += w) store_at(f(load_at(in, i)...), out, i);
  if (i < n) store_part_at(f(load_part_at(in, i, n - i)...), out, i, n - i);
}

/// y = y + a·x, rounded once
template <class T>
inline void axpy(std::size_t n, T a, const T* x, T* y) {
  const Batch<T> factor(a);
  map(
      n, y, [=](Batch<T> xi, Batch<T> yi) { return fused(factor, xi, yi); }, x, y);
}

/// The greatest of n ≥ 1 elements. NaN where the first is NaN; other NaNs may be left out.
template <class T, class In>
inline T maximum(std::size_t n, In in) {
  constexpr std::size_t w = Batch<T>::size;
  T greatest = load_part_at(in, 0, 1).v[0];
  if (n >= w) {
    Batch<T> m = load_at(in, 0);
    std::size_t i = w;
    for (; i + w <= n; i += w) m = max(load_at(in, i), m);
    if (i < n) m = max(load_at(in, n - w), m);
    for (std::size_t j = 0; j < w; ++j) greatest = m.v[j] > greatest ? m.v[j] : greatest;
  } else {
    const Batch<T> m = load_part_at(in, 0, n);
    for (std::size_t j = 1; j < n; ++j) greatest = m.v[j] > greatest ? m.v[j] : greatest;
  }
  return greatest;
}

// Sums. The order in which n numbers are added depends on n alone, and all additions are in double:
//
//     block    4096 numbers, in 16 lanes:  lⱼ = ((xⱼ + x₁₆₊ⱼ) + x₃₂₊ⱼ) + …  from 0 on
//     lanes    lⱼ ← lⱼ + lⱼ₊₈ (j < 8),  lⱼ ← lⱼ + lⱼ₊₄ (j < 4),  then + lⱼ₊₂, + lⱼ₊₁:  the block's sum is l₀
//     tree     the blocks' sums in pairs, the pairs in pairs …: of R blocks the first 2ᵖ < R are one branch, with 2ᵖ
//              as large as possible, the rest the other

inline constexpr std::size_t sum_lanes = 16, sum_block = 256 * sum_lanes;

/// The blocks of K sums as they come: two branches of the same size become one.
template <std::size_t K>
class SumTree {
 public:
  void push(const std::array<double, K>& block) {
    branches_[height_++] = block;
    for (std::size_t n = ++blocks_; n % 2 == 0; n /= 2) join();
  }
  std::array<double, K> total() {
    if (height_ == 0) return {};
    while (height_ > 1) join();
    return branches_[0];
  }

 private:
  void join() {
    --height_;
    for (std::size_t k = 0; k < K; ++k) branches_[height_ - 1][k] += branches_[height_][k];
  }
  std::array<double, K> branches_[52];
  std::size_t height_ = 0, blocks_ = 0;
};

inline double sum_of_lanes(double* l) {
  for (std::size_t half = sum_lanes / 2; half > 0; half /= 2)
    for (std::size_t j = 0; j < half; ++j) l[j] += l[j + half];
  return l[0];
}

/// The same sum, of numbers that come one by one.
class RunningSum {
 public:
  void add(double x) {
    lanes_[count_ % sum_lanes] += x;
    if (++count_ == sum_block) close();
  }
  double total() {
    if (count_ > 0) close();
    return tree_.total()[0];
  }

 private:
  void close() {
    tree_.push({sum_of_lanes(lanes_)});
    for (double& l : lanes_) l = 0;
    count_ = 0;
  }
  double lanes_[sum_lanes] = {};
  std::size_t count_ = 0;
  SumTree<1> tree_;
};

/// K sums at once: Σ f(in[i]…)ₖ over i < n, where f gives std::array<Batch<T>, K>.
template <class T, std::size_t K, class F, class... In>
inline std::array<double, K> sums(std::size_t n, F f, In... in) {
  constexpr std::size_t w = Batch<T>::size, d = Batch<double>::size, vectors = sum_lanes / d;
  SumTree<K> tree;
  for (std::size_t first = 0; first < n; first += sum_block) {
    const std::size_t end = first + sum_block < n ? first + sum_block : n;
    Batch<double> lanes[K][vectors];
    for (auto& sum : lanes)
      for (auto& l : sum) l = Batch<double>(0);
    const auto add = [&](const std::array<Batch<T>, K>& terms, std::size_t part) {
      for (std::size_t k = 0; k < K; ++k) {
        if constexpr (std::is_same_v<T, double>) {
          lanes[k][part] += terms[k];
        } else {
          const auto both = doubles(terms[k]);
          lanes[k][2 * part] += both[0];
          lanes[k][2 * part + 1] += both[1];
        }
      }
    };
    std::size_t i = first;
    for (; i + sum_lanes <= end; i += sum_lanes)
      for (std::size_t part = 0; part < sum_lanes / w; ++part) add(f(load_at(in, i + part * w)...), part);
    for (std::size_t part = 0; i < end; ++part, i += w) {
      const std::size_t count = end - i < w ? end - i : w;
      std::array<Batch<T>, K> terms = f(load_part_at(in, i, count)...);
      for (Batch<T>& t : terms) {  // f(0) need not be 0
        T values[w] = {};
        t.store(values, count);
        t = load(values);
      }
      add(terms, part);
    }
    std::array<double, K> block;
    for (std::size_t k = 0; k < K; ++k)
      block[k] = fold(lanes[k], [](Batch<double> a, Batch<double> b) { return a + b; });
    if (n <= sum_block) return block;
    tree.push(block);
  }
  return tree.total();
}

/// Σ f(in[i]…) over i < n, with f on batches.
template <class T, class F, class... In>
inline double sum(std::size_t n, F f, In... in) {
  return sums<T, 1>(
      n, [=](auto... x) { return std::array<Batch<T>, 1>{f(x...)}; }, in...)[0];
}

}  // namespace handgrad::kernels::cpu
