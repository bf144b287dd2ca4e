// SGD with a prox, mini-batches, momentum and averages, in the sparse re-weighted form; and with
// an Armijo line search.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + h(w)                      maths.md eq. (1)
// Per step  rows i of a batch of m, all slopes u_i at one w:  v_j <- beta v_j + (eta / m) q_i u_i x_ij,
//           w_j <- prox_{eta D_j h / m}(w_j - v_j) on the columns of the row          eq. (59)
//           eta = gamma (1 + a t)^-p; or, with one row a batch, factor times the largest of
//           the last eta, half of it, ... with l_i(z - eta g) <= l_i(z) - eta ||grad l_i||^2 / 2
//           The mean of the iterates of a stretch follows, column by column when one changes
// Rate      O(1 / t) with mu > 0, O(1 / sqrt t) without; the line search: linear if all rows can be
//           fitted at once
// Memory    3 (d + 1) K
// Source    Robbins, Monro, Ann. Math. Statist. 1951; Polyak, Juditsky, SIAM J. Control and
//           Optimization 1992; Vaswani, Mishkin, Laradji, Schmidt, Gidel, Lacoste-Julien, NeurIPS
//           2019, (1), Algorithm 1; sparse steps as in saga.hpp
// State     vectors: 0 point (w), 1 mean, 2 velocity (v) or null; parameters: 0 a, 1 p, 2
//           steps before this stretch, 3 m, 4 beta, 5 factor; visits and time count the steps of the stretch;
//           work: 8 K the eta of the line search, 9 K the sum of its eta ||grad||^2, 10 K m K slopes;
//           per row: 0 ||x_i||^2 (of the line search).
//           A call without steps brings the mean up to date
#pragma once
#include "common.hpp"

namespace fastsum::FASTSUM_LEVEL {

// x^-p for the p of the schedules by roots: std::pow took half of a step on short dense rows.
inline double fall(double x, double p) {
  if (p == 1.0) return 1.0 / x;
  if (p == 0.0) return 1.0;
  const double root = std::sqrt(x);
  return p == 0.5 ? 1.0 / root : p == 0.75 ? 1.0 / (root * std::sqrt(root)) : std::pow(x, -p);
}

template <bool Wide, bool Search, class Rows>
void sgd_batches(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const int64_t K = sweep.K, d = sweep.d, C = a.columns.n_outputs;
  T *W = sweep.vector(0), *mean = sweep.vector(1), *velocity = sweep.vector(2);
  const double *a_k = a.parameters[0], *p_k = a.parameters[1], *factor = a.parameters[5];
  const double made = a.parameters[2][0], beta = a.parameters[4][0];
  const int64_t batch = !Search && a.parameters[3][0] > 1 ? int64_t(a.parameters[3][0]) : 1;
  int64_t* const visits = a.visits;
  double *z = a.work, *trial = z + K, *eta = trial + K;
  double *longest = a.work + 8 * K, *gathered = longest + K;
  double* slopes = a.work + 10 * K;
  const double L = sweep.loss.ops.curvature(sweep.loss.p);

  // the mean of column j over `now` steps; w_j has not moved since its last visit
  const auto average = [&](int64_t j, int64_t now) {
    const T share = T(double(now - (visits ? visits[j] : now - 1)) / double(now));
    for (int64_t k = 0; k < K; ++k) mean[j * K + k] += share * (W[j * K + k] - mean[j * K + k]);
    if (visits) visits[j] = now;
  };
  if (a.n_steps == 0 && visits)
    for (int64_t j = 0; j < d; ++j)
      if (a.time > visits[j]) average(j, a.time);

  for (int64_t t = 0; t < a.n_steps;) {
    const int64_t size = a.n_steps - t < batch ? a.n_steps - t : batch;

    // slopes and steps of the batch
    for (int64_t k = 0; k < K && !Search; ++k)
      eta[k] = double(sweep.step[k]) * fall(1.0 + a_k[k] * (made + double(a.time + t)), p_k[k]);
    for (int64_t e = 0; e < size; ++e) {
      sweep.prefetch(t + e);
      const int64_t i = a.order[t + e];
      const auto row = X.row(i);
      double* u = slopes + e * K;
      const double q = sweep.correction(i);
      sweep.margins(row, W, z, a.work + 3 * K);
      sweep.slopes(i, z, u);
      if constexpr (Search) {
        const double norm = a.intercept_curvature + a.per_row[0][i];
        for (int64_t k = 0; k < K; k += C) {
          const double y = a.columns.targets.at(i, k / C), here = sweep.loss.value(z + k, y, C);
          const double part = factor[k] * q * norm;
          double square = 0, length = longest[k];
          for (int64_t c = k; c < k + C; ++c) square += u[c] * u[c];
          for (; length * part * L > 1.0; length *= 0.5) {
            for (int64_t c = k; c < k + C; ++c) trial[c] = z[c] - length * part * u[c];
            if (sweep.loss.value(trial + k, y, C) <= here - 0.5 * length * part * square) break;
          }
          for (int64_t c = k; c < k + C; ++c) {
            longest[c] = length;
            gathered[c] += length * part * q * square;
            eta[c] = length * factor[k];
            u[c] *= eta[c] * q;
          }
        }
      } else {
        for (int64_t k = 0; k < K; ++k) u[k] *= eta[k] * q / double(size);
      }
    }

    // the columns of its rows                                                       eq. (59)
    for (int64_t e = 0; e < size; ++e) {
      const int64_t i = a.order[t + e], now = a.time + t + e;
      const auto row = X.row(i);
      const double* u = slopes + e * K;
      for (int64_t k = 0; k < K; ++k) trial[k] = eta[k] / double(size);
      const bool plain = !Wide && !Rows::kSparse && !velocity;
      if (plain) {
        const T u_0 = T(u[0]), tau = T(trial[0]), share = T(1.0 / double(now + 1));
        sweep.with_shrink(0, [&](const auto shrink) {
          for_each(row, [=](int64_t j, T x) {
            const T w = shrink(W[j] - u_0 * x, tau, j);
            W[j] = w;
            mean[j] += share * (w - mean[j]);
          });
        });
      }
      for (int64_t p = 0; p < row.size && !plain; ++p) {
        const int64_t j = row.index(p);
        if (visits && now > visits[j]) average(j, now);
        const T x = row.value(p), D = sweep.PD(j);
        for (int64_t k = 0; k < K; ++k) {
          T& w = W[j * K + k];
          T step = T(u[k]) * x;
          if (velocity) step = velocity[j * K + k] = T(beta) * velocity[j * K + k] + step;
          w = sweep.shrink(w - step, T(trial[k]) * D, j, k);
        }
        if (!visits) average(j, now + 1);
      }
      for (int64_t k = 0; k < K; ++k) {
        const int64_t at = d * K + k;
        T step = T(u[k] * a.intercept_curvature);
        if (velocity) step = velocity[at] = T(beta) * velocity[at] + step;
        W[at] -= step;
        mean[at] += (W[at] - mean[at]) / T(now + 1);
      }
    }
    t += size;
  }
}

template <bool Wide, class Rows>
void sgd_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  sgd_batches<Wide, false>(X, a, n_cols);
}

template <bool Wide, class Rows>
void sgd_linesearch_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  sgd_batches<Wide, true>(X, a, n_cols);
}

}  // namespace fastsum::FASTSUM_LEVEL
