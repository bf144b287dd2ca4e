// A CUDA device: memory, copies and launches. The runtime is linked statically and finds the driver
// when it is first asked, so that a library built on this loads where there is none.
#pragma once
#include <cuda_runtime.h>

#include <mutex>

#include "backend.hpp"
#include "threads.hpp"

namespace fastsum::device {

inline void check(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // an error that is not the device's end is over
  const Fault fault = error == cudaErrorMemoryAllocation  ? Fault::kMemory
                      : cudaGetLastError() != cudaSuccess ? Fault::kLost
                                                          : Fault::kOther;
  const char* advice = fault == Fault::kLost ? ". The device is lost to this process: start a new "
                                               "one, or go on with device='cpu'"
                                             : "";
  throw Error(fault, std::string(doing) + ": " + cudaGetErrorString(error) + advice);
}

template <class Body>
__global__ void __launch_bounds__(kThreads) run_body(const Body body) {
  extern __shared__ __align__(16) char shared[];
  body(DeviceThreads{shared, int64_t(blockIdx.x), int64_t(gridDim.x)});
}

struct Platform {
  static std::string why_not() {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    cudaGetLastError();
    if (error == cudaErrorInsufficientDriver) {
      int driver = 0;
      cudaDriverGetVersion(&driver);
      return driver == 0 ? "this machine has no NVIDIA driver"
                         : "the NVIDIA driver is older than CUDA 13, which this build needs";
    }
    if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
      return "no CUDA device is visible (see CUDA_VISIBLE_DEVICES)";
    if (error != cudaSuccess) return cudaGetErrorString(error);
    if (attribute(cudaDevAttrComputeCapabilityMajor) < 9)
      return "the device is older than compute capability 9.0, which this build needs";
    return "";
  }
  static std::string name() {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, current()), "the device's properties");
    return properties.name;
  }
  static void memory(int64_t* free, int64_t* total) {
    size_t f = 0, t = 0;
    check(cudaMemGetInfo(&f, &t), "the device's memory");
    // what the pool holds and nobody uses is free as well
    cudaMemPool_t pool;
    uint64_t held = 0, used = 0;
    check(cudaDeviceGetDefaultMemPool(&pool, current()), "the device's memory pool");
    check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &held), "the pool");
    check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used), "the pool");
    *free = int64_t(f) + int64_t(held - used);
    *total = int64_t(t);
  }
  static int current() {
    int device = 0;
    check(cudaGetDevice(&device), "the current device");
    return device;
  }
  static int attribute(cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, current()), "an attribute of the device");
    return value;
  }
  static int64_t processors() { return attribute(cudaDevAttrMultiProcessorCount); }
  static int64_t most_shared() { return attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin); }
  // Bytes of rows that are sent at a time, where X is streamed.
  static int64_t sent() { return 256 << 20; }
  static int64_t blocks_a_processor(int64_t shared_bytes) {
    const int64_t all = attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
    const int64_t fit = all / (shared_bytes + 1024);
    return fit < 1 ? 1 : fit > 8 ? 8 : fit;
  }

  // Memory is taken from the device's pool, in the order of the stream.
  static void* allocate(size_t n_bytes) {
    static std::once_flag once;
    std::call_once(once, [] {
      cudaMemPool_t pool;
      uint64_t keep = UINT64_MAX;  // what was released is kept for the next pass
      check(cudaDeviceGetDefaultMemPool(&pool, current()), "the device's memory pool");
      check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "the pool");
    });
    void* p = nullptr;
    check(cudaMallocAsync(&p, n_bytes ? n_bytes : 1, nullptr), "memory of the device");
    return p;
  }
  static void release(void* p) noexcept {
    if (p) cudaFreeAsync(p, nullptr);
  }
  static void* allocate_pinned(size_t n_bytes) {
    void* p = nullptr;
    check(cudaHostAlloc(&p, n_bytes ? n_bytes : 1, cudaHostAllocDefault), "pinned memory");
    return p;
  }
  static void release_pinned(void* p) noexcept {
    if (p) cudaFreeHost(p);
  }
  static void zero(void* p, size_t n) { check(cudaMemsetAsync(p, 0, n, nullptr), "memset"); }
  static void copy_in(void* to, const void* from, size_t n) {
    check(cudaMemcpy(to, from, n, cudaMemcpyHostToDevice), "a copy to the device");
  }
  static void copy_out(void* to, const void* from, size_t n) {
    check(cudaMemcpy(to, from, n, cudaMemcpyDeviceToHost), "a copy from the device");
  }
  static void synchronize() { check(cudaDeviceSynchronize(), "the device"); }

  // Two buffers in turn: copies go through a stream of their own, beside the passes.
  struct Ahead {
    cudaStream_t stream;
    cudaEvent_t copied[2], used[2];
    Ahead() {
      check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
      for (int slot = 0; slot < 2; ++slot) {
        check(cudaEventCreateWithFlags(&copied[slot], cudaEventDisableTiming), "an event");
        check(cudaEventCreateWithFlags(&used[slot], cudaEventDisableTiming), "an event");
      }
    }
  };
  static Ahead& ahead() {
    static thread_local Ahead streams;
    return streams;
  }
  static void copy_ahead(int slot, void* to, const void* from, size_t pitch, size_t width,
                         size_t rows) {
    Ahead& a = ahead();
    check(cudaStreamWaitEvent(a.stream, a.used[slot], 0), "a wait for a pass");
    check(cudaMemcpy2DAsync(to, width, from, pitch, width, rows, cudaMemcpyHostToDevice, a.stream),
          "a copy of rows to the device");
    check(cudaEventRecord(a.copied[slot], a.stream), "an event");
  }
  static void await_copy(int slot) {
    check(cudaStreamWaitEvent(nullptr, ahead().copied[slot], 0), "a wait for a copy");
  }
  static void done_with(int slot) {
    check(cudaEventRecord(ahead().used[slot], nullptr), "an event");
  }

  template <class Body>
  static void launch(int64_t n_blocks, int64_t shared_bytes, const Body& body) {
    if (n_blocks == 0) return;
    if (shared_bytes > 48 << 10)
      check(cudaFuncSetAttribute(run_body<Body>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 int(shared_bytes)),
            "shared memory");
    run_body<Body><<<unsigned(n_blocks), kThreads, size_t(shared_bytes)>>>(body);
    check(cudaGetLastError(), "a launch");
  }
};

}  // namespace fastsum::device
