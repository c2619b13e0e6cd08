// BatchNorm1d, LayerNorm and Dropout beyond the reference values (reference_test.cpp): gradients against differences,
// errors, and state.
#include "handgrad/check/testing.hpp"

#include <cmath>

#include "handgrad/base/random.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/group_norm.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/rms_norm.hpp"
#include "support/check.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_throws;

namespace {

Tensor<double> shifted(const Shape& shape, std::uint64_t seed) {
  Generator generator(seed);
  Tensor<double> x = Tensor<double>::empty(shape);
  return normal_(x, 1.5, 2, generator);
}

/// Weights other than 1 and 0, which would hide a wrong gradient.
template <class L>
void randomise(L& layer) {
  Generator generator(7);
  for (auto& [name, parameter] : layer.named_parameters()) uniform_(parameter.value(), 0.5, 2, generator);
}

}  // namespace

BOOST_AUTO_TEST_CASE(batch_norm_gradients_in_both_modes) {
  for (const Shape& shape : {Shape{2, 3}, Shape{5, 1}, Shape{7, 11}, Shape{131, 17}})
    for (const bool affine : {true, false}) {
      BatchNorm1d<double> layer(shape[1], {.affine = affine});
      randomise(layer);
      layer.forward(shifted(shape, 2));  // running statistics other than 0 and 1
      BOOST_TEST_CONTEXT(shape.str() << (affine ? " affine" : "")) {
        layer.train();
        HANDGRAD_CHECK_GRADIENTS(layer, shifted(shape, 3));
        layer.eval();
        HANDGRAD_CHECK_GRADIENTS(layer, shifted(shape, 4));
      }
    }
}

BOOST_AUTO_TEST_CASE(layer_norm_gradients) {
  for (const Shape& shape : {Shape{2, 3}, Shape{5, 2}, Shape{1, 7}, Shape{11, 17}, Shape{2, 3, 5}}) {
    LayerNorm<double> layer(shape[-1]);
    randomise(layer);
    BOOST_TEST_CONTEXT(shape.str()) HANDGRAD_CHECK_GRADIENTS(layer, shifted(shape, 5));
  }
  LayerNorm<double> two(Shape{3, 5});
  randomise(two);
  HANDGRAD_CHECK_GRADIENTS(two, shifted({2, 3, 5}, 6));
}

BOOST_AUTO_TEST_CASE(dropout_gradients_in_both_modes) {
  for (const Shape& shape : {Shape{2, 3}, Shape{7, 11}, Shape{5}, Shape{2, 3, 5}}) {
    Dropout<double> layer(0.3);
    HANDGRAD_CHECK_GRADIENTS(layer, shifted(shape, 8));
    layer.eval();
    HANDGRAD_CHECK_GRADIENTS(layer, shifted(shape, 8));
  }
}

BOOST_AUTO_TEST_CASE(a_network_of_all_of_them) {
  manual_seed(1);
  // No bias before BatchNorm, which removes any constant: its gradient is zero.
  Sequential net{Linear<double>(3, 7, false), BatchNorm1d<double>(7), Tanh<double>(), Dropout<double>(0.2),
                 Linear<double>(7, 5),        LayerNorm<double>(5),   SiLU<double>(), Linear<double>(5, 2)};
  HANDGRAD_CHECK_GRADIENTS(net, shifted({5, 3}, 9), {.tolerance = 1e-6});
  net.eval();
  HANDGRAD_CHECK_GRADIENTS(net, shifted({5, 3}, 9), {.tolerance = 1e-6});
}

BOOST_AUTO_TEST_CASE(a_batch_of_one_row_has_no_variance) {
  BatchNorm1d layer(3);
  check_throws<ShapeError>(
      [&] {
        layer.forward(Tensor<float>{{1, 2, 3}});
      },
      {"BatchNorm1d(3)", "2 rows", "(1, 3)", "eval()"});
  Sequential net{Linear(2, 3), BatchNorm1d(3)};
  check_throws<ShapeError>([&] { net.forward(Tensor<float>{{1, 2}}); }, {"Sequential[1] BatchNorm1d(3)"});
  layer.eval();
  layer.forward(Tensor<float>{{1, 2, 3}});
  layer.train();
  check_throws<ShapeError>([&] { layer.forward(Tensor<float>{{1, 2, 3}}); }, {"2 rows"});
  BatchNorm1d untracked(3, {.track_running_stats = false});
  untracked.eval();
  check_throws<ShapeError>([&] { untracked.forward(Tensor<float>{{1, 2, 3}}); }, {"2 rows"});
}

