// Tensors: construction, sharing, printing, errors.
#include "handgrad/base/tensor.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/xtensor.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

template <class T>
std::string printed(const T& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

const float not_a_number = std::numeric_limits<float>::quiet_NaN();

}  // namespace

BOOST_AUTO_TEST_CASE(braces_give_the_shape) {
  BOOST_TEST((Tensor<float>{1, 2, 3}.shape() == Shape{3}));
  BOOST_TEST((Tensor<float>{{0}, {1}}.shape() == Shape{2, 1}));
  BOOST_TEST((Tensor<float>{{0, 1}}.shape() == Shape{1, 2}));
  BOOST_TEST((Tensor<float>{{{1, 2}, {3, 4}, {5, 6}}}.shape() == Shape{1, 3, 2}));
  BOOST_TEST((Tensor<double>{{{{1}, {2}}}}.shape() == Shape{1, 1, 2, 1}));
  BOOST_TEST((Tensor<double>{{0.5, 1}, {2, 3}}.to_vector() == std::vector<double>{0.5, 1, 2, 3}));
  BOOST_TEST((Tensor<float>{7}.shape() == Shape{1}));
  BOOST_TEST(Tensor<float>().numel() == 0u);
  BOOST_TEST(!Tensor<float>().defined());
}

BOOST_AUTO_TEST_CASE(ragged_braces_are_refused) {
  check_throws<ShapeError>([] { Tensor<float>{{1, 2}, {3}}; }, {"2", "1"});
  check_throws<ShapeError>([] { Tensor<float>{{1, 2}, 3}; }, {});
  check_throws<ShapeError>([] { Tensor<float>{1, {2, 3}}; }, {});
  check_throws<ShapeError>([] { Tensor<float>{{{{{1}}}}}; }, {"4"});  // rank 5
}

BOOST_AUTO_TEST_CASE(elements_must_fill_the_shape) {
  BOOST_TEST((Tensor<float>({2, 2}, {1, 2, 3, 4}) == Tensor<float>{{1, 2}, {3, 4}}));
  check_throws<ShapeError>([] { Tensor<float>({2, 2}, std::vector<float>{1, 2, 3}); }, {"(2, 2)", "3"});
}

BOOST_AUTO_TEST_CASE(expressions_become_tensors) {
  const Tensor<double> x{{1, 2, 3}, {4, 5, 6}};
  const Tensor<double> y = xt::exp(x.xt()) / 2;
  BOOST_TEST((y.shape() == Shape{2, 3}));
  BOOST_TEST(y.item(1, 2) == std::exp(6.0) / 2, boost::test_tools::tolerance(1e-15));
  const Tensor<double> sums = xt::sum(x.xt(), {0});
  BOOST_TEST((sums == Tensor<double>{5, 7, 9}));
  const Tensor<double> transposed = xt::transpose(x.xt());
  BOOST_TEST((transposed == Tensor<double>{{1, 4}, {2, 5}, {3, 6}}));
  const Tensor<float> narrowed = x.xt() * 2;
  BOOST_TEST((narrowed == Tensor<float>{{2, 4, 6}, {8, 10, 12}}));
  Tensor<double> z = zeros<double>({2, 3});
  z.xt() = x.xt() + 1;
  BOOST_TEST((z == Tensor<double>{{2, 3, 4}, {5, 6, 7}}));
  z.xt<2>()(1, 0) = -1;
  BOOST_TEST(z.item(1, 0) == -1);
  check_throws<ShapeError>([&] { z.xt<1>(); }, {"2", "1"});
}

BOOST_AUTO_TEST_CASE(views_assigned_to_views_copy_the_elements) {
  Tensor<double> x{{1, 2}, {3, 4}}, y = zeros<double>({2, 2}), z = zeros<double>({2, 2});
  y.xt() = x.xt();
  z.xt<2>() = x.xt<2>();
  x.fill(9);
  BOOST_TEST((y == Tensor<double>{{1, 2}, {3, 4}}));
  BOOST_TEST((z == y));
  check_throws<ShapeError>([&] { y.xt() = Tensor<double>{1, 2}.xt(); }, {"2 elements assigned to 4"});
}

HANDGRAD_TEST_EVERYWHERE(handles_share_and_clones_do_not) {
  using T = typename Place::T;
  Tensor<T> x = Tensor<T>{{1, 2}, {3, 4}, {5, 6}}.to(Place::device());
  Tensor<T> same = x, copy = x.clone(), middle = x.rows(1, 3), flat = x.reshape({6});
  x.fill(0);
  BOOST_TEST((same == zeros<T>({3, 2})));
  BOOST_TEST((middle == zeros<T>({2, 2})));
  BOOST_TEST((flat == zeros<T>({6})));
  BOOST_TEST((copy == Tensor<T>{{1, 2}, {3, 4}, {5, 6}}));
  BOOST_TEST(x.shares_with(middle));
  BOOST_TEST(!x.shares_with(copy));
  BOOST_TEST((copy.rows(1, 3) == Tensor<T>{{3, 4}, {5, 6}}));
  BOOST_TEST(copy.rows(3, 3).numel() == 0u);
  BOOST_TEST((copy.device() == Place::device()));
}

