// Notebook 003, its first part: a straight line through 100 points by gradient descent. The derivation, garbled in the
// notebook, is written out in README.md beside this file.
#include <algorithm>
#include <array>
#include <cmath>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/lab.hpp"
#include "common/plot.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

/// t = x + noise, and the initial line y = a·x + b.
struct Data {
  Tensor<double> x, t;  // (100, 1)
  double a, b;
};

Data draw_data() {
  constexpr std::size_t n = 100;
  hg::NumpyRandom random(0);
  const auto x = hg::linspace<double>(0, 1, n).reshape({n, 1});
  const Tensor<double> noise({n, 1}, random.randn(n));
  const Tensor<double> t = x.xt() + 0.1 * noise.xt();
  const double a = random.rand(), b = random.rand();
  return {x, t, a, b};
}

/// L(a, b) = (1/N) Σ (yᵢ − tᵢ)²
double mse(const Data& data, double a, double b) { return xt::mean(xt::square(a * data.x.xt() + b - data.t.xt()))(); }

struct Gradient {
  double da, db;
};

/// ∂L/∂a = (2/N) Σ (yᵢ − tᵢ)·xᵢ,   ∂L/∂b = (2/N) Σ (yᵢ − tᵢ)
Gradient gradient(const Data& data, double a, double b) {
  const Tensor<double> delta = 2 * (a * data.x.xt() + b - data.t.xt()) / static_cast<double>(data.x.numel());
  return {xt::sum(delta.xt() * data.x.xt())(), xt::sum(delta.xt())()};
}

struct Point {
  double a, b, loss;
};

/// The points along the descent: before each step, and after the last.
std::vector<Point> descend(const Data& data, double lr, int steps) {
  std::vector<Point> path{{data.a, data.b, mse(data, data.a, data.b)}};
  for (int i = 0; i < steps; ++i) {
    auto [a, b, loss] = path.back();
    const auto [da, db] = gradient(data, a, b);
    a -= lr * da;
    b -= lr * db;
    path.push_back({a, b, mse(data, a, b)});
  }
  return path;
}

/// The same with Linear(1, 1), MSELoss and SGD: the loss before each step.
std::vector<double> descend_with_layers(hg::Linear<double>& line, const Data& data, double lr, int steps) {
  hg::MSELoss<double> loss;
  hg::SGD<double> sgd(line.parameters(), {.lr = lr});
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) {
    losses.push_back(loss.forward(line.forward(data.x), data.t).item());
    sgd.zero_grad();
    line.backward(loss.backward());
    sgd.step();
  }
  return losses;
}

// ---- the sections ----

void derivative_section(const Lab& lab, const Data& data) {
  lab.section("2  What a derivative is", "1");
  const double a = data.a, b = data.b, loss = mse(data, a, b);
  const auto [da, db] = gradient(data, a, b);
  std::cout << "The notebook approximates it by (f(x) − f(x+ε))/ε, and finds it negative where f grows. It is the\n"
               "other way round: f′(x) = lim (f(x+ε) − f(x))/ε. For L as a function of a:\n\n"
               "        ε    (L(a+ε) − L(a))/ε    (L(a+ε) − L(a−ε))/2ε    ∂L/∂a by the formula\n";
  for (const double step : {1e-1, 1e-3, 1e-5, 1e-9, 1e-13}) {
    const double ahead = mse(data, a + step, b), behind = mse(data, a - step, b);
    std::cout << std::scientific << std::setprecision(0) << std::setw(9) << step << std::fixed << std::setprecision(12)
              << std::setw(21) << (ahead - loss) / step << std::setw(24) << (ahead - behind) / (2 * step)
              << std::setw(24) << da << '\n';
  }
  std::cout << "\nThe one-sided quotient is wrong by ε/2·∂²L/∂a². The central one has no such error, and here none at\n"
            << "all but rounding, L being quadratic. Rounding grows as 1e-16/ε: the smallest ε is not the best.\n";

  lab.section("3  The gradient of the mean squared error", "2");
  hg::Linear<double> line(Tensor<double>{{a}}, Tensor<double>{b});
  hg::MSELoss<double> layer_loss;
  layer_loss.forward(line.forward(data.x), data.t);
  line.backward(layer_loss.backward());
  const Tensor<double> y = line.forward(data.x);
  const double n = static_cast<double>(data.x.numel());
  const double as_printed = -2 / n * xt::sum((data.t.xt() - y.xt()) * -data.x.xt())();
  std::cout << std::setprecision(9) << "                                  ∂L/∂a          ∂L/∂b\n"
            << "by the formulas            " << std::setw(13) << da << std::setw(15) << db << '\n'
            << "Linear and MSELoss         " << std::setw(13) << line.weight.grad().item() << std::setw(15)
            << line.bias.grad().item() << "\n\n"
            << "The notebook's update is a + α·(−2/N Σ(t − y)·(−x)). Here the bracket comes to " << as_printed << ":\n"
            << "minus the gradient. The minus before x is one too many, the plus before α another mistake, and\n"
               "together they go downhill all the same. As it should read: a ← a − α·∂L/∂a.\n";
}

