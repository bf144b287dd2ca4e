// Dual coordinate ascent (SDCA) for one smooth problem with an l2 penalty.
//
// Problem   max_u  -(1/S) sum_i s_i l_i*(u_i) - l2 / 2 ||w||^2 - rho / 2 (b - b_0)^2,
//           w = -(1 / (S l2)) sum_i s_i u_i x_i,  b = b_0 - (1 / (S rho)) sum_i s_i u_i
//                                                                               maths.md eq. (20)
// Given     u_i of every row, the (w, b) that it makes, and q_i = (s_i / S) (||x_i||^2 / l2 + 1/rho)
// Per step  the best u_i with all others held: u_i <- l_i'(t) at the root t of
//           t - z + q_i (l_i'(t) - u_i) = 0, z = x_i' w + b. The left side rises in t and its root
//           lies between z - q_i (l_i'(z) - u_i) and z: Newton steps, or halves
// Rate      1 - l2 S / (l2 S + L max_i s_i ||x_i||^2) / n a step; no step size
// Threads   one: sums of what two threads do apart, as in svrg_epoch.hpp, diverge where they are
//           rarer than every some thousand rows, and gained nothing where they are not
// Source    Shalev-Shwartz, Zhang, JMLR 2013, fig. 1; one root a step: Yu, Huang, Lin, Machine
//           Learning 2011
#pragma once
#include "common.hpp"
#include "dual_step.hpp"

namespace fastsum::FASTSUM_LEVEL {

// Returns about sum_i s_i [l_i(z) + l_i*(u_i) - z u_i] at the points where each row was visited:
// (l_i'(z) - u_i)^2 / (2 l_i''(z)).
template <class Rows>
double dual_epoch(const Rows& X, const DualEpochArgs& a, int64_t d) {
  using T = typename Rows::Value;
  const BoundLoss loss(a.columns);
  const double least = kRootError * loss.ops.curvature(loss.p);
  const double* s = a.columns.sample_weight;
  T* W = static_cast<T*>(a.weights);
  double gap = 0;
  for (int64_t t = 0; t < a.n_steps; ++t) {
    if (t + kFar < a.n_steps) X.prefetch_far(a.order[t + kFar]);
    if (t + kNear < a.n_steps) X.prefetch_near(a.order[t + kNear]);
    const int64_t i = a.order[t];
    const auto row = X.row(i);
    double z = double(row_dot<T>(row, W) + W[d]);
    a.columns.add_offset(i, &z);
    double slope, curvature;
    const double u =
      dual_step(loss, z, a.columns.targets.at(i, 0), a.u[i], a.q[i], &slope, &curvature);
    const double off = slope - a.u[i], weight = s ? s[i] : 1.0;
    gap += 0.5 * weight * off * off / (curvature > least ? curvature : least);
    // w <- w - (s_i / (S l2)) (u - u_i) x_i, and the same for b
    const double change = -weight * (u - a.u[i]);
    const T step = T(a.per_l2 * change);
    for_each(row, [=](int64_t j, T x) { W[j] += step * x; });
    W[d] += T(a.per_rho * change);
    a.u[i] = u;
  }
  return gap;
}

}  // namespace fastsum::FASTSUM_LEVEL
