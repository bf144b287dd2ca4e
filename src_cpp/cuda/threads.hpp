// The threads that share a tile, and what they do together. Loops over a tile are written once, in
// these three calls; on a device the items of a call are shared among the threads of a block, on the
// host one thread goes through them in the same order of additions.
//
// No value lives in a thread from one call to the next, only in shared memory, and each call ends
// where all threads have arrived: so the loops of the host are those of the device.
#pragma once
#include <cstdint>
#include <cstring>

#include "../portable.hpp"

#ifdef __CUDACC__
#include <cuda_pipeline.h>
#endif

namespace fastsum::device {

inline constexpr int kThreads = 256, kLanes = 32;

#ifdef __CUDACC__
struct DeviceThreads {
  char* shared;
  int64_t block, n_blocks;

  // f(i) for all i < n, in any order.
  template <class F>
  __device__ void each(int n, F&& f) const {
    for (int i = int(threadIdx.x); i < n; i += kThreads) f(i);
    __syncthreads();
  }
  // store(i, sum over t < n_terms of term(i, t)) for all i < n: kLanes partial sums, then a tree.
  template <class Sum, class Term, class Store>
  __device__ void sums(int n, int n_terms, Term&& term, Store&& store) const {
    const int lane = int(threadIdx.x) % kLanes;
    for (int i = int(threadIdx.x) / kLanes; i < n; i += kThreads / kLanes) {
      Sum sum = 0;
      for (int t = lane; t < n_terms; t += kLanes) sum += term(i, t);
      for (int step = kLanes / 2; step > 0; step /= 2)
        sum += __shfl_down_sync(0xffffffffu, sum, step);
      if (lane == 0) store(i, sum);
    }
    __syncthreads();
  }
  // Copies n runs of 16 aligned bytes; place(i, &from, &to) tells the i-th.
  template <class Place>
  __device__ void copy(int n, Place&& place) const {
    for (int i = int(threadIdx.x); i < n; i += kThreads) {
      const char* from;
      char* to;
      place(i, &from, &to);
      __pipeline_memcpy_async(to, from, 16);
    }
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
  }
};
#endif

struct HostThreads {
  char* shared;
  int64_t block, n_blocks;

  template <class F>
  void each(int n, F&& f) const {
    for (int i = 0; i < n; ++i) f(i);
  }
  template <class Sum, class Term, class Store>
  void sums(int n, int n_terms, Term&& term, Store&& store) const {
    for (int i = 0; i < n; ++i) {
      Sum lanes[kLanes] = {};
      for (int t = 0; t < n_terms; ++t) lanes[t % kLanes] += term(i, t);
      for (int step = kLanes / 2; step > 0; step /= 2)
        for (int lane = 0; lane < step; ++lane) lanes[lane] += lanes[lane + step];
      store(i, lanes[0]);
    }
  }
  template <class Place>
  void copy(int n, Place&& place) const {
    for (int i = 0; i < n; ++i) {
      const char* from;
      char* to;
      place(i, &from, &to);
      std::memcpy(to, from, 16);
    }
  }
};

}  // namespace fastsum::device
