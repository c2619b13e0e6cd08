#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "handgrad/base/random.hpp"
#include "handgrad/base/tensor.hpp"
#include "handgrad/data/table.hpp"

namespace handgrad {

// Synthetic data. Targets have shape (N, 1), as the losses expect; a class is its number as a T. Everything is drawn
// and computed in double, then rounded to T. All throw ValueError for meaningless options.

/// Made-up examples: features x and targets or classes y.
template <class T = float>
struct Samples {
  Tensor<T> x;  ///< (N, D)
  Tensor<T> y;  ///< (N, 1)
};

// ---- As scikit-learn: the same numbers for the same random_state ----

struct MakeRegressionOptions {
  std::size_t n_samples = 100, n_features = 100, n_informative = 10;
  double bias = 0, noise = 0;
  bool shuffle = true;
  std::uint32_t random_state = 0;
};
/// The same with the coefficients that made them.
template <class T = float>
struct RegressionSamples {
  Tensor<T> x;     ///< (N, D)
  Tensor<T> y;     ///< (N, 1)
  Tensor<T> coef;  ///< (D)
};
/// y = X·w + bias + noise·ε with xᵢⱼ, ε ~ N(0, 1); wⱼ ~ U[0, 100) for n_informative features and 0 for the others.
template <class T = float>
RegressionSamples<T> make_regression(const MakeRegressionOptions& options = {});

struct MakeMoonsOptions {
  std::size_t n_samples = 100;
  bool shuffle = true;
  double noise = 0;  ///< standard deviation of what is added to both coordinates
  std::uint32_t random_state = 0;
};
/// Two interleaving half circles, classes 0 and 1: (cos t, sin t) and (1 − cos t, ½ − sin t) for t in [0, π].
template <class T = float>
Samples<T> make_moons(const MakeMoonsOptions& options = {});

struct MakeClassificationOptions {
  std::size_t n_samples = 100, n_features = 20, n_informative = 2, n_redundant = 2;
  std::size_t n_classes = 2, n_clusters_per_class = 2;
  double flip_y = 0.01;  ///< share of the labels that are drawn at random
  double class_sep = 1;  ///< half the distance between neighbouring clusters
  std::uint32_t random_state = 0;
};
/// Clusters of normal points around corners of a hypercube, each with a covariance of its own, each class several of
/// them; further columns are linear combinations of those and noise. Classes are 0 … n_classes−1.
template <class T = float>
Samples<T> make_classification(const MakeClassificationOptions& options = {});

// ---- handgrad's own ----

struct MakeSpiralsOptions {
  std::size_t n_samples = 300, n_classes = 3;
  double turns = 0.75, noise = 0.05;
  std::uint32_t random_state = 0;
};
/// One spiral arm per class: r·(cos φ, sin φ) with r in (0, 1] and φ = 2π(turns·r + class/n_classes), plus noise.
template <class T = float>
Samples<T> make_spirals(const MakeSpiralsOptions& options = {});

/// The notebook's exclusive or: corners of the unit square, each drawn with randint, plus σ·N(0, 1); y = 1 where the
/// two bits differ. Draws from torch's stream as the notebook does: all corners first, then all noise.
template <class T = float>
Samples<T> make_xor(std::size_t n_samples, double sigma = 0.2, Generator& generator = default_generator());

/// The notebook's noisy Gabor function on n_samples points from −15 to 15: y = sin(h)·exp(−h²/32) + σ·N(0, 1) with
/// h = w₁ + 0.06·w₂·x. Draws from torch's stream.
template <class T = float>
Samples<T> make_gabor(std::size_t n_samples, double sigma, double w1 = 3, double w2 = 15,
                      Generator& generator = default_generator());

/// Temperature, rainfall and humidity of five regions, and whether each yields more than 80 apples: the notebook's five
/// rows, repeated `times` times (its data set of 15 rows has them three times).
template <class T = float>
Samples<T> apples(std::size_t times = 1);

}  // namespace handgrad
