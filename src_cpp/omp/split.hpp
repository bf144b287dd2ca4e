// Rows of ones in two parts: what the first columns hold row by row, with ids of 16 bits, and the
// rest column by column, in parts of the rows. Where columns are sorted by frequency a pass then
// runs over weights in a cache, and what is left is read in order.
#pragma once
#include "../types.hpp"
#include "threads.hpp"

namespace fastsum::FASTSUM_LEVEL {

inline int64_t split_begin(const SplitRows& X, int64_t part) { return X.n_rows * part / X.n_parts; }

// hot_sizes (n_rows,) <- values of each row in columns below n_hot; rare_sizes (n_parts,) <- the
// others of each part.
inline Status split_sizes(const RowBlock* block, const SplitRows* X, int64_t* hot_sizes,
                          int64_t* rare_sizes, int32_t n_threads) {
  if (block->storage != kOnes) return kUnsupported;
  parallel_parts(X->n_parts, n_threads, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      int64_t rare = 0;
      for (int64_t i = split_begin(*X, part); i < split_begin(*X, part + 1); ++i) {
        int64_t hot = 0;
        for (int64_t p = block->indptr[i]; p < block->indptr[i + 1]; ++p)
          hot += block->indices[p] < X->n_hot;
        hot_sizes[i] = hot;
        rare += block->indptr[i + 1] - block->indptr[i] - hot;
      }
      rare_sizes[part] = rare;
    }
  });
  return kOk;
}

// Fills the ids of X, whose pointers hold where rows and parts begin. work: n_threads (n_cols - n_hot + 1) counts.
inline Status split_fill(const RowBlock* block, const SplitRows* X, uint16_t* hot,
                         int32_t* rare_row, int32_t* rare_col, int32_t* work, int32_t n_threads) {
  if (block->storage != kOnes) return kUnsupported;
  const int64_t n_hot = X->n_hot, width = X->n_cols - n_hot + 1;
  parallel_parts(X->n_parts, n_threads, [&](int64_t thread, int64_t first, int64_t last) {
    int32_t* at = work + thread * width;
    for (int64_t part = first; part < last; ++part) {
      const int64_t begin = split_begin(*X, part), end = split_begin(*X, part + 1);
      // sorted by counting: by column, and by row within a column
      for (int64_t j = 0; j < width; ++j) at[j] = 0;
      for (int64_t p = block->indptr[begin]; p < block->indptr[end]; ++p)
        if (block->indices[p] >= n_hot) ++at[block->indices[p] - n_hot + 1];
      for (int64_t j = 1; j < width; ++j) at[j] += at[j - 1];
      int32_t* row = rare_row + X->rare_indptr[part];
      int32_t* col = rare_col + X->rare_indptr[part];
      for (int64_t i = begin; i < end; ++i) {
        uint16_t* mine = hot + X->hot_indptr[i];
        for (int64_t p = block->indptr[i]; p < block->indptr[i + 1]; ++p) {
          const int32_t j = block->indices[p];
          if (j < n_hot) {
            *mine++ = uint16_t(j);
          } else {
            const int32_t place = at[j - n_hot]++;
            row[place] = int32_t(i - begin);
            col[place] = j;
          }
        }
      }
    }
  });
  return kOk;
}

// The frequent part of rows [begin, end): z <- c (z + hot' V), sums += X' z over their columns.
inline double add_split_rows(const SplitRows& X, int64_t begin, int64_t end, const double* V,
                             const double* c, double* z, double* sums) {
  double total = 0;
  for (int64_t i = begin; i < end; ++i) {
    const uint16_t* j = X.hot + X.hot_indptr[i];
    const int64_t size = X.hot_indptr[i + 1] - X.hot_indptr[i];
    double s[4] = {z[i], 0, 0, 0};
    int64_t p = 0;
    for (; p + 3 < size; p += 4)
      for (int64_t lane = 0; lane < 4; ++lane) s[lane] += V[j[p + lane]];
    for (; p < size; ++p) s[0] += V[j[p]];
    const double t = c[i] * ((s[0] + s[1]) + (s[2] + s[3]));
    z[i] = t;
    total += t;
    for (p = 0; p < size; ++p) sums[j[p]] += t;
  }
  return total;
}

// The first place in [begin, end) of sorted columns that is not below `least`.
inline int64_t first_from(const int32_t* column, int64_t begin, int64_t end, int64_t least) {
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    if (column[middle] < least)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

// out (n_cols + 1,) <- A' D A V for A = [X, 1] and D = diag(c); z (n_rows,) is left with D A V.
// work: n_threads (n_hot + 1) sums.
inline Status split_product(const SplitRows* X_, const double* V, const double* c, double* out,
                            double* z, double* work, int32_t n_threads) {
  const SplitRows& X = *X_;
  const int64_t n_hot = X.n_hot, d = X.n_cols, width = n_hot + 1;
  parallel_parts(X.n_parts, n_threads, [&](int64_t thread, int64_t first, int64_t last) {
    double* sums = work + thread * width;
    for (int64_t e = 0; e < width; ++e) sums[e] = 0;
    for (int64_t part = first; part < last; ++part) {
      const int64_t begin = split_begin(X, part), end = split_begin(X, part + 1);
      for (int64_t i = begin; i < end; ++i) z[i] = V[d];
      for (int64_t p = X.rare_indptr[part]; p < X.rare_indptr[part + 1]; ++p)
        z[begin + X.rare_row[p]] += V[X.rare_col[p]];
      sums[n_hot] += add_split_rows(X, begin, end, V, c, z, sums);
    }
  });
  parallel_parts(width, n_threads, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
      double sum = 0;
      for (int64_t t = 0; t < n_threads; ++t) sum += work[t * width + e];
      out[e < n_hot ? e : d] = sum;
    }
  });
  // Rare columns: each thread has its own, part by part of the rows.
  parallel_parts(d - n_hot, n_threads, [&](int64_t thread, int64_t, int64_t) {
    const int64_t first = X.rare_bounds[thread], last = X.rare_bounds[thread + 1];
    for (int64_t j = first; j < last; ++j) out[j] = 0;
    for (int64_t part = 0; part < X.n_parts; ++part) {
      const double* mine = z + split_begin(X, part);
      const int64_t to = X.rare_indptr[part + 1];
      const int64_t from = first_from(X.rare_col, X.rare_indptr[part], to, first);
      for (int64_t p = from; p < to && X.rare_col[p] < last; ++p)
        out[X.rare_col[p]] += mine[X.rare_row[p]];
    }
  });
  return kOk;
}

}  // namespace fastsum::FASTSUM_LEVEL
