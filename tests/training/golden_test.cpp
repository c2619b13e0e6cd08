// Golden runs: the final weights of a training have one hash, whatever the instruction set, number of threads,
// compiler, debug or release, fused or traced. ctest runs this for each instruction set (golden/avx2 …). A change to
// what an operation computes changes a hash, and must say so.
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "handgrad/handgrad.hpp"
#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using namespace handgrad::test;

namespace {

/// FNV-1a over the names and bits of a state.
template <class T>
std::string hash(const std::vector<NamedTensor<T>>& state) {
  std::uint64_t h = 0xcbf29ce484222325u;
  const auto add = [&](const void* data, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) h = (h ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3u;
  };
  for (const auto& [name, value] : state) {
    add(name.data(), name.size());
    const std::vector<T> numbers = value.to_vector();
    add(numbers.data(), numbers.size() * sizeof(T));
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
  return text;
}

/// `run(traced)` gives a hash: the same for 1, 2 and 3 threads, fused and traced.
template <class F>
void check_golden(const std::string& name, const std::string& expected, F&& run) {
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const std::string here = run(false);
    BOOST_TEST(here == expected, name << " on " << threads << " threads: " << here << ", expected " << expected);
  }
  const std::string traced = run(true);
  BOOST_TEST(traced == expected, name << " traced: " << traced << ", expected " << expected);
}

template <class T, class MakeNet, class MakeOptimizer>
std::string train(MakeNet make_net, MakeOptimizer make_optimizer, Loss<T>& loss, std::size_t columns,
                  std::int64_t classes, std::size_t outputs, bool traced) {
  manual_seed(17);
  Sequential<T> net = make_net();
  const Tensor<T> x = randn<T>({300, columns}), y = randint<T>(0, classes, {300, outputs});
  const auto optimizer = make_optimizer(net.parameters());
  DataLoader loader(TensorDataset<T>(x, outputs == 1 && classes > 2 ? y.reshape({300}) : y),
                    {.batch_size = 64, .shuffle = true});
  for (int epoch = 0; epoch < 3; ++epoch)
    for (const auto& [rows, targets] : loader) {
      std::optional<trace::Recorder> recorder;
      if (traced) recorder.emplace();
      loss.forward(net.forward(rows), targets);
      optimizer->zero_grad();
      net.backward(loss.backward());
      optimizer->step();
      if (recorder) recorder->stop();
    }
  return hash(net.state_dict());
}

// The notebooks' regularised network: products, dropout, BatchNorm, AdamW.
template <class T>
std::string regularized(bool traced) {
  BCEWithLogitsLoss<T> loss;
  return train<T>(
      [] {
        return Sequential<T>{Linear<T>(108, 96), BatchNorm1d<T>(96), ReLU<T>(),       Dropout<T>(0.5),
                             Linear<T>(96, 33),  ReLU<T>(),          Linear<T>(33, 1)};
      },
      [](auto parameters) { return std::make_unique<AdamW<T>>(parameters); }, loss, 108, 2, 1, traced);
}

// exp, log1p, tanh, erf and expm1 through activations, LayerNorm, cross-entropy, Adam.
template <class T>
std::string curved(bool traced) {
  CrossEntropyLoss<T> loss;
  return train<T>(
      [] {
        return Sequential<T>{Linear<T>(23, 40), Tanh<T>(),     Linear<T>(40, 37), GELU<T>(), LayerNorm<T>(37),
                             Linear<T>(37, 29), ELU<T>(),      Linear<T>(29, 19), SiLU<T>(), Linear<T>(19, 31),
                             Sigmoid<T>(),      Softplus<T>(), Linear<T>(31, 10)};
      },
      [](auto parameters) { return std::make_unique<Adam<T>>(parameters); }, loss, 23, 10, 1, traced);
}

// Squared errors of several outputs, momentum and weight decay.
template <class T>
std::string wide(bool traced) {
  MSELoss<T> loss;
  return train<T>(
      [] {
        return Sequential<T>{Linear<T>(50, 300), ReLU<T>(), Linear<T>(300, 5), LogSoftmax<T>(1)};
      },
      [](auto parameters) {
        return std::make_unique<SGD<T>>(parameters, SGDOptions{.lr = 0.01, .momentum = 0.9, .weight_decay = 1e-3});
      },
      loss, 50, 2, 5, traced);
}

// The runs of same_run_test.cpp, in double.
std::string same_run(const Reference& file, const Reference& run, bool traced) {
  manual_seed(static_cast<std::uint64_t>(run["seed"].number()));
  Sequential<double> net;
  for (const Reference layer : run["net"]) net.push_back(make_layer<double>(layer, Device()));
  const Tensor<double> x = file["x"].tensor<double>(),
                       y = file["targets"][run["target"].text().c_str()].tensor<double>();
  const auto loss = make_loss<double>(run, Device());
  const auto optimizer = make_optimizer<double>(run, net.parameters());
  std::optional<CosineAnnealingLR> cosine;
  if (run.contains("cosine")) cosine.emplace(*optimizer, static_cast<std::int64_t>(run["cosine"].number()));
  DataLoader loader(TensorDataset<double>(x, y),
                    {.batch_size = std::size_t(run["batch_size"].number()), .shuffle = true});
  FitOptions<double> options{.epochs = int(file["epochs"].number())};
  if (cosine) options.schedulers = {&*cosine};
  std::optional<trace::Recorder> recorder;
  if (traced) recorder.emplace();
  fit(net, *loss, *optimizer, loader, options);
  if (recorder) recorder->stop();
  return hash(net.state_dict());
}

}  // namespace

BOOST_AUTO_TEST_CASE(regularized_network) {
  check_golden("regularized float", "ab772b26c4a31386", regularized<float>);
  check_golden("regularized double", "30baf8916f5b398b", regularized<double>);
}
BOOST_AUTO_TEST_CASE(curved_activations) {
  check_golden("curved float", "51ad5655d4243846", curved<float>);
  check_golden("curved double", "668ee6cabe3c14c0", curved<double>);
}
BOOST_AUTO_TEST_CASE(wide_network) {
  check_golden("wide float", "d5fe70f183926ecd", wide<float>);
  check_golden("wide double", "3f73460549e8c9e3", wide<double>);
}
BOOST_AUTO_TEST_CASE(runs_that_are_torchs) {
  const Reference file = Reference::file("training");
  const std::map<std::string, std::string> golden{{"sgd_momentum", "bccede89800f22a2"},
                                                  {"nesterov_batch_norm", "8807b680550a3ca1"},
                                                  {"adam_batch_norm", "d6b11e104fb1dbf5"},
                                                  {"adamw_cosine", "681180e534c041bb"},
                                                  {"rmsprop", "85043bc2b5cb0986"}};
  for (const Reference run : file["runs"]) {
    const std::string name = run["name"].text();
    check_golden(name, golden.at(name), [&](bool traced) { return same_run(file, run, traced); });
  }
}
