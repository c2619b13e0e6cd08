#pragma once
// Networks of all layers that ONNX files support, with example inputs.
#include <memory>
#include <string>
#include <vector>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/handgrad.hpp"

namespace handgrad::test {

template <class T>
struct OnnxNetwork {
  std::string name;
  Sequential<T> net;
  Tensor<T> x;
  int batch_dimension = 0;
};

template <class T>
std::vector<OnnxNetwork<T>> onnx_networks() {
  manual_seed(11);
  std::vector<OnnxNetwork<T>> all;
  const auto add = [&](const char* name, Sequential<T> net, Tensor<T> x, int batch_dimension = 0) {
    all.push_back({name, std::move(net), std::move(x), batch_dimension});
  };
  using L = Linear<T>;
  add("perceptron", Sequential<T>{L(5, 7), ReLU<T>(), Dropout<T>(0.5), L(7, 3, false), LogSoftmax<T>(1)},
      randn<T>({4, 5}));
  add("logistic", Sequential<T>{Neuron<T>(5), Sigmoid<T>()}, randn<T>({4, 5}));
  add("activations",
      Sequential<T>{L(6, 6), Sigmoid<T>(), Tanh<T>(), LeakyReLU<T>(0.2), ELU<T>(0.7), SiLU<T>(), Softplus<T>(),
                    Hardtanh<T>(-0.5, 2), Hardsigmoid<T>(), Hardswish<T>(), LogSigmoid<T>(), Softsign<T>(), Mish<T>(),
                    PReLU<T>(6), GELU<T>("tanh"), Softmax<T>()},
      randn<T>({4, 6}));
  add("norms",
      Sequential<T>{L(6, 6), BatchNorm1d<T>(6), Tanh<T>(), LayerNorm<T>(6),
                    BatchNorm1d<T>(6, {.eps = 1e-3, .affine = false})},
      randn<T>({4, 6}));
  add("sequences",
      Sequential<T>{L(3, 4), LayerNorm<T>(Shape{5, 4}), Tanh<T>(), Flatten<T>(), Unflatten<T>(1, {4, 5}),
                    L(5, 2, false)},
      randn<T>({4, 5, 3}));
  add("lenet",
      Sequential<T>{Conv2d<T>(1, 4, 3, {.padding = 1}), ReLU<T>(), MaxPool2d<T>(2),
                    Conv2d<T>(4, 6, {3, 2}, {.stride = {2, 1}, .groups = 2}), PReLU<T>(6),
                    AvgPool2d<T>(2, {.stride = Size2d(1), .padding = 1}), Flatten<T>(), L(72, 3)},
      randn<T>({2, 1, 12, 9}));
  add("planes",
      Sequential<T>{Conv2d<T>(2, 3, {2, 3}, {.padding = "same", .dilation = 2, .bias = false}),
                    AdaptiveAvgPool2d<T>({3, 2}),
                    ConvTranspose2d<T>(3, 2, 3, {.stride = 2, .padding = 1, .output_padding = 1}),
                    AdaptiveAvgPool2d<T>(1), Flatten<T>()},
      randn<T>({2, 2, 6, 8}));
  add("lines",
      Sequential<T>{Conv1d<T>(2, 4, 3, {.stride = 2, .padding = 1}), Tanh<T>(), MaxPool1d<T>(2),
                    Conv1d<T>(4, 4, 2, {.padding = "same"}), AvgPool1d<T>(2)},
      randn<T>({3, 2, 17}));
  add("branches",
      Sequential<T>{L(3, 6), Residual<T>{Concat<T>{L(6, 2), Sequential<T>{L(6, 4), Tanh<T>()}}, Tanh<T>()},
                    Split<T>({2, 4}, Identity<T>(), Residual<T>{L(4, 4)}), Residual<T>{Tanh<T>()}.shortcut(L(6, 6)),
                    L(6, 2)},
      randn<T>({4, 3}));
  add("shared",
      Sequential<T>{Repeat<T>(3,
                              [] {
                                return Sequential<T>{L(4, 4), Tanh<T>()};
                              })
                        .shared()},
      randn<T>({5, 4}));
  Tensor<T> indices = Tensor<T>::empty({3, 7});
  for (std::size_t i = 0; i < indices.numel(); ++i) indices.data()[i] = static_cast<T>(i * 5 % 9);
  add("attention",
      Sequential<T>{Embedding<T>(9, 8), PositionalEncoding<T>(8, {.dropout = 0.1, .max_len = 12, .batch_first = true}),
                    MultiheadAttention<T>(8, 2, {.batch_first = true}),
                    TransformerEncoderLayer<T>(8, 4, {.dim_feedforward = 12, .batch_first = true, .is_causal = true}),
                    TransformerEncoderLayer<T>(8, 2, {.dim_feedforward = 6, .batch_first = true, .norm_first = true}),
                    L(8, 9)},
      indices);
  add("time_first", Sequential<T>{PositionalEncoding<T>(6), TransformerEncoderLayer<T>(6, 3, {.dim_feedforward = 5})},
      randn<T>({7, 3, 6}), 1);
  add("plane_norms",
      Sequential<T>{Conv2d<T>(2, 4, 3), BatchNorm2d<T>(4), ReLU<T>(), Dropout2d<T>(0.3), GroupNorm<T>(2, 4),
                    RMSNorm<T>(Shape{4, 5}, {.eps = 1e-4}), GroupNorm<T>(4, 4, {.affine = false})},
      randn<T>({2, 2, 6, 7}));
  add("signal_norms", Sequential<T>{Conv1d<T>(2, 4, 3), BatchNorm1d<T>(4), GroupNorm<T>(2, 4), RMSNorm<T>(6)},
      randn<T>({2, 2, 8}));
  add("lstm",
      Sequential<T>{LSTM<T>(3, 4, {.num_layers = 2, .batch_first = true, .dropout = 0.2, .bidirectional = true}),
                    GRU<T>(8, 5, {.bias = false, .batch_first = true, .bidirectional = true, .output = Steps::Last}),
                    L(10, 2)},
      randn<T>({2, 6, 3}));
  add("rnn",
      Sequential<T>{RNN<T>(3, 4), RNN<T>(4, 5, {.nonlinearity = "relu"}), GRU<T>(5, 3),
                    LSTM<T>(3, 4, {.output = Steps::Last})},
      randn<T>({6, 2, 3}), 1);
  for (auto& [name, net, x, batch_dimension] : all) {
    for (auto& [parameter_name, parameter] : net.named_parameters()) {  // biases of norms and attention are 0 at first
      const Tensor<T> noise = randn<T>(parameter.shape());
      parameter.value().xt() += T(0.1) * noise.xt();
    }
    if (net.differentiable_input()) net.forward(x);  // running statistics other than 0 and 1
    net.eval();
  }
  return all;
}

}  // namespace handgrad::test
