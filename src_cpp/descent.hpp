// Cyclic coordinate descent on a quadratic with an elastic net penalty,
//     min over x   g' (x - x0) + (x - x0)' H (x - x0) / 2 + sum_j [l1 |x_j| + l2 / 2 x_j^2],
// or the h_j of eq. (65) in place of that sum,
// for H that is stored (gram_descent), that is A' diag(c) A, less what a free intercept takes
// (column_descent), or that of outputs coupled by softmax (coupled_descent). Between full sweeps the non-zero coordinates are swept until they settle
// (Friedman, Hastie, Tibshirani 2010; Yuan, Ho, Lin 2012).
#pragma once
#include <cmath>
#include <type_traits>

#include "prox.hpp"
#include "rows.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline constexpr int64_t kInnerSweeps = 20;
inline constexpr double kSettled = 0.05;  // of the gain of the first inner sweep

// The same as quadratic_gap where coordinates have penalties of their own, eq. (68).
inline double quadratic_gap_of_own(const DescentArgs& a, const OwnPenalty<double>* own) {
  double top = 1;
  for (int64_t j = 0; j < a.p; ++j) {
    const bool held = (a.q[j] < 0 ? own[j].upper : -own[j].lower) < HUGE_VAL;
    const double l1 = own[j].factor * a.l1, size = std::fabs(a.q[j]);
    if (!held && l1 > 0 && size > top * l1) top = size / l1;
  }
  const double c = top > 1 ? (1 - 4e-16) / top : 1.0;
  double scaled = 0.5 * (1 - c) * (1 - c) * a.size, plain = 0;
  for (int64_t j = 0; j < a.p; ++j) {
    const OwnPenalty<double>& h = own[j];
    if (h.factor == 0 && (a.q[j] < 0 ? h.upper : -h.lower) == HUGE_VAL) {
      // nothing penalises it: no dual point, but about what a step of its own would gain
      const double gain = a.diagonal[j] > 0 ? 0.5 * a.q[j] * a.q[j] / a.diagonal[j] : 0.0;
      scaled += gain;
      plain += gain;
      continue;
    }
    scaled += fenchel_young(a.x[j], -c * a.q[j], a.l1, a.l2, h);
    plain += fenchel_young(a.x[j], -a.q[j], a.l1, a.l2, h);
  }
  return plain < scaled ? plain : scaled;
}

// Duality gap of the quadratic at x with gradient q of its smooth part: the gap of a least squares
// problem whose residuals have the mean square `size` (docs/maths.md eq. 5 and 6).
inline double quadratic_gap(const DescentArgs& a) {
  if (a.own) return quadratic_gap_of_own(a, reinterpret_cast<const OwnPenalty<double>*>(a.own));
  double top = 0;
  for (int64_t j = 0; j < a.p; ++j) top = std::fabs(a.q[j]) > top ? std::fabs(a.q[j]) : top;
  const double c = top > a.l1 ? a.l1 * (1 - 4e-16) / top : 1.0;
  double scaled = 0.5 * (1 - c) * (1 - c) * a.size, plain = 0;
  for (int64_t j = 0; j < a.p; ++j) scaled += fenchel_young(a.x[j], -c * a.q[j], a.l1, a.l2);
  if (a.l2 == 0 || c == 1) return scaled;
  for (int64_t j = 0; j < a.p; ++j) plain += fenchel_young(a.x[j], -a.q[j], a.l1, a.l2);
  return plain < scaled ? plain : scaled;
}

// Moves coordinate j to its minimiser; what that gains.
template <class Model>
inline double move(Model& model, DescentArgs& a, int64_t j) {
  const OwnPenalty<double>* own =
    a.own ? reinterpret_cast<const OwnPenalty<double>*>(a.own) + j : nullptr;
  const double l1 = own ? own->factor * a.l1 : a.l1, l2 = own ? own->factor * a.l2 : a.l2;
  const double h = a.diagonal[j] + l2, x = a.x[j];
  const double q = a.q[j] = model.gradient(j);
  const bool inside = std::fabs(q) <= l1;  // without curvature x is of use to the penalty only
  if (inside ? x == 0 : !(h > 0)) return 0;
  double to = h > 0 ? prox(h * x - q - l2 * x, l1, 0.0) / h : 0.0;
  if (own) to = clip(to, own->lower, own->upper);
  const double step = to - x;
  if (step == 0) return 0;
  a.x[j] = to;
  a.size += step * (2 * q + a.diagonal[j] * step);
  model.add(j, step);
  return h > 0 ? 0.5 * h * step * step : q * x + l1 * std::fabs(x);
}

