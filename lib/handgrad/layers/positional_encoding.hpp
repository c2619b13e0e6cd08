#pragma once
#include <memory>

#include "handgrad/layers/dropout.hpp"

namespace handgrad {

struct PositionalEncodingOptions {
  double dropout = 0.1;
  std::size_t max_len = 5000;  ///< the longest sequence
  bool batch_first = false;    ///< x is (N, T, E) rather than (T, N, E)
};

/// Adds to each vector its position in the sequence (Vaswani et al. 2017, section 3.5), as the module of that name in
/// PyTorch's tutorials: y = dropout(x + p) for sequences x (T, N, E), (N, T, E) with batch_first, or (T, E), with
///     p[t, 2i] = sin(t/10000^(2i/E)),   p[t, 2i+1] = cos(t/10000^(2i/E))
/// Attention itself ignores the order of the vectors. p is the buffer `pe` (max_len, 1, E); it is not trained.
///
/// Derivation: ∂y/∂x = 1, so dx = δ, with the dropout mask of y.
template <class T = float>
class PositionalEncoding : public Layer<T> {
 public:
  /// Throws ValueError for a size of 0.
  explicit PositionalEncoding(std::size_t d_model, PositionalEncodingOptions options = {});

  Buffer<T> pe;
  bool batch_first() const { return batch_first_; }

  std::string extra_repr() const override;
  std::string label() const override { return this->name() + "(" + extra_repr() + ")"; }
  /// Throws ShapeError for another number of features, or a sequence longer than max_len.
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  bool dropped() const { return this->is_training() && dropout_->p() > 0; }
  bool batch_first_;
  std::shared_ptr<Dropout<T>> dropout_;
  Tensor<T> sum_;
};

PositionalEncoding(std::size_t)->PositionalEncoding<float>;
PositionalEncoding(std::size_t, PositionalEncodingOptions)->PositionalEncoding<float>;

}  // namespace handgrad
