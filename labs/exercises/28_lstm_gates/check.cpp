#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

struct Gates {
  double i, f, g, o;
};
Gates gates(const Matrix& a, int n, int j) {
  const int H = a.cols() / 4;
  return {sigmoid(a(n, j)), sigmoid(a(n, H + j)), std::tanh(a(n, 2 * H + j)), sigmoid(a(n, 3 * H + j))};
}

Matrix cell(const Matrix& a, const Matrix& s) {
  Matrix c(s.rows(), s.cols());
  for (int n = 0; n < s.rows(); ++n)
    for (int j = 0; j < s.cols(); ++j) c(n, j) = gates(a, n, j).f * s(n, j) + gates(a, n, j).i * gates(a, n, j).g;
  return c;
}
Matrix shown(const Matrix& a, const Matrix& c, bool squashed = true) {
  Matrix h = c;
  for (int n = 0; n < c.rows(); ++n)
    for (int j = 0; j < c.cols(); ++j) h(n, j) = gates(a, n, j).o * (squashed ? std::tanh(c(n, j)) : c(n, j));
  return h;
}

enum class Fault { None, Cut, NoTanh, NoSigmaO, NewCell, GAtCell, KeptGate, SwappedIF, SwappedIO, SwappedFO };

struct Gradients {
  Matrix da, ds;
};
Gradients gradients(const Matrix& dh, const Matrix& dc, const Matrix& a, const Matrix& s, const Matrix& c,
                    Fault fault = Fault::None) {
  const int H = s.cols();
  Gradients d{Matrix(s.rows(), 4 * H), Matrix(s.rows(), H)};
  for (int n = 0; n < s.rows(); ++n)
    for (int j = 0; j < H; ++j) {
      const auto [i, f, g, o] = gates(a, n, j);
      const double t = std::tanh(c(n, j));
      const double all = (fault == Fault::Cut ? 0 : dc(n, j)) + dh(n, j) * o * (fault == Fault::NoTanh ? 1 : 1 - t * t);
      double blocks[4] = {all * g * i * (1 - i), all * (fault == Fault::NewCell ? c(n, j) : s(n, j)) * f * (1 - f),
                          all * i * (fault == Fault::GAtCell ? 1 - t * t : 1 - g * g),
                          dh(n, j) * t * (fault == Fault::NoSigmaO ? 1 : o * (1 - o))};
      if (fault == Fault::SwappedIF) std::swap(blocks[0], blocks[1]);
      if (fault == Fault::SwappedIO) std::swap(blocks[0], blocks[3]);
      if (fault == Fault::SwappedFO) std::swap(blocks[1], blocks[3]);
      for (int k = 0; k < 4; ++k) d.da(n, k * H + j) = blocks[k];
      d.ds(n, j) = all * f * (fault == Fault::KeptGate ? 1 - f : 1);
    }
  return d;
}

}  // namespace

