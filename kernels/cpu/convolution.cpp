// The three sums of a convolution, without a matrix of patches. What a tap sees, x[n,c,i·s + u·d − p, j·s + v·d − p]
// for all i and j, is a strided part of a plane. So x is copied once, padded with zeros, into a plane for each phase
// (rows and columns modulo the stride), where it is contiguous:
//
//     x̃[c, a, b, r, t] = x[c, r·s + a − p, t·s + b − p]
//     tap (c,u,v) of output (i,j) = x̃[offset(c,u,v) + i·width + j]
//
// The sums are then products in which a row of one matrix is an address:
//
//     y[o,·]   = Σ_l W[o,l]·x̃[offset(l) + ·]         correlation of x with W
//     dx[c,·]  = Σ_l W[o,c,u,v]·δ̃[offset(l) + ·]     of the padded δ with the flipped W, one phase of x at a time
//     dW[o,l]  = Σ_q δ[o,q]·x̃[offset(l) + q]         of x with δ
//
// Every element of y and dx is a chain of fused multiply-adds over l in blocks of 256, as in a product (product.hpp);
// dW and db are sums in 64 bytes' worth of lanes, in blocks that follow from the shape. Neither the width of the
// vectors nor the number of threads changes a bit.
#include "kernels/convolution.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "kernels/cpu/columns.hpp"
#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;
using formulas::Axis;

namespace {

constexpr std::size_t block_terms = 256;

template <class T>
using Register = Batch<T>;

// --- Room ----------------------------------------------------------------------------------------------------------

// This thread's scratch memory, taken once per operation and dealt out: the first pass measures, the second places.
class Room {
 public:
  template <class V>
  std::size_t add(std::size_t n) {
    const std::size_t at = size_;
    size_ += (n * sizeof(V) + 63) / 64 * 64;
    return at;
  }
  void take() {
    const auto address = reinterpret_cast<std::uintptr_t>(scratch_bytes(size_ + 64));
    base_ = reinterpret_cast<std::byte*>((address + 63) / 64 * 64);
  }
  template <class V>
  V* at(std::size_t place) const {
    return reinterpret_cast<V*>(base_ + place);
  }

 private:
  std::size_t size_ = 0;
  std::byte* base_ = nullptr;
};

// How many parts a job of this many fused multiply-adds is split into.
template <class T>
std::size_t parts_for(std::size_t items, std::size_t terms) {
  const std::size_t threads = threads_at_most(), cycles = terms / Register<T>::size;
  if (threads == 1 || cycles < 50'000) return 1;
  return std::min(items, 2 * threads);
}

// f(part, first item, end) for contiguous shares of the items.
template <class F>
void share(std::size_t items, std::size_t parts, F f) {
  if (parts <= 1) return f(0, 0, items);
  parallel(parts, [&](std::size_t part) { f(part, items * part / parts, items * (part + 1) / parts); });
}

// A vector at a time: the rows are short.
template <class T>
void copy_run(std::size_t n, const T* from, T* to) {
  constexpr std::size_t w = Register<T>::size;
  for (std::size_t k = 0; k < n; k += w) {
    const std::size_t count = std::min(w, n - k);
    Register<T>::load(from + k, count).store(to + k, count);
  }
}

// --- Planes --------------------------------------------------------------------------------------------------------

// Layout of x̃ for `rows` output rows: height × width elements for each channel and phase.
struct Planes {
  Axis y, x;                       // the axes of rows and columns
  std::size_t phases_y, phases_x;  // those that taps look at
  std::size_t height, width;
  bool direct;  // x itself can serve as x̃

  Planes(const ConvolutionShape& s, std::size_t rows)
      : y(s.rows),
        x(s.columns),
        phases_y(std::min(y.stride, (y.kernel - 1) * y.dilation + 1)),
        phases_x(std::min(x.stride, (x.kernel - 1) * x.dilation + 1)),
        height(rows + (y.kernel - 1) * y.dilation / y.stride),
        width(x.out + (x.kernel - 1) * x.dilation / x.stride),
        direct(s.taps() == 1 && y.stride == 1 && x.stride == 1 && y.padding == 0 && x.padding == 0 && y.in == y.out &&
               x.in == x.out) {
    if (direct) height = y.in;
  }

  std::size_t channel() const { return phases_y * phases_x * height * width; }
  std::size_t offset(std::size_t c, std::size_t u, std::size_t v) const {
    const std::size_t down = u * y.dilation, right = v * x.dilation;
    return c * channel() + ((down % y.stride * phases_x + right % x.stride) * height + down / y.stride) * width +
           right / x.stride;
  }
  void offsets(std::size_t channels, std::size_t* to) const {
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t u = 0; u < y.kernel; ++u)
        for (std::size_t v = 0; v < x.kernel; ++v) *to++ = offset(c, u, v);
  }

  // Copies what the output rows from `first` on see: to[c, a, b, r, t] = from[c, h, t·stride + b − padding], 0 outside.
  template <class T>
  void copy(std::size_t channels, std::size_t first, const T* from, T* to) const {
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t a = 0; a < phases_y; ++a)
        for (std::size_t b = 0; b < phases_x; ++b) {
          const std::size_t before = b < x.padding ? (x.padding - b + x.stride - 1) / x.stride : 0;
          const std::size_t end = x.in + x.padding > b ? (x.in + x.padding - b + x.stride - 1) / x.stride : 0;
          const std::size_t begin = std::min(before, width), stop = std::max(begin, std::min(end, width));
          for (std::size_t r = 0; r < height; ++r, to += width) {
            const std::size_t h = (first + r) * y.stride + a - y.padding;  // wraps round below 0
            if (h >= y.in) {
              std::fill_n(to, width, T(0));
              continue;
            }
            for (std::size_t t = 0; t < begin; ++t) to[t] = 0;
            const T* row = from + (c * y.in + h) * x.in + (begin * x.stride + b - x.padding);
            if (x.stride == 1)
              copy_run(stop - begin, row, to + begin);
            else
              for (std::size_t t = begin; t < stop; ++t, row += x.stride) to[t] = *row;
            for (std::size_t t = stop; t < width; ++t) to[t] = 0;
          }
        }
  }
};

