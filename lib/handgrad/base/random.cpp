#include "handgrad/base/random.hpp"

#include <charconv>
#include <cmath>
#include <locale>
#include <numbers>
#include <sstream>
#include <utility>

#include "handgrad/base/elementary.hpp"
#include "handgrad/base/errors.hpp"

namespace handgrad {

void Generator::manual_seed(std::uint64_t seed) {
  seed_ = seed;
  streams_ = 0;
  engine_.seed(static_cast<std::uint32_t>(seed));
  kept_normal_.reset();
}

std::uint64_t Generator::random64() {
  const std::uint64_t high = random(), low = random();
  return high << 32 | low;
}

template <>
float Generator::uniform<float>() {
  return static_cast<float>(random() & ((1u << 24) - 1)) * 0x1p-24f;
}

template <>
double Generator::uniform<double>() {
  return static_cast<double>(random64() & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
}

// Box and Muller: r·cos θ and r·sin θ are independent and normal for r = √(−2·log(1−u₂)), θ = 2π·u₁.
double Generator::normal() {
  if (kept_normal_) {
    const double kept = *kept_normal_;
    kept_normal_.reset();
    return kept;
  }
  const double u1 = uniform<double>(), u2 = uniform<double>();
  // u₂ is a multiple of 2⁻⁵³, so 1 − u₂ is exact
  const double r = std::sqrt(-2 * detail::elementary_log(1 - u2));
  const auto [sin, cos] = detail::elementary_sin_cos(2 * std::numbers::pi * u1);
  kept_normal_ = r * sin;
  return r * cos;
}

namespace {

// 0x1.8p+1, as std::hexfloat writes it.
bool read_hexfloat(std::string_view text, double& number) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (!text.starts_with("0x")) return false;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), number, std::chars_format::hex);
  if (negative) number = -number;
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string Generator::state() const {
  std::ostringstream out;
  out.imbue(std::locale::classic());  // the program's locale may group digits
  out << seed_ << ' ' << streams_ << ' ' << kept_normal_.has_value() << ' ' << std::hexfloat << kept_normal_.value_or(0)
      << ' ' << engine_;
  return out.str();
}

void Generator::set_state(const std::string& state) {
  std::istringstream in(state);
  in.imbue(std::locale::classic());
  std::uint64_t seed = 0;
  std::uint32_t streams = 0;
  bool kept = false;
  std::string number;
  std::mt19937 engine;
  double normal = 0;
  if (!(in >> seed >> streams >> kept >> number >> engine) || !read_hexfloat(number, normal))
    throw ParseError("Generator::set_state: not a state that state() wrote");
  seed_ = seed;
  streams_ = streams;
  engine_ = engine;
  kept_normal_.reset();
  if (kept) kept_normal_ = normal;
}

namespace {
constinit thread_local Generator* in_its_place = nullptr;
}  // namespace

Generator& default_generator() {
  static Generator generator;
  return in_its_place ? *in_its_place : generator;
}

GeneratorGuard::GeneratorGuard(Generator& generator) : before_(std::exchange(in_its_place, &generator)) {}
GeneratorGuard::~GeneratorGuard() { in_its_place = before_; }

void manual_seed(std::uint64_t seed) { default_generator().manual_seed(seed); }

namespace {

// Draws on the host, in the order of the elements, for every device: the same seed gives the same network.
template <class T, class F>
Tensor<T>& write(Tensor<T>& x, F&& draw) {
  if (x.device().is_cpu()) {
    draw(x.data(), x.numel());
    return x;
  }
  Tensor<T> host = Tensor<T>::empty(x.shape());
  draw(host.data(), host.numel());
  return x.copy_from(host);
}

// From 16 elements on: all are drawn uniform, then Box and Muller turn each pair (j, j+8) of a block of 16 into normal
// ones. If the count is not a multiple of 16, the last 16 are drawn again, overlapping the block before.
template <class T>
void normal_block(T* v, T mean, T std) {
  for (int j = 0; j < 8; ++j) {
    const T r = std::sqrt(T(-2) * static_cast<T>(detail::elementary_log(static_cast<double>(1 - v[j]))));
    const T theta = T(2 * std::numbers::pi) * v[j + 8];
    const auto [sin, cos] = detail::elementary_sin_cos(static_cast<double>(theta));
    v[j] = r * static_cast<T>(cos) * std + mean;
    v[j + 8] = r * static_cast<T>(sin) * std + mean;
  }
}

template <class T>
void draw_normal(T* v, std::size_t n, T mean, T std, Generator& generator) {
  if (n < 16) {
    for (std::size_t i = 0; i < n; ++i) v[i] = static_cast<T>(generator.normal() * std + mean);
    return;
  }
  for (std::size_t i = 0; i < n; ++i) v[i] = generator.uniform<T>();
  for (std::size_t i = 0; i + 16 <= n; i += 16) normal_block(v + i, mean, std);
  if (n % 16 != 0) {
    T* last = v + n - 16;
    for (int j = 0; j < 16; ++j) last[j] = generator.uniform<T>();
    normal_block(last, mean, std);
  }
}

}  // namespace

template <class T>
Tensor<T>& uniform_(Tensor<T>& x, double low, double high, Generator& generator) {
  const T a = static_cast<T>(low), b = static_cast<T>(high);
  return write(x, [&](T* v, std::size_t n) {
    // rounded once, as in PyTorch's kernels (compiled with FMA): the same bits
    for (std::size_t i = 0; i < n; ++i) v[i] = std::fma(generator.uniform<T>(), b - a, a);
  });
}

template <class T>
Tensor<T>& normal_(Tensor<T>& x, double mean, double std, Generator& generator) {
  return write(x,
               [&](T* v, std::size_t n) { draw_normal(v, n, static_cast<T>(mean), static_cast<T>(std), generator); });
}

template <class T>
Tensor<T> rand(const Shape& shape, Generator& generator) {
  Tensor<T> x = Tensor<T>::empty(shape);
  return uniform_(x, 0, 1, generator);
}

template <class T>
Tensor<T> randn(const Shape& shape, Generator& generator) {
  Tensor<T> x = Tensor<T>::empty(shape);
  return normal_(x, 0, 1, generator);
}

template <class T>
Tensor<T> randint(std::int64_t low, std::int64_t high, const Shape& shape, Generator& generator) {
  if (low >= high)
    throw ValueError("randint: low < high expected, " + std::to_string(low) + " and " + std::to_string(high) + " came");
  Tensor<T> x = Tensor<T>::empty(shape);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  for (std::size_t i = 0; i < x.numel(); ++i) {
    const std::uint64_t word = range >= (std::uint64_t{1} << 32) ? generator.random64() : generator.random();
    x.data()[i] = static_cast<T>(static_cast<std::int64_t>(word % range) + low);
  }
  return x;
}

std::vector<std::size_t> randperm(std::size_t n, Generator& generator) {
  std::vector<std::size_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = i;
  for (std::size_t i = 0; i + 1 < n; ++i) std::swap(order[i], order[i + generator.random() % (n - i)]);
  return order;
}

#define HANDGRAD_INSTANTIATE(T)                                         \
  template Tensor<T>& uniform_(Tensor<T>&, double, double, Generator&); \
  template Tensor<T>& normal_(Tensor<T>&, double, double, Generator&);  \
  template Tensor<T> rand(const Shape&, Generator&);                    \
  template Tensor<T> randn(const Shape&, Generator&);                   \
  template Tensor<T> randint(std::int64_t, std::int64_t, const Shape&, Generator&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
