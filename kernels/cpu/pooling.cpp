#include "kernels/pooling.hpp"

#include <algorithm>
#include <limits>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;
using formulas::Axis;

namespace {

// f(plane) for all planes, on as many threads as `work` elements are worth.
template <class F>
void each_plane(std::size_t planes, std::size_t work, F f) {
  const std::size_t threads = threads_at_most();
  const std::size_t parts = threads == 1 || work < 100'000 ? 1 : std::min(planes, 2 * threads);
  auto part = [&](std::size_t k) {
    for (std::size_t plane = planes * k / parts; plane < planes * (k + 1) / parts; ++plane) f(plane);
  };
  if (parts <= 1) return part(0);
  parallel(parts, part);
}

// 2×2 windows side by side, the usual pooling: without a window's loops, so that the compiler makes vectors of it.
bool is_two_by_two(const PoolingShape& s) {
  const auto two = [](const Axis& a) {
    return a.kernel == 2 && a.stride == 2 && a.padding == 0 && a.dilation == 1 && 2 * a.out <= a.in;
  };
  return two(s.rows) && two(s.columns);
}

template <class T>
void max_of_two_by_two(std::size_t columns, const T* above, const T* below, T* y, T* at) {
  for (std::size_t j = 0; j < columns; ++j) {
    const T a = above[2 * j], b = above[2 * j + 1], c = below[2 * j], d = below[2 * j + 1];
    T most = a, place = 0;
    const bool is_b = b > most || b != b;
    most = is_b ? b : most;
    place = is_b ? T(1) : place;
    const bool is_c = c > most || c != c;
    most = is_c ? c : most;
    place = is_c ? T(2) : place;
    const bool is_d = d > most || d != d;
    y[j] = is_d ? d : most;
    at[j] = is_d ? T(3) : place;
  }
}

}  // namespace

// y[i,j] = max over u, v of x[h,w], at = where
template <class D, class T>
void PoolingOn<D, T>::max_forward(const PoolingShape& s, const T* x, T* y, T* at) {
  const Axis &rows = s.rows, &columns = s.columns;
  const bool two_by_two = is_two_by_two(s);
  each_plane(s.planes, s.planes * s.in_plane(), [&](std::size_t plane) {
    const T* in = x + plane * s.in_plane();
    T *out = y + plane * s.out_plane(), *place = at + plane * s.out_plane();
    for (std::size_t i = 0; i < rows.out; ++i, out += columns.out, place += columns.out) {
      if (two_by_two) {
        const T* above = in + 2 * i * columns.in;
        max_of_two_by_two(columns.out, above, above + columns.in, out, place);
        continue;
      }
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

// dx[h,w] = Σ δ[i,j] over the windows whose maximum is there
template <class D, class T>
void PoolingOn<D, T>::max_backward(const PoolingShape& s, const T* dy, const T* at, T* dx) {
  const Axis &rows = s.rows, &columns = s.columns;
  const bool two_by_two = is_two_by_two(s);
  each_plane(s.planes, s.planes * s.in_plane(), [&](std::size_t plane) {
    const T *delta = dy + plane * s.out_plane(), *place = at + plane * s.out_plane();
    T* in = dx + plane * s.in_plane();
    if (two_by_two) {  // every input is in one window at most
      for (std::size_t i = 0; i < rows.out; ++i, delta += columns.out, place += columns.out) {
        T *above = in + 2 * i * columns.in, *below = above + columns.in;
        for (std::size_t j = 0; j < columns.out; ++j) {
          above[2 * j] = place[j] == T(0) ? delta[j] : T(0);
          above[2 * j + 1] = place[j] == T(1) ? delta[j] : T(0);
          below[2 * j] = place[j] == T(2) ? delta[j] : T(0);
          below[2 * j + 1] = place[j] == T(3) ? delta[j] : T(0);
        }
        for (std::size_t w = 2 * columns.out; w < columns.in; ++w) above[w] = below[w] = 0;
      }
      std::fill(in + 2 * rows.out * columns.in, in + s.in_plane(), T(0));
      return;
    }
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
  each_plane(s.planes, s.planes * s.in_plane(), [&](std::size_t plane) {
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

// dx[h,w] = Σ δ[i,j] / divisor over the windows that hold it
template <class D, class T>
void PoolingOn<D, T>::average_backward(const PoolingShape& s, const formulas::Averaging& how, const T* dy, T* dx) {
  each_plane(s.planes, s.planes * s.in_plane(), [&](std::size_t plane) {
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
