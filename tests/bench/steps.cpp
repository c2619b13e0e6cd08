// The rows of the table that tests/bench/run prints, in handgrad: prints `ROW SECONDS`, and for the bare matrix
// products of a row's network `ROW_products SECONDS OPERATIONS`.
//   bench_steps [ROW…] [--csv FILE]   times these rows, or all; FILE is the Adult data set, for the row `csv`
//   bench_steps --repeat ROW N        only N steps of one row, for callgrind
//   bench_steps --machine             this machine's peak and bandwidth, on one thread and on all
//   bench_steps --write-census FILE   writes a synthetic file in Adult's format
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/machine.hpp"
#include "bench/timing.hpp"
#include "handgrad/handgrad.hpp"
#include "labs/common/made_data.hpp"

namespace {

using namespace handgrad;
using bench::Step;

constexpr std::size_t adult_rows = 20838, adult_columns = 108;
std::string csv_file;

Tensor<float> labels(std::size_t n) {
  Tensor<float> y = rand<float>({n, 1});
  for (std::size_t i = 0; i < n; ++i) y.data()[i] = y.data()[i] > 0.5f;
  return y;
}

Tensor<float> classes(std::size_t n) {
  Tensor<float> y = rand<float>({n});
  for (std::size_t i = 0; i < n; ++i) y.data()[i] = static_cast<float>(static_cast<int>(y.data()[i] * 10));
  return y;
}

/// A training step and everything it needs.
template <class Loss, class Optimizer, class Options>
Step training(Sequential<float> sequential, Options options, const Tensor<float>& x, const Tensor<float>& y) {
  const auto net = std::make_shared<Sequential<float>>(std::move(sequential));
  const auto loss = std::make_shared<Loss>();
  const auto optimizer = std::make_shared<Optimizer>(net->parameters(), options);
  return [=] {
    loss->forward(net->forward(x), y);
    optimizer->zero_grad();
    net->backward(loss->backward());
    optimizer->step();
  };
}

using BCE = BCEWithLogitsLoss<float>;
constexpr SGDOptions sgd{.lr = 1e-3, .weight_decay = 1e-4};

Sequential<float> mlp_net() {
  return Sequential<float>{Linear<float>(108, 256), ReLU<float>(), Linear<float>(256, 128), ReLU<float>(),
                           Linear<float>(128, 1)};
}
Sequential<float> digits_net() {
  return Sequential<float>{Linear<float>(784, 256), ReLU<float>(), Linear<float>(256, 128), ReLU<float>(),
                           Linear<float>(128, 10)};
}
Sequential<float> wide_net() {
  return Sequential<float>{Linear<float>(784, 2048), ReLU<float>(), Linear<float>(2048, 2048), ReLU<float>(),
                           Linear<float>(2048, 10)};
}

Step logistic() {
  return training<BCELoss<float>, SGD<float>>(Sequential<float>{Linear<float>(3, 1), Sigmoid<float>()},
                                              SGDOptions{.lr = 1e-5}, randn<float>({5, 3}), labels(5));
}
Step adult_logistic() {
  return training<BCE, SGD<float>>(Sequential<float>{Linear<float>(adult_columns, 1)}, SGDOptions{.lr = 1e-3},
                                   randn<float>({adult_rows, adult_columns}), labels(adult_rows));
}
Step mlp() { return training<BCE, SGD<float>>(mlp_net(), sgd, randn<float>({128, 108}), labels(128)); }
Step mlp_dropout() {
  return training<BCE, SGD<float>>(
      Sequential<float>{Linear<float>(108, 256), ReLU<float>(), Dropout<float>(0.5), Linear<float>(256, 128),
                        ReLU<float>(), Dropout<float>(0.5), Linear<float>(128, 1)},
      sgd, randn<float>({128, 108}), labels(128));
}
Step mlp_batch_norm() {
  return training<BCE, AdamW<float>>(
      Sequential<float>{Linear<float>(108, 256), ReLU<float>(), BatchNorm1d<float>(256), Dropout<float>(0.5),
                        Linear<float>(256, 128), ReLU<float>(), BatchNorm1d<float>(128), Dropout<float>(0.5),
                        Linear<float>(128, 1)},
      AdamWOptions{}, randn<float>({128, 108}), labels(128));
}
Step digits() {
  return training<CrossEntropyLoss<float>, Adam<float>>(digits_net(), AdamOptions{}, randn<float>({64, 784}),
                                                        classes(64));
}
/// 1×28×28; 8, then 16 channels 3×3 with padding, each with ReLU and 2×2 pooling; 10 classes.
Step lenet() {
  return training<CrossEntropyLoss<float>, SGD<float>>(
      Sequential<float>{Conv2d<float>(1, 8, 3, {.padding = 1}), ReLU<float>(), MaxPool2d<float>(2),
                        Conv2d<float>(8, 16, 3, {.padding = 1}), ReLU<float>(), MaxPool2d<float>(2), Flatten<float>(),
                        Linear<float>(784, 10)},
      SGDOptions{.lr = 1e-3}, randn<float>({64, 1, 28, 28}), classes(64));
}
Step wide() {
  return training<CrossEntropyLoss<float>, SGD<float>>(wide_net(), SGDOptions{.lr = 1e-3}, randn<float>({512, 784}),
                                                       classes(512));
}

/// 50 steps of 32 features through 128 units, 32 sequences, δ at every step; without the input's gradient.
template <class Layer>
Step recurrent() {
  const auto layer = std::make_shared<Layer>(32, 128);
  layer->requires_input_grad(false);
  const Tensor<float> x = randn<float>({50, 32, 32}), dy = randn<float>({50, 32, 128});
  return [=] {
    layer->forward(x);
    layer->zero_grad();
    layer->backward(dy);
  };
}

/// A character transformer: 2 layers, width 64, 4 heads, 256 hidden units; 64 characters, batch 16.
Step transformer() {
  constexpr std::size_t characters = 64, length = 64, batch = 16, features = 64;
  struct Parts {
    Sequential<float> net{Embedding<float>(characters, features)};
    CrossEntropyLoss<float> loss;
  };
  const auto parts = std::make_shared<Parts>();
  for (int i = 0; i < 2; ++i)
    parts->net.push_back(std::make_shared<TransformerEncoderLayer<float>>(
        features, 4, TransformerEncoderLayerOptions{.dim_feedforward = 256, .dropout = 0, .batch_first = true}));
  parts->net.push_back(std::make_shared<Linear<float>>(features, characters));
  const auto optimizer = std::make_shared<SGD<float>>(parts->net.parameters(), SGDOptions{.lr = 1e-3});
  const Tensor<float> x = randint<float>(0, characters, {batch, length}),
                      y = randint<float>(0, characters, {batch * length});
  return [=] {
    const Tensor<float>& z = parts->net.forward(x);
    parts->loss.forward(z.reshape({batch * length, characters}), y);
    optimizer->zero_grad();
    parts->net.backward(parts->loss.backward().reshape(z.shape()));
    optimizer->step();
  };
}

Step embedding() {
  return training<CrossEntropyLoss<float>, SGD<float>>(
      Sequential<float>{Embedding<float>(10000, 64), Linear<float>(64, 10)}, SGDOptions{.lr = 1e-3},
      randint<float>(0, 10000, {512}), classes(512));
}

Step inference(std::size_t rows) {
  const auto net = std::make_shared<Sequential<float>>(mlp_net());
  net->eval();
  const Tensor<float> x = randn<float>({rows, 108});
  return [=] { net->forward(x); };
}

Step epoch() {
  const auto net = std::make_shared<Sequential<float>>(mlp_net());
  const auto loss = std::make_shared<BCE>();
  const auto optimizer = std::make_shared<SGD<float>>(net->parameters(), sgd);
  const auto loader = std::make_shared<DataLoader<float>>(
      TensorDataset<float>(randn<float>({adult_rows, adult_columns}), labels(adult_rows)),
      DataLoaderOptions{.batch_size = 128, .shuffle = true});
  return [=] {
    for (auto& [x, y] : *loader) {
      loss->forward(net->forward(x), y);
      optimizer->zero_grad();
      net->backward(loss->backward());
      optimizer->step();
    }
  };
}

const std::vector<std::string> continuous{"age",          "fnlwgt",       "education-num",
                                          "capital-gain", "capital-loss", "hours-per-week"};
const std::vector<std::string> categorical{"workclass", "education", "marital-status", "occupation", "relationship",
                                           "race",      "sex",       "native-country"};
const std::vector<std::string> columns{
    "age",          "workclass", "fnlwgt", "education",    "education-num", "marital-status", "occupation",
    "relationship", "race",      "sex",    "capital-gain", "capital-loss",  "hours-per-week", "native-country",
    "wage"};

Step csv() {
  return [] {
    const Table table = read_csv(csv_file, {.header = false, .names = columns});
    ColumnTransformer transformer({.standard = continuous, .one_hot = categorical});
    transformer.fit(table);
    const Tensor<float> x = transformer.transform<float>(table);
    const std::vector<long> wage = table.indicator("wage", " >50K");
    const Tensor<float> y({wage.size(), 1}, std::vector<float>(wage.begin(), wage.end()));
    if (x.size(0) != y.size(0)) std::abort();
  };
}

/// Only a network's products: Linear layers without bias, each alone. y = x·Wᵀ, dW = δᵀ·x and, except for the first
/// layer, dx = δ·W.
std::pair<Step, double> products(std::size_t rows, const std::vector<std::size_t>& sizes) {
  struct One {
    std::shared_ptr<Linear<float>> linear;
    Tensor<float> x, dy;
  };
  std::vector<One> all;
  double operations = 0;
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    all.push_back({std::make_shared<Linear<float>>(sizes[i], sizes[i + 1], false), randn<float>({rows, sizes[i]}),
                   randn<float>({rows, sizes[i + 1]})});
    all.back().linear->requires_input_grad(i > 0);
    operations += (i > 0 ? 6.0 : 4.0) * static_cast<double>(rows * sizes[i] * sizes[i + 1]);
  }
  return {[all = std::move(all)] {
            for (const One& one : all) {
              one.linear->forward(one.x);
              one.linear->zero_grad();
              one.linear->backward(one.dy);
            }
          },
          operations};
}

