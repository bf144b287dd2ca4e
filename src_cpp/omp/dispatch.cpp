// Picks the CPU level once; holds what does not depend on it (registries, fork guard).
#include <pthread.h>

#include <atomic>
#include <cstring>

#include "../kernels.hpp"
#include "../losses.hpp"
#include "../prox.hpp"
#include "threads.hpp"

namespace fastsum {

#define FASTSUM_DECLARE(level) \
  namespace level {            \
  extern const Kernels table;  \
  }
FASTSUM_DECLARE(base)
#ifdef FASTSUM_HAVE_V2
FASTSUM_DECLARE(v2)
#endif
#ifdef FASTSUM_HAVE_V3
FASTSUM_DECLARE(v3)
#endif
#ifdef FASTSUM_HAVE_V4
FASTSUM_DECLARE(v4)
#endif

namespace {

const Kernels* const kTables[] = {
#ifdef FASTSUM_HAVE_V4
  &v4::table,
#endif
#ifdef FASTSUM_HAVE_V3
  &v3::table,
#endif
#ifdef FASTSUM_HAVE_V2
  &v2::table,
#endif
  &base::table,
};

bool runs_here(const Kernels* k) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!std::strcmp(k->level, "v4")) return __builtin_cpu_supports("x86-64-v4");
  if (!std::strcmp(k->level, "v3")) return __builtin_cpu_supports("x86-64-v3");
  if (!std::strcmp(k->level, "v2")) return __builtin_cpu_supports("x86-64-v2");
#endif
  return !std::strcmp(k->level, "base");
}

std::atomic<const Kernels*> chosen{nullptr};
std::atomic<bool> forked{false};

// Runs once when the library is loaded: a forked child must not open a parallel region.
const int kGuard = pthread_atfork(nullptr, nullptr, [] { forked.store(true); });

}  // namespace

bool in_forked_child() noexcept { return forked.load(std::memory_order_relaxed); }

const Kernels* kernels() noexcept {
  const Kernels* k = chosen.load(std::memory_order_acquire);
  if (k) return k;
  for (const Kernels* candidate : kTables) {
    if (!runs_here(candidate)) continue;
    chosen.store(candidate, std::memory_order_release);
    return candidate;
  }
  return &base::table;
}

bool select_level(const char* level) noexcept {
  for (const Kernels* k : kTables) {
    if (std::strcmp(k->level, level) || !runs_here(k)) continue;
    chosen.store(k, std::memory_order_release);
    return true;
  }
  return false;
}

const char* built_level(int32_t i) noexcept {
  return i < int32_t(sizeof(kTables) / sizeof(kTables[0])) ? kTables[i]->level : nullptr;
}

bool level_supported(const char* level) noexcept {
  for (const Kernels* k : kTables)
    if (!std::strcmp(k->level, level)) return runs_here(k);
  return false;
}

int32_t num_losses() noexcept { return generic::kNumLosses; }
const char* loss_name(int32_t id) noexcept { return generic::kLosses[id].name; }
bool loss_coupled(int32_t id) noexcept { return generic::kLosses[id].coupled; }
double loss_curvature(int32_t id, double param) noexcept {
  return generic::kLosses[id].curvature(param);
}

void loss_point(int32_t id, double param, int32_t what, const double* z, double y, int64_t C,
                double* out) noexcept {
  const generic::LossOps& loss = generic::kLosses[id];
  if (what == 0) *out = loss.value(z, y, C, param);
  if (what == 1) loss.derivative(z, y, C, param, out);
  if (what == 2) loss.second(z, y, C, param, out);
  if (what == 3) *out = loss.conjugate(z, y, C, param);
}

double penalty_point(int32_t what, double x, double l1, double l2, const double* own_,
                     double t) noexcept {
  if (own_) {
    const generic::OwnPenalty<double> own{own_[0], own_[1], own_[2]};
    if (what == 0) return generic::penalty(x, l1, l2, own);
    if (what == 2) {
      const double tau = t * own.factor;
      return generic::clip(generic::prox(x, tau * l1, tau * l2), own.lower, own.upper);
    }
    return generic::fenchel_young(0.0, x, l1, l2, own);
  }
  if (what == 0) return generic::penalty(x, l1, l2);
  if (what == 2) return generic::prox(x, t * l1, t * l2);
  return generic::fenchel_young(0.0, x, l1, l2);  // h(0) + h*(x) - 0 x
}

static const char* const kSolverNames[] = {
#define FASTSUM_SOLVER(name, function) #name,
#include "../solvers.def"
};
int32_t num_solvers() noexcept { return sizeof(kSolverNames) / sizeof(kSolverNames[0]); }
const char* solver_name(int32_t id) noexcept { return kSolverNames[id]; }

#ifdef _OPENMP
int32_t max_threads() noexcept { return omp_get_max_threads(); }
bool has_openmp() noexcept { return true; }
#else
int32_t max_threads() noexcept { return 1; }
bool has_openmp() noexcept { return false; }
#endif

}  // namespace fastsum
