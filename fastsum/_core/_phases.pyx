"""Kernels of the phases of solver="auto": products with the Hessian, rewritten rows, epochs."""
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uint16_t

from fastsum._core cimport kernels as c
from fastsum._core._kernels cimport Block, Task, address, raise_for
from fastsum._core._registry cimport kernels


def hessian_product(Block block, V, int64_t n_problems, int64_t n_outputs, curvature, out, work,
                    int64_t first_row, int32_t n_threads):
    """out (d + 1, K) += A' D A V, A = [X, 1]; D from curvature[first_row:...] (n, K) float64.

    V and out are float32 or float64 alike; work (n_threads, (d + 2) K) of that dtype.
    """
    cdef int64_t n = block.raw.n_rows, d = block.raw.n_cols, K = n_problems * n_outputs
    cdef int64_t begin = 0, end
    cdef int32_t width = V.itemsize, dtype = c.kFloat64 if width == 8 else c.kFloat32
    # a part costs n_threads d K more for its private sums
    cdef int64_t chunk = max(block.poll_rows(K), 8 * d // block.row_work) * n_threads
    cdef const void* v = address(V, (d + 1) * K * width)
    cdef const double* c_ = <const double*>address(curvature, 8 * (first_row + n) * K)
    cdef void* sums = address(out, (d + 1) * K * width, True)
    cdef void* scratch = address(work, width * n_threads * (d + 2) * K, True)
    cdef c.RowBlock part
    cdef c.Status status
    while begin < n:
        end = min(n, begin + chunk)
        part = block.part(begin, end)
        with nogil:
            status = kernels().hessian_product(&part, dtype, v, n_problems, n_outputs,
                                               c_ + (first_row + begin) * K, sums, scratch,
                                               n_threads)
        raise_for(status)
        PyErr_CheckSignals()
        begin = end


def add_squares(Block block, curvature, int64_t K, out, work, int64_t first_row,
                int32_t n_threads):
    """out (d, K) += sum of c_ik x_ij^2 over the rows; work (n_threads, d, K) or None."""
    cdef int64_t n = block.raw.n_rows, d = block.raw.n_cols
    cdef const double* c_ = <const double*>address(curvature, 8 * (first_row + n) * K)
    cdef double* sums = <double*>address(out, 8 * d * K, True)
    cdef double* mine = <double*>address(work, 8 * n_threads * d * K, True)
    cdef c.Status status
    if mine == NULL:
        n_threads = 1
    with nogil:
        status = kernels().add_squares(&block.raw, c_ + first_row * K, K, sums, mine, n_threads)
    raise_for(status)
    PyErr_CheckSignals()


def column_counts(Block block, counts, int32_t n_threads):
    """counts (n_threads, d) int32 += stored values of each column, by thread."""
    cdef int32_t* out = <int32_t*>address(counts, 4 * n_threads * block.raw.n_cols, True)
    cdef c.Status status
    with nogil:
        status = kernels().column_counts(&block.raw, out, n_threads)
    raise_for(status)


def split_sizes(Block block, int64_t n_hot, hot_sizes, rare_sizes, int32_t n_threads):
    """Fills values of each row in columns below n_hot, (n,), and of each part in others, (parts,).

    Both int64; the block is of ones.
    """
    cdef c.SplitRows X
    cdef c.Status status
    X.n_rows, X.n_cols, X.n_hot = block.raw.n_rows, block.raw.n_cols, n_hot
    X.n_parts = rare_sizes.shape[0]
    cdef int64_t* hot_ = <int64_t*>address(hot_sizes, 8 * X.n_rows, True)
    cdef int64_t* rare_ = <int64_t*>address(rare_sizes, 8 * X.n_parts, True)
    with nogil:
        status = kernels().split_sizes(&block.raw, &X, hot_, rare_, n_threads)
    raise_for(status)


cdef class Split:
    """Rows of ones by frequent and rare columns; keeps its arrays alive.

    hot (values,) uint16 with hot_indptr (n + 1,) int64; rare_row and rare_col int32 with
    rare_indptr (parts + 1,) int64; see src_cpp/omp/split.hpp.
    """
    cdef c.SplitRows raw
    cdef object arrays

    def __init__(self, Block block, int64_t n_hot, hot_indptr, hot, rare_indptr, rare_row,
                 rare_col, work, int32_t n_threads):
        """Fills hot, rare_row and rare_col; work (n_threads, d - n_hot + 1) int32."""
        cdef int64_t n = block.raw.n_rows, d = block.raw.n_cols
        cdef int64_t n_parts = rare_indptr.shape[0] - 1
        cdef uint16_t* hot_ = <uint16_t*>address(hot, 2 * hot_indptr[n], True)
        cdef int32_t* row_ = <int32_t*>address(rare_row, 4 * rare_indptr[n_parts], True)
        cdef int32_t* col_ = <int32_t*>address(rare_col, 4 * rare_indptr[n_parts], True)
        cdef int32_t* scratch = <int32_t*>address(work, 4 * n_threads * (d - n_hot + 1), True)
        cdef c.Status status
        self.arrays = hot_indptr, hot, rare_indptr, rare_row, rare_col
        self.raw.n_rows, self.raw.n_cols, self.raw.n_hot = n, d, n_hot
        self.raw.n_parts = n_parts
        self.raw.hot_indptr = <const int64_t*>address(hot_indptr, 8 * (n + 1))
        self.raw.rare_indptr = <const int64_t*>address(rare_indptr, 8 * (n_parts + 1))
        self.raw.hot, self.raw.rare_row, self.raw.rare_col = hot_, row_, col_
        with nogil:
            status = kernels().split_fill(&block.raw, &self.raw, hot_, row_, col_, scratch,
                                          n_threads)
        raise_for(status)

    def product(self, V, curvature, out, z, bounds, work):
        """out (d + 1,) <- A' D A V for D from curvature (n,); z (n,) and work are scratch.

        bounds (n_threads + 1,) int64 are the rare columns of each thread, work (n_threads,
        n_hot + 1).
        """
        cdef c.SplitRows X = self.raw
        cdef int32_t n_threads = bounds.shape[0] - 1
        cdef const double* v = <const double*>address(V, 8 * (X.n_cols + 1))
        cdef const double* c_ = <const double*>address(curvature, 8 * X.n_rows)
        cdef double* sums = <double*>address(out, 8 * (X.n_cols + 1), True)
        cdef double* z_ = <double*>address(z, 8 * X.n_rows, True)
        cdef double* scratch = <double*>address(work, 8 * n_threads * (X.n_hot + 1), True)
        cdef c.Status status
        X.rare_bounds = <const int64_t*>address(bounds, 8 * (n_threads + 1))
        with nogil:
            status = kernels().split_product(&X, v, c_, sums, z_, scratch, n_threads)
        raise_for(status)
        PyErr_CheckSignals()


def gather_rows(Block block, order, place, indptr, indices, values, int32_t n_threads):
    """Fills indices (and values, unless None) with the rows `order` and renumbered columns.

    order (m,) int64 or None for all rows as they are; place (d,) int32, negative drops a column;
    indptr (m + 1,) int64 where the rows of the copy begin.
    """
    cdef int64_t m = indptr.shape[0] - 1, nnz = indptr[m]
    cdef int32_t width = 4 if values is None else values.itemsize
    cdef const int64_t* order_ = <const int64_t*>address(order, 8 * m)
    cdef const int32_t* place_ = <const int32_t*>address(place, 4 * block.raw.n_cols)
    cdef const int64_t* pointers = <const int64_t*>address(indptr, 8 * (m + 1))
    cdef int32_t* ids = <int32_t*>address(indices, 4 * nnz, True)
    cdef void* x = address(values, width * nnz, True)
    cdef c.RowBlock raw = block.raw
    cdef c.Status status
    with nogil:
        status = kernels().gather_rows(&raw, order_, m, place_, pointers, ids, x,
                                       c.kFloat64 if width == 8 else c.kFloat32, n_threads)
    raise_for(status)


def svrg_epoch(Block block, Task task, order, correction, snapshot_derivatives, packed, base,
               damping, int64_t n_merges, int32_t n_threads):
    """One epoch on the rows `order` of the block; packed (n_threads, d + 1, 4) is changed in place.

    correction (n,) float64; snapshot_derivatives (n,), base and damping (d + 1,) of the block's
    dtype; base holds w before and, with several threads, after.
    """
    cdef int64_t n = block.raw.n_rows, d = block.raw.n_cols
    cdef int64_t width = 8 if block.raw.dtype == c.kFloat64 else 4
    cdef c.EpochArgs a
    cdef c.Status status
    a.columns = task.at(0)
    a.order = <const int64_t*>address(order, 0)
    a.n_steps = order.shape[0]
    a.correction = <const double*>address(correction, 8 * n)
    a.snapshot_derivatives = address(snapshot_derivatives, width * n)
    a.packed = address(packed, width * n_threads * (d + 1) * 4, True)
    a.base = address(base, width * (d + 1), True)
    a.damping = address(damping, width * (d + 1))
    a.n_merges, a.n_threads = n_merges, n_threads
    with nogil:
        status = kernels().svrg_epoch(&block.raw, &a)
    raise_for(status)
    PyErr_CheckSignals()


def dual_epoch(Block block, Task task, order, q, double per_l2, double per_rho, u, weights):
    """One epoch of dual ascent on the rows `order`; u (n,) and weights (d + 1,) change in place.

    q (n,) float64; weights of the block's dtype. Returns about the duality gap on the way, times S.
    """
    cdef int64_t n = block.raw.n_rows, d = block.raw.n_cols
    cdef int64_t width = 8 if block.raw.dtype == c.kFloat64 else 4
    cdef c.DualEpochArgs a
    cdef c.Status status
    a.columns = task.at(0)
    a.order = <const int64_t*>address(order, 0)
    a.n_steps = order.shape[0]
    a.q = <const double*>address(q, 8 * n)
    a.per_l2, a.per_rho = per_l2, per_rho
    a.u = <double*>address(u, 8 * n, True)
    a.weights = address(weights, width * (d + 1), True)
    with nogil:
        status = kernels().dual_epoch(&block.raw, &a)
    raise_for(status)
    PyErr_CheckSignals()
    return a.gap
