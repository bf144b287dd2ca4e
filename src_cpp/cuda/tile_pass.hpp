// A pass over the rows of X in tiles that stay on chip: the margins of the rows of a tile, what `Op`
// makes of them, and X' of that, all of one read of X.
#pragma once
#include "threads.hpp"
#include "values.hpp"

namespace fastsum::device {

inline constexpr int kTileBytes = 32 << 10;  // several blocks a processor hide each other's loads
inline constexpr int kMostRows = 128;
inline constexpr int kRun = 32;  // tiles whose sums are added in the arithmetic of the pass
inline constexpr int kMicro = 4;  // rows or columns of a register tile

struct TileRows {
  const void* values;
  int64_t first, n_rows, stride;  // first: the number of the first of these rows
  int32_t n_cols;
  bool aligned;  // to 16 bytes, with all rows
};

// Shapes of a pass, and where things lie in shared memory.
struct TileShape {
  int32_t rows;  // of a tile
  int32_t d, K;  // columns of X, of the weights
  int32_t pitch;  // values from one row of the tile to the next
  int32_t width;  // float64 scratch of a row: what Op works in
  int32_t n_summed;  // of its first values, what is summed over the rows
  int32_t groups;  // of the rows of a tile, each with its own sums, where columns are few
  int32_t weights, sums, totals, scratch, slopes, bytes;  // offsets in shared memory
};

inline int32_t above(int64_t n, int64_t step) { return int32_t((n + step - 1) / step); }

inline TileShape tile_shape(int32_t rows, int32_t d, int32_t K, int32_t value_bytes,
                            int32_t sum_bytes, bool with_margins, bool with_sums, int32_t width,
                            int32_t n_summed) {
  TileShape t{rows, d, K, 0, width, n_summed, 1, 0, 0, 0, 0, 0, 0};
  t.pitch = K > 1 ? above(int64_t(d) * value_bytes, 16) * 16 / value_bytes + 16 / value_bytes : d;
  if (K == 1 && d > 0) t.groups = kThreads / d > 1 ? kThreads / d : 1;
  if (t.groups > rows) t.groups = rows;
  int64_t at = with_margins || with_sums ? int64_t(rows) * t.pitch * value_bytes : 0;
  const auto take = [&](int32_t* place, int64_t n_bytes) {
    at = int64_t(above(at, 16)) * 16;
    *place = int32_t(at);
    at += n_bytes;
  };
  take(&t.weights, with_margins ? int64_t(d) * K * sum_bytes : 0);
  take(&t.sums, with_sums ? int64_t(t.groups) * d * K * sum_bytes : 0);
  take(&t.totals, int64_t(n_summed) * 8);
  take(&t.scratch, int64_t(rows) * width * 8);
  take(&t.slopes, with_sums ? int64_t(rows) * K * sum_bytes : 0);
  t.bytes = at > INT32_MAX ? INT32_MAX : int32_t(at);
  return t;
}

// kSquares: X' of the squares of X.
template <class T, class Sum, bool kMargins, bool kSums, bool kSquares, class Op>
struct TilePass {
  TileRows X;
  TileShape shape;
  const double* W;  // (d, K), where kMargins
  double* partials;  // (n_blocks, d K + n_summed): the sums of each block
  Op op;  // op(i, z): z (width,) holds the margins of row i, where kMargins

  template <class Threads>
  FASTSUM_HD void operator()(const Threads& threads) const {
    const TileShape& t = shape;
    double* totals = reinterpret_cast<double*>(threads.shared + t.totals);
    double* z = reinterpret_cast<double*>(threads.shared + t.scratch);
    Sum* weights = reinterpret_cast<Sum*>(threads.shared + t.weights);
    Sum* sums = reinterpret_cast<Sum*>(threads.shared + t.sums);
    Sum* r = reinterpret_cast<Sum*>(threads.shared + t.slopes);
    double* mine = partials + threads.block * (int64_t(kSums ? t.d * t.K : 0) + t.n_summed);
    if constexpr (kMargins) threads.each(t.d * t.K, [&](int e) { weights[e] = Sum(W[e]); });
    if constexpr (kSums) {
      threads.each(t.groups * t.d * t.K, [&](int e) { sums[e] = 0; });
      threads.each(t.d * t.K, [&](int e) { mine[e] = 0; });
    }
    threads.each(t.n_summed, [&](int e) { totals[e] = 0; });
    const int64_t n_tiles = (X.n_rows + t.rows - 1) / t.rows;
    const int64_t last = n_tiles * (threads.block + 1) / threads.n_blocks;
    int in_run = 0;
    for (int64_t tile = n_tiles * threads.block / threads.n_blocks; tile < last; ++tile) {
      const int64_t begin = tile * t.rows, left = X.n_rows - begin;
      const int rows = left < t.rows ? int(left) : t.rows;
      if constexpr (kMargins || kSums) load(threads, begin, rows);
      if constexpr (kMargins) margins(threads, rows, weights, z);
      threads.each(rows, [&](int i) {
        double* z_i = z + i * t.width;
        op(X.first + begin + i, z_i);
        if constexpr (kSums)
          for (int k = 0; k < t.K; ++k) r[i * t.K + k] = Sum(z_i[k]);
      });
      threads.template sums<double>(
        t.n_summed, rows, [&](int e, int i) { return z[i * t.width + e]; },
        [&](int e, double sum) { totals[e] += sum; });
      if constexpr (kSums) {
        add(threads, rows, r, sums);
        if (++in_run == kRun || tile + 1 == last) flush(threads, sums, mine), in_run = 0;
      }
    }
    double* mine_totals = mine + (kSums ? t.d * t.K : 0);
    threads.each(t.n_summed, [&](int e) { mine_totals[e] = totals[e]; });
  }