BOOST_AUTO_TEST_CASE(wrong_shapes_and_numbers_are_refused) {
  BatchNorm1d batch(3);
  check_throws<ShapeError>([&] { batch.forward(Tensor<float>{{1, 2}, {3, 4}}); }, {"2 columns", "3 expected"});
  check_throws<ShapeError>([&] { batch.forward(Tensor<float>{1, 2, 3}); }, {"BatchNorm1d(3)", "(3,)"});
  check_throws<ShapeError>([&] { batch.forward(zeros<float>({2, 5, 3})); }, {"5 channels", "3 expected", "(2, 5, 3)"});
  check_throws<ShapeError>([&] { batch.forward(zeros<float>({2, 3, 5, 1})); }, {"BatchNorm1d(3)", "(N, C, L)"});
  check_throws<ShapeError>([&] { batch.forward(zeros<float>({1, 3, 1})); }, {"BatchNorm1d(3)", "no variance"});
  BatchNorm2d images(3);
  check_throws<ShapeError>([&] { images.forward(zeros<float>({2, 3, 5})); }, {"BatchNorm2d(3)", "(N, C, H, W)"});
  check_throws<ShapeError>([&] { images.forward(zeros<float>({1, 3, 1, 1})); }, {"BatchNorm2d(3)", "no variance"});
  check_throws<ValueError>([] { BatchNorm2d(0); }, {"BatchNorm2d"});
  check_throws<ValueError>([] { GroupNorm(2, 3); }, {"GroupNorm", "num_channels = 3", "num_groups = 2"});
  check_throws<ValueError>([] { GroupNorm(0, 3); }, {"GroupNorm"});
  GroupNorm groups(2, 4);
  check_throws<ShapeError>([&] { groups.forward(zeros<float>({2, 3})); }, {"GroupNorm(2, 4)", "(N, 4, …)", "(2, 3)"});
  check_throws<ShapeError>([&] { groups.forward(zeros<float>({4})); }, {"GroupNorm(2, 4)", "(4,)"});
  RMSNorm rms(Shape{2, 3});
  check_throws<ShapeError>([&] { rms.forward(zeros<float>({3, 2})); }, {"RMSNorm(2, 3)", "(3, 2)"});
  check_throws<ValueError>([] { RMSNorm(3, {.eps = -1}); }, {"RMSNorm", "eps"});
  check_throws<ValueError>([] { RMSNorm(0); }, {"RMSNorm"});
  Dropout2d channels;
  check_throws<ShapeError>([&] { channels.forward(zeros<float>({3, 2})); }, {"Dropout2d", "(N, C, H, W)", "(3, 2)"});
  LayerNorm row(Shape{2, 3});
  check_throws<ShapeError>([&] { row.forward(zeros<float>({3, 2})); }, {"LayerNorm(2, 3)", "(3, 2)"});
  check_throws<ShapeError>([&] { row.forward(zeros<float>({3})); }, {"LayerNorm(2, 3)", "(3,)"});
  check_throws<ValueError>([] { BatchNorm1d(0); }, {"BatchNorm1d"});
  check_throws<ValueError>([] { BatchNorm1d(3, {.momentum = 2}); }, {"momentum"});
  check_throws<ValueError>([] { BatchNorm1d(3, {.eps = -1}); }, {"eps"});
  check_throws<ValueError>([] { LayerNorm(0); }, {"LayerNorm"});
  check_throws<ValueError>([] { Dropout(-0.1); }, {"Dropout", "-0.1"});
  check_throws<ValueError>([] { Dropout(1.5); }, {"1.5"});
  check_throws<ValueError>([] { Dropout(NAN); }, {"Dropout"});
}

