// The types that X may be stored in.
#pragma once
#include <cstdint>

#include "../portable.hpp"
#include "backend.hpp"

namespace fastsum::device {

struct Half {
  uint16_t bits;
  FASTSUM_HD operator float() const {
#ifdef __CUDA_ARCH__
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
#else
    const uint32_t sign = uint32_t(bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u;
    const uint32_t fraction = bits & 1023u;
    if (exponent == 0) {  // 0 and what is below the normal numbers
      const float size = float(fraction) * 0x1p-24f;
      return sign ? -size : size;
    }
    const uint32_t raised = exponent == 31 ? 255u : exponent + 112u;
    return __builtin_bit_cast(float, sign | raised << 23 | fraction << 13);
#endif
  }
};

struct Bfloat16 {
  uint16_t bits;
  FASTSUM_HD operator float() const { return __builtin_bit_cast(float, uint32_t(bits) << 16); }
};

// Sums that suit a type: those of a fast pass.
template <class T>
struct FastSum {
  using type = float;
};
template <>
struct FastSum<double> {
  using type = double;
};

inline int64_t bytes_of(int32_t type) { return type == kF64 ? 8 : type == kF32 ? 4 : 2; }

// Calls f(zero) with a value of the type.
template <class F>
inline void with_type(int32_t type, F&& f) {
  switch (type) {
    case kF32:
      return f(float{});
    case kF64:
      return f(double{});
    case kF16:
      return f(Half{});
    default:
      return f(Bfloat16{});
  }
}

}  // namespace fastsum::device
