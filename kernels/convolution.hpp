#pragma once
// Convolution in the sense of neural networks: a correlation, each output a weighted sum over a window of the input.
#include "kernels/formulas/activations.hpp"
#include "kernels/formulas/windows.hpp"
#include "kernels/view.hpp"

namespace handgrad::kernels {

/// x (N×C×H×W), W (O×C/G×kh×kw), y (N×O×H′×W′). The channels form G groups: each of a group's O/G filters sees the C/G
/// channels of that group. `rows` relates H, kh and H′; `columns` relates W, kw and W′.
struct ConvolutionShape {
  std::size_t batch, channels, filters, groups;
  formulas::Axis rows, columns;

  constexpr std::size_t group_channels() const { return channels / groups; }
  constexpr std::size_t group_filters() const { return filters / groups; }
  constexpr std::size_t in_plane() const { return rows.in * columns.in; }
  constexpr std::size_t out_plane() const { return rows.out * columns.out; }
  constexpr std::size_t taps() const { return rows.kernel * columns.kernel; }
  /// Weights of one filter: the terms of one output.
  constexpr std::size_t terms() const { return group_channels() * taps(); }
};

/// With h = i·s + u·d − p and w = j·s + v·d − p (formulas/windows.hpp); x is 0 outside its borders.
template <class T>
class Convolution {
 public:
  virtual ~Convolution() = default;

  /// y[n,o,i,j] = f(Σ_{c,u,v} W[o,c,u,v]·x[n,c,h,w] + b[o]); b and f may be null.
  virtual void forward(const ConvolutionShape& shape, const T* x, const T* W, const T* b, const formulas::Activation* f,
                       T* y) = 0;
  /// dx[n,c,h,w] = Σ_{o,u,v} W[o,c,u,v]·dy[n,o,i,j] + b[c], over the u, v for which such i and j exist; b may be null.
  /// There is a b because this is also the forward of a transposed convolution.
  virtual void backward_input(const ConvolutionShape& shape, const T* dy, const T* W, const T* b, T* dx) = 0;
  /// dW[o,c,u,v] = Σ_{n,i,j} dy[n,o,i,j]·x[n,c,h,w]
  virtual void backward_weight(const ConvolutionShape& shape, const T* x, const T* dy, Gradient<T> dW) = 0;
  /// db[o] = Σ_{n,q} dy[n,o,q], dy (N×O×plane)
  virtual void backward_bias(std::size_t batch, std::size_t filters, std::size_t plane, const T* dy,
                             Gradient<T> db) = 0;
};

/// On device D: cpu/convolution.cpp, cuda/convolution.cu.
template <class D, class T>
class ConvolutionOn final : public Convolution<T> {
 public:
  explicit ConvolutionOn(D& device) : device_(device) {}
  void forward(const ConvolutionShape& shape, const T* x, const T* W, const T* b, const formulas::Activation* f,
               T* y) override;
  void backward_input(const ConvolutionShape& shape, const T* dy, const T* W, const T* b, T* dx) override;
  void backward_weight(const ConvolutionShape& shape, const T* x, const T* dy, Gradient<T> dW) override;
  void backward_bias(std::size_t batch, std::size_t filters, std::size_t plane, const T* dy, Gradient<T> db) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
