// Gram matrices, and what is done value by value.
#pragma once
#include "threads.hpp"
#include "tile_pass.hpp"

namespace fastsum::device {

inline constexpr int kGramTile = 64, kGramRows = 32;

// Tiles of the lower triangle of A' diag(c) A, A = [X, 1], each from a part of the rows: block
// b is part b % n_parts of tile b / n_parts.
template <class T, class Sum>
struct GramPass {
  TileRows X;
  const double* c;
  int64_t c_stride;
  int32_t n_parts;
  double* partials;  // (n_blocks, kGramTile^2)

  static constexpr int kBytes = (2 * kGramRows * kGramTile + kGramTile * kGramTile) * sizeof(Sum);

  template <class Threads>
  FASTSUM_HD void operator()(const Threads& threads) const {
    int row = 0, column = int(threads.block / n_parts);  // of the tile
    while (column > row) column -= ++row;
    Sum* left = reinterpret_cast<Sum*>(threads.shared);
    Sum* right = left + kGramRows * kGramTile;
    Sum* sums = right + kGramRows * kGramTile;
    double* mine = partials + threads.block * kGramTile * kGramTile;
    threads.each(kGramTile * kGramTile, [&](int e) { sums[e] = 0, mine[e] = 0; });
    const int64_t part = threads.block % n_parts, n_runs = (X.n_rows + kGramRows - 1) / kGramRows;
    const int64_t last = n_runs * (part + 1) / n_parts;
    int in_run = 0;
    for (int64_t run = n_runs * part / n_parts; run < last; ++run) {
      const int64_t begin = run * kGramRows;
      const int rows = X.n_rows - begin < kGramRows ? int(X.n_rows - begin) : kGramRows;
      threads.each(kGramRows * kGramTile, [&](int e) {
        const int i = e / kGramTile, j = e % kGramTile;
        const bool there = i < rows;
        left[e] =
          there ? Sum(c[(begin + i) * c_stride]) * at(begin + i, row * kGramTile + j) : Sum(0);
        right[e] = there ? at(begin + i, column * kGramTile + j) : Sum(0);
      });
      threads.each(kGramTile * kGramTile / (kMicro * kMicro), [&](int e) {
        constexpr int kAcross = kGramTile / kMicro;
        const int a0 = e / kAcross * kMicro, b0 = e % kAcross * kMicro;
        Sum s[kMicro][kMicro] = {};
        for (int i = 0; i < kGramRows; ++i)
          for (int a = 0; a < kMicro; ++a) {
            const Sum x = left[i * kGramTile + a0 + a];
            for (int b = 0; b < kMicro; ++b) s[a][b] += x * right[i * kGramTile + b0 + b];
          }
        for (int a = 0; a < kMicro; ++a)
          for (int b = 0; b < kMicro; ++b) sums[(a0 + a) * kGramTile + b0 + b] += s[a][b];
      });
      if (++in_run == kRun || run + 1 == last) {
        threads.each(kGramTile * kGramTile,
                     [&](int e) { mine[e] += double(sums[e]), sums[e] = 0; });
        in_run = 0;
      }
    }
  }

  // Column d of A is 1, those beyond are 0.
  FASTSUM_HD Sum at(int64_t i, int j) const {
    if (j >= X.n_cols) return Sum(j == X.n_cols);
    return Sum(static_cast<const T*>(X.values)[i * X.stride + j]);
  }
};

// out (block, size) <- (add: +) the sum of the n_parts of each tile.
struct AddTileParts {
  const double* partials;
  int64_t n_parts, size;
  bool add;
  double* out;

  template <class Threads>
  FASTSUM_HD void operator()(const Threads& threads) const {
    const double* mine = partials + threads.block * n_parts * size;
    threads.each(int(size), [&](int e) {
      double* to = out + threads.block * size + e;
      double sum = add ? *to : 0.0;
      for (int64_t part = 0; part < n_parts; ++part) sum += mine[part * size + e];
      *to = sum;
    });
  }
};

// out_ik <- a_k x_ik + b_k y_ik of a run of values a block.
struct Combine {
  int64_t size, K;
  const double *a, *x, *b, *y;
  double* out;

  template <class Threads>
  FASTSUM_HD void operator()(const Threads& threads) const {
    const int64_t first = size * threads.block / threads.n_blocks;
    const int64_t last = size * (threads.block + 1) / threads.n_blocks;
    threads.each(int(last - first), [&](int i) {
      const int64_t at = first + i, k = at % K;
      out[at] = a[k] * x[at] + b[k] * y[at];
    });
  }
};

// first[block] <- the first row of the block's part of X that holds NaN or infinity, or n.
template <class T>
struct FirstNotFinite {
  TileRows X;
  double* first;

  template <class Threads>
  FASTSUM_HD void operator()(const Threads& threads) const {
    const int64_t begin = X.n_rows * threads.block / threads.n_blocks;
    const int64_t end = X.n_rows * (threads.block + 1) / threads.n_blocks;
    double* faults = reinterpret_cast<double*>(threads.shared);
    threads.each(1, [&](int) { first[threads.block] = double(X.n_rows); });
    for (int64_t row = begin; row < end; row += kThreads) {
      const int rows = end - row < kThreads ? int(end - row) : kThreads;
      threads.template sums<float>(
        rows, X.n_cols,
        [&](int i, int j) {
          const auto x = Wide(static_cast<const T*>(X.values)[(row + i) * X.stride + j]);
          return x - x == 0 ? 0.0f : 1.0f;  // NOLINT(misc-redundant-expression)
        },
        [&](int i, float sum) { faults[i] = sum; });
      threads.each(1, [&](int) {
        for (int i = rows - 1; i >= 0; --i)
          if (faults[i] > 0 && first[threads.block] > double(row + i))
            first[threads.block] = double(row + i);
      });
    }
  }
  using Wide = typename FastSum<T>::type;
};

}  // namespace fastsum::device