EXERCISE(lstm_gates, {"lstm_cell", "lstm_cell_backward"}) {
  const auto forward = check.function<Matrix(const Matrix&, const Matrix&, Matrix&)>("lstm_cell");
  const auto backward =
      check.function<void(const Matrix&, const Matrix&, const Matrix&, const Matrix&, const Matrix&, Matrix&, Matrix&)>(
          "lstm_cell_backward");
  check.on_paper(3, [=](int k) -> Paper {  // a = 0 makes i = f = o = ½, g = 0
    const int N = k == 2 ? 2 : 1, H = k == 2 ? 2 : 1;
    const Matrix a = k == 0 ? Matrix(N, 4 * H) : each(paper_matrix(N, 4 * H, 0), [](double v) { return v / 2; }),
                 s = paper_matrix(N, H, 1), dh = paper_matrix(N, H, 2), dc = paper_matrix(N, H, 3), c = cell(a, s);
    Matrix got_c(N, H);
    const Tensor<double> got_h = tensor(forward(a, s, got_c));
    Gradients got{Matrix(N, 4 * H), Matrix(N, H)};
    backward(dh, dc, a, s, c, got.da, got.ds);
    const Gradients right = gradients(dh, dc, a, s, c);
    return first_wrong({{"a", tensor(a)}, {"s", tensor(s)}, {"dh", tensor(dh)}, {"dc", tensor(dc)}},
                       {{"c", tensor(got_c), tensor(c)},
                        {"h", got_h, tensor(shown(a, c))},
                        {"da", tensor(got.da), tensor(right.da)},
                        {"ds", tensor(got.ds), tensor(right.ds)}});
  });
  const int N = 5, H = 3;
  const Matrix a = random_matrix(N, 4 * H, 1), s = random_matrix(N, H, 2), dh = random_matrix(N, H, 3),
               dc = random_matrix(N, H, 4), c = cell(a, s);
  Matrix got_c(N, H);
  const Matrix got_h = forward(a, s, got_c);
  check.value("c", tensor(got_c), tensor(c));
  check.value(
      "h", tensor(got_h), tensor(shown(a, c)),
      {{tensor(shown(a, c, false)), Cause::Other, "tanh of the cell is missing", "it is o∘c", "h = o∘tanh(c)"}});
  Gradients got{Matrix(N, 4 * H), Matrix(N, H)};
  backward(dh, dc, a, s, c, got.da, got.ds);

  const std::string where =
      "c = f∘s + i∘g, h = o∘tanh(c): d = dc + dh∘o(1 − tanh²c), then each factor and its σ′ or tanh′";
  const auto mistakes = [&](const std::function<Tensor<double>(const Gradients&)>& part) {
    const auto with = [&](Fault fault) { return part(gradients(dh, dc, a, s, c, fault)); };
    const std::string order = "the blocks of a, and so of da, are i, f, g, o";
    return std::vector<KnownMistake>{
        {with(Fault::Cut), Cause::StateGradientDropped, "dc, which comes from the step after, is missing",
         "it is made with d = dh∘o(1 − tanh²c)", where},
        {with(Fault::NoTanh), Cause::DerivativeMissing, "the derivative of tanh(c) is missing: 1 − tanh²c",
         "it is made with d = dc + dh∘o", where},
        {with(Fault::NoSigmaO), Cause::DerivativeMissing, "the derivative of the output gate is missing: o(1 − o)",
         "its block is dh∘tanh(c)", where},
        {with(Fault::NewCell), Cause::WrongState, "the forget gate's gradient is made of c, the new cell",
         "its block is d∘c∘f(1−f)", "f multiplies the cell before: d∘s∘f(1−f)"},
        {with(Fault::GAtCell), Cause::WrongVariable, "the derivative of g is taken at c; it is 1 − g²",
         "its block is d∘i∘(1 − tanh²c)", where},
        {with(Fault::KeptGate), Cause::ExtraDerivative, "f's own derivative is on the way to s", "it is d∘f(1−f)",
         "s goes straight into c = f∘s + …: ds = d∘f"},
        {with(Fault::SwappedIF), Cause::GatesSwapped, "the blocks of i and f are swapped", "swapping them, it is right",
         order},
        {with(Fault::SwappedIO), Cause::GatesSwapped, "the blocks of i and o are swapped", "swapping them, it is right",
         order},
        {with(Fault::SwappedFO), Cause::GatesSwapped, "the blocks of f and o are swapped", "swapping them, it is right",
         order}};
  };
  GradientStep step;
  using T = Tensor<double>;
  const auto both = [&](const Matrix& sums, const Matrix& before) {  // S = Σ h∘dh + Σ c∘dc
    const Matrix now = cell(sums, before);
    Tensor<double> terms = projected(shown(sums, now), dh), of_c = projected(now, dc);
    for (std::size_t k = 0; k < terms.numel(); ++k) terms.data()[k] += of_c.data()[k];
    return terms;
  };
  check.gradient({"da", tensor(got.da), tensor(a), [&](const T& v) { return both(matrix(v), s); }, step,
                  mistakes([](const Gradients& d) { return tensor(d.da); })});
  check.gradient({"ds", tensor(got.ds), tensor(s), [&](const T& v) { return both(a, matrix(v)); }, step,
                  mistakes([](const Gradients& d) { return tensor(d.ds); })});
}
