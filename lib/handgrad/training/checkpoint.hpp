#pragma once
#include <map>
#include <string>
#include <vector>

#include "handgrad/base/random.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/optim/ema.hpp"
#include "handgrad/optim/optimizer.hpp"
#include "handgrad/optim/schedulers.hpp"
#include "handgrad/training/early_stopping.hpp"

namespace handgrad {

/// Everything that a training's next step follows from, by reference. What is null is not there.
template <class T>
struct TrainingState {
  Layer<T>& net;
  Optimizer<T>* optimizer = nullptr;
  std::vector<Scheduler*> schedulers = {};
  EarlyStopping<T>* early_stopping = nullptr;
  std::vector<Generator*> generators = {&default_generator()};
  int epoch = 0;                                  ///< epochs done
  std::map<std::string, std::string> notes = {};  ///< the caller's own
  ExponentialMovingAverage<T>* average = nullptr;
};

/// Writes it all to one safetensors file, whole or not at all: tensors `net.…`, `optimizer.…`, `best.…`, `average.…`,
/// and the numbers as text in the metadata, digit by digit. PyTorch reads the file; `net.` in front of a name is all
/// that its state_dict does not have.
template <class T>
void save_checkpoint(const std::string& path, const TrainingState<T>& state);

/// Brings it all back, so that the run goes on bit for bit as if it had not been interrupted: weights, running
/// statistics, the optimizer's states and rates, schedules, best weights, the generators, the masks of Dropout layers,
/// `epoch` and `notes`. Throws IoError, ParseError, and ValueError or ShapeError, naming the file, when it was saved
/// from other layers, another kind of optimizer or other schedules; the objects may then be half loaded.
template <class T>
void load_checkpoint(const std::string& path, TrainingState<T>& state);

}  // namespace handgrad
