#include <tuple>

#include "handgrad/check/attention.hpp"
#include "handgrad/check/cell.hpp"
#include "handgrad/check/failure.hpp"
#include "handgrad/check/sequence.hpp"

namespace handgrad::detail {

namespace {

/// The mistakes learners make, each with its repair.
class Catalogue : Failure {
 public:
  using Failure::Failure;

  Diagnosis operator()() {
    chain_ = recognise(step_);
    for (const KnownMistake& mistake : t_.mistakes)  // first: its words know more than ours
      if (equal(Grid(mistake.gradient), a_)) find(mistake.cause, mistake.what, mistake.evidence, mistake.where);
    constants();
    transposition();
    unsummed();
    model();
    upstream();
    dropout();
    pairing();
    extra_derivative();
    logits();
    weight_decay();
    skip_connection();
    repeated_indices();
    norms();
    earlier_batch();
    sequences();
    windows();
    attention();
    if (findings_.empty()) sign_and_more();
    if (findings_.empty()) bounds();
    if (findings_.empty()) sign_of_a_line();
    return choose();
  }

 private:
  void constants() {
    const double N = static_cast<double>(step_.batch), M = static_cast<double>(step_.x.numel());
    const bool is_loss = step_.target.defined();
    const std::string loss_place = is_loss ? "the loss is a mean, so its gradient carries the same 1/N"
                                           : "who divides by N: the loss alone; everything below sums";
    scaled(-1, Cause::Sign, "the sign of the " + subject_ + " is wrong", "the order of a difference, p − t");
    scaled(2, Cause::Factor, "the " + subject_ + " is twice what it should be",
           "a factor 2 too much, or a ½ forgotten");
    scaled(0.5, Cause::Factor, "the " + subject_ + " is half of what it should be",
           "(u²)′ = 2u·u′: a 2 was lost, or a ½ is too much");
    std::vector<std::pair<double, std::string>> counts{{N, "rows of the batch"}};
    if (is_loss && M != N) counts.push_back({M, "elements"}), counts.push_back({M / N, "columns"});
    for (const auto& [count, of] : counts) {
      if (count < 2) continue;
      const std::string number = formatted("%.0f, the number of ", count) + of;
      scaled(count, Cause::NotAveraged, "the " + subject_ + " is not averaged: it is too large by " + number,
             loss_place);
      if (is_bias() && !others_too(1 / count))
        scaled(1 / count, Cause::BiasAveraged, "the " + subject_ + " is averaged over the batch, the weight's is not",
               "db = Σₙ δₙ: a sum; δ has its 1/N from the loss already");
      else
        scaled(1 / count, Cause::AveragedTwice,
               "the " + subject_ + " is divided once too often, by " + number +
                   (is_loss ? "" : "; the loss has done that"),
               "divide by N in one place, the loss");
    }
  }

  /// Two mistakes at once, one of them the sign.
  void sign_and_more() {
    const double N = static_cast<double>(step_.batch), M = static_cast<double>(step_.x.numel());
    const std::string sign = "the sign of the " + subject_ + " is wrong, and it is ";
    const std::string where = "one after the other: the sign first, p − t, then the constant";
    scaled(-2, Cause::Sign, sign + "twice what it should be", where);
    scaled(-0.5, Cause::Sign, sign + "half of what it should be", where);
    std::vector<std::pair<double, std::string>> counts{{N, "rows of the batch"}};
    if (step_.target.defined() && M != N) counts.push_back({M, "elements"}), counts.push_back({M / N, "columns"});
    for (const auto& [count, of] : counts) {
      if (count < 3) continue;
      const std::string number = formatted("%.0f, the number of ", count) + of;
      scaled(-count, Cause::Sign, sign + "not averaged: too large by " + number, where);
      scaled(-1 / count, Cause::Sign, sign + "divided once too often, by " + number, where);
    }
  }

  // Which entries differ ----------------------------------------------------------------------------------------------

