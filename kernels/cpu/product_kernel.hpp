#pragma once
// The product that product.hpp specifies, for the instruction set this is compiled for. Three ways give the same bits:
//   packed   panels of A and B are copied in the order in which a tile of C, held in registers, reads them;
//   thin     few rows or few columns: the other matrix is read once, so copying it would not pay;
//   scalar   a handful of numbers.
// Threads share regions of C or, where C is small and k long, the chunks of k.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <memory>
#include <new>
#include <utility>

#include "kernels/cpu/columns.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels::cpu {
namespace {

inline constexpr std::size_t block_terms = 256, chunk_terms = 16 * block_terms;

/// What is done with a finished piece of C: an epilogue, or nothing.
template <class T>
struct Finish {
  const Epilogue<T>* epilogue = nullptr;
  void operator()(T* c, std::size_t ldc, std::size_t row, std::size_t rows, std::size_t column,
                  std::size_t columns) const {
    if (epilogue) epilogue->apply(epilogue->context, c, ldc, row, rows, column, columns);
  }
};

/// Memory that a thread keeps from product to product.
class Workspace {
 public:
  template <class T>
  T* take(std::size_t n) {
    const std::size_t bytes = n * sizeof(T);
    if (bytes > size_) {
      room_.reset();
      size_ = 0;
      room_.reset(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64})));
      size_ = bytes;
    }
    return reinterpret_cast<T*>(room_.get());
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, Free> room_;
  std::size_t size_ = 0;
};

// Where a tile finds its R rows of op(A): in a packed panel, or in A itself, whose rows are lda apart: as rows of A or,
// if A is transposed, as columns.
enum class From { panel, rows, columns };

// A tile of C in registers: c (R × N vectors) = or += Σ over `terms` ≤ block_terms of a column of A's R rows by a row
// of B's N vectors; these rows are ldb apart, in a panel or in B itself. The last vector of C has `last` columns.
template <class T, std::size_t R, std::size_t N, From A>
void tile_of_block(std::size_t terms, const T* a, std::size_t lda, const T* b, std::size_t ldb, T* c, std::size_t ldc,
                   std::size_t last, bool add) {
  using V = Batch<T>;
  constexpr std::size_t w = V::size;
  const std::size_t row_step = A == From::rows ? lda : 1;
  const std::size_t term_step = A == From::panel ? R : A == From::rows ? 1 : lda;
  V sum[R][N];
  HANDGRAD_UNROLL
  for (std::size_t i = 0; i < R; ++i) {
    HANDGRAD_UNROLL
    for (std::size_t j = 0; j < N; ++j) sum[i][j] = V(T(0));
  }
  for (std::size_t l = 0; l < terms; ++l, a += term_step, b += ldb) {
    if constexpr (A == From::columns) __builtin_prefetch(a + 8 * lda + R - 1);  // columns are far apart
    V row[N];
    HANDGRAD_UNROLL
    for (std::size_t j = 0; j < N; ++j) row[j] = V::load(b + j * w);
    HANDGRAD_UNROLL
    for (std::size_t i = 0; i < R; ++i) {
      const V ai = V(a[i * row_step]);
      HANDGRAD_UNROLL
      for (std::size_t j = 0; j < N; ++j) sum[i][j] = fused(ai, row[j], sum[i][j]);
    }
  }
  HANDGRAD_UNROLL
  for (std::size_t i = 0; i < R; ++i) {
    HANDGRAD_UNROLL
    for (std::size_t j = 0; j < N; ++j) {
      T* at = c + i * ldc + j * w;
      if (j + 1 == N && last < w) {
        (add ? V::load(at, last) + sum[i][j] : sum[i][j]).store(at, last);
      } else {
        (add ? V::load(at) + sum[i][j] : sum[i][j]).store(at);
      }
    }
  }
}

