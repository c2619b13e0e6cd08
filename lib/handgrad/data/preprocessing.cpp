#include "handgrad/data/preprocessing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/threads.hpp"
#include "handgrad/data/text_index.hpp"

namespace handgrad {
namespace {

using nlohmann::json;

void check_fitted(const char* what, bool fitted) {
  if (!fitted) throw StateError(std::string(what) + ": fit() comes first");
}

/// The elements on the CPU, after the checks shared by all scalers. `columns` is 0 before fit.
template <class T>
Tensor<T> checked(const char* what, const Tensor<T>& x, std::size_t columns) {
  if (x.rank() != 2 || (columns != 0 && x.size(1) != columns)) {
    throw ShapeError(std::string(what) + ": shape (N, " + (columns == 0 ? "D" : std::to_string(columns)) +
                     ") expected, got " + x.shape().str());
  }
  if (x.numel() == 0) throw ValueError(std::string(what) + ": no elements, shape " + x.shape().str());
  Tensor<T> on_cpu = x.cpu();
  for (std::size_t i = 0; i < x.numel(); ++i) {
    if (!std::isfinite(on_cpu.data()[i])) {
      throw ValueError(std::string(what) + ": row " + std::to_string(i / x.size(1)) + ", column " +
                       std::to_string(i % x.size(1)) + " is " + std::to_string(on_cpu.data()[i]));
    }
  }
  return on_cpu;
}

/// y[row][column] = f(x[row][column], column)
template <class T, class F>
Tensor<T> map_columns(const char* what, const Tensor<T>& x, std::size_t columns, F f) {
  check_fitted(what, columns != 0);
  const Tensor<T> from = checked(what, x, columns);
  auto to = Tensor<T>::empty(x.shape());
  for (std::size_t row = 0, i = 0; row < x.size(0); ++row)
    for (std::size_t c = 0; c < columns; ++c, ++i)
      to.data()[i] = static_cast<T>(f(static_cast<double>(from.data()[i]), c));
  return to.to(x.device());
}

/// Reads a member of a stored transformer; turns nlohmann's exceptions into a ParseError.
template <class F>
auto parsed(const char* what, const std::string& text, F read) {
  try {
    return read(json::parse(text));
  } catch (const json::exception& error) {
    throw ParseError(std::string(what) + "::from_json: " + error.what());
  }
}

std::string dumped(const json& stored, int indent = -1) {
  try {
    return stored.dump(indent);
  } catch (const json::exception& error) {  // JSON must be UTF-8, a category need not
    throw ValueError(std::string("to_json: ") + error.what());
  }
}

void check_stored(const char* what, bool consistent, const char* wrong = "its parts have different sizes") {
  if (!consistent) throw ParseError(std::string(what) + "::from_json: " + wrong);
}

}  // namespace

template <class T>
void StandardScaler::fit(const Tensor<T>& x) {
  const Tensor<T> values = checked("StandardScaler", x, 0);
  const std::size_t rows = x.size(0), columns = x.size(1);
  const auto n = static_cast<double>(rows);
  constexpr double epsilon = std::numeric_limits<double>::epsilon();
  mean_.assign(columns, 0);
  scale_.assign(columns, 0);
  const T* element = values.data();
  for (std::size_t row = 0, i = 0; row < rows; ++row)
    for (std::size_t c = 0; c < columns; ++c, ++i) mean_[c] += static_cast<double>(element[i]);
  for (double& mean : mean_) mean /= n;

  // Σ(x−μ)² − (Σ(x−μ))²/N: the second term corrects the rounding of μ (Chan, Golub and LeVeque, 1983).
  std::vector<double> rest(columns);
  for (std::size_t row = 0, i = 0; row < rows; ++row)
    for (std::size_t c = 0; c < columns; ++c, ++i) {
      const double deviation = static_cast<double>(element[i]) - mean_[c];
      scale_[c] += deviation * deviation;
      rest[c] += deviation;
    }
  for (std::size_t c = 0; c < columns; ++c) {
    const double variance = (scale_[c] - rest[c] * rest[c] / n) / n, bound = n * mean_[c] * epsilon;
    const bool constant = variance <= n * epsilon * variance + bound * bound;
    scale_[c] = constant ? 1 : std::sqrt(variance);
    mean_[c] += rest[c] / n;
  }
}

template <class T>
Tensor<T> StandardScaler::transform(const Tensor<T>& x) const {
  return map_columns("StandardScaler", x, mean_.size(),
                     [this](double value, std::size_t c) { return (value - mean_[c]) / scale_[c]; });
}

template <class T>
Tensor<T> StandardScaler::inverse_transform(const Tensor<T>& x) const {
  return map_columns("StandardScaler", x, mean_.size(),
                     [this](double value, std::size_t c) { return value * scale_[c] + mean_[c]; });
}

std::string StandardScaler::to_json() const { return dumped({{"mean", mean_}, {"scale", scale_}}); }

StandardScaler StandardScaler::from_json(const std::string& text) {
  return parsed("StandardScaler", text, [](const json& stored) {
    StandardScaler scaler;
    stored.at("mean").get_to(scaler.mean_);
    stored.at("scale").get_to(scaler.scale_);
    check_stored("StandardScaler", scaler.mean_.size() == scaler.scale_.size());
    for (const double scale : scaler.scale_) check_stored("StandardScaler", scale > 0, "a scale that is not above 0");
    return scaler;
  });
}

MinMaxScaler::MinMaxScaler(double low, double high) : low_(low), high_(high) {
  if (!(low < high)) {
    throw ValueError("MinMaxScaler: low < high expected, got " + std::to_string(low) + " and " + std::to_string(high));
  }
}

bool MinMaxScaler::is_constant(std::size_t c) const {
  return max_[c] - min_[c] < 10 * std::numeric_limits<double>::epsilon();
}

template <class T>
void MinMaxScaler::fit(const Tensor<T>& x) {
  const Tensor<T> values = checked("MinMaxScaler", x, 0);
  const std::size_t columns = x.size(1);
  min_.assign(values.data(), values.data() + columns);
  max_ = min_;
  for (std::size_t i = columns; i < x.numel(); ++i) {
    const auto value = static_cast<double>(values.data()[i]);
    min_[i % columns] = std::min(min_[i % columns], value);
    max_[i % columns] = std::max(max_[i % columns], value);
  }
}

template <class T>
Tensor<T> MinMaxScaler::transform(const Tensor<T>& x) const {
  return map_columns("MinMaxScaler", x, min_.size(), [this](double value, std::size_t c) {
    const double above = value - min_[c];
    return std::lerp(low_, high_, is_constant(c) ? above : above / (max_[c] - min_[c]));
  });
}

template <class T>
Tensor<T> MinMaxScaler::inverse_transform(const Tensor<T>& x) const {
  return map_columns("MinMaxScaler", x, min_.size(), [this](double value, std::size_t c) {
    const double t = (value - low_) / (high_ - low_);
    return is_constant(c) ? min_[c] + t : std::lerp(min_[c], max_[c], t);
  });
}

std::string MinMaxScaler::to_json() const {
  return dumped({{"low", low_}, {"high", high_}, {"min", min_}, {"max", max_}});
}

MinMaxScaler MinMaxScaler::from_json(const std::string& text) {
  return parsed("MinMaxScaler", text, [](const json& stored) {
    const double low = stored.at("low"), high = stored.at("high");
    check_stored("MinMaxScaler", low < high, "low is not below high");
    MinMaxScaler scaler(low, high);
    stored.at("min").get_to(scaler.min_);
    stored.at("max").get_to(scaler.max_);
    check_stored("MinMaxScaler", scaler.min_.size() == scaler.max_.size());
    for (std::size_t c = 0; c < scaler.min_.size(); ++c)
      check_stored("MinMaxScaler", scaler.min_[c] <= scaler.max_[c], "a min above its max");
    return scaler;
  });
}

void OneHotEncoder::fit(const Table& table, const std::vector<std::string>& columns) {
  std::vector<std::vector<std::string>> categories(columns.size());
  detail::in_parallel(columns.size(), [&](std::size_t i) { categories[i] = table.unique(columns[i]); });
  if (table.rows() == 0) throw ValueError("OneHotEncoder: no rows");
  columns_ = columns;
  categories_ = std::move(categories);
}

template <class T>
Tensor<T> OneHotEncoder::transform(const Table& table) const {
  check_fitted("OneHotEncoder", !columns_.empty());
  auto encoded = zeros<T>({table.rows(), width()});
  mark(table, 0, table.rows(), encoded.data(), width());
  return encoded;
}

std::size_t OneHotEncoder::width() const {
  std::size_t width = 0;
  for (const auto& known : categories_) width += known.size();
  return width;
}

template <class T>
void OneHotEncoder::mark(const Table& table, std::size_t first, std::size_t last, T* out,
                         std::size_t row_length) const {
  std::vector<detail::TextIndex> places(columns_.size());
  std::vector<const Table::Text*> cells;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    for (const auto& category : categories_[c]) places[c].add(category);
    cells.push_back(&table.text(columns_[c]));
  }
  constexpr std::size_t at_once = 256;  // so many rows stay in the cache while all columns are marked
  for (; first < last; first += at_once) {
    std::size_t begin = 0;
    for (std::size_t c = 0; c < columns_.size(); begin += categories_[c++].size())
      for (std::size_t row = first; row < std::min(first + at_once, last); ++row)
        if (const std::size_t place = places[c].find((*cells[c])[row]); place != detail::TextIndex::none)
          out[row * row_length + begin + place] = 1;
  }
}

