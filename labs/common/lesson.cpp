#include "common/lesson.hpp"

#include <cmath>
#include <functional>
#include <utility>

#include "gabor/gabor.hpp"

namespace handgrad::labs {

namespace {

std::unique_ptr<Optimizer<double>> sgd(const Sequential<double>& net, double lr) {
  return std::make_unique<SGD<double>>(net.parameters(), SGDOptions{.lr = lr});
}

Tensor<double> in_double(const Tensor<float>& x) {
  const std::vector<float> numbers = x.to_vector();
  return Tensor<double>(x.shape(), std::vector<double>(numbers.begin(), numbers.end()));
}

/// `make(T())` makes a network; returns it in double, with the weights that the same seed gives for float.
template <class Make>
Sequential<double> in_double(Make make) {
  std::vector<NamedTensor<double>> weights;
  for (const auto& [name, weight] : make(float()).state_dict()) weights.emplace_back(name, in_double(weight));
  Sequential<double> net = make(double());
  net.load_state_dict(weights);
  return net;
}

Lesson logistic() {
  auto [x, y] = apples();
  manual_seed(1);
  Tensor<float> w = randn({3}), b = randn({1});
  w.xt() /= 1000, b.xt() /= 1000;
  Sequential net{Linear<double>(in_double(w.reshape({1, 3})), in_double(b)), Sigmoid<double>()};
  auto optimizer = sgd(net, 1e-5);
  return {"logistic",
          "Logistic regression: will there be more than 80 apples?",
          "Linear(3 → 1), sigmoid, binary cross-entropy of five rows; descent with η = 1e-5",
          std::move(net),
          std::make_unique<BCELoss<double>>(),
          std::move(optimizer),
          in_double(x),
          in_double(y),
          5,
          1000,
          Lesson::Picture::Rows};
}

Lesson network() {
  auto [x, y] = make_moons({.n_samples = 1000, .noise = 0.1, .random_state = 0});
  manual_seed(0);
  auto net = in_double([]<class T>(T) {
    return Sequential{Linear<T>(2, 20), Tanh<T>(), Linear<T>(20, 20), Tanh<T>(), Linear<T>(20, 1)};
  });
  auto optimizer = sgd(net, 0.1);
  return {"network",
          "Two moons: a network of two hidden layers",
          "2-20-20-1, tanh, binary cross-entropy with logits; 1000 points in batches of 8, η = 0.1",
          std::move(net),
          std::make_unique<BCEWithLogitsLoss<double>>(),
          std::move(optimizer),
          in_double(x),
          in_double(y),
          8,
          30,
          Lesson::Picture::Boundary,
          true};
}

Lesson gabor() {
  manual_seed(0);
  auto [x, y] = make_gabor(300, 0.1);
  const auto order = randperm(x.size(0));  // the points are sorted
  const std::vector<float> xs = x.to_vector(), ys = y.to_vector();
  std::vector<float> xo, yo;
  for (std::size_t i : order) xo.push_back(xs[i]), yo.push_back(ys[i]);
  Sequential net{Gabor<double>(2, 14)};
  auto optimizer = sgd(net, 0.1);
  return {"gabor",
          "Fitting the two parameters of a Gabor filter",
          "y = sin(h)·exp(−h²/32) with h = w1 + 0.06·w2·x, squared error; 300 points in batches of 10, η = 0.1; "
          "the truth is w1 = 3, w2 = 15",
          std::move(net),
          std::make_unique<MSELoss<double>>(),
          std::move(optimizer),
          in_double(Tensor<float>(x.shape(), xo)),
          in_double(Tensor<float>(y.shape(), yo)),
          10,
          60,
          Lesson::Picture::Curve};
}

Lesson exclusive_or() {
  manual_seed(0);
  auto [x, y] = make_xor(200);
  auto net = in_double([]<class T>(T) { return Sequential{Linear<T>(2, 4), Tanh<T>(), Linear<T>(4, 1)}; });
  auto optimizer = sgd(net, 0.5);
  return {"xor",
          "Exclusive or: four hidden neurons",
          "2-4-1, tanh, 17 parameters, binary cross-entropy with logits; 200 noisy points in batches of 4, η = 0.5",
          std::move(net),
          std::make_unique<BCEWithLogitsLoss<double>>(),
          std::move(optimizer),
          in_double(x),
          in_double(y),
          4,
          30,
          Lesson::Picture::Boundary,
          true};
}

/// Three arms of a spiral, in turn.
Lesson classes() {
  constexpr std::size_t points = 144;
  manual_seed(0);
  const std::vector<double> uniform = rand<double>({points}).to_vector();
  const std::vector<double> noise = randn<double>({points, 2}).to_vector();
  std::vector<double> x, t;
  for (std::size_t i = 0; i < points; ++i) {
    const double arm = static_cast<double>(i % 3), radius = 0.1 + 0.9 * uniform[i], angle = 2.1 * arm + 2.5 * radius;
    x.push_back(radius * std::cos(angle) + 0.05 * noise[2 * i]);
    x.push_back(radius * std::sin(angle) + 0.05 * noise[2 * i + 1]);
    t.push_back(arm);
  }
  auto net = in_double([]<class T>(T) { return Sequential{Linear<T>(2, 8), Tanh<T>(), Linear<T>(8, 3)}; });
  auto optimizer = sgd(net, 0.5);
  return {"classes",
          "Three classes: softmax and cross-entropy",
          "2-8-3, tanh, cross-entropy of three logits; 144 points on three arms of a spiral in batches of 4, η = 0.5",
          std::move(net),
          std::make_unique<CrossEntropyLoss<double>>(),
          std::move(optimizer),
          Tensor<double>({points, 2}, x),
          Tensor<double>({points}, t),
          4,
          30,
          Lesson::Picture::Boundary,
          true};
}

Lesson from_scratch() {
  auto data = make_regression({.n_features = 4, .n_informative = 4, .bias = 0.5, .random_state = 0});
  manual_seed(0);
  auto net = in_double([]<class T>(T) { return Sequential<T>{Linear<T>::standard_normal(4, 1)}; });
  auto optimizer = sgd(net, 0.1);
  return {"from_scratch",
          "One linear neuron learns a regression",
          "Linear(4 → 1), mean squared error of 100 rows, η = 0.1; the truth is 20.49, 34.17, 67.62, 87.92 and 0.5",
          std::move(net),
          std::make_unique<MSELoss<double>>(),
          std::move(optimizer),
          in_double(data.x),
          in_double(data.y),
          100,
          100,
          Lesson::Picture::Rows};
}

const std::vector<std::pair<std::string, std::function<Lesson()>>> lessons{
    {"logistic", logistic}, {"network", network}, {"gabor", gabor},
    {"xor", exclusive_or},  {"classes", classes}, {"from_scratch", from_scratch}};

}  // namespace

const std::vector<std::string>& lesson_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [name, make] : lessons) all.push_back(name);
    return all;
  }();
  return names;
}

