#include "kernels/recurrent.hpp"

#include <algorithm>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/packed_factor.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/several.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"
#include "kernels/formulas/recurrent.hpp"

namespace handgrad::kernels {

namespace cpu {
namespace {

/// f(j, load, store) for each batch of units, from unit j on; for several side by side as long as there are enough.
template <class T, class F>
void each_batch(std::size_t units, F&& f) {
  constexpr std::size_t side_by_side = 4, w = Batch<T>::size;
  const auto whole = [&]<class V>(std::size_t j, std::type_identity<V>) {
    f(
        j, [](const T* p) { return V::load(p); }, [](const V& v, T* p) { v.store(p); });
  };
  std::size_t j = 0;
  for (; j + side_by_side * w <= units; j += side_by_side * w) whole(j, std::type_identity<Batches<T, side_by_side>>());
  for (; j + w <= units; j += w) whole(j, std::type_identity<Batch<T>>());
  if (const std::size_t rest = units - j)
    f(
        j, [=](const T* p) { return load_part(p, rest); }, [=](Batch<T> v, T* p) { store_part(v, p, rest); });
}

/// Sequences are independent: threads share them, and each goes through all steps without waiting for the others.
/// f(first, rows)
template <class T, class F>
void each_part(const Recurrence<T>& r, F&& f) {
  const std::size_t cycles = r.steps * r.batch * r.units * r.units * r.gate_count() / (2 * Batch<T>::size);
  const std::size_t most = std::min({threads_at_most(), r.batch / 4, cycles / worth_a_part});
  const std::size_t parts = std::max<std::size_t>(most, 1);
  parallel(parts, [&](std::size_t part) {
    const std::size_t first = r.batch * part / parts;
    f(first, r.batch * (part + 1) / parts - first);
  });
}

template <class C, class T>
void forward_as(const Recurrence<T>& r, const T* b_ih, const T* b_hh, StepRows<T> y) {
  constexpr std::size_t G = C::gates;
  const std::size_t N = r.batch, H = r.units;
  const PackedFactor<T> times_W(true, G * H, H, r.W_hh, scratch<T>(PackedFactor<T>::room(G * H, H)));
  each_part(r, [&](std::size_t first, std::size_t rows) {
    T* q_rows = r.work + first * G * H;
    for (std::size_t s = 0; s < r.steps; ++s) {
      const std::size_t t = r.step(s), before = r.before(t) * N + first, after = r.after(t) * N + first;
      times_W(rows, r.h + before * H, q_rows);  // h₋·W_hhᵀ
      for (std::size_t n = 0; n < rows; ++n) {
        T* p_row = r.gates + (t * N + first + n) * G * H;
        const T* q_row = q_rows + n * G * H;
        const std::size_t from = (before + n) * H, to = (after + n) * H;
        T* y_row = y.at(t, first + n, s + 1 == r.steps);
        each_batch<T>(H, [&](std::size_t j, auto load_at, auto store_at) HANDGRAD_FLATTEN {
          using V = decltype(load_at(p_row));
          V p[G], q[G];
          for (std::size_t g = 0; g < G; ++g) {
            p[g] = load_at(p_row + g * H + j);
            q[g] = load_at(q_row + g * H + j);
            if (b_ih) p[g] += load_at(b_ih + g * H + j);
            if (b_hh) q[g] += load_at(b_hh + g * H + j);
          }
          const V h_before = load_at(r.h + from + j);
          const auto step = C::forward(p, q, h_before, C::keeps ? load_at(r.kept + from + j) : h_before);
          for (std::size_t g = 0; g < G; ++g) store_at(step.gates[g], p_row + g * H + j);
          store_at(step.h, r.h + to + j);
          if constexpr (C::keeps) store_at(step.kept, r.kept + to + j);
          if (y_row) store_at(step.h, y_row + j);
        });
      }
    }
  });
}

template <class C, class T>
void backward_as(const Recurrence<T>& r, StepRows<const T> dy, bool first_states, T* dh, T* dc, T* dp, T* dq) {
  constexpr std::size_t G = C::gates;
  const std::size_t N = r.batch, H = r.units;
  const PackedFactor<T> times_W(false, H, G * H, r.W_hh, scratch<T>(PackedFactor<T>::room(H, G * H)));
  each_part(r, [&](std::size_t first, std::size_t rows) {
    for (std::size_t s = r.steps; s-- > 0;) {
      const std::size_t t = r.step(s), before = r.before(t) * N + first, after = r.after(t) * N + first;
      for (std::size_t n = 0; n < rows; ++n) {
        const std::size_t line = (t * N + first + n) * G * H, from = (before + n) * H, to = (after + n) * H,
                          own = (first + n) * H;
        const T* dy_row = dy.at(t, first + n, s + 1 == r.steps);
        each_batch<T>(H, [&](std::size_t j, auto load_at, auto store_at) HANDGRAD_FLATTEN {
          using V = decltype(load_at(dh));
          V gates[G];
          for (std::size_t g = 0; g < G; ++g) gates[g] = load_at(r.gates + line + g * H + j);
          V dh_here = load_at(dh + own + j);  // from the step after, and from above
          if (dy_row) dh_here += load_at(dy_row + j);
          const V kept = C::keeps ? load_at(r.kept + to + j) : dh_here,
                  kept_before = C::keeps ? load_at(r.kept + from + j) : dh_here;
          const auto d = C::backward(gates, kept, kept_before, load_at(r.h + from + j), dh_here,
                                     dc ? load_at(dc + own + j) : dh_here);
          for (std::size_t g = 0; g < G; ++g) {
            store_at(d.dp[g], dp + line + g * H + j);
            if (dq) store_at(g + 1 < G ? d.dp[g] : d.dq_last, dq + line + g * H + j);
          }
          if (dc) store_at(d.dc, dc + own + j);
          if constexpr (C::passes) store_at(d.dh, dh + own + j);
        });
      }
      if (s == 0 && !first_states) break;
      const T* dq_rows = (dq ? dq : dp) + (t * N + first) * G * H;
      T* own = dh + first * H;
      if constexpr (C::passes) {  // dh₋ = dh₋ + dq·W_hh
        T* product = r.work + first * G * H;
        times_W(rows, dq_rows, product);
        map(
            rows * H, own, [](Batch<T> a, Batch<T> b) { return a + b; }, own, product);
      } else {
        times_W(rows, dq_rows, own);  // dh₋ = dq·W_hh
      }
    }
  });
}

}  // namespace
}  // namespace cpu

template <class D, class T>
void RecurrentOn<D, T>::forward(const Recurrence<T>& r, Vector<const T> b_ih, Vector<const T> b_hh, StepRows<T> y) {
  formulas::visit(r.cell, [&](auto cell) { cpu::forward_as<decltype(cell)>(r, b_ih.data, b_hh.data, y); });
}

template <class D, class T>
void RecurrentOn<D, T>::backward(const Recurrence<T>& r, StepRows<const T> dy, bool first_states, T* dh, T* dc, T* dp,
                                 T* dq) {
  formulas::visit(r.cell, [&](auto cell) { cpu::backward_as<decltype(cell)>(r, dy, first_states, dh, dc, dp, dq); });
}

template <class D, class T>
void RecurrentOn<D, T>::exchange(const T* x, std::size_t rows, std::size_t columns, std::size_t width, T* y) {
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      std::copy_n(x + (i * columns + j) * width, width, y + (j * rows + i) * width);
}

template class RecurrentOn<cpu::Cpu, float>;
template class RecurrentOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
