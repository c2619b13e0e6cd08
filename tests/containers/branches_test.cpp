// Containers that branch, repeat and share: against PyTorch (tests/reference/subject_containers.py) and differences;
// names, errors and recordings; a network with two heads, and two networks in turn.
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/handgrad.hpp"
#include "handgrad/trace/recorder.hpp"
#include "support/check.hpp"
#include "support/formulas.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

template <class T, class L>
std::shared_ptr<Layer<T>> made(L&& layer) {
  return std::make_shared<std::remove_cvref_t<L>>(std::move(layer));
}

/// The networks of the reference file.
template <class T>
std::shared_ptr<Layer<T>> network(const std::string& name) {
  using Linear = handgrad::Linear<T>;
  using Tanh = handgrad::Tanh<T>;
  const auto block = [] { return Sequential{Linear(4, 4), Tanh()}; };
  if (name == "residual") return made<T>(Residual{Linear(5, 7), Tanh(), Linear(7, 5)});
  if (name == "shortcut") return made<T>(Residual{Linear(5, 7), Tanh()}.shortcut(Linear(5, 7, false)));
  if (name == "concat") return made<T>(Concat{Linear(5, 3), Sequential{Linear(5, 4), Tanh()}, Identity<T>()});
  if (name == "concat_last") return made<T>(Concat{Linear(5, 3), Linear(5, 2)}.dim(-1));
  if (name == "concat_rows") return made<T>(Concat{Linear(5, 3), Linear(5, 3)});
  if (name == "split") return made<T>(Split({2, 3}, Linear(2, 4), Sequential{Linear(3, 1), Sigmoid<T>()}));
  if (name == "split_rows") return made<T>(Split({1, 2}, Linear(5, 3), Sequential{Linear(5, 3), Tanh()}).dim(-2));
  if (name == "nested")
    return made<T>(Sequential{Linear(3, 6), Residual{Concat{Linear(6, 2), Sequential{Linear(6, 4), Tanh()}}, Tanh()},
                              Split({2, 4}, Identity<T>(), Residual{Linear(4, 4)}),
                              Residual{Tanh()}.shortcut(Linear(6, 6)), Linear(6, 2)});
  if (name == "repeat") return made<T>(Repeat(3, block));
  if (name == "shared") return made<T>(Repeat(3, block).shared());
  if (name == "flatten") return made<T>(Sequential{Flatten<T>(), Linear(6, 4), Unflatten<T>(1, {2, 2}), Linear(2, 3)});
  if (name == "flatten_middle") return made<T>(Sequential{Unflatten<T>(-1, {2, 3}), Flatten<T>(0, -2), Linear(3, 2)});
  if (name == "tied") {
    auto net = std::make_shared<Sequential<T>>(Linear(4, 4), Tanh(), Linear(4, 4), Tanh(), Linear(4, 4));
    auto& first = dynamic_cast<Linear&>((*net)[0]);
    auto& second = dynamic_cast<Linear&>((*net)[2]);
    auto& third = dynamic_cast<Linear&>((*net)[4]);
    tie(second.weight, first.weight);
    tie(third.weight, first.weight);
    tie(third.bias, second.bias);
    return net;
  }
  throw std::runtime_error("no network " + name);
}

template <class T>
std::vector<NamedTensor<T>> state_of(const Reference& state, Device device = Device::cpu()) {
  std::vector<NamedTensor<T>> tensors;
  for (const std::string& name : state.keys()) tensors.emplace_back(name, state[name.c_str()].tensor<T>().to(device));
  return tensors;
}

