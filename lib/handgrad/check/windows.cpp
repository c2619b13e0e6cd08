// Convolutions and pooling, recognised by the stride, padding and dilation that give y from x, and their gradients,
// right and with each mistake.
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "handgrad/check/model.hpp"

namespace handgrad::detail {

namespace {

/// How windows run along one dimension: output i sees input i·stride + u·dilation − padding.
struct Steps {
  std::size_t in = 1, out = 1, kernel = 1;
  long stride = 1, padding = 0, dilation = 1;
  /// The input's index, or −1 outside.
  long at(std::size_t i, std::size_t u) const {
    const long h = static_cast<long>(i) * stride + static_cast<long>(u) * dilation - padding;
    return h >= 0 && h < static_cast<long>(in) ? h : -1;
  }
};

/// All ways in which a kernel turns size `in` into `out`.
std::vector<Steps> ways(std::size_t in, std::size_t out, std::size_t kernel, long most_dilation) {
  std::vector<Steps> found;
  for (long stride = 1; stride <= 4; ++stride)
    for (long dilation = 1; dilation <= (kernel > 1 ? most_dilation : 1); ++dilation)
      for (long padding = 0; padding <= static_cast<long>(kernel); ++padding) {
        const long room = static_cast<long>(in) + 2 * padding - dilation * (static_cast<long>(kernel) - 1) - 1;
        if (room >= 0 && room / stride + 1 == static_cast<long>(out))
          found.push_back({in, out, kernel, stride, padding, dilation});
      }
  return found;
}

/// (N, C, H, W), or (N, C, L) with H = 1.
struct Volume {
  std::size_t n = 0, channels = 0, height = 1, width = 0;
  explicit Volume(const Shape& s) {
    if (s.rank() != 3 && s.rank() != 4) return;
    n = s[0], channels = s[1], width = s[-1];
    if (s.rank() == 4) height = s[2];
  }
  bool empty() const { return n == 0; }
};

bool near(double a, double b) { return std::abs(a - b) <= 1e-9 * (1 + std::abs(b)); }

struct Convolved {
  Volume x, y;
  Grid xs, ys, dys, W, b;
  std::size_t group_channels = 1, group_filters = 1;
  Steps rows, columns;

