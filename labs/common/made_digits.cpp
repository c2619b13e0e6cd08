// The drawn digits of made_data.hpp: strokes by a random hand, in place of MNIST.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "common/made_data.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/data/numpy_random.hpp"

namespace handgrad::labs {

namespace {

struct Point {
  double x, y;  // in a box from (0, 0), top left, to (1, 1)
};
using Stroke = std::vector<Point>;

/// Points on an ellipse's arc; angles in degrees, clockwise from the right since y points down.
Stroke arc(double x, double y, double rx, double ry, double from, double to) {
  constexpr int steps = 10;
  Stroke stroke;
  for (int i = 0; i <= steps; ++i) {
    const double angle = (from + (to - from) * i / steps) * std::numbers::pi / 180;
    stroke.push_back({x + rx * std::cos(angle), y + ry * std::sin(angle)});
  }
  return stroke;
}

/// The strokes of each digit; several digits can be written in two ways.
std::vector<Stroke> skeleton(std::size_t digit, bool other_way) {
  switch (digit) {
    case 0:
      return {arc(0.5, 0.5, 0.28, 0.42, 0, 360)};
    case 1:
      if (other_way) return {{{0.5, 0.08}, {0.5, 0.92}}};
      return {{{0.32, 0.28}, {0.54, 0.08}, {0.54, 0.92}}};
    case 2:
      return {arc(0.5, 0.32, 0.26, 0.24, -170, 30), {{0.72, 0.44}, {0.24, 0.9}, {0.78, 0.9}}};
    case 3:
      return {arc(0.46, 0.3, 0.25, 0.21, -160, 90), arc(0.46, 0.71, 0.28, 0.21, -90, 160)};
    case 4:
      if (other_way) return {{{0.28, 0.1}, {0.24, 0.55}, {0.76, 0.55}}, {{0.7, 0.1}, {0.68, 0.92}}};
      return {{{0.62, 0.92}, {0.62, 0.08}, {0.2, 0.64}, {0.82, 0.64}}};
    case 5:
      return {{{0.74, 0.1}, {0.32, 0.1}, {0.29, 0.45}}, arc(0.46, 0.66, 0.27, 0.25, -125, 150)};
    case 6:
      return {arc(0.62, 0.5, 0.36, 0.43, -100, -190), arc(0.5, 0.68, 0.24, 0.23, 0, 360)};
    case 7:
      if (other_way) return {{{0.24, 0.12}, {0.76, 0.12}, {0.42, 0.92}}, {{0.36, 0.52}, {0.7, 0.52}}};
      return {{{0.24, 0.12}, {0.76, 0.12}, {0.42, 0.92}}};
    case 8:
      return {arc(0.5, 0.29, 0.21, 0.2, 0, 360), arc(0.5, 0.7, 0.26, 0.22, 0, 360)};
    default:
      return {arc(0.48, 0.32, 0.23, 0.23, 0, 360), {{0.71, 0.32}, {0.68, 0.65}, {0.58, 0.92}}};
  }
}

double distance_to_segment(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  const double along = length2 == 0 ? 0 : std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0, 1.0);
  return std::hypot(p.x - a.x - along * dx, p.y - a.y - along * dy);
}

constexpr std::size_t side = 28;
using Image = std::array<double, side * side>;

/// Ink along a segment: full within half the pen's width, fading out over one pixel.
void draw(Point a, Point b, double pen, Image& image) {
  const double reach = pen / 2 + 1;
  const auto pixel = [](double coordinate) {
    return static_cast<std::size_t>(std::clamp(coordinate, 0.0, side - 1.0));
  };
  for (std::size_t y = pixel(std::min(a.y, b.y) - reach); y <= pixel(std::max(a.y, b.y) + reach); ++y) {
    for (std::size_t x = pixel(std::min(a.x, b.x) - reach); x <= pixel(std::max(a.x, b.x) + reach); ++x) {
      const Point centre{static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5};
      const double ink = std::clamp(pen / 2 + 0.5 - distance_to_segment(centre, a, b), 0.0, 1.0);
      image[y * side + x] = std::max(image[y * side + x], ink);
    }
  }
}

/// A digit written once by a random hand.
Image written(std::size_t digit, NumpyRandom& random) {
  const bool other_way = random.rand() < 0.3;
  const double turn = random.normal(0, 0.12), slant = random.normal(0.1, 0.2), pen = random.uniform(1.6, 4.0);
  const double width = 20 * random.uniform(0.75, 1.1), height = 20 * random.uniform(0.85, 1.08);
  const double right = 14 + random.normal(0, 0.8), down = 14 + random.normal(0, 0.8);
  // Waves bend the strokes: x += b·sin(5y + φ), y += b·sin(5x + φ′).
  const double bend = random.uniform(0, 0.06), wave_x = random.uniform(0, 6.28), wave_y = random.uniform(0, 6.28);
  const auto place = [&](Point p) -> Point {
    const double x = p.x - 0.5 + bend * std::sin(5 * p.y + wave_x), y = p.y - 0.5 + bend * std::sin(5 * p.x + wave_y);
    const double u = (x - slant * y) * width, v = y * height;
    return {right + u * std::cos(turn) - v * std::sin(turn), down + u * std::sin(turn) + v * std::cos(turn)};
  };
  Image image{};
  for (const Stroke& stroke : skeleton(digit, other_way)) {
    for (std::size_t i = 1; i < stroke.size(); ++i) draw(place(stroke[i - 1]), place(stroke[i]), pen, image);
  }
  return image;
}

}  // namespace

template <class T>
Samples<T> make_digits(std::size_t n_samples, std::uint32_t random_state) {
  if (n_samples == 0) throw ValueError("make_digits: at least one sample expected");
  NumpyRandom random(random_state);
  auto x = Tensor<T>::empty({n_samples, side, side}), y = Tensor<T>::empty({n_samples});
  for (std::size_t i = 0; i < n_samples; ++i) {
    const std::size_t digit = i % 10;
    const Image image = written(digit, random);
    const double ink = random.uniform(200, 255);
    for (std::size_t j = 0; j < image.size(); ++j) {
      const double noise = image[j] > 0 ? random.uniform(-25, 25) : 0;
      x.data()[i * image.size() + j] = static_cast<T>(std::clamp(std::round(image[j] * ink + noise), 0.0, 255.0));
    }
    y.data()[i] = static_cast<T>(digit);
  }
  return {x, y};
}

template Samples<float> make_digits(std::size_t, std::uint32_t);
template Samples<double> make_digits(std::size_t, std::uint32_t);

}  // namespace handgrad::labs