// --- Sums over taps ------------------------------------------------------------------------------------------------

// Neighbouring outputs that form one vector: where the tap of offset 0 is, where they go, and how many.
struct Slot {
  std::size_t from, to, count;
};

// For `rows` rows of `columns` outputs; in the destination, neighbours are `step` and rows `line` apart.
template <class T>
std::size_t make_slots(std::size_t rows, std::size_t columns, std::size_t from, std::size_t from_line, std::size_t to,
                       std::size_t step, std::size_t line, Slot* slots) {
  constexpr std::size_t w = Register<T>::size;
  if (from_line == columns && line == columns * step) {  // rows without gaps
    columns *= rows;
    rows = 1;
  }
  Slot* slot = slots;
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; j += w)
      *slot++ = {from + i * from_line + j, to + i * line + j * step, std::min(w, columns - j)};
  return static_cast<std::size_t>(slot - slots);
}
template <class T>
std::size_t most_slots(std::size_t rows, std::size_t columns) {
  return rows * ((columns + Register<T>::size - 1) / Register<T>::size);
}

// out[i, slot j] = or += Σ_l weight[l,i]·from[slot j + offset[l]], then + bias[i] unless null. Loads whole vectors
// unless `part`.
template <class T, std::size_t R, std::size_t N, bool part>
void taps(std::size_t terms, const std::size_t* offset, const T* weight, const T* from, const Slot* slots, T* out,
          std::size_t ld, bool add, const T* bias) {
  using V = Register<T>;
  V sum[R][N];
  HANDGRAD_UNROLL
  for (std::size_t i = 0; i < R; ++i) {
    HANDGRAD_UNROLL
    for (std::size_t j = 0; j < N; ++j) sum[i][j] = V(T(0));
  }
  const T* at[N];
  HANDGRAD_UNROLL
  for (std::size_t j = 0; j < N; ++j) at[j] = from + slots[j].from;
  for (std::size_t l = 0; l < terms; ++l, weight += R) {
    V x[N];
    HANDGRAD_UNROLL
    for (std::size_t j = 0; j < N; ++j)
      x[j] = part ? V::load(at[j] + offset[l], slots[j].count) : V::load(at[j] + offset[l]);
    HANDGRAD_UNROLL
    for (std::size_t i = 0; i < R; ++i) {
      const V w = V(weight[i]);
      HANDGRAD_UNROLL
      for (std::size_t j = 0; j < N; ++j) sum[i][j] = fused(w, x[j], sum[i][j]);
    }
  }
  HANDGRAD_UNROLL
  for (std::size_t i = 0; i < R; ++i) {
    HANDGRAD_UNROLL
    for (std::size_t j = 0; j < N; ++j) {
      T* to = out + i * ld + slots[j].to;
      V y = sum[i][j];
      if (add) y = V::load(to, slots[j].count) + y;
      if (bias) y = y + V(bias[i]);
      y.store(to, slots[j].count);
    }
  }
}