void descent_section(Lab& lab, const Data& data) {
  lab.section("4  1000 steps, α = 0.1", "2");
  const std::vector<Point> path = descend(data, 0.1, 1000);
  hg::Linear<double> line(Tensor<double>{{data.a}}, Tensor<double>{data.b});
  const std::vector<double> losses = descend_with_layers(line, data, 0.1, 1000);
  lab.figures.weights("line", line.state_dict());
  const std::array<const char*, 10> printed_losses{
      "0.1330225119404028",   "0.012673197778527677", "0.010257153540857817", "0.0100948037549359",
      "0.010083894412889118", "0.010083161342973332", "0.010083112083219709", "0.010083108773135261",
      "0.010083108550709076", "0.01008310853576281"};
  std::cout << "                      loss\n" << std::setprecision(17);
  for (std::size_t i = 0; i < printed_losses.size(); ++i) {
    const std::string step = std::to_string(100 * i);
    std::cout << "step " << std::left << std::setw(6) << step << std::right << std::setw(21) << losses[100 * i] << '\n';
    lab.figures.exact(i == 0 ? "003.line.mse" : "003.line.loss" + step, losses[100 * i],
                      full_double(printed_losses[i]));
  }
  std::cout << "last       " << std::setw(21) << losses.back() << '\n';
  lab.figures.exact("003.line.final", losses.back(), full_double("0.010083108534760455"));

  double apart = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) apart = std::max(apart, std::abs(losses[i] - path[i].loss));
  std::cout
      << "\nThese come from a Linear(1, 1), MSELoss and SGD. The two formulas above, step by step, give the same\n"
      << "up to rounding: the largest difference is " << std::scientific << std::setprecision(1) << apart << ".\n"
      << std::fixed;

  Plot fit("The line on its way: gradient descent, α = 0.1", "x", "y");
  fit.points(data.x, data.t, "data").line({0, 1}, {0, 1}, "truth");
  for (const std::size_t step : {0, 10, 100, 1000}) {
    const auto [a, b, loss] = path[step];
    fit.line({0, 1}, {b, a + b}, step == 0 ? "at first" : "after " + std::to_string(step));
  }
  draw(lab, "line", {fit});
}

/// The minimum of L, and the eigenvalues of its second derivative H = (2/N)·[Σx² Σx; Σx N], which is constant.
struct Bowl {
  double a, b, loss;
  double h_low, h_high;
};

Bowl bowl(const Data& data) {
  const double n = static_cast<double>(data.x.numel());
  const double x = xt::mean(data.x.xt())(), t = xt::mean(data.t.xt())();
  const double xx = xt::sum(xt::square(data.x.xt()))() / n, x_t = xt::sum(data.x.xt() * data.t.xt())() / n;
  const double a = (x_t - x * t) / (xx - x * x), b = t - a * x;
  const double centre = xx + 1, spread = std::hypot(xx - 1, 2 * x);
  return {a, b, mse(data, a, b), centre - spread, centre + spread};
}

