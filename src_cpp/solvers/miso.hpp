// MISO, proximal, in dual-like scalars.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + h(w) + rho / 2 ||w - w_c||^2
//           + (l2 + rho) / (2 c^2) (b - b_c)^2                                  maths.md eq. (1)
// Given     w (d + 1, K) with the intercept in the last row; scalars a_i, minus (l2 + rho) times
//           the paper's z_i in units of x_i; v = -(1/S) sum_i s_i a_i x_i; the centre (w_c, b_c);
//           delta_i = theta / p_i and rho, 0 where l2 alone makes the terms strongly convex
// Per step  one row; O(non-zeros of the row), for w_j follows from v_j             eq. (34), (35)
// Rate      1 - min(mu / (4 L), 1 / (2 n)) a step, mu = l2 + rho, for uniform sampling and theta =
//           min(1 / n, mu / (2 L))
// Memory    n K scalars, 2 (d + 1) K
// Source    Mairal, SIAM J. Optim. 25(2), 2015, Algorithm 1 and section 3.2; prox and delta: Lin,
//           Mairal, Harchaoui, A universal catalyst, NIPS 2015, section 4, Algorithm 2
// State     vectors: 0 weights, 1 dual_sum, 2 centre; tables: 0 scalars; parameters: 0 theta, 1 rho, 2 l2 + rho
#pragma once
#include "common.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <bool Wide, class Rows>
void miso_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const int64_t K = sweep.K, d = sweep.d;
  T* W = sweep.vector(0);
  T* V = sweep.vector(1);
  const T* centre = sweep.vector(2);
  T* scalars = sweep.table(0);
  const double *theta = a.parameters[0], *rho = a.parameters[1], *mu = a.parameters[2];
  double one_column[4];
  double* u = Wide ? a.work : one_column;  // l'(x_i' w)
  T* change = reinterpret_cast<T*>(u + K);  // -s_i/S delta_i (u - a_i)

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row
    const auto row = X.row(i);

    // z_i <- (1 - delta_i) z_i + delta_i (w - grad f_i(w) / mu)                      eq. (34)
    sweep.derivatives(row, i, W, u, u + 2 * K);
    for (int64_t k = 0; k < K; ++k) {
      const double delta = theta[k] * (a.q ? a.q[i] : a.q_uniform);
      const T old = scalars[i * K + k], moved = T(double(old) + delta * (u[k] - double(old)));
      scalars[i * K + k] = moved;
      change[k] = T(sweep.share(i) * (double(old) - double(moved)));
    }

    // v <- v + change x_i; w <- argmin_w h(w) + rho / 2 ||w - w_c||^2 - v' w          eq. (35)
    if constexpr (!Wide) {
      const T rho_0 = T(rho[0]), change_0 = change[0];
      sweep.with_best(0, [&](const auto best) {
        for_each(row, [=](int64_t j, T x) {
          const T v = V[j] + change_0 * x;
          V[j] = v;
          W[j] = best(v + rho_0 * centre[j], rho_0, j);
        });
      });
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const T x = row.value(p);
        T* w = W + j * K;
        T* v = V + j * K;
        const T* c = centre + j * K;
#pragma omp simd
        for (int64_t k = 0; k < K; ++k) {
          v[k] += change[k] * x;
          w[k] = sweep.best(v[k] + T(rho[k]) * c[k], T(rho[k]), j, k);
        }
      }
    }
    for (int64_t k = 0; k < K; ++k) {
      V[d * K + k] += change[k];
      const T per_mu = T(a.intercept_curvature / mu[k]);
      W[d * K + k] = centre[d * K + k] + per_mu * V[d * K + k];
    }
  }
}

}  // namespace fastsum::FASTSUM_LEVEL
