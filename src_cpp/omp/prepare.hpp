// Rewriting sparse rows once: columns renumbered, rows permuted.
#pragma once
#include "../types.hpp"
#include "threads.hpp"

namespace fastsum::FASTSUM_LEVEL {

// counts (n_threads, n_cols) += stored values of each column, thread by thread of rows.
inline Status column_counts(const RowBlock* block, int32_t* counts, int32_t n_threads) {
  if (block->storage == kDense) return kUnsupported;
  const int32_t* j = block->indices;
  parallel_parts(block->n_rows, n_threads, [&](int64_t part, int64_t begin, int64_t end) {
    int32_t* mine = counts + part * block->n_cols;
    for (int64_t p = block->indptr[begin]; p < block->indptr[end]; ++p) ++mine[j[p]];
  });
  return kOk;
}

template <class From, class To>
inline void gather_rows_typed(const RowBlock* block, const int64_t* order, int64_t n_order,
                              const int32_t* place, const int64_t* indptr, int32_t* indices,
                              To* values, int32_t n_threads) {
  const From* x = static_cast<const From*>(block->values);
  parallel_parts(n_order, n_threads, [&](int64_t, int64_t begin, int64_t end) {
    const int64_t last = indptr[end];
    for (int64_t r = begin; r < end; ++r) {
      const int64_t i = order ? order[r] : r;
      const int64_t from = block->indptr[i], size = block->indptr[i + 1] - from;
      if (order && r + 8 < end) {
        const int64_t ahead = block->indptr[order[r + 8]];
        for (int64_t p = 0; p < 48; p += 16) __builtin_prefetch(block->indices + ahead + p);
      }
      int64_t at = indptr[r];
      for (int64_t p = from; p < from + size; ++p) {
        const int32_t j = place[block->indices[p]];
        if (at < last) {  // what is dropped is written too, and then over: the branch is predicted
          indices[at] = j;
          if (x) values[at] = To(x[p]);
        }
        at += j >= 0;
      }
    }
  });
}

// Row r of the copy is row order[r] (null: r) of the block with column j renumbered place[j]
// (dropped if negative); indptr (n_order + 1,) holds where rows begin. values: null for ones.
inline Status gather_rows(const RowBlock* block, const int64_t* order, int64_t n_order,
                          const int32_t* place, const int64_t* indptr, int32_t* indices,
                          void* values, int32_t dtype, int32_t n_threads) {
  if (block->storage == kDense) return kUnsupported;
  const auto typed = [&](auto from, auto to) {
    using To = decltype(to);
    gather_rows_typed<decltype(from), To>(block, order, n_order, place, indptr, indices,
                                          static_cast<To*>(values), n_threads);
  };
  if (block->dtype == kFloat64)
    dtype == kFloat64 ? typed(double{}, double{}) : typed(double{}, float{});
  else
    dtype == kFloat64 ? typed(float{}, double{}) : typed(float{}, float{});
  return kOk;
}

}  // namespace fastsum::FASTSUM_LEVEL
