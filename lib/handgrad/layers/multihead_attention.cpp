#include "handgrad/layers/multihead_attention.hpp"

#include <cmath>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/fusion/access.hpp"
#include "handgrad/init/init.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

namespace {

/// x (T, N, E), (N, T, E) or (T, E) as sequences of heads.
kernels::AttentionShape heads_of(const Shape& x, std::size_t heads, bool batch_first) {
  kernels::AttentionShape shape;
  shape.heads = heads;
  shape.width = x.columns() / heads;
  shape.batch_first = batch_first;
  shape.length = x[x.rank() == 3 && batch_first ? 1 : 0];
  if (x.rank() == 3) shape.batch = x[batch_first ? 0 : 1];
  return shape;
}

}  // namespace

template <class T>
void MultiheadAttention<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  const auto shape = heads_of(x.shape(), heads_, options_.batch_first);
  const std::size_t rows = shape.batch * shape.length, E = embed_dim(), scores = shape.tasks() * shape.length;
  const auto& k = backend<T>(x.device());
  if (padding_.defined()) {
    if (padding_.numel() != rows || padding_.shape()[-1] != shape.length)
      throw ShapeError(label() + ": the key_padding_mask has shape " + padding_.shape().str() + ", " +
                       Shape{shape.batch, shape.length}.str() + " expected for an input of shape " + x.shape().str());
    padding_ = padding_.to(x.device());
  }
  fusion::Access<T>(*out_proj_).release_input();
  qkv_.reserve({rows, 3 * E}, x.device());
  o_.reserve(x.shape(), x.device());
  stats_.reserve({2, scores}, x.device());
  kept_ = shape.length <= options_.keep_up_to;
  if (kept_)
    probabilities_.reserve({shape.batch, heads_, shape.length, shape.length}, x.device());
  else
    probabilities_ = Tensor<T>();
  dropped_ = this->is_training() && options_.dropout > 0;
  if (dropped_) dropout_->draw(x.device());

  // [Q K V] = x·W_inᵀ + b_in
  k.linear.forward(view::matrix(x), view::matrix(std::as_const(in_proj_weight)),
                   view::vector(std::as_const(in_proj_bias)), nullptr, view::matrix(qkv_));
  // P = softmax(τ·Q·Kᵀ + M),  O = P·V, head by head
  k.attention.forward(shape, rule(), view::matrix(std::as_const(qkv_)), view::matrix(probabilities_),
                      view::matrix(stats_), view::matrix(o_));
  // y = [O₁ … O_H]·W_outᵀ + b_out
  y.copy_from(out_proj_->forward(o_));
}

template <class T>
void MultiheadAttention<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  const auto shape = heads_of(x.shape(), heads_, options_.batch_first);
  const auto& k = backend<T>(x.device());
  dqkv_.reserve(qkv_.shape(), x.device());
  // δ_O = δ·W_out, and the gradients of W_out and b_out
  const Tensor<T>& dO = out_proj_->backward(dy);
  // dV = Pᵀ·δ_O,  dP = δ_O·Vᵀ,  dS = P∘(dP − D),  dQ = τ·dS·K,  dK = τ·dSᵀ·Q, head by head
  k.attention.backward(shape, rule(), view::matrix(std::as_const(qkv_)), view::matrix(std::as_const(probabilities_)),
                       view::matrix(std::as_const(stats_)), view::matrix(std::as_const(o_)), view::matrix(dO),
                       view::matrix(dqkv_));
  // dW_in = [dQ dK dV]ᵀ·x,  db_in = Σ [dQ dK dV]
  const auto dqkv = view::matrix(std::as_const(dqkv_));
  if (in_proj_weight.requires_grad() || in_proj_bias.requires_grad())
    k.linear.backward_parameters(view::matrix(x), dqkv, view::gradient(in_proj_weight), view::gradient(in_proj_bias));
  // dx = [dQ dK dV]·W_in: the sum over x's three uses
  if (this->requires_input_grad())
    k.linear.backward_input(dqkv, view::matrix(std::as_const(in_proj_weight)), view::matrix(dx));
}

template <class T>
kernels::AttentionRule<T> MultiheadAttention<T>::rule() const {
  kernels::AttentionRule<T> rule;
  rule.scale = static_cast<T>(1 / std::sqrt(static_cast<double>(embed_dim() / heads_)));
  rule.causal = options_.is_causal;
  rule.padding = padding_.data();
  rule.dropout.p = 0;
  if (dropped_) {
    rule.dropout = dropout_->rule();
    rule.step = dropout_->step();
  }
  return rule;
}

