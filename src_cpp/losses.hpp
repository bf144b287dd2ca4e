// Losses of one row: value, derivative, second derivative, conjugate (docs/maths.md eq. 3).
//
// A loss sees the C margins z of one problem and the label y (C = 1 except for coupled losses)
// and works in double. To add one: a struct here, a line in losses.def, a class in
// fastsum/losses.py; the tests iterate the registry.
#pragma once
#include <cmath>
#include <cstdint>

#include "types.hpp"

#ifndef FASTSUM_LEVEL
#define FASTSUM_LEVEL generic
#endif

namespace fastsum::FASTSUM_LEVEL {

// The late-bound face of a loss: looked up once per block, called once per row and problem.
struct LossOps {
  const char* name;
  bool coupled;      // true: the C outputs share one value and a C x C second derivative
  double curvature;  // smoothness constant L: the largest eigenvalue of l''
  double (*value)(const double* z, double y, int64_t C);
  void (*derivative)(const double* z, double y, int64_t C, double* u);
  void (*second)(const double* z, double y, int64_t C, double* h);  // (C, C) row-major
  double (*conjugate)(const double* u, double y, int64_t C);        // +inf outside the domain
};

// x log x, continued by 0 at 0; +inf below 0.
inline double xlogx(double x) { return x > 0 ? x * std::log(x) : (x == 0 ? 0.0 : HUGE_VAL); }

// l(z) = (z - y)^2 / 2 ;  l*(u) = u^2 / 2 + u y
struct Squared {
  static constexpr bool kCoupled = false;
  static constexpr double kCurvature = 1.0;
  static double value(const double* z, double y, int64_t) { return 0.5 * (*z - y) * (*z - y); }
  static void derivative(const double* z, double y, int64_t, double* u) { *u = *z - y; }
  static void second(const double*, double, int64_t, double* h) { *h = 1.0; }
  static double conjugate(const double* u, double y, int64_t) { return *u * (0.5 * *u + y); }
};

// l(z) = log(1 + exp(-y z)), y in {-1, 1} ;  l*(u) = a log a + (1 - a) log(1 - a), a = -y u
struct Logistic {
  static constexpr bool kCoupled = false;
  static constexpr double kCurvature = 0.25;
  static double value(const double* z, double y, int64_t) {
    const double m = y * *z;
    return (m > 0 ? 0.0 : -m) + std::log1p(std::exp(-std::fabs(m)));
  }
  static void derivative(const double* z, double y, int64_t, double* u) {
    const double m = y * *z;
    const double e = std::exp(-std::fabs(m));  // never overflows
    *u = -y * (m > 0 ? e : 1.0) / (1.0 + e);
  }
  static void second(const double* z, double, int64_t, double* h) {
    const double e = std::exp(-std::fabs(*z));
    *h = e / ((1.0 + e) * (1.0 + e));
  }
  static double conjugate(const double* u, double y, int64_t) {
    const double a = -y * *u;
    return xlogx(a) + xlogx(1.0 - a);
  }
};

// l(z) = log sum_c exp(z_c) - z_y, y in {0, ..., C - 1} ;  l*(u) = sum_c p_c log p_c, p = u + e_y
struct Multinomial {
  static constexpr bool kCoupled = true;
  static constexpr double kCurvature = 0.5;
  static double largest(const double* z, int64_t C) {
    double top = z[0];
    for (int64_t c = 1; c < C; ++c) top = z[c] > top ? z[c] : top;
    return top;
  }
  static double value(const double* z, double y, int64_t C) {
    const double top = largest(z, C);
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += std::exp(z[c] - top);
    return std::log(sum) + (top - z[static_cast<int64_t>(y)]);
  }
  static void derivative(const double* z, double y, int64_t C, double* u) {
    const double top = largest(z, C);
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += (u[c] = std::exp(z[c] - top));
    for (int64_t c = 0; c < C; ++c) u[c] /= sum;
    // p_y - 1 loses its digits when p_y is near 1: take it as minus the sum of the others.
    const int64_t label = static_cast<int64_t>(y);
    double others = 0;
    for (int64_t c = 0; c < C; ++c) others += c == label ? 0.0 : u[c];
    u[label] = -others;
  }
  static void second(const double* z, double, int64_t C, double* h) {
    const double top = largest(z, C);
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += (h[c * C + c] = std::exp(z[c] - top));
    for (int64_t c = 0; c < C; ++c) h[c * C + c] /= sum;
    for (int64_t a = 0; a < C; ++a)
      for (int64_t b = 0; b < a; ++b) h[a * C + b] = h[b * C + a] = -h[a * C + a] * h[b * C + b];
    for (int64_t c = 0; c < C; ++c) h[c * C + c] *= 1.0 - h[c * C + c];
  }
  static double conjugate(const double* u, double y, int64_t C) {
    const int64_t label = static_cast<int64_t>(y);
    double sum = 0, others = 0;
    for (int64_t c = 0; c < C; ++c) {
      if (c == label) continue;
      sum += xlogx(u[c]);
      others += u[c];
    }
    return sum + xlogx(1.0 - others);  // p_y = 1 + u_y = 1 - sum of the others
  }
};

// l(z) = max(0, 1 - y z)^2, y in {-1, 1} ;  l*(u) = a^2 / 4 - a, a = -y u >= 0
struct SquaredHinge {
  static constexpr bool kCoupled = false;
  static constexpr double kCurvature = 2.0;
  static double value(const double* z, double y, int64_t) {
    const double m = 1.0 - y * *z;
    return m > 0 ? m * m : 0.0;
  }
  static void derivative(const double* z, double y, int64_t, double* u) {
    const double m = 1.0 - y * *z;
    *u = m > 0 ? -2.0 * y * m : 0.0;
  }
  static void second(const double* z, double y, int64_t, double* h) {
    *h = y * *z < 1.0 ? 2.0 : 0.0;
  }
  static double conjugate(const double* u, double y, int64_t) {
    const double a = -y * *u;
    return a >= 0 ? a * (0.25 * a - 1.0) : HUGE_VAL;
  }
};

inline constexpr LossOps kLosses[] = {
#define FASTSUM_LOSS(name, Loss)                                                  \
  {#name,        Loss::kCoupled, Loss::kCurvature, Loss::value, Loss::derivative, \
   Loss::second, Loss::conjugate},
#include "losses.def"
#undef FASTSUM_LOSS
};
inline constexpr int32_t kNumLosses = sizeof(kLosses) / sizeof(kLosses[0]);

}  // namespace fastsum::FASTSUM_LEVEL
