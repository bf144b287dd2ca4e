// The best dual value of one row with all others held, eq. (20): what dual methods share.
#pragma once
#include "../losses.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline constexpr int kRootSteps = 8;
inline constexpr double kShortest = 0.01;  // part of a Newton step
inline constexpr double kRootError = 0.01;  // of the step: what a root may be wrong by

// The best dual value of a row, its derivative; *curvature and *slope are l'' and l' at z.
inline double dual_step(const BoundLoss& loss, double z, double y, double u, double q,
                        double* slope, double* curvature) {
  double v, h, t = z;
  loss.derivative(&z, y, 1, &v);
  loss.second(&z, y, 1, &h);
  *slope = v;
  *curvature = h;
  const double end = z - (1.0 + kRootError) * q * (v - u);  // past what may be the root itself
  double low = end < z ? end : z, high = end < z ? z : end;
  for (int k = 0; k < kRootSteps; ++k) {
    const double off = t - z + q * (v - u);
    if (std::fabs(off) <= kRootError * std::fabs(t - z)) break;
    if (k > 0) loss.second(&t, y, 1, &h);
    (off > 0 ? high : low) = t;
    t -= off / (1.0 + q * h);
    if (!(t > low && t < high)) t = 0.5 * (low + high);
    loss.derivative(&t, y, 1, &v);
  }
  return v;
}

// The same for the C outputs of one coupled loss: v = l'(t) at the root t of
// t - z + q (v - u) = 0, by Newton steps, halved until the left side gets smaller. Its Jacobian is
// I + q (diag(p) - p p') with the probabilities p = v + e_y of softmax, the one coupled loss. Where
// no root is found v is a safe step from u to l'(z), 1 / (1 + q L) of the way.
// scratch: 2 C doubles.
inline void dual_block(const BoundLoss& loss, const double* z, double y, const double* u, double q,
                       int64_t C, double* v, double* scratch) {
  double* t = scratch;
  double* step = t + C;
  const int64_t label = static_cast<int64_t>(y);
  double moved = 0;  // ||t - z||^2
  const auto look = [&] {  // v at t; the squared norm of the left side
    double sum = 0;
    moved = 0;
    loss.derivative(t, y, C, v);
    for (int64_t c = 0; c < C; ++c) {
      const double off = t[c] - z[c] + q * (v[c] - u[c]);
      sum += off * off;
      moved += (t[c] - z[c]) * (t[c] - z[c]);
    }
    return sum;
  };
  for (int64_t c = 0; c < C; ++c) t[c] = z[c];
  const double first = look();
  double off = first;
  for (int k = 0; k < kRootSteps; ++k) {
    if (off <= kRootError * kRootError * moved) return;
    double inner = 0, kept = 0;  // p' D^-1 r and 1 - q p' D^-1 p, D = I + q diag(p)
    for (int64_t c = 0; c < C; ++c) {
      const double p = c == label ? v[c] + 1.0 : v[c], D = 1.0 + q * p;
      step[c] = (t[c] - z[c] + q * (v[c] - u[c])) / D;
      inner += p * step[c];
      kept += p / D;
    }
    for (int64_t c = 0; c < C; ++c) {
      const double p = c == label ? v[c] + 1.0 : v[c];
      step[c] += q * p / (1.0 + q * p) * inner / kept;
    }
    for (int64_t c = 0; c < C; ++c) t[c] -= step[c];
    double length = 1.0, next = look();
    while (!(next < off) && length > kShortest) {
      length *= 0.5;
      for (int64_t c = 0; c < C; ++c) t[c] += length * step[c];
      next = look();
    }
    if (!(next < off)) break;
    off = next;
  }
  if (off <= 0.25 * first) return;
  loss.derivative(z, y, C, v);
  const double share = 1.0 / (1.0 + q * loss.ops.curvature(loss.p));
  for (int64_t c = 0; c < C; ++c) v[c] = u[c] + share * (v[c] - u[c]);
}

}  // namespace fastsum::FASTSUM_LEVEL
