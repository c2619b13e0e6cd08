#include "handgrad/data/generators.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

#include "handgrad/base/elementary.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/data/numpy_random.hpp"

namespace handgrad {
namespace {

using std::numbers::pi;

void require(bool met, const char* generator, const char* expected) {
  if (!met) throw ValueError(std::string(generator) + ": " + expected + " expected");
}

/// Rows of doubles, before they become a tensor.
struct Matrix {
  Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), elements(r * c) {}
  double& at(std::size_t i, std::size_t j) { return elements[i * columns + j]; }
  double at(std::size_t i, std::size_t j) const { return elements[i * columns + j]; }

  /// Permutes the rows: row i becomes the former row order[i].
  void take_rows(const std::vector<std::size_t>& order) {
    const Matrix from = *this;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) at(i, j) = from.at(order[i], j);
    }
  }
  void take_columns(const std::vector<std::size_t>& order) {
    const Matrix from = *this;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) at(i, j) = from.at(i, order[j]);
    }
  }
  template <class T>
  Tensor<T> tensor() const {
    return Tensor<T>({rows, columns}, std::vector<T>(elements.begin(), elements.end()));
  }

  std::size_t rows, columns;
  std::vector<double> elements;
};

/// scikit-learn permutes samples and targets alike.
void shuffle_rows(Matrix& x, Matrix& y, NumpyRandom& random) {
  const auto order = random.permutation(x.rows);
  x.take_rows(order);
  y.take_rows(order);
}

/// The bits of `count` different numbers below 2^dimensions, highest first: corners of a hypercube. As in scikit-learn,
/// the way of drawing depends on the share of corners wanted.
Matrix hypercube_corners(std::size_t count, std::size_t dimensions, NumpyRandom& random) {
  require(dimensions <= 30, "make_classification", "at most 30 informative features");
  const std::size_t all = std::size_t{1} << dimensions;
  std::vector<std::size_t> corners(count);
  const double share = static_cast<double>(count) / static_cast<double>(all);
  if (share < 0.01) {
    std::set<std::size_t> taken;
    for (auto& corner : corners) {
      do corner = random.bounded(all - 1);
      while (!taken.insert(corner).second);
    }
  } else if (share < 0.99) {
    corners = random.choice(all, count, false);
  } else {
    for (std::size_t i = 0; i < all; ++i) {
      const std::size_t place = i < count ? i : random.bounded(i);
      if (place < count) corners[place] = i;
    }
  }
  Matrix bits(count, dimensions);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < dimensions; ++j)
      bits.at(i, j) = static_cast<double>(corners[i] >> (dimensions - 1 - j) & 1);
  }
  return bits;
}

}  // namespace

template <class T>
RegressionSamples<T> make_regression(const MakeRegressionOptions& options) {
  require(options.n_samples > 0 && options.n_features > 0, "make_regression", "at least one sample and one feature");
  require(options.noise >= 0, "make_regression", "noise ≥ 0");
  NumpyRandom random(options.random_state);
  Matrix x(options.n_samples, options.n_features), y(options.n_samples, 1), coef(1, options.n_features);
  x.elements = random.randn(x.elements.size());
  const std::size_t informative = std::min(options.n_features, options.n_informative);
  for (std::size_t j = 0; j < informative; ++j) coef.at(0, j) = 100 * random.rand();
  for (std::size_t i = 0; i < x.rows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < x.columns; ++j) sum += x.at(i, j) * coef.at(0, j);
    y.at(i, 0) = sum + options.bias;
  }
  if (options.noise > 0) {
    for (double& target : y.elements) target += random.normal(0, options.noise);
  }
  if (options.shuffle) {
    shuffle_rows(x, y, random);
    const auto order = random.permutation(x.columns);
    x.take_columns(order);
    coef.take_columns(order);
  }
  return {x.tensor<T>(), y.tensor<T>(), coef.tensor<T>().reshape({options.n_features})};
}

