#pragma once
#include "handgrad/contract/layer.hpp"
#include "handgrad/layers/window.hpp"

namespace handgrad {

namespace kernels {
struct ConvolutionShape;
}

struct Conv2dOptions {
  Size2d stride = 1;
  Padding2d padding = 0;  ///< "same" with stride 1 only
  Size2d dilation = 1;
  std::size_t groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";  ///< the only one supported
};

struct Conv1dOptions {
  std::size_t stride = 1;
  Padding2d padding = 0;
  std::size_t dilation = 1;
  std::size_t groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";
};

/// The common part of Conv1d and Conv2d: x (N×C×H×W), W (O×C/G×kh×kw), b (O), y (N×O×H′×W′), with stride s, padding p,
/// dilation d and G groups, each filter seeing only the channels of its group. In one dimension H = kh = 1. An input
/// without N is one example.
///
/// A filter slides over x and is correlated with what is under it:
///     yₙₒᵢⱼ = bₒ + Σ_{c,u,v} Wₒ꜀ᵤᵥ·xₙ꜀ₕ𝓌,   h = i·s + u·d − p,  w = j·s + v·d − p        (x = 0 outside)
///     H′ = ⌊(H + 2p − d·(kh − 1) − 1)/s⌋ + 1, W′ likewise
///
/// Derivation, for δ = ∂L/∂y: every y is linear in b, W and x, so that each gradient is the sum of δ times the other
/// factor:
///     ∂yₙₒᵢⱼ/∂bₒ = 1         ⇒  dbₒ    = Σ_{n,i,j} δₙₒᵢⱼ
///     ∂yₙₒᵢⱼ/∂Wₒ꜀ᵤᵥ = xₙ꜀ₕ𝓌   ⇒  dWₒ꜀ᵤᵥ = Σ_{n,i,j} δₙₒᵢⱼ·xₙ꜀ₕ𝓌       x correlated with δ: where the filter lay
///     ∂yₙₒᵢⱼ/∂xₙ꜀ₕ𝓌 = Wₒ꜀ᵤᵥ   ⇒  dxₙ꜀ₕ𝓌 = Σ_{o,u,v} δₙₒᵢⱼ·Wₒ꜀ᵤᵥ       over those u, v for which i = (h + p − u·d)/s
///                                                           and j = (w + p − v·d)/s are whole and in range
/// In dx a larger u goes with a smaller i: it is δ, padded by k − 1 − p, correlated with the kernel turned by 180° (a
/// "full" correlation); for a stride s, with s − 1 zeros between δ's elements. (Dumoulin and Visin 2016, A guide to
/// convolution arithmetic, arXiv 1603.07285.)
template <class T>
class ConvolutionLayer : public Layer<T> {
 public:
  std::size_t in_channels() const { return in_; }
  std::size_t out_channels() const { return weight.shape()[0]; }
  /// Whether b is there.
  bool has_bias() const { return bias.defined(); }
  /// The number of dimensions of a plane. In one dimension its height is 1, as are all heights in the options.
  std::size_t spatial() const { return spatial_; }
  const Size2d& kernel_size() const { return kernel_; }
  const Conv2dOptions& options() const { return options_; }

  Parameter<T> weight, bias;

  std::string extra_repr() const override;
  std::string label() const override;
  /// Throws ShapeError for a wrong number of channels or a plane too small for the kernel.
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;
  /// The sizes as the kernels have them.
  kernels::ConvolutionShape sizes(const Shape& x, const Shape& y) const;

 protected:
  /// W, then b, both from U(−1/√f, 1/√f) with f = (C/G)·kh·kw, drawn as in PyTorch.
  ConvolutionLayer(const char* name, std::size_t spatial, std::size_t in_channels, std::size_t out_channels,
                   Size2d kernel, const Conv2dOptions& options);
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  std::size_t spatial_, in_;
  Size2d kernel_;
  Conv2dOptions options_;
};

/// As torch.nn.Conv2d: x (N, C, H, W) or (C, H, W). Formula and derivation: ConvolutionLayer.
template <class T = float>
class Conv2d : public ConvolutionLayer<T> {
 public:
  /// Throws ValueError for a size of 0, for groups that do not divide both numbers of channels, and for "same" with a
  /// stride.
  Conv2d(std::size_t in_channels, std::size_t out_channels, Size2d kernel_size, const Conv2dOptions& options = {})
      : ConvolutionLayer<T>("Conv2d", 2, in_channels, out_channels, kernel_size, options) {}
};

/// As torch.nn.Conv1d: x (N, C, L) or (C, L).
template <class T = float>
class Conv1d : public ConvolutionLayer<T> {
 public:
  Conv1d(std::size_t in_channels, std::size_t out_channels, std::size_t kernel_size, const Conv1dOptions& options = {});
};

struct ConvTranspose2dOptions {
  Size2d stride = 1, padding = 0;
  Size2d output_padding = 0;  ///< additional rows and columns at the end, fewer than stride or dilation
  std::size_t groups = 1;
  bool bias = true;
  Size2d dilation = 1;
};

/// As torch.nn.ConvTranspose2d: the linear map of the transposed matrix of a Conv2d from y's shape to x's. Its forward
/// is that Conv2d's backward with respect to the input, and vice versa. With x (N×C×H×W), W (C×O/G×kh×kw), b (O),
/// y (N×O×H′×W′),
///     yₙₒₕ𝓌 = bₒ + Σ_{c,u,v} xₙ꜀ᵢⱼ·W꜀ₒᵤᵥ,   i = (h + p − u·d)/s, j = (w + p − v·d)/s, if whole and in range
///     H′ = (H − 1)·s − 2p + d·(kh − 1) + output_padding + 1
/// and, for δ = ∂L/∂y,
///     dbₒ = Σ_{n,h,w} δₙₒₕ𝓌
///     dW꜀ₒᵤᵥ = Σ_{n,i,j} xₙ꜀ᵢⱼ·δₙₒₕ𝓌,   dxₙ꜀ᵢⱼ = Σ_{o,u,v} δₙₒₕ𝓌·W꜀ₒᵤᵥ,   h = i·s + u·d − p, w = j·s + v·d − p
template <class T = float>
class ConvTranspose2d : public Layer<T> {
 public:
  ConvTranspose2d(std::size_t in_channels, std::size_t out_channels, Size2d kernel_size,
                  const ConvTranspose2dOptions& options = {});

  std::size_t in_channels() const { return weight.shape()[0]; }
  std::size_t out_channels() const { return out_; }
  const Size2d& kernel_size() const { return kernel_; }
  const ConvTranspose2dOptions& options() const { return options_; }

  Parameter<T> weight, bias;

  std::string extra_repr() const override;
  std::string label() const override;
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  std::size_t out_;
  Size2d kernel_;
  ConvTranspose2dOptions options_;
};

Conv2d(std::size_t, std::size_t, Size2d)->Conv2d<float>;
Conv2d(std::size_t, std::size_t, Size2d, Conv2dOptions)->Conv2d<float>;
Conv1d(std::size_t, std::size_t, std::size_t)->Conv1d<float>;
Conv1d(std::size_t, std::size_t, std::size_t, Conv1dOptions)->Conv1d<float>;
ConvTranspose2d(std::size_t, std::size_t, Size2d)->ConvTranspose2d<float>;
ConvTranspose2d(std::size_t, std::size_t, Size2d, ConvTranspose2dOptions)->ConvTranspose2d<float>;

}  // namespace handgrad
