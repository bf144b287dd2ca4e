// Just-in-time updates: the steps of a column that no row has touched, made at once when one does.
//
// m steps w <- prox_{gamma h}(w - gamma g) at a constant g are, while w keeps its sign,
//   w_m = P_m w - gamma (g + sign(w) l1) S_m,  P_m = (1 + gamma l2)^-m,  S_m = P_1 + ... + P_m
//                                                                              maths.md eq. (31)
// and their path is monotone, so that it meets 0 once at most, after log(1 + rate w / (g + l1)) /
// log(1 + rate) steps with rate = gamma l2: it ends there, or the step that crosses is made on its
// own. A step rises with the w it starts from, so that of a monotone path
// what passes a bound stays beyond it: the path within bounds is that without, clipped.
// Source    Schmidt, Le Roux, Bach, Mathematical Programming 162, 2017, section 4.1; with l1:
//           Carpenter, Lazy sparse stochastic gradient descent for regularized multinomial
//           logistic regression, 2008
#pragma once
#include "common.hpp"

namespace fastsum::FASTSUM_LEVEL {

// P_m and S_m: sequence 0 of a solver, (256 + n_steps / 256 + 1, K), holds them for the m < 256
// and then for the multiples of 256.
struct Decay {
  double power, sum;
};

// The steps v <- (v - slope) / (1 + rate) that leave v >= 0 positive, of m that do not all.
inline int64_t steps_above(double v, double slope, double rate, int64_t m) {
  const double x = v * rate / slope;
  const double most =
    rate > 0 ? (x <= 1.0 ? log1p_unit(x) : std::log1p(x)) / std::log1p(rate) : v / slope;
  return most < double(m - 1) ? int64_t(most) : m - 1;
}

// What l1 takes of the slope g of a coefficient on the way from w: -l1 or l1, from 0 what it can.
inline double pull_of(double w, double g, double l1) {
  constexpr double kSide = 1e300;
  return clip(g - kSide * w, -l1, l1);
}

template <class Rows, bool Wide>
class LazySteps {
 public:
  using T = typename Rows::Value;

  LazySteps(const Sweep<Rows, Wide>& sweep_, T* W_, const T* G_)
      : sweep(sweep_),
        decay(reinterpret_cast<const Decay*>(sweep_.a.sequences[0])),
        W(W_),
        G(G_),
        linear(!Wide && sweep_.l1[0] == 0 && !sweep_.own) {}

  // Whether steps are a line whatever the sign of w, and the m of them from w at the constant g.
  bool is_linear() const { return linear; }
  [[gnu::always_inline]] T along(T w, T g, int64_t m) const {
    return T(line(double(w), double(sweep.step[0]) * double(g), at(m, 0)));
  }

  // Column j as it is after the step `now` of the fit.
  [[gnu::always_inline]] void catch_up(int64_t j, int64_t now) const {
    const int64_t K = sweep.K, m = now - sweep.a.visits[j];
    sweep.a.visits[j] = now;
    if (linear) {
      W[j] = along(W[j], G[j], m);
      return;
    }
    if (m == 0) return;
    for (int64_t k = 0; k < K; ++k) W[j * K + k] = after(W[j * K + k], G[j * K + k], m, j, k);
  }

  // Where the columns of a row lie: at random addresses, fetched while the row before it is at work.
  // (Inlined, or the compiler takes a call without other effects out.)
  template <class Row>
  [[gnu::always_inline]] void prefetch(const Row& row) const {
    for (int64_t p = 0; p < row.size; ++p) {
      const int64_t j = row.index(p);
      __builtin_prefetch(sweep.a.visits + j);
      __builtin_prefetch(W + j * sweep.K);
      __builtin_prefetch(G + j * sweep.K);
    }
  }

  // All columns, for the caller of the kernel; a block of dense rows has kept them so.
  void finish() const {
    const int64_t now = sweep.a.time + sweep.a.n_steps;
    for (int64_t j = 0; sweep.a.visits && j < sweep.d; ++j) {
      if constexpr (Rows::kSparse) catch_up(j, now);
      sweep.a.visits[j] = now;
    }
  }

  // m >= 1 steps from w at the constant g.
  T after(T w, T g, int64_t m, int64_t j, int64_t k) const {
    const T gamma = sweep.step[k];
    if (!sweep.own)
      return path(w, g, m, gamma, sweep.l1[k], sweep.l2[k], [&](int64_t e) { return at(e, k); });
    if (m == 1) return sweep.shrink(w - gamma * g, gamma, j, k);
    const auto& c = sweep.own[j];
    const T l2 = c.factor * sweep.l2[k] + sweep.ridge[k];
    const double rate = double(gamma) * double(l2), log = std::log1p(rate);
    const auto decay_of = [&](int64_t e) -> Decay {
      const double shrunk = -double(e) * log;
      return {std::exp(shrunk), rate > 0 ? -std::expm1(shrunk) / rate : double(e)};
    };
    return clip(path(w, g, m, gamma, c.factor * sweep.l1[k], l2, decay_of), c.lower, c.upper);
  }

 private:
  // The same without bounds; decay_of(e) has P_e and S_e.
  template <class DecayOf>
  static T path(T w, T g, int64_t m, T gamma, T l1, T l2, DecayOf&& decay_of) {
    const double drift = double(gamma) * (double(g) - pull_of(double(w), double(g), double(l1)));
    const double end = line(double(w), drift, decay_of(m)), turned = double(w) * end;
    if (l1 == 0) return T(end);
    // no branch on whether it ends at 0, which no processor foresees
    const double held = std::fabs(double(g)) - double(l1);
    if ((-turned < held ? -turned : held) <= 0) [[likely]]
      return T(turned < 0 ? 0.0 : end);
    const double sign = std::copysign(1.0, double(w)), slope = sign * double(g);
    const double g_up = sign * drift, g_down = double(gamma) * (slope - double(l1));
    double v = sign * double(w);
    const int64_t last = steps_above(v, g_up, double(gamma) * double(l2), m);
    v = line(v, g_up, decay_of(last));
    v = double(prox(T(v - double(gamma) * slope), gamma * l1, gamma * l2));
    if (v > 0) v = 0;  // rounding of the step that was found
    v = line(v, g_down, decay_of(m - last - 1));
    return v < 0 ? T(sign * v) : T(0);
  }

  const Sweep<Rows, Wide>& sweep;
  const Decay* decay;
  T* W;
  const T* G;
  const bool linear;

  static double line(double v, double slope, Decay m) { return m.power * v - slope * m.sum; }

  // By both tables whatever m: a branch on m < 256 is one that no processor foresees.
  Decay at(int64_t m, int64_t k) const {
    const Decay low = decay[(m & 255) * sweep.K + k];
    const Decay high = decay[(256 + (m >> 8)) * sweep.K + k];
    return {low.power * high.power, low.sum + low.power * high.sum};
  }
};

}  // namespace fastsum::FASTSUM_LEVEL
