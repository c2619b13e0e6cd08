// Mistakes of backpropagation through time, planted in recurrent layers written as by a learner, with four cells and
// several shapes: each gets its name. Correct layers, and those with other mistakes, never do.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>

#include "check/mutants.hpp"
#include "handgrad/layers/recurrent.hpp"

using namespace handgrad;
using handgrad::test::Mistakes;

namespace {

/// y = h of all steps, x (T, N, I); gates in PyTorch's order, from h₀ = c₀ = 0. Each step's vectors are kept in turn.
class MutantRecurrent : public Layer<double> {
 public:
  MutantRecurrent(std::string cell, std::size_t in, std::size_t units, Mistakes mistakes)
      : m(std::move(mistakes)), cell_(std::move(cell)), in_(in), H(units) {
    G = cell_ == "LSTM" ? 4 : cell_ == "GRU" ? 3 : 1;
    Generator generator(in + 100 * units + G);
    for (Parameter<double>* p : {&W, &U, &b, &d}) {
      const Shape shape = p == &W ? Shape{G * H, in} : p == &U ? Shape{G * H, H} : Shape{G * H};
      Tensor<double> value = randn<double>(shape, generator);
      for (double* v = value.data(); v != value.data() + value.numel(); ++v) *v *= 0.7;
      if (cell_ == "relu" && p == &b)  // keep units alive
        for (double* v = value.data(); v != value.data() + value.numel(); ++v) *v = 0.5 + std::abs(*v);
      *p = register_parameter(p == &W ? "W" : p == &U ? "U" : p == &b ? "b" : "d", value);
    }
  }
  Shape output_shape(const Shape& x) const override { return {x[0], x[1], H}; }
  Mistakes m;
  Parameter<double> W, U, b, d;