template <class T>
MultiheadAttention<T>::MultiheadAttention(std::size_t embed_dim, std::size_t num_heads,
                                          MultiheadAttentionOptions options)
    : heads_(num_heads), options_(options) {
  if (embed_dim == 0 || num_heads == 0 || embed_dim % num_heads != 0)
    throw ValueError("MultiheadAttention(" + std::to_string(embed_dim) + ", " + std::to_string(num_heads) +
                     "): embed_dim must be a multiple of num_heads");
  out_proj_ = std::make_shared<Linear<T>>(embed_dim, embed_dim, options.bias);
  Tensor<T> W = Tensor<T>::empty({3 * embed_dim, embed_dim});
  in_proj_weight = this->register_parameter("in_proj_weight", init::xavier_uniform_(W));
  if (options.bias) {
    in_proj_bias = this->register_parameter("in_proj_bias", zeros<T>({3 * embed_dim}));
    out_proj_->bias.value().fill(T(0));
  }
  this->register_child("out_proj", out_proj_);
  dropout_ = std::make_shared<Dropout<T>>(options.dropout);
  this->register_child("dropout", dropout_);
}

template <class T>
Tensor<T> MultiheadAttention<T>::probabilities() const {
  if (!kept_ || !probabilities_.defined())
    throw StateError(label() + ": no probabilities of a last forward are kept (keep_up_to = " +
                     std::to_string(options_.keep_up_to) + ")");
  return probabilities_.clone();
}

template <class T>
Shape MultiheadAttention<T>::output_shape(const Shape& input) const {
  if ((input.rank() != 2 && input.rank() != 3) || input.columns() != embed_dim())
    throw ShapeError("sequences of shape " + std::string(options_.batch_first ? "(N, T, " : "(T, N, ") +
                     std::to_string(embed_dim()) + ") or (T, " + std::to_string(embed_dim()) +
                     ") expected, the input has shape " + input.str());
  return input;
}

template <class T>
std::string MultiheadAttention<T>::extra_repr() const {
  return "embed_dim=" + std::to_string(embed_dim()) + ", num_heads=" + std::to_string(heads_) +
         (options_.dropout > 0 ? ", dropout=" + format_number(options_.dropout) : "") +
         (options_.is_causal ? ", is_causal=True" : "") + (options_.batch_first ? ", batch_first=True" : "");
}

template <class T>
std::string MultiheadAttention<T>::label() const {
  return "MultiheadAttention(" + std::to_string(embed_dim()) + ", " + std::to_string(heads_) + ")";
}

