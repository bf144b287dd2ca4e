// Proximal operator and conjugate of the penalty of one coefficient (docs/maths.md eq. 4, 65):
//   h(w) = l1 |w| + l2 / 2 w^2      (none, l1, l2 and elastic net are values of l1 and l2)
// and, where columns differ, f_j times that on lower_j <= w <= upper_j, infinite elsewhere.
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

// The same for the C coefficients of a row under h(w) = l1 ||w||_2 + l2 / 2 ||w||_2^2, in place:
// (1 - t l1 / ||v||)_+ v / (1 + t l2)                                                 eq. (77)
template <class T>
inline void prox_row(T* v, int64_t C, T t_l1, T t_l2) {
  double square = 0;
  for (int64_t c = 0; c < C; ++c) square += double(v[c]) * double(v[c]);
  const double norm = std::sqrt(square);
  const T factor =
    norm > double(t_l1) ? T((1.0 - double(t_l1) / norm) / (1.0 + double(t_l2))) : T(0);
  for (int64_t c = 0; c < C; ++c) v[c] *= factor;
}

// argmin_w  h(w) - v w  =  soft(v, l1) / l2, the derivative of h* for l2 > 0.
template <class T>
inline T conjugate_slope(T v, T l1, T l2) {
  const T low = v < l1 ? v : l1;
  const T clipped = low > -l1 ? low : -l1;
  return (v - clipped) / l2;
}

// v moved into [lower, upper].
template <class T>
inline T clip(T v, T lower, T upper) {
  const T low = v < upper ? v : upper;
  return low > lower ? low : lower;
}

// What the penalty of a column has of its own, eq. (65).
template <class T>
struct OwnPenalty {
  T factor, lower, upper;
};

// argmin_w  h(w) - v w  on the bounds: what conjugate_slope is without. Infinite where h* is.
inline double best_within(double v, double l1, double l2, const OwnPenalty<double>& own) {
  const double t = v - clip(v, -l1, l1);
  const double best = t == 0 ? 0.0 : l2 > 0 ? t / l2 : t > 0 ? HUGE_VAL : -HUGE_VAL;
  return clip(best, own.lower, own.upper);
}

inline double penalty(double w, double l1, double l2) {
  return l1 * std::fabs(w) + 0.5 * l2 * w * w;
}

inline double penalty(double w, double l1, double l2, const OwnPenalty<double>& own) {
  if (w < own.lower || w > own.upper) return HUGE_VAL;
  return penalty(w, own.factor * l1, own.factor * l2);
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

// The same on bounds, for a w within them: with the w* of h*(v), the part r of v - l2 w* that l1
// takes there and the rest t, which presses w* against a bound,
//   l2 / 2 (w - w*)^2 + (l1 |w| - r w) + t (w* - w),  all of them >= 0.               eq. (67)
inline double fenchel_young(double w, double v, double l1, double l2,
                            const OwnPenalty<double>& own) {
  l1 *= own.factor;
  l2 *= own.factor;
  const double best = best_within(v, l1, l2, own);
  if (std::fabs(best) == HUGE_VAL || w < own.lower || w > own.upper) return HUGE_VAL;
  const double rest = v - l2 * best;
  const double r = best > 0 ? l1 : best < 0 ? -l1 : clip(v, -l1, l1);
  const bool pressed = best == own.lower || best == own.upper;
  const double linear = l1 * std::fabs(w) - r * w, off = w - best;
  const double normal = pressed ? (rest - r) * -off : 0.0;  // else the rounding of 0
  return 0.5 * l2 * off * off + (linear > 0 ? linear : 0.0) + (normal > 0 ? normal : 0.0);
}

// What of v no element of the subdifferential of h at w makes up for: 0 at an optimum.
inline double off_subdifferential(double w, double v, double l1, double l2) {
  // l1 sign(w) + l2 w, or |v| <= l1 at 0
  const double excess = std::fabs(v) - l1;
  return w != 0 ? v - (w > 0 ? l1 : -l1) - l2 * w : (excess > 0 ? excess : 0.0);
}

inline double off_subdifferential(double w, double v, double l1, double l2,
                                  const OwnPenalty<double>& own) {
  l1 *= own.factor;
  l2 *= own.factor;
  double r = v - l2 * w - (w != 0 ? (w > 0 ? l1 : -l1) : clip(v, -l1, l1));
  if (w >= own.upper && r > 0) r = 0;  // a bound takes what points out of it
  if (w <= own.lower && r < 0) r = 0;
  return r;
}

}  // namespace fastsum::FASTSUM_LEVEL
