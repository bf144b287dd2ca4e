// SVRG, in the sparse re-weighted, proximal, importance-sampled form; inner steps.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + h(w)                      maths.md eq. (1)
// Given     w (d + 1, K) with the intercept in the last row, the snapshot's scalars
//           u~_i = l_i'(x_i' w~) and its full gradient g~ = (1/S) sum_i s_i u~_i x_i    eq. (14)
// Per step  one row and one dot product (the snapshot's is stored); O(non-zeros of the row)
// Rate      linear in snapshots once an inner loop of O(L / mu) steps is run, eq. (14)-(15)
// Memory    (d + 1) K (full gradient) and n K scalars; without room for those the snapshot w~ is
//           given instead and each step pays a second dot product
// Source    Johnson, Zhang, NIPS 2013, Procedure SVRG; prox: Xiao, Zhang, SIAM J. Optim. 2014,
//           Figure 1; sparse steps as in saga.hpp
// Threads   as in saga.hpp
// State     vectors: 0 weights, 1 full_gradient, 2 snapshot_weights or null;
//           tables: 0 snapshot_derivatives or null; one of the two is given
#pragma once
#include "../omp/threads.hpp"
#include "common.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <bool Wide, class Rows>
void svrg_of(const Sweep<Rows, Wide>& sweep, const Rows& X, const StepArgs& a, double* work) {
  using T = typename Rows::Value;
  const int64_t K = sweep.K, C = sweep.C, stride = sweep.stride, d = sweep.d;
  T* W = sweep.vector(0);
  const T* G = sweep.vector(1);
  const T* snapshot_weights = sweep.vector(2);
  const T* snapshot = sweep.table(0);
  const T* step = sweep.step;
  double one_column[5];
  double* u = Wide ? work : one_column;         // l'(x_i' w)
  double* old = u + 4 * K;                      // l'(x_i' w~) where it is not stored
  T* change = reinterpret_cast<T*>(u + K);      // q_i s_i/S (u - u~_i)

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row, eq. (11)
    const auto row = X.row(i);

    // the derivative here against the snapshot's                                   eq. (14)
    sweep.derivatives(row, i, W, u, u + 2 * K);
    if (snapshot)
      for (int64_t k = 0; k < K; ++k) old[k] = double(snapshot[i * stride + k]);
    else
      sweep.derivatives(row, i, snapshot_weights, old, u + 2 * K);
    const double q = sweep.inverse_probability(i);
    for (int64_t b = 0; b < sweep.n_problems; ++b) {
      const double correction = sweep.share(i, b) * q;
      for (int64_t k = b * C; k < (b + 1) * C; ++k) change[k] = T(correction * (u[k] - old[k]));
    }

    // w_j <- prox_{gamma D_j h}(w_j - gamma (change x_ij + D_j g~_j)), x_ij != 0   eq. (12), (14)
    if constexpr (!Wide) {
      const T gamma = step[0], change_0 = change[0];
      sweep.with_shrink(0, [&](const auto shrink) {
#pragma omp simd
        for (int64_t p = 0; p < row.size; ++p) {
          const int64_t j = row.index(p);
          const T tau = gamma * sweep.PD(j), rate = gamma * sweep.P(j);
          W[j] = shrink(W[j] - rate * change_0 * row.value(p) - tau * G[j], tau, j);
        }
      });
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const T x = row.value(p), P = sweep.P(j), PD = sweep.PD(j);
        T* w = W + j * stride;
        const T* g = G + j * stride;
        sweep.with_shrinks(j, [&](const auto shrink) {
#pragma omp simd
          for (int64_t k = 0; k < K; ++k) {
            const T gamma = step[k], tau = gamma * PD;
            w[k] = shrink(w[k] - gamma * P * change[k] * x - tau * g[k], tau, k);
          }
        });
        sweep.shrink_row(w, step, PD);
      }
    }

    // the intercept: x = 1, D = 1, no penalty, its own curvature scaling          eq. (15)
    for (int64_t k = 0; k < K; ++k)
      W[d * stride + k] -= step[k] * T(a.intercept_curvature) * (change[k] + G[d * stride + k]);
  }
}

template <bool Wide, class Rows>
void svrg_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  const int64_t B = a.columns.n_problems, K = B * a.columns.n_outputs;
  parallel_parts(B, parts_of(a), [&](int64_t part, int64_t begin, int64_t end) {
    const Sweep<Rows, Wide> sweep(X, a, n_cols, begin, end - begin);
    svrg_of<Wide>(sweep, X, a, a.work + 10 * K * part);
  });
}

}  // namespace fastsum::FASTSUM_LEVEL
