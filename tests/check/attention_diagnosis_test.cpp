// Mistakes in attention, embeddings, residual layers and multi-head networks: each is named wherever it is planted, two
// at once are never taken for a third, and nothing is named in correct code.
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/gradcheck.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/layers/embedding.hpp"
#include "handgrad/layers/multihead_attention.hpp"
#include "handgrad/layers/transformer_encoder_layer.hpp"
#include "support/check.hpp"

using namespace handgrad;

namespace {

using Mistakes = std::set<std::string>;

Tensor<double> normal(const Shape& shape, std::uint64_t seed = 7, double std = 1) {
  Generator generator(seed);
  Tensor<double> x = Tensor<double>::empty(shape);
  return normal_(x, 0, std, generator);
}

struct Matrix {
  std::size_t rows, columns;
  std::vector<double> at;
  Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), at(r * c) {}
  double& operator()(std::size_t i, std::size_t j) { return at[i * columns + j]; }
  double operator()(std::size_t i, std::size_t j) const { return at[i * columns + j]; }
};

/// Self-attention as a learner writes it: one sequence (T×E) or several (N, T, E), H heads, W_Q, W_K and W_V with
/// biases and, with `out`, W_O. With `padded`, the last key of every sequence is hidden.
struct MutantAttention : Layer<double> {
  struct Setting {
    std::size_t E = 4, d = 3, heads = 1;
    bool bias = true, out = false, causal = false, padded = false;
  };
  MutantAttention(Setting setting, Mistakes mistakes) : s(setting), m(std::move(mistakes)) {
    const char* names[] = {"W_Q", "W_K", "W_V"};
    for (std::size_t i = 0; i < 3; ++i) {
      W.push_back(register_parameter(names[i], normal({s.d * s.heads, s.E}, 3 + i, 0.7)));
      if (s.bias) b.push_back(register_parameter(std::string("b") + (names[i] + 1), normal({s.d * s.heads}, 13 + i)));
    }
    if (s.out) W.push_back(register_parameter("W_O", normal({s.E + 1, s.d * s.heads}, 23)));
  }
  Shape output_shape(const Shape& x) const override {
    Shape y = x;
    y[-1] = s.out ? s.E + 1 : s.d * s.heads;
    return y;
  }

