#pragma once
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

struct MuonOptions {
  double lr = 1e-3;
  double weight_decay = 0.1;
  double momentum = 0.95;
  bool nesterov = true;
  std::array<double, 3> ns_coefficients = {3.4445, -4.7750, 2.0315};
  double eps = 1e-7;
  int ns_steps = 5;
  /// r for a matrix (A×B): Original √max(1, A/B); MatchRmsAdamW 0.2·√max(A, B), which makes steps as large as AdamW's,
  /// so that its rate fits.
  enum class AdjustLr { Original, MatchRmsAdamW } adjust_lr_fn = AdjustLr::Original;
};

/// Muon (Jordan et al. 2024), as torch.optim.Muon: momentum, made nearly orthogonal. For each matrix w (A×B) with
/// gradient g
///     m ← µ·m + (1−µ)·g                      from 0
///     u = µ·m + (1−µ)·g with nesterov, else m
///     o = NS(u), near the orthogonal matrix U·Vᵀ of u = U·Σ·Vᵀ
///     w ← w − η·λ·w − η·r·o                  r by adjust_lr_fn
///
/// NS, the Newton-Schulz iteration, needs only products: X ← u/‖u‖, then ns_steps times, for A ≤ B,
///     G = X·Xᵀ,   X ← a·X + (b·G + c·G²)·X   (for A > B, with G = Xᵀ·X on the right)
/// With X = U·S·Vᵀ this is X ← U·(a·S + b·S³ + c·S⁵)·Vᵀ: the polynomial acts on each singular value separately, and
/// with these coefficients quickly takes any in (0, 1] to between 0.7 and 1.2, though not to 1. PyTorch computes NS in
/// bfloat16, here it is in T, so the two agree to bfloat16's two to three digits.
///
/// It is meant for the matrices inside a network; biases, norms and usually the last layer go to AdamW. Throws
/// ValueError for a parameter that is not a matrix, for a negative rate, and for a momentum outside [0, 1).
template <class T = float>
class Muon : public GroupOptimizer<T, MuonOptions> {
 public:
  explicit Muon(std::vector<Parameter<T>> parameters, MuonOptions options = {})
      : Muon(std::vector<ParameterGroup<T, MuonOptions>>{{std::move(parameters), options}}) {}
  explicit Muon(std::vector<ParameterGroup<T, MuonOptions>> groups);
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  formulas::UpdateRule rule(std::size_t group, std::int64_t step) const override;
  std::vector<std::string> state_names(std::size_t group) const override;
  const Tensor<T>& direction(std::size_t i) override;

 private:
  struct Buffers {
    Tensor<T> x, next, gram, polynomial, norm;
  };
  std::vector<Buffers> buffers_;  // one per parameter
};

}  // namespace handgrad
