// Layers that read sequences: recurrent ones, attention.
#include "handgrad/layers/multihead_attention.hpp"
#include "handgrad/layers/positional_encoding.hpp"
#include "handgrad/layers/recurrent.hpp"
#include "handgrad/layers/transformer_encoder_layer.hpp"
#include "nn.hpp"

namespace handgrad::python {

namespace {

/// "all": y of every step; "last": the last one's.
Steps steps_of(const std::string& word) {
  if (word == "all") return Steps::All;
  if (word == "last") return Steps::Last;
  throw ValueError("output: \"all\" or \"last\" expected, \"" + word + "\" came");
}

template <class R>
auto bind_recurrent(nb::module_& m, const char* name, const char* doc) {
  using T = typename R::value_type;
  return bind<R>(m, name, doc)
      .def(
          "final_state",
          [](R& layer) -> std::variant<std::optional<Array<T>>, std::pair<Array<T>, Array<T>>> {
            const RecurrentState<T>& state = layer.final_state();
            if (!state.c.defined()) return viewed_if_defined(state.h);
            return std::pair(viewed(state.h), viewed(state.c));
          },
          "h of all layers and directions after the last forward, of an LSTM (h, c); None before any.")
      .def("carry_state", &R::carry_state, nb::arg("on") = true,
           "Each forward from now on begins in the state in which the one before ended.")
      .def("reset_state", &R::reset_state, "The next forward begins with zeros.");
}

/// With LSTM's and GRU's arguments.
template <class R>
void bind_gated(nb::module_& m, const char* name, const char* doc) {
  bind_recurrent<R>(m, name, doc)
      .def(
          "__init__",
          [](R* self, std::size_t in, std::size_t hidden, std::size_t layers, bool bias, bool batch_first,
             double dropout, bool bidirectional, const std::string& output) {
            new (self) R(in, hidden,
                         {.num_layers = layers,
                          .bias = bias,
                          .batch_first = batch_first,
                          .dropout = dropout,
                          .bidirectional = bidirectional,
                          .output = steps_of(output)});
          },
          nb::arg("input_size"), nb::arg("hidden_size"), nb::arg("num_layers") = 1, nb::arg("bias") = true,
          nb::arg("batch_first") = false, nb::arg("dropout") = 0.0, nb::arg("bidirectional") = false, nb::kw_only(),
          nb::arg("output") = "all");
}

}  // namespace

template <class T>
void bind_sequences(nb::module_& m) {
  using nb::arg;
  bind_recurrent<RNN<T>>(m, "RNN",
                         "h = tanh(W_ih·x + b_ih + W_hh·h₋ + b_hh), step by step; y is h of all steps, or of the last "
                         "(output=\"last\").")
      .def(
          "__init__",
          [](RNN<T>* self, std::size_t in, std::size_t hidden, std::size_t layers, const std::string& nonlinearity,
             bool bias, bool batch_first, double dropout, bool bidirectional, const std::string& output) {
            new (self) RNN<T>(in, hidden,
                              {.num_layers = layers,
                               .nonlinearity = nonlinearity,
                               .bias = bias,
                               .batch_first = batch_first,
                               .dropout = dropout,
                               .bidirectional = bidirectional,
                               .output = steps_of(output)});
          },
          arg("input_size"), arg("hidden_size"), arg("num_layers") = 1, arg("nonlinearity") = "tanh",
          arg("bias") = true, arg("batch_first") = false, arg("dropout") = 0.0, arg("bidirectional") = false,
          nb::kw_only(), arg("output") = "all");
  bind_gated<LSTM<T>>(m, "LSTM",
                      "c = f∘c₋ + i∘g, h = o∘tanh c with gates i, f, g, o; y is h of all steps, or of the last "
                      "(output=\"last\").");
  bind_gated<GRU<T>>(m, "GRU",
                     "h = (1 − z)∘n + z∘h₋ with gates r, z; y is h of all steps, or of the last (output=\"last\").");
  bind<MultiheadAttention<T>>(
      m, "MultiheadAttention",
      "Self-attention, softmax(Q·Kᵀ/√d)·V of each head: PyTorch's with query = key = value = x.")
      .def(
          "__init__",
          [](MultiheadAttention<T>* self, std::size_t width, std::size_t heads, double dropout, bool bias,
             bool batch_first, bool is_causal) {
            new (self) MultiheadAttention<T>(
                width, heads, {.dropout = dropout, .bias = bias, .batch_first = batch_first, .is_causal = is_causal});
          },
          arg("embed_dim"), arg("num_heads"), arg("dropout") = 0.0, arg("bias") = true, nb::kw_only(),
          arg("batch_first") = false, arg("is_causal") = false)
      .def(
          "key_padding_mask",
          [](MultiheadAttention<T>& layer, const std::optional<ConstArray<T>>& mask) {
            layer.key_padding_mask(mask ? copied(*mask) : Tensor<T>());
          },
          arg("mask").none(), "From now on keys where it (N, T) is not 0 are hidden; None removes it.")
      .def(
          "probabilities", [](const MultiheadAttention<T>& layer) { return viewed(layer.probabilities()); },
          "softmax(Q·Kᵀ/√d) of the last forward, (N, heads, T, T).");
  bind<PositionalEncoding<T>>(m, "PositionalEncoding", "y = dropout(x + p), p[t] sines and cosines of the place t.")
      .def(
          "__init__",
          [](PositionalEncoding<T>* self, std::size_t width, double dropout, std::size_t max_len, bool batch_first) {
            new (self)
                PositionalEncoding<T>(width, {.dropout = dropout, .max_len = max_len, .batch_first = batch_first});
          },
          arg("d_model"), arg("dropout") = 0.1, arg("max_len") = 5000, arg("batch_first") = false);
  bind<TransformerEncoderLayer<T>>(
      m, "TransformerEncoderLayer",
      "h = norm1(x + attention(x)), y = norm2(h + linear2(φ(linear1(h)))); norm_first: the "
      "norms before.")
      .def(
          "__init__",
          [](TransformerEncoderLayer<T>* self, std::size_t width, std::size_t heads, std::size_t feedforward,
             double dropout, const std::string& activation, double eps, bool batch_first, bool norm_first, bool bias,
             bool is_causal) {
            new (self) TransformerEncoderLayer<T>(width, heads,
                                                  {.dim_feedforward = feedforward,
                                                   .dropout = dropout,
                                                   .activation = activation,
                                                   .layer_norm_eps = eps,
                                                   .batch_first = batch_first,
                                                   .norm_first = norm_first,
                                                   .bias = bias,
                                                   .is_causal = is_causal});
          },
          arg("d_model"), arg("nhead"), arg("dim_feedforward") = 2048, arg("dropout") = 0.1, arg("activation") = "relu",
          arg("layer_norm_eps") = 1e-5, arg("batch_first") = false, arg("norm_first") = false, arg("bias") = true,
          nb::kw_only(), arg("is_causal") = false);
}

HANDGRAD_BIND_BOTH(bind_sequences)

}  // namespace handgrad::python
