#pragma once
// All operations that a layer, a loss or an optimizer may call, by subject. Each subject's header declares the
// interface and the class that implements it on a device D; the implementations are in cpu/ and cuda/ under the same
// name. All are pure virtual: an operation that a device lacks does not link. Sizes are not checked here, which is the
// caller's task, and outputs come with their final size.
#include "kernels/activations.hpp"
#include "kernels/attention.hpp"
#include "kernels/convolution.hpp"
#include "kernels/dropout.hpp"
#include "kernels/elements.hpp"
#include "kernels/embedding.hpp"
#include "kernels/linear.hpp"
#include "kernels/losses.hpp"
#include "kernels/norms.hpp"
#include "kernels/optimizers.hpp"
#include "kernels/pooling.hpp"
#include "kernels/products.hpp"
#include "kernels/recurrent.hpp"
#include "kernels/softmax.hpp"

namespace handgrad::kernels {

/// A device's operations.
template <class T>
struct Backend {
  Elements<T>& elements;
  Products<T>& products;
  Linear<T>& linear;
  Convolution<T>& convolution;
  Pooling<T>& pooling;
  Activations<T>& activations;
  Softmax<T>& softmax;
  Norms<T>& norms;
  Dropout<T>& dropout;
  Embedding<T>& embedding;
  Attention<T>& attention;
  Recurrent<T>& recurrent;
  Losses<T>& losses;
  Optimizers<T>& optimizers;
};

/// The operations of device D.
template <class D, class T>
class BackendOn {
 public:
  explicit BackendOn(D& d)
      : elements_(d),
        products_(d),
        linear_(d),
        convolution_(d),
        pooling_(d),
        activations_(d),
        softmax_(d),
        norms_(d),
        dropout_(d),
        embedding_(d),
        attention_(d),
        recurrent_(d),
        losses_(d),
        optimizers_(d),
        all_{elements_, products_, linear_,    convolution_, pooling_,   activations_, softmax_,
             norms_,    dropout_,  embedding_, attention_,   recurrent_, losses_,      optimizers_} {}
  BackendOn(const BackendOn&) = delete;
  const Backend<T>& operations() const { return all_; }

 private:
  ElementsOn<D, T> elements_;
  ProductsOn<D, T> products_;
  LinearOn<D, T> linear_;
  ConvolutionOn<D, T> convolution_;
  PoolingOn<D, T> pooling_;
  ActivationsOn<D, T> activations_;
  SoftmaxOn<D, T> softmax_;
  NormsOn<D, T> norms_;
  DropoutOn<D, T> dropout_;
  EmbeddingOn<D, T> embedding_;
  AttentionOn<D, T> attention_;
  RecurrentOn<D, T> recurrent_;
  LossesOn<D, T> losses_;
  OptimizersOn<D, T> optimizers_;
  Backend<T> all_;
};

/// The CPU's operations (kernels/cpu).
template <class T>
const Backend<T>& cpu_backend();

}  // namespace handgrad::kernels