 protected:
  struct Unit {  // one unit in one step
    double h = 0, c = 0, a[4] = {}, y[4] = {}, q = 0;
  };
  static double squash(double z) { return 1 / (1 + std::exp(-z)); }

  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    const std::size_t T = x.size(0), N = x.size(1);
    units_.assign((T + 1) * N * H, Unit());
    for (std::size_t t = 0; t < T; ++t)
      for (std::size_t n = 0; n < N; ++n)
        for (std::size_t j = 0; j < H; ++j) {
          Unit& u = at(t + 1, n, j, N);
          const Unit& before = at(t, n, j, N);
          for (std::size_t g = 0; g < G; ++g) {
            const std::size_t row = g * H + j;
            double p = b.value().data()[row], q = d.value().data()[row];
            for (std::size_t i = 0; i < in_; ++i)
              p += W.value().data()[row * in_ + i] * x.data()[(t * N + n) * in_ + i];
            for (std::size_t k = 0; k < H; ++k) q += U.value().data()[row * H + k] * at(t, n, k, N).h;
            u.q = q;
            u.a[g] = cell_ == "GRU" && g == 2 ? p + u.y[0] * q : p + q;
            u.y[g] = G > 1 && g != 2 ? squash(u.a[g]) : cell_ == "relu" ? std::max(u.a[g], 0.0) : std::tanh(u.a[g]);
          }
          u.c = u.y[1] * before.c + u.y[0] * u.y[2];
          u.h = cell_ == "LSTM"  ? u.y[3] * std::tanh(u.c)
                : cell_ == "GRU" ? (1 - u.y[1]) * u.y[2] + u.y[1] * before.h
                                 : u.y[0];
          y.data()[(t * N + n) * H + j] = u.h;
        }
  }

  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    const std::size_t T = x.size(0), N = x.size(1);
    std::vector<double> dW(W.numel()), dU(U.numel()), db(G * H), dd(G * H), to_h(N * H), to_c(N * H);
    dx.fill(0);
    for (std::size_t t = T; t-- > (m.count("last step") ? T - 1 : 0);) {
      std::vector<double> next(N * H), dp(N * G * H), dq(N * G * H);
      if (m.count("cut") || m.count("cut h")) std::fill(to_h.begin(), to_h.end(), 0);
      if (m.count("cut") || m.count("cut c")) std::fill(to_c.begin(), to_c.end(), 0);
      if (m.count("=")) dW.assign(dW.size(), 0), dU.assign(dU.size(), 0), db.assign(G * H, 0), dd.assign(G * H, 0);
      for (std::size_t n = 0; n < N; ++n)
        for (std::size_t j = 0; j < H; ++j) {
          const Unit &u = at(t + 1, n, j, N), &before = at(t, n, j, N);
          const double dh = to_h[n * H + j] + dy.data()[(t * N + n) * H + j];
          double g[4] = {}, last = 0;
          if (cell_ == "LSTM") {
            const double tc = std::tanh(u.c), slope = m.count("tanh c") ? 1
                                                      : m.count("1−c²") ? 1 - u.c * u.c
                                                                        : 1 - tc * tc;
            const double dc = to_c[n * H + j] + dh * u.y[3] * slope;
            g[0] = dc * u.y[2] * phi(u, 0), g[1] = dc * (m.count("new c") ? u.c : before.c) * phi(u, 1);
            g[2] = dc * u.y[0] * phi(u, 2), g[3] = dh * tc * phi(u, 3);
            to_c[n * H + j] = dc * u.y[1];
          } else if (cell_ == "GRU") {
            const double z = m.count("1−z") ? 1 - u.y[1] : u.y[1];
            g[2] = dh * (1 - z) * phi(u, 2);
            g[1] = dh * (before.h - u.y[2]) * phi(u, 1);
            g[0] = g[2] * u.q * phi(u, 0);
            last = m.count("no r") || m.count("r at h") ? g[2] : g[2] * u.y[0];
            next[n * H + j] += dh * z;
          } else {
            g[0] = dh * phi(u, 0);
          }
          if (m.count("swap 0 1")) std::swap(g[0], g[1]);
          if (m.count("swap 0 3")) std::swap(g[0], g[3]);
          if (m.count("swap 1 3")) std::swap(g[1], g[3]);
          for (std::size_t k = 0; k < G; ++k) {
            dp[(n * G + k) * H + j] = (m.count("twice") ? 2 : 1) * g[k];
            dq[(n * G + k) * H + j] = cell_ == "GRU" && k == 2 ? last : dp[(n * G + k) * H + j];
          }
        }
      if (m.count("r at h"))  // as if n = tanh(p + U·(r∘h₋))
        for (std::size_t n = 0; n < N; ++n)
          for (std::size_t j = 0; j < H; ++j) {
            double to_h_before = 0;
            for (std::size_t k = 0; k < H; ++k)
              to_h_before += dp[(n * G + 2) * H + k] * U.value().data()[(2 * H + k) * H + j] * at(t, n, j, N).h;
            dp[n * G * H + j] = dq[n * G * H + j] = to_h_before * phi(at(t + 1, n, j, N), 0);
          }
      for (std::size_t n = 0; n < N; ++n)
        for (std::size_t j = 0; j < H; ++j)
          for (std::size_t k = 0; k < G; ++k) {
            const std::size_t row = k * H + j;
            const double p = dp[(n * G + k) * H + j], q = dq[(n * G + k) * H + j];
            db[row] += p, dd[row] += q;
            for (std::size_t i = 0; i < in_; ++i) {
              dW[row * in_ + i] += p * x.data()[(t * N + n) * in_ + i];
              dx.data()[(t * N + n) * in_ + i] += p * W.value().data()[row * in_ + i];
            }
            for (std::size_t c = 0; c < H; ++c) {
              const double r = m.count("r at h") && k == 2 ? at(t + 1, n, c, N).y[0] : 1;
              dU[row * H + c] += q * r * at(m.count("new h") ? t + 1 : t, n, c, N).h;
              next[n * H + c] += q * r * U.value().data()[m.count("U transposed") ? c * H + j : row * H + c];
            }
          }
      to_h = next;
    }
    write(W, dW), write(U, dU), write(b, db), write(d, dd);
  }

  void kink_sides(const Tensor<double>&, std::vector<bool>& sides) const override {
    if (cell_ != "relu") return;
    for (const Unit& u : units_) sides.push_back(u.a[0] > 0);
  }

 private:
  Unit& at(std::size_t t, std::size_t n, std::size_t j, std::size_t N) { return units_[(t * N + n) * H + j]; }
  double phi(const Unit& u, std::size_t g) const {
    const bool squashes = G > 1 && g != 2;
    if (m.count("no φ′ " + std::to_string(g))) return 1;
    if (cell_ == "relu") return u.y[g] > 0;
    double v = u.y[g];
    if (m.count("at a " + std::to_string(g))) v = u.a[g];
    return squashes ? v * (1 - v) : 1 - v * v;
  }
  static void write(Parameter<double>& p, const std::vector<double>& values) {
    auto [grad, beta] = p.accumulate();
    for (std::size_t i = 0; i < values.size(); ++i) grad.data()[i] = (beta == 0 ? 0 : grad.data()[i]) + values[i];
  }
  std::string cell_;
  std::size_t in_, H, G = 1;
  std::vector<Unit> units_;
};

