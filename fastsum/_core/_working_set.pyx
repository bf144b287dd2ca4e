"""Kernels of working sets: columns copied out of the rows, Gram matrices, coordinate descent."""
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from fastsum._core cimport kernels as c
from fastsum._core._registry cimport kernels
from fastsum._core._kernels cimport Block, address, raise_for

# Multiply-adds between two looks at Ctrl-C.
cdef int64_t POLL_WORK = 1 << 26


def cpu_level():
    """The CPU level whose kernels this module calls."""
    return kernels().level.decode()


def count_selected(Block block, place, counts, int32_t n_threads):
    """counts (n_rows,) int64 <- stored values of each row in columns with place (d,) int32 >= 0."""
    cdef const int32_t* place_ = <const int32_t*>address(place, 4 * block.raw.n_cols)
    cdef int64_t* out = <int64_t*>address(counts, 8 * block.raw.n_rows, True)
    cdef c.Status status
    with nogil:
        status = kernels().count_selected(&block.raw, place_, out, n_threads)
    raise_for(status)
    PyErr_CheckSignals()


def gather_columns(Block block, place, indptr, indices, values, int32_t n_threads):
    """Fills indices (and values of the block's dtype, None for ones) of the columns selected.

    indptr (n_rows + 1,) int64 may be a part of that of a larger copy.
    """
    cdef int64_t n = block.raw.n_rows
    cdef int32_t width = 8 if block.raw.dtype == c.kFloat64 else 4
    cdef const int32_t* place_ = <const int32_t*>address(place, 4 * block.raw.n_cols)
    cdef const int64_t* pointers = <const int64_t*>address(indptr, 8 * (n + 1))
    cdef int32_t* ids = <int32_t*>address(indices, 4 * pointers[n], True)
    cdef void* x = address(values, width * pointers[n], True)
    cdef c.Status status
    if x == NULL and block.raw.storage != c.kOnes:
        raise ValueError("values are needed for blocks that hold values")
    with nogil:
        status = kernels().gather_columns(&block.raw, place_, pointers, ids, x, n_threads)
    raise_for(status)
    PyErr_CheckSignals()


