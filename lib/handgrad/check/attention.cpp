#include "handgrad/check/attention.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace handgrad::detail {

namespace {

bool close(double a, double b) { return std::abs(a - b) <= 1e-10 * (1e-3 + std::abs(b)); }

/// x·Wᵀ + b; an empty b means no bias.
Grid linear(const Grid& x, const Grid& W, const Grid& b) {
  Grid y = product(x, transposed(W));
  if (!b.empty())
    for (std::size_t i = 0; i < y.rows; ++i)
      for (std::size_t j = 0; j < y.columns; ++j) y(i, j) += b.elements[j];
  return y;
}

/// The n columns from `first`, and likewise rows.
Grid columns_of(const Grid& a, std::size_t first, std::size_t n) {
  Grid part(a.rows, n);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < n; ++j) part(i, j) = a(i, first + j);
  return part;
}
Grid rows_of(const Grid& a, std::size_t first, std::size_t n) {
  Grid part(n, a.columns);
  std::copy_n(a.elements.begin() + static_cast<std::ptrdiff_t>(first * a.columns), n * a.columns,
              part.elements.begin());
  return part;
}
Grid stacked(const std::array<Grid, 3>& parts) {
  Grid all(0, parts[0].columns);
  for (const Grid& part : parts) {
    all.rows += part.rows;
    all.elements.insert(all.elements.end(), part.elements.begin(), part.elements.end());
  }
  return all;
}

struct Pair {
  Grid W, b;
};

/// The weights, each with its bias; empty if any parameter fits neither.
std::vector<Pair> pairs_of(const GradientStep& step) {
  std::vector<Pair> pairs;
  for (const auto& [name, value] : step.parameters) {
    if (value.rank() == 2)
      pairs.push_back({Grid(value), {}});
    else if (value.rank() == 1 && !pairs.empty() && pairs.back().b.empty() && value.numel() == pairs.back().W.rows)
      pairs.back().b = Grid(value);
    else
      return {};
  }
  return pairs;
}

/// What a faulty backward does.
struct Variant {
  std::array<double, 2> power{1, 1};  // of τ in dQ and in dK
  enum Softmax { Right, NoSum, Diagonal, NoDiagonal } softmax = Right;
  bool unmasked = false;                       // P recomputed without M
  std::array<bool, 3> used{true, true, true};  // which uses of x count in dx
  int head = -1;                               // the only head that counts in dx, or −1
};