  // The rows from `begin` on, to the start of shared memory.
  template <class Threads>
  FASTSUM_HD void load(const Threads& threads, int64_t begin, int rows) const {
    const TileShape& t = shape;
    const T* from = static_cast<const T*>(X.values) + begin * X.stride;
    T* tile = reinterpret_cast<T*>(threads.shared);
    if (!X.aligned) {
      threads.each(rows * t.d, [&](int e) {
        const int i = e / t.d, j = e % t.d;
        tile[i * t.pitch + j] = from[i * X.stride + j];
      });
      return;
    }
    const int whole = X.stride == t.pitch ? rows : 1;  // rows in one run of bytes
    const int per_run = whole * t.d * int(sizeof(T)) / 16, n = per_run * (rows / whole);
    const char* bytes = reinterpret_cast<const char*>(from);
    threads.copy(n, [&](int e, const char** source, char** target) {
      const int i = whole > 1 ? 0 : e / per_run, p = whole > 1 ? e : e % per_run;
      *source = bytes + int64_t(sizeof(T)) * i * X.stride + 16 * p;
      *target = threads.shared + int(sizeof(T)) * i * t.pitch + 16 * p;
    });
  }

  // z_ik <- sum_j x_ij w_jk. One column: a sum of lanes a row. More: register tiles of rows and
  // columns.
  template <class Threads>
  FASTSUM_HD void margins(const Threads& threads, int rows, const Sum* weights, double* z) const {
    const TileShape& t = shape;
    const T* tile = reinterpret_cast<const T*>(threads.shared);
    if (t.K == 1) {
      threads.template sums<Sum>(
        rows, t.d, [&](int i, int j) { return Sum(tile[i * t.pitch + j]) * weights[j]; },
        [&](int i, Sum sum) { z[i * t.width] = double(sum); });
      return;
    }
    const int across = (t.K + kMicro - 1) / kMicro, down = (rows + kMicro - 1) / kMicro;
    threads.each(across * down, [&](int e) {
      const int i0 = e / across * kMicro, k0 = e % across * kMicro;
      Sum s[kMicro][kMicro] = {};
      for (int j = 0; j < t.d; ++j) {
        Sum w[kMicro];
        for (int c = 0; c < kMicro; ++c) w[c] = weights[j * t.K + within(k0 + c, t.K)];
        for (int a = 0; a < kMicro; ++a) {
          const Sum x = Sum(tile[within(i0 + a, rows) * t.pitch + j]);
          for (int c = 0; c < kMicro; ++c) s[a][c] += x * w[c];
        }
      }
      for (int a = 0; a < kMicro; ++a)
        for (int c = 0; c < kMicro; ++c)
          if (i0 + a < rows && k0 + c < t.K) z[(i0 + a) * t.width + k0 + c] = double(s[a][c]);
    });
  }

  // sums_jk += sum_i x_ij r_ik over the rows of the tile.
  template <class Threads>
  FASTSUM_HD void add(const Threads& threads, int rows, const Sum* r, Sum* sums) const {
    const TileShape& t = shape;
    const T* tile = reinterpret_cast<const T*>(threads.shared);
    if (t.K == 1) {
      threads.each(t.groups * t.d, [&](int e) {
        const int group = e / t.d, j = e % t.d;
        Sum s = 0;
        for (int i = group; i < rows; i += t.groups) s += value(tile[i * t.pitch + j]) * r[i];
        sums[e] += s;
      });
      return;
    }
    const int across = (t.K + kMicro - 1) / kMicro, down = (t.d + kMicro - 1) / kMicro;
    threads.each(across * down, [&](int e) {
      const int j0 = e / across * kMicro, k0 = e % across * kMicro;
      Sum s[kMicro][kMicro] = {};
      for (int i = 0; i < rows; ++i) {
        Sum slope[kMicro];
        for (int c = 0; c < kMicro; ++c) slope[c] = r[i * t.K + within(k0 + c, t.K)];
        for (int a = 0; a < kMicro; ++a) {
          const Sum x = value(tile[i * t.pitch + within(j0 + a, t.d)]);
          for (int c = 0; c < kMicro; ++c) s[a][c] += x * slope[c];
        }
      }
      for (int a = 0; a < kMicro; ++a)
        for (int c = 0; c < kMicro; ++c)
          if (j0 + a < t.d && k0 + c < t.K) sums[(j0 + a) * t.K + k0 + c] += s[a][c];
    });
  }

  // The sums of a run, of all groups, to those of the block.
  template <class Threads>
  FASTSUM_HD void flush(const Threads& threads, Sum* sums, double* mine) const {
    const int size = shape.d * shape.K;
    threads.each(size, [&](int e) {
      double sum = 0;
      for (int group = 0; group < shape.groups; ++group) {
        sum += double(sums[group * size + e]);
        sums[group * size + e] = 0;
      }
      mine[e] += sum;
    });
  }

  FASTSUM_HD static int within(int i, int n) { return i < n ? i : n - 1; }
  FASTSUM_HD static Sum value(T x) { return kSquares ? Sum(x) * Sum(x) : Sum(x); }
};

// out_e <- (add: out_e +) sum over the blocks of partials (n_blocks, size).
struct AddPartials {
  const double* partials;
  int64_t n_partials, size;
  bool add;
  double* out;

  template <class Threads>
  FASTSUM_HD void operator()(const Threads& threads) const {
    const int64_t first = threads.block * kThreads, left = size - first;
    threads.each(left < kThreads ? int(left) : kThreads, [&](int i) {
      double sum = add ? out[first + i] : 0.0;
      for (int64_t p = 0; p < n_partials; ++p) sum += partials[p * size + first + i];
      out[first + i] = sum;
    });
  }
};

}  // namespace fastsum::device
