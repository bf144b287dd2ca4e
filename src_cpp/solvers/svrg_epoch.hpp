// One epoch of preconditioned SVRG for one smooth problem with an l2 penalty, on several threads.
//
// Problem   min_w  (1/S) sum_i s_i l_i(x_i' w + b) + l2 / 2 ||w||^2             maths.md eq. (1)
// Given     per column, packed in one cache line quarter: w_j, rate_j = eta P_j, and for the dense
//           part shift_j = eta P_j D_j g~_j and shrink_j = 1 / (1 + eta P_j D_j l2); the snapshot's
//           derivatives u~_i                                                    eq. (11), (14)
// Per step  w_j <- (w_j - rate_j c_i (u_i - u~_i) x_ij - shift_j) shrink_j on the columns of row i,
//           which is eq. (12) with the prox of l2; c_i = s_i q_i / S
// Threads   each steps through its own rows on its own copy of w; n_merges times an epoch the
//           changes of all copies are added. A column that every thread moves many times between
//           two additions would overshoot: with r the share of its way that one thread goes, T
//           threads together go T r instead of 1 - (1 - r)^T, so its change is damped by the ratio.
//           The same bits for the same number of threads.
// Source    Johnson, Zhang, NIPS 2013; sparse steps as in saga.hpp; sums of local changes: Jaggi et
//           al. (CoCoA), NIPS 2014
#pragma once
#include "../omp/threads.hpp"
#include "common.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <class T>
struct PackedColumn {
  T w, rate, shift, shrink;
};

template <class Rows>
void epoch_rows(const Rows& X, const EpochArgs& a, const int64_t* order, int64_t n_steps,
                PackedColumn<typename Rows::Value>* columns, int64_t d) {
  using T = typename Rows::Value;
  const BoundLoss loss(a.columns);
  const T* snapshot = static_cast<const T*>(a.snapshot_derivatives);
  for (int64_t t = 0; t < n_steps; ++t) {
    if (t + kFar < n_steps) X.prefetch_far(order[t + kFar]);
    if (t + kNear < n_steps) X.prefetch_near(order[t + kNear]);
    const int64_t i = order[t];
    const auto row = X.row(i);
    // u_i - u~_i                                                                  eq. (14)
    T sums[4] = {columns[d].w, 0, 0, 0};
    int64_t p = 0;
    for (; p + 4 <= row.size; p += 4)
      for (int64_t lane = 0; lane < 4; ++lane)
        sums[lane] += row.value(p + lane) * columns[row.index(p + lane)].w;
    for (; p < row.size; ++p) sums[0] += row.value(p) * columns[row.index(p)].w;
    double z = double((sums[0] + sums[1]) + (sums[2] + sums[3]));
    a.columns.add_offset(i, &z);
    double u;
    loss.derivative(&z, a.columns.targets.at(i, 0), 1, &u);
    const T change = T(a.correction[i] * (u - double(snapshot[i])));
    // w_j <- (w_j - rate_j change x_ij - shift_j) shrink_j                    eq. (12), (14)
    for (p = 0; p < row.size; ++p) {
      auto& column = columns[row.index(p)];
      column.w = (column.w - column.rate * change * row.value(p) - column.shift) * column.shrink;
    }
    auto& intercept = columns[d];  // x = 1, no penalty; no shift, the snapshot has the best one
    intercept.w -= intercept.rate * change;
  }
}

// base (d + 1,) holds w at the last addition; damping (d + 1,).
template <class T>
void add_changes(PackedColumn<T>* columns, T* base, const T* damping, int64_t size,
                 int32_t n_threads) {
  parallel_parts(size, n_threads, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      T change = 0;
      for (int32_t t = 0; t < n_threads; ++t) change += columns[t * size + j].w - base[j];
      if (change == 0) continue;
      base[j] += damping[j] * change;
      for (int32_t t = 0; t < n_threads; ++t) columns[t * size + j].w = base[j];
    }
  });
}

template <class Rows>
void svrg_epoch(const Rows& X, const EpochArgs& a, int64_t d) {
  using T = typename Rows::Value;
  auto* columns = static_cast<PackedColumn<T>*>(a.packed);
  const int64_t size = d + 1, T_ = a.n_threads;
  const int64_t n_merges = T_ > 1 ? a.n_merges : 1;
  for (int64_t m = 0; m < n_merges; ++m) {
    const int64_t first = a.n_steps * m / n_merges, last = a.n_steps * (m + 1) / n_merges;
    parallel_parts(last - first, a.n_threads, [&](int64_t thread, int64_t begin, int64_t end) {
      epoch_rows(X, a, a.order + first + begin, end - begin, columns + thread * size, d);
    });
    if (T_ > 1)
      add_changes(columns, static_cast<T*>(a.base), static_cast<const T*>(a.damping), size,
                  a.n_threads);
  }
}

}  // namespace fastsum::FASTSUM_LEVEL
