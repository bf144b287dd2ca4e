// One CPU level of the backend: compiled once for each of base, v2, v3 and v4 with that level's
// instructions (meson.build) and FASTSUM_LEVEL set to its name. Everything here is inside
// namespace fastsum::<level>; nothing of std:: with linkage may be used, or the linker could
// keep a copy made of instructions that another CPU lacks (tests/cpp/check_symbols.py).
#include <type_traits>

#include "../descent.hpp"
#include "../kernels.hpp"
#include "../pivots.hpp"
#include "../row_descent.hpp"
#include "../solvers/dual_epoch.hpp"
#include "../solvers/svrg_epoch.hpp"
#include "curvature.hpp"
#include "gram.hpp"
#include "passes.hpp"
#include "prepare.hpp"
#include "split.hpp"

#define FASTSUM_TEXT_(x) #x
#define FASTSUM_TEXT(x) FASTSUM_TEXT_(x)

namespace fastsum::FASTSUM_LEVEL {

// In hot.cpp, compiled beside this file.
Status steps(int32_t solver, const RowBlock* block, const StepArgs* a);

static Status epoch(const RowBlock* block, const EpochArgs* a) {
  return with_rows(*block, [&](const auto& X) { svrg_epoch(X, *a, block->n_cols); });
}

static Status dual(const RowBlock* block, DualEpochArgs* a) {
  return with_rows(*block, [&](const auto& X) { a->gap = dual_epoch(X, *a, block->n_cols); });
}

extern const Kernels table;
const Kernels table = {
  FASTSUM_TEXT(FASTSUM_LEVEL),
  margins,
  add_transposed,
  row_norms,
  column_mass,
  loss_terms,
  loss_curvature,
  loss_gap,
  hessian_product,
  add_squares,
  column_counts,
  split_sizes,
  split_fill,
  split_product,
  gather_rows,
  penalty_terms,
  count_selected,
  gather_columns,
  add_gram,
  mirror,
  gram_descent,
  descent_gap,
  gram_pivots,
  row_descent,
  column_descent,
  coupled_descent,
  epoch,
  dual,
  steps,
};

}  // namespace fastsum::FASTSUM_LEVEL