def add_gram(Block block, place, weight, int64_t first, H, work, int32_t n_threads):
    """Rows and columns from `first` on of H (p, p) += X_S' diag(weight) X_S.

    Column j of X is column place[j] of X_S, none where that is negative; place (d,) int32, with
    work (n_threads, p, 2) float64, or both None for X itself, whose ids then ascend in each row.
    """
    cdef int64_t n = block.raw.n_rows, p = H.shape[0], begin = 0, end
    cdef int64_t chunk = max(<int64_t>64, POLL_WORK // (block.row_work * block.row_work + 16))
    cdef const int32_t* place_ = <const int32_t*>address(place, 4 * block.raw.n_cols)
    cdef const double* weight_ = <const double*>address(weight, 8 * n)
    cdef double* out = <double*>address(H, 8 * p * p, True)
    cdef double* values = <double*>address(work, 16 * n_threads * p, True)
    cdef int32_t* ids = <int32_t*>(values + n_threads * p)
    cdef c.RowBlock part
    cdef c.Status status
    if (place_ == NULL and p != block.raw.n_cols) or (place_ != NULL and values == NULL):
        raise ValueError("H must have a row for each column; places need work")
    while begin < n:
        end = min(n, begin + chunk)
        part = block.part(begin, end)
        with nogil:
            status = kernels().add_gram(&part, place_, weight_ + begin, first, p, out, ids,
                                        values, n_threads)
        raise_for(status)
        PyErr_CheckSignals()
        begin = end
    with nogil:
        kernels().mirror(p, first, out, n_threads)


def row_descent(H, x, q, double l1, double l2, double target, int64_t most, work):
    """Sweeps made of block descent on rows x (p, C), gradient q (p, C), both changed in place.

    H (p, p) of the quadratic of each output; work (C,). Ends when a sweep gains `target` or less.
    """
    cdef c.RowDescentArgs a
    cdef const double* H_
    a.p, a.C = x.shape[0], x.shape[1]
    H_ = <const double*>address(H, 8 * a.p * a.p)
    a.l1, a.l2, a.target, a.most, a.sweeps = l1, l2, target, most, 0
    a.x = <double*>address(x, 8 * a.p * a.C, True)
    a.q = <double*>address(q, 8 * a.p * a.C, True)
    a.work = <double*>address(work, 8 * a.C, True)
    with nogil:
        kernels().row_descent(H_, &a)
    PyErr_CheckSignals()
    return a.sweeps


cdef class Descent:
    """Coordinate descent on a quadratic with l1 and l2 (src_cpp/descent.hpp).

    x, q and diagonal (p,) float64; x and q are changed in place. `size` is the mean square of the
    residuals behind the quadratic and follows x. own (p, 3) float64: factor, lower and upper of
    each coordinate, for all but `pivots`.
    """
    cdef c.DescentArgs raw
    cdef object arrays

    def __init__(self, double l1, double l2, diagonal, x, q, double size, active, own=None):
        memset(&self.raw, 0, sizeof(self.raw))
        self.arrays = (diagonal, x, q, active, own)
        self.raw.p = x.shape[0]
        self.raw.l1, self.raw.l2, self.raw.size = l1, l2, size
        self.raw.diagonal = <const double*>address(diagonal, 8 * self.raw.p)
        self.raw.x = <double*>address(x, 8 * self.raw.p, True)
        self.raw.q = <double*>address(q, 8 * self.raw.p, True)
        self.raw.active = <int32_t*>address(active, 4 * self.raw.p, True)
        self.raw.own = <const double*>address(own, 24 * self.raw.p)

    @property
    def size(self):
        return self.raw.size

    @size.setter
    def size(self, double value):
        self.raw.size = value

    def on_gram(self, H, double target, double share, int64_t most):
        """(gap, sweeps) with H (p, p) stored, x at its q on entry and on return."""
        cdef const double* H_ = <const double*>address(H, 8 * self.raw.p * self.raw.p)
        self.raw.target, self.raw.share, self.raw.most = target, share, most
        with nogil:
            kernels().gram_descent(H_, &self.raw)
        PyErr_CheckSignals()
        return self.raw.gap, self.raw.sweeps

    def pivots(self, H, double target, int64_t most, work, int64_t cap):
        """(gap, pivots) of exact pivots with H (p, p) stored and at most `cap` coordinates active.

        work (cap^2 + 5 cap + 2 p,) float64 is scratch; x at its q on entry and on return.
        """
        cdef int64_t p = self.raw.p
        cdef const double* H_ = <const double*>address(H, 8 * p * p)
        cdef double* work_ = <double*>address(work, 8 * (cap * cap + 5 * cap + 2 * p), True)
        self.raw.target, self.raw.most = target, most
        with nogil:
            kernels().gram_pivots(H_, &self.raw, work_, cap)
        PyErr_CheckSignals()
        return self.raw.gap, self.raw.sweeps

    def on_columns(self, Block columns, g, weight, mean, r, double target, double share,
                   int64_t most):
        """(gap, sweeps) with H = A' diag(weight) A, centred by `mean` (p,) unless that is None.

        columns: A' as rows; g (p,) the gradient at the start, r (n,) = weight * A (x - start).
        """
        cdef int64_t n = columns.raw.n_cols
        cdef const double* g_ = <const double*>address(g, 8 * self.raw.p)
        cdef const double* weight_ = <const double*>address(weight, 8 * n)
        cdef const double* mean_ = <const double*>address(mean, 8 * self.raw.p)
        cdef double* r_ = <double*>address(r, 8 * n, True)
        cdef c.Status status
        if columns.raw.n_rows != self.raw.p:
            raise ValueError(f"{columns.raw.n_rows} columns for {self.raw.p} coordinates")
        self.raw.target, self.raw.share, self.raw.most = target, share, most
        with nogil:
            status = kernels().column_descent(&columns.raw, g_, weight_, mean_, r_, &self.raw)
        raise_for(status)
        PyErr_CheckSignals()
        return self.raw.gap, self.raw.sweeps

    def on_outputs(self, Block columns, column, output, g, curvature, inverse, z, m,
                   double target, double share, int64_t most):
        """(gap, sweeps) with the H of C outputs coupled by softmax.

        Coordinate j is row column[j] of `columns`, A' as rows, in output[j] < C, both (p,) int32;
        g (p,) the gradient at the start, curvature (C, n), inverse (n,) of its sum over outputs;
        z (C, n) = A (x - start) and m (n,), its mean, follow x.
        """
        cdef int64_t n = columns.raw.n_cols, p = self.raw.p, C = curvature.shape[0]
        cdef c.CoupledArgs model
        cdef c.Status status
        cdef const double* g_ = <const double*>address(g, 8 * p)
        model.n = n
        model.column = <const int32_t*>address(column, 4 * p)
        model.output = <const int32_t*>address(output, 4 * p)
        model.c = <const double*>address(curvature, 8 * C * n)
        model.inverse = <const double*>address(inverse, 8 * n)
        model.z = <double*>address(z, 8 * C * n, True)
        model.m = <double*>address(m, 8 * n, True)
        self.raw.target, self.raw.share, self.raw.most = target, share, most
        with nogil:
            status = kernels().coupled_descent(&columns.raw, g_, &model, &self.raw)
        raise_for(status)
        PyErr_CheckSignals()
        return self.raw.gap, self.raw.sweeps


def quadratic_gap(x, q, double l1, double l2, double size, diagonal, own):
    """Duality gap of a quadratic at x with the gradient q, all (p,); own (p, 3) or None."""
    cdef c.DescentArgs a
    memset(&a, 0, sizeof(a))
    a.p = x.shape[0]
    a.l1, a.l2, a.size = l1, l2, size
    a.x = <double*>address(x, 8 * a.p)
    a.q = <double*>address(q, 8 * a.p)
    a.diagonal = <const double*>address(diagonal, 8 * a.p)
    a.own = <const double*>address(own, 24 * a.p)
    kernels().descent_gap(&a)
    return a.gap