// The same over any number of terms, block by block.
template <class T, std::size_t R, std::size_t N, From A>
void tile(std::size_t terms, const T* a, std::size_t lda, const T* b, std::size_t ldb, T* c, std::size_t ldc,
          std::size_t last, bool add) {
  const std::size_t a_step = (A == From::panel ? R : A == From::rows ? 1 : lda) * block_terms;
  for (; terms > block_terms; terms -= block_terms, a += a_step, b += ldb * block_terms) {
    tile_of_block<T, R, N, A>(block_terms, a, lda, b, ldb, c, ldc, last, add);
    add = true;
  }
  tile_of_block<T, R, N, A>(terms, a, lda, b, ldb, c, ldc, last, add);
}

template <class T>
using Tile = void (*)(std::size_t, const T*, std::size_t, const T*, std::size_t, T*, std::size_t, std::size_t, bool);

template <class T, From A, std::size_t... R>
constexpr std::array<std::array<Tile<T>, sizeof...(R)>, 2> make_tiles(std::index_sequence<R...>) {
  return {{{tile<T, R + 1, 1, A>...}, {tile<T, R + 1, 2, A>...}}};
}
// tiles[vectors − 1][rows − 1]
template <class T, From A>
constexpr auto tiles = make_tiles<T, A>(std::make_index_sequence<Tiling<T>::rows>());

// Few vectors f_0 … f_F−1 by a matrix, whose lanes p run side by side: out[p·lane + j·few] = or += Σₗ matrix(p,
// l)·f_j(l) for p < lanes.
template <class T>
struct Thin {
  const T* matrix;
  std::size_t step;  // between the rows l (contiguous lanes) or between the lanes (contiguous l)
  bool lanes_contiguous;
  const T* few;
  std::size_t few_step, few_l;
  T* out;
  std::size_t out_lane, out_few;
};

template <class T, std::size_t F, std::size_t U, bool Contiguous>
void thin_lanes(const Thin<T>& t, std::size_t p, std::size_t lanes, std::size_t first, std::size_t terms, bool add) {
  using V = Batch<T>;
  constexpr std::size_t w = V::size, quad = Tiling<T>::quad;
  V sum[F][U];
  HANDGRAD_UNROLL
  for (std::size_t j = 0; j < F; ++j) {
    HANDGRAD_UNROLL
    for (std::size_t u = 0; u < U; ++u) sum[j][u] = V(T(0));
  }
  const T* few = t.few + first * t.few_l;
  const bool whole = lanes == U * w;
  const std::size_t last = lanes - (U - 1) * w;
  if constexpr (Contiguous) {
    const T* row = t.matrix + first * t.step + p;
    const auto run = [&](auto load_last) {
      for (std::size_t l = 0; l < terms; ++l, row += t.step, few += t.few_l) {
        V m[U];
        HANDGRAD_UNROLL
        for (std::size_t u = 0; u < U; ++u) m[u] = u + 1 < U ? V::load(row + u * w) : load_last(row + u * w);
        HANDGRAD_UNROLL
        for (std::size_t j = 0; j < F; ++j) {
          const V f = V(few[j * t.few_step]);
          HANDGRAD_UNROLL
          for (std::size_t u = 0; u < U; ++u) sum[j][u] = fused(f, m[u], sum[j][u]);
        }
      }
    };
    if (whole)
      run([](const T* q) { return V::load(q); });
    else
      run([=](const T* q) { return V::load(q, last); });
  } else {
    const T* at = t.matrix + p * t.step + first;
    for (std::size_t l = 0; l < terms; l += quad, at += quad, few += quad * t.few_l) {
      const std::size_t count = std::min(quad, terms - l);
      V column[U][quad];
      HANDGRAD_UNROLL
      for (std::size_t u = 0; u < U; ++u)
        load_columns(at + u * w * t.step, t.step, u + 1 < U ? w : last, count, column[u]);
      if (count == quad) {
        HANDGRAD_UNROLL
        for (std::size_t q = 0; q < quad; ++q) {
          HANDGRAD_UNROLL
          for (std::size_t j = 0; j < F; ++j) {
            const V f = V(few[q * t.few_l + j * t.few_step]);
            HANDGRAD_UNROLL
            for (std::size_t u = 0; u < U; ++u) sum[j][u] = fused(f, column[u][q], sum[j][u]);
          }
        }
      } else {
        for (std::size_t q = 0; q < count; ++q)
          for (std::size_t j = 0; j < F; ++j)
            for (std::size_t u = 0; u < U; ++u)
              sum[j][u] = fused(V(few[q * t.few_l + j * t.few_step]), column[u][q], sum[j][u]);
      }
    }
  }
  for (std::size_t j = 0; j < F; ++j)
    for (std::size_t u = 0; u < U; ++u) {
      T* out = t.out + (p + u * w) * t.out_lane + j * t.out_few;
      const std::size_t n = u + 1 < U ? w : last;
      if (t.out_lane == 1) {
        (add ? V::load(out, n) + sum[j][u] : sum[j][u]).store(out, n);
      } else {
        T values[w];
        sum[j][u].store(values);
        for (std::size_t i = 0; i < n; ++i) out[i * t.out_lane] = add ? out[i * t.out_lane] + values[i] : values[i];
      }
    }
}