HANDGRAD_TEST_EVERYWHERE(items_and_copies_cross_devices) {
  using T = typename Place::T;
  const Tensor<T> host{{1, 2, 3}, {4, 5, 6}};
  Tensor<T> x = host.to(Place::device());
  BOOST_TEST(x.item(1, 2) == T(6));
  BOOST_TEST((x.to_vector() == std::vector<T>{1, 2, 3, 4, 5, 6}));
  BOOST_TEST((x == host));
  BOOST_TEST((x.rows(1, 2).reshape({3, 1}).cpu() == Tensor<T>{{4}, {5}, {6}}));
  Tensor<T> y = zeros<T>({2, 3}, Place::device());
  y.copy_from(host);
  BOOST_TEST((y == x));
  y.rows(0, 1).fill(9);
  BOOST_TEST((y == Tensor<T>{{9, 9, 9}, {4, 5, 6}}));
  BOOST_TEST(full<T>({}, 3, Place::device()).item() == T(3));
}

HANDGRAD_TEST_EVERYWHERE(products) {
  using T = typename Place::T;
  const Tensor<T> a = Tensor<T>{{1, 2, 3}, {4, 5, 6}}.to(Place::device());
  const Tensor<T> b = Tensor<T>{{1, 0, -1, 2}, {0, 1, 1, 0}, {2, 2, 0, 1}}.to(Place::device());
  BOOST_TEST((matmul(a, b) == Tensor<T>{{7, 8, 1, 5}, {16, 17, 1, 14}}));
  check_throws<ShapeError>([&] { matmul(a, a); }, {"(2, 3)"});
  check_throws<ShapeError>([&] { matmul(a, b.reshape({12})); }, {"(12,)"});
}

BOOST_AUTO_TEST_CASE(wrong_shapes_and_indices_are_refused) {
  Tensor<float> x{{1, 2, 3}, {4, 5, 6}};
  check_throws<ShapeError>([&] { x.item(); }, {"(2, 3)"});
  check_throws<ShapeError>([&] { x.item(2, 0); }, {"(2, 3)"});
  check_throws<ShapeError>([&] { x.item(0); }, {"(2, 3)"});
  check_throws<ShapeError>([&] { x.item(0, -1); }, {"(2, 3)"});
  check_throws<ShapeError>([&] { x.rows(1, 3); }, {"3", "2"});
  check_throws<ShapeError>([&] { x.rows(2, 1); }, {});
  check_throws<ShapeError>([&] { x.reshape({4}); }, {"(2, 3)", "(4,)"});
  check_throws<ShapeError>([&] { x.copy_from(Tensor<float>{1, 2}); }, {"(2, 3)", "(2,)"});
  check_throws<ShapeError>([&] { allclose(x, Tensor<float>{1}); }, {"(2, 3)", "(1,)"});
  check_throws<ShapeError>([&] { full<float>({}, 1).rows(0, 1); }, {});
  // Products of sizes that overflow: 2⁶⁴ + 4 wraps to 4, and 2⁶⁴ to 0.
  check_throws<ShapeError>([] { Tensor<float>{1, 2, 3, 4}.reshape({4, (std::size_t{1} << 62) + 1}); }, {"memory"});
  check_throws<ShapeError>([] { Tensor<float>().reshape({std::size_t{1} << 32, std::size_t{1} << 32}); }, {"memory"});
  check_throws<ShapeError>([] { zeros<float>({std::size_t{1} << 40, std::size_t{1} << 40}); }, {"memory"});
}

BOOST_AUTO_TEST_CASE(rows_may_be_copied_onto_their_neighbours) {
  std::vector<float> numbers(3000);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  for (const std::size_t to : {0u, 1u, 2u}) {
    Tensor<float> x({1000, 3}, numbers);
    x.rows(to, to + 998).copy_from(x.rows(1, 999));
    BOOST_TEST((x.rows(to, to + 998) == Tensor<float>({1000, 3}, numbers).rows(1, 999)));
  }
}

