// Sequential: nesting, names, printing, places in errors, and that fusion changes nothing but rounding.
#include "handgrad/containers/sequential.hpp"

#include <functional>
#include <optional>
#include <sstream>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/trace/recorder.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

template <class T>
std::string printed(const T& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

}  // namespace

BOOST_AUTO_TEST_CASE(prints_as_torch_does_with_the_number_of_parameters) {
  const Reference networks = Reference::file("print")["networks"];
  BOOST_TEST(printed(Sequential{Linear(2, 4), Tanh(), Linear(4, 1, false)}) ==
             networks[0]["text"].text() + "\n16 parameters");
  BOOST_TEST(printed(Sequential{Linear(2, 4), Sequential{Linear(4, 3), ReLU()}, Softmax()}) ==
             networks[1]["text"].text() + "\n27 parameters");
  BOOST_TEST(printed(Sequential{LeakyReLU(0.2), LeakyReLU(), ELU(1.409), ELU(), GELU(), GELU("tanh"), SiLU(),
                                Softplus(), Softplus(2, 5.5), Sigmoid(), Identity(), LogSoftmax(1)}) ==
             networks[2]["text"].text() + "\n0 parameters");
  BOOST_TEST(printed(Sequential{BatchNorm1d(7), BatchNorm1d(3, {.momentum = 0.2, .affine = false}), LayerNorm(5),
                                LayerNorm(Shape{3, 5}, {.eps = 0.01, .elementwise_affine = false})}) ==
             networks[3]["text"].text() + "\n24 parameters");
  BOOST_TEST(printed(Sequential{Linear(108, 256), ReLU(), Linear(256, 128), ReLU(), Linear(128, 1)})
                 .ends_with("\n60,929 parameters"));
}

BOOST_AUTO_TEST_CASE(parameters_have_torchs_names_in_its_order) {
  Sequential net{Linear(2, 4), Sequential{Tanh(), Linear(4, 3, false)}, Linear(3, 1)};
  std::string names;
  for (const auto& [name, parameter] : net.named_parameters()) names += name + " ";
  BOOST_TEST(names == "0.weight 0.bias 1.1.weight 2.weight 2.bias ");
  BOOST_TEST(net.parameter_count() == 2u * 4 + 4 + 4 * 3 + 3 + 1);
  BOOST_TEST(net.size() == 3u);
  BOOST_TEST(dynamic_cast<Linear<float>&>(net[2]).in_features() == 3u);
  check_throws<ValueError>([&] { net[3]; }, {"3"});
}

BOOST_AUTO_TEST_CASE(errors_name_the_place) {
  Sequential net{Linear(2, 16), Tanh(), Linear(4, 1)};
  check_throws<ShapeError>(
      [&] {
        net.forward(Tensor<float>{{1, 2}});
      },
      {"Sequential[2] Linear(4 → 1)", "16 columns", "4 expected", "(1, 16)"});
  Sequential nested{Linear(2, 3), Sequential{Tanh(), Linear(4, 1)}};
  check_throws<ShapeError>([&] { nested.forward(Tensor<float>{{1, 2}}); }, {"Sequential[1]", "Linear(4 → 1)"});
  check_throws<ShapeError>([&] { net.forward(Tensor<float>{{1, 2, 3}}); }, {"Sequential[0] Linear(2 → 16)"});
}