class Attention {
 public:
  /// Never throws; `found()` says whether the step is attention.
  explicit Attention(const GradientStep& step) {
    if (!step.x.defined() || !step.y.defined() || !step.dy.defined() || step.x.rank() < 2 || step.x.rank() > 3) return;
    if (step.x.numel() > 20'000 || step.y.rank() != step.x.rank()) return;
    x_ = Grid(step.x);
    y_ = Grid(step.y);
    dy_ = Grid(step.dy);
    if (y_.rows != x_.rows || dy_.elements.size() != y_.elements.size()) return;
    std::vector<Pair> pairs = pairs_of(step);
    packed_ = !pairs.empty() && pairs.size() <= 2 && pairs[0].W.rows % 3 == 0;
    if (packed_) {
      const Pair all = pairs[0];
      const std::size_t rows = all.W.rows / 3;
      pairs.erase(pairs.begin());
      for (std::size_t part = 3; part-- > 0;)
        pairs.insert(pairs.begin(), {rows_of(all.W, part * rows, rows),
                                     all.b.empty() ? Grid() : columns_of(all.b, part * rows, rows)});
    }
    if (pairs.size() != 3 && pairs.size() != 4) return;
    for (std::size_t i = 0; i < 3; ++i) {
      if (pairs[i].W.columns != x_.columns) return;
      in_[i] = pairs[i];
      qkv_[i] = linear(x_, in_[i].W, in_[i].b);
    }
    if (qkv_[0].columns != qkv_[1].columns) return;
    if (pairs.size() == 4) {
      out_ = pairs[3];
      if (out_.W.columns != qkv_[2].columns) return;
    }
    search(step.x.shape());
  }
  bool found() const { return found_; }
  bool masked() const {
    return causal_ || std::any_of(lengths_.begin(), lengths_.end(), [&](auto n) { return n < T_; });
  }
  std::size_t heads() const { return heads_; }
  double tau() const { return 1 / std::sqrt(static_cast<double>(qkv_[0].columns / heads_)); }

  struct Gradients {
    std::array<Grid, 3> dW, db;
    Grid dW_out, db_out, dx;
  };
  Gradients backward(const Variant& v) const {
    Gradients g;
    Grid dO = dy_;
    dO.rows = y_.rows, dO.columns = y_.columns;
    const Grid O = outputs(causal_, lengths_);
    if (!out_.W.empty()) {
      g.dW_out = product(transposed(dO), O);
      g.db_out = column_sums(dO);
      dO = product(dO, out_.W);
    }
    std::array<Grid, 3> d;
    for (std::size_t i = 0; i < 3; ++i) d[i] = Grid(qkv_[i].rows, qkv_[i].columns);
    for (std::size_t n = 0; n < N_; ++n)
      for (std::size_t h = 0; h < heads_; ++h) {
        const Grid P = probabilities(n, h, !v.unmasked && causal_, v.unmasked ? T_ : lengths_[n]);
        add_head(n, h, P, v, dO, d);
      }
    for (std::size_t i = 0; i < 3; ++i) {
      g.dW[i] = product(transposed(d[i]), x_);
      g.db[i] = column_sums(d[i]);
    }
    g.dx = Grid(x_.rows, x_.columns);
    for (std::size_t i = 0; i < 3; ++i) {
      if (!v.used[i]) continue;
      Grid part = d[i];
      const std::size_t width = part.columns / heads_;
      for (std::size_t r = 0; r < part.rows && v.head >= 0; ++r)
        for (std::size_t c = 0; c < part.columns; ++c)
          if (c / width != static_cast<std::size_t>(v.head)) part(r, c) = 0;
      const Grid down = product(part, in_[i].W);
      for (std::size_t e = 0; e < down.elements.size(); ++e) g.dx.elements[e] += down.elements[e];
    }
    return g;
  }

  /// The part of the gradients that belongs to the tensor with these values.
  Grid of(const Gradients& g, const std::vector<double>& tensor, bool is_input) const {
    if (is_input) return g.dx;
    if (tensor == out_.W.elements) return g.dW_out;
    if (tensor == out_.b.elements) return g.db_out;
    if (packed_ && tensor == stacked({in_[0].W, in_[1].W, in_[2].W}).elements) return stacked(g.dW);
    if (packed_) {
      std::vector<double> b, db;
      for (std::size_t i = 0; i < 3; ++i) {
        b.insert(b.end(), in_[i].b.elements.begin(), in_[i].b.elements.end());
        db.insert(db.end(), g.db[i].elements.begin(), g.db[i].elements.end());
      }
      if (tensor != b) return {};
      Grid all(1, db.size());
      all.elements = db;
      return all;
    }
    for (std::size_t i = 0; i < 3; ++i) {
      if (tensor == in_[i].W.elements) return g.dW[i];
      if (tensor == in_[i].b.elements) return g.db[i];
    }
    return {};
  }

 private:
  std::size_t row(std::size_t n, std::size_t t) const { return batch_first_ ? n * T_ + t : t * N_ + n; }

  /// Head h of sequence n: softmax(τ·Q·Kᵀ + M).
  Grid probabilities(std::size_t n, std::size_t h, bool causal, std::size_t length) const {
    const std::size_t width = qkv_[0].columns / heads_;
    Grid P(T_, T_);
    for (std::size_t i = 0; i < T_; ++i) {
      const std::size_t keys = std::min(length, causal ? i + 1 : T_);
      double m = -std::numeric_limits<double>::infinity(), sum = 0;
      for (std::size_t j = 0; j < keys; ++j) {
        for (std::size_t c = h * width; c < (h + 1) * width; ++c)
          P(i, j) += tau() * qkv_[0](row(n, i), c) * qkv_[1](row(n, j), c);
        m = std::max(m, P(i, j));
      }
      for (std::size_t j = 0; j < keys; ++j) sum += P(i, j) = std::exp(P(i, j) - m);
      for (std::size_t j = 0; j < keys; ++j) P(i, j) /= sum;
    }
    return P;
  }
  /// O of all heads, side by side.
  Grid outputs(bool causal, const std::vector<std::size_t>& lengths) const {
    Grid O(x_.rows, qkv_[2].columns);
    const std::size_t width = O.columns / heads_;
    for (std::size_t n = 0; n < N_; ++n)
      for (std::size_t h = 0; h < heads_; ++h) {
        const Grid P = probabilities(n, h, causal, lengths[n]);
        for (std::size_t i = 0; i < T_; ++i)
          for (std::size_t c = h * width; c < (h + 1) * width; ++c)
            for (std::size_t j = 0; j < T_; ++j) O(row(n, i), c) += P(i, j) * qkv_[2](row(n, j), c);
      }
    return O;
  }
  void add_head(std::size_t n, std::size_t h, const Grid& P, const Variant& v, const Grid& dO,
                std::array<Grid, 3>& d) const {
    const std::size_t width = qkv_[0].columns / heads_, value_width = qkv_[2].columns / heads_;
    for (std::size_t i = 0; i < T_; ++i) {
      std::vector<double> dP(T_);
      double D = 0;
      for (std::size_t j = 0; j < T_; ++j) {
        for (std::size_t c = h * value_width; c < (h + 1) * value_width; ++c) {
          dP[j] += dO(row(n, i), c) * qkv_[2](row(n, j), c);
          d[2](row(n, j), c) += P(i, j) * dO(row(n, i), c);
        }
        D += P(i, j) * dP[j];
      }
      for (std::size_t j = 0; j < T_; ++j) {
        const double dS = v.softmax == Variant::Right        ? P(i, j) * (dP[j] - D)
                          : v.softmax == Variant::NoSum      ? P(i, j) * dP[j]
                          : v.softmax == Variant::NoDiagonal ? -P(i, j) * D
                                                             : P(i, j) * (1 - P(i, j)) * dP[j];
        for (std::size_t c = h * width; c < (h + 1) * width; ++c) {
          d[0](row(n, i), c) += std::pow(tau(), v.power[0]) * dS * qkv_[1](row(n, j), c);
          d[1](row(n, j), c) += std::pow(tau(), v.power[1]) * dS * qkv_[0](row(n, i), c);
        }
      }
    }
  }

  /// Finds the layout, heads and mask that give y; each sequence's end is sought separately.
  void search(const Shape& shape) {
    for (const bool batch_first : {true, false}) {
      batch_first_ = batch_first;
      N_ = shape.rank() == 2 ? 1 : shape[batch_first ? 0 : 1];
      T_ = shape.rank() == 2 ? shape[0] : shape[batch_first ? 1 : 0];
      if (T_ < 2 || T_ > 64) continue;
      for (heads_ = 1; heads_ <= qkv_[0].columns; ++heads_) {
        if (qkv_[0].columns % heads_ != 0 || qkv_[2].columns % heads_ != 0) continue;
        for (const bool causal : {false, true}) {
          causal_ = causal;
          if (ends_found()) {
            found_ = true;
            return;
          }
        }
      }
    }
  }
  bool ends_found() {
    lengths_.assign(N_, T_);
    std::vector<bool> fits(N_, false);
    for (std::size_t length = T_; length > 0; --length) {
      const Grid O = outputs(causal_, std::vector<std::size_t>(N_, length));
      const Grid y = out_.W.empty() ? O : linear(O, out_.W, out_.b);
      if (y.columns != y_.columns) return false;
      for (std::size_t n = 0; n < N_; ++n) {
        if (fits[n]) continue;
        bool same = true;
        for (std::size_t t = 0; t < T_ && same; ++t)
          for (std::size_t c = 0; c < y.columns && same; ++c) same = close(y(row(n, t), c), y_(row(n, t), c));
        if (same) fits[n] = true, lengths_[n] = length;
      }
      if (std::all_of(fits.begin(), fits.end(), [](bool b) { return b; })) return true;
    }
    return false;
  }

  Grid x_, y_, dy_;
  std::array<Pair, 3> in_;
  std::array<Grid, 3> qkv_;
  Pair out_;
  bool packed_ = false, found_ = false, batch_first_ = true, causal_ = false;
  std::size_t N_ = 1, T_ = 0, heads_ = 1;
  std::vector<std::size_t> lengths_;
};

}  // namespace

