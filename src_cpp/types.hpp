// The border between Python and C++: plain structs of pointers and sizes, filled by
// fastsum/_core and read by every backend. No ownership, no allocation, no exceptions.
#pragma once
#include <cstdint>

#include "portable.hpp"

namespace fastsum {

// What a kernel returns. fastsum/_core turns anything but kOk into one exception.
enum Status : int32_t {
  kOk = 0,
  kUnsupported = 1,  // this storage, dtype or loss has no kernel
};

enum Dtype : int32_t { kFloat32 = 0, kFloat64 = 1 };

// How the rows of a block are stored.
enum Storage : int32_t {
  kDense = 0,  // row-major values, `stride` elements from one row to the next
  kCsr = 1,    // values and column ids between indptr[i] and indptr[i + 1]
  kOnes = 2,   // CSR whose stored values are all 1: no values array (4 bytes a non-zero)
};

// A block of consecutive rows of X, (n_rows, n_cols).
struct RowBlock {
  int32_t storage;
  int32_t dtype;
  int64_t n_rows;
  int64_t n_cols;
  int64_t stride;          // dense only
  const void* values;      // dtype; null for kOnes
  const int32_t* indices;  // null for kDense
  const int64_t* indptr;   // (n_rows + 1,); null for kDense
};

// Rows of ones, frequent columns by row and rare ones by column (omp/split.hpp).
struct SplitRows {
  int64_t n_rows;
  int64_t n_cols;
  int64_t n_hot;              // columns [0, n_hot) are by row
  int64_t n_parts;  // part p has the rows [n_rows p / n_parts, n_rows (p + 1) / n_parts)
  const int64_t* hot_indptr;  // (n_rows + 1,)
  const uint16_t* hot;
  const int64_t* rare_indptr;  // (n_parts + 1,); within a part by column, then by row
  const int32_t* rare_row;  // within its part
  const int32_t* rare_col;
  const int64_t* rare_bounds;  // (n_threads + 1,): the rare columns of each thread, n_hot to n_cols
};

// What column k of a problem sees as the label of row i.
enum TargetKind : int32_t {
  kShared = 0,  // y[i]
  kOneVsRest = 1,  // +1 if y[i] == problem, else -1
  kMulti = 2,  // y[i * stride + problem]
};

struct Targets {
  const double* y;
  int64_t stride;
  int32_t kind;

  // Inlined: a copy of its own would be one for all CPU levels (tests/cpp/check_symbols.py).
  [[gnu::always_inline]] FASTSUM_HD double at(int64_t row, int64_t problem) const {
    switch (kind) {
      case kOneVsRest:
        return y[row] == static_cast<double>(problem) ? 1.0 : -1.0;
      case kMulti:
        return y[row * stride + problem];
      default:
        return y[row];
    }
  }
};

// The K axis of a block of rows: K = n_problems * n_outputs columns of margins.
struct Columns {
  int64_t n_problems;  // B: independent problems (one-vs-rest classes, targets, folds)
  int64_t n_outputs;  // C: outputs coupled inside one loss (softmax)
  Targets targets;
  const double* sample_weight;  // s_i, (n_rows,), or s_ib, (n_rows, B); null means all ones
  int64_t weight_stride;  // 1, or B where each problem has weights of its own
  int32_t loss;  // index in losses.def
  double loss_param;  // its parameter; of no meaning if it has none
  const double* offset;  // o, (n_rows, K); null means 0

