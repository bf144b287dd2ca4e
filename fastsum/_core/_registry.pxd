# The kernel table of the process: every extension module links its own copy of the dispatch, and
# all of them take the table from here, so that one choice of a CPU level holds for all.
from fastsum._core cimport kernels as c


cdef const c.Kernels* kernels() noexcept nogil