// How many vectors of lanes run side by side: enough to hide the latency of an fma.
template <std::size_t F, bool Contiguous>
constexpr std::size_t thin_side_by_side = Contiguous ? (F == 1   ? 8
                                                        : F == 2 ? 4
                                                        : F == 3 ? 3
                                                                 : 2)
                                                     : (F <= (Tiling<float>::rows > 6 ? 10 : 2) ? 2 : 1);

template <class T, std::size_t F, bool Contiguous>
void thin_block(const Thin<T>& t, std::size_t lanes, std::size_t first, std::size_t terms, bool add) {
  constexpr std::size_t w = Batch<T>::size, U = thin_side_by_side<F, Contiguous>;
  std::size_t p = 0;
  for (; p + U * w <= lanes; p += U * w) thin_lanes<T, F, U, Contiguous>(t, p, U * w, first, terms, add);
  if constexpr (U == 8) {
    const std::size_t vectors = (lanes - p + w - 1) / w;
    [&]<std::size_t... V>(std::index_sequence<V...>) {
      static_cast<void>(
          ((vectors == V + 1 && (thin_lanes<T, F, V + 1, Contiguous>(t, p, lanes - p, first, terms, add), true)) ||
           ...));
    }
    (std::make_index_sequence<U>());
    return;
  }
  for (; p < lanes; p += std::min(w, lanes - p))
    thin_lanes<T, F, 1, Contiguous>(t, p, std::min(w, lanes - p), first, terms, add);
}

inline constexpr std::size_t few_at_most = Tiling<float>::rows;

template <class T, std::size_t... F>
void thin_block(std::index_sequence<F...>, std::size_t few, const Thin<T>& t, std::size_t lanes, std::size_t first,
                std::size_t terms, bool add) {
  static_cast<void>(((few == F + 1 && (t.lanes_contiguous ? thin_block<T, F + 1, true>(t, lanes, first, terms, add)
                                                          : thin_block<T, F + 1, false>(t, lanes, first, terms, add),
                                       true)) ||
                     ...));
}

// Rows and columns of C.
struct Region {
  std::size_t row, rows, column, columns;
};

template <class T>
class Product {
  using V = Batch<T>;
  static constexpr std::size_t w = V::size;
  // What of A and B is packed at once. While it is computed with, B's part stays in the second cache, and its panels of
  // two vectors' width in the first. Two blocks of terms at once, so that C is gone through half as often.
  static constexpr std::size_t columns_at_once = 1024 / sizeof(T), rows_at_once = 11 * 12,
                               terms_at_once = 2 * block_terms;
  // What is used so few times is read where it is, since packing it would not pay: A's rows for few columns; B's rows,
  // in whole panels, for few rows of A if they stay in the second cache.
  static constexpr std::size_t in_place_columns = 16 * w, in_place_rows = 24 * Tiling<T>::rows,
                               in_place_bytes = std::size_t{1} << 20;
  // But no A whose columns are a multiple of a page apart, and no B whose rows are a page apart or more: they would
  // displace each other from the first cache.
  static constexpr std::size_t page = 4096;
  // Where B has more columns than that, so much of A stays packed for the next ones: 8 MB.
  static constexpr std::size_t kept_at_most = (std::size_t(8) << 20) / sizeof(T);

