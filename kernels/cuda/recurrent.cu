#include "kernels/recurrent.hpp"

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/kernels.hpp"
#include "kernels/formulas/recurrent.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

/// One step's cells: one thread per sequence and unit. All addresses are those of the step's first row.
template <class T>
struct StepForward {
  std::size_t count, units;
  T* gates;    // in: x·W_ihᵀ
  const T* q;  // h₋·W_hhᵀ
  const T *b_ih, *b_hh;
  const T *h_before, *kept_before;
  T *h, *kept;
  T* y;
  std::size_t y_row;
};

template <class C, class T>
__global__ void __launch_bounds__(threads) forward_kernel(StepForward<T> s) {
  constexpr std::size_t G = C::gates;
  const std::size_t stride = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < s.count; i += stride) {
    const auto [n, j] = place_of(i, s.units);
    T p[G], q[G];
    for (std::size_t g = 0; g < G; ++g) {
      const std::size_t gate = g * s.units + j, at = n * G * s.units + gate;
      p[g] = s.gates[at];
      q[g] = s.q[at];
      if (s.b_ih) p[g] += s.b_ih[gate];
      if (s.b_hh) q[g] += s.b_hh[gate];
    }
    const auto step = C::forward(p, q, s.h_before[i], C::keeps ? s.kept_before[i] : T(0));
    for (std::size_t g = 0; g < G; ++g) s.gates[n * G * s.units + g * s.units + j] = step.gates[g];
    s.h[i] = step.h;
    if (C::keeps) s.kept[i] = step.kept;
    if (s.y) s.y[n * s.y_row + j] = step.h;
  }
}

template <class T>
struct StepBackward {
  std::size_t count, units;
  const T *gates, *h_before, *kept, *kept_before;
  const T* dy;
  std::size_t dy_row;
  T *dh, *dc, *dp, *dq;
};

template <class C, class T>
__global__ void __launch_bounds__(threads) backward_kernel(StepBackward<T> s) {
  constexpr std::size_t G = C::gates;
  const std::size_t stride = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < s.count; i += stride) {
    const auto [n, j] = place_of(i, s.units);
    const std::size_t line = n * G * s.units + j;
    T gates[G];
    for (std::size_t g = 0; g < G; ++g) gates[g] = s.gates[line + g * s.units];
    T dh = s.dh[i];
    if (s.dy) dh += s.dy[n * s.dy_row + j];
    const auto d = C::backward(gates, C::keeps ? s.kept[i] : T(0), C::keeps ? s.kept_before[i] : T(0), s.h_before[i],
                               dh, s.dc ? s.dc[i] : T(0));
    for (std::size_t g = 0; g < G; ++g) {
      s.dp[line + g * s.units] = d.dp[g];
      if (s.dq) s.dq[line + g * s.units] = g + 1 < G ? d.dp[g] : d.dq_last;
    }
    if (s.dc) s.dc[i] = d.dc;
    s.dh[i] = d.dh;
  }
}

template <class T>
struct Exchanged {
  const T* x;
  std::size_t rows, columns, width;
  __device__ T operator()(std::size_t k) const {
    const auto [line, c] = place_of(k, width);
    const auto [j, i] = place_of(line, rows);
    return x[(i * columns + j) * width + c];
  }
};

}  // namespace

template <class D, class T>
void RecurrentOn<D, T>::forward(const Recurrence<T>& r, Vector<const T> b_ih, Vector<const T> b_hh, StepRows<T> y) {
  const auto guard = device_.use();
  const std::size_t N = r.batch, H = r.units, GH = r.gate_count() * H, count = N * H;
  for (std::size_t s = 0; s < r.steps; ++s) {
    const std::size_t t = r.step(s);
    const T* h_before = r.h + r.before(t) * count;
    // q = h₋·W_hhᵀ
    device_.products().run(Product<T>{false, true, N, GH, H, h_before, r.W_hh, T(0), r.work});
    const StepForward<T> step{count,
                              H,
                              r.gates + t * N * GH,
                              r.work,
                              b_ih.data,
                              b_hh.data,
                              h_before,
                              r.kept ? r.kept + r.before(t) * count : nullptr,
                              r.h + r.after(t) * count,
                              r.kept ? r.kept + r.after(t) * count : nullptr,
                              y.at(t, 0, s + 1 == r.steps),
                              y.row};
    formulas::visit(r.cell, [&](auto cell) {
      device_.launch(forward_kernel<decltype(cell), T>, blocks_for(count, threads, device_.most_blocks()), threads,
                     step);
    });
  }
}

template <class D, class T>
void RecurrentOn<D, T>::backward(const Recurrence<T>& r, StepRows<const T> dy, bool first_states, T* dh, T* dc, T* dp,
                                 T* dq) {
  const auto guard = device_.use();
  const std::size_t N = r.batch, H = r.units, GH = r.gate_count() * H, count = N * H;
  for (std::size_t s = r.steps; s-- > 0;) {
    const std::size_t t = r.step(s);
    const StepBackward<T> step{count,
                               H,
                               r.gates + t * N * GH,
                               r.h + r.before(t) * count,
                               r.kept ? r.kept + r.after(t) * count : nullptr,
                               r.kept ? r.kept + r.before(t) * count : nullptr,
                               dy.at(t, 0, s + 1 == r.steps),
                               dy.row,
                               dh,
                               dc,
                               dp + t * N * GH,
                               dq ? dq + t * N * GH : nullptr};
    bool passes = false;
    formulas::visit(r.cell, [&](auto cell) {
      passes = decltype(cell)::passes;
      device_.launch(backward_kernel<decltype(cell), T>, blocks_for(count, threads, device_.most_blocks()), threads,
                     step);
    });
    // dh₋ = dq·W_hh, plus the part that bypasses q
    if (s > 0 || first_states)
      device_.products().run(
          Product<T>{false, false, N, H, GH, (dq ? dq : dp) + t * N * GH, r.W_hh, passes ? T(1) : T(0), dh});
  }
}

template <class D, class T>
void RecurrentOn<D, T>::exchange(const T* x, std::size_t rows, std::size_t columns, std::size_t width, T* y) {
  const auto guard = device_.use();
  map_index(device_, rows * columns * width, y, Exchanged<T>{x, rows, columns, width});
}

template class RecurrentOn<cuda::Context, float>;
template class RecurrentOn<cuda::Context, double>;

}  // namespace handgrad::kernels