BOOST_AUTO_TEST_CASE(backward_belongs_to_the_mode_of_the_last_forward) {
  Dropout<double> dropout(0.5);
  const Tensor<double> x = shifted({4, 5}, 10), ones = full<double>({4, 5}, 1);
  dropout.eval();
  dropout.forward(x);
  dropout.train();
  BOOST_TEST((dropout.backward(ones) == ones));

  BatchNorm1d<double> norm(5);
  norm.forward(x);
  const Tensor<double> dx = norm.backward(x).clone();
  norm.eval();
  BOOST_TEST((norm.backward(x) == dx));
}

// A float counter would stop at 2²⁴.
HANDGRAD_TEST_EVERYWHERE(batches_are_counted_beyond_what_float_holds) {
  using T = typename Place::T;
  const double many = 16777215;
  BatchNorm1d<T> layer(3, {.momentum = {}});
  layer.to(Place::device());
  layer.num_batches_tracked.value().fill(many);
  const Tensor<T> x = Tensor<T>{{1, 2, 3}, {4, 5, 7}}.to(Place::device());
  for (int i = 1; i <= 6; ++i) {
    layer.forward(x);
    BOOST_TEST(layer.num_batches_tracked.value().item() == many + i);
    BatchNorm1d<T> other(3);
    other.load_state_dict(layer.state_dict());
    BOOST_TEST(other.num_batches_tracked.value().item() == many + i);
  }
  auto state = layer.state_dict();
  BOOST_TEST(state.back().first == "num_batches_tracked");
  state.back().second = Tensor<T>{1, 2, 3};
  check_throws<ShapeError>([&] { layer.load_state_dict(state); }, {"num_batches_tracked", "one number", "(3,)"});
  BOOST_TEST(layer.num_batches_tracked.value().item() == many + 6);
}

HANDGRAD_TEST_EVERYWHERE(dropout2d_drops_channels_and_follows_its_state) {
  using T = typename Place::T;
  manual_seed(3);
  Dropout2d<T> dropout(0.25);
  const Tensor<T> x = full<T>({40, 25, 2, 3}, T(3), Place::device());
  const std::vector<T> y = dropout.forward(x).to_vector();
  std::size_t dropped = 0;
  for (std::size_t c = 0; c < 1000; ++c) {
    for (std::size_t i = 1; i < 6; ++i) BOOST_TEST(y[6 * c + i] == y[6 * c]);
    BOOST_TEST((y[6 * c] == 0 || std::abs(double(y[6 * c]) - 4) < 1e-6));
    dropped += y[6 * c] == 0;
  }
  BOOST_TEST((dropped > 200 && dropped < 300), dropped);
  BOOST_TEST((dropout.backward(x).to_vector() == y));
  const auto state = dropout.state();
  const std::vector<T> next = dropout.forward(x).to_vector();
  BOOST_TEST((next != y));
  Dropout2d<T> other(0.25);
  other.set_state(state);
  BOOST_TEST((other.forward(x).to_vector() == next));
  dropout.eval();
  BOOST_TEST((dropout.forward(x) == x));
}

// A channel whose spread is small beside its mean keeps its digits.
HANDGRAD_TEST_EVERYWHERE(channels_far_from_zero_keep_their_digits) {
  using T = typename Place::T;
  const double far = std::is_same_v<T, float> ? 1e4 : 1e12;
  Generator generator(3);
  Tensor<T> noise = rand<T>({2, 6, 3, 5}, generator);
  std::vector<T> near(noise.numel()), away(noise.numel());
  for (std::size_t i = 0; i < near.size(); ++i) {
    near[i] = std::round(noise.data()[i] * 16);
    away[i] = static_cast<T>(far) + near[i];
  }
  BatchNorm2d<T> batch(6);
  GroupNorm<T> group(2, 6);
  for (Layer<T>* layer : std::initializer_list<Layer<T>*>{&batch, &group}) {
    layer->to(Place::device());
    const std::vector<T> expected = layer->forward(Tensor<T>(noise.shape(), near).to(Place::device())).to_vector();
    test::check_close(layer->forward(Tensor<T>(noise.shape(), away).to(Place::device())).to_vector(), expected,
                      std::is_same_v<T, float> ? 1e-5 : 1e-12, layer->label());
  }
}

