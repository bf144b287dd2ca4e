"""Arrays to structs, blocks of rows with Ctrl-C polling, status to exception.

Nothing here knows what a solver or a loss does: every function fills a plain struct
(src_cpp/types.hpp), releases the GIL and calls one entry of the kernel table (kernels.hpp).
"""
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memset

from fastsum._core cimport kernels as c
from fastsum._core._registry cimport kernels

# Work between two looks at Ctrl-C, in multiply-adds: some 10 to 50 ms.
cdef int64_t POLL_WORK = 1 << 24

STORAGES = {"dense": c.kDense, "csr": c.kCsr, "ones": c.kOnes}
TARGET_KINDS = {"shared": c.kShared, "one_vs_rest": c.kOneVsRest, "multi": c.kMulti}


cdef void* address(object array, Py_ssize_t n_bytes, bint writable=False) except? NULL:
    """Data pointer of a C-contiguous buffer of at least n_bytes; NULL for None.

    The caller's reference keeps the array, and so the pointer, alive.
    """
    cdef Py_buffer view
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    cdef void* data = view.buf
    cdef Py_ssize_t length = view.len
    PyBuffer_Release(&view)
    if length < n_bytes:
        raise ValueError(f"array of {length} bytes where the kernel needs {n_bytes}")
    return data


def cpu_level():
    """The CPU level whose kernels this module calls."""
    return kernels().level.decode()


cdef int raise_for(c.Status status) except -1:
    """The one place where a kernel's status becomes an exception."""
    if status != c.kOk:
        raise RuntimeError("this build has no kernel for the storage, dtype or solver asked for")
    return 0


