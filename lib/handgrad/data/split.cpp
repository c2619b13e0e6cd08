#include "handgrad/data/split.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>

#include "handgrad/base/errors.hpp"
#include "handgrad/data/numpy_random.hpp"

namespace handgrad {
namespace {

std::size_t rows_of(double size, std::size_t rows, const char* name, double (*round)(double)) {
  const bool is_share = size > 0 && size < 1;
  const bool is_count = size >= 1 && size < static_cast<double>(rows) && size == std::floor(size);
  if (!is_share && !is_count) {
    throw ValueError("train_test_split: " + std::string(name) + " = " + std::to_string(size) +
                     ": a share in (0, 1) or a number of rows from 1 to " + std::to_string(rows == 0 ? 0 : rows - 1) +
                     " expected");
  }
  return static_cast<std::size_t>(is_share ? round(size * static_cast<double>(rows)) : size);
}

/// Distributes `draws` draws over classes in proportion to their counts: the floor of each share, then one more for
/// each of the largest remainders, with ties drawn at random.
std::vector<std::size_t> deal(const std::vector<std::size_t>& counts, std::size_t draws, NumpyRandom& random) {
  const auto total = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::size_t{0}));
  std::vector<std::size_t> dealt(counts.size());
  std::map<double, std::vector<std::size_t>, std::greater<>> by_remainder;
  std::size_t left = draws;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    const double share = static_cast<double>(counts[c]) / total * static_cast<double>(draws);
    dealt[c] = static_cast<std::size_t>(share);
    left -= dealt[c];
    by_remainder[share - std::floor(share)].push_back(c);
  }
  for (const auto& [remainder, classes] : by_remainder) {
    if (left == 0) break;
    const std::size_t now = std::min(classes.size(), left);
    for (std::size_t i : random.choice(classes.size(), now, false)) ++dealt[classes[i]];
    left -= now;
  }
  return dealt;
}

std::vector<std::size_t> permuted(const std::vector<std::size_t>& values, NumpyRandom& random) {
  auto result = values;
  random.shuffle(result);
  return result;
}

SplitIndices stratified(const std::vector<long>& labels, std::size_t train, std::size_t test, std::uint32_t seed) {
  std::map<long, std::vector<std::size_t>> rows_by_class;
  for (std::size_t row = 0; row < labels.size(); ++row) rows_by_class[labels[row]].push_back(row);

  std::vector<std::size_t> counts;
  for (const auto& [label, members] : rows_by_class) {
    if (members.size() < 2) {
      throw ValueError("train_test_split: class " + std::to_string(label) +
                       " has a single row; stratifying takes at least 2 of each class");
    }
    counts.push_back(members.size());
  }
  if (std::min(train, test) < counts.size()) {
    throw ValueError("train_test_split: " + std::to_string(train) + " training and " + std::to_string(test) +
                     " test rows cannot hold each of " + std::to_string(counts.size()) + " classes");
  }

  NumpyRandom random(seed);
  const auto train_counts = deal(counts, train, random);
  for (std::size_t c = 0; c < counts.size(); ++c) counts[c] -= train_counts[c];
  const auto test_counts = deal(counts, test, random);

  SplitIndices split;
  std::size_t c = 0;
  for (const auto& [label, members] : rows_by_class) {
    const auto order = random.permutation(members.size());
    for (std::size_t i = 0; i < train_counts[c]; ++i) split.train.push_back(members[order[i]]);
    for (std::size_t i = 0; i < test_counts[c]; ++i) split.test.push_back(members[order[train_counts[c] + i]]);
    ++c;
  }
  split.train = permuted(split.train, random);
  split.test = permuted(split.test, random);
  return split;
}

}  // namespace

SplitIndices train_test_split(std::size_t rows, const TrainTestSplitOptions& options) {
  const std::size_t test = rows_of(options.test_size, rows, "test_size", [](double n) { return std::ceil(n); });
  const std::size_t train =
      options.train_size ? rows_of(*options.train_size, rows, "train_size", [](double n) { return std::floor(n); })
                         : rows - std::min(rows, test);
  if (train == 0 || test == 0 || train + test > rows) {
    throw ValueError("train_test_split: " + std::to_string(rows) + " rows cannot be split into " +
                     std::to_string(train) + " training and " + std::to_string(test) + " test rows");
  }
  if (!options.stratify.empty()) {
    if (options.stratify.size() != rows || !options.shuffle) {
      throw ValueError(options.shuffle ? "train_test_split: stratify has " + std::to_string(options.stratify.size()) +
                                             " classes, " + std::to_string(rows) + " rows expected one each"
                                       : "train_test_split: stratify needs shuffle = true");
    }
    return stratified(options.stratify, train, test, options.random_state);
  }

  std::vector<std::size_t> order(rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto part = [&order](std::size_t first, std::size_t count) {
    const auto begin = order.begin() + static_cast<std::ptrdiff_t>(first);
    return std::vector<std::size_t>(begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  if (!options.shuffle) return {part(0, train), part(train, test)};
  order = NumpyRandom(options.random_state).permutation(rows);
  return {part(test, train), part(0, test)};
}

template <class T>
Tensor<T> take_rows(const Tensor<T>& x, std::span<const std::size_t> indices) {
  if (x.rank() == 0) throw ShapeError("take_rows: a tensor with rows expected, got shape ()");
  Shape shape = x.shape();
  const std::size_t rows = shape[0], columns = rows == 0 ? 0 : x.numel() / rows;
  shape[0] = indices.size();
  const Tensor<T> from = x.cpu();
  auto to = Tensor<T>::empty(shape);
  T* out = to.data();
  for (const std::size_t row : indices) {
    if (row >= rows) {
      throw ShapeError("take_rows: row " + std::to_string(row) + " of a tensor of shape " + x.shape().str());
    }
    out = std::copy_n(from.data() + row * columns, columns, out);
  }
  return to.to(x.device());
}

template <class T>
TrainTestSplit<T> train_test_split(const Tensor<T>& x, const Tensor<T>& y, const TrainTestSplitOptions& options) {
  if (x.rank() == 0 || y.rank() == 0 || x.size(0) != y.size(0)) {
    throw ShapeError("train_test_split: one row of y for each of x expected, got " + x.shape().str() + " and " +
                     y.shape().str());
  }
  const SplitIndices rows = train_test_split(x.size(0), options);
  return {take_rows<T>(x, rows.train), take_rows<T>(x, rows.test), take_rows<T>(y, rows.train),
          take_rows<T>(y, rows.test)};
}

template Tensor<float> take_rows(const Tensor<float>&, std::span<const std::size_t>);
template Tensor<double> take_rows(const Tensor<double>&, std::span<const std::size_t>);
template TrainTestSplit<float> train_test_split(const Tensor<float>&, const Tensor<float>&,
                                                const TrainTestSplitOptions&);
template TrainTestSplit<double> train_test_split(const Tensor<double>&, const Tensor<double>&,
                                                 const TrainTestSplitOptions&);

}  // namespace handgrad
