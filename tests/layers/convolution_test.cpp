// Convolutions beyond PyTorch's values (reference_test.cpp): against their definition on a grid of strides, padding,
// dilation and groups, where sizes hardly ever divide each other; the adjoint identity; the same bits on any number of
// threads; errors, initialisation, printing.
#include "handgrad/layers/convolution.hpp"

#include <cmath>
#include <sstream>

#include "handgrad/base/random.hpp"
#include "handgrad/base/threads.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/containers/sequential.hpp"
#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::make_layer;
using handgrad::test::Reference;

namespace {

struct Case {
  std::size_t batch, in, out, groups, height, width;
  Size2d kernel, stride, padding, dilation;

  std::string text() const {
    std::ostringstream s;
    const auto pair = [&](const char* name, const Size2d& size) {
      s << ", " << name << " " << size.height << "×" << size.width;
    };
    s << batch << "×" << in << "×" << height << "×" << width << " → " << out << ", groups " << groups;
    pair("kernel", kernel), pair("stride", stride), pair("padding", padding), pair("dilation", dilation);
    return s.str();
  }
  Conv2dOptions options() const {
    return {.stride = stride, .padding = {padding.height, padding.width}, .dilation = dilation, .groups = groups};
  }
};

/// y, dW, db and dx, term by term from the definition.
struct Expected {
  std::vector<double> y, dW, db, dx;

