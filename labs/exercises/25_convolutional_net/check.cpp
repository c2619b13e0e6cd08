#include <cstdio>

#include "exercises/engine/convolution.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

struct Net {
  std::vector<Matrix> W;
  Vector v = random_vector(4, 11);
  double b = 0.1;
  Net() {
    for (std::uint64_t f = 0; f < 4; ++f) W.push_back(random_matrix(3, 3, 20 + f));
  }
  /// Before the ReLU.
  Matrix found(const Matrix& x, int f) const { return correlated(x, W[static_cast<std::size_t>(f)]); }
  double mean(const Matrix& x, int f) const {
    const Matrix a = found(x, f);
    double sum = 0;
    for (const double found_here : a.elements()) sum += std::max(found_here, 0.0);
    return sum / ((x.rows() - 2) * (x.cols() - 2));
  }
  double z(const Matrix& x) const {
    double sum = b;
    for (int f = 0; f < v.size(); ++f) sum += v(f) * mean(x, f);
    return sum;
  }
  Tensor<double> loss(const std::vector<Matrix>& x, const Vector& t) const {
    Vector terms(t.size());
    for (int n = 0; n < t.size(); ++n) {
      const double at = z(x[static_cast<std::size_t>(n)]);
      terms(n) = (std::max(at, 0.0) - at * t(n) + std::log1p(std::exp(-std::abs(at)))) / t.size();
    }
    return tensor(terms);
  }
};

/// (before − after)/η
template <class M>
Tensor<double> gradient(const M& before, const M& after, double lr) {
  Tensor<double> g = tensor(before);
  for (std::size_t i = 0; i < g.numel(); ++i) g.data()[i] = (g.data()[i] - tensor(after).data()[i]) / lr;
  return g;
}

/// Bars on a little noise: horizontal ones are labelled 1.
void bars(int N, std::vector<Matrix>& x, Vector& t) {
  t = Vector(N);
  for (int n = 0; n < N; ++n) {
    Matrix image = each(random_matrix(6, 7, 100 + static_cast<std::uint64_t>(n)), [](double v) { return 0.1 * v; });
    t(n) = n % 2;
    for (int k = 0; k < 6; ++k) (n % 2 ? image(n / 2 % 6, k) : image(k, n / 2 % 7)) += 1;
    x.push_back(image);
  }
}

/// The filters that were learnt, row by row beside each other: # for a large weight, + for one half as large, the same
/// below 0 as = and -.
std::string filters(const Net& net) {
  std::string text =
      "The filters that your network has learnt: # and + for weights above 0, = and - below; under each what it says, "
      "v:\nabove 0 for a horizontal bar, below for a vertical one.\n\n";
  double most = 0;
  for (const Matrix& w : net.W)
    for (const double weight : w.elements()) most = std::max(most, std::abs(weight));
  for (int p = 0; p < 3; ++p, text += '\n')
    for (const Matrix& w : net.W) {
      text += "    ";
      for (int q = 0; q < 3; ++q) {
        const double size = std::abs(w(p, q)) / most;
        text += std::string(size < 0.25   ? "·"
                            : w(p, q) > 0 ? (size < 0.6 ? "+" : "#")
                                          : (size < 0.6 ? "-" : "=")) +
                " ";
      }
    }
  for (int f = 0; f < net.v.size(); ++f) {
    char number[24];
    std::snprintf(number, sizeof number, "    %-6.2f", net.v(f));
    text += number;
  }
  return text + "\n";
}

}  // namespace

