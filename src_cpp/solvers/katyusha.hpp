// Katyusha, proximal, with just-in-time updates on sparse rows; the steps of one epoch.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + h(w)                      maths.md eq. (1)
// Given     the points z and y (d + 1, K) with the intercept in the last row; the snapshot w~, its
//           scalars u~_i = l_i'(x_i' w~) and its full gradient g~; tau_1, tau_2 and alpha
// Per step  x = tau_1 z + tau_2 w~ + rho y, rho = 1 - tau_1 - tau_2                    eq. (40)
//           z <- prox_{alpha h}(z - alpha (q_i (l_i'(x) - u~_i) x_i + g~))
//           y <- x + tau_1 (z - its last value) = tau_1 z + tau_2 w~ + rho y
//           sum <- r sum + z, r = 1 / (1 + alpha l2): with it the caller has the average
//           of the y of an epoch                                                       eq. (42)
//           cost O(non-zeros of the row): a column that no row touches moves along g~_j alone, and
//           m such steps are one formula                                               eq. (43)
// Rate      n + sqrt(n kappa) sample gradients a factor with the tau_1 and alpha of eq. (41)
// Memory    5 (d + 1) K and n K scalars; without room for those the snapshot's are computed anew
// Source    Allen-Zhu, JMLR 18, 2018, Algorithms 1 and 2 with Option II; rho = 0: Zhou, Shang,
//           Cheng, ICML 2018, Algorithm 1; single steps, no average: Kovalev, Horvath, Richtarik,
//           ALT 2020, Algorithm 2
// State     vectors: 0 points: z, y, sum, w~ and g~, (d + 1, 5, K) where visits are given, which is
//           for sparse rows, else (5, d + 1, K), 1 snapshot_weights; tables: 0 snapshot_derivatives
//           or null; parameters: 0 tau1, 1 tau2, 2 z_step (alpha), 3 decay (r); sequences: 0 lags
#pragma once
#include "lazy.hpp"

namespace fastsum::FASTSUM_LEVEL {

// What m steps of an untouched column multiply, eq. (43): r^m, A_m, E_m and rho^m,
// (256 + n_steps / 256 + 1, kLagSize, K): for the m < 256 and then for the multiples of 256.
enum { kLagPower, kLagSum, kLagSums, kLagRho, kLagSize };

inline constexpr int64_t kPoints = 5;

template <bool Wide, class Rows>
struct Katyusha {
  using T = typename Rows::Value;
  [[gnu::always_inline]] int64_t K() const { return Wide ? sweep.K : 1; }
  const Sweep<Rows, Wide>& sweep;
  const int64_t d = sweep.d;
  // The five points of a column lie side by side where rows hold few columns.
  const int64_t next = sweep.a.visits ? K() : (d + 1) * K();  // from point to point
  const int64_t stride = sweep.a.visits ? kPoints * K() : K();  // from column to column
  T* z = sweep.vector(0);
  T* y = z + next;
  T* sum = y + next;
  T* snapshot = sum + next;
  T* g = snapshot + next;
  const double* tau1 = sweep.a.parameters[0];
  const double* tau2 = sweep.a.parameters[1];
  const double* alpha = sweep.a.parameters[2];
  const double* decay = sweep.a.parameters[3];
  const double* lags = sweep.a.sequences[0];

  double rho(int64_t k) const { return 1.0 - tau1[k] - tau2[k]; }
  // x at element e of column k, j stride + k                                                  eq. (40)
  T x(int64_t e, int64_t k) const {
    return T(tau1[k]) * z[e] + T(tau2[k]) * snapshot[e] + T(rho(k)) * y[e];
  }
  // z of a column has moved: its y and sum follow                                  eq. (40), (42)
  void follow(int64_t e, int64_t k, T moved) const {
    z[e] = moved;
    y[e] = T(tau1[k]) * moved + T(tau2[k]) * snapshot[e] + T(rho(k)) * y[e];
    sum[e] = T(decay[k]) * sum[e] + moved;
  }