 protected:
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    T = x.size(x.rank() == 3 ? 1 : 0);
    N = x.numel() / (T * s.E);
    qkv.clear();
    for (std::size_t i = 0; i < 3; ++i) qkv.push_back(project(x.data(), N * T, i));
    O = Matrix(N * T, s.d * s.heads);
    P.clear();
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t h = 0; h < s.heads; ++h) {
        P.push_back(softmax(n, h, true));
        for (std::size_t i = 0; i < T; ++i)
          for (std::size_t c = h * s.d; c < (h + 1) * s.d; ++c)
            for (std::size_t j = 0; j < T; ++j) O(n * T + i, c) += P.back()(i, j) * qkv[2](n * T + j, c);
      }
    for (std::size_t r = 0; r < N * T; ++r)
      for (std::size_t o = 0; o < y.size(-1); ++o) {
        double sum = s.out ? 0 : O(r, o);
        for (std::size_t c = 0; c < O.columns && s.out; ++c) sum += O(r, c) * W[3].value().data()[o * O.columns + c];
        y.data()[r * y.size(-1) + o] = sum;
      }
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>& y, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    Matrix dO(N * T, s.d * s.heads);
    const std::size_t columns = y.size(-1);
    if (s.out) {
      Tensor<double> dW = zeros<double>(W[3].shape());
      for (std::size_t r = 0; r < N * T; ++r)
        for (std::size_t o = 0; o < columns; ++o)
          for (std::size_t c = 0; c < O.columns; ++c) {
            dW.data()[o * O.columns + c] += dy.data()[r * columns + o] * O(r, c);
            dO(r, c) += dy.data()[r * columns + o] * W[3].value().data()[o * O.columns + c];
          }
      add(W[3], dW);
    } else {
      dO.at = dy.to_vector();
    }
    std::vector<Matrix> d(3, Matrix(N * T, s.d * s.heads));
    const double tau = 1 / std::sqrt(static_cast<double>(s.d));
    const double tau_q = m.count("no τ") ? 1 : m.count("τ²") || m.count("τ² in dQ") ? tau * tau : tau;
    const double tau_k = m.count("no τ") || m.count("no τ in dK") ? 1 : m.count("τ²") ? tau * tau : tau;
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t h = 0; h < s.heads; ++h) {
        const Matrix p = m.count("mask") ? softmax(n, h, false) : P[n * s.heads + h];
        for (std::size_t i = 0; i < T; ++i) {
          std::vector<double> dP(T);
          double D = 0;
          for (std::size_t j = 0; j < T; ++j) {
            for (std::size_t c = h * s.d; c < (h + 1) * s.d; ++c) {
              dP[j] += dO(n * T + i, c) * qkv[2](n * T + j, c);
              d[2](n * T + j, c) += p(i, j) * dO(n * T + i, c);
            }
            D += p(i, j) * dP[j];
          }
          for (std::size_t j = 0; j < T; ++j) {
            double dS = p(i, j) * (dP[j] - (m.count("no sum") ? 0 : D));
            if (m.count("no diagonal")) dS = -p(i, j) * D;
            if (m.count("diagonal")) dS = p(i, j) * (1 - p(i, j)) * dP[j];
            for (std::size_t c = h * s.d; c < (h + 1) * s.d; ++c) {
              d[0](n * T + i, c) += tau_q * dS * qkv[1](n * T + j, c);
              d[1](n * T + j, c) += tau_k * dS * qkv[0](n * T + i, c);
            }
          }
        }
      }
    dx.fill(0);
    for (std::size_t k = 0; k < 3; ++k) {
      Tensor<double> dW = zeros<double>(W[k].shape()), db = zeros<double>({s.d * s.heads});
      for (std::size_t r = 0; r < N * T; ++r)
        for (std::size_t o = 0; o < s.d * s.heads; ++o) {
          const double g = d[k](r, o);
          db.data()[o] += g;
          for (std::size_t e = 0; e < s.E; ++e) dW.data()[o * s.E + e] += g * x.data()[r * s.E + e];
          const bool left_out = (k == 0 && m.count("no Q")) || (k != 2 && m.count("V alone")) ||
                                (o < s.d * (s.heads - 1) && m.count("last head"));
          for (std::size_t e = 0; e < s.E && !left_out; ++e)
            dx.data()[r * s.E + e] += g * W[k].value().data()[o * s.E + e];
        }
      add(W[k], dW);
      if (s.bias) add(b[k], db);
    }
  }

 private:
  static void add(Parameter<double>& parameter, const Tensor<double>& d) {
    auto [grad, beta] = parameter.accumulate();
    for (std::size_t i = 0; i < d.numel(); ++i) grad.data()[i] = (beta == 0 ? 0 : grad.data()[i]) + d.data()[i];
  }
  Matrix project(const double* x, std::size_t rows, std::size_t k) const {
    Matrix y(rows, s.d * s.heads);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t o = 0; o < y.columns; ++o) {
        y(r, o) = s.bias ? b[k].value().data()[o] : 0;
        for (std::size_t e = 0; e < s.E; ++e) y(r, o) += x[r * s.E + e] * W[k].value().data()[o * s.E + e];
      }
    return y;
  }
  Matrix softmax(std::size_t n, std::size_t h, bool masked) const {
    Matrix p(T, T);
    for (std::size_t i = 0; i < T; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < T; ++j) {
        if (masked && ((s.causal && j > i) || (s.padded && T > 1 && j + 1 == T))) continue;
        double score = 0;
        for (std::size_t c = h * s.d; c < (h + 1) * s.d; ++c) score += qkv[0](n * T + i, c) * qkv[1](n * T + j, c);
        sum += p(i, j) = std::exp(score / std::sqrt(static_cast<double>(s.d)));
      }
      for (std::size_t j = 0; j < T; ++j) p(i, j) /= sum;
    }
    return p;
  }
  Setting s;
  Mistakes m;
  std::vector<Parameter<double>> W, b;
  std::size_t N = 0, T = 0;
  std::vector<Matrix> qkv, P;
  Matrix O{0, 0};
};

/// y = E[x], with the gradient written row by row.
struct MutantEmbedding : Layer<double> {
  MutantEmbedding(std::size_t rows, std::size_t columns, Mistakes mistakes) : m(std::move(mistakes)) {
    E = register_parameter("E", normal({rows, columns}));
  }
  Shape output_shape(const Shape& x) const override { return {x.numel(), E.shape()[1]}; }
  bool differentiable_input() const override { return false; }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    for (std::size_t i = 0; i < y.numel(); ++i) y.data()[i] = E.value().data()[place(x, i)];
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>&) override {
    std::vector<double> d(E.numel());
    for (std::size_t i = 0; i < dy.numel(); ++i) d[place(x, i)] = (m.count("=") ? 0 : d[place(x, i)]) + dy.data()[i];
    auto [grad, beta] = E.accumulate();
    for (std::size_t i = 0; i < d.size(); ++i) grad.data()[i] = (beta == 0 ? 0 : grad.data()[i]) + d[i];
  }
  std::size_t place(const Tensor<double>& x, std::size_t i) const {
    const std::size_t columns = E.shape()[1];
    return static_cast<std::size_t>(x.data()[i / columns]) * columns + i % columns;
  }
  Parameter<double> E;
  Mistakes m;
};

