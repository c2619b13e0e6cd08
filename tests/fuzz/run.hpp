#pragma once
// A small training with everything that a checkpoint holds, for its harness and its seed.
#include "handgrad/containers/sequential.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/schedulers.hpp"
#include "handgrad/training/checkpoint.hpp"

namespace handgrad::fuzz {

struct Run {
  Sequential<float> net{Linear(2, 1), BatchNorm1d(1), Dropout(0.5)};
  Adam<float> adam{net.parameters()};
  StepLR schedule{adam, 2};
  EarlyStopping<float> early_stopping{{}};
  Generator generator{1};
  TrainingState<float> state{net, &adam, {&schedule}, &early_stopping, {&generator}};

  void step() {
    MSELoss<float> loss;
    loss.forward(net.forward(ones<float>({2, 2})), zeros<float>({2, 1}));
    net.backward(loss.backward());
    adam.step();
    schedule.step();
    early_stopping.step(1, net);
  }
};

}  // namespace handgrad::fuzz
