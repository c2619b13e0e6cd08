// What a recording holds: phases in order, the origin of each value, fresh and accumulated gradients, users' layers;
// and that recording does not change a step.
#include "handgrad/trace/recorder.hpp"

#include <nlohmann/json.hpp>

#include "handgrad/handgrad.hpp"
#include "support/check.hpp"
#include "support/formulas.hpp"

using namespace handgrad;
using handgrad::test::check_formulas;
using handgrad::test::check_throws;
using trace::Assignment;
using trace::Phase;
using trace::Trace;

namespace {

const Tensor<float> x{{0, 0}, {0, 1}, {1, 0}, {1, 1}}, y{{0}, {1}, {1}, {0}};

struct XOR {
  Sequential<float> net;
  BCEWithLogitsLoss<float> loss;
  SGD<float> sgd;
  XOR() : net((manual_seed(0), Sequential{Linear(2, 3), Sequential{Tanh(), Linear(3, 1)}})), sgd(net.parameters()) {}
  float step() {
    const float value = loss.forward(net.forward(x), y).item();
    sgd.zero_grad();
    net.backward(loss.backward());
    sgd.step();
    return value;
  }
};

Trace recorded_step(XOR& model) {
  trace::Recorder recorder;
  model.step();
  return recorder.stop();
}

/// "0 y", "1.1 dW": the assignments in brief.
std::string names(const Trace& trace) {
  std::string all;
  for (const Assignment& a : trace.assignments) all += (all.empty() ? "" : ", ") + a.layer + " " + a.target;
  return all;
}

std::size_t find(const Trace& trace, Phase phase, const std::string& layer, const std::string& target) {
  for (std::size_t i = 0; i < trace.assignments.size(); ++i)
    if (const auto& a = trace.assignments[i]; a.phase == phase && a.layer == layer && a.target == target) return i;
  BOOST_FAIL("no " << layer << " " << target << " in " << names(trace));
  return 0;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_step_is_its_assignments_in_order) {
  XOR model;
  const Trace trace = recorded_step(model);
  BOOST_TEST(names(trace) ==
             "0 y, 1.0 y, 1.1 y, loss p, loss s, loss ℓ, loss L, loss dz, 1.1 dW, 1.1 db, 1.1 dx, 1.0 dz, 0 dW, 0 db, "
             "0 W, 0 b, 1.1 W, 1.1 b");
  BOOST_TEST(check_formulas(trace) > 40u);
  for (const Assignment& a : trace.assignments)
    BOOST_TEST(a.by_library == !(a.phase == Phase::Loss && a.target != "L"), a.target);
}

BOOST_AUTO_TEST_CASE(each_value_knows_where_it_came_from) {
  XOR model;
  const Trace trace = recorded_step(model);
  const auto y0 = find(trace, Phase::Forward, "0", "y"), y1 = find(trace, Phase::Forward, "1.0", "y"),
             y2 = find(trace, Phase::Forward, "1.1", "y"), p = find(trace, Phase::Loss, "loss", "p"),
             dz = find(trace, Phase::Backward, "loss", "dz"), dW2 = find(trace, Phase::Backward, "1.1", "dW"),
             dx2 = find(trace, Phase::Backward, "1.1", "dx"), dz1 = find(trace, Phase::Backward, "1.0", "dz"),
             dW0 = find(trace, Phase::Backward, "0", "dW"), W0 = find(trace, Phase::Update, "0", "W");
  using List = std::vector<std::size_t>;
  BOOST_TEST(trace.uses(y0) == List{}, boost::test_tools::per_element());
  BOOST_TEST(trace.uses(y1) == List{y0}, boost::test_tools::per_element());
  BOOST_TEST(trace.uses(y2) == List{y1}, boost::test_tools::per_element());
  BOOST_TEST(trace.uses(dz) == List{p}, boost::test_tools::per_element());
  BOOST_TEST(trace.uses(dW2) == (List{y1, dz}), boost::test_tools::per_element());
  BOOST_TEST(trace.uses(dz1) == (List{y1, dx2}), boost::test_tools::per_element());
  BOOST_TEST(trace.uses(dW0) == List{dz1}, boost::test_tools::per_element());
  BOOST_TEST(trace.uses(W0) == List{dW0}, boost::test_tools::per_element());
  BOOST_TEST(trace.used_by(y1) == (List{y2, dW2, dz1}), boost::test_tools::per_element());

  const Trace next = recorded_step(model);  // begins with the previous step's weights
  const auto weight = [](const Trace& t, std::size_t i) { return t.symbols(i).at("W")->numbers; };
  BOOST_TEST(weight(next, find(next, Phase::Forward, "0", "y")) == trace.result(W0).numbers,
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_gradient_is_fresh_or_accumulated) {
  Linear<double> layer(Tensor<double>{{2, 3}}, Tensor<double>{1});
  trace::Recorder recorder;
  for (int i = 0; i < 2; ++i) {
    layer.forward({{1, 2}, {3, 4}});
    layer.backward({{1}, {10}});
  }
  layer.zero_grad();
  layer.backward({{1}, {1}});
  const Trace trace = recorder.stop();
  std::vector<const Assignment*> gradients;
  for (const Assignment& a : trace.assignments)
    if (a.target == "dW") gradients.push_back(&a);
  BOOST_REQUIRE(gradients.size() == 3u);
  BOOST_TEST((gradients[0]->gradient == Assignment::Gradient::Fresh));
  BOOST_TEST((gradients[1]->gradient == Assignment::Gradient::Accumulated));
  BOOST_TEST((gradients[2]->gradient == Assignment::Gradient::Fresh));
  BOOST_TEST(gradients[1]->formula == "dW_old + δᵀ·x");
  BOOST_TEST(trace.values[gradients[0]->value].array.numbers == (std::vector<double>{31, 42}),
             boost::test_tools::per_element());
  BOOST_TEST(trace.values[gradients[1]->value].array.numbers == (std::vector<double>{62, 84}),
             boost::test_tools::per_element());
  const auto second = std::size_t(gradients[1] - trace.assignments.data());
  const auto first = std::size_t(gradients[0] - trace.assignments.data());
  const auto uses = trace.uses(second);
  BOOST_TEST((std::find(uses.begin(), uses.end(), first) != uses.end()));
  check_formulas(trace);
}

BOOST_AUTO_TEST_CASE(a_penalty_is_part_of_the_step) {
  XOR model;
  L2Penalty<float> penalty({model.net.parameters()[0], model.net.parameters()[2]}, 0.1);
  trace::Recorder recorder;
  model.loss.forward(model.net.forward(x), y);
  penalty.forward();
  model.net.zero_grad();
  model.net.backward(model.loss.backward());
  penalty.backward();
  model.sgd.step();
  const Trace trace = recorder.stop();
  BOOST_TEST(names(trace) ==
             "0 y, 1.0 y, 1.1 y, loss p, loss s, loss ℓ, loss L, penalty s1, penalty s2, penalty P, loss dz, 1.1 dW, "
             "1.1 db, 1.1 dx, 1.0 dz, 0 dW, 0 db, 0 dW, 1.1 dW, 0 W, 0 b, 1.1 W, 1.1 b");
  check_formulas(trace);
  const std::size_t added = 17;  // 0 dW of the penalty, added to 0 dW of the layer; read by the update of 0 W
  BOOST_TEST((trace.assignments[added].gradient == Assignment::Gradient::Accumulated));
  BOOST_TEST(trace.uses(added) == std::vector<std::size_t>{15}, boost::test_tools::per_element());
  BOOST_TEST(trace.uses(19) == std::vector<std::size_t>{added}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_step_computes_the_same_with_a_recorder_and_without) {
  XOR plain, traced;
  for (int i = 0; i < 5; ++i) {
    const float value = plain.step();
    trace::Recorder recorder;
    BOOST_TEST(std::abs(traced.step() - value) <= 1e-6f * value);
    BOOST_TEST(trace::recorder() == &recorder);
  }
  BOOST_TEST(trace::recorder() == nullptr);
  for (std::size_t i = 0; i < plain.net.parameters().size(); ++i)
    BOOST_TEST(allclose(plain.net.parameters()[i].value(), traced.net.parameters()[i].value(), 1e-5, 1e-7));
}

BOOST_AUTO_TEST_CASE(recorders_nest_and_end) {
  XOR model;
  trace::Recorder outer;
  {
    trace::Recorder inner;
    model.net.forward(x);
    BOOST_TEST(inner.trace().assignments.size() == 3u);
  }
  BOOST_TEST(outer.trace().assignments.empty());
  model.net.forward(x);
  BOOST_TEST(outer.stop().assignments.size() == 3u);
  BOOST_TEST(trace::recorder() == nullptr);
  try {
    trace::Recorder lost;
    model.net.forward({{1, 2, 3}});
    BOOST_ERROR("a wrong shape went through");
  } catch (const ShapeError&) {
  }
  BOOST_TEST(trace::recorder() == nullptr);
}

namespace {

struct Scale : Layer<float> {  // a user's layer, without a derivation
  Parameter<float> a = this->register_parameter("a", full<float>({1}, 3));
  void forward_into(const Tensor<float>& in, Tensor<float>& out) override { out.xt() = a.value().item() * in.xt(); }
  void backward_into(const Tensor<float>& in, const Tensor<float>&, const Tensor<float>& dy,
                     Tensor<float>& dx) override {
    a.accumulate(Tensor<float>(Shape{1}, {xt::sum(dy.xt() * in.xt())()}).xt());
    dx.xt() = a.value().item() * dy.xt();
  }
};

struct DescribedScale : Scale {
  trace::Derivation derivation(const Shape&) const override {
    return {.forward = {"y = a·x"}, .backward = {{"da = Σ δ∘x", "da = sum(i: δ[i]·x[i])"}, "dx = a·δ"}};
  }
};

struct WrongShapes : Scale {
  trace::Derivation derivation(const Shape&) const override { return {{{"y = x·w", "y[n] = sum(i: x[n,i]·a[i])"}}}; }
};

template <class L>
Trace recorded() {
  L layer;
  trace::Recorder recorder;
  layer.forward({{1, 2}, {3, 4}});
  layer.backward({{1, 1}, {0, 1}});
  return recorder.stop();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_users_layer_is_recorded_described_or_not) {
  const Trace plain = recorded<Scale>();
  BOOST_REQUIRE(plain.assignments.size() == 3u);
  BOOST_TEST(plain.assignments[0].formula == "f(x; a)");
  BOOST_TEST(plain.assignments[0].label == "Scale()");
  BOOST_TEST(plain.assignments[1].target == "da");
  BOOST_TEST(plain.assignments[2].formula == "(∂f/∂x)ᵀ·δ");
  BOOST_TEST(plain.result(1).numbers[0] == 7);
  BOOST_TEST(plain.element_text(0).empty());
  BOOST_TEST(plain.numbers_text(0, 0).empty());

  const Trace described = recorded<DescribedScale>();
  BOOST_TEST(check_formulas(described) == 9u);
  BOOST_TEST(described.element_text(1) == "da = Σᵢ δᵢ·xᵢ");
  BOOST_TEST(described.numbers_text(1, 0) == "1·1 + 1·2 + 0·3 + 1·4");

  check_throws<ShapeError>([] { recorded<WrongShapes>(); }, {"trace of WrongShapes()", "y = x·w", "index i"});
}

BOOST_AUTO_TEST_CASE(the_json_holds_every_number) {
  XOR model;
  const Trace trace = recorded_step(model);
  const auto json = nlohmann::json::parse(to_json(trace));
  BOOST_TEST(json["schema"] == "handgrad-trace/1");
  BOOST_REQUIRE(json["values"].size() == trace.values.size());
  for (std::size_t i = 0; i < trace.values.size(); ++i) {
    const auto& value = json["values"][i];
    BOOST_TEST(value["name"] == trace.values[i].name);
    BOOST_REQUIRE(value["data"].size() == trace.values[i].array.numbers.size());
    for (std::size_t k = 0; k < value["data"].size(); ++k) {
      const double number = value["data"][k];
      BOOST_TEST((value["dtype"] == "float32" ? double(float(number)) : number) == trace.values[i].array.numbers[k]);
    }
  }
  BOOST_REQUIRE(json["assignments"].size() == trace.assignments.size());
  for (std::size_t i = 0; i < trace.assignments.size(); ++i) {
    const auto& a = json["assignments"][i];
    BOOST_TEST(a["target"] == trace.assignments[i].target);
    BOOST_TEST(a["phase"] == name(trace.assignments[i].phase));
    BOOST_TEST(a["value"] == trace.assignments[i].value);
    BOOST_TEST(a["uses"].get<std::vector<std::size_t>>() == trace.uses(i), boost::test_tools::per_element());
    BOOST_TEST(a["element"]["text"] == trace.element_text(i));
    BOOST_TEST(a["inputs"].size() == trace.assignments[i].inputs.size());
  }
  const auto& first = json["assignments"][0];
  BOOST_TEST(first.dump() == nlohmann::json::parse(
                                 R"json({"phase": "forward", "layer": "0", "label": "Linear(2 → 3)", "target": "y",
      "formula": {"text": "y = x·Wᵀ + b", "latex": "y = x \\cdot W^{\\top} + b"},
      "element": {"text": "yₙₒ = Σᵢ xₙᵢ·Wₒᵢ + bₒ",
                  "latex": "y_{n,o} = \\sum_{i} x_{n,i} \\cdot W_{o,i} + b_{o}", "index": ["n", "o"],
                  "expression": {"call": "+", "of": [
                    {"reduce": "sum", "over": "i", "of": [{"call": "*", "of": [
                      {"symbol": "x", "index": ["n", "i"]}, {"symbol": "W", "index": ["o", "i"]}]}]},
                    {"symbol": "b", "index": ["o"]}]}},
      "value": 3, "inputs": {"W": 1, "b": 2, "x": 0}, "uses": [], "gradient": null, "by": "library",
      "why": "Neuron o weighs all inputs of example n with its own row of W, and adds its bias."})json")
                                 .dump());

  Linear<float> layer(Tensor<float>(Shape{1, 1}, {INFINITY}));
  trace::Recorder recorder;
  layer.forward({{0}, {1}, {-1}});
  const auto odd = nlohmann::json::parse(to_json(recorder.stop()));
  BOOST_TEST(odd["values"][2]["data"].dump() == R"(["NaN","Infinity","-Infinity"])");
}

BOOST_AUTO_TEST_CASE(element_by_element_is_a_ring) {
  const trace::Equation equation("dz = δ∘y∘(1 − y)");
  BOOST_TEST(equation.whole == "δ∘y∘(1 − y)");
  BOOST_TEST(equation.whole_latex.find("\\circ") != std::string::npos, equation.whole_latex);
  BOOST_TEST(trace::text(*equation.element) == "δ·y·(1 − y)");  // of one element, a product of numbers
  Tanh<double> tanh;
  BOOST_TEST(tanh.derivation({1, 1}).backward[0].whole == "δ∘(1 − y²)");
}
