#include "handgrad/check/noise.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <exception>
#include <utility>

#include "handgrad/base/random.hpp"

namespace handgrad::detail {

namespace {

constexpr std::size_t places = 9, order = 6;
constexpr std::array<double, order + 1> binomials{1, -6, 15, -20, 15, -6, 1};
constexpr double sum_of_squares = 924;  // the factor on the variance of one value

/// Restores a tensor on destruction.
class Keep {
 public:
  explicit Keep(const Tensor<double>& tensor) : tensor_(tensor), original_(tensor.to_vector()) {}
  ~Keep() { put(original_); }
  Keep(const Keep&) = delete;
  const Values& original() const { return original_; }
  void put(const Values& values) { tensor_.copy_from(Tensor<double>(tensor_.shape(), values)); }

 private:
  Tensor<double> tensor_;
  Values original_;
};

/// Steps along one line, each towards a nearby value in the tensor: the function is defined at these values, so likely
/// also in between. Multiples of the last digit of x, so that the points are evenly spaced.
Values steps_of(const Values& x, double share, Generator& generator) {
  Values steps(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    double other = x[i];
    for (int draw = 0; draw < 16; ++draw) {
      const double one = x[generator.random() % x.size()];
      if (one != x[i] && (other == x[i] || std::abs(one - x[i]) < std::abs(other - x[i]))) other = one;
    }
    const double apart = std::abs(other - x[i]), size = std::abs(x[i]);
    const double scale = apart > 0 && size > 0 ? std::min(apart, size) : apart + size > 0 ? apart + size : 1;
    const double digit = last_digit(x[i]), digits = std::floor(std::max(scale * share, 1e-290) / digit / 2);
    const double step = digits < 0x1p50 ? (2 * std::max(digits, 3.0) + 1) * digit : power_of_two(scale * share);
    steps[i] = other < x[i] || (other == x[i] && generator.random() % 2 == 0) ? -step : step;
  }
  return steps;
}

bool usable(const Evaluation& e, const Evaluation& first, bool over_kinks) {
  if ((e.sides != first.sides && !over_kinks) || e.terms.size() != first.terms.size() || !all_finite(e.terms))
    return false;
  return std::all_of(e.gradients.begin(), e.gradients.end(), all_finite);
}

/// The evaluations along one line; empty if the line is of no use.
std::vector<Evaluation> along(std::deque<Keep>& tensors, const std::vector<Values>& steps,
                              const std::function<Evaluation()>& evaluate, bool over_kinks) {
  std::vector<Evaluation> evaluations;
  for (std::size_t k = 0; k < places; ++k) {
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      Values moved = tensors[t].original();
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += static_cast<double>(k) * steps[t][i];
      tensors[t].put(moved);
    }
    try {
      evaluations.push_back(evaluate());
    } catch (const std::exception&) {
      return {};
    }
    if (!usable(evaluations.back(), evaluations.front(), over_kinks)) return {};
  }
  return evaluations;
}

/// Adds the squares of the sixth differences.
template <class Get>
void add_squares(const std::vector<Evaluation>& evaluations, Get&& get, Values& squares) {
  squares.resize(get(evaluations[0]).size());
  for (std::size_t first = 0; first + order < places; ++first)
    for (std::size_t i = 0; i < squares.size(); ++i) {
      double difference = 0;
      for (std::size_t k = 0; k <= order; ++k) difference += binomials[k] * get(evaluations[first + k])[i];
      squares[i] += difference * difference / sum_of_squares;
    }
}

void take_roots(Values& squares, double count) {
  for (double& s : squares) s = std::sqrt(s / count);
}

}  // namespace

Noise measure_noise(const std::vector<Tensor<double>>& tensors, const std::function<Evaluation()>& evaluate,
                    std::uint64_t seed) {
  std::deque<Keep> kept;
  for (const Tensor<double>& tensor : tensors) kept.emplace_back(tensor);
  Generator generator(seed);
  Noise noise;
  std::size_t lines = 0;
  for (std::size_t line = 0; line < 2; ++line)
    for (const auto& [share, over_kinks] :
         {std::pair{0x1p-16, false}, {0x1p-22, false}, {0x1p-28, false}, {0x1p-28, true}}) {
      std::vector<Values> steps;
      for (const Keep& tensor : kept) steps.push_back(steps_of(tensor.original(), share, generator));
      const std::vector<Evaluation> evaluations = along(kept, steps, evaluate, over_kinks);
      if (evaluations.empty()) continue;
      ++lines;
      add_squares(
          evaluations, [](const Evaluation& e) -> const Values& { return e.terms; }, noise.terms);
      noise.gradients.resize(evaluations[0].gradients.size());
      for (std::size_t g = 0; g < noise.gradients.size(); ++g)
        add_squares(
            evaluations, [g](const Evaluation& e) -> const Values& { return e.gradients[g]; }, noise.gradients[g]);
      break;
    }
  if (lines == 0) return noise;
  noise.known = true;
  const double count = static_cast<double>(lines * (places - order));
  take_roots(noise.terms, count);
  for (Values& gradient : noise.gradients) take_roots(gradient, count);
  return noise;
}

}  // namespace handgrad::detail