Lesson make_lesson(const std::string& name) {
  std::string known;
  for (const auto& [lesson, make] : lessons) {
    if (lesson == name) return make();
    known += " " + lesson;
  }
  throw ValueError("there is nothing to step through called '" + name + "'; there are:" + known);
}

Training::Training(Lesson lesson) : lesson_(std::move(lesson)) {}

std::size_t Training::batches() const { return (lesson_.x.size(0) + lesson_.batch - 1) / lesson_.batch; }

double Training::step() {
  const std::size_t from = batch() * lesson_.batch, to = std::min(from + lesson_.batch, lesson_.x.size(0));
  const double value =
      lesson_.loss->forward(lesson_.net.forward(lesson_.x.rows(from, to)), lesson_.y.rows(from, to)).item();
  lesson_.optimizer->zero_grad();
  lesson_.net.backward(lesson_.loss->backward());
  lesson_.optimizer->step();
  ++steps_;
  return value;
}

trace::Trace Training::record() {
  trace::Recorder recorder;
  step();
  return recorder.stop();
}

double Training::largest_gradient() const {
  double largest = 0;
  for (const Parameter<double>& parameter : lesson_.net.parameters())
    for (double g : parameter.grad().to_vector())
      if (std::isnan(g) || std::abs(g) > largest) largest = std::abs(g);
  return largest;
}

double Training::loss() { return lesson_.loss->forward(lesson_.net.forward(lesson_.x), lesson_.y).item(); }

Tensor<double> Training::predict(const Tensor<double>& x) {
  Tensor<double> p = lesson_.net.forward(x).clone();
  if (!lesson_.logits) return p;
  if (p.shape().columns() > 1) return Softmax<double>(1).forward(p).clone();
  p.xt() = 1 / (1 + xt::exp(-p.xt()));
  return p;
}

void Training::restore(const State& state) {
  lesson_.net.load_state_dict(state.parameters);
  steps_ = state.steps;
}

}  // namespace handgrad::labs
