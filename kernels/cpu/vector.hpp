#pragma once
// Vectors of T as wide as the instruction set that this is compiled for, and the few operations that the products and
// sums need. Every operation is one IEEE operation per lane, so a lane's bits do not depend on the width; fma is
// rounded once everywhere, also where the processor has no instruction for it.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#endif

#if defined(__clang__)
#define HANDGRAD_UNROLL _Pragma("clang loop unroll(full)")
#else
#define HANDGRAD_UNROLL _Pragma("GCC unroll 32")
#endif

namespace handgrad::kernels::cpu {

// What is in here is compiled once for each instruction set: nothing of it may be shared between them by the linker.
namespace {

/// a·b + c, rounded once.
inline double fused(double a, double b, double c) { return std::fma(a, b, c); }

inline float fused(float a, float b, float c) {
#if defined(__FMA__) || defined(__aarch64__)
  return std::fma(a, b, c);
#else
  // In double the product is exact and the sum s is not; its last bit is set where digits were lost (rounding to odd):
  // then rounding s to float is rounding the exact sum, because double has more than two bits to spare.
  const double p = double{a} * double{b}, q = double{c}, s = p + q;
  const double q_part = s - p, lost = (p - (s - q_part)) + (q - q_part);
  std::int64_t bits;
  std::memcpy(&bits, &s, sizeof bits);
  if ((lost > 0 || lost < 0) && (bits & 1) == 0) bits += (lost > 0) == (s > 0) ? 1 : -1;
  double odd;
  std::memcpy(&odd, &bits, sizeof odd);
  return static_cast<float>(odd);
#endif
}

/// `width` numbers T. quad: how many columns `columns` reads. rows: how many rows a product's tile has in registers.
template <class T>
struct Vector;

#if defined(__AVX512F__)

template <>
struct Vector<float> {
  static constexpr std::size_t width = 16, quad = 4, rows = 12;
  __m512 v;
  static __mmask16 first(std::size_t n) { return static_cast<__mmask16>((1u << n) - 1); }
  static Vector all(float x) { return {_mm512_set1_ps(x)}; }
  static Vector load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vector load(const float* p, std::size_t n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(float* p, std::size_t n) const { _mm512_mask_storeu_ps(p, first(n), v); }
  friend Vector operator+(Vector a, Vector b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend Vector fused(Vector a, Vector b, Vector c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static __m512 row_quads(const float* p, std::size_t step) {
    __m512 z = _mm512_castps128_ps512(_mm_loadu_ps(p));
    z = _mm512_insertf32x4(z, _mm_loadu_ps(p + 4 * step), 1);
    z = _mm512_insertf32x4(z, _mm_loadu_ps(p + 8 * step), 2);
    return _mm512_insertf32x4(z, _mm_loadu_ps(p + 12 * step), 3);
  }
  static void columns(const float* p, std::size_t step, Vector* c) {
    const __m512 z0 = row_quads(p, step), z1 = row_quads(p + step, step), z2 = row_quads(p + 2 * step, step),
                 z3 = row_quads(p + 3 * step, step);
    const __m512d t0 = _mm512_castps_pd(_mm512_unpacklo_ps(z0, z1)), t1 = _mm512_castps_pd(_mm512_unpackhi_ps(z0, z1)),
                  t2 = _mm512_castps_pd(_mm512_unpacklo_ps(z2, z3)), t3 = _mm512_castps_pd(_mm512_unpackhi_ps(z2, z3));
    c[0].v = _mm512_castpd_ps(_mm512_unpacklo_pd(t0, t2));
    c[1].v = _mm512_castpd_ps(_mm512_unpackhi_pd(t0, t2));
    c[2].v = _mm512_castpd_ps(_mm512_unpacklo_pd(t1, t3));
    c[3].v = _mm512_castpd_ps(_mm512_unpackhi_pd(t1, t3));
  }
};

template <>
struct Vector<double> {
  static constexpr std::size_t width = 8, quad = 2, rows = 12;
  __m512d v;
  static __mmask8 first(std::size_t n) { return static_cast<__mmask8>((1u << n) - 1); }
  static Vector all(double x) { return {_mm512_set1_pd(x)}; }
  static Vector load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static Vector load(const double* p, std::size_t n) { return {_mm512_maskz_loadu_pd(first(n), p)}; }
  void store(double* p) const { _mm512_storeu_pd(p, v); }
  void store(double* p, std::size_t n) const { _mm512_mask_storeu_pd(p, first(n), v); }
  friend Vector operator+(Vector a, Vector b) { return {_mm512_add_pd(a.v, b.v)}; }
  friend Vector fused(Vector a, Vector b, Vector c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
  static __m512d row_pairs(const double* p, std::size_t step) {
    const auto half = [=](const double* q) {
      return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(q)), _mm_loadu_pd(q + 2 * step), 1);
    };
    return _mm512_insertf64x4(_mm512_castpd256_pd512(half(p)), half(p + 4 * step), 1);
  }
  static void columns(const double* p, std::size_t step, Vector* c) {
    const __m512d z0 = row_pairs(p, step), z1 = row_pairs(p + step, step);
    c[0].v = _mm512_unpacklo_pd(z0, z1);
    c[1].v = _mm512_unpackhi_pd(z0, z1);
  }
};

#elif defined(__AVX2__) && defined(__FMA__)

template <>
struct Vector<float> {
  static constexpr std::size_t width = 8, quad = 4, rows = 6;
  __m256 v;
  static __m256i first(std::size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Vector all(float x) { return {_mm256_set1_ps(x)}; }
  static Vector load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vector load(const float* p, std::size_t n) { return {_mm256_maskload_ps(p, first(n))}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(float* p, std::size_t n) const { _mm256_maskstore_ps(p, first(n), v); }
  friend Vector operator+(Vector a, Vector b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend Vector fused(Vector a, Vector b, Vector c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  static __m256 row_quads(const float* p, std::size_t step) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * step), 1);
  }
  static void columns(const float* p, std::size_t step, Vector* c) {
    const __m256 z0 = row_quads(p, step), z1 = row_quads(p + step, step), z2 = row_quads(p + 2 * step, step),
                 z3 = row_quads(p + 3 * step, step);
    const __m256d t0 = _mm256_castps_pd(_mm256_unpacklo_ps(z0, z1)), t1 = _mm256_castps_pd(_mm256_unpackhi_ps(z0, z1)),
                  t2 = _mm256_castps_pd(_mm256_unpacklo_ps(z2, z3)), t3 = _mm256_castps_pd(_mm256_unpackhi_ps(z2, z3));
    c[0].v = _mm256_castpd_ps(_mm256_unpacklo_pd(t0, t2));
    c[1].v = _mm256_castpd_ps(_mm256_unpackhi_pd(t0, t2));
    c[2].v = _mm256_castpd_ps(_mm256_unpacklo_pd(t1, t3));
    c[3].v = _mm256_castpd_ps(_mm256_unpackhi_pd(t1, t3));
  }
};

template <>
struct Vector<double> {
  static constexpr std::size_t width = 4, quad = 2, rows = 6;
  __m256d v;
  static __m256i first(std::size_t n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(n)), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static Vector all(double x) { return {_mm256_set1_pd(x)}; }
  static Vector load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static Vector load(const double* p, std::size_t n) { return {_mm256_maskload_pd(p, first(n))}; }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
  void store(double* p, std::size_t n) const { _mm256_maskstore_pd(p, first(n), v); }
  friend Vector operator+(Vector a, Vector b) { return {_mm256_add_pd(a.v, b.v)}; }
  friend Vector fused(Vector a, Vector b, Vector c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
  static __m256d row_pairs(const double* p, std::size_t step) {
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(p + 2 * step), 1);
  }
  static void columns(const double* p, std::size_t step, Vector* c) {
    const __m256d z0 = row_pairs(p, step), z1 = row_pairs(p + step, step);
    c[0].v = _mm256_unpacklo_pd(z0, z1);
    c[1].v = _mm256_unpackhi_pd(z0, z1);
  }
};

#else  // any other: plain numbers, of which the compiler makes vectors where it can

template <class T>
struct Vector {
  static constexpr std::size_t width = 16 / sizeof(T), quad = width, rows = 4;
  T v[width];
  static Vector all(T x) {
    Vector r;
    for (T& e : r.v) e = x;
    return r;
  }
  static Vector load(const T* p) {
    Vector r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  static Vector load(const T* p, std::size_t n) {
    Vector r = all(0);
    std::memcpy(r.v, p, n * sizeof(T));
    return r;
  }
  void store(T* p) const { std::memcpy(p, v, sizeof v); }
  void store(T* p, std::size_t n) const { std::memcpy(p, v, n * sizeof(T)); }
  friend Vector operator+(Vector a, Vector b) {
    for (std::size_t i = 0; i < width; ++i) a.v[i] += b.v[i];
    return a;
  }
  friend Vector fused(Vector a, Vector b, Vector c) {
    using cpu::fused;
    for (std::size_t i = 0; i < width; ++i) c.v[i] = fused(a.v[i], b.v[i], c.v[i]);
    return c;
  }
  static void columns(const T* p, std::size_t step, Vector* c) {
    for (std::size_t j = 0; j < quad; ++j)
      for (std::size_t i = 0; i < width; ++i) c[j].v[i] = p[i * step + j];
  }
};

#endif

/// c[j] = column j of the `width` rows that begin at p, `step` apart: the first n of them exist (the others give 0),
/// and `count` columns ≤ quad.
template <class T>
inline void load_columns(const T* p, std::size_t step, std::size_t n, std::size_t count, Vector<T>* c) {
  using V = Vector<T>;
  if (n >= V::width && count == V::quad) return V::columns(p, step, c);
  T padded[V::width][V::quad] = {};
  if (count == V::quad)
    for (std::size_t i = 0; i < n; ++i) std::memcpy(padded[i], p + i * step, sizeof padded[i]);
  else
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < count; ++j) padded[i][j] = p[i * step + j];
  V::columns(padded[0], V::quad, c);
}

}  // namespace

}  // namespace handgrad::kernels::cpu