/// y = x + tanh(a∘x), with dx lacking the skip connection.
struct MutantResidual : Layer<double> {
  explicit MutantResidual(Mistakes mistakes) : m(std::move(mistakes)) {}
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    for (std::size_t i = 0; i < x.numel(); ++i) y.data()[i] = x.data()[i] + std::tanh(0.7 * x.data()[i]);
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    for (std::size_t i = 0; i < x.numel(); ++i) {
      const double f = std::tanh(0.7 * x.data()[i]);
      dx.data()[i] = (m.count("no δ") ? 0 : dy.data()[i]) + 0.7 * (1 - f * f) * dy.data()[i];
    }
  }
  Mistakes m;
};

/// y = [x·W₁ᵀ + b₁, x·W₂ᵀ + b₂, …]
struct MutantHeads : Layer<double> {
  MutantHeads(std::size_t in, std::vector<std::size_t> outs, Mistakes mistakes)
      : widths(std::move(outs)), m(std::move(mistakes)) {
    for (std::size_t h = 0; h < widths.size(); ++h) {
      W.push_back(register_parameter("W" + std::to_string(h + 1), normal({widths[h], in}, 3 + h)));
      b.push_back(register_parameter("b" + std::to_string(h + 1), normal({widths[h]}, 13 + h)));
    }
  }
  Shape output_shape(const Shape& x) const override {
    std::size_t all = 0;
    for (const std::size_t width : widths) all += width;
    return {x[0], all};
  }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    each(x, [&](std::size_t n, std::size_t h, std::size_t o, std::size_t at) {
      double z = b[h].value().data()[o];
      for (std::size_t i = 0; i < x.size(1); ++i) z += x.item(n, i) * W[h].value().item(o, i);
      y.data()[at] = z;
    });
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    std::vector<Tensor<double>> dW, db;
    for (std::size_t h = 0; h < W.size(); ++h)
      dW.push_back(zeros<double>(W[h].shape())), db.push_back(zeros<double>(b[h].shape()));
    dx.fill(0);
    each(x, [&](std::size_t n, std::size_t h, std::size_t o, std::size_t at) {
      const double g = dy.data()[at];
      db[h].data()[o] += g;
      for (std::size_t i = 0; i < x.size(1); ++i) {
        dW[h].data()[o * x.size(1) + i] += g * x.item(n, i);
        if (!(m.count("last head") && h + 1 < W.size()) && !(m.count("first head") && h > 0))
          dx.data()[n * x.size(1) + i] += g * W[h].value().item(o, i);
      }
    });
    for (std::size_t h = 0; h < W.size(); ++h) W[h].accumulate(dW[h].xt()), b[h].accumulate(db[h].xt());
  }
  template <class F>
  void each(const Tensor<double>& x, F f) const {
    std::size_t at = 0;
    for (std::size_t n = 0; n < x.size(0); ++n)
      for (std::size_t h = 0; h < W.size(); ++h)
        for (std::size_t o = 0; o < widths[h]; ++o) f(n, h, o, at++);
  }
  std::vector<std::size_t> widths;
  std::vector<Parameter<double>> W, b;
  Mistakes m;
};

struct Case {
  std::string name;
  std::function<GradientReport(const Mistakes&)> report;
  std::vector<std::pair<std::string, Cause>> mistakes;
};

