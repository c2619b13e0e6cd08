#pragma once
// Random words as a function of their position: every device computes the same words, in any order.
#include <cstdint>

#include "kernels/formulas/math.hpp"

namespace handgrad::formulas {

struct Words {
  std::uint32_t word[4];
};

/// Philox4x32 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): a bijection on 128
/// bits for each 64-bit key. Seven rounds are the fewest that pass all of BigCrush there (table 2). In each round, with
/// (hi, lo) the halves of a 64-bit product:
///     (c₀, c₁, c₂, c₃) ← (hi(M₁c₂) ⊕ c₁ ⊕ k₀,  lo(M₁c₂),  hi(M₀c₀) ⊕ c₃ ⊕ k₁,  lo(M₀c₀))
///     (k₀, k₁) ← (k₀ + W₀, k₁ + W₁)
template <int rounds = 7>
HANDGRAD_HOST_DEVICE inline Words philox(Words c, std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c.word[0], p1 = std::uint64_t{0xCD9E8D57} * c.word[2];
    c = {{static_cast<std::uint32_t>(p1 >> 32) ^ c.word[1] ^ k0, static_cast<std::uint32_t>(p1),
          static_cast<std::uint32_t>(p0 >> 32) ^ c.word[3] ^ k1, static_cast<std::uint32_t>(p0)}};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

/// Inverted dropout: y = m∘x/(1−p), mᵢ = 0 with probability p, else 1. The expectation of y is x, so that evaluation
/// needs no scaling. The derivative is the same product: dx = m∘δ/(1−p).
///
/// The mask depends only on the seed, the layer's stream, its step and the element's index i: element i is dropped if
/// word i mod 4 of philox(counter ⌊i/4⌋, step, stream; key: seed) is below p·2³². `step` is stored as a double, exact
/// up to 2⁵³; its lowest 32 bits are used.
struct Dropout {
  double p = 0.5;
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;

  /// For p < 1; all elements are dropped for p = 1.
  HANDGRAD_HOST_DEVICE std::uint32_t threshold() const { return static_cast<std::uint32_t>(p * 4294967296.0); }
  HANDGRAD_HOST_DEVICE double scale() const { return p < 1 ? 1 / (1 - p) : 0; }
  /// The words of elements 4·block to 4·block + 3.
  HANDGRAD_HOST_DEVICE Words words(std::uint64_t block, std::uint32_t step) const {
    return philox({{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), step, stream}},
                  static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
  }
};

}  // namespace handgrad::formulas
