// This is the API any backend must implement. All sums are in float64 whatever the dtype of X
// and of the weights. Kernels allocate nothing, hold no state and take their threads as an
// argument; `work` is scratch of the stated size. (K = n_problems * n_outputs.)
#pragma once
#include "types.hpp"

namespace fastsum {

struct Kernels {
  const char* level;  // "base", "v2", "v3" or "v4"

  // z <- X W + b for W (n_cols + 1, K) of its own dtype; z (n_rows, K).
  Status (*margins)(const RowBlock*, int32_t dtype, const void* W, int64_t K, double* z,
                    int32_t n_threads);

  // out <- out + X' r for r (n_rows, K), out (n_cols, K); work (n_threads - 1, n_cols, K), unused
  // with one thread.
  Status (*add_transposed)(const RowBlock*, const double* r, int64_t K, double* out, double* work,
                           int32_t n_threads);

  // out_i <- sum_j P_j x_ij^2 (null: 1).
  Status (*row_norms)(const RowBlock*, const double* P, double* out, int32_t n_threads);

  // out_j <- out_j + sum over the rows i that hold feature j of p_i (null: 1).
  Status (*column_mass)(const RowBlock*, const double* p, double* out);

  // Loss terms at the margins z + b + o, z (n_rows, K), b (K,), o the offset of the columns. For each of `n_threads` parts, added
  // to sums (n_threads, width): value (B,), gradient in b (K,), curvature in b (B, C, C); all
  // weighted by s_i. u <- l'(z + b) where u is not null. width = B + K + B C C; work
  // (n_threads, 2 K + C C). with_curvature = 0 leaves the last part alone.
  Status (*loss_terms)(const Columns*, int64_t n_rows, const double* z, const double* b, double* u,
                       int32_t with_curvature, double* sums, double* work, int32_t n_threads);

  // h (n_rows, B, C, C) <- l''(z + b + o), not weighted; work (n_threads, K).
  Status (*loss_curvature)(const Columns*, int64_t n_rows, const double* z, const double* b,
                           double* h, double* work, int32_t n_threads);

  // out (n_threads, B) += sum_i s_i [l(m) + l*(c u) - m c u], m = z + b + o, for one c a problem,
  // (B,); terms are >= 0 and clipped there. work (n_threads, 2 K).
  Status (*loss_gap)(const Columns*, int64_t n_rows, const double* z, const double* b,
                     const double* u, const double* c, double* out, double* work,
                     int32_t n_threads);

  // out (n_cols + 1, K) += A' D A V for A = [X, 1], V (n_cols + 1, K) and the weighted curvature D
  // of each row: diag(c) of c (n_rows, K), less c c' / sum(c) where C outputs are coupled. V, out
  // and work (n_threads, (n_cols + 2) K) are of `dtype`, which is also that of the sums.
  Status (*hessian_product)(const RowBlock*, int32_t dtype, const void* V, int64_t n_problems,
                            int64_t n_outputs, const double* c, void* out, void* work,
                            int32_t n_threads);

  // out_jk += sum_i c_ik x_ij^2 for c (n_rows, K), out (n_cols, K); work (n_threads, n_cols, K).
  Status (*add_squares)(const RowBlock*, const double* c, int64_t K, double* out, double* work,
                        int32_t n_threads);

  // counts (n_threads, n_cols) += stored values of each column, by thread; sparse storages.
  Status (*column_counts)(const RowBlock*, int32_t* counts, int32_t n_threads);

  // Rows of ones split into frequent and rare columns: sizes first, then the ids; then
  // out (n_cols + 1,) <- A' D A V, A = [X, 1], D = diag(c), with scratch z (n_rows,) and work
  // (n_threads, n_hot + 1). The ids take work (n_threads, n_cols - n_hot + 1).
  Status (*split_sizes)(const RowBlock*, const SplitRows*, int64_t* hot_sizes, int64_t* rare_sizes,
                        int32_t n_threads);
  Status (*split_fill)(const RowBlock*, const SplitRows*, uint16_t* hot, int32_t* rare_row,
                       int32_t* rare_col, int32_t* work, int32_t n_threads);
  Status (*split_product)(const SplitRows*, const double* V, const double* c, double* out,
                          double* z, double* work, int32_t n_threads);

  // Copies sparse rows: row r of the copy is row order[r] (null: r) with column j renumbered
  // place[j], dropped where that is negative. indptr (n_order + 1,) holds where its rows begin;
  // indices and values (of `dtype`; null for kOnes) are filled.
  Status (*gather_rows)(const RowBlock*, const int64_t* order, int64_t n_order,
                        const int32_t* place, const int64_t* indptr, int32_t* indices, void* values,
                        int32_t dtype, int32_t n_threads);

  // For W and v (n_cols, K), strengths l1, l2 and dual scaling c, all (K,), and f_j, lower_j and
  // upper_j of eq. (65), (n_cols, 3) or null:
  // value_k += h(w), gap_k += h(w) + h*(c v) - c w v, subgradient_k += squared distance of v to
  // the subdifferential of h at w.
  Status (*penalty_terms)(int32_t dtype, int64_t n_cols, int64_t K, const void* W, const double* v,
                          const double* l1, const double* l2, const double* own, const double* c,
                          double* value, double* gap, double* subgradient);

