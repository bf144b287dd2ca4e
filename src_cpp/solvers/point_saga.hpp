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
//           of sparse rows; work: (8 K,)
#pragma once
#include "implicit.hpp"
#include "lazy.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline constexpr int kModels = 40, kPlainModels = 10;

template <class Rows, bool Wide>
struct PointSaga {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide>& sweep;
  const int64_t K = sweep.K, d = sweep.d, C = sweep.a.columns.n_outputs;
  T* W = sweep.vector(0);
  T* G = sweep.vector(1);

  // The slope of prox_{gamma h} where it is w, times 1 + gamma l2 of all features if that is one.
  T give(T w, int64_t j, int64_t k) const {
    if (!sweep.own) return T(w != 0 || sweep.l1[k] == 0);
    const auto& c = sweep.own[j];
    if (w <= c.lower || w >= c.upper || (w == 0 && c.factor * sweep.l1[k] != 0)) return T(0);
    return T(1) / (T(1) + sweep.step[k] * (c.factor * sweep.l2[k] + sweep.ridge[k]));
  }

  // The margins of prox_{gamma h}(v - gamma q_i u x_i) as a line in u: z at these u, and q, minus
  // its slope.
  template <class Row>
  void model(const Row& row, const double* change, double correction, double* z, double* q) const {
    for (int64_t k = 0; k < K; ++k) z[k] = q[k] = 0;
    if constexpr (!Wide) {
      const T gamma = sweep.step[0], step = gamma * T(change[0]);
      const bool bent = sweep.l1[0] != 0 || sweep.own;
      T margin = 0, square = 0;
      if (!bent) {  // the prox is a factor
        T average = 0;
#pragma omp simd reduction(+ : margin, square, average)
        for (int64_t p = 0; p < row.size; ++p) {
          const int64_t j = row.index(p);
          const T x = row.value(p);
          margin += x * W[j];
          average += x * G[j];
          square += x * x;
        }
        margin = sweep.shrink(margin - gamma * average - step * square, gamma, 0, 0);
      } else {
        sweep.with_shrink(0, [&](const auto shrink) {
          T sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum, squares)
          for (int64_t p = 0; p < row.size; ++p) {
            const int64_t j = row.index(p);
            const T x = row.value(p);
            const T w = shrink(W[j] - step * x - gamma * G[j], gamma, j);
            sum += x * w;
            squares += give(w, j, 0) * x * x;
          }
          margin = sum;
          square = squares;
        });
      }
      z[0] = double(margin);
      q[0] = double(square);
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const T x = row.value(p);
#pragma omp simd
        for (int64_t k = 0; k < K; ++k) {
          const T gamma = sweep.step[k], slope = T(change[k]) * x + G[j * K + k];
          const T w = sweep.shrink(W[j * K + k] - gamma * slope, gamma, j, k);
          z[k] += double(x * w);
          q[k] += double(give(w, j, k) * x * x);
        }
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
    constexpr double same_u = sizeof(T) == 4 ? 1e-6 : 1e-14;
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
          same = same && std::fabs(next[c] - now) <= same_u * (std::fabs(now) + 1.0);
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

template <bool Wide, class Rows>
void point_saga_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const PointSaga<Rows, Wide> s{sweep};
  const int64_t K = sweep.K, d = sweep.d;
  T *W = s.W, *G = s.G, *table = sweep.table(0);
  const LazySteps<Rows, Wide> lazy(sweep, W, G);
  double one_column[9];
  double* change = Wide ? a.work : one_column;  // q_i (u - u_i)

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row
    const auto row = X.row(i);

    if constexpr (Rows::kSparse)  // where those of the next row lie
      if (t + 1 < a.n_steps) {
        const auto next = X.row(a.order[t + 1]);
        for (int64_t p = 0; p < next.size; ++p) {
          const int64_t j = next.index(p);
          __builtin_prefetch(a.visits + j);
          __builtin_prefetch(W + j * K);
          __builtin_prefetch(G + j * K);
        }
      }

    // the columns of the row as the steps so far have left them
    if constexpr (Rows::kSparse)
      for (int64_t p = 0; p < row.size; ++p) {
        lazy.catch_up(row.index(p), a.time + t);
        a.visits[row.index(p)] = a.time + t + 1;
      }

    // u of the proximal step; phi_i <- its result                                  eq. (45)
    s.solve(row, i, table + i * K, change, change + K);
    for (int64_t k = 0; k < K; ++k) table[i * K + k] = T(change[K + k]);
    const double inverse = 1.0 / (a.q ? a.q[i] : a.q_uniform);  // p_i

    // w_j <- prox_{gamma h}(w_j - gamma (change x_ij + g_j)), g_j <- g_j + p_i change x_ij eq. (44)
    if constexpr (!Wide) {
      const T gamma = sweep.step[0], change_0 = T(change[0]), share = T(inverse * change[0]);
      sweep.with_shrink(0, [&](const auto shrink) {
#pragma omp simd
        for (int64_t p = 0; p < row.size; ++p) {
          const int64_t j = row.index(p);
          const T x = row.value(p);
          W[j] = shrink(W[j] - gamma * (change_0 * x + G[j]), gamma, j);
          G[j] += share * x;
        }
      });
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const T x = row.value(p);
#pragma omp simd
        for (int64_t k = 0; k < K; ++k) {
          const int64_t e = j * K + k;
          const T gamma = sweep.step[k], slope = T(change[k]) * x + G[e];
          W[e] = sweep.shrink(W[e] - gamma * slope, gamma, j, k);
          G[e] += T(inverse * change[k]) * x;
        }
      }
    }

    // the intercept: x = 1, no penalty, its own curvature scaling                  eq. (15)
    for (int64_t k = 0; k < K; ++k) {
      const int64_t e = d * K + k;
      W[e] -= sweep.step[k] * T(a.intercept_curvature) * (T(change[k]) + G[e]);
      G[e] += T(inverse * change[k]);
    }
  }
  lazy.finish();
}

}  // namespace fastsum::FASTSUM_LEVEL
