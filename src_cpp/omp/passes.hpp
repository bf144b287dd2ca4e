// CPU implementation of the order-free passes of kernels.hpp.
#pragma once
#include "../losses.hpp"
#include "../prox.hpp"
#include "../tiles.hpp"
#include "threads.hpp"

namespace fastsum::FASTSUM_LEVEL {

template <class Rows, class T>
inline void margins_typed(const Rows& X, int64_t n_rows, const T* W, const T* b, int64_t K,
                          double* z, int32_t n_threads) {
  parallel_parts(n_rows, n_threads, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (K == 1) {
        z[i] = row_dot<double>(X.row(i), W) + double(b[0]);
      } else {
        row_dots<double>(X.row(i), W, K, K, z + i * K);
        for (int64_t k = 0; k < K; ++k) z[i * K + k] += double(b[k]);
      }
    }
  });
}

inline Status margins(const RowBlock* block, int32_t dtype, const void* weights, int64_t K,
                      double* z, int32_t n_threads) {
  return with_rows(*block, [&](const auto& X) {
    const auto typed = [&](const auto* W) {
      margins_typed(X, block->n_rows, W, W + block->n_cols * K, K, z, n_threads);
    };
    dtype == kFloat64 ? typed(static_cast<const double*>(weights))
                      : typed(static_cast<const float*>(weights));
  });
}

// out += X' r over the rows [begin, end).
template <class Rows>
inline void add_transposed_part(const Rows& X, int64_t begin, int64_t end, const double* r,
                                int64_t K, double* out) {
  for (int64_t i = begin; i < end; ++i) {
    const auto row = X.row(i);
    const double* r_i = r + i * K;
    if (K == 1) {
      const double r = r_i[0];
      for_each(row, [=](int64_t j, auto x) { out[j] += double(x) * r; });
    } else {
      add_row(row, r_i, K, out);
    }
  }
}

inline Status add_transposed(const RowBlock* block, const double* r, int64_t K, double* out,
                             double* work, int32_t n_threads) {
  const int64_t size = block->n_cols * K;
  return with_rows(*block, [&](const auto& X) {
    // Each thread sums its own rows, the first one to `out`; the others' sums are added in their
    // order.
    parallel_parts(block->n_rows, n_threads, [&](int64_t part, int64_t begin, int64_t end) {
      double* mine = part == 0 ? out : work + (part - 1) * size;
      if (part > 0)
        for (int64_t e = 0; e < size; ++e) mine[e] = 0;
      add_transposed_part(X, begin, end, r, K, mine);
    });
    if (n_threads <= 1) return;
    parallel_parts(size, n_threads, [&](int64_t, int64_t begin, int64_t end) {
      for (int32_t part = 1; part < n_threads; ++part)
        for (int64_t e = begin; e < end; ++e) out[e] += work[(part - 1) * size + e];
    });
  });
}

inline Status row_norms(const RowBlock* block, const double* P, double* out, int32_t n_threads) {
  return with_rows(*block, [&](const auto& X) {
    parallel_parts(block->n_rows, n_threads, [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto row = X.row(i);
        double sum = 0;
        for (int64_t p = 0; p < row.size; ++p) {
          const double x = double(row.value(p));
          sum += x * x * (P ? P[row.index(p)] : 1.0);
        }
        out[i] = sum;
      }
    });
  });
}

inline Status column_mass(const RowBlock* block, const double* p, double* out) {
  return with_rows(*block, [&](const auto& X) {
    for (int64_t i = 0; i < block->n_rows; ++i) {
      const auto row = X.row(i);
      for (int64_t e = 0; e < row.size; ++e) out[row.index(e)] += p ? p[i] : 1.0;
    }
  });
}

inline constexpr int64_t kLossRun = 128;  // rows whose losses are taken at once