cdef class Block:
    """Rows of X in one storage: (n_rows, n_cols), float32 or float64.

    Keeps its arrays alive; the caller has checked them (fastsum/data.py).
    """
    def __init__(self, str storage, Py_ssize_t n_rows, Py_ssize_t n_cols, bint float64, *,
                 values=None, indices=None, indptr=None, Py_ssize_t stride=0):
        cdef Py_ssize_t nnz, width = 8 if float64 else 4
        self.storage = storage
        self.values, self.indices, self.indptr = values, indices, indptr
        self.raw.storage = STORAGES[storage]
        self.raw.dtype = c.kFloat64 if float64 else c.kFloat32
        self.raw.n_rows, self.raw.n_cols, self.raw.stride = n_rows, n_cols, stride
        if storage == "dense":
            # strided rows are no contiguous buffer: the address comes from numpy
            self.raw.values = <const void*><size_t>values.ctypes.data
            nnz = n_rows * n_cols
        else:
            self.raw.indptr = <const int64_t*>address(indptr, 8 * (n_rows + 1))
            nnz = self.raw.indptr[n_rows]
            self.raw.indices = <const int32_t*>address(indices, 4 * nnz)
            self.raw.values = address(values, width * nnz)
        self.row_work = max(1, nnz // max(1, n_rows))

    @property
    def n_rows(self):
        return self.raw.n_rows

    @property
    def n_cols(self):
        return self.raw.n_cols

    @property
    def nnz(self):
        if self.raw.storage == c.kDense:
            return self.raw.n_rows * self.raw.n_cols
        return self.raw.indptr[self.raw.n_rows]

    cdef c.RowBlock part(self, int64_t begin, int64_t end) noexcept:
        """The rows [begin, end) as a block of their own."""
        cdef c.RowBlock b = self.raw
        cdef int64_t width = 8 if b.dtype == c.kFloat64 else 4
        b.n_rows = end - begin
        if b.storage == c.kDense:
            b.values = <const char*>b.values + begin * b.stride * width
        else:
            b.indptr += begin
        return b

    cdef int64_t poll_rows(self, int64_t K) noexcept:
        """Rows between two looks at Ctrl-C."""
        return max(<int64_t>64, POLL_WORK // (self.row_work * K + 16))


cdef class Task:
    """Loss, labels, weights and offsets of all rows: what a kernel needs beside X.

    y: (n,) or (n, B) float64; sample_weight: (n,) or (n, B), and offset: (n, K), float64 or None.
    """
    def __init__(self, int32_t loss, double loss_param, Py_ssize_t n_problems,
                 Py_ssize_t n_outputs, str target_kind, y, sample_weight, offset=None):
        self.y, self.sample_weight, self.offset = y, sample_weight, offset
        self.n_rows = y.shape[0]
        self.K = n_problems * n_outputs
        self.raw.loss, self.raw.loss_param = loss, loss_param
        self.raw.n_problems, self.raw.n_outputs = n_problems, n_outputs
        self.raw.targets.kind = TARGET_KINDS[target_kind]
        self.raw.targets.stride = n_problems if target_kind == "multi" else 1
        self.raw.targets.y = <const double*>address(y, 8 * self.n_rows * self.raw.targets.stride)
        own = sample_weight is not None and sample_weight.ndim == 2
        self.raw.weight_stride = n_problems if own else 1
        self.raw.sample_weight = <const double*>address(
            sample_weight, 8 * self.n_rows * self.raw.weight_stride)
        self.raw.offset = <const double*>address(offset, 8 * self.n_rows * self.K)

    cdef c.Columns at(self, int64_t row) noexcept:
        """The same, with row `row` first."""
        cdef c.Columns columns = self.raw
        columns.targets.y += row * columns.targets.stride
        if columns.sample_weight != NULL:
            columns.sample_weight += row * columns.weight_stride
        if columns.offset != NULL:
            columns.offset += row * self.K
        return columns


def margins(Block block, W, int64_t K, z, int64_t first_row, int32_t n_threads):
    """z[first_row:...] <- X W + b; W (d + 1, K) float32 or float64, z (n, K) float64."""
    cdef int64_t n = block.raw.n_rows, begin = 0, end, chunk = block.poll_rows(K) * n_threads
    cdef int32_t dtype = c.kFloat64 if W.itemsize == 8 else c.kFloat32
    cdef const void* w = address(W, (block.raw.n_cols + 1) * K * W.itemsize)
    cdef double* out = <double*>address(z, 8 * (first_row + n) * K, True)
    cdef c.RowBlock part
    cdef c.Status status
    while begin < n:
        end = min(n, begin + chunk)
        part = block.part(begin, end)
        with nogil:
            status = kernels().margins(&part, dtype, w, K, out + (first_row + begin) * K,
                                       n_threads)
        raise_for(status)
        PyErr_CheckSignals()
        begin = end


def add_transposed(Block block, r, int64_t K, out, work, int64_t first_row, int32_t n_threads):
    """out (d, K) += X' r[first_row:...]; work (n_threads - 1, d, K) or None with one thread."""
    cdef int64_t n = block.raw.n_rows, d = block.raw.n_cols, begin = 0, end
    # a part costs n_threads d K more for its private sums
    cdef int64_t chunk = max(block.poll_rows(K), 4 * d // block.row_work) * n_threads
    cdef const double* rows = <const double*>address(r, 8 * (first_row + n) * K)
    cdef double* sums = <double*>address(out, 8 * d * K, True)
    cdef double* mine = <double*>address(work, 8 * (n_threads - 1) * d * K, True)
    cdef c.RowBlock part
    cdef c.Status status
    if mine == NULL:
        n_threads = 1
    while begin < n:
        end = min(n, begin + chunk)
        part = block.part(begin, end)
        with nogil:
            status = kernels().add_transposed(&part, rows + (first_row + begin) * K, K, sums,
                                              mine, n_threads)
        raise_for(status)
        PyErr_CheckSignals()
        begin = end


def row_norms(Block block, P, out, int64_t first_row, int32_t n_threads):
    """out[first_row:...] <- squared norms of the rows in the metric P (d,), None for 1."""
    cdef const double* P_ = <const double*>address(P, 8 * block.raw.n_cols)
    cdef int64_t n = block.raw.n_rows, begin = 0, end, chunk = block.poll_rows(1) * n_threads
    cdef double* norms = <double*>address(out, 8 * (first_row + n), True)
    cdef c.RowBlock part
    cdef c.Status status
    while begin < n:
        end = min(n, begin + chunk)
        part = block.part(begin, end)
        with nogil:
            status = kernels().row_norms(&part, P_, norms + first_row + begin, n_threads)
        raise_for(status)
        PyErr_CheckSignals()
        begin = end


def column_mass(Block block, p, out, int64_t first_row):
    """out (d,) += sum of p_i over the rows that hold each column; p (n,) or None for ones."""
    cdef const double* mass = <const double*>address(p, 8 * (first_row + block.raw.n_rows))
    cdef double* sums = <double*>address(out, 8 * block.raw.n_cols, True)
    cdef int64_t n = block.raw.n_rows, begin = 0, end, chunk = block.poll_rows(1)
    cdef c.RowBlock part
    cdef c.Status status
    while begin < n:
        end = min(n, begin + chunk)
        part = block.part(begin, end)
        with nogil:
            status = kernels().column_mass(
                &part, mass + first_row + begin if mass != NULL else mass, sums)
        raise_for(status)
        PyErr_CheckSignals()
        begin = end


def loss_terms(Task task, z, b, u, bint with_curvature, sums, work, int32_t n_threads):
    """Adds value, gradient and curvature in b to sums (n_threads, B + K + K C); fills u."""
    cdef int64_t n = task.n_rows, K = task.K, C = task.raw.n_outputs
    cdef int64_t width = task.raw.n_problems + K + K * C
    cdef const double* margins_ = <const double*>address(z, 8 * n * K)
    cdef const double* shift = <const double*>address(b, 8 * K)
    cdef double* du = <double*>address(u, 8 * n * K, True)
    cdef double* out = <double*>address(sums, 8 * n_threads * width, True)
    cdef double* scratch = <double*>address(work, 8 * n_threads * (2 * K + C * C), True)
    cdef double* part
    cdef int64_t begin = 0, end, chunk = max(<int64_t>64, POLL_WORK // (16 * K)) * n_threads
    cdef c.Columns columns
    cdef c.Status status
    while begin < n:
        end = min(n, begin + chunk)
        columns = task.at(begin)
        part = du + begin * K if du != NULL else du
        with nogil:
            status = kernels().loss_terms(&columns, end - begin, margins_ + begin * K, shift,
                                          part, with_curvature, out, scratch, n_threads)
        raise_for(status)
        PyErr_CheckSignals()
        begin = end


def loss_curvature(Task task, z, b, h, work, int32_t n_threads):
    """h (n, B, C, C) <- l''(z + b); work (n_threads, K)."""
    cdef int64_t n = task.n_rows, K = task.K, C = task.raw.n_outputs
    cdef const double* margins_ = <const double*>address(z, 8 * n * K)
    cdef const double* shift = <const double*>address(b, 8 * K)
    cdef double* out = <double*>address(h, 8 * n * K * C, True)
    cdef double* scratch = <double*>address(work, 8 * n_threads * K, True)
    cdef c.Columns columns = task.at(0)
    cdef c.Status status
    with nogil:
        status = kernels().loss_curvature(&columns, n, margins_, shift, out, scratch, n_threads)
    raise_for(status)


def loss_gap(Task task, z, b, u, scale, out, work, int32_t n_threads):
    """out (n_threads, B) += Fenchel-Young terms of the loss at the dual point scale * u."""
    cdef int64_t n = task.n_rows, K = task.K, B = task.raw.n_problems
    cdef const double* margins_ = <const double*>address(z, 8 * n * K)
    cdef const double* shift = <const double*>address(b, 8 * K)
    cdef const double* du = <const double*>address(u, 8 * n * K)
    cdef const double* c_ = <const double*>address(scale, 8 * B)
    cdef double* sums = <double*>address(out, 8 * n_threads * B, True)
    cdef double* scratch = <double*>address(work, 8 * n_threads * 2 * K, True)
    cdef int64_t begin = 0, end, chunk = max(<int64_t>64, POLL_WORK // (16 * K)) * n_threads
    cdef c.Columns columns
    cdef c.Status status
    while begin < n:
        end = min(n, begin + chunk)
        columns = task.at(begin)
        with nogil:
            status = kernels().loss_gap(&columns, end - begin, margins_ + begin * K, shift,
                                        du + begin * K, c_, sums, scratch, n_threads)
        raise_for(status)
        PyErr_CheckSignals()
        begin = end


def penalty_terms(W, v, l1, l2, own, scale, value, gap, subgradient):
    """Adds, per column, h(w), its Fenchel-Young gap at scale * v and the squared subgradient.

    W (d + 1, K) float32 or float64, v (d, K), own (d, 3) or None and the (K,) arrays float64.
    """
    cdef int64_t d = v.shape[0], K = v.shape[1]
    cdef int32_t dtype = c.kFloat64 if W.itemsize == 8 else c.kFloat32
    cdef const void* w = address(W, (d + 1) * K * W.itemsize)
    cdef const double* v_ = <const double*>address(v, 8 * d * K)
    cdef const double* l1_ = <const double*>address(l1, 8 * K)
    cdef const double* l2_ = <const double*>address(l2, 8 * K)
    cdef const double* own_ = <const double*>address(own, 24 * d)
    cdef const double* c_ = <const double*>address(scale, 8 * K)
    cdef double* value_ = <double*>address(value, 8 * K, True)
    cdef double* gap_ = <double*>address(gap, 8 * K, True)
    cdef double* sub_ = <double*>address(subgradient, 8 * K, True)
    cdef c.Status status
    with nogil:
        status = kernels().penalty_terms(dtype, d, K, w, v_, l1_, l2_, own_, c_, value_, gap_,
                                         sub_)
    raise_for(status)


def steps(int32_t solver, Block block, Task task, int64_t first_row, order, double total_weight,
          q, double q_uniform, density, scale, double intercept_curvature, step, l1, l2, own,
          ridge, row_l1, row_l2, tuple vectors, tuple tables, work, tuple parameters=(),
          tuple sequences=(), visits=None, int64_t time=0, int32_t n_threads=1, tuple per_row=()):
    """Steps of solver number `solver` on the rows `order` (int64) of the block.

    vectors: (d + 1, K) arrays and tables: (n, K) arrays of the block's dtype, changed in place,
    in the order of the solver's header; q (n,) float64 or None; density and scale (d,) or None,
    step, l1, l2 and ridge (K,), own (d, 3) or None, row_l1 and row_l2 (K,) or None of that dtype;
    work (10 K,) float64; a vector or table may be None if the solver allows it. parameters (K,),
    per_row (n,) and sequences of any size, float64, are read only; visits (d,) int64 and `time`,
    the steps made before, belong to lazy updates. Solvers that have several threads make them in
    n_threads parts, each with 10 K of work. The kernel is called once where there are no rows.
    """
    cdef int64_t n_steps = order.shape[0], K = task.K, d = block.raw.n_cols
    cdef int64_t width = 8 if block.raw.dtype == c.kFloat64 else 4, begin = 0, slot
    cdef const int64_t* order_ = <const int64_t*>address(order, 8 * n_steps)
    cdef int64_t chunk = block.poll_rows(K)
    cdef c.StepArgs a
    cdef c.Status status = c.kOk
    memset(&a, 0, sizeof(a))
    a.columns = task.at(first_row)
    a.total_weight = total_weight
    a.q = <const double*>address(q, 8 * task.n_rows)
    if a.q != NULL:
        a.q += first_row
    a.q_uniform = q_uniform
    a.density = address(density, width * d)
    a.scale = address(scale, width * d)
    a.intercept_curvature = intercept_curvature
    a.step = address(step, width * K)
    a.l1 = address(l1, width * K)
    a.l2 = address(l2, width * K)
    a.own = address(own, 3 * width * d)
    a.ridge = address(ridge, width * K)
    a.row_l1 = address(row_l1, width * K)
    a.row_l2 = address(row_l2, width * K)
    for slot in range(len(vectors)):
        a.vectors[slot] = address(vectors[slot], width * (d + 1) * K, True)
    for slot in range(len(tables)):
        a.tables[slot] = address(tables[slot], width * task.n_rows * K, True)
        if a.tables[slot] != NULL:
            a.tables[slot] = <char*>a.tables[slot] + width * first_row * K
    a.work = <double*>address(work, 8 * 10 * K * n_threads, True)
    a.n_threads = n_threads
    for slot in range(len(parameters)):
        a.parameters[slot] = <const double*>address(parameters[slot], 8 * K)
    for slot in range(len(sequences)):
        a.sequences[slot] = <const double*>address(sequences[slot], 0)
    for slot in range(len(per_row)):
        a.per_row[slot] = <const double*>address(per_row[slot], 8 * task.n_rows) + first_row
    a.visits = <int64_t*>address(visits, 8 * d, True)
    while begin < n_steps or begin == 0:
        a.order = order_ + begin
        a.n_steps = min(chunk, n_steps - begin)
        a.time = time + begin
        with nogil:
            status = kernels().steps(solver, &block.raw, &a)
        raise_for(status)
        PyErr_CheckSignals()
        begin += chunk


# ---- structure of user-given CSR arrays, before any kernel reads them

def csr_fault(indptr, indices, int64_t n_rows, int64_t n_cols):
    """(kind, where) of the first fault of a CSR structure; kind 0 if there is none.

    indptr int64; indices int32 or int64. Kinds: 1 pointers decrease or do not start at 0,
    2 pointer past the end of the arrays, 3 column id out of range.
    """
    cdef const int64_t* pointers = <const int64_t*>address(indptr, 8 * (n_rows + 1))
    cdef const void* ids = address(indices, 0)
    cdef int64_t width = indices.itemsize, nnz = indices.shape[0]
    cdef c.CsrFault fault
    with nogil:
        fault = c.find_csr_fault(pointers, n_rows, ids, width, nnz, n_cols)
    return fault.kind, fault.where


def rows_increase(indptr, indices):
    """True if the column ids of every row increase strictly (sorted, no duplicates)."""
    cdef int64_t n_rows = indptr.shape[0] - 1
    cdef const int64_t* pointers = <const int64_t*>address(indptr, 8 * (n_rows + 1))
    cdef const void* ids = address(indices, 0)
    cdef int32_t width = indices.itemsize, increase
    with nogil:
        increase = c.rows_increase(pointers, n_rows, ids, width)
    return bool(increase)


def columns_differ(indptr, indices, stamp):
    """True if no row holds a column twice; stamp (d,) uint32 is 0 before."""
    cdef int64_t n_rows = indptr.shape[0] - 1
    cdef const int64_t* pointers = <const int64_t*>address(indptr, 8 * (n_rows + 1))
    cdef const void* ids = address(indices, 0)
    cdef uint32_t* stamp_ = <uint32_t*>address(stamp, 0, True)
    cdef int32_t width = indices.itemsize, differ
    with nogil:
        differ = c.columns_differ(pointers, n_rows, ids, width, stamp_)
    return bool(differ)
