// The other per-sample solvers, at the levels base and v3: their steps gain nothing from v2 and
// little from v4, and each level takes minutes to compile. The head of level.cpp says what is
// allowed here.
#include "../solvers/acc_prox_svrg.hpp"
#include "../solvers/acc_sgd.hpp"
#include "../solvers/apcg.hpp"
#include "../solvers/asaga.hpp"
#include "../solvers/katyusha.hpp"
#include "../solvers/miso.hpp"
#include "../solvers/point_saga.hpp"
#include "../solvers/rpdg.hpp"
#include "../solvers/sag.hpp"
#include "../solvers/sarah.hpp"
#include "../solvers/sdca.hpp"
#include "../solvers/sgd.hpp"
#include "../solvers/svrg.hpp"
#include "steps.hpp"

namespace fastsum::FASTSUM_LEVEL {

Status family_steps(int32_t solver, const RowBlock* block, const StepArgs* a);

Status family_steps(int32_t solver, const RowBlock* block, const StepArgs* a) {
  return bind_steps(*block, *a, [&](const auto& X, bool wide) {
    switch (solver) {
#define FASTSUM_HOT_SOLVER(name, function)
#define FASTSUM_SOLVER FASTSUM_STEPS_CASE
#include "../solvers.def"
    }
    return false;
  });
}

}  // namespace fastsum::FASTSUM_LEVEL