Case attention(const std::string& name, MutantAttention::Setting setting, const Shape& shape) {
  Case c{name,
         [=](const Mistakes& m) {
           MutantAttention layer(setting, m);
           return check_gradients(layer, normal(shape));
         },
         {{"no τ", Cause::ScaleMissing},
          {"no τ in dK", Cause::ScaleMissing},
          {"τ²", Cause::ScaleMissing},
          {"τ² in dQ", Cause::ScaleMissing},
          {"no sum", Cause::RowSumMissing},
          {"diagonal", Cause::RowSumMissing},
          {"no diagonal", Cause::JacobianPart},
          {"no Q", Cause::BranchMissing},
          {"V alone", Cause::BranchMissing}}};
  if (setting.causal || setting.padded) c.mistakes.push_back({"mask", Cause::MaskIgnored});
  if (setting.heads > 1) c.mistakes.push_back({"last head", Cause::HeadMissing});
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> all{
      attention("one head", {}, {5, 4}),
      attention("one head, causal", {.causal = true}, {7, 4}),
      attention("one head, causal, no biases, W_O", {.E = 5, .d = 3, .bias = false, .out = true, .causal = true},
                {6, 5}),
      attention("three heads, W_O", {.E = 5, .d = 2, .heads = 3, .out = true}, {4, 5}),
      attention("two heads of three sequences, padded", {.E = 3, .d = 5, .heads = 2, .padded = true}, {3, 5, 3}),
      attention("two heads of two sequences, causal, W_O", {.E = 3, .d = 3, .heads = 2, .out = true, .causal = true},
                {2, 5, 3}),
      attention("three heads, padded", {.E = 4, .d = 2, .heads = 3, .padded = true}, {6, 4})};
  struct Table {
    std::size_t rows, columns;
    Tensor<double> x;
  };
  for (const Table& t : {Table{5, 3, {1, 4, 1, 0}}, Table{3, 7, {2, 2}}, Table{11, 2, {7, 3, 7, 3, 7, 10, 0}}})
    all.push_back({"a table of " + std::to_string(t.rows) + " rows",
                   [=](const Mistakes& m) {
                     MutantEmbedding layer(t.rows, t.columns, m);
                     return check_gradients(layer, t.x);
                   },
                   {{"=", Cause::RowsOverwritten}}});
  for (const Shape& shape : {Shape{5, 3}, Shape{7}, Shape{2, 3, 5}})
    all.push_back({"a residual of " + shape.str(),
                   [=](const Mistakes& m) {
                     MutantResidual layer(m);
                     return check_gradients(layer, normal(shape));
                   },
                   {{"no δ", Cause::BranchMissing}}});
  for (const std::vector<std::size_t>& widths :
       {std::vector<std::size_t>{1, 4}, std::vector<std::size_t>{3, 2}, std::vector<std::size_t>{2, 1, 3}})
    all.push_back({std::to_string(widths.size()) + " heads, " + std::to_string(widths[0]) + " wide",
                   [=](const Mistakes& m) {
                     MutantHeads layer(5, widths, m);
                     return check_gradients(layer, normal({7, 5}));
                   },
                   {{"last head", Cause::HeadMissing}, {"first head", Cause::HeadMissing}}});
  return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_mistake_is_named_wherever_it_is_planted) {
  std::map<Cause, std::set<std::string>> places;
  for (const Case& c : cases()) {
    const GradientReport right = c.report({});
    // The key bias has gradient zero: it adds the same to all scores of a row.
    for (const TensorReport& t : right.tensors)
      BOOST_TEST((t.verdict == Verdict::Pass || (t.name == "b_K" && t.verdict == Verdict::Inconclusive)),
                 c.name << " without a mistake: " << right);
    BOOST_TEST((right.passed() || right.diagnose().cause == Cause::TooFew));
    for (const auto& [mistake, cause] : c.mistakes) {
      const GradientReport report = c.report({mistake});
      const Diagnosis diagnosis = report.diagnose();
      BOOST_TEST(diagnosis.cause == cause, c.name << ", " << mistake << ": " << cause << " expected, got\n"
                                                  << diagnosis << report);
      places[cause].insert(c.name);
    }
  }
  for (const Cause cause : {Cause::ScaleMissing, Cause::RowSumMissing, Cause::MaskIgnored, Cause::HeadMissing,
                            Cause::BranchMissing, Cause::RowsOverwritten})
    BOOST_TEST(places[cause].size() >= 3u, cause << " is planted in " << places[cause].size() << " places");
}

BOOST_AUTO_TEST_CASE(what_is_said) {
  const auto said = [](std::size_t which, const std::string& mistake) {
    const Diagnosis d = cases()[which].report({mistake}).diagnose();
    return d.what + " | " + d.evidence + " | " + d.where;
  };
  BOOST_TEST(said(0, "no τ").find("1/√d is missing in dQ") != std::string::npos, said(0, "no τ"));
  BOOST_TEST(said(0, "no sum").find("dS = P∘dP gives exactly your") != std::string::npos, said(0, "no sum"));
  BOOST_TEST(said(1, "mask").find("forgets the mask") != std::string::npos, said(1, "mask"));
  BOOST_TEST(said(3, "last head").find("head 2 of 3 alone") != std::string::npos, said(3, "last head"));
  BOOST_TEST(said(0, "no Q").find("dQ·W_Q") != std::string::npos, said(0, "no Q"));
}