HANDGRAD_TEST_EVERYWHERE(the_chain_rule_layer_by_layer) {
  using T = typename Place::T;
  const Device device = Place::device();
  manual_seed(1);
  const Tensor<T> x = randn<T>({7, 5}).to(device), dy = randn<T>({7, 3}).to(device);
  for (const bool input_grad : {true, false}) {
    Sequential<T> net{Linear<T>(5, 11), ReLU<T>(), Linear<T>(11, 4), Sigmoid<T>(),
                      Sequential<T>{Linear<T>(4, 3), Tanh<T>()}};
    net.to(device);
    net.requires_input_grad(input_grad);
    const Tensor<T> y = net.forward(x).clone();
    net.zero_grad();
    const Tensor<T> dx = net.backward(dy);
    BOOST_TEST(dx.defined() == input_grad);

    auto& inner = dynamic_cast<Sequential<T>&>(net[4]);
    std::vector<Layer<T>*> layers{&net[0], &net[1], &net[2], &net[3], &inner[0], &inner[1]};
    std::vector<Tensor<double>> expected;
    for (const auto& parameter : net.parameters()) {
      const std::vector<T> g = parameter.grad().to_vector();
      expected.emplace_back(parameter.shape(), std::vector<double>(g.begin(), g.end()));
    }
    net.zero_grad();
    Tensor<T> h = x;
    for (Layer<T>* layer : layers) layer->requires_input_grad(true), h = layer->forward(h).clone();
    Tensor<T> d = dy;
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) d = (*layer)->backward(d).clone();

    check_close(h, y, Place::tolerance, "y");
    if (input_grad) check_close(d, dx, Place::tolerance, "dx");
    const auto parameters = net.parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i)
      check_close(parameters[i].grad(), expected[i], Place::tolerance, "gradient " + std::to_string(i));
  }
}

HANDGRAD_TEST_EVERYWHERE(two_backwards_add_up) {
  using T = typename Place::T;
  manual_seed(2);
  Sequential<T> net{Linear<T>(3, 5), ReLU<T>(), Linear<T>(5, 2)};
  net.to(Place::device());
  const Tensor<T> x = randn<T>({4, 3}).to(Place::device()), dy = randn<T>({4, 2}).to(Place::device());
  net.forward(x);
  net.zero_grad();
  net.backward(dy);
  std::vector<Tensor<T>> once;
  for (const auto& parameter : net.parameters()) once.push_back(parameter.grad().clone());
  net.backward(dy);
  const auto parameters = net.parameters();
  for (std::size_t i = 0; i < once.size(); ++i) {
    std::vector<T> twice = once[i].to_vector();
    for (T& g : twice) g *= 2;
    check_close(parameters[i].grad().to_vector(), twice, Place::tolerance, "gradient " + std::to_string(i));
  }
}

namespace {

/// y, dx and the gradients of all parameters, in that order.
template <class T>
using Results = std::vector<Tensor<T>>;

template <class T>
Results<T> results(const Sequential<T>& net, const Tensor<T>& y, const Tensor<T>& dx) {
  Results<T> all{y.clone(), dx.clone()};
  for (const auto& parameter : net.parameters()) all.push_back(parameter.grad().clone());
  return all;
}

/// Of a Sequential whose dx is wanted: fused.
template <class T>
Results<T> together(Sequential<T>& net, const Tensor<T>& x, const Tensor<T>& dy) {
  const Tensor<T> y = net.forward(x);
  return results(net, y, net.backward(dy));
}

template <class T>
Tensor<T> forward_one_by_one(Sequential<T>& net, const Tensor<T>& x) {
  Tensor<T> y = x;
  for (std::size_t i = 0; i < net.size(); ++i) y = net[i].forward(y);
  return y;
}
template <class T>
Tensor<T> backward_one_by_one(Sequential<T>& net, Tensor<T> dy) {
  for (std::size_t i = net.size(); i-- > 0;) dy = net[i].backward(dy);
  return dy;
}
template <class T>
Results<T> one_by_one(Sequential<T>& net, const Tensor<T>& x, const Tensor<T>& dy) {
  const Tensor<T> y = forward_one_by_one(net, x);
  return results(net, y, backward_one_by_one(net, dy));
}

template <class T>
void check_same(const Results<T>& actual, const Results<T>& expected, double tolerance, const std::string& what) {
  BOOST_TEST_REQUIRE(actual.size() == expected.size());
  const auto name = [](std::size_t i) { return i == 0 ? "y" : i == 1 ? "dx" : "gradient " + std::to_string(i - 2); };
  for (std::size_t i = 0; i < actual.size(); ++i) check_close(actual[i], expected[i], tolerance, what + ", " + name(i));
}

}  // namespace

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

