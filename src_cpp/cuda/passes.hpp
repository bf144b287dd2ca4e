// The passes of backend.hpp, written once for a device and for its emulation (`Platform`): what fits
// where, blocks of rows, launches, and sums of partial sums.
#pragma once
#include <memory>
#include <vector>

#include "backend.hpp"
#include "row_ops.hpp"
#include "small_passes.hpp"
#include "tile_pass.hpp"

namespace fastsum::device {

inline constexpr int32_t kFewRows = 8;  // of a tile, where there is room

// Memory of the device that lasts as long as this.
struct Scratch {
  void* p;
  explicit Scratch(int64_t n_bytes) : p(Platform::allocate(size_t(n_bytes))) {}
  explicit Scratch(const std::vector<double>& values) : Scratch(int64_t(values.size()) * 8) {
    Platform::copy_in(p, values.data(), values.size() * 8);
  }
  Scratch(const double* host, int64_t n) : Scratch(n * 8) {
    Platform::copy_in(p, host, size_t(n) * 8);
  }
  ~Scratch() { Platform::release(p); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  double* values() const { return static_cast<double*>(p); }
  std::vector<double> host(int64_t n) const {
    std::vector<double> out(static_cast<size_t>(n));
    Platform::copy_out(out.data(), p, size_t(n) * 8);
    return out;
  }
};

inline TileRows tile_rows(const Matrix& X, const void* values, int64_t first, int64_t n,
                          int64_t stride) {
  const int64_t size = bytes_of(X.type);
  const bool aligned = reinterpret_cast<uintptr_t>(values) % 16 == 0 && stride * size % 16 == 0 &&
                       X.n_cols * size % 16 == 0;
  return {values, first, n, stride, int32_t(X.n_cols), aligned};
}

// Calls f(rows) for all rows of X, in turn: at once where they lie on the device, else block by
// block, the next one on its way while one is passed over.
template <class F>
inline void for_blocks(const Matrix& X, F&& f) {
  if (!X.on_host) return f(tile_rows(X, X.values, 0, X.n_rows, X.stride));
  const int64_t size = bytes_of(X.type), width = X.n_cols * size;
  int64_t rows = Platform::sent() / (width > 0 ? width : 1);
  rows = rows < 1 ? 1 : rows > X.n_rows ? X.n_rows : rows;
  const Scratch first(rows * width), second(rows * width);
  Platform::synchronize();  // the memory is there, whatever the stream of the copies
  void* buffers[2] = {first.p, second.p};
  const auto send = [&](int64_t begin, int slot) {
    const int64_t n = X.n_rows - begin < rows ? X.n_rows - begin : rows;
    const char* from = static_cast<const char*>(X.values) + begin * X.stride * size;
    Platform::copy_ahead(slot, buffers[slot], from, size_t(X.stride * size), size_t(width),
                         size_t(n));
  };
  send(0, 0);
  int slot = 0;
  for (int64_t begin = 0; begin < X.n_rows; begin += rows, slot ^= 1) {
    if (begin + rows < X.n_rows) send(begin + rows, slot ^ 1);
    Platform::await_copy(slot);
    const int64_t n = X.n_rows - begin < rows ? X.n_rows - begin : rows;
    f(tile_rows(X, buffers[slot], begin, n, X.n_cols));
    Platform::done_with(slot);
  }
  Platform::synchronize();  // before the buffers go
}

// out (size,) <- or += the sums of the blocks.
inline void add_partials(const Scratch& partials, int64_t n, int64_t size, bool add, double* out) {
  const AddPartials body{partials.values(), n, size, add, out};
  Platform::launch((size + kThreads - 1) / kThreads, 0, body);
}

// The largest tile that fits, rows = 0 if none does.
inline TileShape fitting(int64_t d, int64_t K, int64_t value_bytes, int64_t sum_bytes, bool margins,
                         bool sums, int64_t width, int64_t n_summed) {
  const int64_t most = Platform::most_shared();
  TileShape none{};
  if (d * K > (int64_t(1) << 24) || width > (1 << 20)) return none;
  for (int32_t rows = kMostRows; rows >= 1; rows /= 2) {
    const bool small = rows * d * value_bytes <= kTileBytes || rows <= kFewRows;
    const TileShape t =
      tile_shape(rows, int32_t(d), int32_t(K), int32_t(value_bytes), int32_t(sum_bytes), margins,
                 sums, int32_t(width), int32_t(n_summed));
    if (small && t.bytes <= most) return t;
  }
  return none;
}

// One pass over X in tiles of `shape`; out (d K + n_summed) on the device <- its sums.
template <class T, class Sum, bool kMargins, bool kSums, bool kSquares, class Op>
inline void run_pass(const Matrix& X, const TileShape& shape, const double* W, const Op& op,
                     double* out) {
  const int64_t size = (kSums ? int64_t(shape.d) * shape.K : 0) + shape.n_summed;
  for_blocks(X, [&](const TileRows& rows) {
    const int64_t n_tiles = (rows.n_rows + shape.rows - 1) / shape.rows;
    int64_t n_blocks = Platform::processors() * Platform::blocks_a_processor(shape.bytes);
    if (n_blocks > n_tiles) n_blocks = n_tiles;
    const Scratch partials(n_blocks * size * 8);
    const TilePass<T, Sum, kMargins, kSums, kSquares, Op> body{rows, shape, W, partials.values(),
                                                               op};
    Platform::launch(n_blocks, shape.bytes, body);
    if (size > 0) add_partials(partials, n_blocks, size, rows.first > 0, out);
  });
}

// A pass over values of a row that are known already, without X.
template <class Op>
inline void run_rows(int64_t n, const Op& op, int64_t width, int64_t n_summed, double* out) {
  const TileShape shape = fitting(0, 0, 8, 8, false, false, width, n_summed);
  if (shape.rows == 0)
    throw Error(Fault::kOther, "so many outputs of one row do not fit the device's shared memory");
  const Matrix none{nullptr, kF64, n, 0, 0, false};
  run_pass<double, double, false, false, false>(none, shape, nullptr, op, out);
}

// A part of W or of the sums: columns of X and of the weights that fit a pass together.
struct Part {
  int64_t d, K;
};

inline Part part_of(int64_t d, int64_t K, int64_t value_bytes, bool margins, bool sums) {
  Part part{d, K};
  while (fitting(part.d, part.K, value_bytes, 8, margins, sums, part.K, 0).rows == 0) {
    if (part.K > 8)
      part.K = (part.K / 2 + 3) / 4 * 4;
    else
      part.d = (part.d / 2 + 63) / 64 * 64;
  }
  return part;
}

inline Matrix columns_of(const Matrix& X, int64_t first, int64_t n) {
  Matrix part = X;
  part.values = static_cast<const char*>(X.values) + first * bytes_of(X.type);
  part.n_cols = n;
  return part;
}

// Calls f(X's columns, j, d, k, K) for all parts of (d, K).
template <class F>
inline void for_parts(const Matrix& X, int64_t K, const Part& part, F&& f) {
  for (int64_t j = 0; j < X.n_cols; j += part.d) {
    const int64_t d = X.n_cols - j < part.d ? X.n_cols - j : part.d;
    for (int64_t k = 0; k < K; k += part.K)
      f(columns_of(X, j, d), j, d, k, K - k < part.K ? K - k : part.K);
  }
}

// The rows [j, j + d) and columns [k, k + n) of values (., K).
inline std::vector<double> block_of(const double* values, int64_t K, int64_t j, int64_t d,
                                    int64_t k, int64_t n) {
  std::vector<double> out(static_cast<size_t>(d * n));
  for (int64_t a = 0; a < d; ++a)
    for (int64_t c = 0; c < n; ++c) out[size_t(a * n + c)] = values[(j + a) * K + k + c];
  return out;
}

}  // namespace fastsum::device