struct Planted {
  const char* mistake;
  Cause cause;
  std::set<std::string> cells;
};
const Planted planted[] = {{"cut", Cause::StateGradientDropped, {"tanh", "relu", "LSTM", "GRU"}},
                           {"cut h", Cause::StateGradientDropped, {"LSTM"}},
                           {"cut c", Cause::StateGradientDropped, {"LSTM"}},
                           {"last step", Cause::LastStepOnly, {"tanh", "relu", "LSTM", "GRU"}},
                           {"=", Cause::Overwritten, {"tanh", "LSTM", "GRU"}},
                           {"new h", Cause::WrongState, {"tanh", "relu", "LSTM", "GRU"}},
                           {"new c", Cause::WrongState, {"LSTM"}},
                           {"no φ′ 0", Cause::DerivativeMissing, {"tanh", "relu", "LSTM", "GRU"}},
                           {"no φ′ 2", Cause::DerivativeMissing, {"LSTM", "GRU"}},
                           {"tanh c", Cause::DerivativeMissing, {"LSTM"}},
                           {"at a 0", Cause::WrongVariable, {"tanh", "LSTM", "GRU"}},
                           {"at a 2", Cause::WrongVariable, {"LSTM", "GRU"}},
                           {"1−c²", Cause::WrongVariable, {"LSTM"}},
                           {"swap 0 1", Cause::GatesSwapped, {"LSTM", "GRU"}},
                           {"swap 0 3", Cause::GatesSwapped, {"LSTM"}},
                           {"swap 1 3", Cause::GatesSwapped, {"LSTM"}},
                           {"1−z", Cause::GatesSwapped, {"GRU"}},
                           {"no r", Cause::ResetGate, {"GRU"}},
                           {"r at h", Cause::ResetGate, {"GRU"}},
                           {"twice", Cause::Inconclusive, {"tanh", "LSTM", "GRU"}}};

struct Size {
  std::size_t steps, batch, in, units;
};
const Size sizes[] = {{3, 2, 3, 5}, {5, 1, 2, 3}, {4, 3, 5, 2}};

}  // namespace

BOOST_AUTO_TEST_CASE(mistakes_in_time_are_named) {
  Generator generator(21);
  for (const Planted& p : planted)
    for (const std::string& cell : p.cells)
      for (const Size& s : sizes) {
        MutantRecurrent right(cell, s.in, s.units, {}), layer(cell, s.in, s.units, {p.mistake});
        const Tensor<double> x = randn<double>({s.steps, s.batch, s.in}, generator);
        const GradientReport sound = check_gradients(right, x), report = check_gradients(layer, x);
        BOOST_TEST(sound.passed(), sound);
        BOOST_TEST((report.verdict() == Verdict::Fail), cell << ", " << p.mistake);
        if (p.cause != Cause::Inconclusive)
          BOOST_TEST(report.diagnose().cause == p.cause,
                     cell << ", " << p.mistake << ", " << s.steps << " steps: " << report << report.diagnose());
      }
}

