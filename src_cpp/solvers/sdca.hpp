// SDCA with a prox: dual coordinate ascent, also of the subproblems of a proximal point method.
//
// Problem   max_u  -(1/S) sum_i s_i l_i*(u_i) - g*(v) - v_b^2 / (2 rho) + v_b b_0,
//           v = -(1/S) sum_i s_i u_i x_i,  v_b = -(1/S) sum_i s_i u_i, the dual of eq. (1) with
//           (kappa / 2) ||w - c||^2 + (rho / 2) (b - b_0)^2 added, sigma = l2 + kappa:
//           w = soft(v + kappa c, l1) / sigma,  b = b_0 + v_b / rho                   eq. (50)
// Given     the table u, the unshrunk weights (v + kappa c) / sigma and the w that they make
// Per step  one row: the best u_i for the bound ||Delta v||^2 / (2 sigma) on what g* rises (it is
//           exact without l1), eq. (51); v and w follow on the columns of the row
// Rate      1 - 1 / (n + max_i L_i / sigma) a step; no step size
// Memory    n K scalars and 2 (d + 1) K
// Source    Shalev-Shwartz, Zhang, JMLR 2013, fig. 1; prox: Shalev-Shwartz, Zhang, Math. Programming
//           2016 (arXiv 2012), Option I; coupled outputs: their vector valued u_i
// State     vectors: 0 weights, 1 unshrunk (null: no l1, the weights are); tables: 0 table;
//           parameters: 0 1 / (S sigma), 1 1 / (S rho), 2 1 / sigma; per row: 0 ||x_i||^2
#pragma once
#include "common.hpp"
#include "dual_step.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <bool Wide, class Rows>
void sdca_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const int64_t K = sweep.K, d = sweep.d, C = a.columns.n_outputs;
  T* W = sweep.vector(0);
  T* V = sweep.vector(1);
  T* U = sweep.table(0);
  const double *per_sigma = a.parameters[0], *per_rho = a.parameters[1], *tau = a.parameters[2];
  const double* norms = a.per_row[0];
  double one_column[2];
  double* z = Wide ? a.work : one_column;  // margins, then the change of u
  double* u = z + K;  // the row's u_i, then -s_i (u - u_i)

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];
    const auto row = X.row(i);
    const double s = a.columns.sample_weight ? a.columns.sample_weight[i] : 1.0;

    // the best u_i, all others held                                                eq. (51)
    sweep.margins(row, W, z, a.work + 2 * K);
    a.columns.add_offset(i, z);
    for (int64_t k = 0; k < K; ++k) u[k] = double(U[i * K + k]);
    if (Wide && C > 1) {
      double* best = a.work + 2 * K;  // C, then 5 C of scratch
      for (int64_t k = 0; k < K; k += C) {
        const double q = s * (norms[i] * per_sigma[k] + per_rho[k]);
        dual_block(sweep.loss, z + k, a.columns.targets.at(i, k / C), u + k, q, C, best, best + C);
        for (int64_t c = 0; c < C; ++c) z[k + c] = best[c];
      }
    } else {
      double slope, curvature;
      for (int64_t k = 0; k < K; ++k) {
        const double q = s * (norms[i] * per_sigma[k] + per_rho[k]);
        z[k] = dual_step(sweep.loss, z[k], a.columns.targets.at(i, k), u[k], q, &slope, &curvature);
      }
    }
    for (int64_t k = 0; k < K; ++k) {
      U[i * K + k] = T(z[k]);
      u[k] = -s * (double(T(z[k])) - u[k]);
    }

    // v <- v - (s_i / S) (u - u_i) x_i, w_j <- soft(v_j, l1) / sigma                eq. (50)
    if constexpr (!Wide) {
      const T step = T(per_sigma[0] * u[0]), tau_0 = T(tau[0]);
      if (V) {
        sweep.with_shrink(0, [&](const auto shrink) {
          for_each(row, [=](int64_t j, T x) {
            const T v = V[j] + step * x;
            V[j] = v;
            W[j] = shrink(v, tau_0, j);
          });
        });
        V[d] += T(per_rho[0] * u[0]);
      } else {
        for_each(row, [=](int64_t j, T x) { W[j] += step * x; });
      }
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const T x = row.value(p);
        T* w = W + j * K;
        if (V) {
          T* v = V + j * K;
          for (int64_t k = 0; k < K; ++k) {
            v[k] += T(per_sigma[k] * u[k]) * x;
            w[k] = sweep.shrink(v[k], T(tau[k]), j, k);
          }
        } else {
          for (int64_t k = 0; k < K; ++k) w[k] += T(per_sigma[k] * u[k]) * x;
        }
      }
      if (V)
        for (int64_t k = 0; k < K; ++k) V[d * K + k] += T(per_rho[k] * u[k]);
    }
    for (int64_t k = 0; k < K; ++k) W[d * K + k] += T(per_rho[k] * u[k]);
  }
}

}  // namespace fastsum::FASTSUM_LEVEL