std::vector<BranchGuess> attention_guesses(const GradientStep& step, const std::vector<double>& tensor, bool is_input) {
  const Attention attention(step);
  if (!attention.found()) return {};
  const auto gradient = [&](const Variant& v) { return attention.of(attention.backward(v), tensor, is_input); };
  const Grid right = gradient({});
  if (right.empty()) return {};
  std::vector<BranchGuess> guesses;
  const auto add = [&](Cause cause, const Variant& v, const std::string& what, const std::string& formula,
                       const std::string& derivative) {
    guesses.push_back({cause, right, gradient(v), what, formula, derivative});
  };
  const std::string scores = "S = τ·Q·Kᵀ, so dQ = τ·dS·K and dK = τ·dSᵀ·Q, with τ = 1/√d once in each";
  if (attention.tau() != 1) {
    for (const auto& [power, what] : {std::pair{0.0, "the factor τ = 1/√d is missing in "},
                                      std::pair{2.0, "the factor τ = 1/√d is there twice in "}}) {
      const std::string formula = power == 0 ? "leaving τ out there" : "τ² there";
      add(Cause::ScaleMissing, {.power = {power, power}}, what + std::string("dQ and dK"), formula, scores);
      add(Cause::ScaleMissing, {.power = {power, 1}}, what + std::string("dQ"), formula, scores);
      add(Cause::ScaleMissing, {.power = {1, power}}, what + std::string("dK"), formula, scores);
    }
  }
  const std::string softmax = "dS = P∘(dP − D), D = the sum of P∘dP over each row (= Σ δ_O∘O)";
  add(Cause::RowSumMissing, {.softmax = Variant::NoSum}, "the softmax's derivative lacks the sum over the row",
      "dS = P∘dP", softmax);
  add(Cause::RowSumMissing, {.softmax = Variant::Diagonal},
      "of the softmax's Jacobian the diagonal alone is used: each P depends on all scores of its row",
      "dS = P(1 − P)∘dP", softmax);
  add(Cause::JacobianPart, {.softmax = Variant::NoDiagonal},
      "the diagonal of the softmax's Jacobian is missing: + P∘dP", "dS = −P∘D", softmax);
  if (attention.masked())
    add(Cause::MaskIgnored, {.unmasked = true}, "the backward forgets the mask",
        "with the P of a softmax without M one", "where M is −∞, P = 0 and dS = 0: the P of the forward belongs there");
  if (!is_input) return guesses;
  const std::string uses =
      "x is used for Q, K and V, and the gradients of all uses add up: dx = dQ·W_Q + dK·W_K + dV·W_V";
  const std::array<std::string, 3> names{"dQ·W_Q", "dK·W_K", "dV·W_V"};
  for (std::size_t i = 0; i < 3; ++i) {
    Variant without, alone;
    without.used[i] = false;
    alone.used = {i == 0, i == 1, i == 2};
    add(Cause::BranchMissing, without, "of the three uses of x one is missing in dx: " + names[i],
        "leaving " + names[i] + " out", uses);
    add(Cause::BranchMissing, alone, "of the three uses of x only one is in dx: " + names[i], names[i] + " alone",
        uses);
  }
  for (std::size_t h = 0; h < attention.heads() && attention.heads() > 1; ++h)
    add(Cause::HeadMissing, {.head = static_cast<int>(h)}, "the heads' gradients are not added up",
        "head " + std::to_string(h) + " of " + std::to_string(attention.heads()) + " alone",
        "all heads read the same x: dx = Σ over the heads, +=, not =");
  return guesses;
}