BOOST_AUTO_TEST_CASE(two_mistakes_in_time_are_never_taken_for_a_third) {
  Generator generator(22);
  std::size_t named = 0;
  for (std::size_t i = 0; i < std::size(planted); ++i)
    for (std::size_t j = i + 1; j < std::size(planted); ++j)
      for (const std::string& cell : planted[i].cells) {
        if (!planted[j].cells.count(cell)) continue;
        MutantRecurrent layer(cell, 3, 5, {planted[i].mistake, planted[j].mistake});
        const GradientReport report = check_gradients(layer, randn<double>({3, 2, 3}, generator));
        if (report.passed()) continue;
        const Cause cause = report.diagnose().cause;
        named += cause != Cause::Inconclusive;
        const auto is = [&](const Planted& p) {
          return cause == p.cause || (p.cause == Cause::Inconclusive && cause == Cause::Factor);
        };
        // Without φ′ and recurrence, db is Σ δ, which indeed ignores x; the diagnosis may say so.
        const bool ignores_x = cause == Cause::StaleCache && (planted[i].cause == Cause::DerivativeMissing ||
                                                              planted[j].cause == Cause::DerivativeMissing);
        BOOST_TEST((cause == Cause::Inconclusive || ignores_x || is(planted[i]) || is(planted[j])),
                   cell << ", " << planted[i].mistake << " and " << planted[j].mistake << " taken for " << cause);
      }
  BOOST_TEST(named > 0u);
}

BOOST_AUTO_TEST_CASE(a_transposed_U_is_not_taken_for_one_of_them) {
  Generator generator(23);
  for (const Size& s : sizes) {
    MutantRecurrent layer("tanh", s.in, s.units, {"U transposed"});
    const Cause cause = check_gradients(layer, randn<double>({s.steps, s.batch, s.in}, generator)).diagnose().cause;
    BOOST_TEST((cause == Cause::Inconclusive || cause == Cause::Transposed), cause);
  }
}

BOOST_AUTO_TEST_CASE(right_recurrent_layers_are_never_blamed) {
  Generator generator(24);
  const auto size = [&](std::uint32_t top) { return std::size_t(generator.random() % top + 1); };
  for (int trial = 0; trial < 300; ++trial) {
    manual_seed(generator.random());
    const std::size_t T = size(4), N = size(3), I = size(4), H = size(4);
    const RecurrentOptions options{.num_layers = size(2),
                                   .bias = trial % 5 != 0,
                                   .batch_first = trial % 3 == 0,
                                   .bidirectional = trial % 7 == 0,
                                   .output = trial % 4 == 0 ? Steps::Last : Steps::All};
    std::shared_ptr<Recurrent<double>> layer;
    if (trial % 3 == 0) layer = std::make_shared<LSTM<double>>(I, H, options);
    if (trial % 3 == 1) layer = std::make_shared<GRU<double>>(I, H, options);
    if (trial % 3 == 2)
      layer = std::make_shared<RNN<double>>(I, H,
                                            RNNOptions{options.num_layers, trial % 2 ? "relu" : "tanh", options.bias,
                                                       options.batch_first, 0, options.bidirectional, options.output});
    const bool given = trial % 2 == 0;
    const Shape states{options.num_layers * layer->num_directions(), N, H};
    if (given) layer->set_state({randn<double>(states), trial % 3 == 0 ? randn<double>(states) : Tensor<double>()});
    const GradientReport report =
        check_gradients(*layer, randn<double>(options.batch_first ? Shape{N, T, I} : Shape{T, N, I}));
    BOOST_TEST((report.verdict() != Verdict::Fail), "trial " << trial << ": " << report << report.diagnose());
  }
}
