// SAGA, in the sparse re-weighted, proximal, importance-sampled form.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + h(w)                      maths.md eq. (1)
// Given     w (d + 1, K) with the intercept in the last row, the table u_i = l_i'(x_i' phi_i)
//           of the last visit of each row, and its average g = (1/S) sum_i s_i u_i x_i
// Per step  one row; cost O(non-zeros of the row) by the re-weighting D of eq. (11)
// Rate      1 - min(1 / (4 n), mu / (3 L)) a step for gamma = 1 / (3 L), rows drawn uniformly (the
//           sparse form is proved for 1 / (5 L), at a rate of the same order)      eq. (15)
// Memory    n K scalars (the table) and (d + 1) K (the average)
// Source    Defazio, Bach, Lacoste-Julien, NIPS 2014, Algorithm on p. 3, eq. (1)-(2);
//           sampling: Schmidt et al., AISTATS 2015; sparse steps: Leblond, Pedregosa,
//           Lacoste-Julien, AISTATS 2017, eq. (7); their prox: same authors, NIPS 2017, eq. (6)
// Threads   each takes some of the problems, whose columns no other one touches
// State     vectors: 0 weights, 1 average_gradient; tables: 0 table
#pragma once
#include "../omp/threads.hpp"
#include "common.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <bool Wide, class Rows>
void saga_of(const Sweep<Rows, Wide>& sweep, const Rows& X, const StepArgs& a, double* work) {
  using T = typename Rows::Value;
  const int64_t K = sweep.K, C = sweep.C, stride = sweep.stride, d = sweep.d;
  T* W = sweep.vector(0);
  T* G = sweep.vector(1);
  T* table = sweep.table(0);
  const T* step = sweep.step;
  double one_column[4];
  double* u = Wide ? work : one_column;  // l'(x_i' w), then u - u_i
  T* change = reinterpret_cast<T*>(u + K);  // q_i s_i/S (u - u_i), for w
  T* share = change + K;  // s_i/S (u - u_i), for g

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row, eq. (11)
    const auto row = X.row(i);

    // phi_i <- w: the derivative at the new point and its change                  eq. (13)
    sweep.derivatives(row, i, W, u, u + 2 * K);
    const double q = sweep.inverse_probability(i);
    for (int64_t b = 0; b < sweep.n_problems; ++b) {
      const double share_b = sweep.share(i, b), correction = share_b * q;
      for (int64_t k = b * C; k < (b + 1) * C; ++k) {
        const T old = table[i * stride + k];
        table[i * stride + k] = T(u[k]);
        const double delta = double(T(u[k])) - double(old);
        change[k] = T(correction * delta);
        share[k] = T(share_b * delta);
      }
    }

    // w_j <- prox_{gamma D_j h}(w_j - gamma (change x_ij + D_j g_j)), x_ij != 0    eq. (11), (12)
    // g_j <- g_j + share x_ij                                                     eq. (13)
    if constexpr (!Wide) {
      const T gamma = step[0], change_0 = change[0], share_0 = share[0];
      sweep.with_shrink(0, [&](const auto shrink) {
#pragma omp simd
        for (int64_t p = 0; p < row.size; ++p) {
          const int64_t j = row.index(p);
          const T x = row.value(p), tau = gamma * sweep.PD(j);
          W[j] = shrink(W[j] - gamma * sweep.P(j) * change_0 * x - tau * G[j], tau, j);
          G[j] += share_0 * x;
        }
      });
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const T x = row.value(p), P = sweep.P(j), PD = sweep.PD(j);
        T* w = W + j * stride;
        T* g = G + j * stride;
        sweep.with_shrinks(j, [&](const auto shrink) {
#pragma omp simd
          for (int64_t k = 0; k < K; ++k) {
            const T gamma = step[k], tau = gamma * PD;
            w[k] = shrink(w[k] - gamma * P * change[k] * x - tau * g[k], tau, k);
            g[k] += share[k] * x;
          }
        });
        sweep.shrink_row(w, step, PD);
      }
    }

    // the intercept: x = 1, D = 1, no penalty, its own curvature scaling          eq. (15)
    for (int64_t k = 0; k < K; ++k) {
      const T gamma = step[k] * T(a.intercept_curvature);
      W[d * stride + k] -= gamma * (change[k] + G[d * stride + k]);
      G[d * stride + k] += share[k];
    }
  }
}

template <bool Wide, class Rows>
void saga_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  const int64_t B = a.columns.n_problems, K = B * a.columns.n_outputs;
  parallel_parts(B, parts_of(a), [&](int64_t part, int64_t begin, int64_t end) {
    const Sweep<Rows, Wide> sweep(X, a, n_cols, begin, end - begin);
    saga_of<Wide>(sweep, X, a, a.work + 10 * K * part);
  });
}

}  // namespace fastsum::FASTSUM_LEVEL