  // q_i (l_i'(x) - u~_i) at the margins m = x_i' x, in place of these
  template <class Row>
  void change(const Row& row, int64_t i, double* m, double* u, double* scratch) const {
    for (int64_t k = 0; k < K(); ++k) m[k] += double(x(d * stride + k, k));
    sweep.slopes(i, m, u);
    const T* stored = sweep.table(0);
    if (!stored) sweep.derivatives(row, i, sweep.vector(1), m, scratch);
    for (int64_t k = 0; k < K(); ++k)
      m[k] = sweep.correction(i) * (u[k] - (stored ? double(stored[i * K() + k]) : m[k]));
  }

  // The intercept: x = 1, no penalty, its own curvature scaling                      eq. (15)
  void intercept(const double* change) const {
    for (int64_t k = 0; k < K(); ++k) {
      const int64_t e = d * stride + k;
      const double rate = alpha[k] * sweep.a.intercept_curvature;
      follow(e, k, z[e] - T(rate * (change[k] + double(g[e]))));
    }
  }

  // r^m, A_m, E_m and rho^m, by both tables whatever m: a branch on m < 256 is one that no
  // processor foresees. The other four of eq. (43) follow, for tables of half the size.
  struct Lag {
    double power, sum, sums, rho;
  };
  [[gnu::always_inline]] Lag lag(int64_t m, int64_t k) const {
    const double* low = lags + (m & 255) * kLagSize * K() + k;
    const double* high = lags + (256 + (m >> 8)) * kLagSize * K() + k;
    const double power = low[0], sum = low[K()], before = double(m & ~int64_t(255));
    return {power * high[0], sum + power * high[K()],
            high[0] * (low[2 * K()] + before * sum) + high[2 * K()], low[3 * K()] * high[3 * K()]};
  }

  // What eq. (43) takes of column k besides: at hand in a loop that stores to the points.
  struct Rates {
    double r, rho, tau1, tau2, alpha, per, mixed, back;
  };
  Rates rates(int64_t k) const {
    const double r = decay[k], rho_k = rho(k);
    return {r, rho_k, tau1[k], tau2[k], alpha[k], 1.0 / (1.0 - rho_k), r / (r - rho_k), rho_k / r};
  }

  // m steps of element e along the slope G, which includes what l1 adds             eq. (43)
  [[gnu::always_inline]] void line(const Rates& b, int64_t e, const Lag& f, double m,
                                   double G) const {
    const double mixed = b.mixed * (f.power - f.rho), tail = f.sum - b.back * mixed;
    const double pull = b.tau2 * double(snapshot[e]), c = b.alpha * b.r * G, z0 = double(z[e]);
    z[e] = T(z0 * f.power - c * f.sum);
    y[e] = T(double(y[e]) * f.rho + b.per * pull * (1.0 - f.rho) +
             b.tau1 * (z0 * mixed - b.per * c * tail));
    sum[e] = T(f.power * (double(sum[e]) + m * z0) - c * f.sums);
  }

  // m steps of element e of column j without a row. While z keeps its sign they are a line; its
  // path is monotone and meets 0 once at most, in a step that lazy.hpp tells.
  void wait(const Rates& b, int64_t e, int64_t j, int64_t k, int64_t m) const {
    double l1 = double(sweep.l1[k]);
    if (sweep.own) {
      const auto& c = sweep.own[j];
      l1 *= double(c.factor);
      if (sweep.l2[k] != 0 || c.lower > -T(HUGE_VAL) || c.upper < T(HUGE_VAL)) {
        for (; m > 0; --m)  // z and the averages have rates that differ: no formula
          follow(e, k, sweep.shrink(z[e] - T(alpha[k]) * g[e], T(alpha[k]), j, k));
        return;
      }
    }
    const double z0 = double(z[e]), slope = double(g[e]);
    const double G = slope - pull_of(z0, slope, l1);
    const Lag f = lag(m, k);
    if (l1 == 0 || z0 * (z0 * f.power - b.alpha * b.r * G * f.sum) >= 0) [[likely]]
      return line(b, e, f, double(m), G);
    const double sign = std::copysign(1.0, z0);
    const double rate = sweep.own ? 0.0 : b.alpha * double(sweep.l2[k]);
    const int64_t last = steps_above(sign * z0, b.alpha * sign * G, rate, m);
    line(b, e, lag(last, k), double(last), G);
    const T moved = sweep.shrink(z[e] - T(alpha[k]) * g[e], T(alpha[k]), j, k);
    follow(e, k, sign * double(moved) > 0 ? T(0) : moved);  // or the rounding of the step found
    if (m > last + 1) wait(b, e, j, k, m - last - 1);
  }

