# What the modules of kernels share: arrays to structs, status to exception.
from libc.stdint cimport int32_t, int64_t

from fastsum._core cimport kernels as c


cdef void* address(object array, Py_ssize_t n_bytes, bint writable=*) except? NULL
cdef int raise_for(c.Status status) except -1


cdef class Block:
    cdef c.RowBlock raw
    cdef readonly object values, indices, indptr
    cdef readonly str storage
    cdef int64_t row_work  # mean multiply-adds a row

    cdef c.RowBlock part(self, int64_t begin, int64_t end) noexcept
    cdef int64_t poll_rows(self, int64_t K) noexcept


cdef class Task:
    cdef c.Columns raw
    cdef readonly object y, sample_weight, offset
    cdef readonly int64_t n_rows, K

    cdef c.Columns at(self, int64_t row) noexcept