template <class T>
using Taps = void (*)(std::size_t, const std::size_t*, const T*, const T*, const Slot*, T*, std::size_t, bool,
                      const T*);
template <class T, std::size_t N, bool part, std::size_t... R>
constexpr std::array<Taps<T>, sizeof...(R)> make_taps(std::index_sequence<R...>) {
  return {taps<T, R + 1, N, part>...};
}
template <class T, std::size_t N, bool part = false>
constexpr auto taps_of = make_taps<T, N, part>(std::make_index_sequence<Tiling<T>::rows>());

// Rows of weights in panels of at most Tiling::rows, which one pass over a slot sums together; within a panel, the
// weights of one tap are contiguous.
template <class T>
struct Panels {
  std::size_t rows, terms;
  std::size_t count = (rows + Tiling<T>::rows - 1) / Tiling<T>::rows;
  std::size_t begin(std::size_t panel) const { return rows * panel / count; }

  template <class Weight>  // weight(row, l)
  void pack(T* to, Weight weight) const {
    for (std::size_t panel = 0; panel < count; ++panel)
      for (std::size_t l = 0; l < terms; ++l)
        for (std::size_t row = begin(panel); row < begin(panel + 1); ++row) *to++ = weight(row, l);
  }
};

// out[row, slot] for all rows and slots; a slot's neighbours are `step` apart in out. `overrun`: whole vectors may be
// read past the last element.
template <class T>
void correlate(const Panels<T>& p, const std::size_t* offset, const T* weights, const T* from, bool overrun,
               const Slot* slots, std::size_t slot_count, T* out, std::size_t ld, std::size_t step, const T* bias) {
  constexpr std::size_t w = Register<T>::size, most = 2;
  for (std::size_t panel = 0; panel < p.count; ++panel) {
    const std::size_t row = p.begin(panel), height = p.begin(panel + 1) - row;
    const T *weight = weights + row * p.terms, *b = bias ? bias + row : nullptr;
    T* to = out + row * ld;
    for (std::size_t s = 0, n; s < slot_count; s += n) {
      n = std::min(most, slot_count - s);
      const bool part = !overrun && (slots[s].count < w || slots[s + n - 1].count < w);
      if (part) n = 1;
      const Taps<T> sum = (part ? taps_of<T, 1, true> : n == 2 ? taps_of<T, 2> : taps_of<T, 1>)[height - 1];
      if (step == 1) {
        for (std::size_t l = 0; l < p.terms || l == 0; l += block_terms) {
          const std::size_t end = std::min(l + block_terms, p.terms);
          sum(end - l, offset + l, weight + l * height, from, slots + s, to, ld, l > 0, end == p.terms ? b : nullptr);
        }
        continue;
      }
      T dense[Tiling<T>::rows * most * w];
      Slot here[most];
      for (std::size_t j = 0; j < n; ++j) here[j] = {slots[s + j].from, j * w, slots[s + j].count};
      for (std::size_t l = 0; l < p.terms || l == 0; l += block_terms) {
        const std::size_t end = std::min(l + block_terms, p.terms);
        sum(end - l, offset + l, weight + l * height, from, here, dense, most * w, l > 0, end == p.terms ? b : nullptr);
      }
      for (std::size_t i = 0; i < height; ++i)
        for (std::size_t j = 0; j < n; ++j)
          for (std::size_t k = 0; k < slots[s + j].count; ++k)
            to[i * ld + slots[s + j].to + k * step] = dense[(i * most + j) * w + k];
    }
  }
}

// --- Sums over positions -------------------------------------------------------------------------------------------

// A cache line's worth of lanes, whatever the width of a vector.
template <class T>
struct Lanes {
  using V = Register<T>;
  static constexpr std::size_t size = 64 / sizeof(T), parts = size / V::size;
  V part[parts];

