// ASAGA: the steps of saga.hpp by several threads on one point, without locks.
//
// Problem, given, memory and state as in saga.hpp
// Per step  as there; each thread reads w and g as the others leave them, and every coefficient's
//           step is one atomic exchange: none is lost, but those of a row are not made together
// Rate      that of saga.hpp for gamma = 1 / (36 L) and up to about n / 10 steps under way at once,
//           the square root of that on dense rows; gamma of eq. (15) rests on practice
// Threads   one makes the steps of saga.hpp, bit for bit; more are not reproducible: which thread
//           is ahead is up to the machine
// Source    Leblond, Pedregosa, Lacoste-Julien, AISTATS 2017, Algorithm 2; prox: Pedregosa,
//           Leblond, Lacoste-Julien, NIPS 2017, Algorithm 1
#pragma once
#include "../omp/threads.hpp"
#include "saga.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <class T>
inline T relaxed_load(const T* at) {
  T value;
  __atomic_load(at, &value, __ATOMIC_RELAXED);
  return value;
}

// *at <- f(*at), of the value that is there when it is written.
template <class T, class F>
inline void relaxed_update(T* at, F&& f) {
  T old = relaxed_load(at), value = f(old);
  while (!__atomic_compare_exchange(at, &old, &value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    value = f(old);
}

// z (K,) <- x' W + b at the values of the moment.
template <class Row, class T>
inline void relaxed_margins(const Row& row, const T* W, int64_t d, int64_t K, double* z) {
  for (int64_t k = 0; k < K; ++k) z[k] = double(relaxed_load(W + d * K + k));
  for (int64_t p = 0; p < row.size; ++p) {
    const double x = double(row.value(p));
    const T* w = W + row.index(p) * K;
    for (int64_t k = 0; k < K; ++k) z[k] += x * double(relaxed_load(w + k));
  }
}

template <bool Wide, class Rows>
void asaga_rows(const Sweep<Rows, Wide>& sweep, const Rows& X, const int64_t* order,
                int64_t n_steps, double* work) {
  using T = typename Rows::Value;
  const int64_t K = sweep.K, d = sweep.d;
  T* W = sweep.vector(0);
  T* G = sweep.vector(1);
  T* table = sweep.table(0);
  double one_column[4];
  double* u = Wide ? work : one_column;  // l'(x_i' w), then u - u_i
  double* z = u + K;
  T* change = reinterpret_cast<T*>(z + K);  // q_i s_i/S (u - u_i), for w
  T* share = change + K;  // s_i/S (u - u_i), for g

  for (int64_t t = 0; t < n_steps; ++t) {
    if (t + kFar < n_steps) X.prefetch_far(order[t + kFar]);
    if (t + kNear < n_steps) X.prefetch_near(order[t + kNear]);
    const int64_t i = order[t];  // sampled row, eq. (11)
    const auto row = X.row(i);

    // phi_i <- w: the derivative at the point of the moment and its change         eq. (13)
    relaxed_margins(row, W, d, K, z);
    sweep.slopes(i, z, u);
    for (int64_t k = 0; k < K; ++k) {
      T value = T(u[k]), old;
      __atomic_exchange(table + i * K + k, &value, &old, __ATOMIC_RELAXED);
      const double delta = double(value) - double(old);
      change[k] = T(sweep.correction(i) * delta);
      share[k] = T(sweep.share(i) * delta);
    }

    // w_j <- prox_{gamma D_j h}(w_j - gamma (change x_ij + D_j g_j)), x_ij != 0    eq. (11), (12)
    // g_j <- g_j + share x_ij                                                      eq. (13)
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      const T x = row.value(p);
      for (int64_t k = 0; k < K; ++k) {
        const T gamma = sweep.step[k], tau = gamma * sweep.PD(j);
        const T along = gamma * change[k] * x + tau * relaxed_load(G + j * K + k);
        relaxed_update(W + j * K + k, [&](T w) { return sweep.shrink(w - along, tau, j, k); });
        relaxed_update(G + j * K + k, [&](T g) { return g + share[k] * x; });
      }
    }

    // the intercept: x = 1, D = 1, no penalty, its own curvature scaling           eq. (15)
    for (int64_t k = 0; k < K; ++k) {
      const T gamma = sweep.step[k] * T(sweep.a.intercept_curvature);
      const T along = gamma * (change[k] + relaxed_load(G + d * K + k));
      relaxed_update(W + d * K + k, [&](T b) { return b - along; });
      relaxed_update(G + d * K + k, [&](T g) { return g + share[k]; });
    }
  }
}

template <bool Wide, class Rows>
void asaga_steps(const Rows& X, const StepArgs& a, int64_t n_cols) {
  if (a.n_threads <= 1) return saga_steps<Wide>(X, a, n_cols);
  const Sweep<Rows, Wide> sweep(X, a, n_cols);
  parallel_parts(a.n_steps, a.n_threads, [&](int64_t part, int64_t begin, int64_t end) {
    double* work = a.work + 5 * sweep.K * part;
    asaga_rows<Wide>(sweep, X, a.order + begin, end - begin, work);
  });
}

}  // namespace fastsum::FASTSUM_LEVEL