std::vector<BranchGuess> head_guesses(const GradientStep& step) {
  if (!step.x.defined() || !step.y.defined() || !step.dy.defined() || step.x.numel() > 100'000) return {};
  const Grid x(step.x), y(step.y), dy(step.dy);
  const std::vector<Pair> pairs = pairs_of(step);
  if (pairs.size() < 2 || dy.elements.size() != y.elements.size() || y.rows != x.rows) return {};
  std::vector<Grid> parts;
  Grid right(x.rows, x.columns);
  std::size_t before = 0;
  for (const Pair& head : pairs) {
    const std::size_t width = head.W.rows;
    if (head.W.columns != x.columns || before + width > y.columns) return {};
    const Grid out = linear(x, head.W, head.b);
    Grid delta(x.rows, width);
    for (std::size_t i = 0; i < x.rows; ++i)
      for (std::size_t j = 0; j < width; ++j) {
        if (!close(out(i, j), y(i, before + j))) return {};
        delta(i, j) = dy.elements[i * y.columns + before + j];
      }
    parts.push_back(product(delta, head.W));
    for (std::size_t e = 0; e < right.elements.size(); ++e) right.elements[e] += parts.back().elements[e];
    before += width;
  }
  if (before != y.columns) return {};
  std::vector<BranchGuess> guesses;
  for (std::size_t h = 0; h < parts.size(); ++h)
    guesses.push_back({Cause::HeadMissing, right, parts[h], "the heads' gradients are not added up",
                       "head " + std::to_string(h) + " alone", "all heads read the same x: dx = Σₕ δₕ·Wₕ, +=, not ="});
  return guesses;
}

}  // namespace handgrad::detail
