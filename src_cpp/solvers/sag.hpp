// SAG, proximal, with just-in-time updates on sparse rows.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + h(w)                      maths.md eq. (1)
// Given     w (d + 1, K) with the intercept in the last row, the table y_i = l_i'(x_i' phi_i) of
//           the last visit of each row, and its average g = (1/S) sum_i s_i y_i x_i
// Per step  one row; O(non-zeros of the row): between two rows that hold a column its g_j is
//           constant, and the steps in between are one formula                 eq. (30), (31)
// Rate      1 - min(mu / (16 L), 1 / (8 n)) a step for gamma = 1 / (16 L), without a prox
// Memory    n K scalars (the table) and (d + 1) K (the average)
// Source    Schmidt, Le Roux, Bach, Mathematical Programming 162, 2017, Algorithm 1; prox: Driggs,
//           Liang, Schoenlieb, On biased stochastic gradient estimation, JMLR 23, 2022
// State     vectors: 0 weights, 1 average_gradient; tables: 0 table; sequences: 0 decay; visits
//           of sparse rows
#pragma once
#include "lazy.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <bool Wide, class Rows>
void sag_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const int64_t K = sweep.K, d = sweep.d;
  T* W = sweep.vector(0);
  T* G = sweep.vector(1);
  T* table = sweep.table(0);
  const LazySteps<Rows, Wide> lazy(sweep, W, G);
  double one_column[4];
  double* u = Wide ? a.work : one_column;  // l'(x_i' w)
  T* share = reinterpret_cast<T*>(u + K);  // s_i/S (u - y_i)

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row
    const auto row = X.row(i);
    if (Rows::kSparse && t + 1 < a.n_steps) lazy.prefetch(X.row(a.order[t + 1]));

    // the columns of the row as the steps so far have left them                    eq. (31)
    if constexpr (Rows::kSparse)
      for (int64_t p = 0; p < row.size; ++p) lazy.catch_up(row.index(p), a.time + t);

    // y_i <- the derivative here                                                   eq. (30)
    sweep.derivatives(row, i, W, u, u + 2 * K);
    for (int64_t k = 0; k < K; ++k) {
      const T old = table[i * K + k];
      table[i * K + k] = T(u[k]);
      share[k] = T(sweep.share(i) * (double(T(u[k])) - double(old)));
    }

    // g_j <- g_j + share x_ij, then w_j <- prox_{gamma h}(w_j - gamma g_j) for all j eq. (30)
    if constexpr (Rows::kSparse) {
      for (int64_t p = 0; p < row.size; ++p) {
        T* g = G + row.index(p) * K;
        for (int64_t k = 0; k < K; ++k) g[k] += share[k] * row.value(p);
      }
    } else if constexpr (!Wide) {
      const T gamma = sweep.step[0], share_0 = share[0];
      sweep.with_shrink(0, [&](const auto shrink) {
#pragma omp simd
        for (int64_t j = 0; j < d; ++j) {
          G[j] += share_0 * row.value(j);
          W[j] = shrink(W[j] - gamma * G[j], gamma, j);
        }
      });
    } else {
      for (int64_t j = 0; j < d; ++j) {
        T* w = W + j * K;
        T* g = G + j * K;
#pragma omp simd
        for (int64_t k = 0; k < K; ++k) {
          g[k] += share[k] * row.value(j);
          w[k] = sweep.shrink(w[k] - sweep.step[k] * g[k], sweep.step[k], j, k);
        }
      }
    }

    // the intercept: x = 1, no penalty, its own curvature scaling                  eq. (15)
    for (int64_t k = 0; k < K; ++k) {
      G[d * K + k] += share[k];
      W[d * K + k] -= sweep.step[k] * T(a.intercept_curvature) * G[d * K + k];
    }
  }
  lazy.finish();
}

}  // namespace fastsum::FASTSUM_LEVEL