template <class T>
Samples<T> make_moons(const MakeMoonsOptions& options) {
  require(options.n_samples > 0, "make_moons", "at least one sample");
  require(options.noise >= 0, "make_moons", "noise ≥ 0");
  NumpyRandom random(options.random_state);
  Matrix x(options.n_samples, 2), y(options.n_samples, 1);
  const std::size_t outer = options.n_samples / 2, inner = options.n_samples - outer;
  for (std::size_t i = 0; i < options.n_samples; ++i) {
    const bool is_inner = i >= outer;
    const std::size_t k = is_inner ? i - outer : i, count = is_inner ? inner : outer;
    const double t = count == 1       ? 0
                     : k + 1 == count ? pi
                                      : static_cast<double>(k) * (pi / static_cast<double>(count - 1));
    x.at(i, 0) = is_inner ? 1 - detail::elementary_cos(t) : detail::elementary_cos(t);
    x.at(i, 1) = is_inner ? 1 - detail::elementary_sin(t) - 0.5 : detail::elementary_sin(t);
    y.at(i, 0) = is_inner;
  }
  if (options.shuffle) shuffle_rows(x, y, random);
  if (options.noise > 0) {
    for (double& coordinate : x.elements) coordinate += random.normal(0, options.noise);
  }
  return {x.tensor<T>(), y.tensor<T>()};
}

template <class T>
Samples<T> make_classification(const MakeClassificationOptions& options) {
  const std::size_t n = options.n_samples, informative = options.n_informative, redundant = options.n_redundant;
  const std::size_t clusters = options.n_classes * options.n_clusters_per_class;
  require(n > 0 && clusters > 0 && informative > 0, "make_classification",
          "at least one sample, class, cluster and informative feature");
  require(informative + redundant <= options.n_features, "make_classification",
          "no more informative and redundant features than features");
  require(informative >= 64 || clusters <= std::size_t{1} << informative, "make_classification",
          "no more clusters than 2^n_informative corners");
  NumpyRandom random(options.random_state);

  Matrix centres = hypercube_corners(clusters, informative, random);
  for (double& coordinate : centres.elements) coordinate = coordinate * 2 * options.class_sep - options.class_sep;

  Matrix x(n, options.n_features), y(n, 1);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < informative; ++j) x.at(i, j) = random.randn();
  }
  const auto sure = static_cast<std::size_t>(static_cast<double>(n) * (1.0 / static_cast<double>(options.n_classes)) /
                                             static_cast<double>(options.n_clusters_per_class));
  std::size_t first = 0;
  for (std::size_t k = 0; k < clusters; ++k) {
    const std::size_t last = first + sure + (k < n - sure * clusters);  // the first clusters share the remainder
    Matrix mix(informative, informative);
    for (double& entry : mix.elements) entry = 2 * random.rand() - 1;
    for (std::size_t i = first; i < last; ++i) {
      const std::vector<double> drawn(&x.at(i, 0), &x.at(i, 0) + informative);
      for (std::size_t j = 0; j < informative; ++j) {
        double sum = 0;
        for (std::size_t l = 0; l < informative; ++l) sum += drawn[l] * mix.at(l, j);
        x.at(i, j) = sum + centres.at(k, j);
      }
      y.at(i, 0) = static_cast<double>(k % options.n_classes);
    }
    first = last;
  }

  if (redundant > 0) {
    Matrix mix(informative, redundant);
    for (double& entry : mix.elements) entry = 2 * random.rand() - 1;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < redundant; ++j) {
        for (std::size_t l = 0; l < informative; ++l) x.at(i, informative + j) += x.at(i, l) * mix.at(l, j);
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = informative + redundant; j < x.columns; ++j) x.at(i, j) = random.randn();
  }

  std::vector<std::size_t> flipped;
  for (std::size_t i = 0; i < n; ++i) {
    if (random.rand() < options.flip_y) flipped.push_back(i);
  }
  for (const std::size_t i : flipped) y.at(i, 0) = static_cast<double>(random.bounded(options.n_classes - 1));

  shuffle_rows(x, y, random);
  x.take_columns(random.permutation(x.columns));
  return {x.tensor<T>(), y.tensor<T>()};
}

