// What every per-sample solver needs: the typed view of StepArgs and the margins and loss
// derivatives of one row.
#pragma once
#include "../losses.hpp"
#include "../prox.hpp"
#include "../tiles.hpp"
#include "../types.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline constexpr int64_t kFar = 16, kNear = 6;  // prefetch distances in rows, measured

// Threads of a solver that shares out its problems: they need no more than these.
inline int64_t parts_of(const StepArgs& a) {
  const int64_t most = a.columns.n_problems;
  return a.n_threads < 1 ? 1 : (a.n_threads < most ? a.n_threads : most);
}

// prox_{tau h}(v) of feature j with its numbers at hand, for loops over features; eq. (4): the same
// penalty for all; eq. (66): with what each has of its own.
template <class T>
struct Shrink {
  T l1, l2;
  T operator()(T v, T tau, int64_t /*j*/) const { return prox(v, tau * l1, tau * l2); }
};

template <class T>
struct OwnShrink {
  T l1, l2, ridge;
  const OwnPenalty<T>* own;
  T operator()(T v, T tau, int64_t j) const {
    const OwnPenalty<T>& c = own[j];
    const T shrunk = prox(v, tau * c.factor * l1, tau * (c.factor * l2 + ridge));
    return clip(shrunk, c.lower, c.upper);
  }
};

// The same for all columns k of one feature, in loops over these.
template <class T>
struct Shrinks {
  const T *l1, *l2;
  T operator()(T v, T tau, int64_t k) const { return prox(v, tau * l1[k], tau * l2[k]); }
};

template <class T>
struct OwnShrinks {
  const T *l1, *l2, *ridge;
  const OwnPenalty<T>& own;
  T operator()(T v, T tau, int64_t k) const {
    return OwnShrink<T>{l1[k], l2[k], ridge[k], &own}(v, tau, 0);
  }
};

// argmin_w h(w) + rho / 2 w^2 - v w of feature j, in the same way.
template <class T>
struct Best {
  T l1, l2;
  T operator()(T v, T rho, int64_t /*j*/) const { return conjugate_slope(v, l1, l2 + rho); }
};

template <class T>
struct OwnBest {
  T l1, l2, ridge;
  const OwnPenalty<T>* own;
  T operator()(T v, T rho, int64_t j) const {
    const OwnPenalty<T>& c = own[j];
    const T slope = conjugate_slope(v, c.factor * l1, c.factor * l2 + ridge + rho);
    return clip(slope, c.lower, c.upper);
  }
};

// StepArgs with its types bound, for all problems or for `n_problems` of them from `first` on.
// `Wide` = false fixes K = 1 at compile time.
template <class Rows, bool Wide>
struct Sweep {
  using T = typename Rows::Value;
  const Rows& X;
  const StepArgs& a;
  const BoundLoss loss;
  const int64_t first, n_problems, C;
  const int64_t stride, K, d;  // columns of all problems, of these ones; features
  const double mean;  // 1 / S
  const T* density;  // P_j D_j; null means all ones
  const T* scale;  // P_j; null means all ones
  const T *step, *l1, *l2;
  const OwnPenalty<T>* own;  // per feature; null where all have the same penalty
  const T* ridge;
  const T *row_l1, *row_l2;  // of a penalty of rows; null where there is none

  Sweep(const Rows& X_, const StepArgs& a_, int64_t n_cols)
      : Sweep(X_, a_, n_cols, 0, a_.columns.n_problems) {}

  Sweep(const Rows& X_, const StepArgs& a_, int64_t n_cols, int64_t first_, int64_t n_problems_)
      : X(X_),
        a(a_),
        loss(a_.columns),
        first(first_),
        n_problems(n_problems_),
        C(Wide ? a_.columns.n_outputs : 1),
        stride(Wide ? a_.columns.n_problems * C : 1),
        K(Wide ? n_problems_ * C : 1),
        d(n_cols),
        mean(1.0 / a_.total_weight),
        density(static_cast<const T*>(a_.density)),
        scale(static_cast<const T*>(a_.scale)),
        step(columns(a_.step)),
        l1(columns(a_.l1)),
        l2(columns(a_.l2)),
        own(static_cast<const OwnPenalty<T>*>(a_.own)),
        ridge(columns(a_.ridge)),
        row_l1(columns(a_.row_l1)),
        row_l2(columns(a_.row_l2)) {}

