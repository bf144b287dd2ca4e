// An exact active-set method for the quadratic of descent.hpp with H stored, by parametric pivots:
// the homotopy of Osborne, Presnell, Turlach (2000) and of Efron, Hastie, Johnstone, Tibshirani
// (LARS, 2004), from any start (as the online active sets of Ferreau, Bock, Diehl 2008).
//
// With A the active coordinates and s their signs, x minimises a problem whose gradient is moved
// by  r_A = (q + l2 x + l1 s)_A  and whose thresholds are  l1 + e_j  for the others. Both shrink
// together to 0 along  x_A - u (H_AA + l2 I)^{-1} r_A;  on the way a coordinate becomes 0 and
// leaves, or |q_j| reaches its threshold and j enters. A column that depends on the active ones
// enters along the direction that no residual sees, until one of them is 0.
#pragma once
#include "descent.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline constexpr double kDependent = 1e-11;  // of h_jj: what the active columns leave of it
inline constexpr double kSlack = 1e-11;      // of l1: how far beyond its threshold |q_j| enters
inline constexpr int64_t kLook = 8;          // pivots between two gaps

// L L' = H_AA + l2 I by rows, stride `cap`, updated by one coordinate at a time.
struct Factor {
  double* L;
  int64_t cap;
  double* row(int64_t i) { return L + i * cap; }

  static double dot(const double* a, const double* b, int64_t n) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
  }

  void forward(double* b, int64_t k) {
    for (int64_t i = 0; i < k; ++i) b[i] = (b[i] - dot(row(i), b, i)) / row(i)[i];
  }

  void backward(double* b, int64_t k) {
    for (int64_t i = k - 1; i >= 0; --i) {
      const double* l = row(i);
      const double y = b[i] /= l[i];
#pragma omp simd
      for (int64_t c = 0; c < i; ++c) b[c] -= y * l[c];
    }
  }

  // Takes out row and column i of k by rotations; `turn` (2 k) is scratch.
  void remove(int64_t i, int64_t k, double* turn) {
    for (int64_t r = i + 1; r < k; ++r) {
      double *from = row(r), *to = row(r - 1);
      for (int64_t c = 0; c < i; ++c) to[c] = from[c];
      double carried = from[i];
      for (int64_t c = i; c < r - 1; ++c) {
        const double a = carried, b = from[c + 1];
        to[c] = turn[2 * c] * a + turn[2 * c + 1] * b;
        carried = turn[2 * c] * b - turn[2 * c + 1] * a;
      }
      const double length = std::sqrt(carried * carried + from[r] * from[r]);
      to[r - 1] = length;
      turn[2 * (r - 1)] = carried / length;
      turn[2 * (r - 1) + 1] = from[r] / length;
    }
  }
};

struct Pivots {
  const double* H;
  DescentArgs& a;
  Factor factor;
  double *excess, *dq, *d, *sign, *turn;  // excess < 0 marks the active coordinates
  int64_t k;
  double common;  // excess of those that were not active

  // Moves x by u d on the active coordinates (and on `extra` by u); q and size follow.
  void advance(double u, int64_t extra, double extra_sign) {
    double change = 0;
    for (int64_t i = 0; i < k; ++i) {
      const int64_t j = a.active[i];
      a.x[j] += u * d[i];
      change += d[i] * (2 * a.q[j] + u * dq[j]);
    }
    if (extra >= 0) {
      a.x[extra] += u * extra_sign;
      change += extra_sign * (2 * a.q[extra] + u * dq[extra]);
    }
    a.size += u * change;
#pragma omp simd
    for (int64_t j = 0; j < a.p; ++j) a.q[j] += u * dq[j];
  }

  void add_column(int64_t j, double weight) {
    const double* h = H + j * a.p;
#pragma omp simd
    for (int64_t c = 0; c < a.p; ++c) dq[c] += weight * h[c];
  }

  void measure() {  // dq = H_:A d
    for (int64_t j = 0; j < a.p; ++j) dq[j] = 0;
    for (int64_t i = 0; i < k; ++i) add_column(a.active[i], d[i]);
  }

  // Length at which the first active coordinate becomes 0, at most `most`; which one, or -1.
  double first_zero(double most, int64_t& which) {
    which = -1;
    for (int64_t i = 0; i < k; ++i) {
      if (!(sign[i] * d[i] < 0)) continue;
      const double u = -a.x[a.active[i]] / d[i];
      if (u < most) {
        most = u > 0 ? u : 0;
        which = i;
      }
    }
    return most;
  }

  void leave(int64_t i) {
    const int64_t j = a.active[i];
    a.x[j] = 0;
    const double above = std::fabs(a.q[j]) - a.l1;
    excess[j] = above > common ? above : common;
    factor.remove(i, k, turn);
    for (--k; i < k; ++i) {
      a.active[i] = a.active[i + 1];
      sign[i] = sign[i + 1];
    }
  }

