// Slopes of a loss at a point that they decide on themselves: what a proximal step and a step of
// dual ascent solve. For one output,
//   l'(t) at the root t of  t - z + q (l'(t) - u) = 0,                       maths.md eq. (20), (45)
// whose left side rises in t and whose root lies between z - q (l'(z) - u) and z: Newton steps, or
// halves. At a corner of the loss l' is what the equation asks for.
#pragma once
#include "../losses.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline constexpr double kRootSlack = 0.01;  // of the bracket: it may end at the root itself
inline constexpr double kRounding = 16.0 * 2.220446049250313e-16;
inline constexpr int kExactSteps = 100, kHalvings = 30;

// v and h are l' and l'' at z; the root is found within `error` of |t - z|, or to rounding, in at
// most `most` steps. True if it was; *t and *v are where it ended.
inline bool implicit_root(const BoundLoss& loss, double y, double z, double u, double q, double h,
                          double error, int most, double* t, double* v) {
  const double end = z - (1.0 + kRootSlack) * q * (*v - u);
  double low = end < z ? end : z, high = end < z ? z : end;
  *t = z;
  for (int k = 0; k < most; ++k) {
    const double off = *t - z + q * (*v - u);
    const double floor = kRounding * (std::fabs(*t) + std::fabs(z) + q * std::fabs(*v - u));
    if (std::fabs(off) <= error * std::fabs(*t - z) || std::fabs(off) <= floor) return true;
    (off > 0 ? high : low) = *t;
    *t -= off / (1.0 + q * h);
    if (!(*t > low && *t < high)) *t = 0.5 * (low + high);
    loss.slopes(t, y, v, &h);
  }
  return false;
}

inline double implicit_slope(const BoundLoss& loss, double y, double z, double u, double q) {
  if (loss.ops.proximal) return loss.ops.proximal(z, y, u, q, loss.p);
  double t, v, h;
  loss.slopes(&z, y, &v, &h);
  if (implicit_root(loss, y, z, u, q, h, 0.0, kExactSteps, &t, &v)) return v;
  return u - (t - z) / q;
}

// The same for C outputs coupled by softmax, l'' = diag(p) - p p': t - z + q (l'(t) - u) = 0 with
// one q each. u <- l'(t); work is (4 C,). Newton steps by the formula of Sherman and Morrison,
// halved until the residual is less.
inline void implicit_slopes(const BoundLoss& loss, double y, int64_t C, const double* z,
                            const double* q, double* u, double* work) {
  const int64_t label = static_cast<int64_t>(y);
  double *t = work, *v = t + C, *r = v + C, *step = r + C;
  for (int64_t c = 0; c < C; ++c) t[c] = z[c];
  // r <- the residual at t, v <- l'(t); its square, and whether that is rounding
  double square = 0;
  const auto residual = [&] {
    double terms = 0;
    square = 0;
    loss.derivative(t, y, C, v);
    for (int64_t c = 0; c < C; ++c) {
      const double moved = q[c] * (v[c] - u[c]);
      r[c] = t[c] - z[c] + moved;
      square += r[c] * r[c];
      terms += t[c] * t[c] + z[c] * z[c] + moved * moved;
    }
    return square <= kRounding * kRounding * terms;
  };
  bool done = residual();
  for (int k = 0; k < kExactSteps && !done; ++k) {
    // (I + diag(q) (diag(p) - p p')) step = r
    double inner = 0, rest = 0;
    for (int64_t c = 0; c < C; ++c) {
      const double p = v[c] + (c == label ? 1.0 : 0.0), e = 1.0 / (1.0 + q[c] * p);
      inner += p * e * r[c];
      rest += p * e;
    }
    for (int64_t c = 0; c < C; ++c) {
      const double p = v[c] + (c == label ? 1.0 : 0.0), e = 1.0 / (1.0 + q[c] * p);
      step[c] = e * (r[c] + q[c] * p * inner / rest);
      t[c] -= step[c];
    }
    const double before = square;
    done = residual();
    for (int half = 0; !done && !(square < before) && half < kHalvings; ++half) {
      for (int64_t c = 0; c < C; ++c) t[c] += (step[c] *= 0.5);
      done = residual();
    }
    if (!(square < before)) break;
  }
  for (int64_t c = 0; c < C; ++c) u[c] = v[c];
}

}  // namespace fastsum::FASTSUM_LEVEL