  // m steps of a row of coefficients of a penalty of rows: their directions turn, so that there is
  // no formula, and a sparse row costs what a dense one does.
  void wait_row(int64_t j, int64_t m) const {
    T* moved = reinterpret_cast<T*>(sweep.a.work + 4 * K());
    for (; m > 0; --m) {
      for (int64_t k = 0; k < K(); ++k)
        moved[k] = z[j * stride + k] - T(alpha[k]) * g[j * stride + k];
      sweep.shrink_row(moved, alpha, T(1));
      for (int64_t k = 0; k < K(); ++k) follow(j * stride + k, k, moved[k]);
    }
  }

  // The columns of a row lie at random addresses, further apart than those of a plain w.
  // (Inlined, or the compiler takes a call without other effects out.)
  template <class Row>
  [[gnu::always_inline]] void prefetch(const Row& row) const {
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      __builtin_prefetch(sweep.a.visits + j);
      __builtin_prefetch(z + j * stride);
      __builtin_prefetch(g + j * stride);
    }
  }

  // Column j as it is after the step `now` of the epoch.
  void catch_up(int64_t j, int64_t now) const {
    const int64_t m = now - sweep.a.visits[j];
    if (m == 0) return;
    sweep.a.visits[j] = now;
    if (sweep.row_l1) return wait_row(j, m);
    for (int64_t k = 0; k < K(); ++k) wait(rates(k), j * stride + k, j, k, m);
  }
};

// One column of weights, dense rows: the margin of the next row is summed where x is at hand.
template <class Rows>
void katyusha_dense(const Rows& X, const Katyusha<false, Rows>& s) {
  using T = typename Rows::Value;
  const auto& a = s.sweep.a;
  T *z = s.z, *y = s.y, *sum = s.sum;
  const T *snapshot = s.snapshot, *g = s.g;
  const T tau1 = T(s.tau1[0]), tau2 = T(s.tau2[0]), rho = T(s.rho(0)), alpha = T(s.alpha[0]);
  const T r = T(s.decay[0]);
  T margin = 0;
  for (int64_t j = 0; a.n_steps && j < s.d; ++j) margin += X.row(a.order[0]).value(j) * s.x(j, 0);
  for (int64_t t = 0; t < a.n_steps; ++t) {
    s.sweep.prefetch(t + 1);
    const int64_t i = a.order[t];
    const auto row = X.row(i), next = X.row(a.order[t + 1 < a.n_steps ? t + 1 : t]);
    double change = double(margin), u, scratch[2];
    s.change(row, i, &change, &u, scratch);
    const T step = alpha * T(change);
    s.sweep.with_shrink(0, [&](const auto shrink) {
      T ahead = 0;
#pragma omp simd reduction(+ : ahead)
      for (int64_t j = 0; j < s.d; ++j) {
        const T moved = shrink(z[j] - step * row.value(j) - alpha * g[j], alpha, j);
        const T pull = tau2 * snapshot[j];
        const T coupled = tau1 * moved + pull + rho * y[j];
        z[j] = moved;
        y[j] = coupled;
        sum[j] = r * sum[j] + moved;
        ahead += next.value(j) * (tau1 * moved + pull + rho * coupled);
      }
      margin = ahead;
    });
    s.intercept(&change);
  }
}