  static Lanes zero() {
    Lanes r;
    for (V& p : r.part) p = V(T(0));
    return r;
  }
  static Lanes load(const T* p) {
    Lanes r;
    HANDGRAD_UNROLL
    for (std::size_t k = 0; k < parts; ++k) r.part[k] = V::load(p + k * V::size);
    return r;
  }
  // the first n; the others are 0
  static Lanes load(const T* p, std::size_t n) {
    Lanes r;
    HANDGRAD_UNROLL
    for (std::size_t k = 0; k < parts; ++k) {
      const std::size_t before = k * V::size, there = n > before ? std::min(n - before, V::size) : 0;
      r.part[k] = V::load(p + before, there);
    }
    return r;
  }
  static Lanes ones(std::size_t n) {
    T one[size] = {};
    std::fill_n(one, n, T(1));
    return load(one);
  }
  friend Lanes fused(const Lanes& a, const Lanes& b, const Lanes& c) {
    Lanes r;
    HANDGRAD_UNROLL
    for (std::size_t k = 0; k < parts; ++k) r.part[k] = fused(a.part[k], b.part[k], c.part[k]);
    return r;
  }
  // adds lane k + size/2 to lane k, and so on
  T sum() const {
    return fold(part, [](V a, V b) { return a + b; });
  }
};

// The rows of δ that a chain of sums runs along: in each of some images, `count` runs of `length` neighbours.
struct Runs {
  std::size_t images, count, length;
  std::size_t delta_image, delta_line;  // between images, and between runs, of δ
  std::size_t x_image, x_line;          // the same of x̃
};

// out[i·ld + j] = or += Σ δ[i]·x̃[offset[j] + ·] over all runs, for R rows of δ and N taps
template <class T, std::size_t R, std::size_t N>
void positions(const Runs& runs, const T* delta, std::size_t delta_ld, const T* x, const std::size_t* offset, T* out,
               std::size_t ld, bool add) {
  using L = Lanes<T>;
  L sum[R][N];
  HANDGRAD_UNROLL
  for (std::size_t i = 0; i < R; ++i) {
    HANDGRAD_UNROLL
    for (std::size_t j = 0; j < N; ++j) sum[i][j] = L::zero();
  }
  for (std::size_t image = 0; image < runs.images; ++image)
    for (std::size_t r = 0; r < runs.count; ++r) {
      const T *d = delta + image * runs.delta_image + r * runs.delta_line,
              *at = x + image * runs.x_image + r * runs.x_line;
      for (std::size_t k = 0; k < runs.length; k += L::size, d += L::size, at += L::size) {
        const std::size_t count = std::min(runs.length - k, L::size);  // one way for whole and other steps: the sums
        L taps[N];                                                     // stay in registers
        HANDGRAD_UNROLL
        for (std::size_t j = 0; j < N; ++j) taps[j] = L::load(at + offset[j], count);
        HANDGRAD_UNROLL
        for (std::size_t i = 0; i < R; ++i) {
          const L di = L::load(d + i * delta_ld, count);
          HANDGRAD_UNROLL
          for (std::size_t j = 0; j < N; ++j) sum[i][j] = fused(di, taps[j], sum[i][j]);
        }
      }
    }
  HANDGRAD_UNROLL
  for (std::size_t i = 0; i < R; ++i) {
    HANDGRAD_UNROLL
    for (std::size_t j = 0; j < N; ++j) {
      const T total = sum[i][j].sum();
      out[i * ld + j] = add ? out[i * ld + j] + total : total;
    }
  }
}

template <class T>
using Positions = void (*)(const Runs&, const T*, std::size_t, const T*, const std::size_t*, T*, std::size_t, bool);
// As many as fit in registers.
template <class T>
constexpr std::size_t delta_rows = Tiling<T>::rows >= 12 ? 4 : 2;
template <class T>
constexpr std::size_t delta_taps = Tiling<T>::rows >= 12 ? 6 : 2;
template <class T, std::size_t R, std::size_t... N>
constexpr std::array<Positions<T>, sizeof...(N)> make_positions(std::index_sequence<N...>) {
  return {positions<T, R, N + 1>...};
}
template <class T, std::size_t... R>
constexpr std::array<std::array<Positions<T>, delta_taps<T>>, sizeof...(R)> make_positions_table(
    std::index_sequence<R...>) {
  return {make_positions<T, R + 1>(std::make_index_sequence<delta_taps<T>>())...};
}
template <class T>
constexpr auto positions_of = make_positions_table<T>(std::make_index_sequence<delta_rows<T>>());

