// Every equation of the library's layers, losses, optimizers and penalties has a sentence that says why.
#include <boost/test/unit_test.hpp>
#include <handgrad/handgrad.hpp>
#include <set>

#include "support/factory.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::Reference;

namespace {

/// How many assignments there are; none without a sentence.
std::size_t check(const trace::Trace& trace) {
  for (std::size_t i = 0; i < trace.assignments.size(); ++i) {
    const trace::Assignment& a = trace.assignments[i];
    const bool sentence = a.why.size() > 10 && a.why.back() == '.' && a.why.find("..") == std::string::npos;
    BOOST_TEST(sentence, a.label << ", " << trace.formula_text(i) << ": \"" << a.why << '"');
  }
  return trace.assignments.size();
}

template <class L>
void check_layer(L layer, const Tensor<double>& x = randn<double>({5, 3})) {
  trace::Recorder recorder;
  const Tensor<double> y = layer.forward(x).clone();
  layer.backward(y);
  BOOST_TEST(check(recorder.stop()) >= 2u);
}

template <class O, class Options>
void check_optimizer(Options options) {
  Sequential<double> net{Linear<double>(3, 2), Tanh<double>()};
  O optimizer(net.parameters(), options);
  for (int step = 0; step < 2; ++step) {  // the second follows from the first's state
    trace::Recorder recorder;
    const Tensor<double> y = net.forward(randn<double>({5, 3})).clone();
    net.backward(y);
    optimizer.step();
    check(recorder.stop());
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_layer_says_why) {
  std::set<std::string> layers;
  for (const Reference& reference : test::layer_cases()) {
    const auto layer = test::make_layer<double>(reference, Device::cpu());
    if (!layer) continue;
    layers.insert(reference["layer"].text());
    for (const Reference step : reference["steps"]) {
      layer->train(step.flag("train", reference["args"].flag("train", true)));
      trace::Recorder recorder;
      layer->forward(step["x"].tensor<double>());
      layer->backward(step["dy"].tensor<double>());
      BOOST_TEST(check(recorder.stop()) >= 2u);
    }
  }
  BOOST_TEST(layers.size() >= 35u);
}

BOOST_AUTO_TEST_CASE(layers_that_no_file_has_say_why) {
  const Tensor<double> image = randn<double>({2, 3, 6, 5}), sequence = randn<double>({3, 2, 4});
  check_layer(Softmax<double>(1), image);  // in symbols only
  check_layer(LogSoftmax<double>(1), image);
  check_layer(Conv2d<double>(3, 2, 3), randn<double>({4, 3, 20, 20}));
  check_layer(ConvTranspose2d<double>(3, 2, 3), randn<double>({4, 3, 20, 20}));
  check_layer(MaxPool2d<double>(2), randn<double>({4, 3, 20, 20}));
  check_layer(AvgPool2d<double>(2), randn<double>({4, 3, 20, 20}));
  check_layer(BatchNorm1d<double>(3, {.affine = false}));
  check_layer(GroupNorm<double>(3, 3, {.eps = 0.1}));
  check_layer(Dropout<double>(0.5));
  check_layer(Dropout2d<double>(0.5), image);
  check_layer(Flatten<double>(), image);
  check_layer(Unflatten<double>(1, {1, 3}));
  check_layer(RNN<double>(4, 3), sequence);
  check_layer(RNN<double>(4, 3, {.nonlinearity = "relu", .output = Steps::Last}), sequence);
  check_layer(LSTM<double>(4, 3), sequence);
  check_layer(GRU<double>(4, 3), sequence);
  check_layer(RNN<double>(4, 3), randn<double>({7, 2, 4}));  // too long to be written out
  check_layer(LSTM<double>(4, 3), randn<double>({7, 2, 4}));
  check_layer(GRU<double>(4, 3), randn<double>({7, 2, 4}));
  check_layer(Embedding<double>(5, 3), Tensor<double>{1, 4, 1});
  check_layer(Embedding<double>(5, 3, {.padding_idx = 1}), Tensor<double>{1, 4, 1});
  check_layer(PositionalEncoding<double>(4), sequence);
  check_layer(PositionalEncoding<double>(4, {.dropout = 0}), sequence);
  check_layer(MultiheadAttention<double>(4, 1), randn<double>({3, 1, 4}));
  check_layer(MultiheadAttention<double>(4, 2), sequence);
  check_layer(TransformerEncoderLayer<double>(4, 2, {.dim_feedforward = 8}), sequence);
  check_layer(TransformerEncoderLayer<double>(4, 2, {.dim_feedforward = 8, .norm_first = true}), sequence);
  check_layer(Neuron<double>(3));
  check_layer(Residual<double>{Linear<double>(3, 3)});
  check_layer(Concat<double>{Linear<double>(3, 2), Linear<double>(3, 1)});
  check_layer(Split<double>({1, 2}, Linear<double>(1, 2), Linear<double>(2, 1)));
}

BOOST_AUTO_TEST_CASE(every_loss_says_why) {
  std::set<std::string> losses;
  for (const Reference reference : Reference::file("losses")["cases"]) {
    const auto loss = test::make_loss<double>(reference, Device::cpu());
    losses.insert(loss->name());
    trace::Recorder recorder;
    loss->forward(reference["x"].tensor<double>(), reference["target"].tensor<double>());
    loss->reduction() == Reduction::None ? loss->backward(reference["dy"].tensor<double>()) : loss->backward();
    BOOST_TEST(check(recorder.stop()) >= 2u);
  }
  BOOST_TEST(losses.size() >= 9u);
}

BOOST_AUTO_TEST_CASE(a_penalty_says_why) {
  Linear<double> layer(3, 2);
  L2Penalty<double> penalty({layer.weight}, 0.1);
  trace::Recorder recorder;
  penalty.forward();
  penalty.backward();
  BOOST_TEST(check(recorder.stop()) == 3u);
}

BOOST_AUTO_TEST_CASE(every_optimizer_says_why) {
  check_optimizer<SGD<double>>(SGDOptions{.lr = 0.1});
  check_optimizer<SGD<double>>(SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1});
  check_optimizer<RMSprop<double>>(RMSpropOptions{.weight_decay = 0.1, .momentum = 0.9, .centered = true});
  check_optimizer<Adam<double>>(AdamOptions{.weight_decay = 0.1});
  check_optimizer<Adam<double>>(AdamOptions{.amsgrad = true});
  check_optimizer<AdamW<double>>(AdamWOptions{});
  check_optimizer<Adagrad<double>>(AdagradOptions{.weight_decay = 0.1});
  check_optimizer<Adadelta<double>>(AdadeltaOptions{.weight_decay = 0.1});
  check_optimizer<NAdam<double>>(NAdamOptions{.weight_decay = 0.1});
  check_optimizer<Lion<double>>(LionOptions{.weight_decay = 0.1});
  Linear<double> matrix(3, 2, false);
  Muon<double> muon({matrix.weight}, {.ns_steps = 2});
  trace::Recorder recorder;
  const Tensor<double> y = matrix.forward(randn<double>({5, 3})).clone();
  matrix.backward(y);
  muon.step();
  BOOST_TEST(check(recorder.stop()) == 14u);
}

BOOST_AUTO_TEST_CASE(a_gradient_that_was_there_is_spoken_of) {
  Linear<double> layer(3, 2);
  trace::Recorder recorder;
  const Tensor<double> y = layer.forward(randn<double>({5, 3})).clone();
  layer.backward(y);
  layer.backward(y);
  const trace::Trace trace = recorder.stop();
  std::set<std::string> of_dW;
  for (std::size_t i = 0; i < trace.assignments.size(); ++i)
    if (trace.assignments[i].target == "dW") of_dW.insert(trace.assignments[i].why);
  BOOST_TEST(of_dW.size() == 2u);
  BOOST_TEST(of_dW.begin()->find("δₙₒ·xₙᵢ") != std::string::npos);
}
