#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "handgrad/base/tensor.hpp"
#include "handgrad/data/table.hpp"

namespace handgrad {

// Each of these learns from the training data (`fit`) and is then applied to any data (`transform`); never fit it to
// validation or test data. `to_json` stores what was learnt; `from_json` restores it bit for bit and throws ParseError
// for anything else. All throw StateError when used before `fit`, ShapeError if the number of columns differs from the
// fitted one, and ValueError for NaN or infinite elements or no rows. Arithmetic is in double.

/// Scales each column to mean 0 and variance 1: (x − μ)/σ, with the variance (1/N) Σ (x − μ)². A constant column is
/// divided by 1; as in scikit-learn, constant means up to rounding, σ² ≤ N·ε·σ² + (N·μ·ε)². Tensors have shape (N, D).
class StandardScaler {
 public:
  /// Learns what `transform` needs from the rows of the training set.
  template <class T>
  void fit(const Tensor<T>& x);
  /// Every column scaled by what was learnt.
  template <class T>
  Tensor<T> transform(const Tensor<T>& x) const;
  /// x·σ + μ
  template <class T>
  Tensor<T> inverse_transform(const Tensor<T>& x) const;

  /// What was learnt of each column.
  const std::vector<double>& mean() const { return mean_; }
  const std::vector<double>& scale() const { return scale_; }
  /// What was learnt as a text, and back.
  std::string to_json() const;
  static StandardScaler from_json(const std::string& json);

 private:
  std::vector<double> mean_, scale_;
};

/// Scales each column from the fitted [min, max] to [low, high]: low + t·(high − low) with t = (x − min)/(max − min),
/// exactly low at the minimum and high at the maximum. A constant column is divided by 1. Values outside the fitted
/// range come out outside [low, high].
class MinMaxScaler {
 public:
  /// Throws ValueError unless low < high.
  explicit MinMaxScaler(double low = 0, double high = 1);
  /// Learns what `transform` needs from the rows of the training set.
  template <class T>
  void fit(const Tensor<T>& x);
  /// Every column scaled by what was learnt.
  template <class T>
  Tensor<T> transform(const Tensor<T>& x) const;
  template <class T>
  Tensor<T> inverse_transform(const Tensor<T>& x) const;

  /// What was learnt of each column.
  const std::vector<double>& data_min() const { return min_; }
  const std::vector<double>& data_max() const { return max_; }
  /// What was learnt as a text, and back.
  std::string to_json() const;
  static MinMaxScaler from_json(const std::string& json);

 private:
  bool is_constant(std::size_t column) const;
  double low_, high_;
  std::vector<double> min_, max_;
};

/// Turns each text column into one column of 0 and 1 per category, the distinct fitted values in ascending order. A
/// value not seen in fitting gives zeros throughout; an empty cell is a category like any other.
class OneHotEncoder {
 public:
  /// Throws ValueError for a column that is numeric or missing.
  void fit(const Table& table, const std::vector<std::string>& columns);
  /// The columns as numbers, side by side.
  template <class T = float>
  Tensor<T> transform(const Table& table) const;

  /// The columns it was made for.
  const std::vector<std::string>& columns() const { return columns_; }
  /// categories()[c] are those of columns()[c].
  const std::vector<std::vector<std::string>>& categories() const { return categories_; }
  /// `column_category` for each column of the result.
  std::vector<std::string> feature_names() const;
  /// What was learnt as a text, and back.
  std::string to_json() const;
  static OneHotEncoder from_json(const std::string& json);

 private:
  friend class ColumnTransformer;  // which has other columns beside these in its rows
  std::size_t width() const;
  /// Writes the ones of the table's rows first … last into a matrix of zeros whose rows are `row_length` apart.
  template <class T>
  void mark(const Table& table, std::size_t first, std::size_t last, T* out, std::size_t row_length) const;

  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> categories_;
};

/// Which columns of a table become which columns of a tensor, in this order.
struct ColumnTransformerOptions {
  std::vector<std::string> standard = {};  ///< through a StandardScaler
  std::vector<std::string> min_max = {};   ///< through a MinMaxScaler to [0, 1]
  std::vector<std::string> one_hot = {};   ///< through a OneHotEncoder
};

/// Turns a table of mixed columns into one tensor of shape (rows, features).
class ColumnTransformer {
 public:
  explicit ColumnTransformer(ColumnTransformerOptions columns) : columns_(std::move(columns)) {}
  /// Learns what `transform` needs from the rows of the training set.
  void fit(const Table& table);
  /// The columns as numbers, side by side.
  template <class T = float>
  Tensor<T> transform(const Table& table) const;

  /// The names of the columns that `transform` makes.
  std::vector<std::string> feature_names() const;
  /// What was learnt as a text, and back.
  std::string to_json() const;
  static ColumnTransformer from_json(const std::string& json);

 private:
  ColumnTransformerOptions columns_;
  StandardScaler standard_;
  MinMaxScaler min_max_;
  OneHotEncoder one_hot_;
};

/// A weight for each class. "balanced": N / (K·N_c), where N_c of N labels are of class c, one of K, so that every
/// class has the same total weight. Throws ValueError for another mode, a label not in `classes`, a class without a
/// label, or no labels.
std::vector<double> compute_class_weight(std::string_view mode, const std::vector<long>& classes,
                                         const std::vector<long>& y);

}  // namespace handgrad