BOOST_AUTO_TEST_CASE(two_mistakes_are_never_taken_for_a_third) {
  std::size_t pairs = 0;
  for (const Case& c : cases())
    for (std::size_t i = 0; i < c.mistakes.size(); ++i)
      for (std::size_t j = i + 1; j < c.mistakes.size(); ++j) {
        const GradientReport report = c.report({c.mistakes[i].first, c.mistakes[j].first});
        if (report.passed()) continue;
        const Cause cause = report.diagnose().cause;
        ++pairs;
        BOOST_TEST((cause == Cause::Inconclusive || cause == c.mistakes[i].second || cause == c.mistakes[j].second ||
                    cause == Cause::ZeroGradient),
                   c.name << ", " << c.mistakes[i].first << " and " << c.mistakes[j].first << " taken for " << cause);
      }
  BOOST_TEST(pairs > 150u);
}

// The library's own layer, with its stacked weights, in each layout.
BOOST_AUTO_TEST_CASE(packed_weights_are_recognised_too) {
  for (const bool batch_first : {false, true})
    for (const std::size_t heads : {1u, 2u}) {
      struct Wrong : MultiheadAttention<double> {
        using MultiheadAttention<double>::MultiheadAttention;
        void backward_into(const Tensor<double>& x, const Tensor<double>& y, const Tensor<double>& dy,
                           Tensor<double>& dx) override {
          MultiheadAttention<double>::backward_into(x, y, dy, dx);
          Tensor<double>& dW = this->in_proj_weight.accumulate().first;  // dQ = dS·K, without τ
          const double root = std::sqrt(static_cast<double>(this->embed_dim() / this->num_heads()));
          for (std::size_t i = 0; i < this->embed_dim() * this->embed_dim(); ++i) dW.data()[i] *= root;
        }
      } layer(6, heads, {.batch_first = batch_first, .is_causal = heads == 2});
      for (auto& [name, parameter] : layer.named_parameters())
        parameter.value().copy_from(normal(parameter.shape(), 5));
      const GradientReport report = check_gradients(layer, normal({5, 3, 6}));
      BOOST_TEST(report.diagnose().cause == Cause::ScaleMissing, report << report.diagnose());
    }
}

BOOST_AUTO_TEST_CASE(correct_code_is_never_blamed) {
  Generator generator(12);
  const auto size = [&](std::int64_t top) { return static_cast<std::size_t>(generator.random() % top + 1); };
  for (int trial = 0; trial < 1000; ++trial) {
    const std::uint64_t seed = generator.random();
    GradientReport report;
    switch (trial % 5) {
      case 0: {
        const MutantAttention::Setting s{.E = size(4),
                                         .d = size(3),
                                         .heads = size(3),
                                         .bias = size(2) == 1,
                                         .out = size(2) == 1,
                                         .causal = size(2) == 1,
                                         .padded = size(2) == 1};
        MutantAttention layer(s, {});
        report =
            check_gradients(layer, size(2) == 1 ? normal({size(5), s.E}, seed) : normal({size(3), size(5), s.E}, seed));
        break;
      }
      case 1: {
        MutantEmbedding layer(5, size(4), {});
        Tensor<double> x = Tensor<double>::empty({size(6)});
        for (std::size_t i = 0; i < x.numel(); ++i) x.data()[i] = static_cast<double>(generator.random() % 5);
        report = check_gradients(layer, x);
        break;
      }
      case 2: {
        MutantResidual layer({});
        report = check_gradients(layer, normal({size(6), size(6)}, seed));
        break;
      }
      case 3: {
        MutantHeads layer(size(5), {size(3), size(3)}, {});
        report = check_gradients(layer, normal({size(6), layer.W[0].shape()[1]}, seed));
        break;
      }
      default: {
        const std::size_t heads = size(2), E = heads * size(3);
        manual_seed(seed);
        TransformerEncoderLayer<double> layer(E, heads,
                                              {.dim_feedforward = size(4),
                                               .dropout = 0,
                                               .activation = "gelu",
                                               .norm_first = size(2) == 1,
                                               .is_causal = size(2) == 1});
        report = check_gradients(layer, normal({size(4), size(3), E}, seed));
      }
    }
    const Cause cause = report.diagnose().cause;
    const bool innocent = report.verdict() != Verdict::Fail && (cause == Cause::None || cause == Cause::Kink ||
                                                                cause == Cause::ZeroGradient || cause == Cause::TooFew);
    BOOST_TEST(innocent, "trial " << trial << ": " << report << report.diagnose());
  }
}
