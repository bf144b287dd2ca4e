// Proximal operator and conjugate of the penalty of one coefficient (docs/maths.md eq. 4):
//   h(w) = l1 |w| + l2 / 2 w^2      (none, l1, l2 and elastic net are values of l1 and l2)
#pragma once
#include <cmath>

#ifndef FASTSUM_LEVEL
#define FASTSUM_LEVEL generic
#endif

namespace fastsum::FASTSUM_LEVEL {

// argmin_w  t h(w) + (w - v)^2 / 2  =  soft(v, t l1) / (1 + t l2), without a branch.
template <class T>
inline T prox(T v, T t_l1, T t_l2) {
  const T low = v < t_l1 ? v : t_l1;
  const T clipped = low > -t_l1 ? low : -t_l1;
  return (v - clipped) / (T(1) + t_l2);
}

// argmin_w  h(w) - v w  =  soft(v, l1) / l2, the derivative of h* for l2 > 0.
template <class T>
inline T conjugate_slope(T v, T l1, T l2) {
  const T low = v < l1 ? v : l1;
  const T clipped = low > -l1 ? low : -l1;
  return (v - clipped) / l2;
}

inline double penalty(double w, double l1, double l2) {
  return l1 * std::fabs(w) + 0.5 * l2 * w * w;
}

// Fenchel-Young term h(w) + h*(v) - w v >= 0 for a dual-feasible v, written so that it does not
// cancel. With l2 > 0:  (t - l2 w)^2 / (2 l2) + l1 |w| - w r  where t = soft(v, l1), r = v - t.
// With l2 = 0 the conjugate is the indicator of |v| <= l1: +inf outside, l1 |w| - w v inside.
inline double fenchel_young(double w, double v, double l1, double l2) {
  const double r = v < -l1 ? -l1 : (v > l1 ? l1 : v);
  const double t = v - r;
  const double product = l1 * std::fabs(w) - w * r;
  const double linear = product > 0 ? product : 0.0;  // rounding of a fused multiply-add
  if (l2 > 0) return 0.5 * (t - l2 * w) * (t - l2 * w) / l2 + linear;
  return t == 0 ? linear : HUGE_VAL;
}

}  // namespace fastsum::FASTSUM_LEVEL