// dW (rows × terms) = or += Σ δ·x̃ over the runs
template <class T>
void correlate_positions(const Runs& runs, std::size_t rows, const T* delta, std::size_t delta_ld, std::size_t terms,
                         const T* x, const std::size_t* offset, T* dW, bool add) {
  const std::size_t down = (rows + delta_rows<T> - 1) / delta_rows<T>,
                    across = (terms + delta_taps<T> - 1) / delta_taps<T>;
  for (std::size_t a = 0; a < across; ++a) {
    const std::size_t l = terms * a / across, taps = terms * (a + 1) / across - l;
    for (std::size_t d = 0; d < down; ++d) {
      const std::size_t row = rows * d / down, height = rows * (d + 1) / down - row;
      positions_of<T>[height - 1][taps - 1](runs, delta + row * delta_ld, delta_ld, x, offset + l, dW + row * terms + l,
                                            terms, add);
    }
  }
}

// grad = β·grad + Σ of `count` sums of n numbers: in pairs, pairs of pairs, …
template <class T>
void add_up(std::size_t count, std::size_t n, T* sums, Gradient<T> to) {
  for (std::size_t step = 1; step < count; step *= 2)
    for (std::size_t i = 0; i + step < count; i += 2 * step) {
      T *left = sums + i * n, *right = sums + (i + step) * n;
      for (std::size_t k = 0; k < n; ++k) left[k] += right[k];
    }
  for (std::size_t k = 0; k < n; ++k) to.data[k] = to.beta == T(0) ? sums[k] : to.data[k] + sums[k];
}

// How the rows of all images are cut into blocks, each one chain per lane, and the blocks into shares: by the shape
// alone.
struct Blocks {
  static constexpr std::size_t steps = 128;  // approximate length of a chain
  std::size_t images = 1, rows;              // of a block: several images, or part of one
  std::size_t per_image, count;              // numbers of blocks
  std::size_t shares;                        // each share adds up its blocks one after the other

  Blocks(std::size_t batch, std::size_t height, std::size_t steps_of_row, std::size_t sums) : rows(height) {
    const std::size_t steps_of_image = height * steps_of_row;
    if (steps_of_image > 2 * steps)
      rows = std::max<std::size_t>(1, steps / steps_of_row);
    else
      images = std::min(batch, (steps + steps_of_image - 1) / steps_of_image);
    per_image = (height + rows - 1) / rows;
    count = images > 1 ? (batch + images - 1) / images : batch * per_image;
    shares = std::min(count, std::max<std::size_t>(8, 1'000'000 / sums));
  }
};

// y = f(y) for `rows` rows of n numbers, ld apart
template <class T>
void activate(const formulas::Activation& f, std::size_t rows, std::size_t n, std::size_t ld, T* y) {
  std::visit(
      [&](const auto& g) {
        for (std::size_t i = 0; i < rows; ++i)
          map(
              n, y + i * ld, [=](Batch<T> z) { return g.value(z); }, y + i * ld);
      },
      f);
}

}  // namespace

