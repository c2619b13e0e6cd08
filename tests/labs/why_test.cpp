// Every assignment of the library's layers, losses and optimizers has a sentence of explanation.
#include "common/why.hpp"

#include <boost/test/unit_test.hpp>
#include <handgrad/handgrad.hpp>
#include <memory>
#include <set>

#include "common/lesson.hpp"

using namespace handgrad;
using labs::why;

namespace {

void check(const trace::Trace& trace) {
  BOOST_TEST(!trace.assignments.empty());
  for (std::size_t i = 0; i < trace.assignments.size(); ++i) {
    const trace::Assignment& a = trace.assignments[i];
    BOOST_TEST(why(trace, i).size() > 10, a.label << ", " << trace.formula_text(i));
  }
}

template <class L>
void check_layer(L layer, const Tensor<double>& x = randn<double>({5, 3})) {
  trace::Recorder recorder;
  const Tensor<double> y = layer.forward(x).clone();
  layer.backward(y);
  check(recorder.stop());
}

template <class L>
void check_loss(L loss, const Tensor<double>& p, const Tensor<double>& y) {
  trace::Recorder recorder;
  loss.forward(p, y);
  loss.backward();
  check(recorder.stop());
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
  check_layer(Linear<double>(3, 2));
  check_layer(Tanh<double>());
  check_layer(Sigmoid<double>());
  check_layer(ReLU<double>());
  check_layer(LeakyReLU<double>());
  check_layer(ELU<double>());
  check_layer(GELU<double>());
  check_layer(GELU<double>("tanh"));
  check_layer(SiLU<double>());
  check_layer(Softplus<double>());
  check_layer(Hardtanh<double>());
  check_layer(Hardsigmoid<double>());
  check_layer(Hardswish<double>());
  check_layer(LogSigmoid<double>());
  check_layer(Softsign<double>());
  check_layer(Mish<double>());
  check_layer(PReLU<double>());
  check_layer(PReLU<double>(3));
  check_layer(Softmax<double>());
  check_layer(LogSoftmax<double>());
  check_layer(BatchNorm1d<double>(3));
  check_layer(LayerNorm<double>(3));
  check_layer(GroupNorm<double>(3, 3, {.eps = 0.1}));
  check_layer(RMSNorm<double>(3));
  check_layer(Dropout<double>(0.5));
}

BOOST_AUTO_TEST_CASE(every_layer_of_images_and_sequences_says_why) {
  const Tensor<double> image = randn<double>({2, 3, 6, 5}), sequence = randn<double>({3, 2, 4}),
                       row = randn<double>({2, 3, 6});
  check_layer(Conv1d<double>(3, 2, 3), row);
  check_layer(Conv2d<double>(3, 2, 3), image);
  check_layer(ConvTranspose2d<double>(3, 2, 3), image);
  check_layer(MaxPool1d<double>(2), row);
  check_layer(MaxPool2d<double>(2), image);
  check_layer(AvgPool1d<double>(2), row);
  check_layer(AvgPool2d<double>(2), image);
  check_layer(AdaptiveAvgPool2d<double>(1), image);
  check_layer(BatchNorm2d<double>(3), image);
  check_layer(Dropout2d<double>(0.5), image);
  check_layer(Flatten<double>(), image);
  check_layer(RNN<double>(4, 3), sequence);
  check_layer(RNN<double>(4, 3), randn<double>({7, 2, 4}));  // too long to be written out
  check_layer(LSTM<double>(4, 3), sequence);
  check_layer(LSTM<double>(4, 3), randn<double>({7, 2, 4}));
  check_layer(GRU<double>(4, 3), sequence);
  check_layer(GRU<double>(4, 3), randn<double>({7, 2, 4}));
  check_layer(Embedding<double>(5, 3), Tensor<double>{1, 4, 1});
  check_layer(PositionalEncoding<double>(4), sequence);
  check_layer(MultiheadAttention<double>(4, 1), randn<double>({3, 1, 4}));
  check_layer(MultiheadAttention<double>(4, 2), sequence);
  check_layer(TransformerEncoderLayer<double>(4, 2, {.dim_feedforward = 8}), sequence);
  check_layer(Neuron<double>(3));
  check_layer(Residual<double>{Linear<double>(3, 3)});
  check_layer(Concat<double>{Linear<double>(3, 2), Linear<double>(3, 1)});
  check_layer(Split<double>({1, 2}, Linear<double>(1, 2), Linear<double>(2, 1)));
}

BOOST_AUTO_TEST_CASE(every_loss_says_why) {
  const Tensor<double> p{{0.2, 0.8}, {0.6, 0.4}}, y{{0, 1}, {1, 0}}, classes{1, 0};
  check_loss(MSELoss<double>(), p, y);
  check_loss(L1Loss<double>(), p, y);
  check_loss(BCELoss<double>(), p, y);
  check_loss(BCEWithLogitsLoss<double>(), p, y);
  check_loss(CrossEntropyLoss<double>(), p, classes);
  check_loss(CrossEntropyLoss<double>(), p, y);
  check_loss(NLLLoss<double>(), p, classes);
  check_loss(CrossEntropyLoss<double>({.ignore_index = 1, .label_smoothing = 0.1}), p, classes);
  check_loss(NLLLoss<double>({.ignore_index = 1}), p, classes);
  check_loss(HuberLoss<double>(), p, y);
  check_loss(SmoothL1Loss<double>(), p, y);
  check_loss(KLDivLoss<double>(), p, y);
  check_loss(KLDivLoss<double>({.log_target = true}), p, p);
}

BOOST_AUTO_TEST_CASE(every_optimizer_says_why) {
  check_optimizer<SGD<double>>(SGDOptions{.lr = 0.1});
  check_optimizer<SGD<double>>(SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1});
  check_optimizer<RMSprop<double>>(RMSpropOptions{.weight_decay = 0.1, .momentum = 0.9, .centered = true});
  check_optimizer<Adam<double>>(AdamOptions{.weight_decay = 0.1});
  check_optimizer<AdamW<double>>(AdamWOptions{});
  check_optimizer<Adagrad<double>>(AdagradOptions{.weight_decay = 0.1});
  check_optimizer<Adadelta<double>>(AdadeltaOptions{.weight_decay = 0.1});
  check_optimizer<NAdam<double>>(NAdamOptions{.weight_decay = 0.1});
  check_optimizer<Lion<double>>(LionOptions{.weight_decay = 0.1});
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
    if (trace.assignments[i].target == "dW") of_dW.insert(why(trace, i));
  BOOST_TEST(of_dW.size() == 2u);
  BOOST_TEST(of_dW.begin()->find("δₙₒ·xₙᵢ") != std::string::npos);
}
