// Initialisers against torch.nn.init: the same seed, the same numbers.
#include "handgrad/init/init.hpp"

#include <cmath>

#include "handgrad/base/errors.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

template <class T>
void call(const std::string& name, const Reference& o, Tensor<T>& x) {
  init::KaimingOptions kaiming{.a = o.number("a", 0)};
  if (o.contains("mode")) kaiming.mode = o["mode"].text();
  if (o.contains("nonlinearity")) kaiming.nonlinearity = o["nonlinearity"].text();
  if (name == "zeros_")
    init::zeros_(x);
  else if (name == "ones_")
    init::ones_(x);
  else if (name == "constant_")
    init::constant_(x, o["val"].number());
  else if (name == "normal_")
    init::normal_(x, o.number("mean", 0), o.number("std", 1));
  else if (name == "uniform_")
    init::uniform_(x, o.number("a", 0), o.number("b", 1));
  else if (name == "xavier_uniform_")
    init::xavier_uniform_(x, o.number("gain", 1));
  else if (name == "xavier_normal_")
    init::xavier_normal_(x, o.number("gain", 1));
  else if (name == "kaiming_uniform_")
    init::kaiming_uniform_(x, kaiming);
  else if (name == "kaiming_normal_")
    init::kaiming_normal_(x, kaiming);
  else
    BOOST_FAIL("no initialiser " << name);
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(numbers_are_torchs) {
  using T = typename Place::T;
  std::size_t checked = 0;
  for (const Reference c : Reference::file("init")["cases"]) {
    if ((c["dtype"].text() == "float") != std::is_same_v<T, float>) continue;
    const Tensor<double> expected = c["values"].tensor<double>();
    manual_seed(static_cast<std::uint64_t>(c["seed"].number()));
    Tensor<T> x = Tensor<T>::empty(expected.shape(), Place::device());
    call(c["init"].text(), c["options"], x);
    check_close(x, expected, std::is_same_v<T, float> ? 1e-6 : 1e-14, c.where());
    ++checked;
  }
  BOOST_TEST(checked == 36u);
}

BOOST_AUTO_TEST_CASE(what_has_no_fans_is_refused) {
  Tensor<float> bias{1, 2, 3}, weight{{1, 2}, {3, 4}};
  check_throws<ShapeError>([&] { init::xavier_uniform_(bias); }, {"xavier_uniform_", "(3,)"});
  check_throws<ShapeError>([&] { init::kaiming_normal_(bias); }, {"kaiming_normal_", "(3,)"});
  check_throws<ValueError>([&] { init::kaiming_normal_(weight, {.mode = "fan"}); }, {"fan"});
  check_throws<ValueError>([&] { init::kaiming_normal_(weight, {.nonlinearity = "swish"}); }, {"swish"});
}

BOOST_AUTO_TEST_CASE(fans_of_a_convolution) {
  Tensor<double> x = zeros<double>({2, 3, 5, 7});
  init::xavier_uniform_(x);
  double largest = 0;
  for (const double v : x.to_vector()) largest = std::max(largest, std::abs(v));
  const double bound = std::sqrt(6.0 / (2 * 35 + 3 * 35));
  BOOST_TEST(largest <= bound);
  BOOST_TEST(largest > 0.95 * bound);
}
