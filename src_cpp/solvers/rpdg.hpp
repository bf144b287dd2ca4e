// RPDG, the randomised primal-dual gradient method, with lazy columns.
//
// Problem   min_w max_u  (1/S) sum_i s_i [u_i (x_i' w + b) - l_i*(u_i)] + h(w), and the proximal
//           terms of eq. (50)
// Given     w_t and w_{t-1}; z_i, a margin of each row, u_i = l_i'(z_i), their average gradient
//           g = (1/S) sum_i s_i u_i x_i - kappa c
// Per step  one row:  w- = w_t + alpha (w_t - w_{t-1}),  z_i <- (x_i' w- + tau z_i) / (1 + tau),
//           u_i <- l_i'(z_i), the gradient prox of the dual in its own Bregman distance
//           w_{t+1} = argmin h(w) + kappa / 2 ||w - c||^2 + g~' w + eta / 2 ||w - w_t||^2,
//           g~ = g + (s_i / (S p_i)) (u_i - u_i,old) x_i                            eq. (54)
//           A column that no row of the last k steps holds has a constant g_j; its k steps are
//           w <- soft(alpha w - g_j / (eta + sigma), l1 / (eta + sigma)), taken at once by powers
// Rate      alpha = 1 - 2 / (m + 1 + sqrt((m - 1)^2 + 4 m C)) a step, m = max_i 1 / p_i,
//           C = 4 max_i q_i L_i / sigma
// Memory    2 n K scalars and 3 (d + 1) K
// Source    Lan, Zhou, Math. Programming 171, 2018, Algorithm 3 and (2.37)
// State     vectors: 0 weights (w_t), 1 last_weights (w_{t-1}), 2 average_gradient (g); tables:
//           0 margins (z), 1 table (u); parameters: 0 alpha, 1 tau, 2 1 / (eta + sigma), 3 b_0;
//           sequences: 0 sum_{e < k} alpha^e, (256 + steps a pass / 256 + 1, K), for the
//           k < 256 and then for the multiples of 256; visits, time. A call
//           without steps brings every column up to date
#pragma once
#include "lazy.hpp"

namespace fastsum::FASTSUM_LEVEL {

// k steps of w <- soft((1 - lost) w - a, b): linear on either side of 0, where they are taken at
// once. sum(m) = sum_{e < m} (1 - lost)^e.
template <class Sum>
[[gnu::always_inline]] inline double lazy_steps(double w, int64_t k, double lost, double a,
                                                double b, Sum&& sum) {
  // all steps on one side, or what ends at 0 and stays, without a branch on which
  const double all = w - (lost * w + a - pull_of(w, a, b)) * sum(k), turned = w * all;
  if (b == 0) return all;
  const double held = std::fabs(a) - b;
  if ((-turned < held ? -turned : held) <= 0) [[likely]]
    return turned < 0 ? 0.0 : all;
  while (k > 0) {
    const double next = w - lost * w - a;
    if (std::fabs(next) <= b) {
      w = 0.0;
      --k;
      continue;
    }
    const double side = next > 0 ? b : -b, pull = a + side;
    // what the steps make moves one way, so that it stays on this side up to some step
    const double end = w - (lost * w + pull) * sum(k);
    if (end * side > 0) return end;
    const double alpha = 1.0 - lost;
    int64_t low = steps_above(std::fabs(w), std::fabs(pull) / alpha, lost / alpha, k);
    low = low < 1 ? 1 : low;
    w -= (lost * w + pull) * sum(low);
    k -= low;
  }
  return w;
}

template <bool Wide, class Rows>
void rpdg_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const int64_t K = sweep.K, d = sweep.d;
  T *W = sweep.vector(0), *last = sweep.vector(1), *G = sweep.vector(2);
  T *Z = sweep.table(0), *U = sweep.table(1);
  const double *alpha = a.parameters[0], *tau = a.parameters[1], *rate = a.parameters[2];
  const double* b_0 = a.parameters[3];
  double one_column[3];
  double* z = Wide ? a.work : one_column;  // margins
  double* u = z + K;                       // l'(z), then its change
  double* change = u + K;                  // (s_i / (S p_i)) (u - u_i)

