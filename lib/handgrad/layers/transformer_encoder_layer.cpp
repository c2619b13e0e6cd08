#include "handgrad/layers/transformer_encoder_layer.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/fusion/access.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

namespace {

/// sum = a + b
template <class T>
const Tensor<T>& add(const Tensor<T>& a, const Tensor<T>& b, Tensor<T>& sum) {
  sum.reserve(a.shape(), a.device());
  backend<T>(a.device()).elements.add(view::vector(a), view::vector(b), view::vector(sum));
  return sum;
}

}  // namespace

template <class T>
void TransformerEncoderLayer<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  plan();
  if (norm_first_) {
    // h = x + A(norm1(x)),  y = h + F(norm2(h))
    const Tensor<T>& h = add(x, attend(norm1_->forward(x)), sum1_);
    add(h, feed_forward(norm2_->forward(h)), y);
  } else {
    // h = norm1(x + A(x)),  y = norm2(h + F(h))
    const Tensor<T>& h = norm1_->forward(add(x, attend(x), sum1_));
    y.copy_from(norm2_->forward(add(h, feed_forward(h), sum2_)));
  }
}

template <class T>
void TransformerEncoderLayer<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  const bool wanted = this->requires_input_grad();
  (norm_first_ ? *norm1_ : static_cast<Layer<T>&>(*self_attn_)).requires_input_grad(wanted);
  if (norm_first_) {
    // δ_h = δ + ∂norm2ᵀ·∂Fᵀ·δ,  dx = δ_h + ∂norm1ᵀ·∂Aᵀ·δ_h
    const Tensor<T>& dh = add(dy, norm2_->backward(feed_forward_backward(dy)), dsum2_);
    const Tensor<T>& through = norm1_->backward(attend_backward(dh));
    if (wanted) add(dh, through, dx);
  } else {
    // u = ∂norm2ᵀ·δ,  δ_h = u + ∂Fᵀ·u,  v = ∂norm1ᵀ·δ_h,  dx = v + ∂Aᵀ·v
    const Tensor<T>& u = norm2_->backward(dy);
    const Tensor<T>& dh = add(u, feed_forward_backward(u), dsum2_);
    const Tensor<T>& v = norm1_->backward(dh);
    const Tensor<T>& through = attend_backward(v);
    if (wanted) add(v, through, dx);
  }
}

// The layers of A and of F that do something in this mode, fused where possible.
template <class T>
void TransformerEncoderLayer<T>::plan() {
  for (const auto& [name, child] : this->children()) fusion::Access<T>(*child).release_input();
  if (attention_) return;
  std::vector<Layer<T>*> attention{self_attn_.get()}, forward{linear1_.get(), activation_.get()};
  const bool dropped = this->is_training() && drops_;
  if (dropped) {
    attention.push_back(dropout1_.get());
    forward.push_back(dropout_.get());
  }
  forward.push_back(linear2_.get());
  if (dropped) forward.push_back(dropout2_.get());
  in_attention_ = attention.size();
  in_feed_forward_ = forward.size();
  attention_.emplace(std::move(attention));
  feed_forward_.emplace(std::move(forward));
}

namespace {

template <class T>
const Tensor<T>& run(const fusion::Plan<T>& plan, std::size_t layers, const Tensor<T>& x) {
  const Tensor<T>* h = &x;
  for (std::size_t i = 0; i < layers;) h = &plan.forward(i, *h);
  return *h;
}

template <class T>
const Tensor<T>& run_back(const fusion::Plan<T>& plan, std::size_t layers, const Tensor<T>& dy) {
  const Tensor<T>* delta = &dy;
  for (std::size_t i = layers; i > 0;) delta = &plan.backward(i, *delta);
  return *delta;
}

}  // namespace

