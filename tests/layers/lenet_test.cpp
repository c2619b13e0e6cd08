// A convolutional network saved by PyTorch predicts the same here and, trained from the same seed, makes the same run
// (reference/subject_lenet.py).
#include "handgrad/handgrad.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::Reference;

namespace {

template <class T>
Sequential<T> lenet() {
  return Sequential<T>{Conv2d<T>(1, 4, 3, {.padding = 1}),
                       ReLU<T>(),
                       MaxPool2d<T>(2),
                       Conv2d<T>(4, 6, 5),
                       ReLU<T>(),
                       MaxPool2d<T>(2),
                       Flatten<T>(),
                       Linear<T>(6 * 5 * 5, 10)};
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(a_network_saved_by_torch_predicts_the_same) {
  using T = typename Place::T;
  manual_seed(5);
  lenet<float>();  // the reference drew its weights before the images
  const std::vector<float> pixels = rand<float>({5, 1, 28, 28}).to_vector();
  const Tensor<T> x({5, 1, 28, 28}, std::vector<T>(pixels.begin(), pixels.end()));
  manual_seed(1);
  Sequential<T> net = lenet<T>();
  net.load_state_dict(read_safetensors<T>(Reference::path("lenet.safetensors")).tensors);
  net.to(Place::device());
  net.eval();
  check_close(net.forward(x.to(Place::device())), Reference::file("lenet")["predictions"].tensor<double>(), 1e-6,
              "logits");
}

HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(the_same_seed_gives_torchs_run) {
  manual_seed(6);
  Sequential<double> net = lenet<double>();
  Tensor<double> x = rand<double>({96, 1, 28, 28}), y = randint<double>(0, 10, {96});
  for (std::size_t n = 0; n < 96; ++n) {
    const auto first = 2 * static_cast<std::size_t>(y.item(n)) + 3;
    for (std::size_t i = first * 28; i < (first + 3) * 28; ++i) x.data()[n * 784 + i] += 1;
  }
  net.to(Place::device());
  CrossEntropyLoss<double> loss;
  SGD<double> sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  DataLoader<double> loader(TensorDataset<double>(x, y),
                            {.batch_size = 20, .shuffle = true, .device = Place::device()});
  const Reference run = Reference::file("lenet")["run"];
  std::vector<double> losses;
  for (const EpochResult& epoch :
       fit(net, loss, sgd, loader, FitOptions<double>{.epochs = static_cast<int>(run["losses"].size())}).epochs)
    losses.push_back(epoch.loss);
  check_close(losses, run["losses"].numbers(), 1e-9, "loss of each epoch");
  check_close(net.parameters()[0].value(), run["weight"].tensor<double>(), 1e-8, "first filters");
  check_close(net.parameters()[3].value(), run["bias"].tensor<double>(), 1e-8, "second bias");
}