BOOST_AUTO_TEST_CASE(a_device_that_is_not_there_is_refused) {
  if (cuda_available()) return;
  BOOST_TEST(!cuda_unavailable_reason().empty());
  BOOST_TEST(device_count() == 0);
  check_throws<DeviceError>([] { Tensor<float>{1}.to(Device::cuda()); }, {"cuda"});
  check_throws<DeviceError>([] { zeros<float>({3}, Device::cuda(1)); }, {"cuda"});
}

BOOST_AUTO_TEST_CASE(devices_have_names) {
  BOOST_TEST(Device::cpu().str() == "cpu");
  BOOST_TEST(Device::cuda(1).str() == "cuda:1");
  BOOST_TEST((Device::parse("cpu") == Device::cpu()));
  BOOST_TEST((Device::parse("cuda") == Device::cuda(0)));
  BOOST_TEST((Device::parse("cuda:3") == Device::cuda(3)));
  for (const char* wrong : {"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda:99999999999", "cpu:0x"})
    check_throws<ValueError>([&] { Device::parse(wrong); }, {"cuda"});
}

BOOST_AUTO_TEST_CASE(comparing) {
  const Tensor<float> x{1, 2};
  BOOST_TEST((x == Tensor<float>{1, 2}));
  BOOST_TEST(!(x == Tensor<float>{1, 3}));
  BOOST_TEST(!(x == Tensor<float>{{1, 2}}));
  BOOST_TEST(!(Tensor<float>{not_a_number} == Tensor<float>{not_a_number}));
  BOOST_TEST((Tensor<float>{0.0f} == Tensor<float>{-0.0f}));
  BOOST_TEST(allclose(x, Tensor<float>{1, 2.00001f}));
  BOOST_TEST(!allclose(x, Tensor<float>{1, 2.001f}));
  BOOST_TEST(!allclose(Tensor<float>{not_a_number}, Tensor<float>{not_a_number}));
  BOOST_TEST(allclose(Tensor<float>{INFINITY}, Tensor<float>{INFINITY}));
  BOOST_TEST(!allclose(Tensor<float>{INFINITY}, Tensor<float>{-INFINITY}));
}

BOOST_AUTO_TEST_CASE(a_buffer_is_kept_when_it_suffices) {
  Tensor<float> x;
  x.reserve({4, 3}, Device::cpu());
  const float* address = x.data();
  x.reserve({2, 3}, Device::cpu());
  BOOST_TEST((x.data() == address));
  BOOST_TEST((x.shape() == Shape{2, 3}));
  x.reserve({4, 3}, Device::cpu());
  BOOST_TEST((x.data() == address));
  const Tensor<float> held = x;  // a holder keeps its values
  x.reserve({4, 3}, Device::cpu());
  BOOST_TEST((x.data() != address));
}

BOOST_AUTO_TEST_CASE(borrowed_elements_are_their_owners) {
  const auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6});
  {
    const Tensor<float> x = Tensor<float>::borrow(owner->data(), {3, 2}, owner);
    BOOST_TEST(x.data() == owner->data());
    BOOST_TEST(owner.use_count() == 2);
    Tensor<float> row = x.rows(1, 2);
    row.fill(7);
    BOOST_TEST(*owner == (std::vector<float>{1, 2, 7, 7, 5, 6}), boost::test_tools::per_element());
    BOOST_TEST(!x.clone().shares_with(x));
  }
  BOOST_TEST(owner.use_count() == 1);
  check_throws<ValueError>([&] { Tensor<float>::borrow(owner->data(), {6}, nullptr); }, {"an owner expected"});
}

BOOST_AUTO_TEST_CASE(linspace_is_torchs) {
  BOOST_TEST((linspace<double>(0, 1, 5) == Tensor<double>{0, 0.25, 0.5, 0.75, 1}));
  BOOST_TEST((linspace<float>(-1, 1, 3) == Tensor<float>{-1, 0, 1}));
  BOOST_TEST((linspace<float>(2, 3, 1) == Tensor<float>{2}));
}

BOOST_AUTO_TEST_CASE(prints_as_torch_does) {
  for (const Reference reference : Reference::file("print")["tensors"])
    BOOST_TEST(printed(reference.tensor<float>()) == reference["text"].text());
}

BOOST_AUTO_TEST_CASE(prints_what_torch_has_no_word_for) {
  BOOST_TEST(printed(Tensor<float>()) == "tensor([])");
  BOOST_TEST(printed(Tensor<double>{1.5}) == "tensor([1.5000], dtype=float64)");
}

BOOST_AUTO_TEST_CASE(shapes_print_as_tuples) {
  BOOST_TEST(Shape{}.str() == "()");
  BOOST_TEST(Shape{5}.str() == "(5,)");
  BOOST_TEST((Shape{32, 4}.str() == "(32, 4)"));
  check_throws<ShapeError>([] { Shape{1, 2, 3, 4, 5}; }, {"4"});
}
