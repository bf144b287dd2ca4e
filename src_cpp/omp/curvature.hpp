// Second-order passes over the rows.
#pragma once
#include "../rows.hpp"
#include "threads.hpp"

namespace fastsum::FASTSUM_LEVEL {

// out += the squares of X, weighted by c (n_rows, K): out_jk += sum_i c_ik x_ij^2.
template <class Rows>
inline void add_squares_part(const Rows& X, int64_t begin, int64_t end, const double* c, int64_t K,
                             double* out) {
  for (int64_t i = begin; i < end; ++i) {
    const auto row = X.row(i);
    for (int64_t p = 0; p < row.size; ++p) {
      const double x = double(row.value(p));
      double* o = out + row.index(p) * K;
      for (int64_t k = 0; k < K; ++k) o[k] += c[i * K + k] * x * x;
    }
  }
}

inline Status add_squares(const RowBlock* block, const double* c, int64_t K, double* out,
                          double* work, int32_t n_threads) {
  const int64_t size = block->n_cols * K;
  return with_rows(*block, [&](const auto& X) {
    if (n_threads <= 1) return add_squares_part(X, 0, block->n_rows, c, K, out);
    parallel_parts(block->n_rows, n_threads, [&](int64_t part, int64_t begin, int64_t end) {
      double* mine = work + part * size;
      for (int64_t e = 0; e < size; ++e) mine[e] = 0;
      add_squares_part(X, begin, end, c, K, mine);
    });
    parallel_parts(size, n_threads, [&](int64_t, int64_t begin, int64_t end) {
      for (int32_t part = 0; part < n_threads; ++part)
        for (int64_t e = begin; e < end; ++e) out[e] += work[part * size + e];
    });
  });
}

}  // namespace fastsum::FASTSUM_LEVEL