  bool differs(std::size_t i) const {
    const double a = a_.elements[i], n = n_.elements[i];
    return !std::isnan(n) && std::abs(a - n) > std::max(tolerance_ * (std::abs(a) + std::abs(n)), 1e-9 * largest(n_));
  }
  /// "row 0", if exactly one row or column differs (not counting entries that are 0 anyway).
  std::string one_line(const std::vector<std::size_t>& which) const {
    const bool flat = n_.rows == 1;
    const auto all_in = [&](bool row) {
      const std::size_t line = row ? which[0] / n_.columns : which[0] % n_.columns;
      for (std::size_t i = 0; i < n_.elements.size(); ++i) {
        const bool in = (row ? i / n_.columns : i % n_.columns) == line;
        if (in != differs(i) && !(in && std::abs(n_.elements[i]) <= 1e-9 * largest(n_))) return std::string();
      }
      return (flat ? "entry " : row ? "row " : "column ") + std::to_string(line);
    };
    if (which.empty()) return "";
    if (!flat)
      if (std::string row = all_in(true); !row.empty()) return row;
    return all_in(false);
  }
  std::vector<std::size_t> differing() const {
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < n_.elements.size() && i < a_.elements.size(); ++i)
      if (differs(i)) which.push_back(i);
    return which;
  }
  std::string count_of(const std::vector<std::size_t>& which) const {
    const std::string line = one_line(which);
    return formatted("%zu of %zu entries differ, the rest agree", which.size(), n_.elements.size()) +
           (line.empty() ? "" : "; those of " + line);
  }

  /// Zeros in one row or column, the rest right: a loop that starts at 1 or ends too early.
  void bounds() {
    const std::vector<std::size_t> which = differing();
    if (n_.elements.size() < 3 || which.size() == n_.elements.size() || one_line(which).empty()) return;
    for (std::size_t i : which)
      if (a_.elements[i] != 0) return;
    find(Cause::NotWritten, "the " + subject_ + " is never written in " + one_line(which) + ": it holds zeros there",
         count_of(which), "the bounds of the loops: from 0, and below the size");
  }
  /// The opposite sign in one row or column, the rest right: each is written by a line of its own.
  void sign_of_a_line() {
    const std::vector<std::size_t> which = differing();
    const std::string line = one_line(which);
    if (n_.elements.size() < 3 || which.size() == n_.elements.size() || line.empty()) return;
    Grid turned = a_;
    for (std::size_t i : which) turned.elements[i] *= -1;
    if (error(turned))
      find(Cause::Sign, "the sign of the " + subject_ + " is wrong in " + line,
           count_of(which) + "; changing the sign there gives " + error_text(turned), "the code that writes " + line);
  }
  /// A sum over examples or neurons lacks its first or last term.
  void left_out(const Stage& stage, Role role, const Grid& g) {
    const bool columns = role == Role::Input;
    if ((columns && !stage.dense()) || g.rows < 2 || g.columns < (columns ? 2u : 1u)) return;
    const std::size_t size = columns ? g.columns : g.rows;
    for (const std::size_t out : {std::size_t{0}, size - 1}) {
      Grid less = g;
      for (std::size_t i = 0; i < g.rows; ++i)
        for (std::size_t j = 0; j < g.columns; ++j)
          if ((columns ? j : i) == out) less(i, j) = 0;
      const Grid wrong = assemble(stage, role, less), right = assemble(stage, role, g);
      if (!equal(wrong, right) && equal(wrong, a_))
        find(Cause::TermMissing,
             formatted("the sum of the %s leaves out %s %zu", subject_.c_str(), columns ? "neuron" : "example", out),
             "without that term one gets exactly your " + subject_ + "; with it, " + error_text(right),
             std::string("the bounds of the loop over ") + (columns ? "o" : "n") + ": from 0, and below the size");
    }
  }

  void transposition() {
    if (a_.rows < 2 || a_.columns < 2) return;
    Grid t(a_.rows, a_.columns);  // the elements as those of the transpose
    for (std::size_t i = 0; i < a_.rows; ++i)
      for (std::size_t j = 0; j < a_.columns; ++j) t(i, j) = a_.elements[j * a_.rows + i];
    consider(t, Cause::Transposed, "the " + subject_ + " is transposed", "taking its transpose gives",
             "the order of the product: dW = δᵀ·x (out×in)");
  }

