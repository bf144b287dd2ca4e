// Picks the CPU level once; holds what does not depend on it (registries, CSR check, fork guard).
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

template <class Index>
static CsrFault find_bad_index(const Index* indices, int64_t nnz, int64_t n_cols) {
  for (int64_t e = 0; e < nnz; ++e)
    if (indices[e] < 0 || int64_t(indices[e]) >= n_cols) return {3, e};
  return {0, 0};
}

CsrFault find_csr_fault(const int64_t* indptr, int64_t n_rows, const void* indices,
                        int32_t index_bytes, int64_t nnz, int64_t n_cols) noexcept {
  if (indptr[0] != 0) return {1, 0};
  for (int64_t i = 0; i < n_rows; ++i) {
    if (indptr[i + 1] < indptr[i]) return {1, i};
    if (indptr[i + 1] > nnz) return {2, i};
  }
  // Only what the pointers reach is ever read.
  return index_bytes == 4
           ? find_bad_index(static_cast<const int32_t*>(indices), indptr[n_rows], n_cols)
           : find_bad_index(static_cast<const int64_t*>(indices), indptr[n_rows], n_cols);
}

template <class Index>
static bool increase(const int64_t* indptr, int64_t n_rows, const Index* indices) {
  for (int64_t i = 0; i < n_rows; ++i)
    for (int64_t e = indptr[i] + 1; e < indptr[i + 1]; ++e)
      if (indices[e] <= indices[e - 1]) return false;
  return true;
}

bool rows_increase(const int64_t* indptr, int64_t n_rows, const void* indices,
                   int32_t index_bytes) noexcept {
  return index_bytes == 4 ? increase(indptr, n_rows, static_cast<const int32_t*>(indices))
                          : increase(indptr, n_rows, static_cast<const int64_t*>(indices));
}

template <class Index>
static bool differ(const int64_t* indptr, int64_t n_rows, const Index* indices, uint32_t* stamp) {
  for (int64_t i = 0; i < n_rows; ++i) {
    const uint32_t mine = uint32_t(i + 1);
    uint32_t twice = 0;
    for (int64_t e = indptr[i]; e < indptr[i + 1]; ++e) {
      twice |= stamp[indices[e]] == mine;
      stamp[indices[e]] = mine;
    }
    if (twice) return false;
  }
  return true;
}

bool columns_differ(const int64_t* indptr, int64_t n_rows, const void* indices,
                    int32_t index_bytes, uint32_t* stamp) noexcept {
  return index_bytes == 4 ? differ(indptr, n_rows, static_cast<const int32_t*>(indices), stamp)
                          : differ(indptr, n_rows, static_cast<const int64_t*>(indices), stamp);
}

#ifdef _OPENMP
int32_t max_threads() noexcept { return omp_get_max_threads(); }
bool has_openmp() noexcept { return true; }
#else
int32_t max_threads() noexcept { return 1; }
bool has_openmp() noexcept { return false; }
#endif

}  // namespace fastsum
