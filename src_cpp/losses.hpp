// Losses of one row: value, derivative, second derivative, conjugate (docs/maths.md eq. 3).
//
// A loss sees the C margins z of one problem, the label y (C = 1 except for coupled losses) and
// its parameter p (nothing to those that have none), and works in double. To add one: a struct
// here, a line in losses.def, a class in fastsum/losses.py; the tests iterate the registry.
#pragma once
#include <cmath>
#include <cstdint>

#include "elementary.hpp"
#include "portable.hpp"
#include "types.hpp"

#ifndef FASTSUM_LEVEL
#define FASTSUM_LEVEL generic
#endif

namespace fastsum::FASTSUM_LEVEL {

// The late-bound face of a loss: called once per row and problem.
struct LossOps {
  const char* name;
  bool coupled;                   // true: the C outputs share one value and a C x C l''
  double (*curvature)(double p);  // smoothness constant L: the largest eigenvalue of l''
  double (*value)(const double* z, double y, int64_t C, double p);
  void (*derivative)(const double* z, double y, int64_t C, double p, double* u);
  double (*value_and_derivative)(const double* z, double y, int64_t C, double p, double* u);
  // l, l' and, unless h is null, l'' of n rows of a loss that is not coupled.
  void (*terms)(const double* z, const double* y, int64_t n, double p, double* l, double* u,
                double* h);
  void (*second)(const double* z, double y, int64_t C, double p, double* h);  // (C, C)
  double (*conjugate)(const double* u, double y, int64_t C, double p);  // +inf off its domain
  void (*slopes)(const double* z, double y, double p, double* u, double* h);  // l', l'' for C = 1
  // l'(t) at the root t of t - z + q (l'(t) - u) = 0; null for a loss without a way of its own.
  double (*proximal)(double z, double y, double u, double q, double p);
};

// x log x, continued by 0 at 0; +inf below 0.
FASTSUM_HD inline double xlogx(double x) {
  return x > 0 ? x * std::log(x) : (x == 0 ? 0.0 : HUGE_VAL);
}

// l(z) = (z - y)^2 / 2 ;  l*(u) = u^2 / 2 + u y
struct Squared {
  static constexpr bool kCoupled = false;
  FASTSUM_HD static double curvature(double) { return 1.0; }
  FASTSUM_HD static double value(const double* z, double y, int64_t, double) {
    return 0.5 * (*z - y) * (*z - y);
  }
  FASTSUM_HD static void derivative(const double* z, double y, int64_t, double, double* u) {
    *u = *z - y;
  }
  FASTSUM_HD static void second(const double*, double, int64_t, double, double* h) { *h = 1.0; }
  FASTSUM_HD static double conjugate(const double* u, double y, int64_t, double) {
    return *u * (0.5 * *u + y);
  }
  FASTSUM_HD static double proximal(double z, double y, double u, double q, double) {
    return (z + q * u - y) / (1.0 + q);
  }
};

// l(z) = log(1 + exp(-y z)), y in {-1, 1} ;  l*(u) = a log a + (1 - a) log(1 - a), a = -y u
struct Logistic {
  static constexpr bool kCoupled = false;
  FASTSUM_HD static double curvature(double) { return 0.25; }
  // All three share e = exp(-|z|), which never overflows.
  FASTSUM_HD static double value(const double* z, double y, int64_t, double) {
    const double m = y * *z;
    return (m > 0 ? 0.0 : -m) + log1p_unit(exp_negative(-std::fabs(m)));
  }
  FASTSUM_HD static void derivative(const double* z, double y, int64_t, double, double* u) {
    const double m = y * *z;
    const double e = exp_negative(-std::fabs(m));
    *u = -y * (m > 0 ? e : 1.0) / (1.0 + e);
  }
  FASTSUM_HD static void second(const double* z, double, int64_t, double, double* h) {
    const double e = exp_negative(-std::fabs(*z));
    *h = e / ((1.0 + e) * (1.0 + e));
  }
  FASTSUM_HD static void slopes(const double* z, double y, double, double* u, double* h) {
    const double m = y * *z, e = exp_negative(-std::fabs(m));
    *u = -y * (m > 0 ? e : 1.0) / (1.0 + e);
    *h = e / ((1.0 + e) * (1.0 + e));
  }
  FASTSUM_HD static double conjugate(const double* u, double y, int64_t, double) {
    const double a = -y * *u;
    return xlogx(a) + xlogx(1.0 - a);
  }
  FASTSUM_HD static double proximal(double z, double y, double u, double q, double) {
    return -y * logistic_root(y * z, y * (z + q * u), q);
  }
};

// l(z) = log sum_c exp(z_c) - z_y, y in {0, ..., C - 1} ;  l*(u) = sum_c p_c log p_c, p = u + e_y
struct Multinomial {
  static constexpr bool kCoupled = true;
  FASTSUM_HD static double curvature(double) { return 0.5; }
  FASTSUM_HD static double largest(const double* z, int64_t C) {
    double top = z[0];
    for (int64_t c = 1; c < C; ++c) top = z[c] > top ? z[c] : top;
    return top;
  }
  FASTSUM_HD static double value(const double* z, double y, int64_t C, double) {
    const double top = largest(z, C);
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += std::exp(z[c] - top);
    return std::log(sum) + (top - z[static_cast<int64_t>(y)]);
  }
  FASTSUM_HD static void derivative(const double* z, double y, int64_t C, double p, double* u) {
    value_and_derivative(z, y, C, p, u);
  }
  FASTSUM_HD static double value_and_derivative(const double* z, double y, int64_t C, double,
                                                double* u) {
    const double top = largest(z, C);
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += (u[c] = std::exp(z[c] - top));
    for (int64_t c = 0; c < C; ++c) u[c] /= sum;
    // p_y - 1 loses its digits when p_y is near 1: take it as minus the sum of the others.
    const int64_t label = static_cast<int64_t>(y);
    double others = 0;
    for (int64_t c = 0; c < C; ++c) others += c == label ? 0.0 : u[c];
    u[label] = -others;
    return std::log(sum) + (top - z[label]);
  }
  FASTSUM_HD static void second(const double* z, double, int64_t C, double, double* h) {
    const double top = largest(z, C);
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += (h[c * C + c] = std::exp(z[c] - top));
    for (int64_t c = 0; c < C; ++c) h[c * C + c] /= sum;
    for (int64_t a = 0; a < C; ++a)
      for (int64_t b = 0; b < a; ++b) h[a * C + b] = h[b * C + a] = -h[a * C + a] * h[b * C + b];
    for (int64_t c = 0; c < C; ++c) h[c * C + c] *= 1.0 - h[c * C + c];
  }
  FASTSUM_HD static double conjugate(const double* u, double y, int64_t C, double) {
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
  FASTSUM_HD static double curvature(double) { return 2.0; }
  FASTSUM_HD static double value(const double* z, double y, int64_t, double) {
    const double m = 1.0 - y * *z;
    return m > 0 ? m * m : 0.0;
  }
  FASTSUM_HD static void derivative(const double* z, double y, int64_t, double, double* u) {
    const double m = 1.0 - y * *z;
    *u = m > 0 ? -2.0 * y * m : 0.0;
  }
  FASTSUM_HD static void second(const double* z, double y, int64_t, double, double* h) {
    *h = y * *z < 1.0 ? 2.0 : 0.0;
  }
  FASTSUM_HD static double conjugate(const double* u, double y, int64_t, double) {
    const double a = -y * *u;
    return a >= 0 ? a * (0.25 * a - 1.0) : HUGE_VAL;
  }
  FASTSUM_HD static double proximal(double z, double y, double u, double q, double) {
    const double end = z + q * u;
    return y * end < 1.0 ? 2.0 * (end - y) / (1.0 + 2.0 * q) : 0.0;
  }
};

// l(z) = r^2 / 2 if |r| <= p, else p (|r| - p / 2), r = z - y ;  l*(u) = u^2 / 2 + u y, |u| <= p
struct Huber {
  static constexpr bool kCoupled = false;
  FASTSUM_HD static double curvature(double) { return 1.0; }
  FASTSUM_HD static double value(const double* z, double y, int64_t, double p) {
    const double r = std::fabs(*z - y);
    return r <= p ? 0.5 * r * r : p * (r - 0.5 * p);
  }
  FASTSUM_HD static void derivative(const double* z, double y, int64_t, double p, double* u) {
    const double r = *z - y;
    *u = r > p ? p : (r < -p ? -p : r);
  }
  FASTSUM_HD static void second(const double* z, double y, int64_t, double p, double* h) {
    *h = std::fabs(*z - y) <= p ? 1.0 : 0.0;
  }
  FASTSUM_HD static double conjugate(const double* u, double y, int64_t, double p) {
    return std::fabs(*u) <= p ? *u * (0.5 * *u + y) : HUGE_VAL;
  }
  FASTSUM_HD static double proximal(double z, double y, double u, double q, double p) {
    const double best = (z + q * u - y) / (1.0 + q);
    return best > p ? p : (best < -p ? -p : best);
  }
};

// l(z) = 0 if t <= 0, t^2 / (2 p) if t <= p, else t - p / 2, t = 1 - y z, y in {-1, 1} ;
// l*(u) = p a^2 / 2 - a, a = -y u in [0, 1]. A label of another size moves the corner to z = y:
// t = |y| - sign(y) z, l*(u) = p a^2 / 2 - |y| a, a = -sign(y) u.
struct SmoothedHinge {
  static constexpr bool kCoupled = false;
  FASTSUM_HD static double curvature(double p) { return 1.0 / p; }
  FASTSUM_HD static double sign(double y) { return y > 0 ? 1.0 : -1.0; }
  FASTSUM_HD static double short_of(double z, double y) { return sign(y) * y - sign(y) * z; }
  FASTSUM_HD static double value(const double* z, double y, int64_t, double p) {
    const double t = short_of(*z, y);
    return t <= 0 ? 0.0 : (t <= p ? 0.5 * t * (t / p) : t - 0.5 * p);
  }
  FASTSUM_HD static void derivative(const double* z, double y, int64_t, double p, double* u) {
    const double t = short_of(*z, y);
    *u = t <= 0 ? 0.0 : -sign(y) * (t <= p ? t / p : 1.0);
  }
  FASTSUM_HD static void second(const double* z, double y, int64_t, double p, double* h) {
    const double t = short_of(*z, y);
    *h = t > 0 && t <= p ? 1.0 / p : 0.0;
  }
  FASTSUM_HD static double conjugate(const double* u, double y, int64_t, double p) {
    const double a = -sign(y) * *u;
    return a >= 0 && a <= 1 ? a * (0.5 * p * a - sign(y) * y) : HUGE_VAL;
  }
  FASTSUM_HD static double proximal(double z, double y, double u, double q, double p) {
    const double a = short_of(z + q * u, y) / (p + q);
    return a > 0 ? -sign(y) * (a < 1 ? a : 1.0) : 0.0;
  }
};

// l(z) = max(0, 1 - y z), y in {-1, 1} ;  l*(u) = -a, a = -y u in [0, 1]. At its kink l' is 0 here.
struct Hinge {
  static constexpr bool kCoupled = false;
  FASTSUM_HD static double curvature(double) { return HUGE_VAL; }
  FASTSUM_HD static double value(const double* z, double y, int64_t, double) {
    const double t = 1.0 - y * *z;
    return t > 0 ? t : 0.0;
  }
  FASTSUM_HD static void derivative(const double* z, double y, int64_t, double, double* u) {
    *u = 1.0 - y * *z > 0 ? -y : 0.0;
  }
  FASTSUM_HD static void second(const double*, double, int64_t, double, double* h) { *h = 0.0; }
  FASTSUM_HD static double conjugate(const double* u, double y, int64_t, double) {
    const double a = -y * *u;
    return a >= 0 && a <= 1 ? -a : HUGE_VAL;
  }
  FASTSUM_HD static double proximal(double z, double y, double u, double q, double) {
    const double t = 1.0 - y * (z + q * u);
    return t > 0 ? -y * (t < q ? t / q : 1.0) : 0.0;
  }
};

// l(z) = e^z - y z + y log y - y, y >= 0 ;  l*(u) = m log m - y log y - u, m = u + y >= 0
struct Poisson {
  static constexpr bool kCoupled = false;
  FASTSUM_HD static double curvature(double) { return HUGE_VAL; }
  // e^r - 1 - r, which cancels near 0: there the Taylor series to r^14 (error 2^-15 / 15! < 3e-17).
  FASTSUM_HD static double excess(double r) {
    constexpr double kNear = 0.5;
    const double x = r > kNear ? kNear : (r < -kNear ? -kNear : r);
    double p = 1.0 / 87178291200.0;
    p = p * x + 1.0 / 6227020800.0;
    p = p * x + 1.0 / 479001600.0;
    p = p * x + 1.0 / 39916800.0;
    p = p * x + 1.0 / 3628800.0;
    p = p * x + 1.0 / 362880.0;
    p = p * x + 1.0 / 40320.0;
    p = p * x + 1.0 / 5040.0;
    p = p * x + 1.0 / 720.0;
    p = p * x + 1.0 / 120.0;
    p = p * x + 1.0 / 24.0;
    p = p * x + 1.0 / 6.0;
    p = p * x + 0.5;
    return x == r ? p * r * r : (exp_any(r) - 1.0) - r;
  }
  FASTSUM_HD static double value(const double* z, double y, int64_t, double) {
    return y > 0 ? y * excess(*z - std::log(y)) : exp_any(*z);
  }
  FASTSUM_HD static void derivative(const double* z, double y, int64_t, double, double* u) {
    *u = exp_any(*z) - y;
  }
  FASTSUM_HD static void second(const double* z, double, int64_t, double, double* h) {
    *h = exp_any(*z);
  }
  FASTSUM_HD static void slopes(const double* z, double y, double, double* u, double* h) {
    *h = exp_any(*z);
    *u = *h - y;
  }
  FASTSUM_HD static double conjugate(const double* u, double y, int64_t, double) {
    const double m = *u + y;
    if (!(m > 0) || !(y > 0)) return xlogx(m) - xlogx(y) - *u;
    return m * std::log1p(*u / y) + *u * (std::log(y) - 1.0);
  }
};

// l(z) = ||z||^2 / 2 of C outputs, whose targets are minus the offset of the row, eq. (74) ;
// l*(u) = ||u||^2 / 2. Coupled by the penalty alone.
struct SquaredRows {
  static constexpr bool kCoupled = true;
  FASTSUM_HD static double curvature(double) { return 1.0; }
  FASTSUM_HD static double value(const double* z, double, int64_t C, double) {
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += z[c] * z[c];
    return 0.5 * sum;
  }
  FASTSUM_HD static void derivative(const double* z, double, int64_t C, double, double* u) {
    for (int64_t c = 0; c < C; ++c) u[c] = z[c];
  }
  FASTSUM_HD static void second(const double*, double, int64_t C, double, double* h) {
    for (int64_t e = 0; e < C * C; ++e) h[e] = e % (C + 1) == 0 ? 1.0 : 0.0;
  }
  FASTSUM_HD static double conjugate(const double* u, double y, int64_t C, double p) {
    return value(u, y, C, p);
  }
};

// Both at once.
template <class Loss>
FASTSUM_HD double value_and_derivative(const double* z, double y, int64_t C, double p, double* u) {
  if constexpr (requires { Loss::value_and_derivative(z, y, C, p, u); }) {
    return Loss::value_and_derivative(z, y, C, p, u);
  } else {
    Loss::derivative(z, y, C, p, u);
    return Loss::value(z, y, C, p);
  }
}

// Inlined, the three functions of a loss share what they have in common and become one loop of
// vector instructions.
template <class Loss>
void loss_rows(const double* z, const double* y, int64_t n, double p, double* l, double* u,
               double* h) {
  if constexpr (!Loss::kCoupled) {
    if (h) {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) {
        l[i] = Loss::value(z + i, y[i], 1, p);
        Loss::derivative(z + i, y[i], 1, p, u + i);
        Loss::second(z + i, y[i], 1, p, h + i);
      }
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) {
        l[i] = Loss::value(z + i, y[i], 1, p);
        Loss::derivative(z + i, y[i], 1, p, u + i);
      }
    }
  }
}

