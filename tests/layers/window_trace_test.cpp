// What convolutions and pooling show of a recorded step: every number of a small one by its formula, a large one in
// symbols.
#include <boost/test/unit_test.hpp>
#include <memory>
#include <set>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/layers/convolution.hpp"
#include "handgrad/layers/pooling.hpp"
#include "handgrad/trace/recorder.hpp"
#include "support/formulas.hpp"

using namespace handgrad;

namespace {

trace::Trace recorded(Layer<double>& layer, const Tensor<double>& x, int backwards = 1) {
  trace::Recorder recorder;
  const Tensor<double> y = layer.forward(x);
  for (int i = 0; i < backwards; ++i) layer.backward(randn<double>(y.shape()));
  return recorder.stop();
}

/// The targets that the library computed, and that a formula explains element by element.
std::set<std::string> explained(const trace::Trace& trace) {
  std::set<std::string> targets;
  for (const auto& a : trace.assignments)
    if (a.by_library && a.element) targets.insert(a.target);
  return targets;
}

struct Case {
  std::shared_ptr<Layer<double>> layer;
  Shape x;
};
template <class L, class... A>
Case with(const Shape& x, A... arguments) {
  return {std::make_shared<L>(arguments...), x};
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_number_of_a_small_one_is_what_its_formula_says) {
  manual_seed(3);
  using C2 = Conv2d<double>;
  using C1 = Conv1d<double>;
  using CT = ConvTranspose2d<double>;
  const std::vector<Case> cases{
      with<C2>({2, 1, 4, 5}, 1, 2, Size2d(3, 2)),
      with<C2>({1, 2, 5, 4}, 2, 3, Size2d(3),
               Conv2dOptions{.stride = 2, .padding = 1, .dilation = {1, 2}, .bias = false}),
      with<C2>({3, 4, 4}, 3, 3, Size2d(2), Conv2dOptions{.padding = "same", .groups = 3}),
      with<C2>({2, 4, 3, 4}, 4, 2, Size2d(2), Conv2dOptions{.groups = 2}),
      with<C1>({2, 2, 7}, 2, 3, 3, Conv1dOptions{.stride = 2, .padding = 2}),
      with<C1>({2, 6}, 2, 1, 4),
      with<CT>({2, 2, 3, 2}, 2, 3, Size2d(2, 3),
               ConvTranspose2dOptions{.stride = 2, .padding = 1, .output_padding = 1}),
      with<CT>({2, 2, 3}, 2, 4, Size2d(2), ConvTranspose2dOptions{.groups = 2, .bias = false, .dilation = 2})};
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.layer->label() << " on " << c.x.str()) {
      const Tensor<double> x = randn<double>(c.x);
      std::set<std::string> expected{"y", "dW", "dx"};
      if (c.layer->named_parameters().size() > 1) expected.insert("db");
      c.layer->zero_grad();
      const trace::Trace once = recorded(*c.layer, x);
      BOOST_TEST((explained(once) == expected));
      BOOST_TEST(test::check_formulas(once) > 0u);
      test::check_formulas(recorded(*c.layer, x, 2));  // what is added to a gradient that is there
      c.layer->freeze();
      test::check_formulas(recorded(*c.layer, x));
      c.layer->requires_grad(true);
      c.layer->requires_input_grad(false);
      test::check_formulas(recorded(*c.layer, x));
    }
  }
}

BOOST_AUTO_TEST_CASE(pooling_too) {
  manual_seed(4);
  const std::vector<Case> cases{
      with<MaxPool2d<double>>({2, 2, 4, 5}, Size2d(2)),
      with<MaxPool2d<double>>({2, 5, 4}, Size2d(3, 2),
                              MaxPool2dOptions{.stride = Size2d(1), .padding = 1, .ceil_mode = true}),
      with<MaxPool1d<double>>({2, 3, 7}, 3, MaxPool1dOptions{.stride = 2, .dilation = 2}),
      with<AvgPool2d<double>>({1, 2, 4, 5}, Size2d(2, 3), AvgPool2dOptions{.stride = Size2d(1), .padding = 1}),
      with<AvgPool2d<double>>({1, 2, 5, 4}, Size2d(2), AvgPool2dOptions{.padding = 1, .count_include_pad = false}),
      with<AvgPool1d<double>>({2, 7}, 3),
      with<AdaptiveAvgPool2d<double>>({2, 1, 5, 7}, Size2d(2, 3))};
  for (const Case& c : cases) BOOST_TEST_CONTEXT(c.layer->label() << " on " << c.x.str()) {
      const trace::Trace step = recorded(*c.layer, randn<double>(c.x));
      BOOST_TEST((explained(step) == std::set<std::string>{"y", "dx"}));
      BOOST_TEST(test::check_formulas(step) > 0u);
    }
}

// What is read: a filter's weights beside the pixels that they lie on, without those that they do not.
BOOST_AUTO_TEST_CASE(a_learner_reads_the_products) {
  Conv2d<double> conv(1, 1, 2, {.padding = 1, .bias = false});
  conv.weight.value().copy_from(Tensor<double>({1, 1, 2, 2}, {1, 2, 3, 4}));
  trace::Recorder recorder;
  conv.forward(Tensor<double>({1, 1, 2, 2}, {5, 6, 7, 8}));
  conv.backward(ones<double>({1, 1, 3, 3}));
  const trace::Trace step = recorder.stop();
  const auto shown = [&](const std::string& target, std::size_t element) {
    for (std::size_t i = 0; i < step.assignments.size(); ++i)
      if (step.assignments[i].target == target) return step.numbers_text(i, element);
    return "no " + target;
  };
  BOOST_TEST(shown("X̂", 0) == "0");
  BOOST_TEST(shown("X̂", 3) == "[0 = 0]·5");
  BOOST_TEST(shown("y", 0) == "0·1 + 0·2 + 0·3 + 5·4");
  BOOST_TEST(shown("y", 4) == "5·1 + 6·2 + 7·3 + 8·4");
  BOOST_TEST(shown("dx", 0) == "[0 = 0]·4 + [0 = 0]·3 + [0 = 0]·2 + [0 = 0]·1");
}

BOOST_AUTO_TEST_CASE(a_large_one_in_symbols) {
  Conv2d<double> conv(1, 8, 5);
  MaxPool2d<double> pool(2);
  const trace::Trace step = recorded(conv, randn<double>({2, 1, 28, 28}));
  BOOST_TEST(step.assignments[0].formula == "W ⋆ x + b");
  BOOST_TEST(explained(step).empty());
  BOOST_TEST(explained(recorded(pool, randn<double>({2, 8, 24, 24}))).empty());
}
