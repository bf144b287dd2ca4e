// Rows of X for the three storages. A row is `size` pairs (index(p), value(p)); every loop over
// the non-zeros of a row in the library is written once, over this face, and inlined.
#pragma once
#include <cstdint>
#include <type_traits>

#include "types.hpp"

#ifndef FASTSUM_LEVEL
#define FASTSUM_LEVEL generic
#endif

namespace fastsum::FASTSUM_LEVEL {

template <class T>
struct DenseRows {
  using Value = T;
  static constexpr bool kSparse = false;
  struct Row {
    static constexpr bool kContiguous = true;
    const T* x;
    int64_t size;
    int64_t index(int64_t p) const { return p; }
    T value(int64_t p) const { return x[p]; }
  };
  const T* x;
  int64_t stride, n_cols;

  explicit DenseRows(const RowBlock& b)
      : x(static_cast<const T*>(b.values)), stride(b.stride), n_cols(b.n_cols) {}
  Row row(int64_t i) const { return {x + i * stride, n_cols}; }
  [[gnu::always_inline]] void prefetch_far(int64_t) const {}
  [[gnu::always_inline]] void prefetch_near(int64_t i) const {
    const char* p = reinterpret_cast<const char*>(x + i * stride);
    for (int64_t b = 0; b < 256 && b < n_cols * int64_t(sizeof(T)); b += 64)
      __builtin_prefetch(p + b);  // the rest of a long row is fetched by the hardware
  }
};

// The pointers of a CSR row lie at a random address too, so they are fetched one stage earlier.
template <class T>
struct CsrRows {
  using Value = T;
  static constexpr bool kSparse = true;
  struct Row {
    static constexpr bool kContiguous = false;
    const int32_t* j;
    const T* x;
    int64_t size;
    int64_t index(int64_t p) const { return j[p]; }
    T value(int64_t p) const { return x[p]; }
  };
  const T* x;
  const int32_t* j;
  const int64_t* indptr;

  explicit CsrRows(const RowBlock& b)
      : x(static_cast<const T*>(b.values)), j(b.indices), indptr(b.indptr) {}
  Row row(int64_t i) const {
    const int64_t at = indptr[i];
    return {j + at, x + at, indptr[i + 1] - at};
  }
  [[gnu::always_inline]] void prefetch_far(int64_t i) const { __builtin_prefetch(indptr + i); }
  [[gnu::always_inline]] void prefetch_near(int64_t i) const {
    const int64_t at = indptr[i];
    for (int64_t p = 0; p < 64; p += 16) __builtin_prefetch(j + at + p);
    for (int64_t p = 0; p < 64; p += 64 / int64_t(sizeof(T))) __builtin_prefetch(x + at + p);
  }
};

template <class T>
struct OnesRows {
  using Value = T;
  static constexpr bool kSparse = true;
  struct Row {
    static constexpr bool kContiguous = false;
    const int32_t* j;
    int64_t size;
    int64_t index(int64_t p) const { return j[p]; }
    T value(int64_t) const { return T(1); }
  };
  const int32_t* j;
  const int64_t* indptr;

  explicit OnesRows(const RowBlock& b) : j(b.indices), indptr(b.indptr) {}
  Row row(int64_t i) const {
    const int64_t at = indptr[i];
    return {j + at, indptr[i + 1] - at};
  }
  [[gnu::always_inline]] void prefetch_far(int64_t i) const { __builtin_prefetch(indptr + i); }
  [[gnu::always_inline]] void prefetch_near(int64_t i) const {
    const int64_t at = indptr[i];
    for (int64_t p = 0; p < 64; p += 16) __builtin_prefetch(j + at + p);
  }
};

// f(j, x_j) for all pairs of a row, which have different j. Scatters in vector instructions took
// 1.7 times as long as plain loops over sparse rows, and gathers 1.2 to 1.8 times (Zen 4).
template <class Row, class F>
inline void for_each(const Row& row, F&& f) {
  if constexpr (Row::kContiguous) {
#pragma omp simd
    for (int64_t p = 0; p < row.size; ++p) f(row.index(p), row.value(p));
  } else {
    for (int64_t p = 0; p < row.size; ++p) f(row.index(p), row.value(p));
  }
}

// The sum of f(j, x_j) over the pairs of a row.
template <class Sum, class Row, class F>
inline Sum sum_of(const Row& row, F&& f) {
  Sum sum = 0;
  if constexpr (Row::kContiguous) {
#pragma omp simd reduction(+ : sum)
    for (int64_t p = 0; p < row.size; ++p) sum += f(row.index(p), row.value(p));
    return sum;
  } else {
    Sum s1 = 0, s2 = 0, s3 = 0;  // chains of additions that do not wait for each other
    int64_t p = 0;
    for (; p + 3 < row.size; p += 4) {
      sum += f(row.index(p), row.value(p));
      s1 += f(row.index(p + 1), row.value(p + 1));
      s2 += f(row.index(p + 2), row.value(p + 2));
      s3 += f(row.index(p + 3), row.value(p + 3));
    }
    for (; p < row.size; ++p) sum += f(row.index(p), row.value(p));
    return (sum + s1) + (s2 + s3);
  }
}

// sum_j x_j w_j for one column of weights. Dense rows by plain pointers: through sum_of gcc gathered
// their values one by one, by addresses (4 times the instructions, in a file as large as level.cpp).
template <class Sum, class Row, class T>
inline Sum row_dot(const Row& row, const T* w) {
  if constexpr (Row::kContiguous) {
    const auto* x = row.x;
    const int64_t n = row.size;
    Sum sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t p = 0; p < n; ++p) sum += Sum(x[p]) * Sum(w[p]);
    return sum;
  } else {
    return sum_of<Sum>(row, [w](int64_t j, auto x) { return Sum(x) * Sum(w[j]); });
  }
}

// Calls f(rows) with the typed rows of a block: the one place where storage and dtype are bound.
template <class F>
inline Status with_rows(const RowBlock& block, F&& f) {
  const bool f64 = block.dtype == kFloat64;
  switch (block.storage) {
    case kDense:
      f64 ? f(DenseRows<double>(block)) : f(DenseRows<float>(block));
      return kOk;
    case kCsr:
      f64 ? f(CsrRows<double>(block)) : f(CsrRows<float>(block));
      return kOk;
    case kOnes:
      f64 ? f(OnesRows<double>(block)) : f(OnesRows<float>(block));
      return kOk;
  }
  return kUnsupported;
}

}  // namespace fastsum::FASTSUM_LEVEL
