// A recorded training step computes the same as the five calls, bit for bit, whatever changes between steps.
#include "handgrad/training/training_step.hpp"
#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"

#include <boost/test/unit_test.hpp>

#include "handgrad/handgrad.hpp"
#include "support/typed.hpp"

using namespace handgrad;

namespace {

/// Reads its input on the host, which no graph can record.
template <class T>
struct Peeking : Layer<T> {
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override {
    seen += x.to_vector()[0];
    y.copy_from(x);
  }
  void backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) override {
    dx.copy_from(dy);
  }
  T seen = 0;
};

/// Needs more memory on request.
template <class T>
struct Hungry : Layer<T> {
  std::size_t elements = 0;
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override {
    const Tensor<T> copy = x.clone();  // freed as soon as it is read
    y.copy_from(copy);
    if (elements > 0) Tensor<T>::empty({elements}, x.device());
  }
  void backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) override {
    dx.copy_from(dy);
  }
};

/// y = a·x with a different number a each time, passed as a kernel argument.
template <class T>
struct Shrinking : Layer<T> {
  T a = 1;
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override {
    y.copy_from(x);
    backend<T>(x.device()).elements.scale(view::vector(y), a *= T(0.99));
  }
  void backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) override {
    dx.copy_from(dy);
    backend<T>(dx.device()).elements.scale(view::vector(dx), a);
  }
};

/// Throws on request.
template <class T>
struct Refusing : Layer<T> {
  bool refuse = false;
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override { y.copy_from(x); }
  void backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) override {
    if (refuse) throw ValueError("refused");
    dx.copy_from(dy);
  }
};

template <class T>
Sequential<T> network() {
  manual_seed(3);
  return Sequential<T>{Linear<T>(6, 9), BatchNorm1d<T>(9), ReLU<T>(),      Dropout<T>(0.3),
                       Linear<T>(9, 5), Shrinking<T>(),    Linear<T>(5, 2)};
}

/// A network fused from end to end.
template <class T>
Sequential<T> chain() {
  manual_seed(4);
  return Sequential<T>{Linear<T>(6, 33), ReLU<T>(), Linear<T>(33, 9, false), ReLU<T>(), Linear<T>(9, 5), ReLU<T>(),
                       Linear<T>(5, 4),  GELU<T>(), Linear<T>(4, 2)};
}

template <class T>
struct Data {
  Tensor<T> x = randn<T>({23, 6}), y = randint<T>(0, 2, {23, 1}), two = randint<T>(0, 2, {23, 2});
};

}  // namespace

HANDGRAD_TEST_EVERYWHERE(a_step_is_the_five_calls) {
  using T = typename Place::T;
  const Device device = Place::device();
  const Data<T> data;
  const auto train = [&](Sequential<T> (*make)(), bool recorded) {
    auto net = make();
    net.to(device);
    BCEWithLogitsLoss<T> loss;
    AdamW<T> adam(net.parameters(), {.lr = 0.01});
    const auto clip = [&] { clip_grad_norm_(net.parameters(), 0.5); };
    TrainingStep<T> step(net, loss, adam, clip);
    std::vector<T> losses;
    for (int epoch = 0; epoch < 12; ++epoch) {
      if (epoch == 6) adam.set_lr(0.003);
      for (std::size_t begin = 0; begin < 23; begin += 10) {  // 10, 10 and 3 rows
        const std::size_t end = std::min<std::size_t>(begin + 10, 23);
        const Tensor<T> x = data.x.rows(begin, end).to(device), y = data.two.rows(begin, end).to(device);
        if (recorded) {
          losses.push_back(step(x, y).item());
          // An odd number of steps per epoch: the output alternates between its two buffers
          if (device.is_cuda() && epoch >= 4) BOOST_TEST(step.captured(), step.reason());
          continue;
        }
        losses.push_back(loss.forward(net.forward(x), y).item());
        adam.zero_grad();
        net.backward(loss.backward());
        clip();
        adam.step();
      }
    }
    BOOST_TEST(step.captured() == (recorded && device.is_cuda()), step.reason());
    std::vector<T> weights;
    for (const auto& [name, value] : net.state_dict())
      for (const T v : value.to_vector()) weights.push_back(v);
    return std::pair(losses, weights);
  };
  for (const auto make : {network<T>, chain<T>}) {
    const auto [plain_losses, plain_weights] = train(make, false);
    const auto [losses, weights] = train(make, true);
    BOOST_TEST(losses == plain_losses, boost::test_tools::per_element());
    BOOST_TEST(weights == plain_weights, boost::test_tools::per_element());
  }
}

