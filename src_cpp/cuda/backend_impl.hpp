// backend.hpp over `Platform`: included by backend.cu, and by backend_host.cpp as an emulation.
#pragma once
#include "passes.hpp"

namespace fastsum::device {

std::string why_not() { return Platform::why_not(); }
std::string device_name() { return Platform::name(); }
void memory(int64_t* free, int64_t* total) { Platform::memory(free, total); }
void* allocate(size_t n_bytes) {
  void* p = Platform::allocate(n_bytes);
  Platform::zero(p, n_bytes);
  return p;
}
void release(void* p) noexcept { Platform::release(p); }
void* allocate_pinned(size_t n_bytes) { return Platform::allocate_pinned(n_bytes); }
void release_pinned(void* p) noexcept { Platform::release_pinned(p); }
void copy_in(void* to, const void* from, size_t n) { Platform::copy_in(to, from, n); }
void copy_out(void* to, const void* from, size_t n) { Platform::copy_out(to, from, n); }
void synchronize() { Platform::synchronize(); }

int64_t first_not_finite(const Matrix& X) {
  int64_t found = -1;
  with_type(X.type, [&](auto zero) {
    using T = decltype(zero);
    for_blocks(X, [&](const TileRows& rows) {
      const int64_t n_blocks = Platform::processors() * 4;
      const Scratch first(n_blocks * 8);
      Platform::launch(n_blocks, kThreads * 8, FirstNotFinite<T>{rows, first.values()});
      if (found >= 0) return;
      for (const double row : first.host(n_blocks))
        if (row < double(rows.n_rows) && (found < 0 || rows.first + int64_t(row) < found))
          found = rows.first + int64_t(row);
    });
  });
  return found;
}

void margins(const Matrix& X, int64_t K, const double* W, double* z) {
  const int64_t d = X.n_cols, bytes = bytes_of(X.type);
  const Scratch b(W + d * K, K);
  for_parts(X, K, part_of(d, K, bytes, true, false),
            [&](const Matrix& part, int64_t j, int64_t d, int64_t k, int64_t n) {
              const TileShape shape = fitting(d, n, bytes, 8, true, false, n, 0);
              const Scratch weights(block_of(W, K, j, d, k, n));
              const StoreMargins op{j == 0 ? b.values() + k : nullptr, z, K, k, int32_t(n), j > 0};
              with_type(X.type, [&](auto zero) {
                run_pass<decltype(zero), double, true, false, false>(part, shape, weights.values(),
                                                                     op, nullptr);
              });
            });
}

void transposed(const Matrix& X, int64_t K, const double* r, const double* s, bool squares,
                double* out) {
  const int64_t bytes = bytes_of(X.type);
  for_parts(X, K, part_of(X.n_cols, K, bytes, false, true),
            [&](const Matrix& part, int64_t j, int64_t d, int64_t k, int64_t n) {
              const TileShape shape = fitting(d, n, bytes, 8, false, true, n, 0);
              const Scratch sums(d * n * 8);
              const LoadRows op{r, s, K, k, int32_t(n)};
              with_type(X.type, [&](auto zero) {
                using T = decltype(zero);
                if (squares)
                  run_pass<T, double, false, true, true>(part, shape, nullptr, op, sums.values());
                else
                  run_pass<T, double, false, true, false>(part, shape, nullptr, op, sums.values());
              });
              const std::vector<double> host = sums.host(d * n);
              for (int64_t a = 0; a < d; ++a)
                for (int64_t c = 0; c < n; ++c) out[(j + a) * K + k + c] = host[size_t(a * n + c)];
            });
}

void gradient(const Matrix& X, const Columns& columns, const double* W, double* value,
              double* out) {
  const int64_t d = X.n_cols, B = columns.n_problems, K = B * columns.n_outputs;
  bool fused = false;
  with_type(X.type, [&](auto zero) {
    using T = decltype(zero);
    using Sum = typename FastSum<T>::type;
    const TileShape shape = fitting(d, K, sizeof(T), sizeof(Sum), true, true, 2 * K + B, K + B);
    if (shape.rows == 0) return;
    fused = true;
    const Scratch weights(W, d * K), b(W + d * K, K), sums((d * K + K + B) * 8);
    run_pass<T, Sum, true, true, false>(X, shape, weights.values(),
                                        LossGradient{columns, b.values()}, sums.values());
    const std::vector<double> host = sums.host(d * K + K + B);
    for (int64_t e = 0; e < (d + 1) * K; ++e) out[e] = host[size_t(e)];
    for (int64_t q = 0; q < B; ++q) value[q] = host[size_t((d + 1) * K + q)];
  });
  if (fused) return;
  const Scratch z(X.n_rows * K * 8), u(X.n_rows * K * 8);
  margins(X, K, W, z.values());
  std::vector<double> sums(size_t(B + K + K * columns.n_outputs)), zero(static_cast<size_t>(K));
  loss_terms(columns, X.n_rows, z.values(), zero.data(), u.values(), false, sums.data());
  for (int64_t q = 0; q < B; ++q) value[q] = sums[size_t(q)];
  for (int64_t k = 0; k < K; ++k) out[d * K + k] = sums[size_t(B + k)];
  transposed(X, K, u.values(), columns.sample_weight, false, out);
}

void hessian_product(const Matrix& X, int64_t n_problems, int64_t n_outputs, const double* c,
                     const double* V, double* out) {
  const int64_t d = X.n_cols, K = n_problems * n_outputs;
  const Scratch v(V + d * K, K);
  const TimesCurvature op{c, v.values(), int32_t(n_problems), int32_t(n_outputs)};
  bool fused = false;
  with_type(X.type, [&](auto zero) {
    using T = decltype(zero);
    using Sum = typename FastSum<T>::type;
    const TileShape shape = fitting(d, K, sizeof(T), sizeof(Sum), true, true, K, K);
    if (shape.rows == 0) return;
    fused = true;
    const Scratch weights(V, d * K), sums((d + 1) * K * 8);
    run_pass<T, Sum, true, true, false>(X, shape, weights.values(), op, sums.values());
    Platform::copy_out(out, sums.p, size_t((d + 1) * K * 8));
  });
  if (fused) return;
  const Scratch z(X.n_rows * K * 8), last(K * 8);
  std::vector<double> weights(V, V + (d + 1) * K);
  for (int64_t k = 0; k < K; ++k) weights[size_t(d * K + k)] = 0;  // the op adds the intercepts
  margins(X, K, weights.data(), z.values());
  run_rows(X.n_rows, Stored<TimesCurvature>{op, z.values(), z.values(), int32_t(K)}, K, K,
           last.values());
  Platform::copy_out(out + d * K, last.p, size_t(K * 8));
  transposed(X, K, z.values(), nullptr, false, out);
}

void gram(const Matrix& X, const double* c, int64_t stride, double* H) {
  const int64_t d = X.n_cols + 1, side = (d + kGramTile - 1) / kGramTile;
  const int64_t n_tiles = side * (side + 1) / 2, n_runs = (X.n_rows + kGramRows - 1) / kGramRows;
  int64_t parts = 4 * Platform::processors() / n_tiles;
  parts = parts < 1 ? 1 : parts > n_runs ? n_runs : parts;
  const int64_t size = kGramTile * kGramTile;
  const Scratch sums(n_tiles * size * 8);
  with_type(X.type, [&](auto zero) {
    using T = decltype(zero);
    using Pass = GramPass<T, typename FastSum<T>::type>;
    for_blocks(X, [&](const TileRows& rows) {
      const Scratch partials(n_tiles * parts * size * 8);
      const Pass body{rows, c + rows.first * stride, stride, int32_t(parts), partials.values()};
      Platform::launch(n_tiles * parts, Pass::kBytes, body);
      // the parts of a tile lie side by side
      const AddTileParts add{partials.values(), parts, size, rows.first > 0, sums.values()};
      Platform::launch(n_tiles, 0, add);
    });
  });
  const std::vector<double> host = sums.host(n_tiles * size);
  int64_t tile = 0;
  for (int64_t row = 0; row < side; ++row)
    for (int64_t column = 0; column <= row; ++column, ++tile)
      for (int64_t e = 0; e < size; ++e) {
        const int64_t a = row * kGramTile + e / kGramTile, b = column * kGramTile + e % kGramTile;
        if (a < d && b < d) H[a * d + b] = H[b * d + a] = host[size_t(tile * size + e)];
      }
}

void loss_terms(const Columns& columns, int64_t n, const double* z, const double* b, double* u,
                bool with_curvature, double* sums) {
  const int64_t B = columns.n_problems, C = columns.n_outputs, K = B * C;
  const int64_t n_summed = K + B + (with_curvature ? K * C : 0);
  const Scratch shift(b, K), out(n_summed * 8);
  run_rows(n, LossTerms{columns, z, shift.values(), u, with_curvature}, n_summed + 2 * K, n_summed,
           out.values());
  const std::vector<double> host = out.host(n_summed);
  for (int64_t q = 0; q < B; ++q) sums[q] = host[size_t(K + q)];
  for (int64_t k = 0; k < K; ++k) sums[B + k] = host[size_t(k)];
  for (int64_t e = 0; e < K * C; ++e)
    sums[B + K + e] = with_curvature ? host[size_t(K + B + e)] : 0.0;
}

void loss_gap(const Columns& columns, int64_t n, const double* z, const double* b, const double* u,
              const double* scale, double* sums) {
  const int64_t B = columns.n_problems, K = B * columns.n_outputs;
  const Scratch shift(b, K), factors(scale, B), out(B * 8);
  run_rows(n, LossGap{columns, z, shift.values(), u, factors.values()}, B + 2 * K, B, out.values());
  Platform::copy_out(sums, out.p, size_t(B * 8));
}

void curvature(const Columns& columns, int64_t n, const double* z, const double* b, double factor,
               double* c) {
  const int64_t B = columns.n_problems, K = B * columns.n_outputs;
  const Scratch shift(b, K);
  run_rows(n, StoreCurvature{columns, z, shift.values(), factor, c}, 3 * K + B, 0, nullptr);
}

void combine(int64_t n, int64_t K, const double* a, const double* x, const double* b,
             const double* y, double* out) {
  const Scratch first(a, K), second(b, K);
  int64_t n_blocks = (n * K + (1 << 16) - 1) >> 16;
  Platform::launch(n_blocks, 0, Combine{n * K, K, first.values(), x, second.values(), y, out});
}

void inner(int64_t n, int64_t K, const double* x, const double* y, const double* s, double* sums) {
  const Scratch out(K * 8);
  run_rows(n, Products{x, y, s, int32_t(K)}, K, K, out.values());
  Platform::copy_out(sums, out.p, size_t(K * 8));
}

}  // namespace fastsum::device