EXERCISE(convolutional_net, {"net_step"}) {
  const auto step =
      check.function<void(const std::vector<Matrix>&, const Vector&, std::vector<Matrix>&, Vector&, double&, double)>(
          "net_step");
  const double lr = 0.5;
  check.on_paper(3, [=](int k) -> Paper {  // one filter that looks at the middle alone; z = 0, so p = 1/2
    Net net;
    const int N = k < 2 ? 1 : 2, cols = k == 0 ? 3 : 4;
    net.W = {Matrix(3, 3)}, net.v = Vector{2}, net.b = 0;
    net.W[0](1, 1) = 1;
    if (k == 2) net.W[0](0, 1) = -1;
    std::vector<Matrix> x;
    Vector t(N);
    for (int n = 0; n < N; ++n) x.push_back(paper_matrix(3, cols, k + n)), t(n) = n;
    if (k < 2) net.b = -net.z(x[0]);
    using T = Tensor<double>;
    const auto stepped = [&](const T& before, const auto& put) {
      const T d = slope(before, [&](const T& value) {
        Net moved = net;
        put(moved, value);
        return moved.loss(x, t);
      });
      T after = before.clone();
      for (std::size_t i = 0; i < after.numel(); ++i) after.data()[i] -= lr * d.data()[i];
      return after;
    };
    Net after = net;
    step(x, t, after.W, after.v, after.b, lr);
    std::vector<std::pair<std::string, T>> inputs;
    for (int n = 0; n < N; ++n) inputs.emplace_back("x" + std::to_string(n), tensor(x[static_cast<std::size_t>(n)]));
    inputs.insert(
        inputs.end(),
        {{"t", tensor(t)}, {"W0", tensor(net.W[0])}, {"v", tensor(net.v)}, {"b", tensor(net.b)}, {"lr", tensor(lr)}});
    return first_wrong(
        inputs, {{"b", tensor(after.b), stepped(tensor(net.b), [](Net& o, const T& value) { o.b = value.item(); })},
                 {"v", tensor(after.v), stepped(tensor(net.v), [](Net& o, const T& value) { o.v = vector(value); })},
                 {"W0", tensor(after.W[0]),
                  stepped(tensor(net.W[0]), [](Net& o, const T& value) { o.W[0] = matrix(value); })}});
  });
  std::vector<Matrix> x;
  Vector t;
  bars(7, x, t);
  const Net net;
  Net after = net;
  step(x, t, after.W, after.v, after.b, lr);
  GradientStep about;
  about.batch = 7;
  using T = Tensor<double>;
  double last = 0, db = 0;
  Vector dv(4);
  std::vector<Matrix> dW(4, Matrix(3, 3));
  T unmasked = tensor(net.W[0]), turned = unmasked.clone(), no_mean = unmasked.clone();
  unmasked.fill(0), turned.fill(0), no_mean.fill(0);
  for (int n = 0; n < 7; ++n) {
    const Matrix& image = x[static_cast<std::size_t>(n)];
    const double delta = (sigmoid(net.z(image)) - t(n)) / 7, dh = delta * net.v(0) / 20;
    last = delta;
    db += delta;
    for (int f = 0; f < 4; ++f) {
      dv(f) += delta * net.mean(image, f);
      const Matrix a = net.found(image, f);
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 5; ++j)
          for (int k = 0; k < 9 && a(i, j) > 0; ++k)
            dW[static_cast<std::size_t>(f)](k / 3, k % 3) += delta * net.v(f) / 20 * image(i + k / 3, j + k % 3);
    }
    const Matrix a = net.found(image, 0);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 5; ++j)
        for (std::size_t k = 0; k < 9; ++k) {
          const double share = dh * image(i + static_cast<int>(k) / 3, j + static_cast<int>(k) % 3);
          unmasked.data()[k] += share;
          if (a(i, j) <= 0) continue;
          turned.data()[8 - k] += share;
          no_mean.data()[k] += 20 * share;
        }
  }
  const auto moved = [&](auto change) {
    Net other = net;
    change(other);
    return other.loss(x, t);
  };
  // What a step's (before − after)/η is when v is changed before the filters' gradients are made of it: after the whole
  // batch, or with each image at once, which the next ones then meet.
  const auto db_of_moving = [&](bool b_too) {
    Net moving = net;
    double sum = 0;
    for (int n = 0; n < 7; ++n) {
      const Matrix& image = x[static_cast<std::size_t>(n)];
      const double delta = (sigmoid(moving.z(image)) - t(n)) / 7;
      sum += delta;
      for (int f = 0; f < 4; ++f) moving.v(f) -= lr * delta * net.mean(image, f);
      if (b_too) moving.b -= lr * delta;
    }
    return tensor(sum);
  };
  const auto early = [](const T& wrong) {
    return KnownMistake{
        wrong, Cause::UpdatedTooEarly, "v is updated too early: the filters' gradients still need the old one",
        "it is made with a v that has been changed already", "first all of db, dv, dW, then the lines w −= η·dw"};
  };
  T early_dW0 = tensor(dW[0]);
  for (std::size_t k = 0; k < 9; ++k) early_dW0.data()[k] *= 1 - lr * dv(0) / net.v(0);
  const bool all_uphill =
      gradient(net.b, after.b, lr).item() * db < 0 && gradient(net.v, after.v, lr).item(0) * dv(0) < 0;
  const auto uphill = [&](T right, const std::string& name) {
    for (std::size_t i = 0; i < right.numel(); ++i) right.data()[i] *= -1;
    return KnownMistake{right, Cause::Sign,
                        all_uphill ? "the whole step goes uphill: its sign is wrong"
                                   : "the update of " + name + " goes uphill: it adds where it must subtract",
                        "it is " + name + " + η·d" + name,
                        all_uphill ? "p − t in δ, or the lines w −= η·dw" : name + " −= η·d" + name};
  };
  check.gradient({"db",
                  gradient(net.b, after.b, lr),
                  tensor(net.b),
                  [&](const T& value) { return moved([&](Net& o) { o.b = value.item(); }); },
                  about,
                  {{tensor(last), Cause::BiasNotSummed, "db is not summed over the images",
                    "it is the last one's share", "db += in the loop over n"},
                   uphill(tensor(db), "b"),
                   early(db_of_moving(false)),
                   early(db_of_moving(true))}});
  check.gradient({"dv",
                  gradient(net.v, after.v, lr),
                  tensor(net.v),
                  [&](const T& value) { return moved([&](Net& o) { o.v = vector(value); }); },
                  about,
                  {uphill(tensor(dv), "v")}});
  for (std::size_t f = 0; f < 4; ++f) {
    std::vector<KnownMistake> mistakes;
    if (f == 0)
      mistakes = {{unmasked, Cause::DerivativeMissing, "the ReLU's derivative is missing",
                   "it is what comes of all places, also of those with h = 0", "[h > 0] in front of dh·x"},
                  {turned, Cause::FactorsSwapped, "dW is turned by 180°: x and δ are exchanged",
                   "dW(2 − u, 2 − v) is right", "dW(u, v) goes with x(i + u, j + v)"},
                  early(early_dW0),
                  {no_mean, Cause::Other, "the 1/P of the mean is missing",
                   "it is 20 times too large, as many places as there are", "∂m/∂h = 1/P"}};
    mistakes.push_back(uphill(tensor(dW[f]), "W"));
    check.gradient({"dW" + std::to_string(f), gradient(net.W[f], after.W[f], lr), tensor(net.W[f]),
                    [&](const T& value) { return moved([&](Net& o) { o.W[f] = matrix(value); }); }, about, mistakes});
  }
  if (!check.report().passed()) return;
  x.clear();
  bars(26, x, t);
  Net trained;
  for (int k = 0; k < 400; ++k) step(x, t, trained.W, trained.v, trained.b, 2);
  check.picture(filters(trained));
  double loss = 0;
  for (const double term : trained.loss(x, t).to_vector()) loss += term;
  check.holds("the bars are told apart", loss < 0.1,
              {{},
               Cause::Other,
               "the net does not learn, though one step is right",
               "after 400 steps the loss is " + std::to_string(loss),
               "what a step leaves behind for the next one"});
}
