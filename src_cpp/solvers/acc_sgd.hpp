// SGD with Nesterov's acceleration, for rows that one w can fit.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + l2 / 2 ||w||^2            maths.md eq. (1)
// Given     w and v (d + 1, K), with the intercept in the last row
// Per step  one row; zeta = share v + (1 - share) w, g = q_i l_i'(x_i' zeta) x_i + l2 zeta,
//           w <- zeta - eta g,  v <- beta v + (1 - beta) zeta - long_step g              eq. (63)
//           On sparse rows the steps of a column that no row touches are a 2 x 2 matrix M on its
//           (w, v), and M^m is tabulated
// Rate      1 - sqrt(mu / L) / rho a step under strong growth
// Memory    (d + 1) K (v)
// Source    Vaswani, Bach, Schmidt, AISTATS 2019, (2)-(4), Theorem 1
// State     vectors: 0 weights, 1 lookahead (v); parameters: 0 share, 1 beta, 2 eta, 3 long_step;
//           sequences: 0 powers, M^m by rows for m < 256 and the multiples of 256; per_row: 0
//           ||x_i||^2; visits of sparse rows; work: 9 K takes in the sum of ||q_i u_i x_i||^2
#pragma once
#include "common.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <bool Wide, class Rows>
void acc_sgd_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const int64_t K = sweep.K, d = sweep.d;
  T *W = sweep.vector(0), *V = sweep.vector(1);
  const double *share = a.parameters[0], *beta = a.parameters[1], *eta = a.parameters[2],
               *long_step = a.parameters[3];
  const double* powers = a.sequences[0];
  double *z = a.work, *u = z + K, *z_w = u + K, *scratch = z_w + K, *gathered = a.work + 9 * K;

  // (w, v) <- M^m (w, v) of column j, up to the step `now`
  const auto multiply = [&](int64_t j, int64_t slot) {
    for (int64_t k = 0; k < K; ++k) {
      const double* M = powers + (slot * K + k) * 4;
      const double w = double(W[j * K + k]), v = double(V[j * K + k]);
      W[j * K + k] = T(M[0] * w + M[1] * v);
      V[j * K + k] = T(M[2] * w + M[3] * v);
    }
  };
  const auto catch_up = [&](int64_t j, int64_t now) {
    const int64_t m = now - a.visits[j];
    if (m & 255) multiply(j, m & 255);
    if (m >> 8) multiply(j, 256 + (m >> 8));
    a.visits[j] = now;
  };
  // the step (63) of coefficient `at` along the gradient g of the loss
  const auto step = [&](int64_t at, int64_t k, double g, double l2) {
    const double w = double(W[at]), v = double(V[at]);
    const double zeta = share[k] * v + (1.0 - share[k]) * w;
    g += l2 * zeta;
    W[at] = T(zeta - eta[k] * g);
    V[at] = T(beta[k] * v + (1.0 - beta[k]) * zeta - long_step[k] * g);
  };

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row
    const auto row = X.row(i);
    if constexpr (Rows::kSparse)
      for (int64_t p = 0; p < row.size; ++p) catch_up(row.index(p), a.time + t);

    // u_i = l_i' at the margin of zeta, linear in w and v
    if constexpr (!Wide) {
      const T of_v = T(share[0]), of_w = T(1.0 - share[0]);
      z[0] =
        double(sum_of<T>(row, [=](int64_t j, T x) { return x * (of_v * V[j] + of_w * W[j]); }) +
               of_v * V[d] + of_w * W[d]);
    } else {
      sweep.margins(row, W, z_w, scratch);
      sweep.margins(row, V, z, scratch);
      for (int64_t k = 0; k < K; ++k) z[k] = share[k] * z[k] + (1.0 - share[k]) * z_w[k];
    }
    sweep.slopes(i, z, u);
    const double q = sweep.correction(i), norm = a.per_row[0][i] + a.intercept_curvature;
    for (int64_t k = 0; k < K; ++k) {
      u[k] *= q;
      gathered[k] += u[k] * u[k] * norm;
    }

    // the columns of the row, and the intercept                                    eq. (63)
    if constexpr (!Wide && !Rows::kSparse) {
      const T of_v = T(share[0]), of_w = T(1.0 - share[0]), kept = T(beta[0]);
      const T rest = T(1.0 - beta[0]), eta_0 = T(eta[0]), long_0 = T(long_step[0]);
      const T u_0 = T(u[0]), l2 = sweep.l2[0];
      for_each(row, [=](int64_t j, T x) {
        const T zeta = of_v * V[j] + of_w * W[j], g = u_0 * x + l2 * zeta;
        W[j] = zeta - eta_0 * g;
        V[j] = kept * V[j] + rest * zeta - long_0 * g;
      });
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const double x = double(row.value(p));
        for (int64_t k = 0; k < K; ++k) step(j * K + k, k, u[k] * x, double(sweep.l2[k]));
        if constexpr (Rows::kSparse) a.visits[j] = a.time + t + 1;
      }
    }
    for (int64_t k = 0; k < K; ++k) step(d * K + k, k, u[k] * a.intercept_curvature, 0.0);
  }

  // all columns as they are after the last step
  if constexpr (Rows::kSparse)
    for (int64_t j = 0; j < d; ++j) catch_up(j, a.time + a.n_steps);
}

}  // namespace fastsum::FASTSUM_LEVEL
