// RNN, LSTM and GRU against PyTorch (values, states, all gradients) and differences; and what is special to sequences:
// pieces, the last step alone, states.
#include "handgrad/layers/recurrent.hpp"

#include <cmath>
#include <memory>
#include <sstream>

#include "handgrad/base/random.hpp"
#include "handgrad/base/threads.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/io/safetensors.hpp"
#include "handgrad/layers/linear.hpp"
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
std::shared_ptr<Recurrent<T>> make(const std::string& name, std::size_t in, std::size_t hidden,
                                   const RecurrentOptions& o, const std::string& nonlinearity = "tanh") {
  if (name == "LSTM") return std::make_shared<LSTM<T>>(in, hidden, o);
  if (name == "GRU") return std::make_shared<GRU<T>>(in, hidden, o);
  return std::make_shared<RNN<T>>(
      in, hidden, RNNOptions{o.num_layers, nonlinearity, o.bias, o.batch_first, o.dropout, o.bidirectional, o.output});
}

template <class T>
std::shared_ptr<Recurrent<T>> make(const Reference& r) {
  const Reference o = r["options"];
  const auto size = [&](const char* key) { return static_cast<std::size_t>(r[key].number()); };
  return make<T>(r["layer"].text(), size("in"), size("hidden"),
                 {.num_layers = static_cast<std::size_t>(o.number("num_layers", 1)),
                  .bias = o.flag("bias", true),
                  .batch_first = o.flag("batch_first", false),
                  .bidirectional = o.flag("bidirectional", false)},
                 o.contains("nonlinearity") ? o["nonlinearity"].text() : "tanh");
}

template <class T>
RecurrentState<T> states(const Reference& list, Device device) {
  RecurrentState<T> state{list[0].tensor<T>().to(device), {}};
  if (list.size() > 1) state.c = list[1].tensor<T>().to(device);
  return state;
}

template <class T>
void check_run(Recurrent<T>& layer, const Tensor<T>& x, const Reference& run, double tolerance) {
  const std::string where = run.where();
  const Device device = x.device();
  const bool given = run.contains("states");
  const RecurrentState<T> first = given ? states<T>(run["states"], device) : RecurrentState<T>(),
                          dend = run.contains("dend") ? states<T>(run["dend"], device) : RecurrentState<T>();
  const Tensor<T> dy = run["dy"].tensor<T>().to(device);
  const auto forward = [&] { return given ? layer.forward(x, first) : layer.forward(x); };
  const auto gradients_are = [&](double factor) {
    BOOST_TEST(layer.named_parameters().size() == run["grads"].size());
    for (const auto& [name, parameter] : layer.named_parameters()) {
      Tensor<double> expected = run["grads"][name.c_str()].template tensor<double>();
      for (double* g = expected.data(); g != expected.data() + expected.numel(); ++g) *g *= factor;
      check_close(parameter.grad(), expected, factor * tolerance, where + " gradient of " + name);
    }
  };
  layer.zero_grad();
  check_close(forward(), run["y"].tensor<double>(), tolerance, where + " y");
  check_close(layer.final_state().h, run["end"][0].tensor<double>(), tolerance, where + " h_n");
  if (run["end"].size() > 1)
    check_close(layer.final_state().c, run["end"][1].tensor<double>(), tolerance, where + " c_n");
  check_close(layer.backward(dy, dend), run["dx"].tensor<double>(), tolerance, where + " dx");
  gradients_are(1);
  if (given) {
    check_close(layer.initial_gradient().h, run["dstates"][0].tensor<double>(), tolerance, where + " dh0");
    if (run["dstates"].size() > 1)
      check_close(layer.initial_gradient().c, run["dstates"][1].tensor<double>(), tolerance, where + " dc0");
  }
  check_close(layer.backward(dy, dend), run["dx"].tensor<double>(), tolerance, where + " dx again");
  gradients_are(2);
  layer.zero_grad();
  forward();
  layer.requires_input_grad(false);
  BOOST_TEST(!layer.backward(dy, dend).defined());
  gradients_are(1);
  layer.requires_input_grad(true);
}