const std::vector<std::pair<std::string, Step (*)()>> rows{{"logistic", logistic},
                                                           {"adult_logistic", adult_logistic},
                                                           {"mlp", mlp},
                                                           {"mlp_dropout", mlp_dropout},
                                                           {"mlp_batch_norm", mlp_batch_norm},
                                                           {"digits", digits},
                                                           {"wide", wide},
                                                           {"lstm", recurrent<LSTM<float>>},
                                                           {"gru", recurrent<GRU<float>>},
                                                           {"lenet", lenet},
                                                           {"transformer", transformer},
                                                           {"embedding", embedding},
                                                           {"inference_1", [] { return inference(1); }},
                                                           {"inference_1024", [] { return inference(1024); }},
                                                           {"epoch", epoch},
                                                           {"csv", csv}};

const std::map<std::string, std::pair<std::size_t, std::vector<std::size_t>>> shapes{
    {"mlp", {128, {108, 256, 128, 1}}}, {"digits", {64, {784, 256, 128, 10}}}, {"wide", {512, {784, 2048, 2048, 10}}}};

Step row(const std::string& name) {
  manual_seed(0);
  for (const auto& [known, make] : rows)
    if (known == name) return make();
  std::fprintf(stderr, "bench_steps: there is no row %s\n", name.c_str());
  std::exit(1);
}