  /// Bias gradients of shape (N × out) are caught by their shape; here it is a single row of δ.
  void unsummed() {
    if (!step_.dy.defined() || step_.batch < 2) return;
    unsummed(Grid(step_.dy));
  }
  void unsummed(const Grid& delta) {
    const Grid g = rows_like(delta);
    if (g.columns != n_.elements.size() || g.rows < 2) return;
    const Grid sum = column_sums(g);
    if (!error(sum)) return;
    double total = 0;
    for (double s : sum.elements) total += s;
    for (const auto& [count, what] :
         {std::pair(static_cast<double>(g.rows * g.columns), "the mean"),
          std::pair(static_cast<double>(g.rows), "the sum of all over N"),
          std::pair(static_cast<double>(g.columns), "the sum of all over the neurons"), std::pair(1.0, "the sum")})
      if (Grid same(1, g.columns); g.columns > 1) {
        std::fill(same.elements.begin(), same.elements.end(), total / count);
        if (equal(same, a_))
          find(Cause::BiasAveraged, "the " + subject_ + " is taken over all of δ: every neuron gets the same",
               std::string("it is ") + what + " of δ; the sums of its columns have " + error_text(sum),
               "dbₒ = Σₙ δₙₒ: over the examples n alone, for each neuron o");
      }
    for (std::size_t i = 0; i < g.rows; ++i) {
      Grid row(1, g.columns);
      for (std::size_t j = 0; j < g.columns; ++j) row(0, j) = g(i, j);
      if (equal(row, a_))
        find(Cause::BiasNotSummed, "the " + subject_ + " is not summed over the batch",
             formatted("it is row %zu of δ alone; the sum of all %zu rows has ", i, g.rows) + error_text(sum),
             "db = Σₙ δₙ: += in the loop over n");
    }
  }

  void model() {
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      const Stage& stage = chain_[i];
      const auto role = role_in(stage, i);
      if (!role) continue;
      const Grid g = stage.function->backward(stage.z, stage.y, stage.delta);
      const Grid right = assemble(stage, *role, g);
      if (!error(right)) continue;  // another kind of stage
      const bool plain = !stage.dense();
      for (const Guess& guess : wrong_guesses(stage)) {
        if (!equal(assemble(stage, *role, guess.g), a_)) continue;
        const bool multiply = plain && guess.cause == Cause::DerivativeMissing && stage.function->elementwise;
        find(guess.cause, guess.what,
             multiply
                 ? "multiplying your " + subject_ + " by " + stage.function->derivative + " gives " + error_text(right)
                 : guess.formula + " gives exactly your " + subject_ + "; done right, " + error_text(right),
             "dz = δ ∘ φ′(z), where y = " + stage.function->name + "(z)" +
                 (guess.cause == Cause::DerivativeMissing ? "" : "; φ′ = " + stage.function->derivative));
      }
      if (*role == Role::Bias) unsummed(g);
      left_out(stage, *role, g);
      const auto through_transpose = [&](const Stage& above, const Grid& g_above) {
        return above.W.rows == above.W.columns ? product(g_above, transposed(above.W)) : Grid();
      };
      const Grid* next = i + 1 < chain_.size() ? &chain_[i + 1].W : nullptr;
      const bool last = *role == Role::Input && stage.dense();
      if ((last && stage.W.rows == stage.W.columns) || (!last && next && next->rows == next->columns)) {
        const Grid wrong =
            last ? g
                 : assemble(stage, *role,
                            stage.function->backward(stage.z, stage.y,
                                                     chain_[i + 1].function->backward(chain_[i + 1].z, chain_[i + 1].y,
                                                                                      chain_[i + 1].delta)));
        if (equal(wrong, a_))
          find(Cause::WeightMissing, "a weight matrix is left out of the chain",
               "with δ for δ·W one gets exactly your " + subject_ + "; with δ·W it has " + error_text(right),
               "y = x·Wᵀ + b, so dx = δ·W");
      }
      if (*role == Role::Input && stage.dense()) {
        if (const Grid wrong = through_transpose(stage, g); !wrong.empty() && equal(wrong, a_))
          find(Cause::Transposed, "the weight in the " + subject_ + " is transposed",
               "δ·Wᵀ is what you have; δ·W has " + error_text(right), "y = x·Wᵀ + b, so dx = δ·W");
      } else if (i + 1 < chain_.size()) {
        const Stage& above = chain_[i + 1];
        const Grid wrong = through_transpose(above, above.function->backward(above.z, above.y, above.delta));
        if (!wrong.empty() && equal(assemble(stage, *role, stage.function->backward(stage.z, stage.y, wrong)), a_))
          find(Cause::Transposed, "the weight through which δ comes down is transposed",
               "with δ·Wᵀ one gets your " + subject_ + "; with δ·W it has " + error_text(right),
               "y = x·Wᵀ + b, so dx = δ·W");
      }
    }
  }

