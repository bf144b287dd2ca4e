// The best dual values of one row with all others held, eq. (20), (51): what dual methods share.
#pragma once
#include "implicit.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline constexpr int kRootSteps = 60;
inline constexpr double kRootError = 0.01;  // of the step: what a root may be wrong by

// The best dual value of a row, its derivative; *curvature and *slope are l'' and l' at z.
inline double dual_step(const BoundLoss& loss, double z, double y, double u, double q,
                        double* slope, double* curvature) {
  double v, t;
  loss.slopes(&z, y, &v, curvature);
  *slope = v;
  implicit_root(loss, y, z, u, q, *curvature, kRootError, kRootSteps, &t, &v);
  return v;
}

// The same for the C outputs of one coupled loss: best <- l'(t) at the root t of
// t - z + q (l'(t) - u) = 0. scratch: 5 C doubles.
inline void dual_block(const BoundLoss& loss, const double* z, double y, const double* u, double q,
                       int64_t C, double* best, double* scratch) {
  for (int64_t c = 0; c < C; ++c) {
    best[c] = u[c];
    scratch[c] = q;
  }
  implicit_slopes(loss, y, C, z, scratch, best, scratch + C);
}

}  // namespace fastsum::FASTSUM_LEVEL
