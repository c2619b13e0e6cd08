#pragma once
// x·op(W) for a few rows of x at a time and always the same W, which is packed once, where gemm would pack it each
// time; x is read where it is. The bits are gemm's.
#include <algorithm>
#include <cstddef>

#include "kernels/cpu/product.hpp"
#include "kernels/cpu/product_kernel.hpp"

namespace handgrad::kernels::cpu {
namespace {

template <class T>
class PackedFactor {
  using V = Batch<T>;
  static constexpr std::size_t w = V::size;

 public:
  /// Room for W.
  static std::size_t room(std::size_t n, std::size_t k) { return (n + 2 * w - 1) / (2 * w) * (2 * w) * k; }

  /// op(W) is k×n.
  PackedFactor(bool transposed, std::size_t n, std::size_t k, const T* W, T* room)
      : transposed_(transposed),
        packs_(k <= chunk_terms && product_engine() == ProductEngine::own),
        n_(n),
        k_(k),
        W_(W),
        packed_(room) {
    if (packs_) parallel((n + 2 * w - 1) / (2 * w), [this](std::size_t panel) { pack(panel * 2 * w); });
  }

  /// y (rows×n) = x·op(W)
  void operator()(std::size_t rows, const T* x, T* y) const {
    if (!packs_) return gemm(false, transposed_, rows, n_, k_, x, W_, T(0), y);
    const std::size_t panels = (rows + Tiling<T>::rows - 1) / Tiling<T>::rows;
    for (std::size_t l = 0; l < k_; l += block_terms) {
      const std::size_t terms = std::min(block_terms, k_ - l);
      const T* block = packed_ + l * padded();
      for (std::size_t j = 0; j < n_; j += 2 * w) {
        const std::size_t width = std::min(2 * w, n_ - j), vectors = (width + w - 1) / w;
        for (std::size_t panel = 0; panel < panels; ++panel) {
          const std::size_t i = rows * panel / panels, height = rows * (panel + 1) / panels - i;
          tiles<T, From::rows>[vectors - 1][height - 1](terms, x + i * k_ + l, k_, block + j * terms, vectors * w,
                                                        y + i * n_ + j, n_, width - (vectors - 1) * w, l > 0);
        }
      }
    }
  }

 private:
  std::size_t padded() const { return (n_ + 2 * w - 1) / (2 * w) * (2 * w); }

  // Columns j … j+2w of op(W): row by row, in blocks of terms, padded with zeros to whole vectors.
  void pack(std::size_t j) {
    const std::size_t width = std::min(2 * w, n_ - j), vectors = (width + w - 1) / w, step = vectors * w;
    for (std::size_t l = 0; l < k_; l += block_terms) {
      const std::size_t terms = std::min(block_terms, k_ - l);
      T* to = packed_ + l * padded() + j * terms;
      for (std::size_t v = 0; v < vectors; ++v) {
        const std::size_t there = std::min(w, width - v * w);
        if (!transposed_) {
          for (std::size_t t = 0; t < terms; ++t)
            V::load(W_ + (l + t) * n_ + j + v * w, there).store(to + t * step + v * w);
          continue;
        }
        for (std::size_t t = 0; t < terms; t += Tiling<T>::quad) {
          V c[Tiling<T>::quad];
          const std::size_t count = std::min(Tiling<T>::quad, terms - t);
          load_columns(W_ + (j + v * w) * k_ + l + t, k_, there, count, c);
          for (std::size_t q = 0; q < count; ++q) c[q].store(to + (t + q) * step + v * w);
        }
      }
    }
  }

  bool transposed_, packs_;
  std::size_t n_, k_;
  const T* W_;
  T* packed_;
};

}  // namespace
}  // namespace handgrad::kernels::cpu