std::vector<std::string> OneHotEncoder::feature_names() const {
  std::vector<std::string> names;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    for (const auto& category : categories_[c]) names.push_back(columns_[c] + "_" + category);
  }
  return names;
}

std::string OneHotEncoder::to_json() const { return dumped({{"columns", columns_}, {"categories", categories_}}); }

OneHotEncoder OneHotEncoder::from_json(const std::string& text) {
  return parsed("OneHotEncoder", text, [](const json& stored) {
    OneHotEncoder encoder;
    stored.at("columns").get_to(encoder.columns_);
    stored.at("categories").get_to(encoder.categories_);
    check_stored("OneHotEncoder", encoder.columns_.size() == encoder.categories_.size());
    for (auto& categories : encoder.categories_) std::sort(categories.begin(), categories.end());
    return encoder;
  });
}

void ColumnTransformer::fit(const Table& table) {
  if (!columns_.standard.empty()) standard_.fit(table.tensor<double>(columns_.standard));
  if (!columns_.min_max.empty()) min_max_.fit(table.tensor<double>(columns_.min_max));
  if (!columns_.one_hot.empty()) one_hot_.fit(table, columns_.one_hot);
}

template <class T>
Tensor<T> ColumnTransformer::transform(const Table& table) const {
  std::vector<Tensor<double>> scaled;
  if (!columns_.standard.empty()) scaled.push_back(standard_.transform(table.tensor<double>(columns_.standard)));
  if (!columns_.min_max.empty()) scaled.push_back(min_max_.transform(table.tensor<double>(columns_.min_max)));
  if (!columns_.one_hot.empty()) check_fitted("OneHotEncoder", !one_hot_.columns().empty());
  const std::size_t rows = table.rows();
  std::size_t width = one_hot_.width();
  for (const auto& part : scaled) width += part.size(1);

  auto result = Tensor<T>::empty({rows, width});
  constexpr std::size_t portion = 4096;  // rows
  detail::in_parallel((rows + portion - 1) / portion, [&](std::size_t part) {
    const std::size_t from = part * portion, to = std::min(from + portion, rows);
    std::fill(result.data() + from * width, result.data() + to * width, T(0));
    std::size_t first = 0;
    for (const auto& numbers : scaled) {
      const std::size_t columns = numbers.size(1);
      for (std::size_t row = from; row < to; ++row)
        for (std::size_t c = 0; c < columns; ++c)
          result.data()[row * width + first + c] = static_cast<T>(numbers.data()[row * columns + c]);
      first += columns;
    }
    one_hot_.mark(table, from, to, result.data() + first, width);
  });
  return result;
}