// Losses that are not coupled: runs of rows, problem by problem. The sums are those of loss_terms.
inline void separate_terms(const Columns* c, const BoundLoss& loss, int64_t begin, int64_t end,
                           const double* z, const double* b, double* u, bool with_curvature,
                           double* sums) {
  const int64_t B = c->n_problems;
  double s[kLossRun], m[kLossRun], y[kLossRun], l[kLossRun], du[kLossRun], h[kLossRun];
  for (int64_t first = begin; first < end; first += kLossRun) {
    const int64_t n = end - first < kLossRun ? end - first : kLossRun;
    for (int64_t q = 0; q < B; ++q) {
      for (int64_t i = 0; i < n; ++i) {
        s[i] = c->weight(first + i, q);
        m[i] = z[(first + i) * B + q] + b[q];
        y[i] = c->targets.at(first + i, q);
      }
      if (c->offset)
        for (int64_t i = 0; i < n; ++i) m[i] += c->offset[(first + i) * B + q];
      loss.terms(m, y, n, l, du, with_curvature ? h : nullptr);
      double value = 0, slope = 0, curvature = 0;
#pragma omp simd reduction(+ : value, slope)
      for (int64_t i = 0; i < n; ++i) {
        value += s[i] * l[i];
        slope += s[i] * du[i];
      }
      sums[q] += value;
      sums[B + q] += slope;
      if (with_curvature) {
#pragma omp simd reduction(+ : curvature)
        for (int64_t i = 0; i < n; ++i) curvature += s[i] * h[i];
        sums[2 * B + q] += curvature;
      }
      if (u)
        for (int64_t i = 0; i < n; ++i) u[(first + i) * B + q] = du[i];
    }
  }
}

inline Status loss_terms(const Columns* c, int64_t n_rows, const double* z, const double* b,
                         double* u, int32_t with_curvature, double* sums, double* work,
                         int32_t n_threads) {
  const BoundLoss loss(*c);
  const int64_t B = c->n_problems, C = c->n_outputs, K = B * C, width = B + K + K * C;
  parallel_parts(n_rows, n_threads, [&](int64_t part, int64_t begin, int64_t end) {
    double* value = sums + part * width;
    double* gradient = value + B;
    double* curvature = gradient + K;
    double* m = work + part * (2 * K + C * C);  // margins of the row
    double* du = m + K;
    double* h = du + K;
    if (!loss.ops.coupled)
      return separate_terms(c, loss, begin, end, z, b, u, with_curvature, value);
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t k = 0; k < K; ++k) m[k] = z[i * K + k] + b[k];
      c->add_offset(i, m);
      for (int64_t q = 0; q < B; ++q) {
        const double y = c->targets.at(i, q), s = c->weight(i, q);
        value[q] += s * loss.value_and_derivative(m + q * C, y, C, du + q * C);
        for (int64_t k = q * C; k < (q + 1) * C; ++k) gradient[k] += s * du[k];
        if (!with_curvature) continue;
        loss.second(m + q * C, y, C, h);
        for (int64_t e = 0; e < C * C; ++e) curvature[q * C * C + e] += s * h[e];
      }
      if (u)
        for (int64_t k = 0; k < K; ++k) u[i * K + k] = du[k];
    }
  });
  return kOk;
}

inline Status loss_curvature(const Columns* c, int64_t n_rows, const double* z, const double* b,
                             double* h, double* work, int32_t n_threads) {
  const BoundLoss loss(*c);
  const int64_t B = c->n_problems, C = c->n_outputs, K = B * C;
  parallel_parts(n_rows, n_threads, [&](int64_t part, int64_t begin, int64_t end) {
    if (!loss.ops.coupled) {  // no scratch: threads would write to one cache line
      for (int64_t i = begin; i < end; ++i)
        for (int64_t q = 0; q < B; ++q) {
          const double m = z[i * B + q] + b[q] + (c->offset ? c->offset[i * B + q] : 0.0);
          loss.second(&m, c->targets.at(i, q), 1, h + i * B + q);
        }
      return;
    }
    double* m = work + part * K;
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t k = 0; k < K; ++k) m[k] = z[i * K + k] + b[k];
      c->add_offset(i, m);
      for (int64_t q = 0; q < B; ++q)
        loss.second(m + q * C, c->targets.at(i, q), C, h + (i * B + q) * C * C);
    }
  });
  return kOk;
}