  /// For any layer: the backward is linear in δ, so if it ignores δ, it gives the derivative of Σy.
  void upstream() {
    if (!t_.probes.numeric_of_ones.defined() || !step_.dy.defined()) return;
    const Grid ones(t_.probes.numeric_of_ones), dy(step_.dy);
    if (equal(ones, a_))
      find(Cause::UpstreamIgnored, "the δ that comes from above is ignored",
           "with δ = 1 everywhere the " + subject_ + " would be right",
           "dx = δ ∘ …: every term of a backward has δ in it");
    if (ones.elements.size() != dy.elements.size() || !is_input() || drops()) return;
    Grid product = ones;
    for (std::size_t i = 0; i < dy.elements.size(); ++i) product.elements[i] *= dy.elements[i];
    if (error(product) && equal(dy, a_))
      find(Cause::DerivativeMissing, "the derivative of the activation is missing",
           "multiplying your " + subject_ + " by φ′, taken from differences, gives " + error_text(product),
           "dz = δ ∘ φ′(z)");
  }

  /// y = s∘x with each s 0 or k, whatever the sign of x: dropout with its mask.
  struct Drop {
    Grid s;
    double k = 0;
  };
  std::optional<Drop> drops() const {
    const Grid x(step_.x), y(step_.y);
    if (x.elements.size() != y.elements.size() || x.empty() || !is_input()) return {};
    Drop drop{x, 0};
    bool by_sign = true;
    std::size_t zeros = 0;
    for (std::size_t i = 0; i < x.elements.size(); ++i) {
      const double s = drop.s.elements[i] = x.elements[i] == 0 ? 0 : y.elements[i] / x.elements[i];
      zeros += s == 0;
      by_sign = by_sign && (s == 0) == (x.elements[i] <= 0);
      if (s == 0) continue;
      if (drop.k != 0 && std::abs(s - drop.k) > 1e-10 * drop.k) return {};
      drop.k = s;
    }
    if (drop.k <= 0 || zeros == 0 || by_sign) return {};
    return drop;
  }

  void dropout() {
    const std::optional<Drop> drop = drops();
    if (!drop || !step_.dy.defined()) return;
    const Grid dy(step_.dy), right = times(dy, drop->s);
    if (!error(right)) return;
    Grid mask = drop->s, scale = dy;
    for (double& s : mask.elements) s = s != 0;
    for (double& d : scale.elements) d *= drop->k;
    const std::string where = "y = x∘mask/keep, so dx = δ∘mask/keep, with the mask of the forward";
    const std::string repaired =
        formatted("multiplying your %s by mask/keep (keep = %.3g) gives ", subject_.c_str(), 1 / drop->k);
    if (equal(dy, a_)) find(Cause::DropoutMask, "the dropout mask is missing", repaired + error_text(right), where);
    if (equal(scale, a_))
      find(Cause::DropoutMask, "the dropout mask is missing, only its 1/keep is there",
           "multiplying your " + subject_ + " by the mask gives " + error_text(right), where);
    if (drop->k != 1 && equal(times(dy, mask), a_))
      find(Cause::DropoutMask, "the factor 1/keep of the dropout is missing",
           formatted("multiplying your %s by %.4g gives ", subject_.c_str(), drop->k) + error_text(right), where);
  }