void time_row(const std::string& name) {
  if (name == "csv" && csv_file.empty()) return;
  std::printf("%s %.9g\n", name.c_str(), bench::median_seconds(row(name)));
  if (const auto shape = shapes.find(name); shape != shapes.end()) {
    const auto [step, operations] = products(shape->second.first, shape->second.second);
    std::printf("%s_products %.9g %.9g\n", name.c_str(), bench::median_seconds(step), operations);
  }
  std::fflush(stdout);
}

void machine() {
  const int all = static_cast<int>(std::thread::hardware_concurrency());
  std::printf("threads %d\npeak_1 %.6g\npeak_all %.6g\nread_1 %.6g\nread_all %.6g\n", all, bench::peak_gflops(1),
              bench::peak_gflops(all), bench::read_gbytes(1), bench::read_gbytes(all));
}

void write_census(const char* path) {
  const Table table = labs::make_census();
  std::ofstream file(path);
  for (std::size_t i = 0; i < table.rows(); ++i)
    for (const std::string& name : columns)
      (table.is_numeric(name) ? file << table.numbers(name)[i] : file << table.text(name)[i])
          << (name == columns.back() ? "\n" : ",");
}

}  // namespace

int main(int count, char** words) {
  std::vector<std::string> names;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--machine") return machine(), 0;
    if (word == "--write-census" && i + 1 < count) return write_census(words[i + 1]), 0;
    if (word == "--repeat" && i + 2 < count) {
      const Step step = row(words[i + 1]);
      for (int n = std::atoi(words[i + 2]); n > 0; --n) step();
      return 0;
    }
    if (word == "--csv" && i + 1 < count)
      csv_file = words[++i];
    else
      names.push_back(word);
  }
  if (names.empty())
    for (const auto& [name, make] : rows)
      if (bench::wanted(name)) names.push_back(name);
  for (const std::string& name : names) time_row(name);
}
