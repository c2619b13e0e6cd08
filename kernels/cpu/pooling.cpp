#include "kernels/pooling.hpp"

#include <algorithm>
#include <limits>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;
using formulas::Axis;

namespace {

// f(plane, room) for all planes, on as many threads as `work` elements justify; each thread has room for n numbers.
template <class T, class F>
void each_plane(std::size_t planes, std::size_t work, std::size_t n, F f) {
  const std::size_t threads = threads_at_most();
  const std::size_t parts = threads == 1 || work < 100'000 ? 1 : std::min(planes, 2 * threads);
  T* room = n ? scratch<T>(parts * n) : nullptr;
  auto part = [&](std::size_t k) {
    for (std::size_t plane = planes * k / parts; plane < planes * (k + 1) / parts; ++plane) f(plane, room + k * n);
  };
  if (parts <= 1) return part(0);
  parallel(parts, part);
}

// Disjoint 2×2 windows, the usual pooling, without a loop over the window, in loops that stay long for short rows, so
// that the compiler vectorises them. Both passes go through rows of pairs: row i has the 2·W′ columns that windows see,
// and `plane` has H′ such rows.
bool is_two_by_two(const PoolingShape& s) {
  const auto two = [](const Axis& a) {
    return a.kernel == 2 && a.stride == 2 && a.padding == 0 && a.dilation == 1 && 2 * a.out <= a.in;
  };
  return two(s.rows) && two(s.columns);
}

// Room for two such planes, with a batch's width after each.
template <class T>
std::size_t room_for_two_by_two(const PoolingShape& s) {
  return 2 * (2 * s.out_plane() + Batch<T>::size);
}

// The larger of two rows, then of two columns; the places in a window are 0 1 above 2 3. As if searched in this order:
// the first of equal elements, and the last NaN. `left` elements may be read from the plane's first on.
template <class T>
void max_of_two_by_two(const PoolingShape& s, const T* in, std::size_t left, T* room, T* y, T* at) {
  using B = Batch<T>;
  const std::size_t width = 2 * s.columns.out;
  T *most = room, *place = room + room_for_two_by_two<T>(s) / 2;
  for (std::size_t i = 0; i < s.rows.out; ++i) {
    const T *above = in + 2 * i * s.columns.in, *below = above + s.columns.in;
    T *m = most + i * width, *p = place + i * width;
    for (std::size_t w = 0; w < width; w += B::size) {  // the overrun is overwritten by the next row
      const bool whole = (2 * i + 1) * s.columns.in + w + B::size <= left;
      const B a = whole ? load(above + w) : load_part(above + w, width - w),
              c = whole ? load(below + w) : load_part(below + w, width - w);
      const auto lower = (c > a) | (c != c);  // or NaN
      select(lower, c, a).store_unaligned(m + w);
      select(lower, B(T(2)), B(T(0))).store_unaligned(p + w);
    }
  }
  for (std::size_t q = 0; q < s.out_plane(); ++q) {
    const T a = most[2 * q], b = most[2 * q + 1], pa = place[2 * q], pb = place[2 * q + 1] + 1;
    const bool right = (b > a) | ((b == a) & (pb < pa)) | ((b != b) & ((a == a) | (pb > pa)));
    y[q] = right ? b : a;
    at[q] = right ? pb : pa;
  }
}

template <class T>
void spread_two_by_two(const PoolingShape& s, const T* dy, const T* at, T* room, T* dx) {
  using B = Batch<T>;
  const std::size_t width = 2 * s.columns.out;
  T *delta = room, *place = room + room_for_two_by_two<T>(s) / 2;  // for each column of a window: 0 above, 2 below
  for (std::size_t q = 0; q < s.out_plane(); ++q) {
    delta[2 * q] = delta[2 * q + 1] = dy[q];
    place[2 * q] = at[q];
    place[2 * q + 1] = at[q] - 1;
  }
  for (std::size_t i = 0; i < 2 * s.rows.out; ++i) {
    T* to = dx + i * s.columns.in;
    const T *d = delta + i / 2 * width, *p = place + i / 2 * width;
    const B which(i % 2 ? T(2) : T(0));
    for (std::size_t w = 0; w < width; w += B::size) {
      const B value = select(load(p + w) == which, load(d + w), B(T(0)));
      if (i * s.columns.in + w + B::size <= s.in_plane())
        value.store_unaligned(to + w);  // the overrun is overwritten by the next row
      else
        store_part(value, to + w, width - w);
    }
    for (std::size_t w = width; w < s.columns.in; ++w) to[w] = 0;
  }
  std::fill(dx + 2 * s.rows.out * s.columns.in, dx + s.in_plane(), T(0));
}

}  // namespace

