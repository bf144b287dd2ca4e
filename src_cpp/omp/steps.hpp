// Binding of a solver's number to its template: what hot.cpp and family.cpp share.
#pragma once
#include "../kernels.hpp"
#include "../rows.hpp"

namespace fastsum {

enum SolverId : int32_t {
#define FASTSUM_SOLVER(name, function) k_##name,
#include "../solvers.def"
};

namespace FASTSUM_LEVEL {

// run(X, wide) on the rows of a block says whether it knows the solver.
template <class Run>
Status bind_steps(const RowBlock& block, const StepArgs& a, Run&& run) {
  const bool wide = a.columns.n_problems * a.columns.n_outputs > 1;
  bool known = false;
  const Status bound = with_rows(block, [&](const auto& X) { known = run(X, wide); });
  return bound == kOk && !known ? kUnsupported : bound;
}

}  // namespace FASTSUM_LEVEL
}  // namespace fastsum

#define FASTSUM_STEPS_CASE(name, function)                                               \
  case k_##name:                                                                         \
    wide ? function<true>(X, *a, block->n_cols) : function<false>(X, *a, block->n_cols); \
    return true;