  // The first of these columns; null if there is no such array.
  T* vector(int slot) const { return from(a.vectors[slot]); }
  T* table(int slot) const { return from(a.tables[slot]); }
  T* from(void* array) const { return array ? static_cast<T*>(array) + first * C : nullptr; }
  const T* columns(const void* array) const {
    return array ? static_cast<const T*>(array) + first * C : nullptr;
  }
  // s_i / S, the weight of row i in the average gradient.
  double share(int64_t i) const {
    return (a.columns.sample_weight ? a.columns.sample_weight[i] : 1.0) * mean;
  }
  // The same for problem b of these.
  double share(int64_t i, int64_t b) const { return a.columns.weight(i, first + b) * mean; }
  // 1 / p_i.
  double inverse_probability(int64_t i) const { return a.q ? a.q[i] : a.q_uniform; }
  // s_i / (S p_i), the weight that makes the sampled gradient unbiased.
  double correction(int64_t i) const { return share(i) * inverse_probability(i); }
  T PD(int64_t j) const { return density ? density[j] : T(1); }
  T P(int64_t j) const { return scale ? scale[j] : T(1); }

  // f(the prox of column k): loops over features are compiled for both kinds.
  template <class F>
  void with_shrink(int64_t k, F&& f) const {
    if (own)
      f(OwnShrink<T>{l1[k], l2[k], ridge[k], own});
    else
      f(Shrink<T>{l1[k], l2[k]});
  }
  template <class F>
  void with_shrinks(int64_t j, F&& f) const {
    if (own)
      f(OwnShrinks<T>{l1, l2, ridge, own[j]});
    else
      f(Shrinks<T>{l1, l2});
  }
  // prox_{tau h}(v) of coefficient j of column k: how a solver of w meets the penalty, eq. (4).
  T shrink(T v, T tau, int64_t j, int64_t k) const {
    return own ? OwnShrink<T>{l1[k], l2[k], ridge[k], own}(v, tau, j)
               : prox(v, tau * l1[k], tau * l2[k]);
  }
  // argmin_w h(w) + rho / 2 w^2 - v w: how one whose w follows from a dual v does.
  template <class F>
  void with_best(int64_t k, F&& f) const {
    if (own)
      f(OwnBest<T>{l1[k], l2[k], ridge[k], own});
    else
      f(Best<T>{l1[k], l2[k]});
  }
  T best(T v, T rho, int64_t j, int64_t k) const {
    return own ? OwnBest<T>{l1[k], l2[k], ridge[k], own}(v, rho, j)
               : conjugate_slope(v, l1[k], l2[k] + rho);
  }

  // The prox of a penalty of rows for the K coefficients w of one, with steps tau_k = rate_k D.
  template <class Step>
  void shrink_row(T* w, const Step* rate, T D) const {
    if (!row_l1) return;
    const int64_t C = a.columns.n_outputs;
    for (int64_t k = 0; k < K; k += C) {
      const T tau = T(rate[k]) * D;
      prox_row(w + k, C, tau * row_l1[k], tau * row_l2[k]);
    }
  }

  [[gnu::always_inline]] void prefetch(int64_t t) const {
    if (t + kFar < a.n_steps) X.prefetch_far(a.order[t + kFar]);
    if (t + kNear < a.n_steps) X.prefetch_near(a.order[t + kNear]);
  }

  // u_k = l'(z_k + o_ik, y_i) for z = x_i' W + b of all K columns, which becomes that argument.
  void slopes(int64_t i, double* z, double* u) const {
    if (const double* o = a.columns.offset) {
      o += i * stride + first * C;
      for (int64_t k = 0; k < K; ++k) z[k] += o[k];
    }
    if constexpr (!Wide) {
      loss.derivative(z, a.columns.targets.at(i, 0), 1, u);
    } else {
      for (int64_t b = 0; b < n_problems; ++b)
        loss.derivative(z + b * C, a.columns.targets.at(i, first + b), C, u + b * C);
    }
  }

  // z_k = x_i w_k + b_k for all K columns; scratch holds K values of T.
  template <class Row>
  void margins(const Row& row, const T* W, double* z, double* scratch) const {
    if constexpr (!Wide) {
      *z = double(row_dot<T>(row, W) + W[d]);
    } else {
      T* z_t = reinterpret_cast<T*>(scratch);
      row_dots<T>(row, W, stride, K, z_t);
      for (int64_t k = 0; k < K; ++k) z[k] = double(z_t[k] + W[d * stride + k]);
    }
  }

  // l' there; scratch holds K values of T and K doubles.
  template <class Row>
  void derivatives(const Row& row, int64_t i, const T* W, double* u, double* scratch) const {
    double one_column;
    double* z = Wide ? scratch + K : &one_column;
    margins(row, W, z, scratch);
    slopes(i, z, u);
  }
};

}  // namespace fastsum::FASTSUM_LEVEL