// y[i,j] = max over u, v of x[h,w], at = where
template <class D, class T>
void PoolingOn<D, T>::max_forward(const PoolingShape& s, const T* x, T* y, T* at) {
  const Axis &rows = s.rows, &columns = s.columns;
  const bool two_by_two = is_two_by_two(s);
  each_plane<T>(s.planes, s.planes * s.in_plane(), two_by_two ? room_for_two_by_two<T>(s) : 0,
                [&](std::size_t plane, T* room) {
                  const T* in = x + plane * s.in_plane();
                  T *out = y + plane * s.out_plane(), *place = at + plane * s.out_plane();
                  if (two_by_two) return max_of_two_by_two(s, in, (s.planes - plane) * s.in_plane(), room, out, place);
                  for (std::size_t i = 0; i < rows.out; ++i, out += columns.out, place += columns.out) {
                    for (std::size_t j = 0; j < columns.out; ++j) {
                      T most = -std::numeric_limits<T>::infinity();
                      std::size_t where = 0;
                      bool found = false;
                      for (std::size_t u = 0; u < rows.kernel; ++u) {
                        const std::size_t h = rows.input(i, u);
                        if (h >= rows.in) continue;
                        for (std::size_t v = 0; v < columns.kernel; ++v) {
                          const std::size_t w = columns.input(j, v);
                          if (w >= columns.in) continue;
                          const T value = in[h * columns.in + w];
                          if (found && !(value > most || value != value)) continue;
                          most = value;
                          where = u * columns.kernel + v;
                          found = true;
                        }
                      }
                      out[j] = most;
                      place[j] = static_cast<T>(where);
                    }
                  }
                });
}

// dx[h,w] = Σ δ[i,j] over the windows that have their maximum there
template <class D, class T>
void PoolingOn<D, T>::max_backward(const PoolingShape& s, const T* dy, const T* at, T* dx) {
  const Axis &rows = s.rows, &columns = s.columns;
  const bool two_by_two = is_two_by_two(s);
  each_plane<T>(
      s.planes, s.planes * s.in_plane(), two_by_two ? room_for_two_by_two<T>(s) : 0, [&](std::size_t plane, T* room) {
        const T *delta = dy + plane * s.out_plane(), *place = at + plane * s.out_plane();
        T* in = dx + plane * s.in_plane();
        if (two_by_two) return spread_two_by_two(s, delta, place, room, in);
        std::fill_n(in, s.in_plane(), T(0));
        for (std::size_t i = 0; i < rows.out; ++i)
          for (std::size_t j = 0; j < columns.out; ++j, ++delta, ++place) {
            const auto where = static_cast<std::size_t>(*place);
            const std::size_t h = rows.input(i, where / columns.kernel), w = columns.input(j, where % columns.kernel);
            if (h < rows.in && w < columns.in) in[h * columns.in + w] += *delta;
          }
      });
}

// y[i,j] = Σ x[h,w] / divisor
template <class D, class T>
void PoolingOn<D, T>::average_forward(const PoolingShape& s, const formulas::Averaging& how, const T* x, T* y) {
  each_plane<T>(s.planes, s.planes * s.in_plane(), 0, [&](std::size_t plane, T*) {
    const T* in = x + plane * s.in_plane();
    T* out = y + plane * s.out_plane();
    for (std::size_t i = 0; i < s.rows.out; ++i) {
      const formulas::Span down = span(s.rows, i, how);
      for (std::size_t j = 0; j < s.columns.out; ++j) {
        const formulas::Span across = span(s.columns, j, how);
        T sum = 0;
        for (std::size_t h = down.begin; h < down.end; ++h)
          for (std::size_t w = across.begin; w < across.end; ++w) sum += in[h * s.columns.in + w];
        const bool none = down.begin == down.end || across.begin == across.end;
        *out++ = none ? T(0) : sum / static_cast<T>(divisor(down, across, how));
      }
    }
  });
}

// dx[h,w] = Σ δ[i,j] / divisor over the windows that contain it
template <class D, class T>
void PoolingOn<D, T>::average_backward(const PoolingShape& s, const formulas::Averaging& how, const T* dy, T* dx) {
  each_plane<T>(s.planes, s.planes * s.in_plane(), 0, [&](std::size_t plane, T*) {
    const T* delta = dy + plane * s.out_plane();
    T* in = dx + plane * s.in_plane();
    std::fill_n(in, s.in_plane(), T(0));
    for (std::size_t i = 0; i < s.rows.out; ++i) {
      const formulas::Span down = span(s.rows, i, how);
      for (std::size_t j = 0; j < s.columns.out; ++j, ++delta) {
        const formulas::Span across = span(s.columns, j, how);
        if (down.begin == down.end || across.begin == across.end) continue;
        const T share = *delta / static_cast<T>(divisor(down, across, how));
        for (std::size_t h = down.begin; h < down.end; ++h)
          for (std::size_t w = across.begin; w < across.end; ++w) in[h * s.columns.in + w] += share;
      }
    }
  });
}

template class PoolingOn<cpu::Cpu, float>;
template class PoolingOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