 public:
  /// ones: a is a single 1, which stands for a row of k ones (m = 1).
  Product(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T beta, T* c,
          Finish<T> epilogue, bool ones = false)
      : m_(m),
        n_(n),
        k_(k),
        a_(a),
        b_(b),
        c_(c),
        ta_(ta || k == 1),
        tb_(tb && k != 1),
        add_(beta != T(0)),
        thin_rows_(m <= few_at_most),
        thin_columns_(!thin_rows_ && n <= few_at_most),
        ones_(ones),
        from_(n > in_place_columns        ? From::panel
              : !ta_                      ? From::rows
              : m * sizeof(T) % page != 0 ? From::columns
                                          : From::panel),
        b_in_place_(!tb_ && m <= in_place_rows && n * sizeof(T) < page &&
                    std::min(k, terms_at_once) * n * sizeof(T) <= in_place_bytes),
        epilogue_(epilogue) {}

  void run() {
    const std::size_t chunks = (k_ + chunk_terms - 1) / chunk_terms;
    const std::size_t threads = threads_at_most();
    // In cycles, roughly: a thin product is bound by reading a matrix once, the others by arithmetic.
    const std::size_t cost = thin() ? (m_ + n_) * k_ / 4 : m_ * n_ * k_ / (4 * w / 2) + (m_ + n_) * k_ / 4;
    std::size_t parts = 1;
    if (threads > 1) {
      parts = std::min(threads, cost / worth_a_part);
      if (cost > 40 * threads * worth_a_part) parts = 2 * threads;  // so that others take a delayed thread's
    }
    if (parts > 1 && chunks > 1 && m_ * n_ <= 32'768) return by_chunks(chunks, 2 * parts);
    by_regions(std::max<std::size_t>(parts, 1));
  }

 private:
  bool thin() const { return thin_rows_ || thin_columns_; }
  // the addresses of op(A)[i,l] and op(B)[l,j]
  const T* a_at(std::size_t i, std::size_t l) const { return a_ + (ta_ ? l * m_ + i : i * k_ + l); }
  const T* b_at(std::size_t l, std::size_t j) const { return b_ + (tb_ ? j * k_ + l : l * n_ + j); }

  std::size_t packed_size(const Region& r) const {
    if (thin()) return 0;
    const std::size_t a = from_ != From::panel ? 0
                          : a_stays(r)         ? std::min(r.rows, rows_kept()) * std::min(k_, chunk_terms)
                                               : std::min(r.rows, rows_at_once) * std::min(k_, terms_at_once);
    return room_of_b(r, std::min(k_, terms_at_once)) + a + 2 * w;
  }
  static std::size_t room_of_b(const Region& r, std::size_t terms) {
    return terms * ((std::min(r.columns, columns_at_once) + 2 * w - 1) / (2 * w) * (2 * w));
  }

  bool a_stays(const Region& r) const { return from_ == From::panel && r.columns > columns_at_once; }
  // How many rows of A stay packed with all their terms of a chunk: whole portions of rows_at_once.
  std::size_t rows_kept() const {
    return std::max<std::size_t>(kept_at_most / std::min(k_, chunk_terms) / rows_at_once, 1) * rows_at_once;
  }

  // C in parts × parts regions; the longer side is cut first.
  void by_regions(std::size_t parts) {
    std::size_t down = 1, across = 1;
    while (down * across < parts) {
      const std::size_t height = m_ / down, width = n_ / across;
      if (height <= 4 * Tiling<T>::rows && width <= 4 * w) break;
      const std::size_t factor = parts / (down * across) % 3 == 0 ? 3 : 2;
      (width >= height ? across : down) *= factor;
    }
    const std::size_t row_unit = thin_columns_ ? 2 * w : Tiling<T>::rows, column_unit = 2 * w;
    const auto step = [](std::size_t all, std::size_t pieces, std::size_t unit) {
      return ((all + pieces - 1) / pieces + unit - 1) / unit * unit;
    };
    const std::size_t height = std::min(m_, step(m_, down, row_unit)),
                      width = std::min(n_, step(n_, across, column_unit));
    down = (m_ + height - 1) / height;
    across = (n_ + width - 1) / width;
    // A finished sum of several blocks is added as a whole, to C or to another branch of the tree.
    const std::size_t chunks = (k_ + chunk_terms - 1) / chunk_terms;
    const bool direct = k_ <= block_terms || (chunks == 1 && !add_);
    Region piece{0, direct ? height : std::min<std::size_t>(height, 264), 0,
                 direct ? width : std::min(width, columns_at_once)};
    const std::size_t room = packed_size(piece) + (direct ? 0 : levels(chunks) * piece.rows * piece.columns);
    each_part(down * across, room, [&](std::size_t part, T* workspace) {
      const std::size_t top = part / across * height, left = part % across * width;
      const std::size_t bottom = std::min(top + height, m_), right = std::min(left + width, n_);
      for (std::size_t row = top; row < bottom; row += piece.rows)
        for (std::size_t column = left; column < right; column += piece.columns)
          whole({row, std::min(piece.rows, bottom - row), column, std::min(piece.columns, right - column)}, direct,
                chunks, workspace);
    });
  }

  void whole(const Region& r, bool direct, std::size_t chunks, T* workspace) {
    T* c = c_ + r.row * n_ + r.column;
    if (direct) return chunk<true>(r, 0, c, n_, add_, workspace);
    T* sum = branch(r, 0, chunks, workspace, workspace + packed_size(r));
    finish(r, sum, r.columns);
  }

  // C = β·C + sum
  void finish(const Region& r, const T* sum, std::size_t ld) {
    T* c = c_ + r.row * n_ + r.column;
    for (std::size_t i = 0; i < r.rows; ++i) {
      for (std::size_t j = 0; j < r.columns; ++j)
        c[i * n_ + j] = add_ ? c[i * n_ + j] + sum[i * ld + j] : sum[i * ld + j];
      epilogue_(c + i * n_, n_, r.row + i, 1, r.column, r.columns);
    }
  }

  static std::size_t levels(std::size_t chunks) { return static_cast<std::size_t>(std::bit_width(chunks)) + 1; }

  // The tree, built as chunks come: two branches of the same size become one.
  class Tree {
   public:
    Tree(T* sums, std::size_t size) : sums_(sums), size_(size) {}
    T* top() { return sums_ + height_ * size_; }
    void push(std::size_t number) {  // top() holds sum `number`
      ++height_;
      for (std::size_t n = number + 1; n % 2 == 0; n /= 2) join();
    }
    T* total() {
      while (height_ > 1) join();
      return sums_;
    }

   private:
    void join() {
      --height_;
      T *left = sums_ + (height_ - 1) * size_, *right = sums_ + height_ * size_;
      for (std::size_t i = 0; i < size_; ++i) left[i] += right[i];
    }
    T* sums_;
    std::size_t size_, height_ = 0;
  };

  // The sum of `count` chunks from `first` on, a branch of the tree.
  T* branch(const Region& r, std::size_t first, std::size_t count, T* packed, T* sums) {
    Tree tree(sums, r.rows * r.columns);
    for (std::size_t q = 0; q < count; ++q) {
      chunk<false>(r, (first + q) * chunk_terms, tree.top(), r.columns, false, packed);
      tree.push(q);
    }
    return tree.total();
  }

  // C is small and k long: each part sums one branch of the tree.
  void by_chunks(std::size_t chunks, std::size_t parts) {
    const std::size_t each = std::bit_ceil((chunks + parts - 1) / parts), branches = (chunks + each - 1) / each;
    const Region all{0, m_, 0, n_};
    const std::size_t size = m_ * n_, room = packed_size(all) + levels(each) * size;
    T* sums = shared_.take<T>((branches + 1) * size);
    each_part(branches, room, [&](std::size_t part, T* workspace) {
      const T* sum =
          branch(all, part * each, std::min(each, chunks - part * each), workspace, workspace + packed_size(all));
      std::copy_n(sum, size, sums + part * size);
    });
    // combines branches of the same size in place: the sum of a pair replaces its first
    Tree tree(sums, size);
    for (std::size_t part = 0; part < branches; ++part) {
      if (tree.top() != sums + part * size) std::copy_n(sums + part * size, size, tree.top());
      tree.push(part);
    }
    finish(all, tree.total(), n_);
  }

  // Σ over one chunk of k, from `first` on: its blocks one after the other.
  template <bool Finished>
  void chunk(const Region& r, std::size_t first, T* out, std::size_t ld, bool add, T* packed) {
    const std::size_t end = std::min(first + chunk_terms, k_);
    if (thin()) {
      Thin<T> t =
          thin_rows_
              ? Thin<T>{b_at(0, r.column), tb_ ? k_ : n_, !tb_, a_at(r.row, 0), ta_ ? 1 : k_, ta_ ? m_ : 1, out, 1, ld}
              : Thin<T>{a_at(r.row, 0), ta_ ? m_ : k_, ta_, b_at(0, r.column), tb_ ? k_ : 1, tb_ ? 1 : n_, out, ld, 1};
      if (ones_) t.few_l = 0;
      const std::size_t few = thin_rows_ ? r.rows : r.columns, lanes = thin_rows_ ? r.columns : r.rows;
      for (std::size_t l = first; l < end; l += block_terms)
        thin_block<T>(std::make_index_sequence<few_at_most>(), few, t, lanes, l, std::min(block_terms, end - l),
                      add || l > first);
      if constexpr (Finished) epilogue_(out, ld, r.row, r.rows, r.column, r.columns);
      return;
    }
    const std::size_t kept = a_stays(r) ? rows_kept() : r.rows;
    for (std::size_t top = 0; top < r.rows; top += kept)
      packed_chunk<Finished>({r.row + top, std::min(kept, r.rows - top), r.column, r.columns}, first, end,
                             out + top * ld, ld, add, packed);
  }

  // The same for as many rows of A as stay packed from the first columns to the last.
  template <bool Finished>
  void packed_chunk(const Region& r, std::size_t first, std::size_t end, T* out, std::size_t ld, bool add, T* packed) {
    T *b = packed, *a_packed = packed + room_of_b(r, std::min(end - first, terms_at_once));
    const bool stays = a_stays(r);
    for (std::size_t column = 0; column < r.columns; column += columns_at_once) {
      const std::size_t columns = std::min(columns_at_once, r.columns - column);
      for (std::size_t l = first; l < end; l += terms_at_once) {
        const std::size_t terms = std::min(terms_at_once, end - l);
        const std::size_t in_place = b_in_place_ ? columns / (2 * w) * (2 * w) : 0;
        pack_b(r.column + column + in_place, columns - in_place, l, terms, b + in_place * terms);
        for (std::size_t row = 0; row < r.rows; row += rows_at_once) {
          const std::size_t rows = std::min(rows_at_once, r.rows - row);
          T* a = a_packed + (stays ? (l - first) * r.rows + row * terms : 0);
          if (from_ == From::panel && (column == 0 || !stays)) pack_a(r.row + row, rows, l, terms, a);
          tiles_of(rows, columns, l, terms, from_ == From::panel ? a : a_at(r.row + row, l), b, out + row * ld + column,
                   ld, add || l > first, Finished && l + terms == end, r.row + row, r.column + column);
        }
      }
    }
  }

  void tiles_of(std::size_t rows, std::size_t columns, std::size_t l, std::size_t terms, const T* a, const T* b, T* c,
                std::size_t ld, bool add, bool finished, std::size_t row, std::size_t column) const {
    const auto& tile = from_ == From::panel  ? tiles<T, From::panel>
                       : from_ == From::rows ? tiles<T, From::rows>
                                             : tiles<T, From::columns>;
    const std::size_t lda = ta_ ? m_ : k_, row_step = from_ == From::panel ? terms : from_ == From::rows ? k_ : 1;
    const std::size_t panels = (rows + Tiling<T>::rows - 1) / Tiling<T>::rows;
    for (std::size_t j = 0; j < columns; j += 2 * w) {
      const std::size_t width = std::min(2 * w, columns - j), vectors = (width + w - 1) / w;
      const bool in_place = b_in_place_ && width == 2 * w;
      const T* b_rows = in_place ? b_at(l, column + j) : b + j * terms;
      const std::size_t ldb = in_place ? n_ : vectors * w;
      for (std::size_t panel = 0; panel < panels; ++panel) {
        const std::size_t i = rows * panel / panels, height = rows * (panel + 1) / panels - i;
        T* at = c + i * ld + j;
        tile[vectors - 1][height - 1](terms, a + i * row_step, lda, b_rows, ldb, at, ld, width - (vectors - 1) * w,
                                      add);
        if (finished) epilogue_(at, ld, row + i, height, column + j, width);
      }
    }
  }

  // A's panels of up to Tiling<T>::rows rows: column by column, with the panel's rows side by side. A vector longer
  // than the panel is high runs over into what is written next.
  void pack_a(std::size_t row, std::size_t rows, std::size_t l, std::size_t terms, T* to) const {
    const std::size_t panels = (rows + Tiling<T>::rows - 1) / Tiling<T>::rows;
    if (ta_) {  // a few rows as stored at a time, so that each page is visited once
      constexpr std::size_t few = 8;
      const std::size_t step = m_;
      for (std::size_t begin = 0; begin < terms; begin += few)
        for (std::size_t panel = 0; panel < panels; ++panel) {
          const std::size_t i = rows * panel / panels, height = rows * (panel + 1) / panels - i;
          const T* in = a_at(row + i, l + begin);
          T* out = to + i * terms + begin * height;
          for (std::size_t t = begin; t < std::min(begin + few, terms); ++t, in += step, out += height) {
            __builtin_prefetch(in + 12 * step);  // rows are far apart
            const bool whole = t + w <= terms;   // what runs over is the next columns'
            for (std::size_t part = 0; part < height; part += w)
              if (whole)
                V::load(in + part).store(out + part);
              else
                V::load(in + part, std::min(w, height - part)).store(out + part, std::min(w, height - part));
          }
        }
      return;
    }
    for (std::size_t panel = 0; panel < panels; ++panel) {
      const std::size_t i = rows * panel / panels, height = rows * (panel + 1) / panels - i;
      for (std::size_t part = 0; part < height; part += w) {
        const std::size_t n = std::min(w, height - part);
        T* out = to + i * terms + part;
        const T* in = a_at(row + i + part, l);
        // rows beyond this panel are read where the matrix has them
        if (height <= w)
          each_column(in, k_, n, m_ - (row + i + part), terms, [=](std::size_t t, V c) { c.store(out + t * height); });
        else
          each_column(in, k_, n, n, terms, [=](std::size_t t, V c) { c.store(out + t * height, n); });
      }
    }
  }

  // B's panels, two vectors wide (the last may be one): row by row, padded with zeros.
  void pack_b(std::size_t column, std::size_t columns, std::size_t l, std::size_t terms, T* to) const {
    if (!tb_) {  // several panels at a time, so that pages are visited less often
      for (std::size_t j = 0; j < columns; j += 8 * w) {
        const std::size_t end = std::min(columns, j + 8 * w);
        for (std::size_t t = 0; t < terms; ++t) {
          const T* in = b_at(l + t, column);
          std::size_t p = j;
          for (; p + 2 * w <= end; p += 2 * w) {
            T* out = to + p * terms + t * 2 * w;
            V::load(in + p).store(out);
            V::load(in + p + w).store(out + w);
          }
          if (p == end) continue;
          const std::size_t step = end - p > w ? 2 * w : w;
          T* out = to + p * terms + t * step;
          if (end - p > w) {
            V::load(in + p).store(out);
            p += w;
            out += w;
          }
          V::load(in + p, end - p).store(out);
        }
      }
      return;
    }
    for (std::size_t j = 0; j < columns; j += 2 * w) {
      const std::size_t width = std::min(2 * w, columns - j), vectors = (width + w - 1) / w, step = vectors * w;
      for (std::size_t v = 0; v < vectors; ++v) {
        const T* in = b_at(l, column + j + v * w);
        T* out = to + j * terms + v * w;
        const std::size_t n = std::min(w, width - v * w);
        each_column(in, k_, n, n, terms, [=](std::size_t t, V c) { c.store(out + t * step); });
      }
    }
  }

  // f(part, workspace) for each part. The workspaces are the caller's, and a part takes a free one: otherwise a thread
  // that was idle in the first step would allocate in a later one.
  template <class F>
  void each_part(std::size_t parts, std::size_t room, F f) {
    constexpr std::size_t at_most = 64;
    room = (room + 63) / 64 * 64;
    const std::size_t places = std::min(parts, at_most);
    T* workspace = own_.take<T>(places * room);
    if (parts == 1) return f(0, workspace);
    std::atomic<std::uint64_t> free{places == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << places) - 1};
    parallel(parts, [&](std::size_t part) {
      std::uint64_t before = free.load();
      while (before == 0 || !free.compare_exchange_weak(before, before & (before - 1)))
        if (before == 0) before = free.load();
      const std::size_t place = static_cast<std::size_t>(std::countr_zero(before));
      f(part, workspace + place * room);
      free.fetch_or(std::uint64_t{1} << place);
    });
  }

