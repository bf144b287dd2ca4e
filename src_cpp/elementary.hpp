// exp and log1p on the ranges that losses need, without branches or calls: loops over rows become
// vector instructions of any CPU level. Errors below 2 units in the last place.
#pragma once
#include <cstdint>

#include "portable.hpp"

#ifndef FASTSUM_LEVEL
#define FASTSUM_LEVEL generic
#endif

namespace fastsum::FASTSUM_LEVEL {

// exp(x) for x <= 0; exp(-708), the least normal number, below -708.
//
// x = n log 2 + r, |r| <= log(2) / 2, and the Taylor series of exp(r) to r^13 (error r^14 / 14! <
// 5e-18). Adding 1.5 2^52 rounds to an integer, whose low bits then are those of n.
FASTSUM_HD inline double exp_negative(double x) {
  constexpr double kShift = 0x1.8p52, kPerLog2 = 1.4426950408889634;
  constexpr double kLog2High = 0x1.62e42fefa3800p-1, kLog2Low = 0x1.ef35793c76730p-45;
  x = x < -708.0 ? -708.0 : x;
  const double t = x * kPerLog2 + kShift, n = t - kShift;
  const double r = (x - n * kLog2High) - n * kLog2Low;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const uint64_t bits = (__builtin_bit_cast(uint64_t, t) << 52) + 0x3ff0000000000000u;
  return p * __builtin_bit_cast(double, bits);
}

// exp(x), 1 / exp(-708) beyond 708.
FASTSUM_HD inline double exp_any(double x) {
  const double e = exp_negative(x > 0 ? -x : x);
  return x > 0 ? 1.0 / e : e;
}

// log(1 + e) for e in [0, 1].
//
// 2 atanh(s), s = f / (2 + f), for f = e, or for f = (e - 1) / 2 plus log 2 where 1 + e > sqrt(2):
// |s| <= 0.172, and the series to s^21 (error s^22 / 23 < 1e-18).
FASTSUM_HD inline double log1p_unit(double e) {
  constexpr double kLog2 = 0.6931471805599453, kRoot = 0.41421356237309503;
  const bool large = e > kRoot;
  const double f = large ? 0.5 * (e - 1.0) : e, s = f / (2.0 + f), q = s * s;
  double p = 1.0 / 21.0;
  p = p * q + 1.0 / 19.0;
  p = p * q + 1.0 / 17.0;
  p = p * q + 1.0 / 15.0;
  p = p * q + 1.0 / 13.0;
  p = p * q + 1.0 / 11.0;
  p = p * q + 1.0 / 9.0;
  p = p * q + 1.0 / 7.0;
  p = p * q + 1.0 / 5.0;
  p = p * q + 1.0 / 3.0;
  p = p * q;
  // f - s f = 2 s: the largest term without the rounding of s
  const double small = f - s * (f - 2.0 * p);
  return large ? kLog2 + small : small;
}

// a(m) = 1 / (1 + e^m) at the root of m - q a(m) - c, which rises: steps of Halley from m, or halves
// of [c, c + q]. One so short that its cube is rounding moves a without another exp.
FASTSUM_HD inline double logistic_root(double m, double c, double q) {
  constexpr double kShort = 5e-6;
  constexpr int kMost = 100;
  double low = c, high = c + q, a = 0;
  for (int k = 0; k < kMost; ++k) {
    const double e = exp_negative(m > 0 ? -m : m), per = 1.0 / (1.0 + e);
    a = (m > 0 ? e : 1.0) * per;
    const double h = e * per * per, bend = h * (1.0 - 2.0 * a);  // -a' and a''
    const double off = m - c - q * a, slope = 1.0 + q * h;
    const double step = off * slope / (slope * slope + 0.5 * q * bend * off);
    if (step <= kShort && -step <= kShort) return a + step * (h + 0.5 * bend * step);
    (off > 0 ? high : low) = m;
    m -= step;
    if (!(m > low && m < high)) m = 0.5 * (low + high);
  }
  return a;
}

}  // namespace fastsum::FASTSUM_LEVEL
