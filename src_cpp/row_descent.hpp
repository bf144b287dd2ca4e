// Block coordinate descent on the rows of a matrix of coefficients.
//
// Problem   min_x  tr(x' H x) / 2 - linear + sum_j l1 ||x_j||_2 + l2 / 2 ||x_j||_2^2, x (p, C),
//           q its gradient without the penalty at the start                      maths.md eq. (79)
// Per step  row j at its minimiser with all others held: with v = H_jj x_j - q_j,
//           x_j <- (1 - l1 / ||v||)_+ v / (H_jj + l2), then q <- q + H_j dx_j'
// Stop      when what a sweep gained, at least sum_j (H_jj + l2) / 2 ||dx_j||^2, is below a.target
// Source    Qin, Scheinberg, Goldfarb, Mathematical Programming Computation 2013; exact here, for
//           H is the same for all C outputs
#pragma once
#include "prox.hpp"
#include "types.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline Status row_descent(const double* H, RowDescentArgs* a) {
  const int64_t p = a->p, C = a->C;
  double* v = a->work;
  for (a->sweeps = 0; a->sweeps < a->most;) {
    ++a->sweeps;
    double gain = 0;
    for (int64_t j = 0; j < p; ++j) {
      const double* h = H + j * p;
      double *x = a->x + j * C, square = 0;
      const double curvature = h[j] + a->l2;
      if (!(h[j] > 0)) continue;  // an empty column stays where it is
      for (int64_t c = 0; c < C; ++c) v[c] = x[c] - (a->q[j * C + c] + a->l2 * x[c]) / curvature;
      // in units of x: the prox of l1 / (H_jj + l2) ||.||
      prox_row(v, C, a->l1 / curvature, 0.0);
      for (int64_t c = 0; c < C; ++c) {
        v[c] -= x[c];
        square += v[c] * v[c];
        x[c] += v[c];
      }
      if (square == 0) continue;
      gain += 0.5 * curvature * square;
      for (int64_t i = 0; i < p; ++i)
        for (int64_t c = 0; c < C; ++c) a->q[i * C + c] += h[i] * v[c];
    }
    if (gain <= a->target) break;
  }
  return kOk;
}

}  // namespace fastsum::FASTSUM_LEVEL
