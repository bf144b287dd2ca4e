// Passes over one row with K columns of weights, (n_cols, K) row-major: tiles of columns whose sums
// stay in vector registers. Loops over a tile that are left to the compiler come out as scalar code
// once it has unrolled them: products with 8 columns took 3 to 6 times as long.
#pragma once
#include <bit>
#include <cstdint>
#include <type_traits>

#include "rows.hpp"

namespace fastsum::FASTSUM_LEVEL {

#if defined(__AVX512F__)
inline constexpr int64_t kRegister = 64;  // bytes
#elif defined(__AVX2__)
inline constexpr int64_t kRegister = 32;
#else
inline constexpr int64_t kRegister = 16;
#endif

// N values, at any address.
template <class T, int64_t N>
struct Pack {
  typedef T type __attribute__((vector_size(N * sizeof(T)), aligned(alignof(T)), may_alias));
};

template <class Sum, int64_t N, class T>
[[gnu::always_inline]] inline typename Pack<Sum, N>::type load(const T* p) {
  const auto v = *reinterpret_cast<const typename Pack<T, N>::type*>(p);
  return __builtin_convertvector(v, typename Pack<Sum, N>::type);
}

// Sums of kTile columns: packs of at most a register; of one column a number; where kTile is no
// power of two a head and a tail.
template <class Sum, int64_t kTile>
struct Tile {
  static constexpr int64_t kHead = std::bit_floor(uint64_t(kTile));
  static constexpr int64_t kLanes =
    kHead * int64_t(sizeof(Sum)) < kRegister ? kHead : kRegister / int64_t(sizeof(Sum));
  static constexpr int64_t kPacks = kHead / kLanes, kTail = kTile - kHead;
  typename Pack<Sum, kLanes>::type v[kPacks];
  Tile<Sum, kTail> tail;

  // += x w for the values w of the columns.
  template <class T>
  [[gnu::always_inline]] void add(Sum x, const T* w) {
    for (int64_t q = 0; q < kPacks; ++q) v[q] += x * load<Sum, kLanes>(w + q * kLanes);
    tail.add(x, w + kHead);
  }
  [[gnu::always_inline]] void add(const Tile& other) {
    for (int64_t q = 0; q < kPacks; ++q) v[q] += other.v[q];
    tail.add(other.tail);
  }
  [[gnu::always_inline]] void store(Sum* z) const {
    using Values = typename Pack<Sum, kLanes>::type;
    for (int64_t q = 0; q < kPacks; ++q) *reinterpret_cast<Values*>(z + q * kLanes) = v[q];
    tail.store(z + kHead);
  }
  // w += x times the sums.
  template <class T>
  [[gnu::always_inline]] void add_to(Sum x, T* w) const {
    using Values = typename Pack<T, kLanes>::type;
    for (int64_t q = 0; q < kPacks; ++q) {
      Values& to = *reinterpret_cast<Values*>(w + q * kLanes);
      to += __builtin_convertvector(x * v[q], Values);
    }
    tail.add_to(x, w + kHead);
  }
};

template <class Sum>
struct Tile<Sum, 1> {
  Sum v;

  template <class T>
  [[gnu::always_inline]] void add(Sum x, const T* w) {
    v += x * Sum(*w);
  }
  [[gnu::always_inline]] void add(const Tile& other) { v += other.v; }
  [[gnu::always_inline]] void store(Sum* z) const { *z = v; }
  template <class T>
  [[gnu::always_inline]] void add_to(Sum x, T* w) const {
    *w += T(x * v);
  }
};

template <class Sum>
struct Tile<Sum, 0> {
  template <class T>
  [[gnu::always_inline]] void add(Sum, const T*) {}
  [[gnu::always_inline]] void add(const Tile&) {}
  [[gnu::always_inline]] void store(Sum*) const {}
  template <class T>
  [[gnu::always_inline]] void add_to(Sum, T*) const {}
};

// z_k = sum_j x_j W_jk for the kTile columns from W on, of `stride` in a row.
template <int64_t kTile, class Sum, class Row, class T>
inline void row_dots_tile(const Row row, const T* W, int64_t stride, Sum* z) {
  Tile<Sum, kTile> even{}, odd{};  // two chains of additions that do not wait for each other
  int64_t p = 0;
  for (; p + 1 < row.size; p += 2) {
    even.add(Sum(row.value(p)), W + row.index(p) * stride);
    odd.add(Sum(row.value(p + 1)), W + row.index(p + 1) * stride);
  }
  if (p < row.size) even.add(Sum(row.value(p)), W + row.index(p) * stride);
  even.add(odd);
  even.store(z);
}

// W_jk += x_j z_k for such columns.
template <int64_t kTile, class Sum, class Row, class T>
inline void add_row_tile(const Row row, const Sum* z, int64_t stride, T* W) {
  Tile<Sum, kTile> held{};
  held.add(Sum(1), z);
  for (int64_t p = 0; p < row.size; ++p) held.add_to(Sum(row.value(p)), W + row.index(p) * stride);
}

// Calls f(width, first) for tiles of all K columns, from the widest down; the last, of less than 8,
// is one tile of its own.
template <int64_t kTile, class F>
[[gnu::always_inline]] inline void for_tiles(int64_t first, int64_t K, F&& f) {
  if constexpr (kTile >= 8) {
    for (; first + kTile <= K; first += kTile) f(std::integral_constant<int64_t, kTile>{}, first);
    for_tiles<(kTile > 8 ? kTile / 2 : 7)>(first, K, f);
  } else if constexpr (kTile > 0) {
    if (first + kTile == K) return f(std::integral_constant<int64_t, kTile>{}, first);
    for_tiles<kTile - 1>(first, K, f);
  }
}

// The widest tile, of at least 8 columns: two sums of it fill half of the registers or less.
template <class Sum>
inline constexpr int64_t kWidest = (kRegister == 32 ? 2 : 4) * kRegister / int64_t(sizeof(Sum));

// z_k = sum_j x_j W_jk for K columns of weights, of `stride` in a row.
template <class Sum, class Row, class T>
[[gnu::noinline]] void row_dots(const Row row, const T* W, int64_t stride, int64_t K, Sum* z) {
  for_tiles<kWidest<Sum>>(
    0, K, [&](auto tile, int64_t k) { row_dots_tile<tile()>(row, W + k, stride, z + k); });
}

// W_jk += x_j z_k for K columns.
template <class Sum, class Row, class T>
[[gnu::noinline]] void add_row(const Row row, const Sum* z, int64_t K, T* W) {
  for_tiles<kWidest<Sum>>(
    0, K, [&](auto tile, int64_t k) { add_row_tile<tile()>(row, z + k, K, W + k); });
}

}  // namespace fastsum::FASTSUM_LEVEL
