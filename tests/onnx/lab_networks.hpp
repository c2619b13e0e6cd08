#pragma once
// The networks that the labs train, in their sizes, but for Gabor's: a layer of one's own has no operator in ONNX.
#include <memory>

#include "onnx/networks.hpp"

namespace handgrad::test {

/// 22 layers of labs/depth/main.cpp, `block` and `train`.
template <class T>
Sequential<T> deep_network(bool batch_norm, bool residual) {
  Sequential<T> net{Linear<T>(2, 16)};
  for (int i = 0; i < 20; ++i) {
    auto f = std::make_shared<Sequential<T>>(Linear<T>(16, 16));
    if (batch_norm) f->push_back(std::make_shared<BatchNorm1d<T>>(16));
    f->push_back(std::make_shared<ReLU<T>>());
    if (residual)
      net.push_back(std::make_shared<Residual<T>>(std::shared_ptr<Layer<T>>(f)));
    else
      net.push_back(f);
  }
  net.push_back(std::make_shared<Linear<T>>(16, 1));
  return net;
}

/// labs/adult: a classifier of 108 columns; 0: no norm, -1: before the ReLU, 1: after it.
template <class T>
Sequential<T> adult_network(int norm, double dropout) {
  Sequential<T> net;
  std::size_t in = 108;
  for (const std::size_t out : {256, 128}) {
    net.push_back(std::make_shared<Linear<T>>(in, out));
    if (norm < 0) net.push_back(std::make_shared<BatchNorm1d<T>>(out));
    net.push_back(std::make_shared<ReLU<T>>());
    if (norm > 0) net.push_back(std::make_shared<BatchNorm1d<T>>(out));
    net.push_back(std::make_shared<Dropout<T>>(dropout));
    in = out;
  }
  net.push_back(std::make_shared<Linear<T>>(in, 1));
  return net;
}

template <class T>
std::vector<OnnxNetwork<T>> lab_networks() {
  manual_seed(12);
  std::vector<OnnxNetwork<T>> all;
  const auto add = [&](const char* name, Sequential<T> net, Tensor<T> x, int batch_dimension = 0) {
    all.push_back({name, std::move(net), std::move(x), batch_dimension});
  };
  using L = Linear<T>;
  add("from_scratch_neuron", Sequential<T>{Neuron<T>(4)}, randn<T>({5, 4}));
  add("from_scratch_layers", Sequential<T>{L::standard_normal(4, 3), L::standard_normal(3, 7)}, randn<T>({5, 4}));
  add("from_scratch_relu", Sequential<T>{L(1, 10), ReLU<T>(), L(10, 1)}, randn<T>({5, 1}));
  add("descent", Sequential<T>{L(1, 1)}, randn<T>({5, 1}));
  add("logistic_scratch", Sequential<T>{Neuron<T>(3), Sigmoid<T>()}, randn<T>({5, 3}));
  add("logistic", Sequential<T>{L(3, 1), Sigmoid<T>()}, randn<T>({5, 3}));
  add("network_two_layers", Sequential<T>{L(1, 2), L(2, 1)}, randn<T>({5, 1}));
  add("network_curve", Sequential<T>{L(1, 2), Sigmoid<T>(), L(2, 1)}, randn<T>({5, 1}));
  add("network_moons", Sequential<T>{L(2, 20), Sigmoid<T>(), L(20, 20), Sigmoid<T>(), L(20, 1), Sigmoid<T>()},
      randn<T>({5, 2}));
  add("network_moons_tanh", Sequential<T>{L(2, 20), Tanh<T>(), L(20, 20), Tanh<T>(), L(20, 1), Sigmoid<T>()},
      randn<T>({5, 2}));
  add("xor", Sequential<T>{L(2, 4), Tanh<T>(), L(4, 1)}, randn<T>({4, 2}));
  add("two_workers", Sequential<T>{L(4, 16), Tanh<T>(), L(16, 1)}, randn<T>({5, 4}));
  add("adult_logistic", Sequential<T>{L(108, 1)}, randn<T>({5, 108}));
  add("adult_mlp", Sequential<T>{L(108, 256), ReLU<T>(), L(256, 128), ReLU<T>(), L(128, 1)}, randn<T>({5, 108}));
  add("adult_regularized", adult_network<T>(0, 0.5), randn<T>({5, 108}));
  add("adult_norm_before", adult_network<T>(-1, 0.5), randn<T>({5, 108}));
  add("adult_norm_after", adult_network<T>(1, 0.5), randn<T>({5, 108}));
  add("mnist",
      Sequential<T>{L(784, 256), ReLU<T>(), Dropout<T>(0.2), L(256, 128), ReLU<T>(), Dropout<T>(0.2), L(128, 10)},
      randn<T>({3, 784}));
  add("digits",
      Sequential<T>{Conv2d<T>(1, 8, 5, {.padding = 2}), ReLU<T>(), MaxPool2d<T>(2), Conv2d<T>(8, 24, 3, {.padding = 1}),
                    ReLU<T>(), MaxPool2d<T>(2), Flatten<T>(), Dropout<T>(0.5), L(24 * 7 * 7, 10)},
      randn<T>({3, 1, 28, 28}));
  add("depth", deep_network<T>(false, false), randn<T>({5, 2}));
  add("depth_batch_norm", deep_network<T>(true, false), randn<T>({5, 2}));
  add("depth_residual", deep_network<T>(false, true), randn<T>({5, 2}));
  add("sequence_adding_rnn", Sequential<T>{RNN<T>(2, 32, {.output = Steps::Last}), L(32, 1)}, randn<T>({50, 3, 2}), 1);
  add("sequence_adding_lstm", Sequential<T>{LSTM<T>(2, 32, {.output = Steps::Last}), L(32, 1)}, randn<T>({50, 3, 2}),
      1);
  add("sequence_adding_gru", Sequential<T>{GRU<T>(2, 32, {.output = Steps::Last}), L(32, 1)}, randn<T>({50, 3, 2}), 1);
  add("sequence_characters", Sequential<T>{LSTM<T>(60, 128), L(128, 60)}, randn<T>({32, 3, 60}), 1);
  const TransformerEncoderLayerOptions encoder{
      .dim_feedforward = 64, .dropout = 0, .batch_first = true, .norm_first = true, .is_causal = true};
  Tensor<T> letters = Tensor<T>::empty({3, 48});
  for (std::size_t i = 0; i < letters.numel(); ++i) letters.data()[i] = static_cast<T>(i * 7 % 60);
  add("attention_characters",
      Sequential<T>{Embedding<T>(60, 32), PositionalEncoding<T>(32, {.dropout = 0, .max_len = 48, .batch_first = true}),
                    TransformerEncoderLayer<T>(32, 4, encoder), TransformerEncoderLayer<T>(32, 4, encoder),
                    LayerNorm<T>(32), L(32, 60)},
      letters);
  for (auto& [name, net, x, batch_dimension] : all) {
    if (net.differentiable_input()) net.forward(x);  // running statistics other than 0 and 1
    net.eval();
  }
  return all;
}

}  // namespace handgrad::test
