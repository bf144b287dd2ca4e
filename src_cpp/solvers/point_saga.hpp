// Point-SAGA, with the penalty inside the proximal step, just in time on sparse rows.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + h(w)                      maths.md eq. (1)
// Given     w (d + 1, K) with the intercept in the last row, the table u_i = l_i'(x_i' phi_i) of
//           the last visit of each row, and its average g = (1/S) sum_i s_i u_i x_i
// Per step  v = w + gamma (q_i u_i x_i - g),  w <- prox_{gamma (q_i l_i + h)}(v)        eq. (44)
//           which has u = l_i'(x_i' w) at its result: w = prox_{gamma h}(v - gamma q_i u x_i),
//           one equation for u, of one unknown an output                               eq. (45)
//           cost O(non-zeros of the row), times the Newton steps where there is an l1 part
// Rate      1 / (1 + gamma l2) a step for the gamma of eq. (46): n + sqrt(n kappa)
// Memory    n K scalars (the table) and (d + 1) K (the average)
// Source    Defazio, NIPS 2016, Algorithm 1; there each term has its share of h, which makes a
//           table of points, here h is in every proximal step and in no table: the proof is the
//           same, with l_i convex and smooth and h strongly convex
// State     vectors: 0 weights, 1 average_gradient; tables: 0 table; sequences: 0 decay; visits
//           of sparse rows; work: (10 K + d,)
#pragma once
#include <type_traits>

#include "implicit.hpp"
#include "lazy.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline constexpr int kModels = 40, kPlainModels = 10;

// The slope of prox_{gamma h} where it is w, times 1 + gamma l2 of all features if that is one.
template <class Sweep, class T>
inline T give(const Sweep& sweep, T w, int64_t j, int64_t k) {
  if (!sweep.own) return T(w != 0 || sweep.l1[k] == 0);
  const auto& c = sweep.own[j];
  if (w <= c.lower || w >= c.upper || (w == 0 && c.factor * sweep.l1[k] != 0)) return T(0);
  return T(1) / (T(1) + sweep.step[k] * (c.factor * sweep.l2[k] + sweep.ridge[k]));
}

// The same by the prox of a column, where there is an l1 part; without a branch in loops over rows.
template <class T>
inline T give_of(const Shrink<T>&, T w, T /*gamma*/, int64_t /*j*/) {
  return w != 0 ? T(1) : T(0);
}
template <class T>
inline T give_of(const OwnShrink<T>& h, T w, T gamma, int64_t j) {
  const auto& c = h.own[j];
  const bool held = w <= c.lower || w >= c.upper || (w == 0 && c.factor * h.l1 != 0);
  return held ? T(0) : T(1) / (T(1) + gamma * (c.factor * h.l2 + h.ridge));
}

// What steps of Newton may leave of a slope.
template <class T>
inline double rounding_of(double u) {
  return (sizeof(T) == 4 ? 1e-6 : 1e-14) * (std::fabs(u) + 1.0);
}

template <class Rows>
struct PointSaga {
  using T = typename Rows::Value;
  const Sweep<Rows, true>& sweep;
  const int64_t K = sweep.K, d = sweep.d, C = sweep.a.columns.n_outputs;
  T* W = sweep.vector(0);
  T* G = sweep.vector(1);