  /// Losses: (N) against (N, 1), which broadcasts to N×N.
  void pairing() {
    const GradientProbes& p = t_.probes;
    if (p.numeric_by_rows.defined()) {
      const Grid by_rows(p.numeric_by_rows), all_pairs(p.numeric_of_all_pairs);
      const std::string where = "shapes (N) and (N, 1) broadcast to (N, N): give both the same shape";
      if (p.pairs_everything || (step_.target.numel() == step_.x.numel() && equal(by_rows, a_) && !error(by_rows) &&
                                 !(step_.target.shape() == step_.x.shape())))
        find(Cause::Pairing, "the loss takes every prediction with every target: the forward is wrong first",
             formatted("its value is %.6g; row by row it is %.6g", p.value, p.value_by_rows), where);
      else if (equal(all_pairs, a_) && !error(all_pairs))
        find(Cause::Pairing, "the " + subject_ + " takes every prediction with every target",
             "it is the gradient of the loss over all N×N pairs", where);
    }
  }

  /// Losses: the derivative of the preceding activation, which δ = p − t already contains.
  void extra_derivative() {
    const Grid x(step_.x);
    if (!step_.target.defined() || x.elements.size() != n_.elements.size()) return;
    const std::string where = "∂L/∂z = p − t for the logits z has the activation's derivative in it, ∂L/∂p has not";
    for (const Function& f : functions()) {
      if (f.name != "σ" && f.name != "softmax" && f.name != "tanh") continue;
      const Grid p = f.value(x);
      const auto extra = [&](const Grid& wrong, const std::string& what) {
        if (equal(wrong, a_))
          find(Cause::ExtraDerivative, what, "dividing the " + f.name + "'s derivative out gives " + error_text(n_),
               where);
      };
      extra(f.backward(x, p, n_), "the derivative of " + f.name + " is on top of δ, which has it already");
      if (f.name == "σ") {
        Grid repaired = a_;
        for (std::size_t i = 0; i < p.elements.size() && i < a_.elements.size(); ++i)
          repaired.elements[i] *= p.elements[i] * (1 - p.elements[i]);
        if (a_.elements.size() == p.elements.size())
          consider(repaired, Cause::DerivativeMissing,
                   "this is ∂L/∂p: the σ′ = p(1−p) that leads on to the logits is missing",
                   "multiplying your " + subject_ + " by p(1−p) gives", "∂L/∂z = ∂L/∂p · p(1−p), which comes to p − t");
      }
      extra(f.backward(x, x, n_),
            "δ has the derivative of " + f.name + " in it, and " + f.name + "'s own backward multiplies again");
      if (!f.elementwise) {  // only the diagonal of the Jacobian
        Grid diagonal = n_;
        for (std::size_t i = 0; i < p.elements.size(); ++i) diagonal.elements[i] *= p.elements[i] * (1 - p.elements[i]);
        extra(diagonal, "p(1−p) is on top of δ = p − t, which has the derivative of " + f.name + " already");
      }
    }
  }

  /// Losses on logits: z − y instead of φ(z) − y.
  void logits() {
    const Grid x(step_.x), y(step_.target);
    if (!step_.target.defined() || a_.elements.size() != x.elements.size()) return;
    right_class_alone();
    target_missing(x);
    if (y.elements.size() != x.elements.size()) return;
    const double N = static_cast<double>(std::max<std::size_t>(step_.batch, 1)),
                 M = static_cast<double>(x.elements.size());
    for (const Function& f : functions()) {
      if (f.name != "σ" && f.name != "softmax") continue;
      const Grid p = f.value(x);
      for (const double share : {1.0, 1 / N, 1 / M}) {
        Grid right = x, wrong = x;
        for (std::size_t i = 0; i < x.elements.size(); ++i) {
          right.elements[i] = (p.elements[i] - y.elements[i]) * share;
          wrong.elements[i] = (x.elements[i] - y.elements[i]) * share;
        }
        if (error(right) && equal(wrong, a_))
          find(Cause::WrongVariable, "the logits are taken for probabilities: z − y",
               "with p = " + f.name + "(z), p − t gives " + error_text(right),
               "∂L/∂z = p − t with p = " + f.name + "(z)");
      }
    }
  }

