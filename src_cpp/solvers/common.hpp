// What every per-sample solver needs: the typed view of StepArgs and the margins and loss
// derivatives of one row.
#pragma once
#include "../losses.hpp"
#include "../prox.hpp"
#include "../tiles.hpp"
#include "../types.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline constexpr int64_t kFar = 16, kNear = 6;  // prefetch distances in rows, measured

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

// StepArgs with its types bound. `Wide` = false fixes K = 1 at compile time.
template <class Rows, bool Wide>
struct Sweep {
  using T = typename Rows::Value;
  const Rows& X;
  const StepArgs& a;
  const BoundLoss loss;
  const int64_t K, d;
  const double mean;  // 1 / S
  const T* density;  // P_j D_j; null means all ones
  const T* scale;  // P_j; null means all ones
  const T *step, *l1, *l2;
  const OwnPenalty<T>* own;  // per feature; null where all have the same penalty
  const T* ridge;
  const T *row_l1, *row_l2;  // of a penalty of rows; null where there is none

  Sweep(const Rows& X_, const StepArgs& a_, int64_t n_cols)
      : X(X_),
        a(a_),
        loss(a_.columns),
        K(Wide ? a_.columns.n_problems * a_.columns.n_outputs : 1),
        d(n_cols),
        mean(1.0 / a_.total_weight),
        density(static_cast<const T*>(a_.density)),
        scale(static_cast<const T*>(a_.scale)),
        step(static_cast<const T*>(a_.step)),
        l1(static_cast<const T*>(a_.l1)),
        l2(static_cast<const T*>(a_.l2)),
        own(static_cast<const OwnPenalty<T>*>(a_.own)),
        ridge(static_cast<const T*>(a_.ridge)),
        row_l1(static_cast<const T*>(a_.row_l1)),
        row_l2(static_cast<const T*>(a_.row_l2)) {}

  T* vector(int slot) const { return static_cast<T*>(a.vectors[slot]); }
  T* table(int slot) const { return static_cast<T*>(a.tables[slot]); }
  // s_i / S, the weight of row i in the average gradient.
  double share(int64_t i) const {
    return (a.columns.sample_weight ? a.columns.sample_weight[i] : 1.0) * mean;
  }
  // s_i / (S p_i), the weight that makes the sampled gradient unbiased.
  double correction(int64_t i) const { return share(i) * (a.q ? a.q[i] : a.q_uniform); }
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
  // prox_{tau h}(v) of coefficient j of column k: how a solver of w meets the penalty, eq. (4).
  T shrink(T v, T tau, int64_t j, int64_t k) const {
    return own ? OwnShrink<T>{l1[k], l2[k], ridge[k], own}(v, tau, j)
               : prox(v, tau * l1[k], tau * l2[k]);
  }
  // argmin_w h(w) + rho / 2 w^2 - v w: how one whose w follows from a dual v does.
  T best(T v, T rho, int64_t j, int64_t k) const {
    if (!own) return conjugate_slope(v, l1[k], l2[k] + rho);
    const OwnPenalty<T>& c = own[j];
    const T slope = conjugate_slope(v, c.factor * l1[k], c.factor * l2[k] + ridge[k] + rho);
    return clip(slope, c.lower, c.upper);
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
    a.columns.add_offset(i, z);
    if constexpr (!Wide) {
      loss.derivative(z, a.columns.targets.at(i, 0), 1, u);
    } else {
      const int64_t C = a.columns.n_outputs;
      for (int64_t b = 0; b < a.columns.n_problems; ++b)
        loss.derivative(z + b * C, a.columns.targets.at(i, b), C, u + b * C);
    }
  }

  // z_k = x_i w_k + b_k for all K columns; scratch holds K values of T.
  template <class Row>
  void margins(const Row& row, const T* W, double* z, double* scratch) const {
    if constexpr (!Wide) {
      *z = double(row_dot<T>(row, W) + W[d]);
    } else {
      T* z_t = reinterpret_cast<T*>(scratch);
      row_dots<T>(row, W, K, K, z_t);
      for (int64_t k = 0; k < K; ++k) z[k] = double(z_t[k] + W[d * K + k]);
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
