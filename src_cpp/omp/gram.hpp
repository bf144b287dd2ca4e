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

// H_ab += sum_i weight_i x_ia x_ib for first <= a < p and b <= a. Every thread reads all rows and
// owns the a with a % n_threads == thread: no private sums, and the bits do not depend on threads.
template <class Rows>
inline void add_gram_typed(const Rows& X, int64_t n_rows, const double* weight, int64_t first,
                           int64_t p, double* H, int32_t n_threads) {
  parallel_parts(n_threads, n_threads, [&](int64_t thread, int64_t, int64_t) {
    for (int64_t i = 0; i < n_rows; ++i) {
      const auto row = X.row(i);
      if (weight[i] == 0) continue;
      for (int64_t e = row.size - 1; e >= 0; --e) {
        const int64_t a = row.index(e);
        if (a < first) break;
        if (n_threads > 1 && a % n_threads != thread) continue;
        const double x = weight[i] * double(row.value(e));
        double* h = H + a * p;
#pragma omp simd
        for (int64_t f = 0; f <= e; ++f) h[row.index(f)] += x * double(row.value(f));
      }
    }
  });
}

inline Status add_gram(const RowBlock* block, const double* weight, int64_t first, double* H,
                       int32_t n_threads) {
  if (block->storage == kDense) return kUnsupported;
  return with_rows(*block, [&](const auto& X) {
    add_gram_typed(X, block->n_rows, weight, first, block->n_cols, H, n_threads);
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
