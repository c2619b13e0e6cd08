#pragma once
#include <cstdint>
#include <optional>

#include "handgrad/contract/layer.hpp"

namespace handgrad {

struct EmbeddingOptions {
  /// This row is initially zero and gets no gradient: it stands for "nothing", for instance after the end of a short
  /// sequence. Negative counts from the end.
  std::optional<std::int64_t> padding_idx = std::nullopt;
};

/// A table of vectors, as torch.nn.Embedding: yₜ = E[xₜ], row xₜ of E = weight (num_embeddings × embedding_dim), for
/// indices x of any shape (…): y (…, embedding_dim). Indices are whole numbers from 0 to num_embeddings − 1, stored as
/// elements of the tensor; any other is a ValueError (on a GPU thrown when a result is next read).
///
/// Derivation: with one-hot rows o (oₜₖ = 1 if xₜ = k, else 0), yₜⱼ = Σₖ oₜₖ·Eₖⱼ, a product of matrices, so
///     ∂yₜⱼ/∂Eₖⱼ = oₜₖ   ⇒   dEₖ = Σₜ oₜₖ·δₜ = Σ over the t with xₜ = k of δₜ
/// The δ of *all* places of an index add up: `dE[x[t]] = δ[t]` would keep only the last. They are added in the order of
/// t, on every device. x holds row numbers rather than quantities: there is no dx (`differentiable_input()`).
///
/// The gradient is dense, as PyTorch's by default. As long as nobody else writes to it or looks at it, a step of SGD
/// without momentum and weight decay visits only the rows of the batch, with the same result.
template <class T = float>
class Embedding : public Layer<T> {
 public:
  /// E from N(0, 1), drawn as in PyTorch. Throws ValueError for a size of 0, a padding_idx out of range, and more rows
  /// than T can count (2²⁴ as float).
  Embedding(std::size_t num_embeddings, std::size_t embedding_dim, EmbeddingOptions options = {});
  /// From a given table, which it shares; frozen by default, as Embedding.from_pretrained.
  static Embedding from_pretrained(Tensor<T> embeddings, bool freeze = true, EmbeddingOptions options = {});

  std::size_t num_embeddings() const { return weight.shape()[0]; }
  std::size_t embedding_dim() const { return weight.shape()[1]; }

  Parameter<T> weight;

  std::string extra_repr() const override;
  std::string label() const override;
  Shape output_shape(const Shape& input) const override;
  bool differentiable_input() const override { return false; }
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  Embedding(Tensor<T> table, EmbeddingOptions options);
  std::optional<std::size_t> padding_;
};

Embedding(std::size_t, std::size_t)->Embedding<float>;
Embedding(std::size_t, std::size_t, EmbeddingOptions)->Embedding<float>;

}  // namespace handgrad
