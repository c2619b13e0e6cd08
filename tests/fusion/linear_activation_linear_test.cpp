// Backward through a chain of Linears and activations: the same as unfused, whatever ran before.
#include "handgrad/fusion/linear_activation_linear.hpp"

#include <functional>
#include <optional>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/fusion/plan.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/trace/recorder.hpp"
#include "support/typed.hpp"
#include "support/unfused.hpp"

using namespace handgrad;
using namespace handgrad::test;

HANDGRAD_TEST_EVERYWHERE(a_chain_of_linears_is_its_layers) {
  using T = typename Place::T;
  using Net = Sequential<T>;
  const Device device = Place::device();
  const auto run = [&](const std::string& what, std::size_t n, Net net, std::size_t in, std::size_t out) {
    net.to(device);
    net.requires_input_grad(true);
    const Tensor<T> x = randn<T>({n, in}).to(device), dy = randn<T>({n, out}).to(device);
    for (int backwards = 1; backwards <= 2; ++backwards) {  // the first overwrites the gradients, the second adds
      net.zero_grad();
      if (backwards == 2) together(net, x, dy);
      const Results<T> fused = together(net, x, dy);
      net.zero_grad();
      if (backwards == 2) one_by_one(net, x, dy);
      check_same(fused, one_by_one(net, x, dy), Place::tolerance * backwards, what);
    }
  };
  manual_seed(4);
  for (const std::size_t n : {1, 33})
    for (const std::size_t width : {1, 31, 127, 129})
      for (const bool bias : {true, false}) {
        const std::string what = std::to_string(n) + " rows, width " + std::to_string(width);
        run("ReLU, " + what, n,
            Net{Linear<T>(5, width, bias), ReLU<T>(), Linear<T>(width, 31), ReLU<T>(), Linear<T>(31, 2, bias)}, 5, 2);
        run("one output, " + what, n, Net{Linear<T>(3, width, bias), ReLU<T>(), Linear<T>(width, 1)}, 3, 1);
      }
  run("other activations", 31,
      Net{Linear<T>(3, 9), Tanh<T>(), Linear<T>(9, 7), GELU<T>(), Linear<T>(7, 8), LeakyReLU<T>(-0.5), Linear<T>(8, 7),
          Threshold<T>(), Linear<T>(7, 6), Softplus<T>(), Linear<T>(6, 5), ELU<T>(0.5), Linear<T>(5, 4), SiLU<T>(),
          Linear<T>(4, 5), Identity<T>(), Linear<T>(5, 5), Sigmoid<T>(), Linear<T>(5, 3)},
      3, 3);
  run("between other layers", 31,
      Net{Tanh<T>(), Linear<T>(3, 9), ReLU<T>(), Linear<T>(9, 7), BatchNorm1d<T>(7), Linear<T>(7, 7), ReLU<T>(),
          Linear<T>(7, 4), ReLU<T>(), Net{Linear<T>(4, 6), ReLU<T>(), Linear<T>(6, 5), ReLU<T>()}, Softmax<T>()},
      3, 5);
}