  /// Cross-entropy: δ only for the right class.
  void right_class_alone() {
    if (n_.columns < 2 || n_.rows < 2 || differing().size() != n_.rows * (n_.columns - 1)) return;
    for (std::size_t i = 0; i < n_.rows; ++i) {
      std::size_t kept = 0;
      for (std::size_t j = 0; j < n_.columns; ++j) {
        if (a_(i, j) == 0) continue;
        if (differs(i * n_.columns + j) || n_(i, j) > 0) return;  // p − 1 < 0 for the right class
        ++kept;
      }
      if (kept != 1) return;
    }
    find(Cause::TermMissing, "only the right class has a δ: those of the others are missing",
         formatted("one entry of each of the %zu rows is right, the others are 0", n_.rows),
         "all logits are in log Σ e^z: δ = p − t for every class");
  }
  /// p instead of p − t.
  void target_missing(const Grid& x) {
    const double N = static_cast<double>(std::max<std::size_t>(step_.batch, 1));
    for (const Function& f : functions()) {
      if (f.name != "σ" && f.name != "softmax") continue;
      for (const double share : {1.0, 1 / N, 1 / static_cast<double>(x.elements.size())}) {
        const Grid wrong = multiplied(f.value(x), share);
        Grid target = wrong;  // p − n/share is a target if its entries are 0 or 1
        bool is_target = true;
        for (std::size_t i = 0; i < wrong.elements.size(); ++i) {
          target.elements[i] = (wrong.elements[i] - n_.elements[i]) / share;
          is_target = is_target && target.elements[i] > -1e-6 && target.elements[i] < 1 + 1e-6;
        }
        if (is_target && equal(wrong, a_) && !error(wrong))
          find(Cause::TermMissing, "the target is missing: this is p, not p − t",
               "p = " + f.name + "(z) gives exactly your " + subject_, "δ = p − t: 1 is taken off the right class");
      }
    }
  }

  /// n − a = c·w: c is free, so it takes several entries to be sure.
  void weight_decay() {
    if (is_input() || step_.target.defined() || a_.elements.size() < 3) return;
    const Grid w(t_.value);
    if (w.elements.size() != a_.elements.size()) return;  // a value's gradient, not a tensor's
    double above = 0, below = 0;
    for (std::size_t i = 0; i < w.elements.size(); ++i) {
      if (std::isnan(n_.elements[i])) return;
      above += (n_.elements[i] - a_.elements[i]) * w.elements[i];
      below += w.elements[i] * w.elements[i];
    }
    const double c = above / below;
    Grid repaired = a_;
    for (std::size_t i = 0; i < w.elements.size(); ++i) repaired.elements[i] += c * w.elements[i];
    consider(repaired, Cause::WeightDecay,
             c > 0 ? "the weight decay's part of the " + subject_ + " is missing, or too small"
                   : "the weight decay's part of the " + subject_ + " is too large, or does not belong there",
             formatted("adding %.6g·w gives", c), "the penalty λΣw² adds 2λ·w to dw");
  }

  /// y = F(x) + x: the gradients of all uses of x add up.
  void skip_connection() {
    const Grid dy(step_.dy);
    if (!is_input() || dy.elements.size() != a_.elements.size()) return;
    Grid both = a_;
    for (std::size_t i = 0; i < dy.elements.size(); ++i) both.elements[i] += dy.elements[i];
    consider(both, Cause::BranchMissing, "the δ of the skip connection is missing in the " + subject_,
             "adding δ to it gives", "y = F(x) + x: dx = dF + δ, the gradients of all uses of x add up");
  }

