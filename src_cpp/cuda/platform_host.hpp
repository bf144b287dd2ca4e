// A device that is the host itself: the passes run block after block, in plain loops.
#pragma once
#include <cstdlib>
#include <cstring>
#include <vector>

#include "backend.hpp"
#include "threads.hpp"

namespace fastsum::device {

// What there is of a device; tests make it small.
struct Emulated {
  int64_t processors = 3, shared = 227 << 10, total = int64_t(1) << 40, sent = 256 << 20;
  int64_t used = 0;
};
inline Emulated emulated;
void emulate(int64_t processors, int64_t shared, int64_t total, int64_t sent);

struct Platform {
  static std::string why_not() { return ""; }
  static std::string name() { return "emulation of a device on the host"; }
  static void memory(int64_t* free, int64_t* total) {
    *free = emulated.total - emulated.used;
    *total = emulated.total;
  }
  static int64_t processors() { return emulated.processors; }
  static int64_t most_shared() { return emulated.shared; }
  static int64_t sent() { return emulated.sent; }
  static int64_t blocks_a_processor(int64_t) { return 1; }

  static void* allocate(size_t n_bytes) {
    if (int64_t(n_bytes) > emulated.total - emulated.used)
      throw Error(Fault::kMemory, "out of emulated memory");
    int64_t* p = static_cast<int64_t*>(std::aligned_alloc(64, (n_bytes + 127) / 64 * 64));
    *p = int64_t(n_bytes);
    emulated.used += int64_t(n_bytes);
    return p + 8;
  }
  static void release(void* p) noexcept {
    if (!p) return;
    int64_t* head = static_cast<int64_t*>(p) - 8;
    emulated.used -= *head;
    std::free(head);
  }
  static void* allocate_pinned(size_t n_bytes) { return std::malloc(n_bytes ? n_bytes : 1); }
  static void release_pinned(void* p) noexcept { std::free(p); }
  static void zero(void* p, size_t n_bytes) { std::memset(p, 0, n_bytes); }
  static void copy_in(void* to, const void* from, size_t n) { std::memcpy(to, from, n); }
  static void copy_out(void* to, const void* from, size_t n) { std::memcpy(to, from, n); }
  static void synchronize() {}

  // Rows of `width` bytes, for the pass after next.
  static void copy_ahead(int, void* to, const void* from, size_t pitch, size_t width, size_t rows) {
    for (size_t i = 0; i < rows; ++i)
      std::memcpy(static_cast<char*>(to) + i * width, static_cast<const char*>(from) + i * pitch,
                  width);
  }
  static void await_copy(int) {}
  static void done_with(int) {}

  template <class Body>
  static void launch(int64_t n_blocks, int64_t shared_bytes, const Body& body) {
    // 16 bytes more: the memory begins where 16 divides its address
    std::vector<char> shared(size_t(shared_bytes) + 32, char(0x7f));
    char* start = shared.data() + (16 - reinterpret_cast<uintptr_t>(shared.data()) % 16) % 16;
    for (int64_t block = 0; block < n_blocks; ++block) body(HostThreads{start, block, n_blocks});
  }
};

}  // namespace fastsum::device