  template <class T>
  Expected(const Case& c, const std::vector<T>& x, const std::vector<T>& W, const std::vector<T>& b,
           const std::vector<T>& dy, std::size_t rows, std::size_t columns)
      : y(c.batch * c.out * rows * columns), dW(W.size()), db(c.out), dx(x.size()) {
    const std::size_t C = c.in / c.groups, O = c.out / c.groups;
    for (std::size_t n = 0; n < c.batch; ++n)
      for (std::size_t o = 0; o < c.out; ++o)
        for (std::size_t i = 0; i < rows; ++i)
          for (std::size_t j = 0; j < columns; ++j) {
            const std::size_t at = ((n * c.out + o) * rows + i) * columns + j;
            y[at] = double(b[o]);
            db[o] += double(dy[at]);
            for (std::size_t ci = 0; ci < C; ++ci)
              for (std::size_t u = 0; u < c.kernel.height; ++u)
                for (std::size_t v = 0; v < c.kernel.width; ++v) {
                  const long h = long(i * c.stride.height + u * c.dilation.height) - long(c.padding.height),
                             w = long(j * c.stride.width + v * c.dilation.width) - long(c.padding.width);
                  if (h < 0 || w < 0 || h >= long(c.height) || w >= long(c.width)) continue;
                  const std::size_t from = ((n * c.in + o / O * C + ci) * c.height + std::size_t(h)) * c.width +
                                           std::size_t(w),
                                    weight = ((o * C + ci) * c.kernel.height + u) * c.kernel.width + v;
                  y[at] += double(W[weight]) * double(x[from]);
                  dW[weight] += double(dy[at]) * double(x[from]);
                  dx[from] += double(dy[at]) * double(W[weight]);
                }
          }
  }
};

template <class T>
void agrees_with_definition(const Case& c, Device device, double tolerance) {
  Generator generator(3);
  Conv2d<T> layer(c.in, c.out, c.kernel, c.options());
  const Tensor<T> x = randn<T>({c.batch, c.in, c.height, c.width}, generator);
  const std::vector<T> W = layer.weight.value().to_vector(), b = layer.bias.value().to_vector();
  layer.to(device);
  const Shape shape = layer.output_shape(x.shape());
  const Tensor<T> dy = randn<T>(shape, generator);
  const Expected expected(c, x.to_vector(), W, b, dy.to_vector(), shape[2], shape[3]);
  const std::string where = c.text();
  check_close(layer.forward(x.to(device)).to_vector(), expected.y, tolerance, where + " y");
  check_close(layer.backward(dy.to(device)).to_vector(), expected.dx, tolerance, where + " dx");
  check_close(layer.weight.grad().to_vector(), expected.dW, tolerance, where + " dW");
  check_close(layer.bias.grad().to_vector(), expected.db, tolerance, where + " db");
}

/// Long sums round more often than the few terms of the grid.
template <class Place>
double tolerance_of(std::size_t terms) {
  return Place::tolerance * std::max(1.0, std::sqrt(double(terms)) / 4);
}

double dot(const Tensor<double>& a, const Tensor<double>& b) {
  const std::vector<double> x = a.to_vector(), y = b.to_vector();
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(agrees_with_the_definition_on_a_grid) {
  using T = typename Place::T;
  manual_seed(1);
  std::size_t checked = 0;
  for (const std::size_t stride : {1u, 2u, 3u})
    for (const std::size_t dilation : {1u, 2u, 3u})
      for (const Size2d& kernel : {Size2d(1), Size2d(2, 3), Size2d(3, 2), Size2d(5, 3)})
        for (std::size_t padding = 0; padding <= std::max(kernel.height, kernel.width); ++padding) {
          // The axes differ, so that rows and columns cannot be mixed up.
          const Size2d s(stride, stride % 3 + 1), p(padding, (padding + 1) % (kernel.width + 1)),
              d(dilation, dilation % 2 + 1);
          if (11 + 2 * p.height < d.height * (kernel.height - 1) + 1) continue;
          const std::size_t groups = checked % 3 == 2 ? 3 : 1;
          agrees_with_definition<T>({checked % 4 == 1 ? 2u : 1u, groups == 3 ? 3u : 2u, groups == 3 ? 6u : 5u, groups,
                                     11, 13, kernel, s, p, d},
                                    Place::device(), Place::tolerance);
          ++checked;
        }
  BOOST_TEST(checked > 100u);
}

// Sizes at which the kernels take other paths: several vectors and registers full of filters, more than 256 terms,
// chains of more than one block, parts of a plane, planes copied or not.
HANDGRAD_TEST_EVERYWHERE(agrees_with_the_definition_at_larger_sizes) {
  using T = typename Place::T;
  manual_seed(2);
  const bool emulated = Place::device().is_cuda();  // slow
  for (const Case& c : {Case{2, 29, 13, 1, 7, 9, 3, 1, 1, 1}, Case{1, 1, 25, 1, 5, 67, 3, 1, 1, 1},
                        Case{19, 2, 3, 1, 14, 14, 3, 1, 1, 1}, Case{3, 5, 7, 1, 6, 11, 1, 1, 0, 1},
                        Case{37, 4, 3, 1, 5, 5, 1, 1, 0, 1}, Case{2, 17, 17, 17, 9, 19, 3, 1, 1, 1},
                        Case{2, 3, 5, 1, 37, 41, 3, 2, 1, 1}, Case{1, 2, 14, 1, 101, 89, {5, 3}, {1, 2}, {2, 1}, 1}}) {
    if (emulated && c.batch * c.in * c.out * c.height * c.width > 40'000) continue;
    agrees_with_definition<T>(c, Place::device(),
                              tolerance_of<Place>(c.batch * c.height * c.width + c.in * c.kernel.height * 3));
  }
}

// ⟨A·x, z⟩ = ⟨x, Aᵀ·z⟩ for the forward A without bias and the backward Aᵀ; ConvTranspose2d's forward is Aᵀ itself.
HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(backward_is_the_adjoint) {
  manual_seed(4);
  for (const std::size_t stride : {1u, 2u, 3u})
    for (const std::size_t padding : {0u, 1u, 2u})
      for (const std::size_t dilation : {1u, 2u}) {
        const Conv2dOptions options{
            .stride = stride, .padding = padding, .dilation = dilation, .groups = 2, .bias = false};
        Conv2d<double> conv(4, 6, {3, 2}, options);
        conv.to(Place::device());
        const Tensor<double> x = randn<double>({3, 4, 11, 13}).to(Place::device());
        const Tensor<double> y = conv.forward(x).clone(), z = randn<double>(y.shape()).to(Place::device());
        const Tensor<double> adjoint = conv.backward(z).clone();
        BOOST_TEST(std::abs(dot(y, z) - dot(x, adjoint)) < 1e-11 * std::sqrt(dot(y, y) * dot(z, z)));

        const auto rest = [&](std::size_t size, std::size_t kernel) {
          return (size + 2 * padding - dilation * (kernel - 1) - 1) % stride;
        };
        if (rest(11, 3) >= std::max(stride, dilation) || rest(13, 2) >= std::max(stride, dilation)) continue;
        ConvTranspose2d<double> transposed(6, 4, {3, 2},
                                           {.stride = stride,
                                            .padding = padding,
                                            .output_padding = {rest(11, 3), rest(13, 2)},
                                            .groups = 2,
                                            .bias = false,
                                            .dilation = dilation});
        transposed.to(Place::device());
        transposed.weight.value().copy_from(conv.weight.value());
        BOOST_TEST((transposed.forward(z) == adjoint));
        BOOST_TEST((transposed.backward(x) == y));
      }
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_any_number_of_threads) {
  manual_seed(5);
  Sequential net{Conv2d(3, 13, 3, {.stride = 2, .padding = 1}), Conv2d(13, 10, {3, 5}, {.padding = "same"}),
                 Conv2d(10, 20, 3, {.groups = 5}), Conv2d(20, 8, 1)};
  net.requires_input_grad(true);
  const Tensor<float> x = randn<float>({23, 3, 38, 45});
  const int before = num_threads();
  std::vector<std::vector<float>> once;
  for (const int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    net.zero_grad();
    std::vector<std::vector<float>> now{net.forward(x).to_vector()};
    Generator generator(6);
    now.push_back(net.backward(randn<float>(net.output_shape(x.shape()), generator)).to_vector());
    for (const auto& parameter : net.parameters()) now.push_back(parameter.grad().to_vector());
    if (once.empty()) once = now;
    BOOST_TEST((now == once), threads << " threads");
  }
  set_num_threads(before);
}

BOOST_AUTO_TEST_CASE(one_by_one_is_a_linear_layer_of_every_pixel) {
  manual_seed(7);
  Conv2d<double> conv(5, 3, 1);
  const Tensor<double> x = randn<double>({2, 5, 3, 7});
  const std::vector<double> y = conv.forward(x).to_vector();
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t o = 0; o < 3; ++o)
      for (std::size_t q = 0; q < 21; ++q) {
        double sum = 0;
        for (std::size_t c = 0; c < 5; ++c)
          sum = std::fma(conv.weight.value().item(o, c, 0, 0), x.to_vector()[(n * 5 + c) * 21 + q], sum);
        BOOST_TEST(y[(n * 3 + o) * 21 + q] == sum + conv.bias.value().item(o));
      }
}

HANDGRAD_TEST_EVERYWHERE(a_frozen_parameter_and_an_unwanted_dx_change_nothing_else) {
  using T = typename Place::T;
  manual_seed(8);
  Conv2d<T> conv(2, 3, 3);
  conv.to(Place::device());
  const Tensor<T> x = randn<T>({2, 2, 5, 7}).to(Place::device());
  const Tensor<T> dy = randn<T>({2, 3, 3, 5}).to(Place::device());
  conv.forward(x);
  conv.backward(dy);
  const Tensor<T> dW = conv.weight.grad().clone(), db = conv.bias.grad().clone();
  conv.requires_input_grad(false);
  conv.zero_grad();
  BOOST_TEST(!conv.backward(dy).defined());
  BOOST_TEST((conv.weight.grad() == dW));
  BOOST_TEST((conv.bias.grad() == db));
}

BOOST_AUTO_TEST_CASE(infinity_stays_where_it_is_seen) {
  Conv2d<float> conv(1, 1, 3, {.padding = 1});
  conv.weight.value().fill(1);
  conv.bias.value().fill(0);
  Tensor<float> x = zeros<float>({1, 1, 5, 7});
  x.data()[2 * 7 + 6] = INFINITY;  // at the end of a row: must not affect the next
  const std::vector<float> y = conv.forward(x).to_vector();
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t j = 0; j < 7; ++j) {
      const bool near = i >= 1 && i <= 3 && j >= 5;
      BOOST_TEST(y[i * 7 + j] == (near ? INFINITY : 0.f));
    }
  conv.backward(ones<float>({1, 1, 5, 7}));
  for (const float g : conv.weight.grad().to_vector()) BOOST_TEST(!std::isnan(g));
}

HANDGRAD_TEST_EVERYWHERE(weights_are_drawn_as_torch_draws_them) {
  using T = typename Place::T;
  std::size_t checked = 0;
  for (const Reference c : Reference::file("convolution")["drawn"]) {
    if ((c["dtype"].text() == "float32") != std::is_same_v<T, float>) continue;
    manual_seed(7);
    const auto layer = make_layer<T>(Reference::file("convolution")["drawn"][checked * 2 + std::is_same_v<T, double>],
                                     Place::device());
    for (const auto& [name, parameter] : layer->named_parameters())
      BOOST_TEST((parameter.value() == c["parameters"][name.c_str()].template tensor<T>()), c.where() << " " << name);
    ++checked;
  }
  BOOST_TEST(checked == 4u);
}

BOOST_AUTO_TEST_CASE(printed_as_torch_prints_them) {
  for (const Reference c : Reference::file("convolution")["cases"]) {
    const auto layer = make_layer<float>(c, Device::cpu());
    BOOST_TEST(layer->name() + "(" + layer->extra_repr() + ")" == c["text"].text());
  }
}

BOOST_AUTO_TEST_CASE(wrong_shapes_and_numbers_are_refused) {
  Conv2d conv(3, 4, 3);
  check_throws<ShapeError>(
      [&] {
        conv.forward(zeros<float>({2, 2, 5, 7}));
      },
      {"Conv2d(3 → 4)", "2 channels", "3 expected", "(2, 2, 5, 7)"});
  check_throws<ShapeError>([&] { conv.forward(zeros<float>({5, 7})); }, {"(N, C, H, W)", "(5, 7)"});
  check_throws<ShapeError>([&] { conv.forward(zeros<float>({1, 3, 2, 7})); }, {"3 rows", "has 2", "(1, 3, 2, 7)"});
  check_throws<ShapeError>([&] { conv.forward(zeros<float>({1, 3, 5, 2})); }, {"3 columns", "has 2"});
  Conv1d line(3, 4, 3);
  check_throws<ShapeError>([&] { line.forward(zeros<float>({1, 3, 2, 7})); }, {"Conv1d(3 → 4)", "(N, C, L)"});
  Sequential net{Conv2d(1, 2, 3), Conv2d(3, 4, 3)};
  check_throws<ShapeError>([&] { net.forward(zeros<float>({1, 1, 9, 9})); }, {"Sequential[1] Conv2d(3 → 4)"});
  check_throws<ValueError>([] { Conv2d(0, 1, 1); }, {"Conv2d(0 → 1)"});
  check_throws<ValueError>([] { Conv2d(4, 6, 1, {.groups = 3}); }, {"groups = 3"});
  check_throws<ValueError>([] { Conv2d(1, 1, 0); }, {"kernel_size = 0"});
  check_throws<ValueError>([] { Conv2d(1, 1, {3, 0}); }, {"kernel_size = (3, 0)"});
  check_throws<ValueError>([] { Conv2d(1, 1, 3, {.stride = 0}); }, {"stride = 0"});
  check_throws<ValueError>([] { Conv2d(1, 1, 3, {.dilation = 0}); }, {"dilation"});
  check_throws<ValueError>([] { Conv2d(1, 1, 3, {.stride = 2, .padding = "same"}); }, {"same", "stride of 1"});
  check_throws<ValueError>([] { Conv2d(1, 1, 3, {.padding = "full"}); }, {"\"full\""});
  check_throws<ValueError>([] { Conv2d(1, 1, 3, {.padding_mode = "reflect"}); }, {"reflect", "zeros"});
  check_throws<ValueError>([] { ConvTranspose2d(1, 1, 3, {.output_padding = 1}); }, {"output_padding = 1"});
  ConvTranspose2d transposed(2, 1, 2, {.padding = 2});
  check_throws<ShapeError>([&] { transposed.forward(zeros<float>({1, 2, 3, 5})); }, {"3 rows", "nothing is left"});
}