void pace_section(const Lab& lab, const Data& data) {
  lab.section("5  How fast, and how large α may be", "3");
  const auto [a, b, loss, h_low, h_high] = bowl(data);
  const double alpha = 0.1, factor = std::pow(1 - alpha * h_low, 200);
  const std::vector<Point> path = descend(data, alpha, 300);
  std::cout << std::setprecision(6) << "The minimum, from ∂L/∂a = ∂L/∂b = 0: a = " << a << ", b = " << b
            << ", L = " << loss << ".\nThe eigenvalues of the second derivative: " << h_low << " and " << h_high
            << ".\n\nOver 100 steps L − L_min should shrink by (1 − αh)²⁰⁰ = " << factor << " for the small one.\n"
            << "It does, from step 100 to 200 by " << (path[200].loss - loss) / (path[100].loss - loss)
            << ", from 200 to 300 by " << (path[300].loss - loss) / (path[200].loss - loss) << ".\n"
            << "The large one sets the limit: α must be below 2/h = " << 2 / h_high << ".\n\n"
            << "     α    L − L_min after 100 steps\n";
  std::vector<double> numbers(151);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
  Plot pace("Above 2/h = 0.79 the descent diverges", "step", "L − L min");
  for (const double lr : {0.01, 0.1, 0.7, 0.8}) {
    const std::vector<Point> steps = descend(data, lr, 150);
    std::vector<double> above;
    for (const Point& point : steps) above.push_back(std::max(point.loss - loss, 1e-16));
    std::cout << std::setprecision(2) << std::setw(6) << lr << std::scientific << std::setw(29) << above[100]
              << std::fixed << '\n';
    std::ostringstream label;
    label << "α = " << lr;
    pace.line(numbers, above, label.str());
  }
  pace.log_y();
  draw(lab, "pace", {pace});

  const auto as = hg::linspace<double>(0.2, 1.4, 121), bs = hg::linspace<double>(-0.2, 1.0, 121);
  std::vector<double> surface;
  for (std::size_t i = 0; i < bs.numel(); ++i)
    for (std::size_t j = 0; j < as.numel(); ++j) surface.push_back(std::log10(mse(data, as.item(j), bs.item(i))));
  std::vector<double> path_a, path_b;
  for (const Point& point : descend(data, alpha, 1000)) {
    path_a.push_back(point.a);
    path_b.push_back(point.b);
  }
  Plot valley("The loss, and the way down: across the valley, then along it", "a", "b");
  valley.surface(as, bs, surface, "log₁₀ L", Plot::Scale::Sequential)
      .contours({-1.9, -1.7, -1.5, -1.25, -1, -0.75, -0.5, -0.25})
      .line(path_a, path_b, "1000 steps")
      .marks({path_a.front()}, {path_b.front()}, "start")
      .marks({a}, {b}, "minimum");
  draw(lab, "valley", {valley});
}

void accumulation_section(const Lab& lab, const Data& data) {
  lab.section("6  Gradients accumulate", "2");
  hg::Linear<double> line(Tensor<double>{{data.a}}, Tensor<double>{data.b});
  hg::MSELoss<double> loss;
  loss.forward(line.forward(data.x), data.t);
  std::cout << std::setprecision(6);
  for (const char* when :
       {"after one backward:            ", "after a second one:            ", "zeroed, and once more backward:"}) {
    if (when[0] == 'z') line.zero_grad();
    line.backward(loss.backward());
    std::cout << when << " ∂L/∂a = " << line.weight.grad().item() << ", ∂L/∂b = " << line.bias.grad().item() << '\n';
  }
  std::cout << "\nSo zero_grad() comes before every backward. (The notebook's own loop zeroes after each step, which\n"
            << "does as well, as long as nobody calls a backward before the loop.)\n";
}

}  // namespace

HANDGRAD_LAB(descent, "003, first part", "a straight line by gradient descent") {
  lab.stays_on_cpu("this lab's formulas are written with xtensor");
  const Data data = draw_data();
  lab.section("1  The data, and a line drawn at random", "2");
  std::cout << std::fixed << std::setprecision(6) << "t = x + 0.1·ε at 100 points; y = a·x + b with a = " << data.a
            << ", b = " << data.b << "\nL = (1/N) Σ (y − t)² = " << mse(data, data.a, data.b) << '\n';
  derivative_section(lab, data);
  descent_section(lab, data);
  pace_section(lab, data);
  accumulation_section(lab, data);
}
