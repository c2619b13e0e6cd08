// Embedding and PositionalEncoding: against PyTorch (reference/attention.json), errors, and steps that update only few
// rows but equal those that update all.
#include "handgrad/layers/embedding.hpp"

#include <limits>

#include "handgrad/base/random.hpp"
#include "handgrad/base/threads.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/positional_encoding.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/clip_grad.hpp"
#include "handgrad/optim/sgd.hpp"
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

template <class T>
Embedding<T> made(const Reference& reference, Device device) {
  const Reference args = reference["args"];
  EmbeddingOptions options;
  if (!args.is_null("padding_idx")) options.padding_idx = static_cast<std::int64_t>(args["padding_idx"].number());
  Embedding<T> layer(static_cast<std::size_t>(args["num_embeddings"].number()),
                     static_cast<std::size_t>(args["embedding_dim"].number()), options);
  layer.weight = reference["parameters"]["weight"].tensor<T>();
  layer.to(device);
  return layer;
}

template <class T>
void poison(Tensor<T> tensor) {
  tensor.fill(std::numeric_limits<T>::quiet_NaN());
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(embeddings_agree_with_torch) {
  using T = typename Place::T;
  for (const Reference reference : Reference::file("attention")["embeddings"]) {
    BOOST_TEST_CONTEXT(reference["args"].where()) {
      Embedding<T> layer = made<T>(reference, Place::device());
      const Tensor<T> x = reference["x"].tensor<T>().to(Place::device()),
                      dy = reference["dy"].tensor<T>().to(Place::device());
      const Tensor<double> expected = reference["grads"]["weight"].tensor<double>();
      const auto times = [&](double factor) {
        std::vector<double> g = expected.to_vector();
        for (double& v : g) v *= factor;
        return g;
      };
      for (int step = 0; step < 3; ++step) {
        layer.zero_grad();
        check_close(layer.forward(x), reference["y"].tensor<double>(), Place::tolerance, "y");
        BOOST_TEST(!layer.backward(dy).defined());
        if (step == 2) layer.backward(dy);  // without reading the gradient in between
        check_close(layer.weight.grad().to_vector(), times(step == 2 ? 2 : 1), Place::tolerance, "dE");
        layer.backward(dy);
        check_close(layer.weight.grad().to_vector(), times(step == 2 ? 3 : 2), Place::tolerance, "dE, once more");
        poison(layer.weight.grad());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_with_respect_to_the_table) {
  manual_seed(1);
  for (const Reference reference : Reference::file("attention")["embeddings"]) {
    Embedding<double> layer = made<double>(reference, Device::cpu());
    const Tensor<double> x = reference["x"].tensor<double>();
    if (reference["args"].is_null("padding_idx")) {
      HANDGRAD_CHECK_GRADIENTS(layer, x);
    } else {  // by convention the padding row gets no gradient; it is not used here
      Tensor<double> others = x.clone();
      const double padding = reference["args"]["padding_idx"].number(),
                   rows = reference["args"]["num_embeddings"].number();
      for (double* i = others.data(); i != others.data() + others.numel(); ++i)
        if (*i == padding || *i == rows + padding) *i = *i == 1 ? 0 : 1;
      HANDGRAD_CHECK_GRADIENTS(layer, others);
    }
  }
  Sequential net{Embedding<double>(7, 5), Linear<double>(5, 3)};
  HANDGRAD_CHECK_GRADIENTS(net, Tensor<double>{{6, 0, 3}, {6, 6, 1}});
  MSELoss<double> loss;
  HANDGRAD_CHECK_GRADIENTS(net, loss, Tensor<double>{6, 0, 3, 6}, randn<double>({4, 3}));
}

// More places than a device sums in one go, of rows that are frequent, rare, padding or not there at all.
HANDGRAD_TEST_EVERYWHERE(a_row_collects_from_all_its_places) {
  using T = typename Place::T;
  const std::size_t n = 1000, rows = 9, columns = 3, padding = 2;
  Generator generator(5);
  std::vector<T> x(n), dy(n * columns);
  std::vector<double> expected(rows * columns);
  for (std::size_t t = 0; t < n; ++t) {
    const std::size_t k = t == 777 ? 7 : t % 3 == 0 ? 0 : 1 + generator.random() % 5;
    x[t] = static_cast<T>(k);
    for (std::size_t j = 0; j < columns; ++j) {
      dy[t * columns + j] = generator.uniform<T>();
      if (k != padding) expected[k * columns + j] += static_cast<double>(dy[t * columns + j]);
    }
  }
  Embedding<T> layer(rows, columns, {.padding_idx = static_cast<std::int64_t>(padding)});
  layer.to(Place::device());
  layer.forward(Tensor<T>({n}, x).to(Place::device()));
  const Tensor<T> delta = Tensor<T>({n, columns}, dy).to(Place::device());
  layer.backward(delta);
  const std::vector<T> once = layer.weight.grad().to_vector();
  check_close(once, expected, Place::tolerance, "dE");
  layer.zero_grad();
  layer.backward(delta);
  BOOST_TEST(layer.weight.grad().to_vector() == once, boost::test_tools::per_element());
}

HANDGRAD_TEST_EVERYWHERE(what_is_no_row_is_an_error) {
  using T = typename Place::T;
  Embedding<T> layer(5, 2);
  layer.to(Place::device());
  for (const double bad : {5.0, -1.0, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    const Tensor<T> x = Tensor<T>{0, 4, bad}.to(Place::device());
    check_throws<ValueError>([&] { layer.forward(x).to_vector(); }, {"4 expected"});
    // Changed between forward and backward
    Tensor<T> changed = Tensor<T>{0, 4, 2}.to(Place::device());
    const Tensor<T> dy = ones<T>({3, 2}, Place::device());
    layer.forward(changed).to_vector();
    changed.copy_from(x);
    check_throws<ValueError>([&] { layer.backward(dy), layer.weight.grad().to_vector(); }, {"4 expected"});
    layer.zero_grad();
    changed.copy_from(Tensor<T>{0, 4, 2});
    layer.backward(dy);
    BOOST_TEST(layer.weight.grad().to_vector() == (std::vector<T>{1, 1, 0, 0, 1, 1, 0, 0, 1, 1}),
               boost::test_tools::per_element());
  }
  BOOST_TEST(layer.forward(Tensor<T>{0, 4}.to(Place::device())).numel() == 4u);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_made) {
  check_throws<ValueError>([] { Embedding<float>(0, 3); }, {"Embedding(0, 3)"});
  check_throws<ValueError>([] { Embedding<float>(3, 2, {.padding_idx = 3}); }, {"padding_idx = 3", "3"});
  check_throws<ValueError>([] { Embedding<float>(3, 2, {.padding_idx = -4}); }, {"padding_idx = -4"});
  check_throws<ValueError>([] { Embedding<float>((1u << 24) + 1, 1); }, {"16777216"});
  Embedding<float> layer(3, 2);
  check_throws<ShapeError>([&] { layer.forward(zeros({1, 1, 1, 1})); }, {"at most 3", "(1, 1, 1, 1)"});
  BOOST_TEST(layer.forward(Tensor<float>{2, 0}).shape().str() == "(2, 2)");
  check_throws<ValueError>(
      [&] {
        layer.forward(Tensor<float>{0, 3});
      },
      {"Embedding(3, 2)", "index 3", "at place 1", "0 to 2"});
}

HANDGRAD_TEST_EVERYWHERE(what_the_constructor_draws_is_torchs) {
  using T = typename Place::T;
  if constexpr (std::is_same_v<T, float>) {
    manual_seed(7);
    Embedding<T> layer(5, 4, {.padding_idx = 1});
    check_close(layer.weight.value(), Reference::file("attention")["drawn"][0]["float"]["weight"].tensor<float>(), 1e-7,
                "weight");
    auto fixed = Embedding<T>::from_pretrained(layer.weight.value());
    BOOST_TEST(!fixed.weight.requires_grad());
    BOOST_TEST(Embedding<T>::from_pretrained(layer.weight.value(), false).weight.requires_grad());
    fixed.forward(Tensor<T>{1, 2});
    fixed.backward(ones<T>({2, 4}));
    BOOST_TEST(!fixed.weight.has_grad());
  }
}

namespace {

/// A table and a Linear, trained; `look` is called between backward and step.
template <class Opt, class Options, class Look>
std::vector<NamedTensor<float>> trained(Options options, bool padded, Look look) {
  manual_seed(3);
  EmbeddingOptions table;
  if (padded) table.padding_idx = 0;
  Sequential net{Embedding(101, 17, table), Linear(17, 3)};
  MSELoss loss;
  Opt optimizer(net.parameters(), options);
  for (int step = 0; step < 6; ++step) {
    const Tensor<float> x = randint(0, step == 3 ? 2 : 101, {13}), y = randn({13, 3});
    optimizer.zero_grad();
    for (int micro = 0; micro <= step % 2; ++micro) {  // some steps have two backwards
      loss.forward(net.forward(x), y);
      net.backward(loss.backward());
    }
    look(net);
    optimizer.step();
  }
  return net.state_dict();
}

}  // namespace

// Once read, a gradient is dense: filled with zeros and updated as a whole. Nothing else may change.
BOOST_AUTO_TEST_CASE(a_step_over_few_rows_is_a_step_over_all) {
  const auto nothing = [](Sequential<float>&) {};
  const auto at_all = [](Sequential<float>& net) { net.parameters()[0].grad(); };
  const auto same = [](const auto& a, const auto& b) {
    for (std::size_t i = 0; i < a.size(); ++i) BOOST_TEST((a[i].second == b[i].second), a[i].first);
  };
  for (const bool padded : {false, true})
    for (const SGDOptions& options :
         {SGDOptions{.lr = 0.1}, SGDOptions{.lr = 0.1, .momentum = 0.9}, SGDOptions{.lr = 0.1, .weight_decay = 0.01}})
      same(trained<SGD<float>>(options, padded, nothing), trained<SGD<float>>(options, padded, at_all));
  same(trained<Adam<float>>(AdamOptions{.lr = 0.1}, false, nothing),
       trained<Adam<float>>(AdamOptions{.lr = 0.1}, false, at_all));

  // Writing to the gradient is noticed, through an old handle or a new one.
  Embedding layer(7, 2);
  SGD<float> sgd(layer.parameters(), {.lr = 1});
  const auto step = [&](auto change) {
    sgd.zero_grad();
    layer.forward(Tensor<float>{1, 1});
    layer.backward(ones({2, 2}));
    const Tensor<float> before = layer.weight.value().clone();
    change();
    sgd.step();
    Tensor<float> difference = before.clone();
    for (std::size_t i = 0; i < difference.numel(); ++i) difference.data()[i] -= layer.weight.value().data()[i];
    return difference;
  };
  const auto one = Tensor<float>{{0, 0}, {2, 2}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}};
  BOOST_TEST(allclose(step([] {}), one, 0, 1e-6));
  BOOST_TEST(allclose(step([] {}), one, 0, 1e-6));
  BOOST_TEST(allclose(step([&] { Tensor<float>(layer.weight.grad()).fill(5); }), full<float>({7, 2}, 5), 0, 1e-5));
  Tensor<float> handle = layer.weight.grad();
  BOOST_TEST(allclose(step([&] { handle.fill(3); }), full<float>({7, 2}, 3), 0, 1e-5));
  handle = {};
  BOOST_TEST(allclose(step([] {}), one, 0, 1e-5));
  BOOST_TEST(allclose(step([&] { clip_grad_value_(layer.parameters(), 0.5); }),
                      Tensor<float>{{0, 0}, {0.5, 0.5}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}}, 0, 1e-5));
}

// Used twice, by rows and as a whole: the gradients add.
BOOST_AUTO_TEST_CASE(a_table_that_is_a_weight_too) {
  const Tensor<double> table{{1, 2, 3}, {5, 7, 11}};
  auto rows = Embedding<double>::from_pretrained(table, false);
  const Tensor<double> dy{{1, 10, 100}};
  for (const bool rows_first : {true, false}) {
    rows.zero_grad();
    const auto whole = [&] { rows.weight.accumulate(ones<double>({2, 3}).xt()); };
    rows.forward(Tensor<double>{1});
    if (!rows_first) whole();
    rows.backward(dy);
    if (rows_first) whole();
    rows.backward(dy);
    BOOST_TEST((rows.weight.grad() == Tensor<double>{{1, 1, 1}, {3, 21, 201}}));
  }
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_any_number_of_threads) {
  const int before = num_threads();
  manual_seed(4);
  const Tensor<float> x = randint(0, 50, {4000}), dy = randn({4000, 67});
  std::vector<Tensor<float>> gradients;
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    Embedding layer(50, 67);
    layer.forward(x);
    layer.backward(dy);
    gradients.push_back(layer.weight.grad());
  }
  set_num_threads(before);
  BOOST_TEST((gradients[0] == gradients[1]));
  BOOST_TEST((gradients[0] == gradients[2]));
}

HANDGRAD_TEST_EVERYWHERE(positions_are_those_of_the_tutorial) {
  using T = typename Place::T;
  for (const Reference reference : Reference::file("attention")["positions"]) {
    const auto features = static_cast<std::size_t>(reference["d_model"].number()),
               length = static_cast<std::size_t>(reference["max_len"].number());
    const Tensor<double> pe = reference["pe"].tensor<double>();
    for (const bool batch_first : {false, true}) {
      PositionalEncoding<T> layer(features, {.dropout = 0, .max_len = length, .batch_first = batch_first});
      layer.to(Place::device());
      check_close(layer.pe.value(), pe, std::is_same_v<T, float> ? 1e-6 : 1e-12, "pe");
      BOOST_TEST(layer.state_dict()[0].first == "pe");
      const std::size_t t = length - 1, n = 3;
      const Shape shape = batch_first ? Shape{n, t, features} : Shape{t, n, features};
      const Tensor<T> x = randn<T>(shape).to(Place::device());
      const std::vector<T> before = x.to_vector(), y = layer.forward(x).to_vector();
      for (std::size_t i = 0; i < y.size(); ++i) {
        const std::size_t row = i / features, place = batch_first ? row % t : row / n;
        BOOST_TEST(std::abs(double(y[i]) - double(before[i]) - pe.data()[place * features + i % features]) < 1e-6);
      }
      const Tensor<T> dy = randn<T>(shape).to(Place::device());
      BOOST_TEST((layer.backward(dy) == dy));
    }
    PositionalEncoding<T> alone(features, {.max_len = length});
    alone.to(Place::device());
    alone.eval();
    BOOST_TEST(allclose(alone.forward(zeros<T>({length, features}, Place::device())).reshape({length, 1, features}),
                        alone.pe.value()));
  }
}

BOOST_AUTO_TEST_CASE(positions_are_dropped_out_with_the_rest) {
  manual_seed(5);
  for (const bool batch_first : {false, true}) {
    PositionalEncoding<double> layer(5, {.dropout = 0.3, .max_len = 11, .batch_first = batch_first});
    HANDGRAD_CHECK_GRADIENTS(layer, randn<double>({2, 3, 5}));
    layer.eval();
    HANDGRAD_CHECK_GRADIENTS(layer, randn<double>({2, 3, 5}));
  }
  PositionalEncoding layer(5, {.max_len = 3});
  check_throws<ShapeError>([&] { layer.forward(zeros({4, 2, 5})); }, {"PositionalEncoding", "at most 3", "4"});
  check_throws<ShapeError>([&] { layer.forward(zeros({2, 2, 4})); }, {"(T, N, 5)", "(2, 2, 4)"});
}

BOOST_AUTO_TEST_CASE(what_a_recording_shows) {
  manual_seed(6);
  Sequential net{Embedding(5, 3, {.padding_idx = 2}), PositionalEncoding(3, {.dropout = 0, .max_len = 4})};
  trace::Recorder recorder;
  net.forward(Tensor<float>{{1, 2}, {4, 1}});
  net.backward(randn({2, 2, 3}));
  const trace::Trace recorded = recorder.stop();
  std::size_t checked = 0;
  for (const std::string& lie : test::formulas_that_lie(recorded, checked)) BOOST_ERROR(lie);
  BOOST_TEST(checked >= 12u + 12u + 15u + 12u);
  for (const auto& assignment : recorded.assignments)
    BOOST_TEST((assignment.target != "dx" || assignment.layer == "1"));
}
