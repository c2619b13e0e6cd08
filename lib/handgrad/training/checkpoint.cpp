#include "handgrad/training/checkpoint.hpp"

#include <limits>
#include <locale>
#include <sstream>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/io/safetensors.hpp"
#include "handgrad/layers/dropout.hpp"

namespace handgrad {

namespace {

using Metadata = std::map<std::string, std::string>;
using Numbers = std::vector<std::pair<std::string, double>>;

// Writes numbers as text that reads back to the same bits.
void put(Metadata& metadata, const std::string& prefix, const Numbers& numbers) {
  for (const auto& [name, value] : numbers) metadata[prefix + name] = format_number(value);
}

double number_of(const std::string& name, const std::string& text) {
  double value = 0;
  if (!read_number(text, value)) throw ParseError(name + ": '" + text + "' is no number");
  return value;
}

// All entries under a prefix, in any order.
Numbers numbers_under(const Metadata& metadata, const std::string& prefix) {
  Numbers numbers;
  for (const auto& [name, text] : metadata)
    if (name.starts_with(prefix)) numbers.emplace_back(name.substr(prefix.size()), number_of(name, text));
  return numbers;
}

const std::string& taken(const Metadata& metadata, const std::string& name) {
  const auto entry = metadata.find(name);
  if (entry == metadata.end()) throw ValueError("the file lacks " + name + ": it is no checkpoint of such a run");
  return entry->second;
}

template <class T>
void put(std::vector<NamedTensor<T>>& all, const std::string& prefix, const std::vector<NamedTensor<T>>& tensors) {
  for (const auto& [name, tensor] : tensors) all.emplace_back(prefix + name, tensor);
}

template <class T>
std::vector<NamedTensor<T>> tensors_under(const std::vector<NamedTensor<T>>& all, const std::string& prefix) {
  std::vector<NamedTensor<T>> tensors;
  for (const auto& [name, tensor] : all)
    if (name.starts_with(prefix)) tensors.emplace_back(name.substr(prefix.size()), tensor);
  return tensors;
}

template <class T>
void collect_dropouts(Layer<T>& layer, std::vector<Dropout<T>*>& found) {
  if (auto* dropout = dynamic_cast<Dropout<T>*>(&layer)) found.push_back(dropout);
  for (const auto& [name, child] : layer.children()) collect_dropouts(*child, found);
}

template <class T>
std::vector<Dropout<T>*> dropouts_of(Layer<T>& net) {
  std::vector<Dropout<T>*> found;
  collect_dropouts(net, found);
  return found;
}

}  // namespace

template <class T>
void save_checkpoint(const std::string& path, const TrainingState<T>& state) {
  std::vector<NamedTensor<T>> tensors;
  Metadata metadata{{"format", "handgrad checkpoint 1"}, {"epoch", std::to_string(state.epoch)}};
  put(tensors, "net.", state.net.state_dict());
  const auto dropouts = dropouts_of(state.net);
  for (std::size_t i = 0; i < dropouts.size(); ++i) {
    const auto [seed, stream, step] = dropouts[i]->state();
    metadata["dropout." + std::to_string(i)] =
        std::to_string(seed) + " " + std::to_string(stream) + " " + std::to_string(step);
  }
  if (state.optimizer) {
    const OptimizerState<T> optimizer = state.optimizer->state_dict();
    put(tensors, "optimizer.", optimizer.tensors);
    put(metadata, "optimizer.", optimizer.numbers);
    metadata["optimizer"] = state.optimizer->name();
  }
  for (std::size_t i = 0; i < state.schedulers.size(); ++i)
    put(metadata, "scheduler." + std::to_string(i) + ".", state.schedulers[i]->state_dict());
  if (state.early_stopping) {
    put(tensors, "best.", state.early_stopping->best_state());
    put(metadata, "early_stopping.", state.early_stopping->state_dict());
  }
  if (state.average) {
    put(tensors, "average.", state.average->state_dict());
    put(metadata, "average.", state.average->numbers());
  }
  for (std::size_t i = 0; i < state.generators.size(); ++i)
    metadata["generator." + std::to_string(i)] = state.generators[i]->state();
  for (const auto& [name, text] : state.notes) metadata["notes." + name] = text;
  write_safetensors(path, tensors, metadata);
}

template <class T>
static void load(const Safetensors<T>& file, TrainingState<T>& state) {
  const Metadata& metadata = file.metadata;
  const auto epoch =
      whole_number("epoch", number_of("epoch", taken(metadata, "epoch")), std::numeric_limits<int>::max());
  state.net.load_state_dict(tensors_under(file.tensors, "net."));
  const auto dropouts = dropouts_of(state.net);
  for (std::size_t i = 0; i < dropouts.size(); ++i) {
    const std::string name = "dropout." + std::to_string(i);
    std::istringstream in(taken(metadata, name));
    in.imbue(std::locale::classic());
    typename Dropout<T>::State mask;
    if (!(in >> mask.seed >> mask.stream >> mask.step))
      throw ParseError(name + ": three numbers expected, '" + in.str() + "' came");
    dropouts[i]->set_state(mask);
  }
  for (std::size_t i = 0; i < state.schedulers.size(); ++i)
    state.schedulers[i]->load_state_dict(numbers_under(metadata, "scheduler." + std::to_string(i) + "."));
  if (state.optimizer) {
    if (const std::string& name = taken(metadata, "optimizer"); name != state.optimizer->name())
      throw ValueError("it was saved with " + name + ", not with " + state.optimizer->name());
    state.optimizer->load_state_dict(
        {numbers_under(metadata, "optimizer."), tensors_under(file.tensors, "optimizer.")});
  }
  if (state.early_stopping)
    state.early_stopping->load_state_dict(numbers_under(metadata, "early_stopping."),
                                          tensors_under(file.tensors, "best."));
  if (state.average)
    state.average->load_state_dict(numbers_under(metadata, "average."), tensors_under(file.tensors, "average."));
  for (std::size_t i = 0; i < state.generators.size(); ++i)
    state.generators[i]->set_state(taken(metadata, "generator." + std::to_string(i)));
  state.epoch = static_cast<int>(epoch);
  state.notes.clear();
  for (const auto& [name, text] : metadata)
    if (name.starts_with("notes.")) state.notes[name.substr(6)] = text;
}

template <class T>
void load_checkpoint(const std::string& path, TrainingState<T>& state) {
  remove_unfinished(path);
  const Safetensors<T> file = read_safetensors<T>(path);
  try {
    load(file, state);
  } catch (Error& error) {
    error.prepend(path + ": ");
    throw;
  }
}

#define HANDGRAD_INSTANTIATE(T)                                               \
  template void save_checkpoint(const std::string&, const TrainingState<T>&); \
  template void load_checkpoint(const std::string&, TrainingState<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