  // Makes j active with the sign s; where its column depends on those of A, another one leaves, or
  // j itself. False if there is no room.
  bool enter(int64_t j, double s, bool outward) {
    while (k < factor.cap) {
      double* l = factor.row(k);
      const double* h = H + j * a.p;
      for (int64_t i = 0; i < k; ++i) l[i] = h[a.active[i]];
      factor.forward(l, k);
      const double diagonal = a.diagonal[j] + a.l2;
      const double left = diagonal - Factor::dot(l, l, k);
      if (left > kDependent * diagonal) {
        l[k] = std::sqrt(left);
        a.active[k] = int32_t(j);
        sign[k++] = s;
        excess[j] = -1;
        return true;
      }
      if (k == 0) {  // a null column
        a.x[j] = 0;
        return true;
      }
      for (int64_t i = 0; i < k; ++i) d[i] = -l[i];
      factor.backward(d, k);
      double slope = s;
      for (int64_t i = 0; i < k; ++i) slope += sign[i] * d[i];
      const double v = outward || s * slope < 0 ? s : -s;
      for (int64_t i = 0; i < k; ++i) d[i] *= v;
      int64_t zero = -1;
      const double reach = v * s < 0 ? std::fabs(a.x[j]) : HUGE_VAL;
      const double u = first_zero(reach, zero);
      if (!(u < HUGE_VAL)) return true;
      measure();
      add_column(j, v);
      advance(u, j, v);
      if (zero < 0) {
        a.x[j] = 0;
        return true;
      }
      leave(zero);
    }
    return false;
  }

  bool start() {
    k = 0;
    common = 0;
    for (int64_t j = 0; j < a.p; ++j) excess[j] = 0;
    for (int64_t j = 0; j < a.p; ++j)
      if (a.x[j] != 0 && !enter(j, a.x[j] > 0 ? 1.0 : -1.0, false)) return false;
    for (int64_t j = 0; j < a.p; ++j)
      if (excess[j] >= 0 && std::fabs(a.q[j]) - a.l1 > common) common = std::fabs(a.q[j]) - a.l1;
    for (int64_t j = 0; j < a.p; ++j)
      if (excess[j] >= 0) excess[j] = common;
    return true;
  }

  // One pivot; false at the end of the homotopy, or where there is no room.
  bool pivot() {
    for (int64_t i = 0; i < k; ++i) {
      const int64_t j = a.active[i];
      d[i] = -(a.q[j] + a.l2 * a.x[j] + a.l1 * sign[i]);
    }
    factor.forward(d, k);
    factor.backward(d, k);
    measure();
    int64_t zero = -1, entering = -1;
    double u = first_zero(1.0, zero);
    const double slack = kSlack * a.l1;
    for (int64_t j = 0; j < a.p; ++j) {
      if (excess[j] < 0) continue;
      const double room = a.l1 + excess[j] + slack;
      const double up = dq[j] + excess[j], down = excess[j] - dq[j];
      if (a.q[j] + u * up > room) {
        u = (room - a.q[j]) / up;
        entering = j;
      } else if (u * down - a.q[j] > room) {
        u = (room + a.q[j]) / down;
        entering = j;
      } else {
        continue;
      }
      u = u > 0 ? u : 0;
    }
    advance(u, -1, 0);
    for (int64_t j = 0; j < a.p; ++j)
      if (excess[j] > 0) excess[j] *= 1 - u;
    common *= 1 - u;
    if (entering >= 0) return enter(entering, a.q[entering] > 0 ? -1.0 : 1.0, true);
    if (zero >= 0) leave(zero);
    return zero >= 0;
  }
};

// At most a->most pivots, until the gap is at most a->target. `work` holds cap^2 + 5 cap + 2 p
// numbers for at most `cap` active coordinates; a->sweeps counts the pivots.
inline Status gram_pivots(const double* H, DescentArgs* a, double* work, int64_t cap) {
  double* at = work + cap * cap;
  Pivots pivots{
    H, *a, {work, cap}, at, at + a->p, at + 2 * a->p, at + 2 * a->p + cap, at + 2 * a->p + 2 * cap,
    0};
  a->sweeps = 0;
  bool on = pivots.start();
  for (; on && a->sweeps < a->most; ++a->sweeps) {
    on = pivots.pivot();
    if (a->sweeps % kLook == kLook - 1 && (a->gap = quadratic_gap(*a)) <= a->target) return kOk;
  }
  a->gap = quadratic_gap(*a);
  return kOk;
}

}  // namespace fastsum::FASTSUM_LEVEL
