// What is checked of CSR structures before a kernel reads them. Apart from dispatch.cpp, which brings
// the kernels of all levels into whatever links it.
#include "../kernels.hpp"

namespace fastsum {

namespace {

template <class Index>
CsrFault find_bad_index(const Index* indices, int64_t nnz, int64_t n_cols) {
  for (int64_t e = 0; e < nnz; ++e)
    if (indices[e] < 0 || int64_t(indices[e]) >= n_cols) return {3, e};
  return {0, 0};
}

template <class Index>
bool increase(const int64_t* indptr, int64_t n_rows, const Index* indices) {
  for (int64_t i = 0; i < n_rows; ++i)
    for (int64_t e = indptr[i] + 1; e < indptr[i + 1]; ++e)
      if (indices[e] <= indices[e - 1]) return false;
  return true;
}

template <class Index>
bool differ(const int64_t* indptr, int64_t n_rows, const Index* indices, uint32_t* stamp) {
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

}  // namespace

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

bool rows_increase(const int64_t* indptr, int64_t n_rows, const void* indices,
                   int32_t index_bytes) noexcept {
  return index_bytes == 4 ? increase(indptr, n_rows, static_cast<const int32_t*>(indices))
                          : increase(indptr, n_rows, static_cast<const int64_t*>(indices));
}

bool columns_differ(const int64_t* indptr, int64_t n_rows, const void* indices, int32_t index_bytes,
                    uint32_t* stamp) noexcept {
  return index_bytes == 4 ? differ(indptr, n_rows, static_cast<const int32_t*>(indices), stamp)
                          : differ(indptr, n_rows, static_cast<const int64_t*>(indices), stamp);
}

}  // namespace fastsum