// Whatever ran between, and before: each in turn with a Sequential, and by calling its layers one by one.
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

// A layer moved away and run alone there: an error says so, rather than a product of what lies on two devices.
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

BOOST_AUTO_TEST_CASE(values_that_are_held_stay) {
  manual_seed(3);
  Sequential net{Linear(2, 3), Tanh()};
  const Tensor<float> held = net.forward(Tensor<float>{{1, 2}});
  const Tensor<float> copy = held.clone();
  net.forward(Tensor<float>{{-5, 7}});
  BOOST_TEST((held == copy));
}

// A learner may run one layer alone; what the others keep of the last forward stays valid.
BOOST_AUTO_TEST_CASE(a_layer_run_alone_does_not_pull_the_rug) {
  Sequential net{Linear(2, 3), Tanh(), Sequential{Linear(3, 2), ReLU()}};
  const Tensor<float> dy = ones({1, 2});
  net.forward(ones({1, 2}));
  net.backward(dy);
  net.zero_grad();
  net.backward(dy);
  const Tensor<float> expected = net.parameters()[2].grad().clone();  // the inner Linear's weight: depends on its input
  net[0].forward(ones({50, 2}));
  net[1].forward(ones({50, 3}));
  net.zero_grad();
  net[2].backward(dy);
  BOOST_TEST((net.parameters()[2].grad() == expected));
}

BOOST_AUTO_TEST_CASE(after_a_forward_that_failed_there_is_nothing_to_go_back_through) {
  Sequential net{Linear(2, 3), Tanh(), Linear(4, 1)};  // 3 does not fit 4
  BOOST_CHECK_THROW(net.forward(ones({1, 2})), ShapeError);
  BOOST_CHECK_THROW(net.backward(ones({1, 1})), StateError);
}

// A user's class may derive from an activation and compute something else: it is not run as what it derives from.
struct Square : Tanh<double> {
  void forward_into(const Tensor<double>& z, Tensor<double>& y) override { y.xt() = z.xt() * z.xt(); }
  void backward_into(const Tensor<double>& z, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dz) override {
    dz.xt() = 2 * dy.xt() * z.xt();
  }
};

BOOST_AUTO_TEST_CASE(a_class_derived_from_an_activation_computes_its_own) {
  Sequential<double> net{Linear<double>(3, 5), Square()};
  HANDGRAD_CHECK_GRADIENTS(net, randn<double>({7, 3}));
  const Tensor<double> x = randn<double>({2, 3}), z = net[0].forward(x).clone();
  const Tensor<double> expected = z.xt() * z.xt();
  BOOST_TEST(allclose(net.forward(x), expected, 1e-12));
}

BOOST_AUTO_TEST_CASE(an_empty_sequential_is_the_identity) {
  Sequential<float> net;
  BOOST_CHECK_THROW(net.backward(ones({2, 3})), StateError);
  const Tensor<float> x{{1, 2, 3}, {4, 5, 6}}, dy = ones({2, 3});
  BOOST_TEST((net.forward(x) == x));
  BOOST_TEST(!net.backward(dy).defined());  // not asked for
  net.requires_input_grad(true);
  BOOST_TEST((net.backward(dy) == dy));
  BOOST_CHECK_THROW(net.backward(ones({3, 2})), ShapeError);

  Sequential<double> around;
  around.push_back(std::make_shared<Linear<double>>(3, 2));
  around.push_back(std::make_shared<Sequential<double>>());
  around.push_back(std::make_shared<Tanh<double>>());
  HANDGRAD_CHECK_GRADIENTS(around, randn<double>({5, 3}));
}
