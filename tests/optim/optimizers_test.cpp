// Optimizers and clipping against PyTorch's trajectories, and an optimizer's state.
#include <cmath>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/optim/adadelta.hpp"
#include "handgrad/optim/adagrad.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/clip_grad.hpp"
#include "handgrad/optim/ema.hpp"
#include "handgrad/optim/lion.hpp"
#include "handgrad/optim/muon.hpp"
#include "handgrad/optim/nadam.hpp"
#include "handgrad/optim/rmsprop.hpp"
#include "handgrad/optim/sgd.hpp"
#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::make_optimizer;
using handgrad::test::Reference;

namespace {

template <class T>
Tensor<T> with_shape(const Reference& numbers, const Shape& shape) {
  const std::vector<double> n = numbers.numbers();
  return Tensor<T>(shape, std::vector<T>(n.begin(), n.end()));
}

template <class T>
void set_gradient(Parameter<T>& parameter, const Reference& numbers) {
  parameter.zero_grad();
  parameter.accumulate().first.copy_from(with_shape<T>(numbers, parameter.shape()));
}

/// The reference's weight and bias.
template <class T>
std::vector<Parameter<T>> parameters_of(const Reference& file, Device device) {
  return {Parameter<T>(file["weight"].tensor<T>().to(device)), Parameter<T>(file["bias"].tensor<T>().to(device))};
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(trajectories_are_torchs) {
  using T = typename Place::T;
  const Reference file = Reference::file("optim");
  std::size_t checked = 0;
  for (const Reference run : file["optimizers"]) {
    if (run["options"].contains("dampening")) continue;
    auto parameters = parameters_of<T>(file, Place::device());
    auto optimizer = make_optimizer<T>(run, parameters);
    for (std::size_t i = 0; i < run["steps"].size(); ++i) {
      const Reference gradients = file["gradients"][i], expected = run["steps"][i];
      const std::string where = run["optimizer"].text() + " " + run["options"].where() + " step " + std::to_string(i);
      set_gradient(parameters[0], gradients["weight"]);
      set_gradient(parameters[1], gradients["bias"]);
      optimizer->step();
      check_close(parameters[0].value().to_vector(), expected["weight"].numbers(), 10 * Place::tolerance, where);
      check_close(parameters[1].value().to_vector(), expected["bias"].numbers(), 10 * Place::tolerance, where);
      ++checked;
    }
  }
  BOOST_TEST(checked >= 30u * 8);
}

HANDGRAD_TEST_EVERYWHERE(muon_is_torchs_with_its_iteration_in_full) {
  using T = typename Place::T;
  for (const Reference run : Reference::file("optim")["muon"]) {
    std::vector<Parameter<T>> parameters;
    for (const Reference matrix : run["matrices"]) parameters.emplace_back(matrix.tensor<T>().to(Place::device()));
    auto optimizer = make_optimizer<T>(run, parameters);
    for (const Reference step : run["steps"]) {
      for (std::size_t i = 0; i < parameters.size(); ++i) set_gradient(parameters[i], step["gradients"][i]);
      optimizer->step();
      for (std::size_t i = 0; i < parameters.size(); ++i)
        check_close(parameters[i].value().to_vector(), step["values"][i].numbers(), 100 * Place::tolerance,
                    step.where());
    }
  }
}

// Singular values far apart become similar: the point of Muon.
BOOST_AUTO_TEST_CASE(muon_steps_are_nearly_orthogonal) {
  Parameter<double> w(zeros<double>({2, 3}));
  Muon<double> muon({w}, {.lr = 1, .weight_decay = 0, .momentum = 0, .ns_steps = 10});
  w.accumulate(Tensor<double>{{30, 0, 0}, {0, 0.1, 0.1}}.xt());
  muon.step();
  const double* o = w.value().data();
  for (const double square : {o[0] * o[0], o[4] * o[4] + o[5] * o[5]})
    BOOST_TEST((square > 0.4 && square < 1.6), square);
  BOOST_TEST(o[1] == 0);
}

HANDGRAD_TEST_EVERYWHERE(a_moving_average_is_torchs_and_can_be_put_into_the_network) {
  using T = typename Place::T;
  for (const Reference run : Reference::file("optim")["averages"]) {
    Linear<T> net(3, 2);
    net.to(Place::device());
    ExponentialMovingAverage<T> average(net.parameters(), run["decay"].number());
    check_throws<StateError>([&] { average.swap(); }, {"first update"});
    for (const Reference step : run["steps"]) {
      net.weight.value().copy_from(step["weight"].tensor<T>());
      net.bias.value().copy_from(step["bias"].tensor<T>());
      if (average.updates() == 2) {  // as after an interruption
        const auto numbers = average.numbers();
        const auto state = average.state_dict();
        average = ExponentialMovingAverage<T>(net.parameters(), run["decay"].number());
        average.load_state_dict(numbers, state);
      }
      average.update();
      average.swap();
      for (std::size_t i = 0; i < 2; ++i)
        check_close(net.parameters()[i].value(), step["average"][i].tensor<double>(), Place::tolerance, step.where());
      check_throws<StateError>([&] { average.update(); }, {"swap()"});
      average.swap();
      check_close(net.weight.value(), step["weight"].tensor<double>(), Place::tolerance, "its own again");
    }
    Linear<T> other(2, 3);
    ExponentialMovingAverage<T> of_other(other.parameters());
    check_throws<ShapeError>([&] { of_other.load_state_dict(average.numbers(), average.state_dict()); },
                             {"moving average", "(2, 3)", "(3, 2)"});
    check_throws<ValueError>([&] { average.load_state_dict({}, {}); }, {"lacks updates"});
    check_throws<ValueError>([&] { average.load_state_dict(average.numbers(), {}); }, {"lacks 0"});
  }
}

BOOST_AUTO_TEST_CASE(muon_goes_on_bit_for_bit) {
  const Reference run = Reference::file("optim")["muon"][0];
  std::vector<Parameter<double>> parameters{run["matrices"][0].tensor<double>()}, others{zeros<double>({2, 5})};
  auto first = make_optimizer<double>(run, parameters), second = make_optimizer<double>(run, others);
  const auto step = [](Optimizer<double>& optimizer, std::vector<Parameter<double>>& w, const Reference& gradient) {
    set_gradient(w[0], gradient["gradients"][0]);
    optimizer.step();
  };
  for (std::size_t i = 0; i < 2; ++i) step(*first, parameters, run["steps"][i]);
  others[0].value().copy_from(parameters[0].value());
  second->load_state_dict(first->state_dict());
  for (std::size_t i = 2; i < 5; ++i) {
    step(*first, parameters, run["steps"][i]);
    step(*second, others, run["steps"][i]);
    BOOST_TEST((parameters[0].value() == others[0].value()));
  }
}

HANDGRAD_TEST_EVERYWHERE(clipping_is_torchs) {
  using T = typename Place::T;
  const Reference file = Reference::file("optim");
  for (const Reference c : file["clipping"]) {
    auto parameters = parameters_of<T>(file, Place::device());
    set_gradient(parameters[0], file["gradients"][0]["weight"]);
    set_gradient(parameters[1], file["gradients"][0]["bias"]);
    if (c["clip"].text() == "norm")
      check_close(std::vector{clip_grad_norm_(parameters, c["max_norm"].number(), c["norm_type"].number()).item()},
                  std::vector{c["norm"].number()}, Place::tolerance, c.where());
    else
      clip_grad_value_(parameters, c["clip_value"].number());
    for (std::size_t i = 0; i < 2; ++i)
      check_close(parameters[i].grad(), c["grads"][i].tensor<double>(), Place::tolerance, c.where());
  }
}

BOOST_AUTO_TEST_CASE(clipping_looks_at_the_gradients_that_there_are) {
  std::vector<Parameter<double>> parameters{Tensor<double>{3, 4}, Tensor<double>{1, 2}};
  BOOST_TEST(clip_grad_norm_(parameters, 1).item() == 0);
  parameters[0].accumulate(Tensor<double>{3, 4}.xt());
  BOOST_TEST(clip_grad_norm_(parameters, 10).item() == 5);
  BOOST_TEST((parameters[0].grad() == Tensor<double>{3, 4}));
  BOOST_TEST(!parameters[1].has_grad());
  parameters[1].accumulate(Tensor<double>{NAN, 1}.xt());
  BOOST_TEST(std::isnan(clip_grad_norm_(parameters, 1).item()));
  BOOST_TEST(std::isnan(clip_grad_norm_(parameters, 1, INFINITY).item()));
  check_throws<ValueError>([&] { clip_grad_norm_(parameters, -1); }, {"max_norm", "-1"});
  check_throws<ValueError>([&] { clip_grad_norm_(parameters, 1, 0.5); }, {"norm_type", "0.5"});
  check_throws<ValueError>([&] { clip_grad_value_(parameters, NAN); }, {"clip_value"});
}

BOOST_AUTO_TEST_CASE(a_parameter_without_a_gradient_is_left_alone) {
  std::vector<Parameter<double>> parameters{Tensor<double>{1}, Tensor<double>{1}};
  Adam<double> adam(parameters, {.lr = 0.5, .weight_decay = 1});
  parameters[0].accumulate(Tensor<double>{1}.xt());
  adam.step();
  BOOST_TEST(parameters[0].value().item() == 0.5, boost::test_tools::tolerance(1e-7));
  BOOST_TEST(parameters[1].value().item() == 1);
  adam.zero_grad();
  adam.step();
  BOOST_TEST(parameters[0].value().item() == 0.5, boost::test_tools::tolerance(1e-7));
}

BOOST_AUTO_TEST_CASE(no_decay_on_biases_and_norms_makes_two_groups) {
  Sequential net{Linear(2, 3), BatchNorm1d(3), Linear(3, 1)};
  AdamW<float> adamw(no_decay_on_biases_and_norms(net, AdamWOptions{.lr = 0.1, .weight_decay = 0.5}));
  BOOST_TEST(adamw.groups() == 2u);
  BOOST_TEST(adamw.options(0).weight_decay == 0.5);
  BOOST_TEST(adamw.options(1).weight_decay == 0);
  BOOST_TEST(adamw.parameters().size() == 6u);
  BOOST_TEST(adamw.parameters()[1].same_as(net.parameters()[4]));
  adamw.set_lr(0.2);
  BOOST_TEST(adamw.lr(1) == 0.2);
  adamw.set_lr(0.3, 1);
  BOOST_TEST(adamw.lr() == 0.2);
}

BOOST_AUTO_TEST_CASE(a_state_goes_on_bit_for_bit) {
  for (const Reference run : Reference::file("optim")["optimizers"]) {
    if (run["options"].contains("dampening") || run.contains("bias_options")) continue;
    manual_seed(2);
    Sequential<double> net{Linear<double>(3, 7), Linear<double>(7, 2)},
        other{Linear<double>(3, 7), Linear<double>(7, 2)};
    const Tensor<double> x = randn<double>({5, 3}), y = randn<double>({5, 2});
    MSELoss<double> loss;
    const auto steps = [&](Sequential<double>& f, Optimizer<double>& optimizer, int n) {
      for (int i = 0; i < n; ++i) {
        loss.forward(f.forward(x), y);
        optimizer.zero_grad();
        f.backward(loss.backward());
        optimizer.step();
      }
    };
    auto first = make_optimizer<double>(run, net.parameters());
    steps(net, *first, 3);
    first->set_lr(first->lr() / 3);
    other.load_state_dict(net.state_dict());
    auto second = make_optimizer<double>(run, other.parameters());
    second->load_state_dict(first->state_dict());
    steps(net, *first, 3);
    steps(other, *second, 3);
    for (std::size_t i = 0; i < 4; ++i)
      BOOST_TEST((net.parameters()[i].value() == other.parameters()[i].value()), run.where());
  }
}

BOOST_AUTO_TEST_CASE(a_state_that_does_not_fit_is_refused_and_nothing_changes) {
  Parameter<double> a(Tensor<double>{1, 2}), b(Tensor<double>{{1, 2}});
  SGD<double> sgd({a}, {.lr = 0.5, .momentum = 0.9});
  Adam<double> adam({a}), wider({b});
  a.accumulate(Tensor<double>{1, 1}.xt());
  b.accumulate(Tensor<double>{{1, 1}}.xt());
  sgd.step();
  wider.step();
  const auto before = sgd.state_dict();
  check_throws<ValueError>([&] { adam.load_state_dict(sgd.state_dict()); }, {"exp_avg"});
  check_throws<ShapeError>([&] { adam.load_state_dict(wider.state_dict()); }, {"exp_avg", "(1, 2)", "(2,)"});
  check_throws<ValueError>([&] { sgd.load_state_dict({}); }, {"lacks"});
  auto more = before;
  more.numbers.emplace_back("7.step", 1);
  check_throws<ValueError>([&] { sgd.load_state_dict(more); }, {"another optimizer"});
  for (const double wrong : {double(NAN), 1e300, -1.0, 0.5}) {
    auto damaged = before;
    for (auto& [name, number] : damaged.numbers)
      if (name == "0.step") number = wrong;
    check_throws<ValueError>([&] { sgd.load_state_dict(damaged); }, {"0.step", "whole number"});
  }
  auto damaged = before;
  for (auto& [name, number] : damaged.numbers)
    if (name == "groups.0.lr") number = NAN;
  check_throws<ValueError>([&] { sgd.load_state_dict(damaged); }, {"lr", "nan"});
  BOOST_TEST(sgd.lr() == 0.5);
  BOOST_TEST((sgd.state_dict().tensors[0].second == before.tensors[0].second));
}

// With a constant gradient v − a² tends to 0, and rounding may take it below.
HANDGRAD_TEST_EVERYWHERE(centered_rmsprop_stays_finite) {
  using T = typename Place::T;
  for (const double momentum : {0.0, 0.9})
    for (const double g : {2.3, 1e-3, 777.7}) {
      std::vector<Parameter<T>> w{full<T>({5}, T(1), Place::device())};
      RMSprop<T> rmsprop(w, {.lr = 1e-12, .alpha = 0.9, .momentum = momentum, .centered = true});
      for (int step = 0; step < 1000; ++step) {
        w[0].zero_grad();
        w[0].accumulate().first.fill(static_cast<T>(g));
        rmsprop.step();
      }
      for (const T v : w[0].value().to_vector()) BOOST_TEST(std::isfinite(v), "gradient " << g);
    }
}

BOOST_AUTO_TEST_CASE(options_that_cannot_be_meant_are_refused) {
  const std::vector<Parameter<float>> w{Tensor<float>{1}};
  check_throws<ValueError>([&] { SGD<float>(w, {.lr = -1}); }, {"SGD", "lr", "-1"});
  check_throws<ValueError>([&] { SGD<float>(w, {.lr = NAN}); }, {"SGD", "lr"});
  check_throws<ValueError>([&] { SGD<float>(w, {.nesterov = true}); }, {"nesterov", "momentum"});
  check_throws<ValueError>([&] { Adam<float>(w, {.betas = {0.9, 1}}); }, {"Adam", "betas[1]", "[0, 1.0)"});
  check_throws<ValueError>([&] { AdamW<float>(w, {.weight_decay = -1}); }, {"AdamW", "weight_decay"});
  check_throws<ValueError>([&] { RMSprop<float>(w, {.alpha = 1}); }, {"RMSprop", "alpha"});
  check_throws<ValueError>([&] { Adagrad<float>(w, {.lr_decay = -1}); }, {"Adagrad", "lr_decay"});
  check_throws<ValueError>([&] { Adadelta<float>(w, {.rho = 1}); }, {"Adadelta", "rho"});
  check_throws<ValueError>([&] { NAdam<float>(w, {.betas = {1, 0.9}}); }, {"NAdam", "betas[0]"});
  check_throws<ValueError>([&] { Lion<float>(w, {.weight_decay = NAN}); }, {"Lion", "weight_decay"});
  check_throws<ValueError>([&] { Muon<float>{w}; }, {"Muon", "matrices", "(1,)", "AdamW"});
  const std::vector<Parameter<float>> matrix{Tensor<float>{{1}}};
  check_throws<ValueError>([&] { Muon<float>(matrix, {.momentum = 1}); }, {"Muon", "momentum"});
  check_throws<ValueError>([&] { Muon<float>(matrix, {.ns_steps = 100}); }, {"Muon", "ns_steps"});
  check_throws<ValueError>([&] { ExponentialMovingAverage<float>(w, 1.5); }, {"decay", "1.5"});
  check_throws<ValueError>([&] { SGD<float>(std::vector<Parameter<float>>{}); }, {"without parameters"});
  check_throws<ValueError>([&] { SGD<float>({w[0], w[0]}); }, {"twice"});
  SGD<float> sgd(w);
  check_throws<ValueError>([&] { sgd.set_lr(0.1, 1); }, {"SGD", "group 1 of 1"});
  check_throws<ValueError>([&] { sgd.lr(7); }, {"group 7"});
}

// More tensors than one launch takes on a GPU, of unequal sizes.
HANDGRAD_TEST_EVERYWHERE(clipping_many_gradients_together) {
  using T = typename Place::T;
  std::vector<Parameter<T>> parameters;
  double squares = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    const std::size_t n = 1 + i % 7;
    const double g = static_cast<double>(i % 13) - 6;
    parameters.emplace_back(zeros<T>({n}, Place::device()));
    parameters.back().accumulate().first.fill(static_cast<T>(g));
    squares += static_cast<double>(n) * g * g;
  }
  const Tensor<T> norm = clip_grad_norm_<T>(parameters, 1, 2);
  check_close(norm.to_vector(), std::vector<double>{std::sqrt(squares)}, Place::tolerance, "norm");
  const double factor = 1 / (std::sqrt(squares) + 1e-6);  // as in torch
  for (const std::size_t i : {0, 1, 179, 180, 250, 359, 360, 499})
    for (const T g : parameters[i].grad().to_vector())
      BOOST_TEST(std::abs(g - factor * (static_cast<double>(i % 13) - 6)) < Place::tolerance, "gradient " << i);
  clip_grad_value_<T>(parameters, 0.01);
  for (const std::size_t i : {0, 12, 193, 480})
    for (const T g : parameters[i].grad().to_vector()) BOOST_TEST(std::abs(g) == T(0.01), "gradient " << i);
}

HANDGRAD_TEST_CUDA(parameters_on_two_devices) {
  using T = typename Place::T;
  Parameter<T> here(Tensor<T>{1, 2}), there(Tensor<T>{3, 4}), here_too(Tensor<T>{5});
  there.to(Device::cuda());
  for (Parameter<T>* p : {&here, &there, &here_too}) p->accumulate().first.fill(T(1));
  SGD<T> sgd({here, there, here_too}, {.lr = 1});
  sgd.step();
  BOOST_TEST((here.value() == Tensor<T>{0, 1}));
  BOOST_TEST((there.value().cpu() == Tensor<T>{2, 3}));
  BOOST_TEST((here_too.value() == Tensor<T>{4}));
  check_throws<DeviceError>([&] { clip_grad_norm_<T>({here, there}, 1, 2); }, {"clip_grad_norm_", "cpu", "cuda:0"});
  check_throws<DeviceError>([&] { clip_grad_value_<T>({there, here}, 1); }, {"clip_grad_value_", "cuda:0"});
}