  static thread_local Workspace own_, shared_;
  std::size_t m_, n_, k_;
  const T *a_, *b_;
  T* c_;
  bool ta_, tb_, add_, thin_rows_, thin_columns_, ones_;
  From from_;
  bool b_in_place_;
  Finish<T> epilogue_;
};

template <class T>
thread_local Workspace Product<T>::own_;
template <class T>
thread_local Workspace Product<T>::shared_;

// k = 1: a column by a row, stored alike whether transposed or not. c = β·c + aᵢ·bⱼ
template <class T>
void outer(std::size_t m, std::size_t n, const T* a, const T* b, T beta, T* c) {
  using V = Batch<T>;
  constexpr std::size_t w = V::size;
  if (n < w && m > n) {
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        const T s = fused(a[i], b[j], T(0));
        c[i * n + j] = beta == T(0) ? s : c[i * n + j] + s;
      }
    return;
  }
  for (std::size_t i = 0; i < m; ++i, c += n) {
    const V ai = V(a[i]), zero = V(T(0));
    const auto piece = [&](std::size_t j, auto load, auto store) {
      const V s = fused(ai, load(b + j), zero);
      store(beta == T(0) ? s : load(c + j) + s, c + j);
    };
    std::size_t j = 0;
    for (; j + w <= n; j += w)
      piece(
          j, [](const T* p) { return V::load(p); }, [](V v, T* p) { v.store(p); });
    if (const std::size_t rest = n - j)
      piece(
          j, [=](const T* p) { return V::load(p, rest); }, [=](V v, T* p) { v.store(p, rest); });
  }
}

template <class T>
void product(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T beta, T* c,
             Finish<T> epilogue) {
  if (m == 0 || n == 0) return;
  // A handful of multiplications
  if (m * n * k <= 32) {
    const std::size_t ai = ta ? 1 : k, al = ta ? m : 1, bl = tb ? 1 : n, bj = tb ? k : 1;
    T* to = c;
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j, ++to) {
        const T *p = a + i * ai, *q = b + j * bj;
        T s = 0;
        for (std::size_t l = 0; l < k; ++l, p += al, q += bl) s = fused(*p, *q, s);
        *to = beta == T(0) ? s : *to + s;
      }
    return epilogue(c, n, 0, m, 0, n);
  }
  if (k == 1) {
    outer(m, n, a, b, beta, c);
    return epilogue(c, n, 0, m, 0, n);
  }
  Product<T>(ta, tb, m, n, k, a, b, beta, c, epilogue).run();
}

}  // namespace
}  // namespace handgrad::kernels::cpu