// One column of weights, sparse rows.
template <class Rows>
void katyusha_sparse(const Rows& X, const Katyusha<false, Rows>& s) {
  using T = typename Rows::Value;
  const auto& a = s.sweep.a;
  int64_t* const visits = a.visits;
  const bool linear = s.sweep.l1[0] == 0 && !s.sweep.own;
  const T tau1 = T(s.tau1[0]), tau2 = T(s.tau2[0]), rho = T(s.rho(0)), alpha = T(s.alpha[0]);
  const T r = T(s.decay[0]);
  T* const points = s.z;
  const auto rates = s.rates(0);
  for (int64_t t = 0; t < a.n_steps; ++t) {
    s.sweep.prefetch(t);
    const int64_t i = a.order[t], now = a.time + t;  // sampled row
    const auto row = X.row(i);
    if (t + 1 < a.n_steps) s.prefetch(X.row(a.order[t + 1]));

    // the columns of the row as the steps so far have left them, and x_i' x        eq. (40), (43)
    T margin = 0;
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p), e = j * kPoints, m = now - visits[j];
      visits[j] = now + 1;
      if (linear)
        s.line(rates, e, s.lag(m, 0), double(m), double(s.g[e]));
      else if (m > 0)
        s.wait(rates, e, j, 0, m);
      const T* const at = points + e;
      margin += row.value(p) * (tau1 * at[0] + tau2 * at[3] + rho * at[1]);
    }
    double change = double(margin), u, scratch[2];
    s.change(row, i, &change, &u, scratch);

    // z, y and the sum of the columns of the row                                   eq. (40), (42)
    const T step = T(change);
    s.sweep.with_shrink(0, [&](const auto shrink) {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        T* const at = points + j * kPoints;
        const T moved = shrink(at[0] - alpha * (step * row.value(p) + at[4]), alpha, j);
        at[1] = tau1 * moved + tau2 * at[3] + rho * at[1];
        at[0] = moved;
        at[2] = r * at[2] + moved;
      }
    });
    s.intercept(&change);
  }
  for (int64_t j = 0; j < s.d; ++j) s.catch_up(j, a.time + a.n_steps);
}

template <bool Wide, class Rows>
void katyusha_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const Katyusha<Wide, Rows> s{sweep};
  const int64_t K = sweep.K, d = sweep.d;
  if constexpr (!Wide && !Rows::kSparse)
    if (!a.visits) return katyusha_dense(X, s);
  if constexpr (!Wide && Rows::kSparse)
    if (!sweep.row_l1) return katyusha_sparse(X, s);
  double one_column[4];
  double* change = Wide ? a.work : one_column;
  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row
    const auto row = X.row(i);
    if (Rows::kSparse && t + 1 < a.n_steps) s.prefetch(X.row(a.order[t + 1]));

    // the columns of the row as the steps so far have left them, and x_i' x        eq. (40), (43)
    for (int64_t k = 0; k < K; ++k) change[k] = 0;
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      if (a.visits) {
        s.catch_up(j, a.time + t);
        a.visits[j] = a.time + t + 1;
      }
      for (int64_t k = 0; k < K; ++k) change[k] += double(row.value(p) * s.x(j * s.stride + k, k));
    }
    s.change(row, i, change, change + K, change + 2 * K);

    // z, y and the sum of the columns of the row                                   eq. (40), (42)
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      if (sweep.row_l1) {
        T* moved = reinterpret_cast<T*>(a.work + 4 * K);
        for (int64_t k = 0; k < K; ++k) {
          const int64_t e = j * s.stride + k;
          moved[k] = s.z[e] - T(s.alpha[k]) * (T(change[k]) * row.value(p) + s.g[e]);
        }
        sweep.shrink_row(moved, s.alpha, T(1));
        for (int64_t k = 0; k < K; ++k) s.follow(j * s.stride + k, k, moved[k]);
        continue;
      }
      for (int64_t k = 0; k < K; ++k) {
        const int64_t e = j * s.stride + k;
        const T alpha = T(s.alpha[k]), slope = T(change[k]) * row.value(p) + s.g[e];
        s.follow(e, k, sweep.shrink(s.z[e] - alpha * slope, alpha, j, k));
      }
    }
    s.intercept(change);
  }
  for (int64_t j = 0; a.visits && j < d; ++j) s.catch_up(j, a.time + a.n_steps);
}

}  // namespace fastsum::FASTSUM_LEVEL
