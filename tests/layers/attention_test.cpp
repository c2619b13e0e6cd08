// MultiheadAttention and TransformerEncoderLayer: against PyTorch (reference/attention.json) and differences; the
// version that stores the probabilities against the one that recomputes them; masks, dropout, modes, threads.
#include "handgrad/layers/multihead_attention.hpp"

#include <cmath>
#include <limits>

#include "handgrad/base/random.hpp"
#include "handgrad/base/threads.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/io/safetensors.hpp"
#include "handgrad/layers/embedding.hpp"
#include "handgrad/layers/transformer_encoder_layer.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/trace/recorder.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/formulas.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

template <class T>
void load(Layer<T>& layer, const Reference& parameters, Device device) {
  BOOST_TEST_REQUIRE(layer.named_parameters().size() == parameters.size());
  for (auto& [name, parameter] : layer.named_parameters())
    parameter.value().copy_from(parameters[name.c_str()].template tensor<T>());
  layer.to(device);
}

std::size_t size(const Reference& args, const char* key) { return static_cast<std::size_t>(args[key].number()); }

template <class T>
void check_step(Layer<T>& layer, const Reference& step, Device device, double tolerance) {
  const Tensor<T> x = step["x"].tensor<T>().to(device), dy = step["dy"].tensor<T>().to(device);
  layer.zero_grad();
  check_close(layer.forward(x), step["y"].tensor<double>(), tolerance, "y");
  check_close(layer.backward(dy), step["dx"].tensor<double>(), tolerance, "dx");
  for (int times : {1, 2}) {
    for (const auto& [name, parameter] : layer.named_parameters()) {
      Tensor<double> expected = step["grads"][name.c_str()].template tensor<double>();
      for (double* g = expected.data(); g != expected.data() + expected.numel(); ++g) *g *= times;
      check_close(parameter.grad(), expected, times * tolerance, std::to_string(times) + " × gradient of " + name);
    }
    if (times == 1) check_close(layer.backward(dy), step["dx"].tensor<double>(), tolerance, "dx again");
  }
  layer.requires_input_grad(false);
  layer.forward(x);
  BOOST_TEST(!layer.backward(dy).defined());
  layer.requires_input_grad(true);
}

template <class T>
Tensor<T> random(const Shape& shape, Device device) {
  return randn<T>(shape).to(device);
}

