#pragma once
#include <array>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <string>

namespace handgrad {

/// The sizes of a tensor of rank 0 to 4, row-major: `Shape{32, 4}` is 32 rows of 4 columns. Rank 0 is a single number.
class Shape {
 public:
  /// The most dimensions that a shape has.
  static constexpr std::size_t max_rank = 4;

  constexpr Shape() = default;
  Shape(std::initializer_list<std::size_t> sizes) : Shape(sizes.begin(), sizes.end()) {}
  /// From any range of sizes. Throws ShapeError for more than four.
  template <std::input_iterator Iterator>
  Shape(Iterator first, Iterator last) {
    for (; first != last; ++first) push_back(static_cast<std::size_t>(*first));
  }
  void push_back(std::size_t size) {
    if (rank_ == max_rank) too_many();
    sizes_[rank_++] = size;
  }

  /// How many dimensions.
  std::size_t rank() const { return rank_; }
  /// The size of dimension `i`, not checked; negative counts from the end, as in `shape[-1]`.
  std::size_t operator[](int i) const { return sizes_[i < 0 ? rank_ - static_cast<std::size_t>(-i) : std::size_t(i)]; }
  std::size_t& operator[](int i) { return sizes_[i < 0 ? rank_ - static_cast<std::size_t>(-i) : std::size_t(i)]; }
  const std::size_t* begin() const { return sizes_.data(); }
  const std::size_t* end() const { return sizes_.data() + rank_; }
  /// Number of elements: the product of the sizes, 1 for rank 0.
  std::size_t numel() const {
    std::size_t n = 1;
    for (std::size_t size : *this) n *= size;
    return n;
  }
  /// The shape seen as a matrix's: all dimensions but the last are rows; a vector is one row.
  std::size_t columns() const { return rank_ == 0 ? 1 : sizes_[rank_ - 1]; }
  std::size_t rows() const { return columns() == 0 ? 0 : numel() / columns(); }
  /// `(32, 4)`, `(5,)`, `()`, as Python writes a tuple.
  std::string str() const;

  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (std::size_t i = 0; i < rank_; ++i)
      if (sizes_[i] != other.sizes_[i]) return false;
    return true;
  }

 private:
  [[noreturn]] static void too_many();
  std::size_t rank_ = 0;
  std::array<std::size_t, max_rank> sizes_{};
};

}  // namespace handgrad