// y[n,o,i,j] = f(Σ_{c,u,v} W[o,c,u,v]·x[n,c,i·s + u·d − p, j·s + v·d − p] + b[o])
template <class D, class T>
void ConvolutionOn<D, T>::forward(const ConvolutionShape& s, const T* x, const T* W, const T* b,
                                  const formulas::Activation* f, T* y) {
  const std::size_t G = s.groups, C = s.group_channels(), O = s.group_filters(), K = s.terms();
  // A piece is some rows of one group's planes in one image, small enough that its input stays in the nearest caches.
  constexpr std::size_t piece_elements = 16'384;
  const std::size_t line = C * Planes(s, 0).phases_y * Planes(s, 0).phases_x * Planes(s, 0).width;
  std::size_t rows = std::min(s.rows.out, std::max<std::size_t>(4, piece_elements / std::max<std::size_t>(line, 1)));
  if (s.batch * G < threads_at_most()) rows = std::min(rows, (s.rows.out + threads_at_most() - 1) / threads_at_most());
  const std::size_t pieces = (s.rows.out + rows - 1) / rows, last_rows = s.rows.out - (pieces - 1) * rows;
  const Planes planes(s, rows);
  const Panels<T> panels{O, K};
  const std::size_t items = s.batch * G * pieces, parts = parts_for<T>(items, s.batch * G * O * K * s.out_plane());

  Room room;
  const std::size_t weights_at = room.add<T>(G * O * K), offsets_at = room.add<std::size_t>(K),
                    slots_at = room.add<Slot>(most_slots<T>(rows, s.columns.out)),
                    last_at = room.add<Slot>(most_slots<T>(last_rows, s.columns.out));
  const std::size_t copy_size = planes.direct ? 0 : C * planes.channel() + Register<T>::size;
  const std::size_t copies_at = room.add<T>(parts * copy_size);
  room.take();
  T* weights = room.at<T>(weights_at);
  for (std::size_t g = 0; g < G; ++g)
    panels.pack(weights + g * O * K, [&](std::size_t o, std::size_t l) { return W[(g * O + o) * K + l]; });
  std::size_t* offsets = room.at<std::size_t>(offsets_at);
  planes.offsets(C, offsets);
  Slot *slots = room.at<Slot>(slots_at), *last = room.at<Slot>(last_at);
  const std::size_t columns = s.columns.out;
  const std::size_t count = make_slots<T>(rows, columns, 0, planes.width, 0, 1, columns, slots),
                    last_count = make_slots<T>(last_rows, columns, 0, planes.width, 0, 1, columns, last);

  share(items, parts, [&](std::size_t part, std::size_t first, std::size_t end) {
    T* copy = room.at<T>(copies_at) + part * copy_size;
    for (std::size_t item = first; item < end; ++item) {
      const std::size_t piece = item % pieces, group = item / pieces;  // of all images
      const T* from = x + group * C * s.in_plane();
      if (planes.direct)
        from += piece * rows * planes.width;
      else
        planes.copy(C, piece * rows, from, copy);
      const bool is_last = piece + 1 == pieces;
      T* to = y + group * O * s.out_plane() + piece * rows * columns;
      correlate(panels, offsets, weights + group % G * O * K, planes.direct ? from : copy, !planes.direct,
                is_last ? last : slots, is_last ? last_count : count, to, s.out_plane(), 1,
                b ? b + group % G * O : nullptr);
      if (f) activate(*f, O, (is_last ? last_rows : rows) * columns, s.out_plane(), to);
    }
  });
}