template <class T>
void check_state(const Layer<T>& net, const Reference& state, double tolerance) {
  for (const auto& [name, tensor] : net.state_dict())
    check_close(tensor, state[name.c_str()].template tensor<double>(), tolerance, name);
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(they_agree_with_pytorch) {
  using T = typename Place::T;
  for (const Reference& c : Reference::file("containers")["cases"]) {
    const std::string name = c["name"].text();
    const auto net = network<T>(name);
    net->to(Place::device());
    // Strictly: the names are PyTorch's, tied ones included twice.
    net->load_state_dict(state_of<T>(c["state"], Place::device()));
    for (const bool wanted : {true, false}) {
      net->requires_input_grad(wanted);
      for (const Reference& step : c["steps"]) {
        net->zero_grad();
        const Tensor<T> x = step["x"].tensor<T>().to(Place::device()), dy = step["dy"].tensor<T>().to(Place::device());
        check_close(net->forward(x), step["y"].tensor<double>(), Place::tolerance, name + ": y");
        const Tensor<T> dx = net->backward(dy);
        BOOST_TEST(dx.defined() == wanted, name);
        if (wanted) check_close(dx, step["dx"].tensor<double>(), Place::tolerance, name + ": dx");
        BOOST_TEST(net->named_parameters().size() == step["grads"].size(), name);
        for (const auto& [parameter_name, parameter] : net->named_parameters())
          check_close(parameter.grad(), step["grads"][parameter_name.c_str()].template tensor<double>(),
                      Place::tolerance, name + ": " + parameter_name);
        // A second backward adds the same again.
        net->backward(dy);
        for (const auto& [parameter_name, parameter] : net->named_parameters()) {
          std::vector<T> half = parameter.grad().to_vector();
          for (T& g : half) g /= 2;
          check_close(half, step["grads"][parameter_name.c_str()]["data"].numbers(), Place::tolerance,
                      name + ": " + parameter_name + " twice");
        }
      }
    }
  }
}

HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(backwards_are_the_derivatives_of_forwards) {
  manual_seed(3);
  for (const Reference& c : Reference::file("containers")["cases"]) {
    const auto net = network<double>(c["name"].text());
    net->to(Place::device());
    for (const Reference& step : c["steps"]) {
      const GradientReport report = check_gradients(*net, step["x"].tensor<double>().to(Place::device()));
      BOOST_TEST(report.passed(), c["name"].text() << "\n" << report);
    }
  }
}

BOOST_AUTO_TEST_CASE(one_optimizer_step_moves_a_tied_parameter_once) {
  const auto net = network<double>("tied");
  BOOST_TEST(net->parameter_count() == 4u * 4 + 4 + 4);
  BOOST_TEST(net->parameters().size() == 3u);
  SGD<double> sgd(net->parameters(), {.lr = 1});
  const auto before = net->state_dict();
  net->forward(ones<double>({1, 4}));
  net->zero_grad();
  net->backward(ones<double>({1, 4}));
  const Tensor<double> gradient = net->parameters()[0].grad().clone();
  sgd.step();
  const auto after = net->state_dict();
  BOOST_TEST_REQUIRE(after.size() == 6u);
  for (const std::size_t weight : {0u, 2u, 4u}) {
    BOOST_TEST((after[weight].second == after[0].second));
    check_close(Tensor<double>(before[weight].second.xt() - gradient.xt()), after[weight].second, 1e-15, "W");
  }
  net->to(Device::cpu());
  BOOST_TEST(net->parameters().size() == 3u);
  Linear a(2, 3), b(3, 2), c(2, 3);
  check_throws<ShapeError>([&] { tie(a.weight, b.weight); }, {"tie", "(3, 2)", "(2, 3)"});
  Sequential d{Linear(2, 3)};
  check_throws<ValueError>([&] { tie<float>(d, c); }, {"tie", "0.weight, 0.bias", "weight, bias"});
  tie<float>(c, a);
  a.weight = ones<float>({3, 2});
  BOOST_TEST((c.weight.value() == ones<float>({3, 2})));
}

BOOST_AUTO_TEST_CASE(a_shared_weight_is_ready_after_its_last_use) {
  struct Heard : GradientListener<double> {
    void ready(Parameter<double>& parameter) override {
      shapes += parameter.shape().str() + " ";
      if (parameter.shape().rank() == 2) weight = parameter.grad().clone();
    }
    std::string shapes;
    Tensor<double> weight;
  };
  manual_seed(3);
  Sequential net{Residual{Repeat(3,
                                 [] {
                                   return Sequential{Linear<double>(4, 4), Tanh<double>()};
                                 })
                              .shared()},
                 Concat{Linear<double>(4, 1), Linear<double>(4, 2)}};
  net.forward(randn<double>({5, 4}));
  Heard heard;
  net.backward(randn<double>({5, 3}));
  BOOST_TEST(heard.shapes == "(1, 4) (1,) (2, 4) (2,) (4, 4) (4,) ");
  BOOST_TEST((heard.weight == net.parameters()[0].grad()));
}

BOOST_AUTO_TEST_CASE(branches_on_indices_have_no_input_gradient) {
  struct Numbers : Identity<double> {
    bool differentiable_input() const override { return false; }
  };
  Sequential<double> net;
  auto concat = std::make_shared<Concat<double>>();
  concat->push_back(std::make_shared<Numbers>());
  concat->push_back(std::make_shared<Linear<double>>(2, 1));
  net.push_back(concat);
  net.push_back(std::make_shared<Linear<double>>(3, 1));
  BOOST_TEST(!net.differentiable_input());
  net.requires_input_grad(true);
  net.forward(randn<double>({5, 2}));
  BOOST_TEST(!net.backward(randn<double>({5, 1})).defined());
  BOOST_TEST(net.parameters()[0].has_grad());
}

BOOST_AUTO_TEST_CASE(errors_name_the_branch) {
  const auto x = ones<float>({2, 5});
  Residual uneven{Linear(5, 7)};
  check_throws<ShapeError>([&] { uneven.forward(x); }, {"Residual: f(x) has shape (2, 7), x (2, 5)", "shortcut"});
  check_throws<StateError>([&] { uneven.backward(x); }, {"before any forward"});
  auto crooked = Residual{Linear(5, 7)}.shortcut(Linear(5, 6));
  check_throws<ShapeError>([&] { crooked.forward(x); }, {"(2, 7)", "the shortcut's output (2, 6)"});
  check_throws<ValueError>([&] { std::move(crooked).shortcut(Linear(5, 7)); }, {"there is a shortcut already"});
  Sequential nested{Linear(5, 4), Concat{Linear(4, 1), Sequential{Tanh(), Linear(3, 2)}}};
  check_throws<ShapeError>([&] { nested.forward(x); },
                           {"Sequential[1]", "branch 1", "Sequential[1]", "4 columns", "3 expected"});
  Concat rows{Linear(5, 3), Linear(5, 4), Linear(5, 3)};
  check_throws<ShapeError>(
      [&] {
        rows.forward(ones<float>({2, 2, 5}));
      },
      {"output of branch 1 has shape (2, 2, 4)", "branch 0 (2, 2, 3)", "dimension 1"});
  check_throws<ShapeError>([&] { Concat{Linear(5, 3)}.dim(2).forward(x); }, {"dimension 2", "(2, 3)"});
  Split parts({2, 2}, Linear(2, 1), Linear(2, 1));
  check_throws<ShapeError>([&] { parts.forward(x); }, {"Split", "4 together", "5 in dimension 1"});
  Split wrong({2, 3}, Linear(2, 1), Linear(2, 1));
  check_throws<ShapeError>([&] { wrong.forward(x); }, {"branch 1, Linear(2 → 1)", "3 columns"});
  check_throws<ValueError>([] { Split({2}, Linear(2, 1), Linear(2, 1)); }, {"1 sizes for 2 branches"});
  check_throws<ValueError>([] { Split({2, 0}, Linear(2, 1), Linear(2, 1)); }, {"size 0 of branch 1"});
  check_throws<ValueError>([&] { parts[2]; }, {"Split[2]", "2 branches"});
  check_throws<ValueError>([&] { rows[3]; }, {"Concat[3]", "3 branches"});
  check_throws<ShapeError>([&] { Flatten(1, 3).forward(x); }, {"Flatten", "dimension 3", "(2, 5)"});
  check_throws<ShapeError>([&] { Flatten(1, 0).forward(x); }, {"start_dim 1", "after end_dim 0"});
  check_throws<ShapeError>([&] { Unflatten(1, {2, 3}).forward(x); }, {"Unflatten", "5 in dimension 1", "6 expected"});
  check_throws<ValueError>([] { Unflatten(1, {}); }, {"at least one size"});
  const auto twice = std::make_shared<Linear<float>>(5, 5);
  Concat<float> same;
  same.push_back(twice);
  check_throws<ValueError>([&] { same.push_back(twice); }, {"the same Linear(5 → 5) twice"});
  check_throws<ShapeError>(
      [] {
        Concat<float>().forward(ones<float>({2, 5}));
      },
      {"Concat", "nothing to put side by side"});
}

BOOST_AUTO_TEST_CASE(tensors_are_put_side_by_side_and_taken_apart) {
  const Tensor<float> a{{1, 2}, {3, 4}}, b{{5}, {6}};
  BOOST_TEST((cat<float>({a, b}, 1) == Tensor<float>{{1, 2, 5}, {3, 4, 6}}));
  BOOST_TEST((cat<float>({a, a}) == Tensor<float>{{1, 2}, {3, 4}, {1, 2}, {3, 4}}));
  const auto parts = split(cat<float>({a, b}, -1), {2, 1}, -1);
  BOOST_TEST_REQUIRE(parts.size() == 2u);
  BOOST_TEST((parts[0] == a));
  BOOST_TEST((parts[1] == b));
  check_throws<ShapeError>([&] { cat<float>({a, b}); }, {"cat: tensor 1 has shape (2, 1)", "(2, 2)", "dimension 0"});
  check_throws<ShapeError>([&] { cat<float>({}); }, {"cat: nothing to put side by side"});
  check_throws<ShapeError>([&] { split(a, {1, 2}, 1); }, {"split: the sizes add up to 3", "dimension 1", "(2, 2)"});
}

BOOST_AUTO_TEST_CASE(they_print_as_modules_do) {
  std::ostringstream out;
  out << Sequential{Residual{Linear(4, 4), Tanh()}.shortcut(Linear(4, 4, false)),
                    Split({1, 3}, Identity(), Linear(3, 2)), Concat{Linear(3, 1), Linear(3, 1)}, Unflatten(1, {1, 2}),
                    Flatten()};
  BOOST_TEST(out.str() ==
             "Sequential(\n"
             "  (0): Residual(\n"
             "    (f): Sequential(\n"
             "      (0): Linear(in_features=4, out_features=4, bias=True)\n"
             "      (1): Tanh()\n"
             "    )\n"
             "    (shortcut): Linear(in_features=4, out_features=4, bias=False)\n"
             "  )\n"
             "  (1): Split([1, 3]\n"
             "    (0): Identity()\n"
             "    (1): Linear(in_features=3, out_features=2, bias=True)\n"
             "  )\n"
             "  (2): Concat(\n"
             "    (0): Linear(in_features=3, out_features=1, bias=True)\n"
             "    (1): Linear(in_features=3, out_features=1, bias=True)\n"
             "  )\n"
             "  (3): Unflatten(dim=1, unflattened_size=(1, 2))\n"
             "  (4): Flatten(start_dim=1, end_dim=-1)\n"
             ")\n52 parameters");
}

// Shows where gradients are added: the sum reads the very values that the branches wrote.
BOOST_AUTO_TEST_CASE(a_recorded_step_shows_the_branches) {
  manual_seed(4);
  Sequential<double> net{Linear<double>(3, 4), Residual{Linear<double>(4, 4), Tanh<double>()},
                         Concat{Linear<double>(4, 1), Linear<double>(4, 2)}};
  net.requires_input_grad(true);
  const auto x = randn<double>({2, 3}), dy = randn<double>({2, 3});
  trace::Recorder recorder;
  net.forward(x);
  net.backward(dy);
  const trace::Trace step = recorder.stop();
  handgrad::test::check_formulas(step);
  std::map<std::string, const trace::Assignment*> found;
  for (const auto& a : step.assignments)
    if (a.label == "Residual" || a.label == "Concat") found[a.layer + " " + a.target + " = " + a.formula] = &a;
  BOOST_TEST(found.size() == 4u);
  const auto from = [&](const std::string& assignment, const std::string& symbol) -> std::string {
    const auto a = found.find(assignment);
    if (a == found.end()) return "there is no " + assignment;
    for (const auto& [name, value] : a->second->inputs)
      if (name == symbol)
        return step.values[value].from ? step.assignments[*step.values[value].from].layer + " " +
                                             step.assignments[*step.values[value].from].target
                                       : "nothing";
    return "no input " + symbol;
  };
  BOOST_TEST(from("1 y = x + f", "f") == "1.f.1 y");
  BOOST_TEST(from("1 y = x + f", "x") == "0 y");
  BOOST_TEST(from("1 dx = δ + df", "df") == "1.f.0 dx");
  BOOST_TEST(from("1 dx = δ + df", "δ") == "2 dx");
  BOOST_TEST(from("2 y = [y1, y2]", "y2") == "2.1 y");
  BOOST_TEST(from("2 dx = dx1 + dx2", "dx2") == "2.1 dx");
}

// A second step of the same shape creates no new buffer.
BOOST_AUTO_TEST_CASE(steps_use_the_same_memory) {
  Sequential<float> net{Linear(3, 4), Residual{Linear(4, 4), Tanh()}, Split({1, 3}, Identity(), Linear(3, 3)),
                        Concat{Linear(4, 1), Linear(4, 2)}, Tanh()};
  const auto x = ones<float>({5, 3}), dy = ones<float>({5, 3});
  std::set<const void*> outputs;
  for (int step = 0; step < 12; ++step) {
    outputs.insert(net.forward(x).data());
    net.backward(dy);
  }
  BOOST_TEST(outputs.size() <= 2u);
}

// A trunk with a regression head and a classification head.
BOOST_AUTO_TEST_CASE(two_heads_and_two_losses_train_as_in_pytorch) {
  const Reference reference = Reference::file("containers")["two_heads"][0];
  using T = double;
  Sequential<T> net{Linear<T>(3, 6), Tanh<T>(), Residual{Linear<T>(6, 6), Tanh<T>()},
                    Concat{Linear<T>(6, 1), Linear<T>(6, 4)}};
  net.load_state_dict(state_of<T>(reference["before"]));
  const auto x = reference["x"].tensor<T>(), t = reference["t"].tensor<T>(), c = reference["c"].tensor<T>();
  MSELoss<T> mse;
  CrossEntropyLoss<T> ce;
  SGD<T> sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  for (const Reference& losses : reference["losses"]) {
    const auto heads = split(net.forward(x), {1, 4}, 1);
    check_close(std::vector<double>{mse.forward(heads[0], t).item(), ce.forward(heads[1], c).item()}, losses.numbers(),
                1e-12, "losses");
    sgd.zero_grad();
    net.backward(cat<T>({mse.backward(), ce.backward()}, 1));
    sgd.step();
  }
  check_state(net, reference["after"], 1e-12);
}

// README's program, "Branches".
BOOST_AUTO_TEST_CASE(the_newcomers_program_learns) {
  manual_seed(0);
  Tensor<float> x = randn({64, 8}), t = split(x, {1, 7}, 1)[0], c = full<float>({64}, 0);
  for (std::size_t i = 0; i < 64; ++i) c.data()[i] = t.data()[i] > 0 ? 2 : 0;
  Sequential net{Linear(8, 16), ReLU(), Residual{Linear(16, 16), ReLU(), Linear(16, 16)},
                 Concat{Linear(16, 1), Linear(16, 3)}};
  MSELoss number;
  CrossEntropyLoss kind;
  Adam adam(net.parameters());
  std::vector<float> losses;
  for (int step = 0; step < 200; ++step) {
    const auto heads = split(net.forward(x), {1, 3}, 1);
    const float mse = number.forward(heads[0], t).item(), ce = kind.forward(heads[1], c).item();
    adam.zero_grad();
    net.backward(cat<float>({number.backward(), kind.backward()}, 1));
    adam.step();
    losses.push_back(mse + ce);
  }
  BOOST_TEST(losses.back() < 0.1 * losses.front());
}

BOOST_AUTO_TEST_CASE(two_networks_in_turn_train_as_in_pytorch) {
  const Reference reference = Reference::file("containers")["gan"][0];
  using T = double;
  Sequential<T> g{Linear<T>(2, 5), Tanh<T>(), Linear<T>(5, 3)}, d{Linear<T>(3, 6), LeakyReLU<T>(0.2), Linear<T>(6, 1)};
  g.load_state_dict(state_of<T>(reference["before"]["g"]));
  d.load_state_dict(state_of<T>(reference["before"]["d"]));
  d.requires_input_grad(true);  // for the generator's δ, which passes through it
  Adam<T> for_g(g.parameters(), {.lr = 0.02}), for_d(d.parameters(), {.lr = 0.05});
  BCEWithLogitsLoss<T> bce;
  const auto real_label = ones<T>({5, 1}), fake_label = zeros<T>({5, 1});
  for (const Reference& turn : reference["turns"]) {
    const auto z = turn["z"].tensor<T>();
    // The discriminator: two batches whose gradients add.
    for_d.zero_grad();
    double loss = bce.forward(d.forward(turn["real"].tensor<T>()), real_label).item();
    d.backward(bce.backward());
    loss += bce.forward(d.forward(g.forward(z)), fake_label).item();
    d.backward(bce.backward());
    for_d.step();
    BOOST_TEST(handgrad::test::distance(loss, turn["d"].number()) < 1e-12);
    // The generator, through the discriminator, whose own gradients are not used here.
    for_g.zero_grad();
    loss = bce.forward(d.forward(g.forward(z)), real_label).item();
    g.backward(d.backward(bce.backward()));
    for_g.step();
    BOOST_TEST(handgrad::test::distance(loss, turn["g"].number()) < 1e-12);
  }
  check_state(g, reference["after"]["g"], 1e-11);
  check_state(d, reference["after"]["d"], 1e-11);
}
