// What becomes of the margins of a row in a pass: op(i, z), z (width,) the float64 scratch of row i
// whose first values hold the margins x_i' W and are replaced by what X' is taken of, and by what is
// summed over the rows. Pointers are the device's.
#pragma once
#include "../losses.hpp"
#include "../portable.hpp"

namespace fastsum::device {

using namespace fastsum::FASTSUM_LEVEL;

// Calls f(loss) with the struct of the loss: the one place where the loss is bound.
template <class F>
FASTSUM_HD inline void with_loss(int32_t id, F&& f) {
  int32_t at = 0;
#define FASTSUM_LOSS(name, Loss) \
  if (id == at++) return f(Loss{});
#include "../losses.def"
#undef FASTSUM_LOSS
}

FASTSUM_HD inline double weight_of(const Columns& c, int64_t i) {
  return c.sample_weight ? c.sample_weight[i] : 1.0;
}

// z_ik <- (add: z_ik +) margin + b_k, for columns `first` to first + K of `stride`.
struct StoreMargins {
  const double* b;  // null: 0
  double* out;
  int64_t stride, first;
  int32_t K;
  bool add;
  FASTSUM_HD void operator()(int64_t i, const double* z) const {
    double* to = out + i * stride + first;
    for (int32_t k = 0; k < K; ++k) to[k] = z[k] + (b ? b[k] : 0.0) + (add ? to[k] : 0.0);
  }
};

// z_k <- s_i r_ik.
struct LoadRows {
  const double *r, *s;  // s may be null
  int64_t stride, first;
  int32_t K;
  FASTSUM_HD void operator()(int64_t i, double* z) const {
    const double weight = s ? s[i] : 1.0;
    for (int32_t k = 0; k < K; ++k) z[k] = weight * r[i * stride + first + k];
  }
};

// z_k <- x_ik y_ik.
struct Products {
  const double *x, *y, *s;
  int32_t K;
  FASTSUM_HD void operator()(int64_t i, double* z) const {
    const double weight = s ? s[i] : 1.0;
    for (int32_t k = 0; k < K; ++k) z[k] = weight * x[i * K + k] * y[i * K + k];
  }
};

// The losses of a row at margins m (K,): slopes s l' to z[0, K), values s l to z[K, K + B); u is the
// place of l', which the caller may keep. m and z may be the same.
FASTSUM_HD inline void row_losses(const Columns& c, int64_t i, const double* m, double* u,
                                  double* z) {
  const int32_t B = int32_t(c.n_problems), C = int32_t(c.n_outputs), K = B * C;
  const double s = weight_of(c, i), p = c.loss_param;
  with_loss(c.loss, [&](auto loss) {
    using Loss = decltype(loss);
    for (int32_t b = 0; b < B; ++b) {
      const double y = c.targets.at(i, b);
      const double value = value_and_derivative<Loss>(m + b * C, y, C, p, u + b * C);
      for (int32_t k = b * C; k < (b + 1) * C; ++k) z[k] = s * u[k];
      z[K + b] = s * value;
    }
  });
}

// In one read of X: slopes s l' of the margins, and their values; width 2 K + B.
struct LossGradient {
  Columns columns;
  const double* b;
  FASTSUM_HD void operator()(int64_t i, double* z) const {
    const int32_t B = int32_t(columns.n_problems), K = B * int32_t(columns.n_outputs);
    for (int32_t k = 0; k < K; ++k) z[k] += b[k];
    columns.add_offset(i, z);
    row_losses(columns, i, z, z + K + B, z);
  }
};

// The same of margins z_in + b, known already: sums are slopes (K,), values (B,) and, where wanted,
// curvatures (B, C, C); after them room for 2 K values.
struct LossTerms {
  Columns columns;
  const double *z_in, *b;
  double* u;  // (n, K) or null
  bool with_curvature;
  FASTSUM_HD void operator()(int64_t i, double* z) const {
    const int32_t B = int32_t(columns.n_problems), C = int32_t(columns.n_outputs), K = B * C;
    double* h = z + K + B;
    double *m = h + (with_curvature ? K * C : 0), *du = m + K;
    for (int32_t k = 0; k < K; ++k) m[k] = z_in[i * K + k] + b[k];
    columns.add_offset(i, m);
    row_losses(columns, i, m, du, z);
    if (with_curvature)
      with_loss(columns.loss, [&](auto loss) {
        for (int32_t q = 0; q < B; ++q)
          decltype(loss)::second(m + q * C, columns.targets.at(i, q), C, columns.loss_param,
                                 h + q * C * C);
        for (int32_t e = 0; e < K * C; ++e) h[e] *= weight_of(columns, i);
      });
    if (u)
      for (int32_t k = 0; k < K; ++k) u[i * K + k] = du[k];
  }
};

// Fenchel-Young terms of the loss at c u, (B,); width B + 2 K.
struct LossGap {
  Columns columns;
  const double *z_in, *b, *u, *scale;
  FASTSUM_HD void operator()(int64_t i, double* z) const {
    const int32_t B = int32_t(columns.n_problems), C = int32_t(columns.n_outputs), K = B * C;
    double *m = z + B, *cu = m + K;
    for (int32_t k = 0; k < K; ++k) {
      m[k] = z_in[i * K + k] + b[k];
      cu[k] = scale[k / C] * u[i * K + k];
    }
    columns.add_offset(i, m);
    with_loss(columns.loss, [&](auto loss) {
      using Loss = decltype(loss);
      for (int32_t q = 0; q < B; ++q) {
        const double y = columns.targets.at(i, q), p = columns.loss_param;
        double inner = 0;
        for (int32_t k = q * C; k < (q + 1) * C; ++k) inner += m[k] * cu[k];
        const double term =
          Loss::value(m + q * C, y, C, p) + Loss::conjugate(cu + q * C, y, C, p) - inner;
        z[q] = term > 0 ? weight_of(columns, i) * term : 0.0;
      }
    });
  }
};

// c_ik <- factor s_i l'' for separate losses, factor s_i p_ik for coupled ones; width 3 K + B.
struct StoreCurvature {
  Columns columns;
  const double *z_in, *b;
  double factor;
  double* c;
  FASTSUM_HD void operator()(int64_t i, double* z) const {
    const int32_t B = int32_t(columns.n_problems), C = int32_t(columns.n_outputs), K = B * C;
    double *m = z, *du = m + K, *rest = du + K;
    const double weight = factor * weight_of(columns, i);
    for (int32_t k = 0; k < K; ++k) m[k] = z_in[i * K + k] + b[k];
    columns.add_offset(i, m);
    with_loss(columns.loss, [&](auto loss) {
      using Loss = decltype(loss);
      if constexpr (!Loss::kCoupled)
        for (int32_t q = 0; q < B; ++q)
          Loss::second(m + q, columns.targets.at(i, q), 1, columns.loss_param, du + q);
      else
        row_losses(columns, i, m, du, rest);
      for (int32_t q = 0; q < B; ++q) {
        const int32_t label = int32_t(columns.targets.at(i, q));
        for (int32_t a = 0; a < C; ++a) {
          const double own = Loss::kCoupled && a == label ? 1.0 : 0.0;
          c[i * K + q * C + a] = weight * (du[q * C + a] + own);
        }
      }
    });
  }
};

// z <- D (z + v) for the curvature of the row, as the CPU's times_curvature, v (K,) the intercepts.
struct TimesCurvature {
  const double *c, *v;
  int32_t B, C;
  FASTSUM_HD void operator()(int64_t i, double* z) const {
    const double* c_i = c + i * B * C;
    for (int32_t k = 0; k < B * C; ++k) z[k] += v[k];
    for (int32_t q = 0; q < B; ++q, c_i += C, z += C) {
      double mean = 0, total = 0;
      for (int32_t k = 0; C > 1 && k < C; ++k) {
        mean += c_i[k] * z[k];
        total += c_i[k];
      }
      mean = total > 0 ? mean / total : 0.0;
      for (int32_t k = 0; k < C; ++k) z[k] = c_i[k] * (z[k] - mean);
    }
  }
};

// op on margins z_in (n, K) that are known, whose outcome is kept: out may be z_in.
template <class Op>
struct Stored {
  Op op;
  const double* z_in;
  double* out;
  int32_t K;
  FASTSUM_HD void operator()(int64_t i, double* z) const {
    for (int32_t k = 0; k < K; ++k) z[k] = z_in[i * K + k];
    op(i, z);
    for (int32_t k = 0; k < K; ++k) out[i * K + k] = z[k];
  }
};

}  // namespace fastsum::device