// dx[n,c,h,w] = Σ_{o,u,v: i·s = h + p − u·d, j·s = w + p − v·d} W[o,c,u,v]·δ[n,o,i,j] + b[c]. With h + p = r·s + a,
// only the taps with u·d ≡ a (mod s) take part, and i = r − ⌊u·d/s⌋. Each phase is thus a correlation of stride 1 in
// which a larger u looks further back: the kernel is flipped.
template <class D, class T>
void ConvolutionOn<D, T>::backward_input(const ConvolutionShape& s, const T* dy, const T* W, const T* b, T* dx) {
  const std::size_t G = s.groups, C = s.group_channels(), O = s.group_filters(), taps = s.taps();
  const Axis &y = s.rows, &x = s.columns;
  // δ̃: δ padded with zeros, `up` rows above and `left` columns on the left
  const std::size_t up = (y.kernel - 1) * y.dilation / y.stride, left = (x.kernel - 1) * x.dilation / x.stride;
  const std::size_t height = up + std::max(y.out, (y.in - 1 + y.padding) / y.stride + 1),
                    width = left + std::max(x.out, (x.in - 1 + x.padding) / x.stride + 1);
  const bool direct = up + left == 0 && height == y.out && width == x.out;

  // The rows (or columns) of x in phase a: r·s + a − p for r = first … first + count − 1.
  struct Phase {
    std::size_t first, count, at;  // at: the first of them in x
  };
  const auto phase = [](const Axis& axis, std::size_t a) {
    const std::size_t first = a < axis.padding ? (axis.padding - a + axis.stride - 1) / axis.stride : 0;
    const std::size_t at = first * axis.stride + a - axis.padding;
    return Phase{first, at < axis.in ? (axis.in - at + axis.stride - 1) / axis.stride : 0, at};
  };
  // One phase of rows combined with one of columns.
  struct Part {
    std::size_t terms, weights, slots, slot_count;
  };

  const std::size_t phases = y.stride * x.stride;
  const std::size_t items = s.batch * G, parts = parts_for<T>(items, s.batch * G * O * C * taps * s.out_plane());
  std::size_t slots_needed = 0;
  for (std::size_t a = 0; a < y.stride; ++a)
    for (std::size_t c = 0; c < x.stride; ++c) slots_needed += most_slots<T>(phase(y, a).count, phase(x, c).count);
  Room room;
  const std::size_t weights_at = room.add<T>(G * O * C * taps), offsets_at = room.add<std::size_t>(O * taps),
                    slots_at = room.add<Slot>(slots_needed), parts_at = room.add<Part>(phases);
  const std::size_t copy_size = direct ? 0 : O * height * width + Register<T>::size;
  const std::size_t copies_at = room.add<T>(parts * copy_size);
  room.take();
  T* weights = room.at<T>(weights_at);
  std::size_t* offsets = room.at<std::size_t>(offsets_at);
  Slot* slots = room.at<Slot>(slots_at);
  Part* each = room.at<Part>(parts_at);

  std::size_t terms_before = 0, slots_before = 0;
  for (std::size_t a = 0, k = 0; a < y.stride; ++a)
    for (std::size_t c = 0; c < x.stride; ++c, ++k) {
      const auto in_phase = [&](std::size_t u, std::size_t v) {
        return u * y.dilation % y.stride == a && v * x.dilation % x.stride == c;
      };
      std::size_t terms = 0;
      for (std::size_t o = 0; o < O; ++o)
        for (std::size_t u = 0; u < y.kernel; ++u)
          for (std::size_t v = 0; v < x.kernel; ++v)
            if (in_phase(u, v))
              offsets[terms_before + terms++] =
                  (o * height + (up - u * y.dilation / y.stride)) * width + (left - v * x.dilation / x.stride);
      for (std::size_t g = 0; g < G; ++g) {
        T* to = weights + g * O * C * taps + terms_before * C;
        const Panels<T> panels{C, terms};
        for (std::size_t panel = 0; panel < panels.count; ++panel)
          for (std::size_t o = 0; o < O; ++o)
            for (std::size_t u = 0; u < y.kernel; ++u)
              for (std::size_t v = 0; v < x.kernel; ++v)
                if (in_phase(u, v))
                  for (std::size_t i = panels.begin(panel); i < panels.begin(panel + 1); ++i)
                    *to++ = W[((g * O + o) * C + i) * taps + u * x.kernel + v];
      }
      const Phase down = phase(y, a), across = phase(x, c);
      const std::size_t count =
          make_slots<T>(down.count, across.count, down.first * width + across.first, width, down.at * x.in + across.at,
                        x.stride, x.in * y.stride, slots + slots_before);
      each[k] = {terms, terms_before, slots_before, count};
      terms_before += terms;
      slots_before += count;
    }

  share(items, parts, [&](std::size_t part, std::size_t first, std::size_t end) {
    T* copy = room.at<T>(copies_at) + part * copy_size;
    if (!direct) std::fill_n(copy, copy_size, T(0));
    for (std::size_t item = first; item < end; ++item) {
      const T* delta = dy + item * O * s.out_plane();
      if (!direct)
        for (std::size_t o = 0; o < O; ++o)
          for (std::size_t i = 0; i < y.out; ++i)
            copy_run(x.out, delta + (o * y.out + i) * x.out, copy + (o * height + up + i) * width + left);
      for (std::size_t k = 0; k < phases; ++k)
        correlate(Panels<T>{C, each[k].terms}, offsets + each[k].weights,
                  weights + item % G * O * C * taps + each[k].weights * C, direct ? delta : copy, !direct,
                  slots + each[k].slots, each[k].slot_count, dx + item * C * s.in_plane(), s.in_plane(), x.stride,
                  b ? b + item % G * C : nullptr);
    }
  });
}

