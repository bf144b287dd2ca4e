// SARAH, proximal, with just-in-time updates on sparse rows; inner steps.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + h(w)                      maths.md eq. (1)
// Given     w (d + 1, K) with the intercept in the last row, and the recursive gradient v, which
//           is the full gradient at the first step of a round                            eq. (33)
// Per step  one row at two points: two gradients; O(non-zeros of the row), for between two rows
//           that hold a column its v_j is constant, and the steps in between are one formula
//                                                                                  eq. (31), (33)
// Rate      linear in rounds of m steps once 1 / (mu gamma (m + 1)) + gamma L / (2 - gamma L) < 1
// Memory    (d + 1) K (v); no table
// Source    Nguyen, Liu, Scheinberg, Takac, ICML 2017, Algorithm 1; prox: Pham, Nguyen, Phan,
//           Tran-Dinh, ProxSARAH, JMLR 21, 2020, Algorithm 1 with gamma_t = 1
// State     vectors: 0 weights, 1 gradient; sequences: 0 decay; visits of sparse rows
#pragma once
#include "lazy.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <bool Wide, class Rows>
void sarah_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  using T = typename Rows::Value;
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  const int64_t K = sweep.K, d = sweep.d;
  T* W = sweep.vector(0);
  T* V = sweep.vector(1);
  const LazySteps<Rows, Wide> lazy(sweep, W, V);
  double one_column[5];
  double* u = Wide ? a.work : one_column;   // l'(x_i' w_t)
  double* before = u + K;                   // l'(x_i' w_{t-1})
  double *z = before + K, *z_before = z + K;  // x_i' w_t, x_i' w_{t-1}
  T* change = reinterpret_cast<T*>(z_before + K);  // q_i s_i/S (u - before)

  for (int64_t t = 0; t < a.n_steps; ++t) {
    sweep.prefetch(t);
    const int64_t i = a.order[t];  // sampled row
    const auto row = X.row(i);

    // w_t <- prox_{gamma h}(w_{t-1} - gamma v_{t-1}), and the margins of both points  eq. (33)
    for (int64_t k = 0; k < K; ++k) {
      T& b = W[d * K + k];
      z_before[k] = b;
      b -= sweep.step[k] * T(a.intercept_curvature) * V[d * K + k];
      z[k] = b;
    }
    if constexpr (!Wide && !Rows::kSparse) {
      const T gamma = sweep.step[0];
      T sum = 0, sum_before = 0;
      sweep.with_shrink(0, [&](const auto shrink) {
        T here = 0, before_ = 0;
#pragma omp simd reduction(+ : here, before_)
        for (int64_t j = 0; j < d; ++j) {
          const T w = W[j], moved = shrink(w - gamma * V[j], gamma, j);
          before_ += row.value(j) * w;
          here += row.value(j) * moved;
          W[j] = moved;
        }
        sum = here;
        sum_before = before_;
      });
      z[0] += double(sum);
      z_before[0] += double(sum_before);
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        const int64_t j = row.index(p);
        const double x = double(row.value(p));
        if constexpr (Rows::kSparse) lazy.catch_up(j, a.time + t);
        T* w = W + j * K;
        const T* v = V + j * K;
        for (int64_t k = 0; k < K; ++k) {
          z_before[k] += x * double(w[k]);
          w[k] = sweep.shrink(w[k] - sweep.step[k] * v[k], sweep.step[k], j, k);
          z[k] += x * double(w[k]);
        }
        if constexpr (Rows::kSparse) a.visits[j] = a.time + t + 1;
      }
    }

    // v_t <- v_{t-1} + q_i s_i/S (l_i'(w_t) - l_i'(w_{t-1})) x_i                     eq. (33)
    sweep.slopes(i, z, u);
    sweep.slopes(i, z_before, before);
    for (int64_t k = 0; k < K; ++k) change[k] = T(sweep.correction(i) * (u[k] - before[k]));
    if constexpr (!Wide) {
      const T change_0 = change[0];
#pragma omp simd
      for (int64_t p = 0; p < row.size; ++p) V[row.index(p)] += change_0 * row.value(p);
    } else {
      for (int64_t p = 0; p < row.size; ++p) {
        T* v = V + row.index(p) * K;
#pragma omp simd
        for (int64_t k = 0; k < K; ++k) v[k] += change[k] * row.value(p);
      }
    }
    for (int64_t k = 0; k < K; ++k) V[d * K + k] += change[k];
  }
  lazy.finish();
}

}  // namespace fastsum::FASTSUM_LEVEL