// One head of one sequence is written out; the formulas' language has no indices for several.
template <class T>
trace::Derivation MultiheadAttention<T>::derivation(const Shape& input) const {
  using trace::Equation, trace::Why;
  const Why thrice{"x is used three times, for Q, K and V: three gradients, added."};
  trace::Derivation d{.forward = {Equation::symbols("y = [softmax(τ·Q·Kᵀ + M)·V]·W_Oᵀ + b_O",
                                                    Why{"Each place mixes what all places have to say, by how well its "
                                                        "question fits to their answers; then a linear layer."})},
                      .backward = {Equation::symbols("dW = [dQ dK dV]ᵀ·x",
                                                     Why{"Q, K and V are linear in x: each place adds its gradients "
                                                         "times its x."})},
                      .rename = {{"in_proj_weight", "W"}, {"in_proj_bias", "b"}}};
  if (options_.bias)
    d.backward.push_back(Equation::symbols("db = Σₜ [dQ dK dV]ₜ",
                                           Why{"The biases are in every place with the factor 1: the places add up."}));
  const auto as_a_whole = [&] {
    d.backward.push_back(Equation::symbols("dx = [dQ dK dV]·W", thrice));
    return d;
  };
  const std::size_t E = embed_dim(), length = heads_of(input, heads_, options_.batch_first).length;
  if (heads_ > 1 || input.numel() != length * E || dropped_) return as_a_whole();
  const std::vector<T> W = in_proj_weight.value().to_vector();
  const std::vector<T> b = options_.bias ? in_proj_bias.value().to_vector() : std::vector<T>(3 * E);
  const auto part = [&](const std::vector<T>& all, std::size_t i, const Shape& shape) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(i * shape.numel());
    return trace::Array{shape, {first, first + static_cast<std::ptrdiff_t>(shape.numel())}};
  };
  trace::Array M{{length, length}, std::vector<double>(length * length)};  // 1 where a key is hidden
  const std::vector<T> padding = padding_.defined() ? padding_.to_vector() : std::vector<T>(length);
  for (std::size_t t = 0; t < length; ++t) {
    bool sees = false;
    for (std::size_t s = 0; s < length; ++s) {
      const bool hidden = (options_.is_causal && s > t) || padding[s] != T(0);
      M.numbers[t * length + s] = hidden;
      sees = sees || !hidden;
    }
    if (!sees) return as_a_whole();
  }
  d.known = {{"τ", trace::constant(1 / std::sqrt(static_cast<double>(E)))},
             {"M", M},
             {"W_O", trace::array(out_proj_->weight.value())},
             {"b_O", options_.bias ? trace::array(out_proj_->bias.value()) : trace::array(zeros<T>({E}))}};
  const std::string letters = "QKV";
  for (std::size_t i = 0; i < 3; ++i) {
    d.known.emplace_back(std::string("W_") + letters[i], part(W, i, {E, E}));
    d.known.emplace_back(std::string("b_") + letters[i], part(b, i, {E}));
  }
  d.forward = {
      {"Q = x·W_Qᵀ + b_Q", "Q[t,c] = sum(i: x[t,i]·W_Q[c,i]) + b_Q[c]", Why{"What each place asks for."}},
      {"K = x·W_Kᵀ + b_K", "K[t,c] = sum(i: x[t,i]·W_K[c,i]) + b_K[c]", Why{"What each place answers to."}},
      {"V = x·W_Vᵀ + b_V", "V[t,c] = sum(i: x[t,i]·W_V[c,i]) + b_V[c]", Why{"What each place has to say."}},
      {"S = τ·Q·Kᵀ + M", "S[t,s] = if(M[t,s] = 1, −∞, τ·sum(c: Q[t,c]·K[s,c]))",
       Why{"How well question t fits to answer s; τ keeps the sum of many products small."}},
      {"m = max S", "m[t] = max(s: S[t,s])",
       Why{"The row's largest number is taken off first, so that no exponential overflows."}},
      {"e = exp(S − m)", "e[t,s] = exp(S[t,s] − m[t])",
       Why{"Exponentials make all numbers positive and keep their order."}},
      {"P = e/Σ e", "P[t,s] = e[t,s]/sum(k: e[t,k])",
       Why{"How much of its attention each place gives to each other: a row adds up to 1."}},
      {"O = P·V", "O[t,c] = sum(s: P[t,s]·V[s,c])", Why{"The mixture of what the places have to say, by attention."}},
      {"y = O·W_Oᵀ + b_O", "y[t,o] = sum(c: O[t,c]·W_O[o,c]) + b_O[o]", Why{"The mixture, through a linear layer."}}};
  d.backward.insert(d.backward.begin(),
                    {{"dO = δ·W_O", "dO[t,c] = sum(o: δ[t,o]·W_O[o,c])",
                      Why{"Back through the linear layer: over each weight that the mixture went out by."}},
                     {"dV = Pᵀ·dO", "dV[s,c] = sum(t: P[t,s]·dO[t,c])",
                      Why{"V[s] is in every O[t] with the factor P[t,s]: so each t adds its share."}},
                     {"dP = dO·Vᵀ", "dP[t,s] = sum(c: dO[t,c]·V[s,c])", Why{"P[t,s] has V[s] as its factor in O[t]."}},
                     {"D = Σ P∘dP", "D[t] = sum(s: P[t,s]·dP[t,s])",
                      Why{"All P of a row share one sum below the line: what they have in common."}},
                     {"dS = P∘(dP − D)", "dS[t,s] = P[t,s]·(dP[t,s] − D[t])",
                      Why{"A score raises its own P and lowers the others of its row: dP is measured against D."}},
                     {"dQ = τ·dS·K", "dQ[t,c] = τ·sum(s: dS[t,s]·K[s,c])",
                      Why{"Q[t] is in every score of its row, with the factor τ·K[s]."}},
                     {"dK = τ·dSᵀ·Q", "dK[s,c] = τ·sum(t: dS[t,s]·Q[t,c])",
                      Why{"K[s] is in every score of its column, with the factor τ·Q[t]."}}});
  d.backward.emplace_back("dx = dQ·W_Q + dK·W_K + dV·W_V",
                          "dx[t,i] = sum(c: dQ[t,c]·W_Q[c,i]) + sum(c: dK[t,c]·W_K[c,i]) + sum(c: dV[t,c]·W_V[c,i])",
                          thrice);
  return d;
}

template class MultiheadAttention<float>;
template class MultiheadAttention<double>;

}  // namespace handgrad
