// APCG on the dual: accelerated randomised proximal coordinate gradient.
//
// Problem   min_x  (1/S) sum_i s_i l_i*(x_i) + g*(v) + v_b^2 / (2 rho) - v_b b_0 over dual points x,
//           the dual of eq. (50)
// Given     x = rho_k U + V with rho_k = rho^k, rho = (1 - alpha) / (1 + alpha), and the unshrunk
//           weights P of U and Q of V: w of x is soft(rho_k P + Q), which no step writes in full
// Per step  one row, y = rho_{k+1} U + V and z~ = -rho_{k+1} U + V:                      eq. (53)
//           x_i+ = l_i'(t) at the root of t - m_i - gamma (z~_i - y_i) + c (x_i+ - z~_i) = 0 with
//           m_i the margin of y, gamma = 1 / L, c = gamma (p_i / alpha - 1);  Delta = x_i+ - z~_i
//           U_i <- U_i - (1 - alpha / p_i) / (2 rho_{k+1}) Delta,  V_i <- V_i + (1 + alpha / p_i)
//           / 2 Delta, and P, Q on the columns of the row
// Rate      1 - alpha a step, alpha = min_i p_i / sqrt(1 + L q_i) with q_i of eq. (51)
// Memory    2 n K scalars and 3 (d + 1) K
// Source    Lin, Lu, Xiao, SIAM J. Optim. 2015, Algorithm 3, its form for empirical risk in section
//           5; any p_i as in Fercoq, Richtarik, SIAM J. Optim. 2015
// State     vectors: 0 fast_weights (P), 1 slow_weights (Q); tables: 0 fast_table (U), 1 slow_table
//           (V); parameters: 0 1 / (S sigma), 1 1 / (S rho), 2 1 / sigma, 3 alpha; time: k
#pragma once
#include "common.hpp"
#include "dual_step.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <bool Wide, class Rows>
void apcg_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const int64_t K = sweep.K, d = sweep.d, C = a.columns.n_outputs;
  T *P = sweep.vector(0), *Q = sweep.vector(1), *U = sweep.table(0), *V = sweep.table(1);
  const double *per_sigma = a.parameters[0], *per_rho = a.parameters[1], *tau = a.parameters[2];
  const double* alpha = a.parameters[3];
  const double gamma = 1.0 / sweep.loss.ops.curvature(sweep.loss.p);
  bool plain = true;  // soft is the identity
  double one_column[5];
  double* power = Wide ? a.work : one_column;  // rho_{k+1}
  double* z = power + K;  // margins of y, then Delta
  double* free = z + K;  // 7 K
  for (int64_t k = 0; k < K; ++k) {
    plain = plain && sweep.l1[k] == 0 && !sweep.own;
    power[k] = std::pow((1 - alpha[k]) / (1 + alpha[k]), double(a.time + 1));
  }

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];
    const auto row = X.row(i);
    const double s = a.columns.sample_weight ? a.columns.sample_weight[i] : 1.0;
    const double per_p = a.q ? a.q[i] : a.q_uniform;

    // m = x_i' w + b of y
    if constexpr (!Wide) {
      const T rho = T(power[0]), tau_0 = T(tau[0]);
      T sum = 0;
      if (plain)
        sum = sum_of<T>(row, [=](int64_t j, T x) { return x * (rho * P[j] + Q[j]); });
      else
        sweep.with_shrink(0, [&](const auto shrink) {
          sum =
            sum_of<T>(row, [=](int64_t j, T x) { return x * shrink(rho * P[j] + Q[j], tau_0, j); });
        });
      z[0] = double(sum + rho * P[d] + Q[d]);
    } else {
      for (int64_t k = 0; k < K; ++k) z[k] = power[k] * double(P[d * K + k]) + double(Q[d * K + k]);
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const double x = double(row.value(p));
        for (int64_t k = 0; k < K; ++k) {
          const T w = T(power[k]) * P[j * K + k] + Q[j * K + k];
          z[k] += x * double(plain ? w : sweep.shrink(w, T(tau[k]), j, k));
        }
      }
    }

    a.columns.add_offset(i, z);

    // Delta, the step of the block i from z~                                          eq. (53)
    if (Wide && C > 1) {
      double* from = free;  // z~, the best, 5 C of scratch
      for (int64_t k = 0; k < K; k += C) {
        const double c = gamma * (1.0 / (alpha[k] * per_p) - 1.0);
        for (int64_t e = k; e < k + C; ++e) {
          const double U_i = power[e] * double(U[i * K + e]), V_i = double(V[i * K + e]);
          from[e - k] = V_i - U_i;
          z[e] -= 2 * gamma * U_i;
        }
        dual_block(sweep.loss, z + k, a.columns.targets.at(i, k / C), from, c, C, from + C,
                   from + 2 * C);
        for (int64_t e = 0; e < C; ++e) z[k + e] = from[C + e] - from[e];
      }
    } else {
      double slope, curvature;
      for (int64_t k = 0; k < K; ++k) {
        const double c = gamma * (1.0 / (alpha[k] * per_p) - 1.0);
        const double U_i = power[k] * double(U[i * K + k]), from = double(V[i * K + k]) - U_i;
        z[k] = dual_step(sweep.loss, z[k] - 2 * gamma * U_i, a.columns.targets.at(i, k), from, c,
                         &slope, &curvature) -
               from;
      }
    }

    // U_i, V_i and what they make of P and Q                                          eq. (53)
    double *fast = free, *slow = fast + K;
    for (int64_t k = 0; k < K; ++k) {
      const double share = alpha[k] * per_p;
      fast[k] = -(1 - share) / (2 * power[k]) * z[k];
      slow[k] = 0.5 * (1 + share) * z[k];
      U[i * K + k] += T(fast[k]);
      V[i * K + k] += T(slow[k]);
      P[d * K + k] -= T(per_rho[k] * s * fast[k]);
      Q[d * K + k] -= T(per_rho[k] * s * slow[k]);
      fast[k] *= -s * per_sigma[k];
      slow[k] *= -s * per_sigma[k];
      power[k] *= (1 - alpha[k]) / (1 + alpha[k]);
    }
    if constexpr (!Wide) {
      const T fast_0 = T(fast[0]), slow_0 = T(slow[0]);
      for_each(row, [=](int64_t j, T x) {
        P[j] += fast_0 * x;
        Q[j] += slow_0 * x;
      });
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const T x = row.value(p);
        for (int64_t k = 0; k < K; ++k) {
          P[j * K + k] += T(fast[k]) * x;
          Q[j * K + k] += T(slow[k]) * x;
        }
      }
    }
  }
}

}  // namespace fastsum::FASTSUM_LEVEL