  // The margins of prox_{gamma h}(v - gamma q_i u x_i) as a line in u: z at these u, and q, minus
  // its slope.
  template <class Row>
  void model(const Row& row, const double* change, double correction, double* z, double* q) const {
    for (int64_t k = 0; k < K; ++k) z[k] = q[k] = 0;
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      const T x = row.value(p);
#pragma omp simd
      for (int64_t k = 0; k < K; ++k) {
        const T gamma = sweep.step[k], slope = T(change[k]) * x + G[j * K + k];
        const T w = sweep.shrink(W[j * K + k] - gamma * slope, gamma, j, k);
        z[k] += double(x * w);
        q[k] += double(give(sweep, w, j, k) * x * x);
      }
    }
    const double c2 = sweep.a.intercept_curvature;
    for (int64_t k = 0; k < K; ++k) {
      const double gamma = double(sweep.step[k]);
      z[k] += double(W[d * K + k]) - gamma * c2 * (change[k] + double(G[d * K + k]));
      if (!sweep.own) q[k] /= 1.0 + gamma * double(sweep.l2[k]);
      q[k] = gamma * correction * (q[k] + c2);
    }
  }

  // change_k = q_i (u_k - u_ik) for the u of eq. (45).
  template <class Row>
  void solve(const Row& row, int64_t i, const T* old, double* change, double* work) const {
    double *u = work, *z = u + K, *q = z + K, *scratch = q + K;
    const double correction = sweep.correction(i);
    bool line = true;  // whether the margins are one in u
    for (int64_t k = 0; k < K; ++k) {
      u[k] = double(old[k]);
      change[k] = 0;
      line = line && sweep.l1[k] == 0 && !sweep.own;
    }
    for (int n_models = 0; n_models < kModels; ++n_models) {
      model(row, change, correction, z, q);
      sweep.a.columns.add_offset(i, z);
      bool same = true;
      for (int64_t b = 0; b < sweep.a.columns.n_problems; ++b) {
        const double y = sweep.a.columns.targets.at(i, b);
        double* next = scratch + 4 * C;
        for (int64_t c = 0; c < C; ++c) next[c] = u[b * C + c];
        if (sweep.loss.ops.coupled)
          implicit_slopes(sweep.loss, y, C, z + b * C, q + b * C, next, scratch);
        else
          next[0] = implicit_slope(sweep.loss, y, z[b], u[b], q[b]);
        for (int64_t c = 0; c < C; ++c) {
          double& now = u[b * C + c];
          // a line that has led astray so often is followed half the way
          if (n_models >= kPlainModels) next[c] = 0.5 * (now + next[c]);
          same = same && std::fabs(next[c] - now) <= rounding_of<T>(now);
          now = next[c];
        }
      }
      for (int64_t k = 0; k < K; ++k) {
        u[k] = double(T(u[k]));  // as the table will have it
        change[k] = correction * (u[k] - double(old[k]));
      }
      if (line || same) break;
    }
  }
};

// One column of weights. What a step makes of the columns without the new u of its row, v, is kept
// beside the row (8 bytes a value): the models of a Newton step read it in order, and v of dense
// rows is made for the next row where w and g are at hand. Without an l1 part v is past the prox.
template <class Rows, class Shrink>
struct PointSagaColumn {
  using T = typename Rows::Value;
  const Sweep<Rows, false>& sweep;
  const Shrink shrink;
  const bool bent = sweep.l1[0] != 0 || sweep.own;
  T* W = sweep.vector(0);
  T* G = sweep.vector(1);
  T* v = reinterpret_cast<T*>(sweep.a.work + 10);
  const T gamma = sweep.step[0], keep = T(1) / (T(1) + gamma * sweep.l2[0]);
  T margin = 0, square = 0;  // x' w and its slope in gamma q_i u, times 1 + gamma l2

  // v_p and its part of the margin
  template <bool kBent>
  [[gnu::always_inline]] T ahead(T w, T g, T x, int64_t j, T& sum, T& squares) const {
    const T at = kBent ? w - gamma * g : (w - gamma * g) * keep;
    const T moved = kBent ? shrink(at, gamma, j) : at;
    sum += x * moved;
    squares += kBent ? give_of(shrink, moved, gamma, j) * x * x : x * x;
    return at;
  }

