// The one place of the CPU backend that opens parallel regions.
#pragma once
#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

#ifndef FASTSUM_LEVEL
#define FASTSUM_LEVEL generic
#endif

namespace fastsum {
// True in a child made by fork(): libgomp's pool does not survive it, a region would hang.
bool in_forked_child() noexcept;
}  // namespace fastsum

namespace fastsum::FASTSUM_LEVEL {

// Calls f(part, begin, end) on `n_parts` contiguous parts of [0, n), in parallel. The parts depend
// on n and n_parts alone, so sums made part by part have the same bits whatever the scheduling.
template <class F>
inline void parallel_parts(int64_t n, int64_t n_parts, F&& f) {
  const bool serial = n_parts <= 1 || in_forked_child();
#pragma omp parallel for schedule(static, 1) num_threads(int(n_parts)) if (!serial)
  for (int64_t part = 0; part < n_parts; ++part)
    f(part, n * part / n_parts, n * (part + 1) / n_parts);
}

}  // namespace fastsum::FASTSUM_LEVEL