template <class T>
const Tensor<T>& TransformerEncoderLayer<T>::attend(const Tensor<T>& x) {
  return run(*attention_, in_attention_, x);
}
template <class T>
const Tensor<T>& TransformerEncoderLayer<T>::attend_backward(const Tensor<T>& d) {
  return run_back(*attention_, in_attention_, d);
}
template <class T>
const Tensor<T>& TransformerEncoderLayer<T>::feed_forward(const Tensor<T>& h) {
  return run(*feed_forward_, in_feed_forward_, h);
}
template <class T>
const Tensor<T>& TransformerEncoderLayer<T>::feed_forward_backward(const Tensor<T>& d) {
  return run_back(*feed_forward_, in_feed_forward_, d);
}

template <class T>
TransformerEncoderLayer<T>::TransformerEncoderLayer(std::size_t d_model, std::size_t nhead,
                                                    TransformerEncoderLayerOptions options)
    : norm_first_(options.norm_first), drops_(options.dropout > 0) {
  if (options.activation == "relu")
    activation_ = std::make_shared<ReLU<T>>();
  else if (options.activation == "gelu")
    activation_ = std::make_shared<GELU<T>>();
  else
    throw ValueError("TransformerEncoderLayer: activation is relu or gelu, '" + options.activation + "' came");
  self_attn_ = std::make_shared<MultiheadAttention<T>>(d_model, nhead,
                                                       MultiheadAttentionOptions{.dropout = options.dropout,
                                                                                 .bias = options.bias,
                                                                                 .batch_first = options.batch_first,
                                                                                 .is_causal = options.is_causal});
  linear1_ = std::make_shared<Linear<T>>(d_model, options.dim_feedforward, options.bias);
  dropout_ = std::make_shared<Dropout<T>>(options.dropout);
  linear2_ = std::make_shared<Linear<T>>(options.dim_feedforward, d_model, options.bias);
  const LayerNormOptions norm{.eps = options.layer_norm_eps, .bias = options.bias};
  norm1_ = std::make_shared<LayerNorm<T>>(d_model, norm);
  norm2_ = std::make_shared<LayerNorm<T>>(d_model, norm);
  dropout1_ = std::make_shared<Dropout<T>>(options.dropout);
  dropout2_ = std::make_shared<Dropout<T>>(options.dropout);
  this->register_child("self_attn", self_attn_);
  this->register_child("linear1", linear1_);
  this->register_child("activation", activation_);
  this->register_child("dropout", dropout_);
  this->register_child("linear2", linear2_);
  this->register_child("norm1", norm1_);
  this->register_child("norm2", norm2_);
  this->register_child("dropout1", dropout1_);
  this->register_child("dropout2", dropout2_);
}

template <class T>
trace::Derivation TransformerEncoderLayer<T>::derivation(const Shape&) const {
  const auto of = [](const std::shared_ptr<Layer<T>>& layer) { return fusion::Access<T>(*layer); };
  using trace::Why;
  const bool dropped = this->is_training() && drops_;
  const std::shared_ptr<Layer<T>> attention = self_attn_;
  trace::Derivation d;
  if (norm_first_) {
    d = {{{"h = x + a", Why{"What attention gives is added to what came in."}},
          {"y = h + f", Why{"What the two linear layers give is added to what went into them."}}},
         {{"dh = δ + df", Why{"h goes two ways, past the layers and through them: two gradients, added."}},
          {"dx = dh + da", Why{"x goes two ways, past attention and through it: two gradients, added."}}}};
    d.link("a", of(dropped ? dropout1_ : attention).y).link("f", of(dropped ? dropout2_ : linear2_).y);
    d.link("df", of(norm2_).dx).link("da", of(norm1_).dx);
  } else {
    d = {{{"y = n", Why{"The sum of what went into the linear layers and what they give, normalized."}}},
         {{"dx = v + da", Why{"x goes two ways, past attention and through it: two gradients, added."}}}};
    d.link("n", of(norm2_).y).link("v", of(norm1_).dx).link("da", of(attention).dx);
  }
  return d;
}

template class TransformerEncoderLayer<float>;
template class TransformerEncoderLayer<double>;

}  // namespace handgrad