std::string decoded(const std::string& base64) {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0, count = 0;
  for (const char letter : base64) {
    if (letter == '=') break;
    bits = bits << 6 | static_cast<unsigned>(letters.find(letter));
    if ((count += 6) >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 255);
  }
  return bytes;
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(values_states_and_gradients_are_torchs) {
  using T = typename Place::T;
  std::size_t checked = 0;
  for (const Reference r : Reference::file("recurrent")["cases"]) {
    const auto layer = make<T>(r);
    for (auto& [name, parameter] : layer->named_parameters())
      parameter.value().copy_from(r["parameters"][name.c_str()].template tensor<T>());
    layer->to(Place::device());
    BOOST_TEST_CONTEXT(r["layer"].text() << " " << r["options"].where()) {
      const Tensor<T> x = r["x"].tensor<T>().to(Place::device());
      check_run(*layer, x, r["with_states"], 10 * Place::tolerance);
      check_run(*layer, x, r["zeros"], 10 * Place::tolerance);
    }
    ++checked;
  }
  BOOST_TEST(checked == 40u);
}

HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(backwards_are_the_derivatives_of_forwards) {
  struct Case {
    std::size_t steps, batch, in, hidden;
    RecurrentOptions options;
  };
  const Case cases[] = {{3, 2, 3, 5, {}},
                        {1, 2, 3, 2, {}},
                        {4, 1, 2, 3, {.bias = false}},
                        {3, 2, 5, 3, {.num_layers = 2, .dropout = 0.4}},
                        {3, 2, 3, 2, {.num_layers = 2, .bidirectional = true}},
                        {3, 2, 3, 2, {.bidirectional = true, .output = Steps::Last}},
                        {3, 5, 2, 3, {.batch_first = true}},
                        {3, 5, 2, 3, {.batch_first = true, .output = Steps::Last}}};
  manual_seed(11);
  for (const char* name : {"tanh", "relu", "LSTM", "GRU"})
    for (const Case& c : cases) {
      const auto layer = make<double>(name, c.in, c.hidden, c.options, name == std::string("relu") ? name : "tanh");
      layer->to(Place::device());
      const auto& o = c.options;
      const Tensor<double> x =
          randn<double>(o.batch_first ? Shape{c.batch, c.steps, c.in} : Shape{c.steps, c.batch, c.in})
              .to(Place::device());
      BOOST_TEST_CONTEXT(name << ", layers " << o.num_layers << ", directions " << layer->num_directions()) {
        // From zeros, one step does not depend on W_hh.
        BOOST_TEST((check_gradients(*layer, x).verdict() == (c.steps > 1 ? Verdict::Pass : Verdict::Inconclusive)));
        const Shape shape{o.num_layers * layer->num_directions(), c.batch, c.hidden};
        RecurrentState<double> state{randn<double>(shape).to(Place::device()), {}};
        if (name == std::string("LSTM")) state.c = randn<double>(shape).to(Place::device());
        layer->set_state(state);
        const GradientReport report = check_gradients(*layer, x);
        BOOST_TEST(report.passed(), report);
        BOOST_TEST((report["h0"].verdict == Verdict::Pass));
        if (state.c.defined()) BOOST_TEST((report["c0"].verdict == Verdict::Pass));
        BOOST_TEST(!layer->side_outputs()[0].gradient->defined());  // restored
      }
    }
}

BOOST_AUTO_TEST_CASE(parameters_begin_as_torchs) {
  const auto check = [](auto number, const Reference& r) {
    using T = decltype(number);
    manual_seed(3);
    const auto layer = make<T>(r);
    BOOST_TEST(layer->named_parameters().size() == r["parameters"].size());
    for (const auto& [name, parameter] : layer->named_parameters())
      BOOST_TEST((parameter.value() == r["parameters"][name.c_str()].template tensor<T>()), name);
  };
  for (const Reference r : Reference::file("recurrent")["beginnings"])
    r.flag("double", false) ? check(0.0, r) : check(0.0f, r);
}

BOOST_AUTO_TEST_CASE(an_lstm_that_torch_saved_predicts_the_same) {
  const Reference saved = Reference::file("recurrent")["saved"];
  const test::TemporaryFolder folder;
  write_file(folder / "lstm.safetensors", decoded(saved["file"].text()));
  LSTM lstm(4, 6, {.num_layers = 2, .batch_first = true});
  lstm.load_state_dict(read_safetensors(folder / "lstm.safetensors").tensors);
  check_close(lstm.forward(saved["x"].tensor<float>()), saved["y"].tensor<double>(), 1e-6, "y");
}

HANDGRAD_TEST_EVERYWHERE(pieces_that_carry_their_state_are_the_whole) {
  using T = typename Place::T;
  for (const char* name : {"RNN", "LSTM", "GRU"}) {
    manual_seed(5);
    const auto layer = make<T>(name, 3, 5, {.num_layers = 2});
    layer->to(Place::device());
    const Tensor<T> x = randn<T>({7, 2, 3}).to(Place::device());
    const Tensor<T> y = layer->forward(x).clone(), h = layer->final_state().h.clone();
    layer->carry_state();
    layer->reset_state();
    const Tensor<T> first = layer->forward(x.rows(0, 4)).clone();
    const RecurrentState<T> between{layer->final_state().h.clone(),
                                    name == std::string("LSTM") ? layer->final_state().c.clone() : Tensor<T>()};
    const Tensor<T> second = layer->forward(x.rows(4, 7)).clone();
    BOOST_TEST((first == y.rows(0, 4)));
    BOOST_TEST((second == y.rows(4, 7)));
    BOOST_TEST((layer->final_state().h == h));

    // The backward stops at the start of the piece, as if its initial state were a given constant.
    const Tensor<T> dy = randn<T>(second.shape()).to(Place::device());
    layer->zero_grad();
    const Tensor<T> dx = layer->backward(dy).clone();
    BOOST_TEST(!layer->initial_gradient().h.defined());
    std::vector<Tensor<T>> gradients;
    for (const auto& parameter : layer->parameters()) gradients.push_back(parameter.grad().clone());
    layer->carry_state(false);
    layer->zero_grad();
    layer->forward(x.rows(4, 7), between);
    BOOST_TEST((layer->backward(dy) == dx));
    for (std::size_t i = 0; i < gradients.size(); ++i) BOOST_TEST((layer->parameters()[i].grad() == gradients[i]));
    BOOST_TEST((layer->forward(x) == y));  // from zeros again

    layer->carry_state();
    layer->reset_state();
    layer->forward(x);
    check_throws<ShapeError>(
        [&] {
          layer->forward(randn<T>({4, 3, 3}).to(Place::device()));
        },
        {"carried over has shape (2, 2, 5)", "(2, 3, 5) expected", "reset_state()"});
  }
}

HANDGRAD_TEST_EVERYWHERE(the_last_step_alone) {
  using T = typename Place::T;
  for (const char* name : {"RNN", "LSTM", "GRU"})
    for (const bool both : {false, true}) {
      manual_seed(6);
      const RecurrentOptions options{.num_layers = 2, .batch_first = true, .bidirectional = both};
      RecurrentOptions last = options;
      last.output = Steps::Last;
      const auto all = make<T>(name, 3, 5, options), one = make<T>(name, 3, 5, last);
      one->load_state_dict(all->state_dict());
      all->to(Place::device());
      one->to(Place::device());
      const Tensor<T> x = randn<T>({2, 4, 3}).to(Place::device());
      const std::size_t width = both ? 10 : 5;
      const Tensor<T> y = all->forward(x).cpu().clone(), end = one->forward(x).cpu().clone();
      BOOST_TEST_REQUIRE((end.shape() == Shape{2, width}));
      // δ at the last step; for the reverse direction that is the first.
      Tensor<T> delta = randn<T>({2, width}), dy = zeros<T>({2, 4, width});
      for (std::size_t n = 0; n < 2; ++n)
        for (std::size_t j = 0; j < width; ++j) {
          const std::size_t t = j < 5 ? 3 : 0, at = (n * 4 + t) * width + j;
          BOOST_TEST(end.item(n, j) == y.data()[at]);
          dy.data()[at] = delta.data()[n * width + j];
        }
      all->zero_grad();
      one->zero_grad();
      const Tensor<T> dx = all->backward(dy.to(Place::device())).clone();
      BOOST_TEST((one->backward(delta.to(Place::device())) == dx));
      for (std::size_t i = 0; i < all->parameters().size(); ++i)
        BOOST_TEST((all->parameters()[i].grad() == one->parameters()[i].grad()));
    }
}

// Products with a prepacked W have the bits of the library's products: h = max(x·Vᵀ + h₀·Wᵀ, 0), h₀·Wᵀ by matmul.
BOOST_AUTO_TEST_CASE(bits_are_the_products_whatever_the_threads) {
  for (const auto& [batch, hidden] : std::vector<std::pair<std::size_t, std::size_t>>{
           {1, 1}, {1, 37}, {2, 3}, {13, 32}, {31, 33}, {32, 128}, {5, 257}, {64, 300}, {3, 4100}}) {
    manual_seed(8);
    RNN<float> rnn(1, hidden, {.nonlinearity = "relu", .bias = false});
    const Tensor<float> x = randn({1, batch, 1}), h0 = randn({1, batch, hidden}), dy = randn({1, batch, hidden});
    const Tensor<float> W = rnn.weight_hh();
    Tensor<float> Wt = Tensor<float>::empty({hidden, hidden});
    for (std::size_t i = 0; i < hidden; ++i)
      for (std::size_t j = 0; j < hidden; ++j) Wt.data()[j * hidden + i] = W.data()[i * hidden + j];
    const Tensor<float> q = matmul(h0.reshape({batch, hidden}), Wt);
    const Tensor<float> p = matmul(x.reshape({batch, 1}), rnn.weight_ih().value().reshape({1, hidden}));
    Tensor<float> dp = Tensor<float>::empty({batch, hidden});
    for (const int threads : {1, 2, 3}) {
      set_num_threads(threads);
      const Tensor<float> h = rnn.forward(x, {h0, {}});
      std::size_t differ = 0;
      for (std::size_t i = 0; i < h.numel(); ++i) {
        const float a = p.data()[i] + q.data()[i];
        differ += h.data()[i] != std::max(a, 0.0f);
        dp.data()[i] = a > 0 ? dy.data()[i] : 0;
      }
      BOOST_TEST(differ == 0u, "forward, batch " << batch << ", hidden " << hidden << ", threads " << threads);
      rnn.backward(dy);
      BOOST_TEST((rnn.initial_gradient().h.reshape({batch, hidden}) == matmul(dp, W)));
    }
  }
  set_num_threads(2);
}

BOOST_AUTO_TEST_CASE(many_steps_have_the_same_bits_on_any_number_of_threads) {
  for (const char* name : {"RNN", "LSTM", "GRU"}) {
    manual_seed(9);
    const auto layer = make<float>(name, 7, 65, {.bidirectional = true});
    const Tensor<float> x = randn({11, 37, 7}), dy = randn({11, 37, 130});
    std::vector<std::vector<float>> found[2];
    for (const int threads : {1, 2}) {
      set_num_threads(threads);
      layer->zero_grad();
      auto& all = found[threads - 1];
      all.push_back(layer->forward(x).to_vector());
      all.push_back(layer->backward(dy).to_vector());
      for (const auto& parameter : layer->parameters()) all.push_back(parameter.grad().to_vector());
    }
    BOOST_TEST((found[0] == found[1]));
  }
}

HANDGRAD_TEST_EVERYWHERE(frozen_parameters_get_no_gradient_and_change_no_other) {
  using T = typename Place::T;
  for (const char* name : {"RNN", "LSTM", "GRU"}) {
    manual_seed(12);
    const auto layer = make<T>(name, 3, 5, {.num_layers = 2});
    layer->to(Place::device());
    const Tensor<T> x = randn<T>({4, 2, 3}).to(Place::device()), dy = randn<T>({4, 2, 5}).to(Place::device());
    layer->forward(x);
    const Tensor<T> dx = layer->backward(dy).clone();
    std::vector<Tensor<T>> gradients;
    for (const auto& parameter : layer->parameters()) gradients.push_back(parameter.grad().clone());
    for (std::size_t frozen = 0; frozen < gradients.size(); ++frozen) {
      layer->requires_grad(true);
      layer->parameters()[frozen].requires_grad(false);
      layer->zero_grad();
      BOOST_TEST((layer->backward(dy) == dx));
      for (std::size_t i = 0; i < gradients.size(); ++i)
        if (i == frozen)
          BOOST_TEST(!layer->parameters()[i].has_grad());
        else
          BOOST_TEST((layer->parameters()[i].grad() == gradients[i]));
    }
    layer->freeze();
    BOOST_TEST((layer->backward(dy) == dx));
  }
}

namespace {

/// The numbers of what a recording calls by that name.
std::vector<double> recorded(const trace::Trace& trace, const std::string& target) {
  for (std::size_t i = 0; i < trace.assignments.size(); ++i)
    if (trace.assignments[i].target == target) return trace.result(i).numbers;
  BOOST_ERROR("nothing is called " << target);
  return {};
}

/// The states that the formulas give are y's, and their gradients of the gates add up to the library's of the biases:
/// of every layer and direction, which all are on the way.
void check_states_and_gates(const trace::Trace& trace, const Recurrent<double>& layer, std::size_t steps,
                            std::size_t batch) {
  const std::size_t layers = layer.num_layers(), directions = layer.num_directions(), H = layer.hidden_size();
  const std::vector<std::string> numbers{"₀", "₁", "₂", "₃", "₄"};
  const std::vector<std::string> gates = layer.name() == "LSTM"  ? std::vector<std::string>{"di", "df", "dg", "do"}
                                         : layer.name() == "GRU" ? std::vector<std::string>{"dr", "dz", "dn"}
                                                                 : std::vector<std::string>{"da"};
  const std::vector<double> y = recorded(trace, "y");
  for (std::size_t l = 0; l < layers; ++l)
    for (std::size_t d = 0; d < directions; ++d) {
      const std::string mark = layers * directions == 1 ? "" : "_l" + std::to_string(l) + (d > 0 ? "r" : "");
      std::vector<double> sums(gates.size() * H);
      for (std::size_t t = 1; t <= steps; ++t) {
        const std::vector<double> h = recorded(trace, "h" + numbers[t] + mark);
        for (std::size_t n = 0; n < batch && l + 1 == layers; ++n)
          for (std::size_t j = 0; j < H; ++j)
            BOOST_TEST(std::abs(y[((t - 1) * batch + n) * directions * H + d * H + j] - h[n * H + j]) < 1e-14);
        for (std::size_t g = 0; g < gates.size(); ++g) {
          const std::vector<double> one = recorded(trace, gates[g] + numbers[t] + mark);
          for (std::size_t i = 0; i < one.size(); ++i) sums[g * H + i % H] += one[i];
        }
      }
      const std::vector<double> theirs = recorded(trace, "dbx" + mark);
      BOOST_REQUIRE(theirs.size() == sums.size());
      for (std::size_t i = 0; i < sums.size(); ++i) BOOST_TEST(std::abs(sums[i] - theirs[i]) < 1e-13);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_recorded_step_is_what_its_formulas_say) {
  for (const char* name : {"tanh", "relu", "LSTM", "GRU"})
    for (const std::size_t steps : {1u, 3u, 7u})
      for (const std::size_t layers : {1u, 2u, 3u})
        for (const bool both : {false, true})
          for (const bool last : {false, true}) {
            manual_seed(13);
            const auto layer = make<double>(name, 3, 2,
                                            {.num_layers = layers,
                                             .bias = !last,
                                             .batch_first = last,
                                             .bidirectional = both,
                                             .output = last ? Steps::Last : Steps::All},
                                            name == std::string("relu") ? name : "tanh");
            const std::size_t width = both ? 4 : 2;
            const Tensor<double> x = randn<double>(last ? Shape{2, steps, 3} : Shape{steps, 2, 3}),
                                 dy = randn<double>(last ? Shape{2, width} : Shape{steps, 2, width});
            trace::Recorder recorder;
            layer->forward(x);
            layer->backward(dy);
            const trace::Trace trace = recorder.stop();
            BOOST_TEST_CONTEXT(name << ", " << steps << " steps, " << layers << " layers"
                                    << (both ? ", both ways" : "")) {
              const std::size_t checked = test::check_formulas(trace);
              for (const auto& assignment : trace.assignments) BOOST_TEST(assignment.why.size() > 10u);
              if (steps == 7) continue;  // in symbols
              BOOST_TEST(checked >= 12 * steps * layers * (both ? 2 : 1));
              if (!last) check_states_and_gates(trace, *layer, steps, 2);
            }
          }
}

BOOST_AUTO_TEST_CASE(in_a_network) {
  manual_seed(4);
  Sequential net{LSTM<double>(3, 5, {.output = Steps::Last}), Linear<double>(5, 2)};
  HANDGRAD_CHECK_GRADIENTS(net, randn<double>({4, 3, 3}));
  std::ostringstream text;
  text << LSTM(3, 5, {.num_layers = 2, .bias = false, .batch_first = true, .bidirectional = true});
  BOOST_TEST(text.str() ==
             "LSTM(3, 5, num_layers=2, bias=False, batch_first=True, bidirectional=True)\n920 parameters");
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused_in_words) {
  LSTM lstm(3, 5);
  GRU gru(3, 5);
  check_throws<ShapeError>([&] { lstm.forward(randn({2, 4})); }, {"LSTM(3 → 5)", "(T, N, 3)", "(2, 4) came"});
  check_throws<ShapeError>([&] { lstm.forward(randn({3})); }, {"(3,) came"});
  check_throws<ShapeError>([&] { lstm.forward(randn({2, 3, 4, 3})); }, {"(2, 3, 4, 3) came"});
  const Tensor<float> x = randn({2, 4, 3}), h = randn({1, 4, 5});
  check_throws<StateError>([&] { lstm.forward(x, {h, {}}); }, {"c0 is missing", "h and c"});
  check_throws<StateError>([&] { gru.forward(x, {h, h}); }, {"c0 came", "only an LSTM"});
  check_throws<ShapeError>(
      [&] {
        gru.forward(x, {randn({1, 3, 5}), {}});
      },
      {"h0 of shape (1, 4, 5)", "(1, 3, 5) came"});
  check_throws<StateError>([&] { gru.backward(randn({2, 4, 5}), {h, {}}); }, {"backward before any forward"});
  gru.forward(x);
  check_throws<ShapeError>([&] { gru.backward(randn({2, 4, 5}), {randn({4, 5}), {}}); }, {"h_n of shape (1, 4, 5)"});
  check_throws<StateError>([&] { gru.backward(randn({2, 4, 5}), {h, h}); }, {"only an LSTM"});
  check_throws<ShapeError>([&] { gru.backward(randn({2, 4, 3})); }, {"(2, 4, 5)"});
  check_throws<ValueError>([] { LSTM(0, 3); }, {"LSTM(0 → 3"});
  check_throws<ValueError>([] { GRU(1, 3, {.num_layers = 0}); }, {"0 layers"});
  check_throws<ValueError>([] { GRU(1, 3, {.dropout = 1.5}); }, {"dropout = 1.5"});
  check_throws<ValueError>([] { RNN(1, 3, {.nonlinearity = "sigmoid"}); }, {"'tanh' or 'relu'", "'sigmoid' came"});
  check_throws<ValueError>([&] { lstm.weight_hh(1); }, {"1 layers and 1 directions"});
}