HANDGRAD_TEST_EVERYWHERE(group_norm_is_layer_norm_or_instance_norm_at_its_ends) {
  using T = typename Place::T;
  Generator generator(4);
  const Tensor<T> x = randn<T>({3, 4, 5}, generator).to(Place::device());
  GroupNorm<T> one(1, 4), each(4, 4);
  LayerNorm<T> layer(Shape{4, 5}), row(5);
  for (Layer<T>* l : std::initializer_list<Layer<T>*>{&one, &each, &layer, &row}) l->to(Place::device());
  const auto doubles = [](const Tensor<T>& t) {
    const std::vector<T> v = t.to_vector();
    return Tensor<double>(t.shape(), std::vector<double>(v.begin(), v.end()));
  };
  test::check_close(one.forward(x), doubles(layer.forward(x)), Place::tolerance, "one group");
  test::check_close(each.forward(x), doubles(row.forward(x)), Place::tolerance, "a group for each channel");
}

HANDGRAD_TEST_EVERYWHERE(dropout_keeps_its_share_and_its_mean) {
  using T = typename Place::T;
  manual_seed(11);
  for (const double p : {0.1, 0.5, 0.9}) {
    Dropout<T> layer(p);
    const std::size_t n = 100000;
    const Tensor<T> x = full<T>({n}, T(2)).to(Place::device());
    const std::vector<T> y = layer.forward(x).to_vector(), dx = layer.backward(x).to_vector();
    BOOST_TEST((y == dx));  // the forward's mask
    std::size_t dropped = 0;
    for (const T v : y) {
      BOOST_TEST_REQUIRE((v == T(0) || std::abs(v - 2 / (1 - p)) < 1e-5));
      dropped += v == T(0);
    }
    const double sigma = std::sqrt(p * (1 - p) / double(n));
    BOOST_TEST(std::abs(double(dropped) / double(n) - p) < 4 * sigma);
    BOOST_TEST((layer.forward(x).to_vector() != y));  // another mask
    layer.repeat_random(true);
    const std::vector<T> once = layer.forward(x).to_vector();
    BOOST_TEST((layer.forward(x).to_vector() == once));
  }
}

HANDGRAD_TEST_EVERYWHERE(dropout_masks_are_the_same_everywhere) {
  using T = typename Place::T;
  manual_seed(5);
  Dropout<T> first(0.5), second(0.5);
  const Tensor<T> x = full<T>({64}, T(1)).to(Place::device());
  const auto bits = [&](Dropout<T>& layer) {
    std::string text;
    for (const T v : layer.forward(x).to_vector()) text += v == T(0) ? '0' : '1';
    return text;
  };
  Dropout<double> on_cpu(0.5);
  on_cpu.set_state({5, 0, 0});
  const std::vector<double> expected = on_cpu.forward(full<double>({64}, 1)).to_vector();
  std::string text;
  for (const double v : expected) text += v == 0 ? '0' : '1';
  const std::string once = bits(first);
  BOOST_TEST(once == text);
  BOOST_TEST(bits(second) != once);  // each layer has its own stream
  const auto state = first.state();
  BOOST_TEST(state.step == 1u);
  const std::string twice = bits(first);
  BOOST_TEST(twice != once);
  first.set_state(state);
  BOOST_TEST(bits(first) == twice);
}

BOOST_AUTO_TEST_CASE(dropout_draws_nothing_of_the_default_generator) {
  manual_seed(3);
  const Linear<float> without(2, 3);
  manual_seed(3);
  Dropout layer(0.5);
  layer.forward(Tensor<float>{1, 2, 3});
  const Linear<float> with(2, 3);
  BOOST_TEST((with.weight.value() == without.weight.value()));
}