template <class Loss>
void loss_slopes(const double* z, double y, double p, double* u, double* h) {
  if constexpr (requires { Loss::slopes(z, y, p, u, h); }) {
    Loss::slopes(z, y, p, u, h);
  } else if constexpr (!Loss::kCoupled) {
    Loss::derivative(z, y, 1, p, u);
    Loss::second(z, y, 1, p, h);
  }
}

template <class Loss>
constexpr auto proximal_of() {
  if constexpr (requires { &Loss::proximal; })
    return &Loss::proximal;
  else
    return nullptr;
}

inline constexpr LossOps kLosses[] = {
// clang-format off
#define FASTSUM_LOSS(name, Loss)                                                        \
  {#name, Loss::kCoupled, Loss::curvature, Loss::value, Loss::derivative,               \
   value_and_derivative<Loss>, loss_rows<Loss>, Loss::second, Loss::conjugate,          \
   loss_slopes<Loss>, proximal_of<Loss>()},
// clang-format on
#include "losses.def"
#undef FASTSUM_LOSS
};
inline constexpr int32_t kNumLosses = sizeof(kLosses) / sizeof(kLosses[0]);

// A loss with its parameter bound: looked up once per block.
struct BoundLoss {
  const LossOps& ops;
  const double p;

  explicit BoundLoss(const Columns& c) : ops(kLosses[c.loss]), p(c.loss_param) {}
  double value(const double* z, double y, int64_t C) const { return ops.value(z, y, C, p); }
  void derivative(const double* z, double y, int64_t C, double* u) const {
    ops.derivative(z, y, C, p, u);
  }
  double value_and_derivative(const double* z, double y, int64_t C, double* u) const {
    return ops.value_and_derivative(z, y, C, p, u);
  }
  void terms(const double* z, const double* y, int64_t n, double* l, double* u, double* h) const {
    ops.terms(z, y, n, p, l, u, h);
  }
  void second(const double* z, double y, int64_t C, double* h) const { ops.second(z, y, C, p, h); }
  void slopes(const double* z, double y, double* u, double* h) const { ops.slopes(z, y, p, u, h); }
  double conjugate(const double* u, double y, int64_t C) const { return ops.conjugate(u, y, C, p); }
};

}  // namespace fastsum::FASTSUM_LEVEL
