#pragma once
// Columns of a row-major matrix as vectors, for the products: `quad` columns of `size` rows, by SIMD transposes.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels::cpu {

/// quad: columns read at once. rows: rows that a product's tile holds in registers.
template <class T>
struct Tiling {
  static constexpr std::size_t size = Batch<T>::size;
#if defined(__AVX512F__)
  static constexpr std::size_t quad = 16 / sizeof(T), rows = 12;
#elif defined(__AVX2__) && defined(__FMA__)
  static constexpr std::size_t quad = 16 / sizeof(T), rows = 6;
#else
  static constexpr std::size_t quad = size, rows = 4;
#endif
};

#if defined(__AVX512F__)

inline __m512 row_quads(const float* p, std::size_t step) {
  __m512 z = _mm512_castps128_ps512(_mm_loadu_ps(p));
  z = _mm512_insertf32x4(z, _mm_loadu_ps(p + 4 * step), 1);
  z = _mm512_insertf32x4(z, _mm_loadu_ps(p + 8 * step), 2);
  return _mm512_insertf32x4(z, _mm_loadu_ps(p + 12 * step), 3);
}
inline void columns(const float* p, std::size_t step, Batch<float>* c) {
  const __m512 z0 = row_quads(p, step), z1 = row_quads(p + step, step), z2 = row_quads(p + 2 * step, step),
               z3 = row_quads(p + 3 * step, step);
  const __m512d t0 = _mm512_castps_pd(_mm512_unpacklo_ps(z0, z1)), t1 = _mm512_castps_pd(_mm512_unpackhi_ps(z0, z1)),
                t2 = _mm512_castps_pd(_mm512_unpacklo_ps(z2, z3)), t3 = _mm512_castps_pd(_mm512_unpackhi_ps(z2, z3));
  c[0].v = _mm512_castpd_ps(_mm512_unpacklo_pd(t0, t2));
  c[1].v = _mm512_castpd_ps(_mm512_unpackhi_pd(t0, t2));
  c[2].v = _mm512_castpd_ps(_mm512_unpacklo_pd(t1, t3));
  c[3].v = _mm512_castpd_ps(_mm512_unpackhi_pd(t1, t3));
}
/// c[j] = column j of 16 columns, of n ≤ 16 rows (instead of those that do not exist the last is taken). All of a row's
/// columns at once, since rows that are a multiple of 4 KB apart displace each other from the nearest cache.
inline void square(const float* p, std::size_t step, std::size_t n, Batch<float>* c) {
  __m512 r[16], t[16];
  for (std::size_t i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(p + (i < n ? i : n - 1) * step);
  for (std::size_t i = 0; i < 16; i += 4) {  // 4×4 in each quarter
    const __m512d low0 = _mm512_castps_pd(_mm512_unpacklo_ps(r[i], r[i + 1])),
                  high0 = _mm512_castps_pd(_mm512_unpackhi_ps(r[i], r[i + 1])),
                  low1 = _mm512_castps_pd(_mm512_unpacklo_ps(r[i + 2], r[i + 3])),
                  high1 = _mm512_castps_pd(_mm512_unpackhi_ps(r[i + 2], r[i + 3]));
    t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(low0, low1));
    t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low0, low1));
    t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high0, high1));
    t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high0, high1));
  }
  for (std::size_t j = 0; j < 4; ++j) {  // the quarters
    const __m512 low0 = _mm512_shuffle_f32x4(t[j], t[j + 4], 0x88), high0 = _mm512_shuffle_f32x4(t[j], t[j + 4], 0xdd),
                 low1 = _mm512_shuffle_f32x4(t[j + 8], t[j + 12], 0x88),
                 high1 = _mm512_shuffle_f32x4(t[j + 8], t[j + 12], 0xdd);
    c[j].v = _mm512_shuffle_f32x4(low0, low1, 0x88);
    c[j + 4].v = _mm512_shuffle_f32x4(high0, high1, 0x88);
    c[j + 8].v = _mm512_shuffle_f32x4(low0, low1, 0xdd);
    c[j + 12].v = _mm512_shuffle_f32x4(high0, high1, 0xdd);
  }
}
inline __m512d row_pairs(const double* p, std::size_t step) {
  const auto half = [=](const double* q) {
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(q)), _mm_loadu_pd(q + 2 * step), 1);
  };
  return _mm512_insertf64x4(_mm512_castpd256_pd512(half(p)), half(p + 4 * step), 1);
}
inline void columns(const double* p, std::size_t step, Batch<double>* c) {
  const __m512d z0 = row_pairs(p, step), z1 = row_pairs(p + step, step);
  c[0].v = _mm512_unpacklo_pd(z0, z1);
  c[1].v = _mm512_unpackhi_pd(z0, z1);
}

