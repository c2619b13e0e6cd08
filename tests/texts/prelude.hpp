#pragma once
// The names that the texts' fragments use without saying where they come from.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "handgrad/check.hpp"
#include "handgrad/check/ranks.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/distributed/mpi.hpp"
#include "handgrad/handgrad.hpp"
#include "handgrad/onnx/onnx.hpp"

namespace texts {
namespace hg = handgrad;

/// A layer for members that are shown alone: y = a·x.
template <class T>
struct Scale : hg::Layer<T> {
  hg::Parameter<T> a = this->register_parameter("a", hg::ones<T>({1}));
  void forward_into(const hg::Tensor<T>& x, hg::Tensor<T>& y) override { y.xt() = a.value().item() * x.xt(); }
  void backward_into(const hg::Tensor<T>& x, const hg::Tensor<T>&, const hg::Tensor<T>& dy,
                     hg::Tensor<T>& dx) override {
    a.accumulate(xt::sum(dy.xt() * x.xt()));
    dx.xt() = a.value().item() * dy.xt();
  }
};

template <class T>
using MyLayer = hg::Linear<T>;
inline double auroc_with(double lr, std::int64_t neurons = 0) { return lr + static_cast<double>(neurons); }
inline std::shared_ptr<hg::Layer<double>> make_net(hg::Communicator&) {
  return std::make_shared<hg::Linear<double>>(2, 1);
}
inline std::unique_ptr<hg::Loss<double>> make_loss() { return std::make_unique<hg::MSELoss<double>>(); }
inline void step() {}
}  // namespace texts

using texts::auroc_with;
using texts::make_loss;
using texts::make_net;
using texts::MyLayer;
using texts::step;

/// What a fragment may use: data, a network with its loss and optimizers, loaders, a layer, a group of ranks.
#define TEXTS_NAMES                                                                                                 \
  handgrad::Tensor<float> x, handgrad::Tensor<float> t, handgrad::Tensor<float> y, handgrad::Tensor<float> x_valid, \
      handgrad::Tensor<float> t_valid, handgrad::Tensor<float> dy, handgrad::Tensor<float> any,                     \
      std::vector<handgrad::Tensor<float>> pieces, handgrad::Sequential<float>&net, handgrad::Linear<float>&linear, \
      handgrad::BCEWithLogitsLoss<float>&loss, handgrad::SGD<float>&sgd, handgrad::Adam<float>&adam,                \
      handgrad::DataLoader<float>&loader, handgrad::DataLoader<float>&train, handgrad::DataLoader<float>&valid,     \
      handgrad::TensorDataset<float>&data, handgrad::Communicator &world, handgrad::DataParallel<float>&parallel,   \
      double validation_loss, std::int64_t epochs, std::int64_t batches, int local_rank