HANDGRAD_TEST_CUDA(what_cannot_be_recorded_is_run_as_it_is) {
  using T = typename Place::T;
  const Data<T> data;
  const auto train = [&](Device device, std::string& reason) {
    manual_seed(4);
    auto peeking = std::make_shared<Peeking<T>>();
    Sequential<T> net;
    net.push_back(std::make_shared<Linear<T>>(6, 4));
    net.push_back(peeking);
    net.push_back(std::make_shared<Linear<T>>(4, 1));
    net.to(device);
    MSELoss<T> loss;
    SGD<T> sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9});
    TrainingStep<T> step(net, loss, sgd);
    std::vector<T> losses;
    for (int i = 0; i < 10; ++i) losses.push_back(step(data.x, data.y).item());
    reason = step.reason();
    BOOST_TEST(peeking->seen != T(0));
    BOOST_TEST(!step.captured());
    return losses;
  };
  std::string reason, unused;
  const auto gpu = train(Place::device(), reason), cpu = train(Device::cpu(), unused);
  for (std::size_t i = 0; i < gpu.size(); ++i) BOOST_TEST(std::abs(gpu[i] - cpu[i]) < 1e-4 * std::abs(cpu[i]));
  BOOST_TEST(reason.find("brought to the host") != std::string::npos, reason);
}

HANDGRAD_TEST_CUDA(an_exception_in_a_step_leaves_all_usable) {
  using T = typename Place::T;
  const Data<T> data;
  const auto train = [&](bool fail) {
    manual_seed(5);
    auto refusing = std::make_shared<Refusing<T>>();
    Sequential<T> net;
    net.push_back(std::make_shared<Linear<T>>(6, 4));
    net.push_back(refusing);
    net.push_back(std::make_shared<Linear<T>>(4, 1));
    net.to(Place::device());
    MSELoss<T> loss;
    SGD<T> sgd(net.parameters(), {.lr = 0.05});
    TrainingStep<T> step(net, loss, sgd);
    std::vector<T> losses;
    for (int i = 0; i < 12; ++i) {
      if (fail && (i == 1 || i == 3 || i == 7)) {  // while warming up, recording, replaying
        refusing->refuse = true;
        BOOST_CHECK_THROW(step(data.x, data.y), ValueError);
        refusing->refuse = false;
      }
      losses.push_back(step(data.x, data.y).item());
    }
    BOOST_TEST(step.captured(), step.reason());
    return losses;
  };
  BOOST_TEST(train(true) == train(false), boost::test_tools::per_element());
}

HANDGRAD_TEST_CUDA(out_of_memory_in_a_step_leaves_all_usable) {
  using T = typename Place::T;
  const Data<T> data;
  const Device device = Place::device();
  const std::size_t all = device_memory(device).total / sizeof(T);
  const auto train = [&](bool hungry) {
    manual_seed(5);
    auto layer = std::make_shared<Hungry<T>>();
    Sequential<T> net;
    net.push_back(std::make_shared<Linear<T>>(6, 4));
    net.push_back(layer);
    net.push_back(std::make_shared<Linear<T>>(4, 1));
    net.to(device);
    MSELoss<T> loss;
    SGD<T> sgd(net.parameters(), {.lr = 0.05});
    TrainingStep<T> step(net, loss, sgd);
    std::vector<T> losses;
    for (int i = 0; i < 12; ++i) {
      if (hungry && (i == 1 || i == 3 || i == 7)) {  // while warming up, recording, replaying
        layer->elements = 2 * all;
        BOOST_CHECK_THROW(step(data.x, data.y), DeviceError);
        layer->elements = 0;
      }
      if (hungry && i == 9) {  // enough only if cached memory is freed, which the step may have used
        Tensor<T>::empty({all / 2}, device);
        layer->elements = all / 2 + all / 4;
      }
      losses.push_back(step(data.x, data.y).item());
      if (hungry && i == 9) BOOST_TEST(step.reason().find("memory ran out") != std::string::npos, step.reason());
      layer->elements = 0;
    }
    return losses;
  };
  BOOST_TEST(train(true) == train(false), boost::test_tools::per_element());
}

HANDGRAD_TEST_CUDA(evaluation_between_steps_changes_nothing) {
  using T = typename Place::T;
  const Data<T> data;
  const Device device = Place::device();
  const Tensor<T> x = data.x.to(device), y = data.two.to(device);
  const auto train = [&](Sequential<T> (*make)(), bool recorded) {
    auto net = make();
    net.to(device);
    BCEWithLogitsLoss<T> loss;
    RMSprop<T> rule(net.parameters());
    TrainingStep<T> step(net, loss, rule);
    std::vector<T> seen;
    for (int i = 0; i < 10; ++i) {
      if (recorded) {
        step(x, y);
      } else {
        loss.forward(net.forward(x), y);
        rule.zero_grad();
        net.backward(loss.backward());
        rule.step();
      }
      if (i % 3 == 1) {
        net.eval();
        seen.push_back(net.forward(x).to_vector()[i]);
        net.train();
      }
    }
    return seen;
  };
  for (const auto make : {network<T>, chain<T>})
    BOOST_TEST(train(make, true) == train(make, false), boost::test_tools::per_element());
}