template <class T>
Samples<T> make_spirals(const MakeSpiralsOptions& options) {
  require(options.n_samples > 0 && options.n_classes > 0, "make_spirals", "at least one sample and one class");
  require(options.noise >= 0, "make_spirals", "noise ≥ 0");
  NumpyRandom random(options.random_state);
  Matrix x(options.n_samples, 2), y(options.n_samples, 1);
  for (std::size_t i = 0; i < options.n_samples; ++i) {
    const auto arm = static_cast<double>(i % options.n_classes);
    const double r = static_cast<double>(i + 1) / static_cast<double>(options.n_samples);
    const double angle = 2 * pi * (options.turns * r + arm / static_cast<double>(options.n_classes));
    x.at(i, 0) = random.normal(r * detail::elementary_cos(angle), options.noise);
    x.at(i, 1) = random.normal(r * detail::elementary_sin(angle), options.noise);
    y.at(i, 0) = arm;
  }
  shuffle_rows(x, y, random);
  return {x.tensor<T>(), y.tensor<T>()};
}

template <class T>
Samples<T> make_xor(std::size_t n_samples, double sigma, Generator& generator) {
  require(n_samples > 0 && sigma >= 0, "make_xor", "at least one sample and σ ≥ 0");
  auto x = randint<T>(0, 2, {n_samples, 2}, generator);
  const auto noise = randn<T>({n_samples, 2}, generator);
  auto y = Tensor<T>::empty({n_samples, 1});
  for (std::size_t i = 0; i < n_samples; ++i) y.data()[i] = x.data()[2 * i] != x.data()[2 * i + 1];
  for (std::size_t i = 0; i < 2 * n_samples; ++i) x.data()[i] += static_cast<T>(sigma) * noise.data()[i];
  return {x, y};
}

template <class T>
Samples<T> make_gabor(std::size_t n_samples, double sigma, double w1, double w2, Generator& generator) {
  require(n_samples > 0 && sigma >= 0, "make_gabor", "at least one sample and σ ≥ 0");
  const auto x = linspace<T>(-15, 15, n_samples).reshape({n_samples, 1});
  auto y = randn<T>({n_samples, 1}, generator);
  for (std::size_t i = 0; i < n_samples; ++i) {
    const double h = w1 + 0.06 * w2 * static_cast<double>(x.data()[i]);
    const double truth = detail::elementary_sin(h) * detail::elementary_exp(-h * h / 32);
    y.data()[i] = static_cast<T>(truth + sigma * static_cast<double>(y.data()[i]));
  }
  return {x, y};
}

template <class T>
Samples<T> apples(std::size_t times) {
  require(times > 0, "apples", "at least once");
  const std::vector<T> weather{73, 67, 43, 91, 88, 64, 87, 134, 58, 102, 43, 37, 69, 96, 70},
      more_than_80{0, 1, 1, 0, 1};
  std::vector<T> x, y;
  for (std::size_t i = 0; i < times; ++i) {
    x.insert(x.end(), weather.begin(), weather.end());
    y.insert(y.end(), more_than_80.begin(), more_than_80.end());
  }
  return {Tensor<T>({5 * times, 3}, x), Tensor<T>({5 * times, 1}, y)};
}

template RegressionSamples<float> make_regression(const MakeRegressionOptions&);
template RegressionSamples<double> make_regression(const MakeRegressionOptions&);
template Samples<float> make_moons(const MakeMoonsOptions&);
template Samples<double> make_moons(const MakeMoonsOptions&);
template Samples<float> make_classification(const MakeClassificationOptions&);
template Samples<double> make_classification(const MakeClassificationOptions&);
template Samples<float> make_spirals(const MakeSpiralsOptions&);
template Samples<double> make_spirals(const MakeSpiralsOptions&);
template Samples<float> make_xor(std::size_t, double, Generator&);
template Samples<double> make_xor(std::size_t, double, Generator&);
template Samples<float> make_gabor(std::size_t, double, double, double, Generator&);
template Samples<double> make_gabor(std::size_t, double, double, double, Generator&);
template Samples<float> apples(std::size_t);
template Samples<double> apples(std::size_t);

}  // namespace handgrad