  std::size_t weight(std::size_t o, std::size_t c, std::size_t u, std::size_t v) const {
    return ((o * group_channels + c) * rows.kernel + u) * columns.kernel + v;
  }
  /// Calls f(place in y, place in x, place in W) for each product under the steps `r` and `q`.
  template <class F>
  void each(const Steps& r, const Steps& q, F f) const {
    for (std::size_t n = 0; n < y.n; ++n)
      for (std::size_t o = 0; o < y.channels; ++o)
        for (std::size_t i = 0; i < y.height; ++i)
          for (std::size_t j = 0; j < y.width; ++j)
            for (std::size_t c = 0; c < group_channels; ++c)
              for (std::size_t u = 0; u < r.kernel; ++u)
                for (std::size_t v = 0; v < q.kernel; ++v) {
                  const long h = r.at(i, u), w = q.at(j, v);
                  if (h < 0 || w < 0) continue;
                  const std::size_t channel = o / group_filters * group_channels + c;
                  f(((n * y.channels + o) * y.height + i) * y.width + j,
                    ((n * x.channels + channel) * x.height + static_cast<std::size_t>(h)) * x.width +
                        static_cast<std::size_t>(w),
                    weight(o, c, u, v));
                }
  }
  bool is_forward() const {
    std::vector<double> sum(ys.elements.size());
    each(rows, columns, [&](std::size_t at_y, std::size_t at_x, std::size_t at_w) {
      sum[at_y] += W.elements[at_w] * xs.elements[at_x];
    });
    const std::size_t plane = y.height * y.width;
    for (std::size_t k = 0; k < sum.size(); ++k)
      if (!near(ys.elements[k], sum[k] + (b.empty() ? 0 : b.elements[k / plane % y.channels]))) return false;
    return true;
  }
  /// The place in the weight rotated by 180°.
  std::size_t turned(std::size_t at_w) const {
    const std::size_t taps = rows.kernel * columns.kernel;
    return at_w / taps * taps + (taps - 1 - at_w % taps);
  }
  Grid of_input(const Steps& r, const Steps& q, bool turn) const {
    Grid dx = xs;
    dx.elements.assign(xs.elements.size(), 0);
    each(r, q, [&](std::size_t at_y, std::size_t at_x, std::size_t at_w) {
      dx.elements[at_x] += dys.elements[at_y] * W.elements[turn ? turned(at_w) : at_w];
    });
    return dx;
  }
  /// With = instead of += where windows overlap: the last window wins.
  Grid of_input_overwritten() const {
    Grid dx = xs;
    dx.elements.assign(xs.elements.size(), 0);
    std::vector<std::size_t> last(xs.elements.size(), std::numeric_limits<std::size_t>::max());
    const std::size_t plane = y.height * y.width;
    // window by window, each summed over the filters
    std::vector<std::pair<std::size_t, std::pair<std::size_t, double>>> parts;
    each(rows, columns, [&](std::size_t at_y, std::size_t at_x, std::size_t at_w) {
      parts.push_back({at_y % plane, {at_x, dys.elements[at_y] * W.elements[at_w]}});
    });
    for (std::size_t window = 0; window < plane; ++window)
      for (const auto& [of, part] : parts) {
        if (of != window) continue;
        const auto& [at_x, value] = part;
        dx.elements[at_x] = last[at_x] == window ? dx.elements[at_x] + value : value;
        last[at_x] = window;
      }
    return dx;
  }
  Grid of_weight(const Steps& r, const Steps& q, bool turn) const {
    Grid dW = W;
    dW.elements.assign(W.elements.size(), 0);
    each(r, q, [&](std::size_t at_y, std::size_t at_x, std::size_t at_w) {
      dW.elements[turn ? turned(at_w) : at_w] += dys.elements[at_y] * xs.elements[at_x];
    });
    return dW;
  }
};

std::optional<Convolved> convolution_of(const GradientStep& step) {
  Convolved c{
      Volume(step.x.shape()), Volume(step.y.shape()), Grid(step.x), Grid(step.y), Grid(step.dy), {}, {}, 1, 1, {}, {}};
  if (c.x.empty() || c.y.empty() || c.x.n != c.y.n || step.x.rank() != step.y.rank()) return {};
  Volume kernel{Shape{}};
  for (const auto& [name, value] : step.parameters) {
    if (value.rank() == step.x.rank()) {
      if (!kernel.empty()) return {};
      kernel = Volume(value.shape());
      c.W = Grid(value);
    } else if (value.rank() == 1 && value.numel() == c.y.channels) {
      c.b = Grid(value);
    }
  }
  if (kernel.empty() || kernel.n != c.y.channels || kernel.channels == 0 || c.x.channels % kernel.channels != 0)
    return {};
  c.group_channels = kernel.channels;
  const std::size_t groups = c.x.channels / kernel.channels;
  if (c.y.channels % groups != 0) return {};
  c.group_filters = c.y.channels / groups;
  for (const Steps& rows : ways(c.x.height, c.y.height, kernel.height, 3))
    for (const Steps& columns : ways(c.x.width, c.y.width, kernel.width, 3)) {
      c.rows = rows, c.columns = columns;
      if (c.is_forward()) return c;
    }
  return {};
}

struct Pooled {
  Volume x, y;
  Grid xs, ys, dys;
  Steps rows, columns;
  bool is_max = true;

