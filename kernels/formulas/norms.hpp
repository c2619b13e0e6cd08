#pragma once
// Normalisation of n numbers x₁ … xₙ that belong together: a column of the batch in BatchNorm, a row in LayerNorm.
//
//     µ = (1/n) Σ xᵢ,  σ² = (1/n) Σ (xᵢ − µ)²,  s = 1/√(σ² + ε),  x̂ᵢ = (xᵢ − µ)·s,  yᵢ = γᵢ·x̂ᵢ + βᵢ
//
// Derivation of the gradient, for g = ∂L/∂x̂ = γ∘δ (in Ioffe and Szegedy 2015, section 3, in six steps; here the
// Jacobian is written out and contracted):
//     ∂µ/∂xⱼ  = 1/n
//     ∂σ²/∂xⱼ = (2/n) Σᵢ (xᵢ − µ)(δᵢⱼ − 1/n) = (2/n)(xⱼ − µ), since Σᵢ (xᵢ − µ) = 0
//     ∂s/∂xⱼ  = −½(σ² + ε)^(−3/2)·(2/n)(xⱼ − µ) = −(s²/n)·x̂ⱼ
//     ∂x̂ᵢ/∂xⱼ = (δᵢⱼ − 1/n)·s + (xᵢ − µ)·∂s/∂xⱼ = s·(δᵢⱼ − 1/n − x̂ᵢx̂ⱼ/n)
//     dxⱼ = Σᵢ gᵢ·∂x̂ᵢ/∂xⱼ = s·(gⱼ − mean(g) − x̂ⱼ·mean(g∘x̂))
// With statistics that do not depend on x (BatchNorm in evaluation), dxⱼ = s·gⱼ.
//
// Without a mean (Zhang and Sennrich 2019): r = 1/√(mean(x²) + ε), x̂ᵢ = xᵢ·r. Then ∂r/∂xⱼ = −½r³·(2/n)xⱼ = −(r²/n)·x̂ⱼ,
// ∂x̂ᵢ/∂xⱼ = δᵢⱼ·r + xᵢ·∂r/∂xⱼ = r·(δᵢⱼ − x̂ᵢx̂ⱼ/n), and dxⱼ = r·(gⱼ − x̂ⱼ·mean(g∘x̂)): as above, without mean(g).
#include "kernels/formulas/math.hpp"

namespace handgrad::formulas {

// If the mean is far greater than σ, its rounding error is not small compared with σ, nor is that of a long sum. So
// sums run twice: with m the mean from the first sum and dᵢ = xᵢ − m, which is exact for xᵢ near m,
//
//     µ = m + (1/n) Σ dᵢ,   σ² = (1/n) (Σ dᵢ² − (Σ dᵢ)²/n)                 (Chan, Golub and LeVeque 1983)
//
// and µ is kept as two numbers, `mean` and its rounding error `rest`.

/// x̂ = (x − µ)·s
template <class V>
HANDGRAD_HOST_DEVICE inline V standardized(V x, V mean, V rest, V s) {
  return ((x - mean) - rest) * s;
}

/// y = γ·x̂ + β, where `scale` = s·γ.
template <class V>
HANDGRAD_HOST_DEVICE inline V normalized(V x, V mean, V rest, V scale, V beta) {
  return standardized(x, mean, rest, scale) + beta;
}

/// dx = scale·(g − mean(g) − x̂·mean(g∘x̂))
template <class V>
HANDGRAD_HOST_DEVICE inline V normalized_gradient(V g, V x_hat, V mean_g, V mean_gx, V scale) {
  return scale * (g - mean_g - x_hat * mean_gx);
}

}  // namespace handgrad::formulas