std::vector<std::string> ColumnTransformer::feature_names() const {
  std::vector<std::string> names = columns_.standard;
  names.insert(names.end(), columns_.min_max.begin(), columns_.min_max.end());
  const auto one_hot = one_hot_.feature_names();
  names.insert(names.end(), one_hot.begin(), one_hot.end());
  return names;
}

std::string ColumnTransformer::to_json() const {
  return dumped(
      {{"columns", {{"standard", columns_.standard}, {"min_max", columns_.min_max}, {"one_hot", columns_.one_hot}}},
       {"standard", json::parse(standard_.to_json())},
       {"min_max", json::parse(min_max_.to_json())},
       {"one_hot", json::parse(one_hot_.to_json())}},
      1);
}

ColumnTransformer ColumnTransformer::from_json(const std::string& text) {
  return parsed("ColumnTransformer", text, [](const json& stored) {
    const json& columns = stored.at("columns");
    ColumnTransformer transformer({columns.at("standard"), columns.at("min_max"), columns.at("one_hot")});
    transformer.standard_ = StandardScaler::from_json(stored.at("standard").dump());
    transformer.min_max_ = MinMaxScaler::from_json(stored.at("min_max").dump());
    transformer.one_hot_ = OneHotEncoder::from_json(stored.at("one_hot").dump());
    return transformer;
  });
}

