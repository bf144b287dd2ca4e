// The columns of a working set, copied out of the rows, and their Gram matrix.
#pragma once
#include <type_traits>

#include "../rows.hpp"
#include "threads.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline Status count_selected(const RowBlock* block, const int32_t* place, int64_t* counts,
                             int32_t n_threads) {
  if (block->storage == kDense) return kUnsupported;
  const int32_t* j = block->indices;
  const int64_t* indptr = block->indptr;
  parallel_parts(block->n_rows, n_threads, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t count = 0;
      for (int64_t p = indptr[i]; p < indptr[i + 1]; ++p) count += place[j[p]] >= 0;
      counts[i] = count;
    }
  });
  return kOk;
}

template <class Rows, class T>
inline void gather_columns_typed(const Rows& X, int64_t n_rows, const int32_t* place,
                                 const int64_t* indptr, int32_t* indices, T* values,
                                 int32_t n_threads) {
  parallel_parts(n_rows, n_threads, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto row = X.row(i);
      const int64_t first = indptr[i];
      int64_t last = first;
      for (int64_t p = 0; p < row.size; ++p) {
        const int32_t k = place[row.index(p)];
        if (k < 0) continue;
        int64_t at = last++;  // insertion keeps the row sorted; mostly it is already
        for (; at > first && indices[at - 1] > k; --at) {
          indices[at] = indices[at - 1];
          if (values) values[at] = values[at - 1];
        }
        indices[at] = k;
        if (values) values[at] = T(row.value(p));
      }
    }
  });
}

inline Status gather_columns(const RowBlock* block, const int32_t* place, const int64_t* indptr,
                             int32_t* indices, void* values, int32_t n_threads) {
  if (block->storage == kDense) return kUnsupported;
  return with_rows(*block, [&](const auto& X) {
    using Value = typename std::remove_cvref_t<decltype(X)>::Value;
    gather_columns_typed(X, block->n_rows, place, indptr, indices, static_cast<Value*>(values),
                         n_threads);
  });
}

// Whether a row holds a column whose place is at least `first`.
template <class Row>
inline bool any_from(const Row& row, const int32_t* place, int64_t first) {
  int32_t count = 0;
#pragma omp simd reduction(+ : count)
  for (int64_t e = 0; e < row.size; ++e) count += place[row.index(e)] >= int32_t(first);
  return count > 0;
}

// The columns of a row that have a place, in the order of their places; how many there are.
template <class Row>
inline int64_t select_sorted(const Row& row, const int32_t* place, int32_t* k, double* x) {
  int64_t size = 0;
  for (int64_t e = 0; e < row.size; ++e) {
    const int32_t mine = place[row.index(e)];
    if (mine < 0) continue;
    int64_t at = size++;
    for (; at > 0 && k[at - 1] > mine; --at) {
      k[at] = k[at - 1];
      x[at] = x[at - 1];
    }
    k[at] = mine;
    x[at] = double(row.value(e));
  }
  return size;
}

// H_ab += sum_i weight_i x_ia x_ib for first <= a < p and b <= a, see kernels.hpp. Every thread
// reads all rows and owns the a with a % n_threads == thread: no private sums, and the bits do not
// depend on threads.
template <class Rows>
inline void add_gram_typed(const Rows& X, int64_t n_rows, const int32_t* place,
                           const double* weight, int64_t first, int64_t p, double* H, int32_t* ids,
                           double* values, int32_t n_threads) {
  parallel_parts(n_threads, n_threads, [&](int64_t thread, int64_t, int64_t) {
    const auto add = [&](int64_t size, double weight_i, const auto& index, const auto& value) {
      for (int64_t e = size - 1; e >= 0; --e) {
        const int64_t a = index(e);
        if (a < first) break;
        if (n_threads > 1 && a % n_threads != thread) continue;
        const double x = weight_i * value(e);
        double* h = H + a * p;
        for (int64_t f = 0; f <= e; ++f) h[index(f)] += x * value(f);
      }
    };
    int32_t* k = ids + thread * p;
    double* x = values + thread * p;
    for (int64_t i = 0; i < n_rows; ++i) {
      const auto row = X.row(i);
      if (weight[i] == 0) continue;
      if (!place) {
        add(
          row.size, weight[i], [&](int64_t e) { return row.index(e); },
          [&](int64_t e) { return double(row.value(e)); });
      } else if (any_from(row, place, first)) {
        add(
          select_sorted(row, place, k, x), weight[i], [&](int64_t e) { return int64_t(k[e]); },
          [&](int64_t e) { return x[e]; });
      }
    }
  });
}

inline Status add_gram(const RowBlock* block, const int32_t* place, const double* weight,
                       int64_t first, int64_t p, double* H, int32_t* ids, double* values,
                       int32_t n_threads) {
  if (block->storage == kDense) return kUnsupported;
  return with_rows(*block, [&](const auto& X) {
    add_gram_typed(X, block->n_rows, place, weight, first, p, H, ids, values, n_threads);
  });
}

// Copies the rows [first, p) of the lower triangle of H (p, p) to the upper one, tile by tile.
inline Status mirror(int64_t p, int64_t first, double* H, int32_t n_threads) {
  constexpr int64_t kTile = 32;
  const int64_t n_tiles = (p + kTile - 1) / kTile;
  parallel_parts(n_tiles, n_threads, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t u = first / kTile; u < n_tiles; ++u)
        for (int64_t b = t * kTile; b < p && b < (t + 1) * kTile; ++b)
          for (int64_t a = u * kTile; a < p && a < (u + 1) * kTile; ++a)
            if (a > b && a >= first) H[b * p + a] = H[a * p + b];
  });
  return kOk;
}

}  // namespace fastsum::FASTSUM_LEVEL