  // w_t and w_{t-1} of column j after the steps that it has missed
  const double* const sums = a.sequences[0];
  int64_t* const visits = a.visits;
  const double lost_0 = 1.0 - alpha[0], rate_0 = rate[0], l1_0 = double(sweep.l1[0]);
  // the same where column j has a penalty of its own; clipped as in lazy.hpp
  const auto rest_of = [&](int64_t e, int64_t j, int64_t k, int64_t missed, double r, double shift,
                           double most) {
    const auto& c = sweep.own[j];
    const double per = 1.0 / (1.0 + r * (double(c.factor) * sweep.l2[k] + sweep.ridge[k]));
    const double lost = 1.0 - alpha[k] * per, log = std::log1p(-lost);
    const auto sum = [&](int64_t m) {
      return lost > 0 ? -std::expm1(double(m) * log) / lost : double(m);
    };
    const double a_ = per * shift, b = per * double(c.factor) * most;
    const double before = lazy_steps(double(W[e]), missed - 1, lost, a_, b, sum);
    last[e] = clip(T(before), c.lower, c.upper);
    W[e] = clip(T(lazy_steps(before, 1, lost, a_, b, sum)), c.lower, c.upper);
  };
  const auto lag_sum = [=](int64_t m, int64_t k, double lost) {
    const double low = sums[(m & 255) * K + k];
    return low + (1.0 - lost * low) * sums[(256 + (m >> 8)) * K + k];
  };
  const auto catch_up = [&](int64_t j, int64_t now) __attribute__((always_inline)) {
    const int64_t missed = now - visits[j];
    if (missed == 0) return;
    for (int64_t k = 0; k < K; ++k) {
      const int64_t e = j * K + k;
      const double r = Wide ? rate[k] : rate_0, lost = Wide ? 1.0 - alpha[k] : lost_0;
      const double shift = r * double(G[e]), most = r * (Wide ? double(sweep.l1[k]) : l1_0);
      if (sweep.own) {
        rest_of(e, j, k, missed, r, shift, most);
        continue;
      }
      const auto sum = [=](int64_t m) { return lag_sum(m, k, lost); };
      const double w = double(W[e]);
      const double before = most == 0 ? w - (lost * w + shift) * sum(missed - 1)
                                      : lazy_steps(w, missed - 1, lost, shift, most, sum);
      const double next = before - lost * before - shift;
      last[e] = T(before);
      W[e] = T(next - clip(next, -most, most));
    }
  };
  if (a.n_steps == 0 && visits) {
    for (int64_t j = 0; j < d; ++j) {
      catch_up(j, a.time);
      visits[j] = a.time;
    }
  }

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];
    const auto row = X.row(i);
    if (Rows::kSparse && t + 1 < a.n_steps) {  // where those of the next row lie
      const auto next = X.row(a.order[t + 1]);
      for (int64_t p = 0; p < next.size; ++p) {
        const int64_t j = next.index(p);
        __builtin_prefetch(visits + j);
        __builtin_prefetch(W + j * K);
        __builtin_prefetch(last + j * K);
        __builtin_prefetch(G + j * K);
      }
    }
    if (visits) {
      const int64_t now = a.time + t;
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        catch_up(j, now);
        visits[j] = now + 1;
      }
    }

    // w- = w_t + alpha (w_t - w_{t-1}) and its margins                                eq. (54)
    if constexpr (!Wide) {
      const T ahead = T(alpha[0]);
      const T sum =
        sum_of<T>(row, [=](int64_t j, T x) { return x * (W[j] + ahead * (W[j] - last[j])); });
      z[0] = double(sum + W[d] + ahead * (W[d] - last[d]));
    } else {
      for (int64_t k = 0; k < K; ++k)
        z[k] = double(W[d * K + k] + T(alpha[k]) * (W[d * K + k] - last[d * K + k]));
      for (int64_t p = 0; p < row.size; ++p) {
        const double x = double(row.value(p));
        const T *w = W + row.index(p) * K, *w_1 = last + row.index(p) * K;
        for (int64_t k = 0; k < K; ++k) z[k] += x * double(w[k] + T(alpha[k]) * (w[k] - w_1[k]));
      }
    }

    // z_i and u_i
    for (int64_t k = 0; k < K; ++k) {
      z[k] = (z[k] + tau[k] * double(Z[i * K + k])) / (1.0 + tau[k]);
      Z[i * K + k] = T(z[k]);
    }
    sweep.slopes(i, z, u);
    for (int64_t k = 0; k < K; ++k) {
      const double delta = double(T(u[k])) - double(U[i * K + k]);
      U[i * K + k] = T(u[k]);
      change[k] = sweep.correction(i) * delta;
      u[k] = sweep.share(i) * delta;
    }

    // w_{t+1} and g on the columns of the row                                         eq. (54)
    if constexpr (!Wide) {
      const T keep = T(alpha[0]), r = T(rate[0]), change_0 = T(change[0]), share_0 = T(u[0]);
      sweep.with_shrink(0, [&](const auto shrink) {
        for_each(row, [=](int64_t j, T x) {
          const T w = W[j];
          W[j] = shrink(keep * w - r * (G[j] + change_0 * x), r, j);
          last[j] = w;
          G[j] += share_0 * x;
        });
      });
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const T x = row.value(p);
        for (int64_t k = 0; k < K; ++k) {
          const int64_t e = j * K + k;
          const T w = W[e], r = T(rate[k]);
          W[e] = sweep.shrink(T(alpha[k]) * w - r * (G[e] + T(change[k]) * x), r, j, k);
          last[e] = w;
          G[e] += T(u[k]) * x;
        }
      }
    }
    // the intercept: the coefficient of a constant column, no penalty but the proximal term's
    for (int64_t k = 0; k < K; ++k) {
      const int64_t e = d * K + k;
      const double w = double(W[e]), r = rate[k] * a.intercept_curvature;
      last[e] = W[e];
      if (a.intercept_curvature > 0)
        W[e] = T(alpha[k] * w + (1.0 - alpha[k]) * b_0[k] - r * (double(G[e]) + change[k]));
      G[e] += T(u[k]);
    }
  }
}

}  // namespace fastsum::FASTSUM_LEVEL
