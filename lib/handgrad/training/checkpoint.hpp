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

/// Everything that determines a training's next step, by reference. Null parts are left out.
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

/// Writes everything to one safetensors file, whole or not at all: tensors net.…, optimizer.…, best.…,
/// average.…, and the numbers as exact text in the metadata. PyTorch reads the file; its state_dict names lack only
/// the prefix net.
template <class T>
void save_checkpoint(const std::string& path, const TrainingState<T>& state);

/// Restores everything, so that the run continues bit for bit as if uninterrupted: weights, running statistics, the
/// optimizer's states and rates, schedules, best weights, generators, Dropout masks, `epoch` and `notes`. Throws
/// IoError, ParseError, and ValueError or ShapeError naming the file if it was saved from other layers, another kind of
/// optimizer or other schedules; the objects may then be partly loaded.
template <class T>
void load_checkpoint(const std::string& path, TrainingState<T>& state);

}  // namespace handgrad
