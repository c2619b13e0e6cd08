#pragma once
// Rows of a table looked up by index, and rows added by their position in a sequence.
#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/device.hpp"
#include "kernels/view.hpp"

namespace handgrad::kernels {

/// Which rows of a table's gradient have been added to, each once: `count` numbers in `rows`, which has room for all
/// that a call may add, and a mark for each row of the table. Null: not wanted.
struct TouchedRows {
  std::uint32_t* rows = nullptr;
  std::size_t* count = nullptr;
  unsigned char* marks = nullptr;
};

/// No row's number.
constexpr std::size_t no_row = ~std::size_t{0};

template <class T>
class Embedding {
 public:
  virtual ~Embedding() = default;

  /// yₜ = E[iₜ] for E (K×D), i (N), y (N×D). An iₜ outside 0 … K−1 is returned, or, on an asynchronous device, raised
  /// later; its row is NaN then.
  virtual std::optional<BadClass> forward(Vector<const T> indices, Matrix<const T> table, Matrix<T> y) = 0;
  /// dE[iₜ] += δₜ, in the order of t; row `padding` stays as it is.
  virtual void backward(Vector<const T> indices, Matrix<const T> dy, std::size_t padding, Matrix<T> dE,
                        const TouchedRows& touched) = 0;
  /// yᵣ = xᵣ + table[⌊r/step⌋ mod length] for each row r of x; the table has at least `length` rows.
  virtual void add_positions(Matrix<const T> x, Matrix<const T> table, std::size_t step, std::size_t length,
                             Matrix<T> y) = 0;
};

/// On device D: cpu/embedding.cpp, cuda/embedding.cu.
template <class D, class T>
class EmbeddingOn final : public Embedding<T> {
 public:
  explicit EmbeddingOn(D& device) : device_(device) {}
  std::optional<BadClass> forward(Vector<const T> indices, Matrix<const T> table, Matrix<T> y) override;
  void backward(Vector<const T> indices, Matrix<const T> dy, std::size_t padding, Matrix<T> dE,
                const TouchedRows& touched) override;
  void add_positions(Matrix<const T> x, Matrix<const T> table, std::size_t step, std::size_t length,
                     Matrix<T> y) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
