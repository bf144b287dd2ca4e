// Passes with the curvature of the loss: Hessian-vector products and the Hessian's diagonal.
#pragma once
#include "../tiles.hpp"
#include "threads.hpp"

namespace fastsum::FASTSUM_LEVEL {

// z <- D z for the weighted curvature D of one row, from c (K,): diag(c) for separate problems, and
// diag(c) - c c' / sum(c) for the C outputs that softmax couples (c = s p there).
template <class Sum>
inline void times_curvature(const double* c, int64_t B, int64_t C, Sum* z) {
  for (int64_t b = 0; b < B; ++b, c += C, z += C) {
    Sum mean = 0;
    if (C > 1) {
      Sum total = 0;
      for (int64_t k = 0; k < C; ++k) {
        mean += Sum(c[k]) * z[k];
        total += Sum(c[k]);
      }
      mean = total > 0 ? mean / total : Sum(0);
    }
    for (int64_t k = 0; k < C; ++k) z[k] = Sum(c[k]) * (z[k] - mean);
  }
}

// out += A' D A V over the rows [begin, end), A = [X, 1], in the arithmetic of Sum. With one column
// kRun products come before their sums: a chain of load, sum, store a row took 1.25 times as long.
inline constexpr int64_t kRun = 32;

template <class Rows, class Sum>
inline void add_hessian_product_one(const Rows& X, int64_t begin, int64_t end, int64_t d,
                                    const Sum* V, const double* c, Sum* out) {
  Sum t[kRun];
  for (int64_t first = begin; first < end; first += kRun) {
    const int64_t size = end - first < kRun ? end - first : kRun;
    for (int64_t r = 0; r < size; ++r) {
      t[r] = Sum(c[first + r]) * (row_dot<Sum>(X.row(first + r), V) + V[d]);
      out[d] += t[r];
    }
    for (int64_t r = 0; r < size; ++r) {
      const Sum t_r = t[r];
      for_each(X.row(first + r), [=](int64_t j, auto x) { out[j] += Sum(x) * t_r; });
    }
  }
}

template <class Rows, class Sum>
inline void add_hessian_product_part(const Rows& X, int64_t begin, int64_t end, int64_t d,
                                     const Sum* V, int64_t B, int64_t C, const double* c, Sum* z,
                                     Sum* out) {
  const int64_t K = B * C;
  if (K == 1) return add_hessian_product_one(X, begin, end, d, V, c, out);
  for (int64_t i = begin; i < end; ++i) {
    const auto row = X.row(i);
    row_dots<Sum>(row, V, K, K, z);
    for (int64_t k = 0; k < K; ++k) z[k] += V[d * K + k];
    times_curvature(c + i * K, B, C, z);
    for (int64_t k = 0; k < K; ++k) out[d * K + k] += z[k];
    add_row(row, z, K, out);
  }
}

template <class Rows, class Sum>
inline void hessian_product_typed(const Rows& X, int64_t n_rows, int64_t d, const Sum* V, int64_t B,
                                  int64_t C, const double* c, Sum* out, Sum* work,
                                  int32_t n_threads) {
  const int64_t K = B * C, size = (d + 1) * K;
  // Each thread sums its own rows; the partial sums are added in the order of the threads.
  parallel_parts(n_rows, n_threads, [&](int64_t part, int64_t begin, int64_t end) {
    Sum* z = work + part * (size + K);
    Sum* mine = n_threads > 1 ? z + K : out;
    if (n_threads > 1)
      for (int64_t e = 0; e < size; ++e) mine[e] = 0;
    add_hessian_product_part(X, begin, end, d, V, B, C, c, z, mine);
  });
  if (n_threads <= 1) return;
  parallel_parts(size, n_threads, [&](int64_t, int64_t begin, int64_t end) {
    for (int32_t part = 0; part < n_threads; ++part) {
      const Sum* theirs = work + part * (size + K) + K;
      for (int64_t e = begin; e < end; ++e) out[e] += theirs[e];
    }
  });
}

inline Status hessian_product(const RowBlock* block, int32_t dtype, const void* V,
                              int64_t n_problems, int64_t n_outputs, const double* c, void* out,
                              void* work, int32_t n_threads) {
  return with_rows(*block, [&](const auto& X) {
    const auto typed = [&](auto zero) {
      using Sum = decltype(zero);
      hessian_product_typed(X, block->n_rows, block->n_cols, static_cast<const Sum*>(V), n_problems,
                            n_outputs, c, static_cast<Sum*>(out), static_cast<Sum*>(work),
                            n_threads);
    };
    dtype == kFloat64 ? typed(double{}) : typed(float{});
  });
}

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