// dW[o,c,u,v] = Σ_{n,i,j} δ[n,o,i,j]·x[n,c,i·s + u·d − p, j·s + v·d − p]
template <class D, class T>
void ConvolutionOn<D, T>::backward_weight(const ConvolutionShape& s, const T* x, const T* dy, Gradient<T> dW) {
  const std::size_t G = s.groups, C = s.group_channels(), O = s.group_filters(), K = s.terms();
  const std::size_t height = s.rows.out, width = s.columns.out, sums = G * O * K;
  const Blocks blocks(s.batch, height, (width + Lanes<T>::size - 1) / Lanes<T>::size, sums);
  const Planes planes(s, blocks.rows);
  const std::size_t parts = parts_for<T>(blocks.shares, s.batch * sums * s.out_plane());

  Room room;
  const std::size_t offsets_at = room.add<std::size_t>(K), sums_at = room.add<T>(blocks.shares * sums);
  const std::size_t copy_size = planes.direct ? 0 : blocks.images * C * planes.channel() + Register<T>::size;
  const std::size_t copies_at = room.add<T>(parts * copy_size);
  room.take();
  std::size_t* offsets = room.at<std::size_t>(offsets_at);
  planes.offsets(C, offsets);

  share(blocks.shares, parts, [&](std::size_t part, std::size_t first, std::size_t end) {
    T* copy = room.at<T>(copies_at) + part * copy_size;
    for (std::size_t share = first; share < end; ++share) {
      T* sum = room.at<T>(sums_at) + share * sums;
      const std::size_t begin = blocks.count * share / blocks.shares, stop = blocks.count * (share + 1) / blocks.shares;
      for (std::size_t block = begin; block < stop; ++block) {
        const std::size_t image = blocks.images > 1 ? block * blocks.images : block / blocks.per_image,
                          row = blocks.images > 1 ? 0 : block % blocks.per_image * blocks.rows;
        Runs runs{std::min(blocks.images, s.batch - image),
                  std::min(blocks.rows, height - row),
                  width,
                  s.filters * s.out_plane(),
                  width,
                  planes.direct ? s.channels * s.in_plane() : C * planes.channel(),
                  planes.width};
        if (planes.width == width) {  // runs without gaps
          runs.length *= runs.count;
          runs.count = 1;
        }
        for (std::size_t g = 0; g < G; ++g) {
          const T* from = x + (image * G + g) * C * s.in_plane();
          if (planes.direct)
            from += row * planes.width;
          else
            for (std::size_t k = 0; k < runs.images; ++k)
              planes.copy(C, row, from + k * s.channels * s.in_plane(), copy + k * runs.x_image);
          correlate_positions(runs, O, dy + (image * G + g) * O * s.out_plane() + row * width, s.out_plane(), K,
                              planes.direct ? from : copy, offsets, sum + g * O * K, block > begin);
        }
      }
    }
  });
  add_up(blocks.shares, sums, room.at<T>(sums_at), dW);
}

// db[o] = Σ_{n,q} δ[n,o,q]
template <class D, class T>
void ConvolutionOn<D, T>::backward_bias(std::size_t batch, std::size_t filters, std::size_t plane, const T* dy,
                                        Gradient<T> db) {
  using L = Lanes<T>;
  const Blocks blocks(batch, 1, (plane + L::size - 1) / L::size, filters);
  Room room;
  const std::size_t sums_at = room.add<T>(blocks.shares * filters);
  room.take();
  const std::size_t parts = parts_for<T>(blocks.shares, 4 * batch * filters * plane);  // it is reading that takes time
  const L one = L::ones(L::size);
  share(blocks.shares, parts, [&](std::size_t, std::size_t first, std::size_t end) {
    for (std::size_t share = first; share < end; ++share) {
      T* sum = room.at<T>(sums_at) + share * filters;
      const std::size_t begin = blocks.count * share / blocks.shares, stop = blocks.count * (share + 1) / blocks.shares;
      for (std::size_t block = begin; block < stop; ++block)
        for (std::size_t o = 0; o < filters; ++o) {
          L lanes = L::zero();
          for (std::size_t n = block * blocks.images; n < std::min(batch, (block + 1) * blocks.images); ++n) {
            const T* d = dy + (n * filters + o) * plane;
            std::size_t q = 0;
            for (; q + L::size <= plane; q += L::size) lanes = fused(L::load(d + q), one, lanes);
            if (q < plane) lanes = fused(L::load(d + q, plane - q), one, lanes);
          }
          sum[o] = block > begin ? sum[o] + lanes.sum() : lanes.sum();
        }
    }
  });
  add_up(blocks.shares, filters, room.at<T>(sums_at), db);
}

template class ConvolutionOn<cpu::Cpu, float>;
template class ConvolutionOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