  // v of the first or of a sparse row, whose columns wait for `now` steps
  template <bool kBent, class Row, class Lazy>
  void begin(const Row& row, const Lazy& lazy, int64_t now) {
    T sum = 0, squares = 0;
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      const T x = row.value(p);
      if (Rows::kSparse && !kBent) {  // with the step of this row in the line
        int64_t& visit = sweep.a.visits[j];
        const T at = v[p] = lazy.along(W[j], G[j], now + 1 - visit);
        visit = now + 1;
        sum += x * at;
        squares += x * x;
        continue;
      }
      if constexpr (Rows::kSparse) {
        lazy.catch_up(j, now);
        sweep.a.visits[j] = now + 1;
      }
      v[p] = ahead<kBent>(W[j], G[j], x, j, sum, squares);
    }
    margin = sum;
    square = squares;
  }

  // the margin where l1 bends its line, at a change of u
  template <class Row>
  void model(const Row& row, T change) {
    const T step = gamma * change;
    T sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum, squares)
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      const T x = row.value(p), w = shrink(v[p] - step * x, gamma, j);
      sum += x * w;
      squares += give_of(shrink, w, gamma, j) * x * x;
    }
    margin = sum;
    square = squares;
  }

  // change = q_i (u - u_i) for the u of eq. (45), and that u
  template <class Row>
  double solve(const Row& row, int64_t i, double old, double* u) {
    const double correction = sweep.correction(i), y = sweep.a.columns.targets.at(i, 0);
    const double c2 = sweep.a.intercept_curvature, step = double(gamma);
    const double per = sweep.own ? 1.0 : 1.0 / (1.0 + step * double(sweep.l2[0]));
    const double b = double(W[sweep.d]) - step * c2 * double(G[sweep.d]);
    const double L = sweep.loss.ops.curvature(sweep.loss.p);
    double change = 0, z = 0, q = 0, last = old;
    *u = old;
    for (int n_models = 0; n_models < kModels; ++n_models) {
      const double told = z - q * (*u - last);
      if (n_models > 0) model(row, T(change));
      z = double(margin) + b - step * c2 * change;
      if (!bent) z -= step * change * double(square) * per;
      // the line of before leads here: its root is that of the equation, unless half the way to it
      const bool whole = n_models > 0 && n_models <= kPlainModels;
      if (whole && L * std::fabs(z - told) <= rounding_of<T>(*u)) break;
      q = step * correction * (double(square) * per + c2);
      double at = z;
      sweep.a.columns.add_offset(i, &at);
      double next = implicit_slope(sweep.loss, y, at, *u, q);
      // a line that has led astray so often is followed half the way
      if (n_models >= kPlainModels) next = 0.5 * (*u + next);
      last = *u;
      *u = double(T(next));  // as the table will have it
      change = correction * (*u - old);
      if (!bent || std::fabs(next - last) <= rounding_of<T>(last)) break;
    }
    return change;
  }

  // w_j <- prox_{gamma h}(w_j - gamma (change x_ij + g_j)), g_j <- g_j + share x_ij      eq. (44)
  template <bool kBent, class Row>
  void end(const Row& row, T change, T share) const {
    const T step = kBent ? gamma * change : gamma * change * keep;
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      const T x = row.value(p), at = v[p] - step * x;
      W[j] = kBent ? shrink(at, gamma, j) : at;
      G[j] += share * x;
    }
  }

  // the same of a dense row, and v of the next
  template <bool kBent, class Row>
  void end_and_begin(const Row& row, const Row& next, T change, T share) {
    const T step = kBent ? gamma * change : gamma * change * keep;
    T sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum, squares)
    for (int64_t j = 0; j < sweep.d; ++j) {
      const T x = row.value(j), at = v[j] - step * x, g = G[j] + share * x;
      const T w = kBent ? shrink(at, gamma, j) : at;
      G[j] = g;
      v[j] = ahead<kBent>(w, g, next.value(j), j, sum, squares);
    }
    margin = sum;
    square = squares;
  }

  template <bool kBent>
  void run(const Rows& X, const LazySteps<Rows, false>& lazy) {
    const auto& a = sweep.a;
    T* const table = sweep.table(0);
    if (!Rows::kSparse && a.n_steps) begin<kBent>(X.row(a.order[0]), lazy, a.time);
    for (int64_t t = 0; t < a.n_steps; ++t) {
      sweep.prefetch(Rows::kSparse ? t : t + 1);
      const int64_t i = a.order[t];  // sampled row
      const auto row = X.row(i);
      const auto next = X.row(a.order[t + 1 < a.n_steps ? t + 1 : t]);
      if constexpr (Rows::kSparse) {
        lazy.prefetch(next);
        begin<kBent>(row, lazy, a.time + t);
      }
      // u of the proximal step; phi_i <- its result                                  eq. (45)
      double u;
      const double change = solve(row, i, double(table[i]), &u);
      const double p_i = 1.0 / sweep.inverse_probability(i);
      table[i] = T(u);
      const T change_0 = T(change), share = T(p_i * change);
      if (Rows::kSparse || t + 1 == a.n_steps)
        end<kBent>(row, change_0, share);
      else
        end_and_begin<kBent>(row, next, change_0, share);
      // the intercept: x = 1, no penalty, its own curvature scaling                  eq. (15)
      W[sweep.d] -= gamma * T(a.intercept_curvature) * (change_0 + G[sweep.d]);
      G[sweep.d] += share;
    }
  }
};