// Whatever runs before and between: each in turn with a Sequential, and by calling its layers one by one.
HANDGRAD_TEST_EVERYWHERE(a_fused_backward_belongs_to_the_last_forward) {
  using T = typename Place::T;
  using Net = Sequential<T>;
  const Device device = Place::device();
  manual_seed(5);
  const Tensor<T> x = randn<T>({33, 5}).to(device), dy = randn<T>({33, 4}).to(device),
                  other = randn<T>({33, 5}).to(device), fewer = randn<T>({7, 5}).to(device),
                  d_fewer = randn<T>({7, 4}).to(device);
  const auto sharing = [](Net& net, std::size_t layers) {  // the same first layers
    Net shares;
    for (std::size_t i = 0; i < layers; ++i) shares.push_back(net.children()[i].second);
    net.requires_input_grad(true);
    return shares;
  };
  using Forward = Tensor<T> (*)(Net&, const Tensor<T>&);
  using Scenario = std::function<Tensor<T>(Net&, Forward)>;
  const std::vector<std::pair<std::string, Scenario>> scenarios{
      {"nothing else", [&](Net& net, Forward forward) { return forward(net, x); }},
      {"a forward in evaluation mode",
       [&](Net& net, Forward forward) {
         forward(net, x);
         net.eval();
         const Tensor<T> y = forward(net, other);
         net.train();
         return y;
       }},
      {"only a change of mode",
       [&](Net& net, Forward forward) {
         const Tensor<T> y = forward(net, x);
         net.eval();
         net.train();
         return y;
       }},
      {"a smaller batch", [&](Net& net, Forward forward) { return forward(net, x), forward(net, fewer); }},
      {"a larger batch", [&](Net& net, Forward forward) { return forward(net, fewer), forward(net, x); }},
      {"a traced forward",
       [&](Net& net, Forward forward) {
         forward(net, x);
         trace::Recorder recorder;
         return forward(net, other);
       }},
      {"the layers one by one",
       [&](Net& net, Forward forward) {
         forward(net, x);
         forward_one_by_one(net, fewer);
         forward_one_by_one(net, x);
         return forward_one_by_one(net, other);
       }},
      {"another Sequential of these layers",
       [&](Net& net, Forward forward) {
         forward(net, x);
         Net all = sharing(net, net.size());
         return forward(all, other);
       }},
      {"another Sequential of some of these layers",
       [&](Net& net, Forward forward) {
         const Tensor<T> y = forward(net, x);
         Net some = sharing(net, 3);
         forward(some, other);
         return y;
       }},
      {"one layer alone",
       [&](Net& net, Forward forward) {
         const Tensor<T> y = forward(net, x);
         net[1].forward(net[0].forward(other));
         return y;
       }},
      {"a move to the device", [&](Net& net, Forward forward) { return net.to(device), forward(net, x); }},
  };
  const auto make = [&] {
    manual_seed(6);
    Net net{Linear<T>(5, 33), ReLU<T>(), Linear<T>(33, 31), ReLU<T>(), Linear<T>(31, 4)};
    net.to(device);
    net.requires_input_grad(true);
    return net;
  };
  Net fused = make(), layers = make();
  for (int round = 0; round < 3; ++round)  // buffers take turns
    for (const auto& [what, scenario] : scenarios) {
      const Tensor<T> y = scenario(fused, [](Net&net, const Tensor<T>&in) { return net.forward(in); }),
                      expected = scenario(layers, forward_one_by_one<T>);
      const Tensor<T>& d = y.size(0) == 7 ? d_fewer : dy;
      for (const bool traced : {round == 1, false}) {  // the second adds
        std::optional<trace::Recorder> recorder;
        if (traced) recorder.emplace();
        const Tensor<T> dx = fused.backward(d);
        check_same(results(fused, y, dx), results(layers, expected, backward_one_by_one(layers, d)),
                   2 * Place::tolerance, what);
      }
      fused.zero_grad();
      layers.zero_grad();
    }
}

// A layer moved to another device and run alone gives an error, not a product across two devices.
HANDGRAD_TEST_CUDA(a_chain_on_two_devices_is_refused) {
  using T = typename Place::T;
  for (const int moved : {0, 2}) {
    Sequential<T> net{Linear<T>(2, 3), ReLU<T>(), Linear<T>(3, 3)};
    net.to(Place::device());
    net.forward(ones<T>({4, 2}, Place::device()));
    net[moved].to(Device::cpu());
    net[moved].forward(ones<T>({4, moved == 0 ? 2u : 3u}));
    check_throws<DeviceError>(
        [&] {
          net.backward(ones<T>({4, 3}, moved == 0 ? Place::device() : Device::cpu()));
        },
        {moved == 0 ? "Sequential[0] Linear" : "Sequential[1] ReLU", "the gradient is on"});
  }
}

HANDGRAD_TEST_EVERYWHERE(a_fused_chain_passes_the_gradient_check) {
  using T = typename Place::T;
  if constexpr (std::is_same_v<T, double>) {
    manual_seed(7);
    Sequential<T> net{Linear<T>(3, 7), ReLU<T>(), Linear<T>(7, 5), Tanh<T>(),
                      Linear<T>(5, 4), SiLU<T>(), Linear<T>(4, 1)};
    net.to(Place::device());
    HANDGRAD_CHECK_GRADIENTS(net, randn<T>({5, 3}).to(Place::device()));
  }
}

BOOST_AUTO_TEST_CASE(the_chains_that_are_found) {
  const auto found = [](const Sequential<float>& net) {  // the last layers of the chains
    std::vector<Layer<float>*> layers;
    for (const auto& [name, layer] : net.children()) layers.push_back(layer.get());
    const fusion::Plan<float> plan(layers);
    std::string ends;
    for (std::size_t i = 0; i < layers.size(); ++i) ends += plan.backward_at(i) ? "x" : ".";
    return ends;
  };
  BOOST_TEST(found(Sequential{Linear(2, 3), ReLU(), Linear(3, 3), GELU(), Linear(3, 1)}) == "..x.x");
  BOOST_TEST(found(Sequential{Linear(2, 3), ReLU(), Linear(3, 3), BatchNorm1d(3), Linear(3, 1), Tanh()}) == "..x...");
  BOOST_TEST(found(Sequential{Linear(2, 3), Linear(3, 3), ReLU(), ReLU(), Linear(3, 1)}) == ".....");
  BOOST_TEST(found(Sequential{ReLU(), Linear(3, 1)}) == "..");
}
