// After the first step with a given batch size a training step allocates nothing, counted at operator new, through
// which tensors pass too.
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <new>

#include "handgrad/handgrad.hpp"

namespace {
std::atomic<long> allocations{0};

[[gnu::noinline]] void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, rounded ? rounded : alignment)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void release(void* memory) { std::free(memory); }
}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return counted(bytes, std::size_t(alignment)); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

using namespace handgrad;

namespace {

/// Allocations in `steps` calls after two others.
template <class F>
long allocations_of(F&& step, int steps = 5) {
  step();
  step();
  const long before = allocations;
  for (int i = 0; i < steps; ++i) step();
  return allocations - before;
}

template <class T>
auto training_step(Sequential<T>& net, Loss<T>& loss, Optimizer<T>& optimizer, const Tensor<T>& x, const Tensor<T>& y) {
  return [&net, &loss, &optimizer, x, y] {
    loss.forward(net.forward(x), y);
    optimizer.zero_grad();
    net.backward(loss.backward());
    optimizer.step();
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_counter_counts) {
  const long before = allocations;
  const Tensor<float> x = zeros({3});
  BOOST_TEST(allocations > before);
}

BOOST_AUTO_TEST_CASE(a_classifier) {
  manual_seed(1);
  Sequential net{Linear(11, 32), ReLU(), Linear(32, 7), Tanh(), Linear(7, 3)};
  CrossEntropyLoss loss;
  SGD<float> sgd(net.parameters(), {.lr = 0.01, .momentum = 0.9, .weight_decay = 1e-4, .nesterov = true});
  BOOST_TEST(allocations_of(training_step(net, loss, sgd, randn({16, 11}), randint(0, 3, {16}))) == 0);
}

BOOST_AUTO_TEST_CASE(every_activation) {
  manual_seed(2);
  Sequential net{Linear<double>(5, 8), GELU<double>(),       SiLU<double>(),      ELU<double>(),
                 Sigmoid<double>(),    Softplus<double>(),   LeakyReLU<double>(), Linear<double>(8, 8, false),
                 Softmax<double>(),    Linear<double>(8, 2), LogSoftmax<double>()};
  NLLLoss<double> loss;
  SGD<double> sgd(net.parameters(), {.lr = 0.01});
  BOOST_TEST(allocations_of(training_step(net, loss, sgd, randn<double>({6, 5}), randint<double>(0, 2, {6}))) == 0);
}

BOOST_AUTO_TEST_CASE(normalised_and_dropped_out) {
  manual_seed(6);
  Sequential net{Linear(5, 8), BatchNorm1d(8), ReLU(), Dropout(0.5), Linear(8, 7), LayerNorm(7), Tanh(), Linear(7, 1)};
  BCEWithLogitsLoss loss;
  const Tensor<float> x = randn({6, 5}), y = randint(0, 2, {6, 1});
  Adam<float> adam(net.parameters());
  AdamW<float> adamw(no_decay_on_biases_and_norms(net, AdamWOptions{}));
  RMSprop<float> rmsprop(net.parameters(), {.momentum = 0.9, .centered = true});
  Tensor<float> norm;
  for (Optimizer<float>* optimizer : std::initializer_list<Optimizer<float>*>{&adam, &adamw, &rmsprop}) {
    const std::vector<Parameter<float>> parameters = net.parameters();
    BOOST_TEST(allocations_of([&] {
                 loss.forward(net.forward(x), y);
                 optimizer->zero_grad();
                 net.backward(loss.backward());
                 clip_grad_norm_(parameters, 1.0, 2.0, norm);
                 optimizer->step();
               }) == 0);
  }
}

BOOST_AUTO_TEST_CASE(a_convolutional_network) {
  manual_seed(7);
  Sequential net{Conv2d(1, 8, 5, {.stride = 2, .padding = 2}),
                 ReLU(),
                 MaxPool2d(2),
                 Conv2d(8, 8, 3, {.padding = "same", .groups = 4}),
                 AvgPool2d(3, {.stride = Size2d(1), .padding = 1}),
                 ConvTranspose2d(8, 4, 2, {.stride = 2}),
                 MaxPool2d(3, {.stride = Size2d(1)}),
                 AdaptiveAvgPool2d(2),
                 Flatten(),
                 Linear(16, 3)};
  CrossEntropyLoss loss;
  SGD<float> sgd(net.parameters(), {.lr = 0.01});
  BOOST_TEST(allocations_of(training_step(net, loss, sgd, randn({16, 1, 28, 28}), randint(0, 3, {16}))) == 0);
}

BOOST_AUTO_TEST_CASE(losses_of_elements) {
  manual_seed(3);
  Sequential net{Linear(5, 2)};
  SGD<float> sgd(net.parameters(), {.lr = 0.01});
  const Tensor<float> x = randn({6, 5}), y = randint(0, 2, {6, 2});
  MSELoss mse;
  L1Loss l1;
  BCEWithLogitsLoss weighted(BCEWithLogitsLossOptions<float>{.pos_weight = Tensor<float>{2, 3}});
  for (Loss<float>* loss : std::initializer_list<Loss<float>*>{&mse, &l1, &weighted})
    BOOST_TEST(allocations_of(training_step(net, *loss, sgd, x, y)) == 0, loss->name());
}

BOOST_AUTO_TEST_CASE(batches_that_are_views) {
  manual_seed(4);
  Sequential net{Linear(5, 7), ReLU(), Linear(7, 1)};
  BCEWithLogitsLoss loss;
  SGD<float> sgd(net.parameters(), {.lr = 0.01});
  const Tensor<float> x = randn({24, 5}), y = randint(0, 2, {24, 1});
  std::size_t batch = 0;
  BOOST_TEST(allocations_of([&] {
               const std::size_t from = batch++ % 3 * 8;
               loss.forward(net.forward(x.rows(from, from + 8)), y.rows(from, from + 8));
               sgd.zero_grad();
               net.backward(loss.backward());
               sgd.step();
             }) == 0);
}

BOOST_AUTO_TEST_CASE(batches_of_a_loader) {
  manual_seed(5);
  Sequential net{Linear(5, 7), ReLU(), Linear(7, 1)};
  BCEWithLogitsLoss loss;
  SGD<float> sgd(net.parameters(), {.lr = 0.01});
  TensorDataset<float> data(randn({24, 5}), randint(0, 2, {24, 1}));
  for (const bool shuffle : {false, true}) {
    DataLoader loader(data, {.batch_size = 8, .shuffle = shuffle});
    long in_batches = 0;
    for (int epoch = 0; epoch < 3; ++epoch) {
      long before = -1;
      for (const auto& [x, y] : loader) {
        if (before >= 0 && epoch > 0) in_batches += allocations - before;
        before = allocations;
        loss.forward(net.forward(x), y);
        sgd.zero_grad();
        net.backward(loss.backward());
        sgd.step();
      }
    }
    BOOST_TEST(in_batches == 0, (shuffle ? "shuffled" : "in order"));
  }
}

BOOST_AUTO_TEST_CASE(a_table_and_a_transformer) {
  manual_seed(7);
  Sequential net{Embedding(11, 8), PositionalEncoding(8, {.max_len = 6}),
                 TransformerEncoderLayer(8, 2, {.dim_feedforward = 16, .is_causal = true}),
                 TransformerEncoderLayer(8, 2, {.dim_feedforward = 16, .activation = "gelu", .norm_first = true}),
                 Linear(8, 3)};
  MSELoss loss;
  SGD<float> sgd(net.parameters(), {.lr = 0.01});
  Adam<float> adam(net.parameters());
  const Tensor<float> x = randint(0, 11, {5, 4}), y = randn({5, 4, 3});
  BOOST_TEST(allocations_of(training_step(net, loss, sgd, x, y)) == 0);
  BOOST_TEST(allocations_of(training_step(net, loss, adam, x, y)) == 0);
  Sequential table{Embedding(101, 8), Linear(8, 3)};  // other rows in each step
  SGD<float> rows(table.parameters(), {.lr = 0.01});
  std::vector<Tensor<float>> batches;
  for (int i = 0; i < 8; ++i) batches.push_back(randint(0, 101, {32}));
  const Tensor<float> target = randn({32, 3});
  std::size_t step = 0;
  BOOST_TEST(allocations_of([&] {
               loss.forward(table.forward(batches[step++ % 8]), target);
               rows.zero_grad();
               table.backward(loss.backward());
               rows.step();
             }) == 0);
  MultiheadAttention tiled(8, 2, {.keep_up_to = 0});
  const Tensor<float> sequence = randn({70, 1, 8}), dy = randn({70, 1, 8});
  BOOST_TEST(allocations_of([&] {
               tiled.forward(sequence);
               tiled.backward(dy);
             }) == 0);
}

BOOST_AUTO_TEST_CASE(recurrent) {
  manual_seed(10);
  Sequential net{LSTM(5, 16, {.num_layers = 2, .dropout = 0.3, .bidirectional = true}),
                 GRU(32, 24, {.batch_first = true}), RNN(24, 8, {.output = Steps::Last}), Linear(8, 3)};
  dynamic_cast<Recurrent<float>&>(net[0]).carry_state();
  CrossEntropyLoss loss;
  SGD<float> sgd(net.parameters(), {.lr = 0.01});
  BOOST_TEST(allocations_of(training_step(net, loss, sgd, randn({9, 17, 5}), randint(0, 3, {17}))) == 0);
}