  /// y[t] = E[x[t]]: each use of a row adds its δ to it.
  void repeated_indices() {
    if (is_input() || t_.shape.rank() != 2 || !step_.x.defined() || !step_.dy.defined()) return;
    const Grid x(step_.x), dy(step_.dy);
    if (dy.elements.size() != x.elements.size() * n_.columns) return;
    Grid added(n_.rows, n_.columns), last = added, first = added;
    std::vector<bool> seen(n_.rows);
    for (std::size_t t = 0; t < x.elements.size(); ++t) {
      const double index = x.elements[t];
      if (!(index >= 0 && index < static_cast<double>(n_.rows)) || index != std::floor(index)) return;
      const auto k = static_cast<std::size_t>(index);
      for (std::size_t j = 0; j < n_.columns; ++j) {
        const double d = dy.elements[t * n_.columns + j];
        added(k, j) += d, last(k, j) = d;
        if (!seen[k]) first(k, j) = d;
      }
      seen[k] = true;
    }
    if (!error(added) || !(equal(last, a_) || equal(first, a_))) return;
    find(Cause::RowsOverwritten, "an index that comes twice overwrites its row of the " + subject_,
         "the sum over all places of an index has " + error_text(added),
         "dE[k] = Σₜ δₜ over all t with xₜ = k: +=, not =");
  }

  /// y = γ∘x̂ + β with x̂ normalised over rows or over the batch.
  void norms() {
    if (!is_input() || !step_.y.defined() || !step_.dy.defined()) return;
    for (const NormGuess& guess : norm_guesses(step_)) {
      if (!error(guess.right) || !equal(guess.wrong, a_)) continue;
      find(guess.cause, guess.what,
           guess.formula + " gives exactly your " + subject_ + "; done right, " + error_text(guess.right),
           guess.derivative);
    }
  }

  /// The check's first forward has one row more than the one under test.
  void earlier_batch() {
    const double N = static_cast<double>(step_.batch);
    if (N > 1)
      scaled(N / (N + 1), Cause::StaleCache,
             "the " + subject_ + " is divided by the number of rows of an earlier batch, which had one more",
             "what is kept of a batch must be of the last forward");
  }

  void sequences() {
    std::vector<SequenceGuess> guesses = sequence_guesses(step_, t_.value);
    if (guesses.empty()) guesses = cell_guesses(step_, t_.value);
    for (const SequenceGuess& guess : guesses) {
      if (!error(guess.right) || !equal(guess.wrong, a_)) continue;
      find(guess.cause, guess.what,
           guess.formula + " gives exactly your " + subject_ + "; done right, " + error_text(guess.right), guess.where);
    }
  }

  void windows() {
    if (!is_input() && t_.shape.rank() < 3) return;
    for (const NormGuess& guess : window_guesses(step_, is_input())) {
      if (guess.right.elements.size() != n_.elements.size() || !error(guess.right) || !equal(guess.wrong, a_)) continue;
      find(guess.cause, guess.what,
           guess.formula + " gives exactly your " + subject_ + "; done right, " + error_text(guess.right),
           guess.derivative);
    }
  }

  void attention() {
    // A key bias has no gradient: it adds the same to all scores of a row.
    const auto nothing = [&](const Grid& g) { return largest(g) <= 1e-9 * largest(a_); };
    const auto name = [&](const std::vector<BranchGuess>& guesses) {
      for (const BranchGuess& guess : guesses) {
        const bool none = nothing(guess.right) && nothing(n_);
        if ((none || error(guess.right)) && !equal(guess.right, guess.wrong) && equal(guess.wrong, a_))
          find(guess.cause, guess.what,
               guess.formula + " gives exactly your " + subject_ + "; done right, " +
                   (none ? "it is 0" : error_text(guess.right)),
               guess.derivative);
      }
    };
    name(attention_guesses(step_, t_.value.to_vector(), is_input()));
    if (is_input()) name(head_guesses(step_));
  }

  // Findings -------------------------------------------------------------------------------------------------------

