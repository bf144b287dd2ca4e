// The hot per-sample solvers of one CPU level; compiled like level.cpp, whose head says what is
// allowed.
#include "../solvers/saga.hpp"
#include "../solvers/svrg.hpp"
#include "steps.hpp"

namespace fastsum {

// In family.cpp, which is compiled for two levels only: that of FASTSUM_FAMILY serves this one.
namespace FASTSUM_FAMILY {
Status family_steps(int32_t solver, const RowBlock* block, const StepArgs* a);
}

namespace FASTSUM_LEVEL {

Status steps(int32_t solver, const RowBlock* block, const StepArgs* a);

Status steps(int32_t solver, const RowBlock* block, const StepArgs* a) {
  const Status status = bind_steps(*block, *a, [&](const auto& X, bool wide) {
    switch (solver) {
#define FASTSUM_HOT_SOLVER FASTSUM_STEPS_CASE
#define FASTSUM_SOLVER(name, function)
#include "../solvers.def"
    }
    return false;
  });
  return status == kUnsupported ? FASTSUM_FAMILY::family_steps(solver, block, a) : status;
}

}  // namespace FASTSUM_LEVEL
}  // namespace fastsum