std::vector<double> compute_class_weight(std::string_view mode, const std::vector<long>& classes,
                                         const std::vector<long>& y) {
  const std::string name = "compute_class_weight: ";
  if (mode != "balanced") throw ValueError(name + "mode \"balanced\" expected, got \"" + std::string(mode) + "\"");
  if (y.empty()) throw ValueError(name + "no labels");
  for (const long label : y) {
    if (std::find(classes.begin(), classes.end(), label) == classes.end()) {
      throw ValueError(name + "label " + std::to_string(label) + " is none of the classes");
    }
  }
  const auto number_of_classes = static_cast<double>(std::set<long>(y.begin(), y.end()).size());
  std::vector<double> weights;
  for (const long of_class : classes) {
    const auto count = static_cast<double>(std::count(y.begin(), y.end(), of_class));
    if (count == 0) throw ValueError(name + "no label is of class " + std::to_string(of_class));
    weights.push_back(static_cast<double>(y.size()) / (number_of_classes * count));
  }
  return weights;
}

template void StandardScaler::fit(const Tensor<float>&);
template void StandardScaler::fit(const Tensor<double>&);
template Tensor<float> StandardScaler::transform(const Tensor<float>&) const;
template Tensor<double> StandardScaler::transform(const Tensor<double>&) const;
template Tensor<float> StandardScaler::inverse_transform(const Tensor<float>&) const;
template Tensor<double> StandardScaler::inverse_transform(const Tensor<double>&) const;
template void MinMaxScaler::fit(const Tensor<float>&);
template void MinMaxScaler::fit(const Tensor<double>&);
template Tensor<float> MinMaxScaler::transform(const Tensor<float>&) const;
template Tensor<double> MinMaxScaler::transform(const Tensor<double>&) const;
template Tensor<float> MinMaxScaler::inverse_transform(const Tensor<float>&) const;
template Tensor<double> MinMaxScaler::inverse_transform(const Tensor<double>&) const;
template Tensor<float> OneHotEncoder::transform(const Table&) const;
template Tensor<double> OneHotEncoder::transform(const Table&) const;
template Tensor<float> ColumnTransformer::transform(const Table&) const;
template Tensor<double> ColumnTransformer::transform(const Table&) const;

}  // namespace handgrad
