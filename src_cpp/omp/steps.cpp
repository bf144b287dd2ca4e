// The per-sample solvers of one CPU level; compiled like level.cpp, whose head says what is allowed.
#include "../kernels.hpp"
#include "../solvers/acc_prox_svrg.hpp"
#include "../solvers/apcg.hpp"
#include "../solvers/asaga.hpp"
#include "../solvers/katyusha.hpp"
#include "../solvers/miso.hpp"
#include "../solvers/point_saga.hpp"
#include "../solvers/rpdg.hpp"
#include "../solvers/sag.hpp"
#include "../solvers/saga.hpp"
#include "../solvers/sarah.hpp"
#include "../solvers/sdca.hpp"
#include "../solvers/sgd.hpp"
#include "../solvers/svrg.hpp"

namespace fastsum::FASTSUM_LEVEL {

Status steps(int32_t solver, const RowBlock* block, const StepArgs* a);

Status steps(int32_t solver, const RowBlock* block, const StepArgs* a) {
  enum : int32_t {
#define FASTSUM_SOLVER(name, function) k_##name,
#include "../solvers.def"
#undef FASTSUM_SOLVER
  };
  const bool wide = a->columns.n_problems * a->columns.n_outputs > 1;
  Status status = kUnsupported;
  const Status bound = with_rows(*block, [&](const auto& X) {
    switch (solver) {
#define FASTSUM_SOLVER(name, function)                                                   \
  case k_##name:                                                                         \
    wide ? function<true>(X, *a, block->n_cols) : function<false>(X, *a, block->n_cols); \
    status = kOk;                                                                        \
    break;
#include "../solvers.def"
#undef FASTSUM_SOLVER
    }
  });
  return bound == kOk ? status : bound;
}

}  // namespace fastsum::FASTSUM_LEVEL
