// Accelerated proximal SVRG: Nesterov's momentum on mini-batches of variance-reduced gradients.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + h(w)                      maths.md eq. (1)
// Given     w and y (d + 1, K) with the intercept in the last row, the snapshot's scalars
//           u~_i = l_i'(x_i' w~) and its full gradient g~
// Per batch v = g~ + (1/b) sum of q_i (l_i'(y) - u~_i) x_i over b rows                 eq. (47)
//           w+ <- prox_{eta h}(y - eta v);  y <- w+ + beta (w+ - w);  w <- w+
//           cost O(non-zeros of its rows + d); y stands still within a batch, so that a row
//           touches its own columns only
// Rate      n + n kappa / (n + sqrt(kappa)) sample gradients a factor
// Memory    3 (d + 1) K and, for the snapshot, what svrg.hpp keeps
// Source    Nitanda, NIPS 2014, Figure 1
// State     vectors: 0 weights, 1 y, 2 batch_sum, 3 full_gradient, 4 snapshot_weights or null;
//           tables: 0 snapshot_derivatives or null; parameters: 0 batch_size, 1 beta, below 0 for
//           (k - 1) / (k + 2) in batch k
#pragma once
#include "common.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <bool Wide, class Rows>
void acc_prox_svrg_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const int64_t K = sweep.K, d = sweep.d;
  T *W = sweep.vector(0), *Y = sweep.vector(1), *V = sweep.vector(2);
  const T *G = sweep.vector(3), *snapshot_weights = sweep.vector(4), *snapshot = sweep.table(0);
  const int64_t batch = a.parameters[0][0] > 1 ? static_cast<int64_t>(a.parameters[0][0]) : 1;
  double one_column[5];
  double* u = Wide ? a.work : one_column;   // l'(x_i' y)
  double* old = u + 4 * K;                  // l'(x_i' w~) where it is not stored
  T* change = reinterpret_cast<T*>(u + K);  // q_i s_i/S (u - u~_i)

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row
    const auto row = X.row(i);
    sweep.derivatives(row, i, Y, u, u + 2 * K);
    if (!snapshot) sweep.derivatives(row, i, snapshot_weights, old, u + 2 * K);
    for (int64_t k = 0; k < K; ++k)
      change[k] =
        T(sweep.correction(i) * (u[k] - (snapshot ? double(snapshot[i * K + k]) : old[k])));

    // the sum over the batch                                                       eq. (47)
    if constexpr (!Wide) {
      const T change_0 = change[0];
#pragma omp simd
      for (int64_t p = 0; p < row.size; ++p) V[row.index(p)] += change_0 * row.value(p);
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        T* v = V + row.index(p) * K;
        const T x = row.value(p);
#pragma omp simd
        for (int64_t k = 0; k < K; ++k) v[k] += change[k] * x;
      }
    }
    for (int64_t k = 0; k < K; ++k) V[d * K + k] += change[k];
    if ((a.time + t + 1) % batch) continue;

    // a step of the batch on every column; no penalty for the intercept           eq. (47), (15)
    const double at = double((a.time + t + 1) / batch);
    for (int64_t k = 0; k < K; ++k) {
      const double b = a.parameters[1][k];
      const T beta = T(b < 0 ? (at - 1.0) / (at + 2.0) : b), eta = sweep.step[k];
      const T share = T(1) / T(batch), c2 = T(a.intercept_curvature);
      const auto move = [&](int64_t e, T now) {
        const T last = W[e];
        W[e] = now;
        Y[e] = now + beta * (now - last);
        V[e] = 0;
      };
      sweep.with_shrink(k, [&](const auto shrink) {
#pragma omp simd
        for (int64_t j = 0; j < d; ++j) {
          const int64_t e = j * K + k;
          move(e, shrink(Y[e] - eta * (G[e] + share * V[e]), eta, j));
        }
      });
      const int64_t last = d * K + k;
      move(last, Y[last] - eta * c2 * (G[last] + share * V[last]));
    }
  }
}

}  // namespace fastsum::FASTSUM_LEVEL