/// 1 after the first `lengths` positions of each sequence.
template <class T>
Tensor<T> padding(std::size_t length, const std::vector<std::size_t>& lengths) {
  Tensor<T> mask = zeros<T>({lengths.size(), length});
  for (std::size_t n = 0; n < lengths.size(); ++n)
    for (std::size_t t = lengths[n]; t < length; ++t) mask.data()[n * length + t] = 1;
  return mask;
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(attention_agrees_with_torch_in_both_forms) {
  using T = typename Place::T;
  for (const Reference reference : Reference::file("attention")["attentions"])
    for (const std::size_t keep_up_to : {std::size_t{512}, std::size_t{0}}) {
      const Reference args = reference["args"];
      BOOST_TEST_CONTEXT(args.where() << " keep_up_to " << keep_up_to) {
        MultiheadAttention<T> layer(size(args, "embed_dim"), size(args, "num_heads"),
                                    {.bias = args.flag("bias", true),
                                     .batch_first = args.flag("batch_first", false),
                                     .is_causal = args.flag("is_causal", false),
                                     .keep_up_to = keep_up_to});
        load(layer, reference["parameters"], Place::device());
        if (!reference.is_null("mask")) layer.key_padding_mask(reference["mask"].tensor<T>());
        check_step(layer, reference["step"], Place::device(), Place::tolerance);
      }
    }
}

HANDGRAD_TEST_EVERYWHERE(encoder_layers_agree_with_torch) {
  using T = typename Place::T;
  const double tolerance = std::is_same_v<T, double> ? 1e-12 : 5e-5;  // through about ten layers
  for (const Reference reference : Reference::file("attention")["encoders"]) {
    const Reference args = reference["args"];
    BOOST_TEST_CONTEXT(args.where()) {
      TransformerEncoderLayer<T> layer(size(args, "d_model"), size(args, "nhead"),
                                       {.dim_feedforward = size(args, "dim_feedforward"),
                                        .dropout = 0,
                                        .activation = args["activation"].text(),
                                        .batch_first = args.flag("batch_first", false),
                                        .norm_first = args.flag("norm_first", false),
                                        .bias = args.flag("bias", true),
                                        .is_causal = args.flag("is_causal", false)});
      load(layer, reference["parameters"], Place::device());
      if (!reference.is_null("mask")) layer.self_attn().key_padding_mask(reference["mask"].tensor<T>());
      check_step(layer, reference["step"], Place::device(), tolerance);
      layer.eval();
      check_step(layer, reference["step"], Place::device(), tolerance);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_constructors_draw_is_torchs) {
  manual_seed(7);
  Embedding table(5, 4, {.padding_idx = 1});
  MultiheadAttention attention(4, 2);
  TransformerEncoderLayer encoder(4, 2, {.dim_feedforward = 3});
  const Reference drawn = Reference::file("attention")["drawn"];
  std::size_t i = 0;
  for (Layer<float>* layer : std::initializer_list<Layer<float>*>{&table, &attention, &encoder}) {
    const Reference state = drawn[i++]["float"];
    const auto own = layer->state_dict();
    BOOST_TEST_REQUIRE(own.size() == state.size());
    for (const auto& [name, value] : own) check_close(value, state[name.c_str()].tensor<float>(), 1e-6, name);
  }
}

BOOST_AUTO_TEST_CASE(a_layer_that_torch_saved_predicts_the_same) {
  const Reference saved = Reference::file("attention")["saved"][0];
  const std::string hex = saved["bytes"].text();
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  const test::TemporaryFolder folder;
  TransformerEncoderLayer layer(8, 2, {.dim_feedforward = 16, .batch_first = true});
  layer.load_state_dict(read_safetensors<float>(folder.file("encoder.safetensors", bytes)).tensors);
  layer.eval();
  check_close(layer.forward(saved["x"].tensor<float>()), saved["y"].tensor<double>(), 1e-6, "y");
}

HANDGRAD_TEST_EVERYWHERE(a_character_model_learns_as_in_torch) {
  using T = typename Place::T;
  const Reference run = Reference::file("attention")["training"][0];
  Sequential<T> net{Embedding<T>(7, 8)};
  for (const bool norm_first : {false, true})
    net.push_back(std::make_shared<TransformerEncoderLayer<T>>(
        8, 2,
        TransformerEncoderLayerOptions{
            .dim_feedforward = 16, .dropout = 0, .batch_first = true, .norm_first = norm_first, .is_causal = true}));
  net.push_back(std::make_shared<Linear<T>>(8, 7));
  load(net, run["state"], Place::device());
  const Tensor<T> x = run["x"].tensor<T>().to(Place::device()), target = run["target"].tensor<T>().to(Place::device());
  CrossEntropyLoss<T> loss;
  Adam<T> adam(net.parameters(), {.lr = 0.01});
  std::vector<T> losses;
  for (int step = 0; step < 5; ++step) {
    const Tensor<T>& y = net.forward(x);
    losses.push_back(loss.forward(y.reshape({18, 7}), target).item());
    adam.zero_grad();
    net.backward(loss.backward().reshape(y.shape()));
    adam.step();
  }
  check_close(losses, run["losses"].numbers(), std::is_same_v<T, double> ? 1e-9 : 1e-4, "losses");
}

namespace {

struct Run {
  std::vector<double> y, dx, dW, db;
};

/// A forward and a backward of attention over 130 positions, more than two tiles.
template <class T>
Run long_run(MultiheadAttentionOptions options, const std::vector<std::size_t>& lengths, Device device) {
  manual_seed(11);
  constexpr std::size_t length = 130;
  MultiheadAttention<T> layer(6, 2, options);
  for (auto& [name, parameter] : layer.named_parameters()) normal_(parameter.value(), 0, 0.5);
  layer.to(device);
  if (!lengths.empty()) layer.key_padding_mask(padding<T>(length, lengths));
  const Shape shape = options.batch_first ? Shape{2, length, 6} : Shape{length, 2, 6};
  const Tensor<T> x = random<T>(shape, device), dy = random<T>(shape, device);
  const auto numbers = [](const Tensor<T>& t) {
    const auto v = t.to_vector();
    return std::vector<double>(v.begin(), v.end());
  };
  Run run;
  run.y = numbers(layer.forward(x));
  run.dx = numbers(layer.backward(dy));
  run.dW = numbers(layer.in_proj_weight.grad());
  run.db = numbers(layer.in_proj_bias.grad());
  return run;
}

void check_same(const Run& a, const Run& b, double tolerance) {
  check_close(a.y, b.y, tolerance, "y");
  check_close(a.dx, b.dx, tolerance, "dx");
  check_close(a.dW, b.dW, 10 * tolerance, "dW");
  check_close(a.db, b.db, 10 * tolerance, "db");
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(kept_or_computed_anew_the_probabilities_are_the_same) {
  using T = typename Place::T;
  const double tolerance = std::is_same_v<T, double> ? 1e-12 : 5e-5;
  for (const bool causal : {false, true})
    for (const double dropout : {0.0, 0.3})
      for (const std::vector<std::size_t>& lengths :
           {std::vector<std::size_t>{}, std::vector<std::size_t>{130, 67}, std::vector<std::size_t>{0, 1}})
        BOOST_TEST_CONTEXT((causal ? "causal, " : "") << dropout << " dropped, " << lengths.size() << " lengths") {
          MultiheadAttentionOptions options{.dropout = dropout, .batch_first = causal, .is_causal = causal};
          const Run kept = long_run<T>(options, lengths, Place::device());
          options.keep_up_to = 129;
          const Run anew = long_run<T>(options, lengths, Place::device());
          check_same(anew, kept, tolerance);
          const Run reference = long_run<double>({.dropout = dropout, .batch_first = causal, .is_causal = causal},
                                                 lengths, Device::cpu());
          if (std::is_same_v<T, double>) check_same(kept, reference, tolerance);
          double largest = 0;
          for (const double v : kept.dx) largest = std::max(largest, std::abs(v));
          BOOST_TEST(largest > 0.1);
        }
}

// Scores whose exponential overflows: the largest is subtracted first.
BOOST_AUTO_TEST_CASE(large_scores) {
  for (const std::size_t keep_up_to : {std::size_t{512}, std::size_t{0}}) {
    manual_seed(12);
    MultiheadAttention<float> layer(4, 1, {.keep_up_to = keep_up_to});
    for (auto& [name, parameter] : layer.named_parameters()) normal_(parameter.value(), 0, 30);
    const Tensor<float> x = randn({70, 1, 4}), y = layer.forward(x), dx = layer.backward(randn({70, 1, 4}));
    for (const float v : y.to_vector()) BOOST_TEST(std::isfinite(v));
    for (const float v : dx.to_vector()) BOOST_TEST(std::isfinite(v));
  }
}

HANDGRAD_TEST_EVERYWHERE(nan_never_passes_unseen) {
  using T = typename Place::T;
  for (const std::size_t keep_up_to : {std::size_t{512}, std::size_t{0}}) {
    MultiheadAttention<T> layer(4, 2, {.keep_up_to = keep_up_to});
    layer.to(Place::device());
    const Tensor<T> x = full<T>({3, 2, 4}, std::numeric_limits<T>::quiet_NaN(), Place::device());
    for (const T v : layer.forward(x).to_vector()) BOOST_TEST(std::isnan(v));
  }
}

HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(attention_gradients) {
  const Device device = Place::device();
  manual_seed(13);
  struct Case {
    std::size_t features, heads;
    Shape shape;
    MultiheadAttentionOptions options;
    std::vector<std::size_t> lengths;
  };
  for (const Case& c :
       std::initializer_list<Case>{{4, 2, {1, 1, 4}, {}, {}},
                                   {6, 3, {5, 2, 6}, {}, {}},
                                   {6, 1, {5, 6}, {.bias = false}, {}},
                                   {4, 2, {2, 5, 4}, {.batch_first = true, .is_causal = true}, {}},
                                   {4, 2, {5, 3, 4}, {}, {5, 0, 3}},
                                   {4, 1, {3, 5, 4}, {.batch_first = true, .is_causal = true}, {1, 5, 4}},
                                   {6, 2, {5, 2, 6}, {.dropout = 0.3}, {}},
                                   {6, 2, {7, 6}, {.dropout = 0.2, .is_causal = true}, {}}})
    for (const std::size_t keep_up_to : {std::size_t{512}, std::size_t{0}}) {
      MultiheadAttentionOptions options = c.options;
      options.keep_up_to = keep_up_to;
      MultiheadAttention<double> layer(c.features, c.heads, options);
      for (auto& [name, parameter] : layer.named_parameters()) normal_(parameter.value());
      layer.to(device);
      if (!c.lengths.empty()) layer.key_padding_mask(padding<double>(c.shape[options.batch_first ? 1 : 0], c.lengths));
      BOOST_TEST_CONTEXT(c.shape.str() << " in " << c.heads << " heads, keep_up_to " << keep_up_to) {
        if (c.features == 4 && c.shape[0] == 1) {  // with one key P = 1: queries and keys have no gradient
          const auto report = check_gradients(layer, random<double>(c.shape, device));
          BOOST_TEST((report.verdict() != Verdict::Fail), report);
        } else {
          HANDGRAD_CHECK_GRADIENTS(layer, random<double>(c.shape, device));
        }
      }
    }
}

BOOST_AUTO_TEST_CASE(attention_gradients_over_several_tiles) {
  manual_seed(14);
  MultiheadAttention<double> layer(2, 1, {.dropout = 0.1, .is_causal = true, .keep_up_to = 0});
  for (auto& [name, parameter] : layer.named_parameters()) normal_(parameter.value());
  HANDGRAD_CHECK_GRADIENTS(layer, randn<double>({67, 1, 2}));
}

HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(encoder_layer_gradients) {
  const Device device = Place::device();
  manual_seed(15);
  for (const bool norm_first : {false, true})
    for (const double dropout : {0.0, 0.2}) {
      TransformerEncoderLayer<double> layer(6, 2,
                                            {.dim_feedforward = 5,
                                             .dropout = dropout,
                                             .activation = "gelu",
                                             .batch_first = norm_first,
                                             .norm_first = norm_first,
                                             .is_causal = !norm_first});
      for (auto& [name, parameter] : layer.named_parameters()) uniform_(parameter.value(), -1, 1);
      layer.to(device);
      BOOST_TEST_CONTEXT((norm_first ? "norm first, " : "norm last, ") << dropout << " dropped")
      HANDGRAD_CHECK_GRADIENTS(layer, random<double>({3, 2, 6}, device));
    }
  Sequential net{Embedding<double>(5, 4),
                 TransformerEncoderLayer<double>(4, 2, {.dim_feedforward = 3, .dropout = 0, .activation = "gelu"}),
                 Linear<double>(4, 3)};
  net.to(device);
  HANDGRAD_CHECK_GRADIENTS(net, Tensor<double>{{1, 0}, {4, 4}, {2, 1}}.to(device));
}

BOOST_AUTO_TEST_CASE(dropout_of_the_probabilities) {
  manual_seed(16);
  constexpr std::size_t length = 50;
  MultiheadAttention<double> layer(4, 2, {.dropout = 0.25});
  MultiheadAttention<double> without(4, 2);
  without.load_state_dict(layer.state_dict());
  const Tensor<double> x = randn<double>({length, 3, 4});
  const Tensor<double> plain = without.forward(x).clone(), one = layer.forward(x).clone();
  BOOST_TEST(!(one == plain));
  BOOST_TEST(!(layer.forward(x) == one));  // another mask
  layer.eval();
  BOOST_TEST((layer.forward(x) == plain));
  layer.train();
  std::vector<double> mean(plain.numel());
  constexpr int times = 4000;
  for (int i = 0; i < times; ++i) {
    const std::vector<double> y = layer.forward(x).to_vector();
    for (std::size_t k = 0; k < y.size(); ++k) mean[k] += y[k] / times;
  }
  check_close(mean, plain.to_vector(), 0.02, "the expectation is what it is without");
  MultiheadAttention<double> all(4, 2, {.dropout = 1});
  for (const double v : all.forward(x).to_vector()) BOOST_TEST(v == 0);
}

BOOST_AUTO_TEST_CASE(nobody_looks_ahead_or_at_padding) {
  manual_seed(17);
  MultiheadAttention<double> layer(6, 2, {.batch_first = true, .is_causal = true});
  Tensor<double> x = randn<double>({1, 5, 6});
  const Tensor<double> y = layer.forward(x).clone(), P = layer.probabilities();
  for (std::size_t h = 0; h < 2; ++h)
    for (std::size_t i = 0; i < 5; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < 5; ++j) {
        sum += P.item(0, h, i, j);
        BOOST_TEST((P.item(0, h, i, j) > 0) == (j <= i));
      }
      BOOST_TEST(std::abs(sum - 1) < 1e-14);
    }
  for (std::size_t c = 0; c < 6; ++c) x.data()[4 * 6 + c] += 1;  // the last position
  const Tensor<double> other = layer.forward(x).clone();
  for (std::size_t i = 0; i < 4 * 6; ++i) BOOST_TEST(other.data()[i] == y.data()[i]);

  MultiheadAttention<double> padded(6, 2, {.batch_first = true});
  padded.key_padding_mask(Tensor<double>{{0, 0, 0, 0, 1}});
  const Tensor<double> before = padded.forward(x).clone();
  for (std::size_t c = 0; c < 6; ++c) x.data()[4 * 6 + c] += 1;
  const Tensor<double> after = padded.forward(x).clone();
  for (std::size_t i = 0; i < 4 * 6; ++i) BOOST_TEST(before.data()[i] == after.data()[i]);
  padded.key_padding_mask({});
  BOOST_TEST(!(padded.forward(x) == after));
}

BOOST_AUTO_TEST_CASE(what_attention_refuses) {
  check_throws<ValueError>([] { MultiheadAttention<float>(6, 4); }, {"MultiheadAttention(6, 4)", "multiple"});
  check_throws<ValueError>([] { MultiheadAttention<float>(6, 0); }, {"multiple"});
  check_throws<ValueError>([] { MultiheadAttention<float>(6, 2, {.dropout = 2}); }, {"p = 2"});
  check_throws<ValueError>([] { TransformerEncoderLayer<float>(4, 2, {.activation = "tanh"}); }, {"relu", "tanh"});
  MultiheadAttention layer(6, 2);
  check_throws<ShapeError>(
      [&] {
        layer.forward(zeros({5, 2, 4}));
      },
      {"MultiheadAttention(6, 2)", "(T, N, 6)", "(5, 2, 4)"});
  check_throws<ShapeError>([&] { layer.forward(zeros({6})); }, {"(6,)"});
  check_throws<StateError>([&] { layer.probabilities(); }, {"MultiheadAttention(6, 2)"});
  layer.key_padding_mask(zeros({5, 2}));
  check_throws<ShapeError>([&] { layer.forward(zeros({5, 2, 6})); }, {"key_padding_mask", "(5, 2)", "(2, 5)"});
  layer.key_padding_mask(zeros({2, 5}));
  layer.forward(zeros({5, 2, 6}));
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_any_number_of_threads) {
  const int before = num_threads();
  for (const std::size_t keep_up_to : {std::size_t{512}, std::size_t{0}}) {
    std::vector<Run> runs;
    for (const int threads : {1, 2, 3}) {
      set_num_threads(threads);
      runs.push_back(long_run<float>({.dropout = 0.1, .keep_up_to = keep_up_to}, {130, 100}, Device::cpu()));
    }
    for (const Run& run : runs) {
      BOOST_TEST(run.y == runs[0].y);
      BOOST_TEST(run.dx == runs[0].dx);
      BOOST_TEST(run.dW == runs[0].dW);
    }
  }
  set_num_threads(before);
}

BOOST_AUTO_TEST_CASE(names_and_printing) {
  TransformerEncoderLayer layer(4, 2, {.dim_feedforward = 3});
  std::string names;
  for (const auto& [name, value] : layer.state_dict()) names += name + " ";
  BOOST_TEST(
      names ==
      "self_attn.in_proj_weight self_attn.in_proj_bias self_attn.out_proj.weight self_attn.out_proj.bias "
      "linear1.weight linear1.bias linear2.weight linear2.bias norm1.weight norm1.bias norm2.weight norm2.bias ");
  BOOST_TEST(MultiheadAttention(4, 2, {.is_causal = true}).extra_repr() == "embed_dim=4, num_heads=2, is_causal=True");
}

BOOST_AUTO_TEST_CASE(what_a_recording_shows) {
  manual_seed(18);
  for (const bool norm_first : {false, true}) {
    Sequential<double> net{
        Embedding<double>(5, 4),
        TransformerEncoderLayer<double>(4, 2, {.dim_feedforward = 3, .dropout = 0.1, .norm_first = norm_first}),
        Linear<double>(4, 3)};
    const Tensor<double> x{{1, 0}, {4, 4}, {2, 1}}, dy = randn<double>({3, 2, 3});
    trace::Recorder recorder;
    net.forward(x);
    net.backward(dy);
    const trace::Trace recorded = recorder.stop();
    std::size_t checked = 0;
    for (const std::string& lie : test::formulas_that_lie(recorded, checked)) BOOST_ERROR(lie);
    BOOST_TEST(checked > 200u);
    std::string seen;
    for (const auto& assignment : recorded.assignments) seen += assignment.layer + " " + assignment.target + "\n";
    for (const char* one :
         {"1.self_attn y", "1.self_attn dx", "1.self_attn.out_proj dW", "1.linear1 y", "1.norm2 dx", "1 y", "1 dx"})
      BOOST_TEST((seen.find(one) != std::string::npos), one << " in\n" << seen);
  }
}

// Records every assignment of one head of one sequence, from the queries to dx.
BOOST_AUTO_TEST_CASE(one_head_is_recorded_in_full) {
  manual_seed(19);
  for (const bool causal : {false, true}) {
    MultiheadAttention<double> layer(3, 1, {.bias = causal, .is_causal = causal});
    for (auto& [name, parameter] : layer.named_parameters()) normal_(parameter.value());
    if (!causal) layer.key_padding_mask(Tensor<double>{0, 0, 1, 0});
    const Tensor<double> x = randn<double>({4, 3}), dy = randn<double>({4, 3});
    trace::Recorder recorder;
    layer.forward(x);
    layer.backward(dy);
    const trace::Trace recorded = recorder.stop();
    std::size_t checked = 0;
    for (const std::string& lie : test::formulas_that_lie(recorded, checked)) BOOST_ERROR(lie);
    BOOST_TEST(checked > 200u);
    std::string seen;
    for (const auto& assignment : recorded.assignments)
      if (assignment.layer.empty()) seen += assignment.target + " ";
    BOOST_TEST(seen == (causal ? "Q K V S m e P O y dO dV dP D dS dQ dK dW db dx "
                               : "Q K V S m e P O y dO dV dP D dS dQ dK dW dx "));
  }
}