inline Status loss_gap(const Columns* c, int64_t n_rows, const double* z, const double* b,
                       const double* u, const double* scale, double* out, double* work,
                       int32_t n_threads) {
  const BoundLoss loss(*c);
  const int64_t B = c->n_problems, C = c->n_outputs, K = B * C;
  parallel_parts(n_rows, n_threads, [&](int64_t part, int64_t begin, int64_t end) {
    if (!loss.ops.coupled) {
      for (int64_t q = 0; q < B; ++q) {
        double sum = 0;
        for (int64_t i = begin; i < end; ++i) {
          const double s = c->weight(i, q), y = c->targets.at(i, q);
          const double o = c->offset ? c->offset[i * B + q] : 0.0;
          const double m = z[i * B + q] + b[q] + o, cu = scale[q] * u[i * B + q];
          const double term = loss.value(&m, y, 1) + loss.conjugate(&cu, y, 1) - m * cu;
          sum += s * (term > 0 ? term : 0);
        }
        out[part * B + q] += sum;
      }
      return;
    }
    double* m = work + part * 2 * K;
    double* cu = m + K;
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t q = 0; q < B; ++q) {
        const double y = c->targets.at(i, q), s = c->weight(i, q);
        double inner = 0;
        for (int64_t k = q * C; k < (q + 1) * C; ++k) {
          m[k] = z[i * K + k] + b[k] + (c->offset ? c->offset[i * K + k] : 0.0);
          cu[k] = scale[q] * u[i * K + k];
          inner += m[k] * cu[k];
        }
        const double term = loss.value(m + q * C, y, C) + loss.conjugate(cu + q * C, y, C) - inner;
        out[part * B + q] += s * (term > 0 ? term : 0);
      }
    }
  });
  return kOk;
}

template <class T>
inline void penalty_terms_typed(int64_t n_cols, int64_t K, const T* W, const double* v,
                                const double* l1, const double* l2, const double* own_,
                                const double* c, double* value, double* gap, double* subgradient) {
  const auto* own = reinterpret_cast<const OwnPenalty<double>*>(own_);
  for (int64_t j = 0; j < n_cols; ++j) {
    for (int64_t k = 0; k < K; ++k) {
      const double w = double(W[j * K + k]), v_jk = v[j * K + k];
      double r;
      if (own) {
        value[k] += penalty(w, l1[k], l2[k], own[j]);
        gap[k] += fenchel_young(w, c[k] * v_jk, l1[k], l2[k], own[j]);
        r = off_subdifferential(w, v_jk, l1[k], l2[k], own[j]);
      } else {
        value[k] += penalty(w, l1[k], l2[k]);
        gap[k] += fenchel_young(w, c[k] * v_jk, l1[k], l2[k]);
        r = off_subdifferential(w, v_jk, l1[k], l2[k]);
      }
      subgradient[k] += r * r;
    }
  }
}

inline Status penalty_terms(int32_t dtype, int64_t n_cols, int64_t K, const void* W,
                            const double* v, const double* l1, const double* l2, const double* own,
                            const double* c, double* value, double* gap, double* subgradient) {
  if (dtype == kFloat64)
    penalty_terms_typed(n_cols, K, static_cast<const double*>(W), v, l1, l2, own, c, value, gap,
                        subgradient);
  else
    penalty_terms_typed(n_cols, K, static_cast<const float*>(W), v, l1, l2, own, c, value, gap,
                        subgradient);
  return kOk;
}

}  // namespace fastsum::FASTSUM_LEVEL