// Sweeps until the gap is at most `target`, a full sweep gains too little, or `most` are made.
template <class Model>
inline void descend(Model& model, DescentArgs& a) {
  double total = 0;
  for (a.sweeps = 0;;) {
    int64_t n_active = 0;
    double gain = 0;
    for (int64_t j = 0; j < a.p; ++j) {
      gain += move(model, a, j);
      a.active[n_active] = int32_t(j);
      n_active += a.x[j] != 0;
    }
    ++a.sweeps;
    a.gap = quadratic_gap(a);
    if (a.gap <= a.target || a.sweeps >= a.most || gain <= a.share * total) return;
    total += gain;
    double first = 0;
    for (int64_t inner = 0; inner < kInnerSweeps && a.sweeps < a.most; ++inner, ++a.sweeps) {
      gain = 0;
      for (int64_t e = 0; e < n_active; ++e) gain += move(model, a, a.active[e]);
      first = inner ? first : gain;
      total += gain;
      if (gain <= kSettled * first) break;
    }
  }
}

struct StoredHessian {
  const double* H;
  double* q;  // kept at g + H (x - x0)
  int64_t p;
  double gradient(int64_t j) const { return q[j]; }
  void add(int64_t j, double step) {
    const double* h = H + j * p;
#pragma omp simd
    for (int64_t k = 0; k < p; ++k) q[k] += step * h[k];
  }
};

inline Status gram_descent(const double* H, DescentArgs* a) {
  StoredHessian model{H, a->q, a->p};
  descend(model, *a);
  return kOk;
}

inline Status descent_gap(DescentArgs* a) {
  a->gap = quadratic_gap(*a);
  return kOk;
}

// A' as rows: row j is column j of A. r = diag(c) A (x - x0), total = sum_i r_i.
template <class Rows>
struct ColumnHessian {
  const Rows& A;
  const double *g, *c, *mean;  // mean: c-weighted mean of each column; null without an intercept
  double* r;
  double total;
  double gradient(int64_t j) const {
    return g[j] + row_dot<double>(A.row(j), r) - (mean ? mean[j] * total : 0.0);
  }
  void add(int64_t j, double step) {
    total += sum_of<double>(A.row(j), [&](int64_t i, auto x) {
      const double change = step * c[i] * double(x);
      r[i] += change;
      return change;
    });
  }
};

inline Status column_descent(const RowBlock* columns, const double* g, const double* c,
                             const double* mean, double* r, DescentArgs* a) {
  return with_rows(*columns, [&](const auto& A) {
    double total = 0;
    for (int64_t i = 0; i < columns->n_cols; ++i) total += r[i];
    ColumnHessian<std::remove_cvref_t<decltype(A)>> model{A, g, c, mean, r, total};
    descend(model, *a);
  });
}

// H = A' D A for A of `columns` in each output; D_i = diag(c_i) - c_i c_i' / sum(c_i). Coordinate j
// is column a.column[j] in output a.output[j]. z = A (x - x0), (C, n), and its mean under c_i, m.
template <class Rows>
struct CoupledHessian {
  const Rows& A;
  const CoupledArgs& a;
  const double* g;
  double gradient(int64_t j) const {
    const auto row = A.row(a.column[j]);
    const double* c = a.c + a.output[j] * a.n;
    const double* z = a.z + a.output[j] * a.n;
    return g[j] + sum_of<double>(
                    row, [&](int64_t i, auto x) { return double(x) * c[i] * (z[i] - a.m[i]); });
  }
  void add(int64_t j, double step) {
    const auto row = A.row(a.column[j]);
    const double* c = a.c + a.output[j] * a.n;
    double* z = a.z + a.output[j] * a.n;
    for_each(row, [&](int64_t i, auto x) {
      const double change = step * double(x);
      z[i] += change;
      a.m[i] += change * c[i] * a.inverse[i];
    });
  }
};

inline Status coupled_descent(const RowBlock* columns, const double* g, const CoupledArgs* model,
                              DescentArgs* a) {
  return with_rows(*columns, [&](const auto& A) {
    CoupledHessian<std::remove_cvref_t<decltype(A)>> hessian{A, *model, g};
    descend(hessian, *a);
  });
}

}  // namespace fastsum::FASTSUM_LEVEL