  // z_k <- z_k + o_ik, where the margins x_i' w + b of a row become what its loss is taken at.
  [[gnu::always_inline]] FASTSUM_HD void add_offset(int64_t row, double* z) const {
    if (!offset) return;
    const int64_t K = n_problems * n_outputs;
    for (int64_t k = 0; k < K; ++k) z[k] += offset[row * K + k];
  }
  // s_ib of row i and problem b.
  [[gnu::always_inline]] FASTSUM_HD double weight(int64_t row, int64_t problem) const {
    if (!sample_weight) return 1.0;
    return sample_weight[weight_stride > 1 ? row * weight_stride + problem : row];
  }
};

// One call of a per-sample solver over a sequence of rows of one block. Per-row arrays are
// offset to the block by the caller. (d + 1, K) arrays hold the intercept in their last row.
struct StepArgs {
  Columns columns;
  const int64_t* order;  // (n_steps,) rows of the block to visit
  int64_t n_steps;
  double total_weight;  // S
  const double* q;  // importance correction 1 / p_i, (n_rows,); null: uniform `q_uniform`
  double q_uniform;  // 1 / p when p_i is the same for all rows
  double intercept_curvature;  // c^2 of eq. (15); 0 keeps the intercept where it is
  // Arrays of the block's dtype:
  const void* density;  // P_j D_j of eq. (11), (n_cols,); null means all ones
  const void* scale;  // P_j, the diagonal preconditioner, (n_cols,); null means all ones
  const void* step;  // gamma_k, (K,)
  const void* l1;  // alpha_k l1_ratio_k, (K,)
  const void* l2;  // alpha_k (1 - l1_ratio_k), (K,)
  const void* own;  // f_j, lower_j and upper_j of eq. (65), (n_cols, 3); null: 1, -inf, inf
  const void* ridge;  // more of l2 that no f_j scales, (K,); read where `own` is given
  const void* row_l1;  // (K,): of a penalty of rows of coefficients, eq. (77), beside which l1 and
  const void* row_l2;  // l2 are 0; null where there is none
  void* vectors[8];  // (d + 1, K) state arrays, as the solver's header lists them
  void* tables[4];  // (n_rows, K) state arrays
  double* work;  // (10 K,) scratch
  const double* parameters[8];  // (K,) each, as the solver's header lists them
  const double* sequences[4];  // of the size that the solver's header says
  const double* per_row[2];  // (n_rows,) each, as the solver's header lists them
  int64_t* visits;  // (d,) of lazy updates: the step that last changed a column
  int64_t time;  // steps made before the first of this call
  int32_t n_threads;  // of a solver that has several; work is (n_threads, 5 K) then
};

// One call of coordinate descent on a quadratic (descent.hpp).
struct DescentArgs {
  int64_t p;  // coordinates
  double l1, l2;
  const double* own;  // f_j, lower_j and upper_j of eq. (65), (p, 3); null: 1, -inf, inf
  const double* diagonal;  // H_jj
  double* x;
  double* q;  // gradient of the quadratic without its penalty
  double size;  // mean square of the residuals of the least squares problem behind it
  double target;  // gap wanted
  double share;  // of all that was gained: what a full sweep must gain to go on
  int64_t most;  // sweeps allowed
  int32_t* active;  // (p,) scratch
  double gap;  // out: duality gap reached
  int64_t sweeps;  // out: sweeps made
};

// One call of block coordinate descent on rows of coefficients (row_descent.hpp).
struct RowDescentArgs {
  int64_t p, C;  // rows, coefficients of each
  double l1, l2;
  double* x;  // (p, C)
  double* q;  // (p, C): gradient of the quadratic without its penalty
  double target;  // what a sweep must promise to gain for another one
  int64_t most;  // sweeps allowed
  double* work;  // (C,)
  int64_t sweeps;  // out: sweeps made
};

// The quadratic of coordinates in C outputs coupled by softmax (descent.hpp).
struct CoupledArgs {
  int64_t n;
  const int32_t *column, *output;  // (p,) of each coordinate
  const double* c;  // weighted curvature, (C, n)
  const double* inverse;  // 1 / its sum over the outputs, (n,)
  double* z;  // (C, n)
  double* m;  // (n,)
};

// One epoch of preconditioned SVRG, see solvers/svrg_epoch.hpp. Arrays of the block's dtype unless
// typed here; (n_rows,) arrays are of the whole block.
struct EpochArgs {
  Columns columns;  // K = 1
  const int64_t* order;
  int64_t n_steps;
  const double* correction;  // c_i = s_i q_i / S, (n_rows,)
  const void* snapshot_derivatives;  // (n_rows,)
  void* packed;  // (n_threads, d + 1, 4): w, rate, shift, shrink
  void* base;  // (d + 1,): w, where the sum of all threads' changes goes
  const void* damping;  // (d + 1,)
  int64_t n_merges;
  int32_t n_threads;
};

// One epoch of dual coordinate ascent, see solvers/dual_epoch.hpp.
struct DualEpochArgs {
  Columns columns;  // K = 1
  const int64_t* order;
  int64_t n_steps;
  const double* q;  // (n_rows,)
  double per_l2, per_rho;  // 1 / (S l2), 1 / (S rho); 0 keeps the intercept where it is
  double* u;  // (n_rows,)
  void* weights;  // (d + 1,), of the block's dtype
  double gap;  // out: about the duality gap on the way, times S
};

}  // namespace fastsum