  // Working sets, sparse storages only: column j of X is column place[j] of the copy, none where
  // that is negative. counts_i <- stored values that row i keeps; then indices, ascending in each
  // row, and values (null for kOnes) of a copy with row pointers indptr (n_rows + 1,).
  Status (*count_selected)(const RowBlock*, const int32_t* place, int64_t* counts,
                           int32_t n_threads);
  Status (*gather_columns)(const RowBlock*, const int32_t* place, const int64_t* indptr,
                           int32_t* indices, void* values, int32_t n_threads);

  // H_ab += sum_i weight_i x_ia x_ib for first <= a and b <= a, H (p, p), of the p columns that
  // have a `place`; null: of all, and ids ascend in each row. Sparse storages only. Scratch for
  // places: ids and values, n_threads p each.
  Status (*add_gram)(const RowBlock*, const int32_t* place, const double* weight, int64_t first,
                     int64_t p, double* H, int32_t* ids, double* values, int32_t n_threads);
  // H_ba <- H_ab for first <= a < p and b < a.
  Status (*mirror)(int64_t p, int64_t first, double* H, int32_t n_threads);

  // Coordinate descent on a quadratic (descent.hpp): H (p, p) stored, with a.q kept up to date; or
  // H = A' diag(c) A of columns (p rows that hold those of A) less c_sum mean mean', gradient g at
  // the start and r (n,) = diag(c) A (x - start), where a.q is as last seen.
  Status (*gram_descent)(const double* H, DescentArgs* a);
  // a.gap <- its gap where it stands.
  Status (*descent_gap)(DescentArgs* a);
  // Exact pivots on the same (pivots.hpp): at most `cap` active coordinates; work (cap^2 + 5 cap +
  // 2 p,); a.sweeps counts them.
  Status (*gram_pivots)(const double* H, DescentArgs* a, double* work, int64_t cap);
  // Block coordinate descent on rows of coefficients (row_descent.hpp), H (p, p) stored.
  Status (*row_descent)(const double* H, RowDescentArgs* a);
  Status (*column_descent)(const RowBlock* columns, const double* g, const double* c,
                           const double* mean, double* r, DescentArgs* a);
  // The same for outputs coupled by softmax, where a.q is as last seen too.
  Status (*coupled_descent)(const RowBlock* columns, const double* g, const CoupledArgs* model,
                            DescentArgs* a);

  // One epoch of solvers/svrg_epoch.hpp on sparse rows.
  Status (*svrg_epoch)(const RowBlock*, const EpochArgs* a);
  // One of solvers/dual_epoch.hpp.
  Status (*dual_epoch)(const RowBlock*, DualEpochArgs* a);

  // Runs a.n_steps steps of solver number `solver` (solvers.def) on rows of the block.
  Status (*steps)(int32_t solver, const RowBlock*, const StepArgs* a);
};

// The table in use; chosen once, by select_level or at first use as the best this CPU runs.
const Kernels* kernels() noexcept;
// Chooses a CPU level; false if it is unknown, not built or not supported by this CPU.
bool select_level(const char* level) noexcept;
// The levels built into this library, best first, null past the last; whether this CPU runs one.
const char* built_level(int32_t i) noexcept;
bool level_supported(const char* level) noexcept;

// The registries as data, for Python.
int32_t num_losses() noexcept;
const char* loss_name(int32_t id) noexcept;
bool loss_coupled(int32_t id) noexcept;
double loss_curvature(int32_t id, double param) noexcept;
int32_t num_solvers() noexcept;
const char* solver_name(int32_t id) noexcept;

// One row's loss, for the tests and for scalars in Python: what = 0 value, 1 derivative (C,),
// 2 second derivative (C, C), 3 conjugate of z.
void loss_point(int32_t id, double param, int32_t what, const double* z, double y, int64_t C,
                double* out) noexcept;

// The penalty of one coefficient, for the tests and for scalars in Python: what = 0 value, 1
// conjugate, 2 prox with step t. own: f, lower and upper of eq. (65), or null.
double penalty_point(int32_t what, double x, double l1, double l2, const double* own,
                     double t) noexcept;

// Structure of a CSR block before any kernel sees it.
struct CsrFault {
  int32_t kind;  // 0 none, 1 pointers decrease or do not start at 0, 2 pointer past the end,
                 // 3 column id out of range
  int64_t where;  // row (kinds 1, 2) or position (kind 3)
};
CsrFault find_csr_fault(const int64_t* indptr, int64_t n_rows, const void* indices,
                        int32_t index_bytes, int64_t nnz, int64_t n_cols) noexcept;

// True if column ids increase strictly inside every row: sorted and free of duplicates.
bool rows_increase(const int64_t* indptr, int64_t n_rows, const void* indices,
                   int32_t index_bytes) noexcept;

// True if no row holds a column twice, in whatever order; stamp (n_cols,) is 0 before.
bool columns_differ(const int64_t* indptr, int64_t n_rows, const void* indices, int32_t index_bytes,
                    uint32_t* stamp) noexcept;

int32_t max_threads() noexcept;  // 1 without OpenMP
bool has_openmp() noexcept;

}  // namespace fastsum
