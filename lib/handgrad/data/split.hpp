#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// The rows of each part, in order.
struct SplitIndices {
  std::vector<std::size_t> train, test;
};

/// The options of train_test_split, by scikit-learn's names.
struct TrainTestSplitOptions {
  double test_size = 0.25;  ///< below 1 a share of the rows, rounded up; from 1 on a number of rows
  std::optional<double> train_size =
      {};  ///< share (rounded down) or number; by default all rows that are not test rows
  bool shuffle = true;
  std::uint32_t random_state = 0;
  std::vector<long> stratify =
      {};  ///< one class per row: each side keeps the shares of the classes; empty: not stratified
};

/// Splits `rows` rows at random into a training and a test part: the same rows in the same order as scikit-learn's
/// `train_test_split` with this `random_state`.
///
/// Stratified: the training rows are dealt to the classes by the largest remainder of n_train·N_c/N (ties drawn), the
/// test rows likewise from the rest; then each class is permuted, its first rows train, the next ones test. Throws
/// ValueError if a side would be empty, the sizes exceed the rows, or `stratify` does not have one class per row, has a
/// class with a single row, or more classes than one side has rows.
SplitIndices train_test_split(std::size_t rows, const TrainTestSplitOptions& options = {});

/// A copy of the rows of `x` listed in `indices`, in that order. Throws ShapeError if an index is not a row of x.
template <class T>
Tensor<T> take_rows(const Tensor<T>& x, std::span<const std::size_t> indices);

/// The rows of both parts.
template <class T>
struct TrainTestSplit {
  Tensor<T> x_train, x_test, y_train, y_test;
};

/// The same on inputs and targets: auto [x_train, x_test, y_train, y_test] = train_test_split(x, y, {…}); throws
/// ShapeError if x and y have different numbers of rows.
template <class T>
TrainTestSplit<T> train_test_split(const Tensor<T>& x, const Tensor<T>& y, const TrainTestSplitOptions& options = {});

}  // namespace handgrad