template <class Rows>
void point_saga_column(const Rows& X, const StepArgs& a, int64_t n_cols) {
  const Sweep<Rows, false> sweep(X, a, n_cols);
  const LazySteps<Rows, false> lazy(sweep, sweep.vector(0), sweep.vector(1));
  sweep.with_shrink(0, [&](const auto shrink) {
    PointSagaColumn<Rows, std::decay_t<decltype(shrink)>> s{sweep, shrink};
    s.bent ? s.template run<true>(X, lazy) : s.template run<false>(X, lazy);
  });
  lazy.finish();
}

template <class Rows>
void point_saga_columns(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, true> sweep(X, a, n_cols);
  const PointSaga<Rows> s{sweep};
  const int64_t K = sweep.K, d = sweep.d;
  T *W = s.W, *G = s.G, *table = sweep.table(0);
  const LazySteps<Rows, true> lazy(sweep, W, G);
  double* change = a.work;  // q_i (u - u_i)

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row
    const auto row = X.row(i);
    if (Rows::kSparse && t + 1 < a.n_steps) lazy.prefetch(X.row(a.order[t + 1]));

    // the columns of the row as the steps so far have left them
    if constexpr (Rows::kSparse)
      for (int64_t p = 0; p < row.size; ++p) {
        lazy.catch_up(row.index(p), a.time + t);
        a.visits[row.index(p)] = a.time + t + 1;
      }

    // u of the proximal step; phi_i <- its result                                  eq. (45)
    s.solve(row, i, table + i * K, change, change + K);
    for (int64_t k = 0; k < K; ++k) table[i * K + k] = T(change[K + k]);
    const double p_i = 1.0 / sweep.inverse_probability(i);

    // w_j <- prox_{gamma h}(w_j - gamma (change x_ij + g_j)), g_j <- g_j + p_i change x_ij eq. (44)
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      const T x = row.value(p);
#pragma omp simd
      for (int64_t k = 0; k < K; ++k) {
        const int64_t e = j * K + k;
        const T gamma = sweep.step[k], slope = T(change[k]) * x + G[e];
        W[e] = sweep.shrink(W[e] - gamma * slope, gamma, j, k);
        G[e] += T(p_i * change[k]) * x;
      }
    }

    // the intercept: x = 1, no penalty, its own curvature scaling                  eq. (15)
    for (int64_t k = 0; k < K; ++k) {
      const int64_t e = d * K + k;
      W[e] -= sweep.step[k] * T(a.intercept_curvature) * (T(change[k]) + G[e]);
      G[e] += T(p_i * change[k]);
    }
  }
  lazy.finish();
}

template <bool Wide, class Rows>
void point_saga_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  if constexpr (Wide)
    point_saga_columns(X, a, n_cols);
  else
    point_saga_column(X, a, n_cols);
}

}  // namespace fastsum::FASTSUM_LEVEL