#elif defined(__AVX2__) && defined(__FMA__)

inline __m256 row_quads(const float* p, std::size_t step) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * step), 1);
}
inline void columns(const float* p, std::size_t step, Batch<float>* c) {
  const __m256 z0 = row_quads(p, step), z1 = row_quads(p + step, step), z2 = row_quads(p + 2 * step, step),
               z3 = row_quads(p + 3 * step, step);
  const __m256d t0 = _mm256_castps_pd(_mm256_unpacklo_ps(z0, z1)), t1 = _mm256_castps_pd(_mm256_unpackhi_ps(z0, z1)),
                t2 = _mm256_castps_pd(_mm256_unpacklo_ps(z2, z3)), t3 = _mm256_castps_pd(_mm256_unpackhi_ps(z2, z3));
  c[0].v = _mm256_castpd_ps(_mm256_unpacklo_pd(t0, t2));
  c[1].v = _mm256_castpd_ps(_mm256_unpackhi_pd(t0, t2));
  c[2].v = _mm256_castpd_ps(_mm256_unpacklo_pd(t1, t3));
  c[3].v = _mm256_castpd_ps(_mm256_unpackhi_pd(t1, t3));
}
inline __m256d row_pairs(const double* p, std::size_t step) {
  return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(p + 2 * step), 1);
}
inline void columns(const double* p, std::size_t step, Batch<double>* c) {
  const __m256d z0 = row_pairs(p, step), z1 = row_pairs(p + step, step);
  c[0].v = _mm256_unpacklo_pd(z0, z1);
  c[1].v = _mm256_unpackhi_pd(z0, z1);
}

#else

template <class T>
inline void columns(const T* p, std::size_t step, Batch<T>* c) {
  for (std::size_t j = 0; j < Tiling<T>::quad; ++j)
    for (std::size_t i = 0; i < Batch<T>::size; ++i) c[j].v[i] = p[i * step + j];
}

#endif

/// c[j] = column j of the `size` rows from p on, `step` apart, of which the first n exist (the others give 0); `count`
/// ≤ quad columns.
template <class T>
inline void load_columns(const T* p, std::size_t step, std::size_t n, std::size_t count, Batch<T>* c) {
  constexpr std::size_t size = Batch<T>::size, quad = Tiling<T>::quad;
  if (n >= size && count == quad) return columns(p, step, c);
  T padded[size][quad] = {};
  if (count == quad)
    for (std::size_t i = 0; i < n; ++i) std::memcpy(padded[i], p + i * step, sizeof padded[i]);
  else
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < count; ++j) padded[i][j] = p[i * step + j];
  columns(padded[0], quad, c);
}

/// store(l, column l) for the columns l < count of n ≤ size rows, which lie `step` apart; `there` ≥ n rows may be read.
template <class T, class Store>
inline void each_column(const T* p, std::size_t step, [[maybe_unused]] std::size_t n, std::size_t there,
                        std::size_t count, Store store) {
  constexpr std::size_t quad = Tiling<T>::quad;
  std::size_t l = 0;
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    for (Batch<T> c[16]; l + 16 <= count; l += 16) {
      square(p + l, step, n, c);
      for (std::size_t q = 0; q < 16; ++q) store(l + q, c[q]);
    }
#endif
  for (Batch<T> c[quad]; l < count; l += quad) {
    const std::size_t some = std::min(quad, count - l);
    load_columns(p + l, step, std::min(there, Batch<T>::size), some, c);
    for (std::size_t q = 0; q < some; ++q) store(l + q, c[q]);
  }
}

}  // namespace handgrad::kernels::cpu