  /// Calls f(place in y, place in x) for the elements of each window in turn.
  template <class F>
  void each(F f) const {
    for (std::size_t plane = 0; plane < y.n * y.channels; ++plane)
      for (std::size_t i = 0; i < y.height; ++i)
        for (std::size_t j = 0; j < y.width; ++j)
          for (std::size_t u = 0; u < rows.kernel; ++u)
            for (std::size_t v = 0; v < columns.kernel; ++v) {
              const long h = rows.at(i, u), w = columns.at(j, v);
              if (h < 0 || w < 0) continue;
              f((plane * y.height + i) * y.width + j,
                (plane * x.height + static_cast<std::size_t>(h)) * x.width + static_cast<std::size_t>(w));
            }
  }
  bool is_forward() const {
    std::vector<double> value(ys.elements.size(), is_max ? -std::numeric_limits<double>::infinity() : 0);
    each([&](std::size_t at_y, std::size_t at_x) {
      value[at_y] = is_max ? std::max(value[at_y], xs.elements[at_x])
                           : value[at_y] + xs.elements[at_x] / static_cast<double>(rows.kernel * columns.kernel);
    });
    for (std::size_t k = 0; k < value.size(); ++k)
      if (!near(ys.elements[k], value[k])) return false;
    return true;
  }
  enum class Share { Right, All, Tied, Overwritten, Whole };
  Grid of_input(Share share) const {
    Grid dx = xs;
    dx.elements.assign(xs.elements.size(), 0);
    std::vector<bool> given(ys.elements.size());
    each([&](std::size_t at_y, std::size_t at_x) {
      const bool is_top = near(xs.elements[at_x], ys.elements[at_y]);
      double part = dys.elements[at_y];
      if (is_max) {
        if (share != Share::All && !is_top) return;
        if ((share == Share::Right || share == Share::Overwritten) && given[at_y]) return;
        given[at_y] = true;
      } else if (share != Share::Whole) {
        part /= static_cast<double>(rows.kernel * columns.kernel);
      }
      dx.elements[at_x] = share == Share::Overwritten ? part : dx.elements[at_x] + part;
    });
    return dx;
  }
};

std::optional<Pooled> pooling_of(const GradientStep& step) {
  Pooled p{Volume(step.x.shape()), Volume(step.y.shape()), Grid(step.x), Grid(step.y), Grid(step.dy), {}, {}};
  if (p.x.empty() || p.y.empty() || p.x.n != p.y.n || p.x.channels != p.y.channels || !step.parameters.empty())
    return {};
  for (std::size_t kh = 1; kh <= std::min<std::size_t>(p.x.height, 5); ++kh)
    for (std::size_t kw = 1; kw <= std::min<std::size_t>(p.x.width, 5); ++kw) {
      if (kh * kw == 1) continue;
      for (const Steps& rows : ways(p.x.height, p.y.height, kh, 1))
        for (const Steps& columns : ways(p.x.width, p.y.width, kw, 1)) {
          if (2 * rows.padding > static_cast<long>(kh) || 2 * columns.padding > static_cast<long>(kw)) continue;
          p.rows = rows, p.columns = columns;
          for (const bool is_max : {true, false}) {
            p.is_max = is_max;
            if (p.is_forward()) return p;
          }
        }
    }
  return {};
}

}  // namespace

std::vector<NormGuess> window_guesses(const GradientStep& step, bool of_input) {
  std::vector<NormGuess> guesses;
  if (!step.x.defined() || !step.y.defined() || !step.dy.defined()) return guesses;
  if (const auto c = convolution_of(step)) {
    const Grid right = of_input ? c->of_input(c->rows, c->columns, false) : c->of_weight(c->rows, c->columns, false);
    const std::string derivative =
        of_input ? "dx[h,w] = Σ δ[o,i,j]·W[o,c,u,v] over i·s = h + p − u·d: a larger u with a smaller i"
                 : "dW[o,c,u,v] = Σ δ[o,i,j]·x[c, i·s + u·d − p, j·s + v·d − p]";
    const auto add = [&](Cause cause, Grid wrong, const std::string& what, const std::string& formula) {
      guesses.push_back({cause, right, std::move(wrong), what, formula, derivative});
    };
    Steps r = c->rows, q = c->columns;
    r.stride = q.stride = 1;
    const std::string stride = "the stride is forgotten in the backward";
    if (of_input) {
      add(Cause::KernelNotFlipped, c->of_input(c->rows, c->columns, true), "the kernel is turned the wrong way round",
          "W[k−1−u, k−1−v] for W[u, v]");
      add(Cause::StrideIgnored, c->of_input(r, q, false), stride, "δ put at i + u·d − p");
      add(Cause::WindowOverwritten, c->of_input_overwritten(), "a window overwrites what others gave to its inputs",
          "= for += where windows overlap");
    } else {
      add(Cause::FactorsSwapped, c->of_weight(c->rows, c->columns, true),
          "x and δ are exchanged in dW: δ is correlated with x, which gives the turned gradient", "dW[k−1−u, k−1−v]");
      add(Cause::StrideIgnored, c->of_weight(r, q, false), stride, "x taken at i + u·d − p");
    }
    r = c->rows, q = c->columns;
    r.padding = q.padding = 0;
    add(Cause::PaddingIgnored, of_input ? c->of_input(r, q, false) : c->of_weight(r, q, false),
        "the padding is forgotten in the backward", "i·s + u·d without − p");
  }
  if (!of_input) return guesses;
  if (const auto p = pooling_of(step)) {
    using Share = Pooled::Share;
    const Grid right = p->of_input(Share::Right);
    const auto add = [&](Cause cause, Share share, const std::string& what, const std::string& formula) {
      guesses.push_back({cause, right, p->of_input(share), what, formula,
                         p->is_max
                             ? "dx[h,w] = Σ δ[i,j] over the windows whose maximum is at (h,w), the first of several"
                             : "dx[h,w] = Σ δ[i,j]/k² over the windows that hold (h,w)"});
    };
    if (p->is_max) {
      add(Cause::GivenToAll, Share::All, "the pooling's gradient goes to every cell of the window",
          "δ for all cells of a window");
      add(Cause::GivenToAll, Share::Tied, "the pooling's gradient goes to each of several equal maxima",
          "δ for all cells that equal the maximum");
    } else {
      add(Cause::NotAveraged, Share::Whole, "the pooling's gradient is not divided by the size of the window",
          "δ for δ/k²");
    }
    add(Cause::WindowOverwritten, Share::Overwritten, "a window overwrites what others gave to its inputs",
        "= for += where windows overlap");
  }
  return guesses;
}

}  // namespace handgrad::detail
