#pragma once
#include <optional>

#include "handgrad/contract/layer.hpp"
#include "handgrad/layers/window.hpp"

namespace handgrad {

namespace kernels {
struct PoolingShape;
}

struct MaxPool2dOptions {
  std::optional<Size2d> stride = {};  ///< none: kernel_size
  Size2d padding = 0;                 ///< at most half of the window; never the maximum
  Size2d dilation = 1;
  bool ceil_mode = false;  ///< include a last, partial window
};
struct MaxPool1dOptions {
  std::optional<std::size_t> stride = {};
  std::size_t padding = 0, dilation = 1;
  bool ceil_mode = false;
};

/// The common part of MaxPool1d and MaxPool2d: the maximum of each window of each plane, x (N×C×H×W), y (N×C×H′×W′):
///     yᵢⱼ = max_{u,v} xₕ𝓌,   h = i·s + u·d − p, w = j·s + v·d − p
///
/// Derivation, for δ = ∂L/∂y: if a window has a single largest element, y is that element, so ∂yᵢⱼ/∂xₕ𝓌 is 1 there and
/// 0 elsewhere, and
///     dxₕ𝓌 = Σ δᵢⱼ over the windows whose maximum is at (h, w)
/// a sum, since windows may overlap. Of several equal elements the first in the window, row by row, counts as the
/// maximum, as in PyTorch: the gradient goes to one, not to all. The forward remembers which. NaN counts as larger than
/// any number.
template <class T>
class MaxPoolLayer : public Layer<T> {
 public:
  std::size_t spatial() const { return spatial_; }
  /// Height and width of the window.
  const Size2d& kernel_size() const { return kernel_; }
  const Size2d& stride() const { return stride_; }
  const MaxPool2dOptions& options() const { return options_; }
  std::string extra_repr() const override;
  /// Throws ShapeError for a plane too small for a window.
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;
  /// The sizes as the kernels have them, and u·kw + v of each maximum of the last forward.
  kernels::PoolingShape sizes(const Shape& x, const Shape& y) const;
  const Tensor<T>& places() const { return at_; }

 protected:
  MaxPoolLayer(const char* name, std::size_t spatial, Size2d kernel, const MaxPool2dOptions& options);
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;
  /// Which element was the maximum.
  void kink_sides(const Tensor<T>& x, std::vector<bool>& sides) const override;

 private:
  std::size_t spatial_;
  Size2d kernel_, stride_;
  MaxPool2dOptions options_;
  Tensor<T> at_;  // u·kw + v of each maximum of the last forward
};

/// As torch.nn.MaxPool2d: x (N, C, H, W) or (C, H, W).
template <class T = float>
class MaxPool2d : public MaxPoolLayer<T> {
 public:
  explicit MaxPool2d(Size2d kernel_size, const MaxPool2dOptions& options = {})
      : MaxPoolLayer<T>("MaxPool2d", 2, kernel_size, options) {}
};

/// As torch.nn.MaxPool1d: x (N, C, L) or (C, L).
template <class T = float>
class MaxPool1d : public MaxPoolLayer<T> {
 public:
  explicit MaxPool1d(std::size_t kernel_size, const MaxPool1dOptions& options = {});
};

struct AvgPool2dOptions {
  std::optional<Size2d> stride = {};  ///< none: kernel_size
  Size2d padding = 0;                 ///< at most half of the window
  bool ceil_mode = false;
  bool count_include_pad = true;                     ///< the divisor includes the padding
  std::optional<std::size_t> divisor_override = {};  ///< the divisor
};
struct AvgPool1dOptions {
  std::optional<std::size_t> stride = {};
  std::size_t padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
};

/// The common part of AvgPool1d, AvgPool2d and AdaptiveAvgPool2d: the mean of each window R of each plane,
///     yᵢⱼ = (1/|R|) Σ_{(h,w) ∈ Rᵢⱼ} xₕ𝓌
/// where |R| includes padding by default.
///
/// Derivation, for δ = ∂L/∂y: ∂yᵢⱼ/∂xₕ𝓌 = 1/|Rᵢⱼ| for every element of the window, hence
///     dxₕ𝓌 = Σ δᵢⱼ/|Rᵢⱼ| over the windows that contain (h, w)
template <class T>
class AveragePoolLayer : public Layer<T> {
 public:
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  explicit AveragePoolLayer(std::size_t spatial) : spatial_(spatial) {}
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;
  std::size_t spatial_;

 private:
  /// Without a kernel, each window has a size of its own: AdaptiveAvgPool2d.
  struct Windows {
    Size2d kernel = 1, stride = 1, padding = 0;
    bool adaptive = true, count_include_pad = true;
    std::size_t divisor_override = 0;
  };
  virtual Windows windows() const = 0;
  template <class>
  friend class AvgPoolLayer;
  template <class>
  friend class AdaptiveAvgPool2d;
};

/// The common part of AvgPool1d and AvgPool2d.
template <class T>
class AvgPoolLayer : public AveragePoolLayer<T> {
 public:
  std::size_t spatial() const { return this->spatial_; }
  /// Height and width of the window.
  const Size2d& kernel_size() const { return kernel_; }
  const Size2d& stride() const { return stride_; }
  const AvgPool2dOptions& options() const { return options_; }
  std::string extra_repr() const override;
  Shape output_shape(const Shape& input) const override;

 protected:
  AvgPoolLayer(const char* name, std::size_t spatial, Size2d kernel, const AvgPool2dOptions& options);

 private:
  typename AveragePoolLayer<T>::Windows windows() const override;
  Size2d kernel_, stride_;
  AvgPool2dOptions options_;
};

/// As torch.nn.AvgPool2d: x (N, C, H, W) or (C, H, W).
template <class T = float>
class AvgPool2d : public AvgPoolLayer<T> {
 public:
  explicit AvgPool2d(Size2d kernel_size, const AvgPool2dOptions& options = {})
      : AvgPoolLayer<T>("AvgPool2d", 2, kernel_size, options) {}
};

/// As torch.nn.AvgPool1d: x (N, C, L) or (C, L).
template <class T = float>
class AvgPool1d : public AvgPoolLayer<T> {
 public:
  explicit AvgPool1d(std::size_t kernel_size, const AvgPool1dOptions& options = {});
};

/// As torch.nn.AdaptiveAvgPool2d: H′×W′ means whatever the plane's size, over windows from ⌊i·H/H′⌋ to ⌈(i+1)·H/H′⌉; 1
/// gives the mean of the whole plane.
template <class T = float>
class AdaptiveAvgPool2d : public AveragePoolLayer<T> {
 public:
  explicit AdaptiveAvgPool2d(Size2d output_size);
  const Size2d& output_size() const { return size_; }
  std::string extra_repr() const override;
  Shape output_shape(const Shape& input) const override;

 private:
  typename AveragePoolLayer<T>::Windows windows() const override { return {}; }
  Size2d size_;
};

MaxPool2d(Size2d)->MaxPool2d<float>;
MaxPool2d(Size2d, MaxPool2dOptions)->MaxPool2d<float>;
MaxPool1d(std::size_t)->MaxPool1d<float>;
MaxPool1d(std::size_t, MaxPool1dOptions)->MaxPool1d<float>;
AvgPool2d(Size2d)->AvgPool2d<float>;
AvgPool2d(Size2d, AvgPool2dOptions)->AvgPool2d<float>;
AvgPool1d(std::size_t)->AvgPool1d<float>;
AvgPool1d(std::size_t, AvgPool1dOptions)->AvgPool1d<float>;
AdaptiveAvgPool2d(Size2d)->AdaptiveAvgPool2d<float>;

}  // namespace handgrad
