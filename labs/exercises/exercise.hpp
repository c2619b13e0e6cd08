#pragma once
// For exercises: matrices and vectors of numbers with checked indices.
//
//     Matrix dW(7, 3);                   // 7×3, zeros
//     for (int n = 0; n < x.rows(); ++n)
//       for (int i = 0; i < x.cols(); ++i)
//         dW(o, i) += delta(n, o) * x(n, i);
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

class Vector {
 public:
  explicit Vector(int size = 0, double value = 0) : elements_(static_cast<std::size_t>(size), value) {}
  Vector(std::initializer_list<double> elements) : elements_(elements) {}
  int size() const { return static_cast<int>(elements_.size()); }
  double& operator()(int i) { return elements_[at(i)]; }
  double operator()(int i) const { return elements_[at(i)]; }
  const std::vector<double>& elements() const { return elements_; }

 private:
  std::size_t at(int i) const {
    if (i < 0 || i >= size())
      throw std::out_of_range("element (" + std::to_string(i) + ") of a vector of " + std::to_string(size()));
    return static_cast<std::size_t>(i);
  }
  std::vector<double> elements_;
};

class Matrix {
 public:
  explicit Matrix(int rows = 0, int cols = 0, double value = 0)
      : rows_(rows), cols_(cols), elements_(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols), value) {}
  int rows() const { return rows_; }
  int cols() const { return cols_; }
  int size() const { return rows_ * cols_; }
  double& operator()(int i, int j) { return elements_[at(i, j)]; }
  double operator()(int i, int j) const { return elements_[at(i, j)]; }
  const std::vector<double>& elements() const { return elements_; }

 private:
  std::size_t at(int i, int j) const {
    if (i < 0 || i >= rows_ || j < 0 || j >= cols_)
      throw std::out_of_range("element (" + std::to_string(i) + ", " + std::to_string(j) + ") of a matrix of " +
                              std::to_string(rows_) + " rows and " + std::to_string(cols_) + " columns");
    return static_cast<std::size_t>(i) * static_cast<std::size_t>(cols_) + static_cast<std::size_t>(j);
  }
  int rows_ = 0, cols_ = 0;
  std::vector<double> elements_;
};