  void find(Cause cause, const std::string& what, const std::string& evidence, const std::string& where) {
    findings_.push_back({cause, place_, what, evidence, where});
  }
  void consider(const Grid& repaired, Cause cause, const std::string& what, const std::string& how,
                const std::string& where) {
    if (error(repaired)) find(cause, what, how + " " + error_text(repaired), where);
  }
  /// a = c·n.
  void scaled(double c, Cause cause, const std::string& what, const std::string& where) {
    const std::string how = c == -1 ? "changing its sign"
                            : c > 1 ? formatted("dividing it by %.4g", c)
                                    : formatted("multiplying it by %.4g", 1 / c);
    consider(multiplied(a_, 1 / c), cause, what, how + " gives", where);
  }

  Diagnosis choose() const {
    Diagnosis none{Cause::Inconclusive, place_, "none of the known mistakes explains the " + subject_, best_constant(),
                   "the entries above: where do they agree, and where not?"};
    if (findings_.empty() && t_.probes.of_first_x)
      return {Cause::StaleCache, place_,
              "the " + subject_ + " is not that of this forward: it is made of what an earlier one kept",
              "it is what it should be at the x and the parameters of the check's first forward",
              "x and y come back in the backward, and parameters are where they are; what else it needs, every forward "
              "keeps anew"};
    if (findings_.empty()) return none;
    for (const Diagnosis& finding : findings_) {
      if (finding.cause == findings_.front().cause) continue;
      none.what = "two mistakes would explain the " + subject_ + " alike: " + to_string(findings_.front().cause) +
                  ", or " + to_string(finding.cause);
      none.evidence = findings_.front().evidence + "; " + finding.evidence;
      none.where = "check with other sizes, pairwise different primes, so that a factor names one of them";
      return none;
    }
    return findings_.front();
  }

  std::string best_constant() const {
    double an = 0, nn = 0, rest = 0;
    for (std::size_t i = 0; i < n_.elements.size() && i < a_.elements.size(); ++i)
      if (!std::isnan(n_.elements[i])) an += a_.elements[i] * n_.elements[i], nn += n_.elements[i] * n_.elements[i];
    const double c = an / nn;
    for (std::size_t i = 0; i < n_.elements.size() && i < a_.elements.size(); ++i)
      if (!std::isnan(n_.elements[i])) rest += std::pow(a_.elements[i] - c * n_.elements[i], 2);
    const double residual = std::sqrt(rest / nn);
    if (residual < 1e-6) return formatted("it is %.6g times what it should be", c) + made_of(c);
    const std::vector<std::size_t> which = differing();
    if (which.size() < n_.elements.size()) return count_of(which);
    return formatted("all %zu entries differ, and not by one factor", n_.elements.size());
  }
  /// " (= −1 · C/2)": a constant expressed in the sizes of the loss or layer, if it can be.
  std::string made_of(double c) const {
    std::vector<std::pair<double, std::string>> counts{{static_cast<double>(step_.batch), "N"}};
    if (n_.rows > 1) counts.push_back({static_cast<double>(n_.columns), "C"});
    const std::string sign = c < 0 ? "−1 · " : "";
    for (const auto& [count, name] : counts)
      for (const auto& [factor, above, below] :
           {std::tuple(1.0, "", ""), std::tuple(2.0, "2", ""), std::tuple(0.5, "", "/2")}) {
        if (count < 2) continue;
        const double k = std::abs(c);
        if (std::abs(k - factor * count) <= 1e-7 * k) return " (= " + sign + above + name + below + ")";
        if (std::abs(k - factor / count) <= 1e-7 * k)
          return " (= " + sign + (factor == 2 ? "2/" + name : factor == 1 ? "1/" + name : "1/(2" + name + ")") + ")";
      }
    return "";
  }

  std::vector<Diagnosis> findings_;
};

}  // namespace

Diagnosis from_catalogue(const GradientReport& report, const TensorReport& tensor) {
  return Catalogue(report, tensor)();
}

}  // namespace handgrad::detail
