"""What the library was built with: losses, solvers, CPU levels; and scalars of the first."""
from libc.stdint cimport int32_t, int64_t

from fastsum._core cimport kernels as c


cdef const c.Kernels* kernels() noexcept nogil:
    """The kernel table in use."""
    return c.kernels()


def loss_registry():
    """{name: (id, coupled)} of losses.def."""
    return {c.loss_name(i).decode(): (i, bool(c.loss_coupled(i))) for i in range(c.num_losses())}


def loss_curvature(int32_t loss, double param):
    """Smoothness constant of a loss."""
    return c.loss_curvature(loss, param)


def solver_registry():
    """{name: id} of solvers.def."""
    return {c.solver_name(i).decode(): i for i in range(c.num_solvers())}


def loss_point(int32_t loss, double param, int32_t what, double[::1] z, double y,
               double[::1] out):
    """One row's loss: what = 0 value, 1 derivative, 2 second derivative, 3 conjugate of z."""
    cdef int64_t C = z.shape[0]
    if out.shape[0] < (C * C if what == 2 else C if what == 1 else 1):
        raise ValueError("out is too small")
    c.loss_point(loss, param, what, &z[0], y, C, &out[0])


def penalty_point(int32_t what, double x, double l1, double l2, double[::1] own, double t):
    """One coefficient's penalty: what = 0 value, 1 conjugate, 2 prox with step t.

    own: factor, lower and upper, or None.
    """
    if own is not None and own.shape[0] != 3:
        raise ValueError("own must be factor, lower and upper")
    cdef const double* own_ = NULL
    if own is not None:
        own_ = &own[0]
    return c.penalty_point(what, x, l1, l2, own_, t)


def cpu_level():
    """The CPU level in use: base, v2, v3 or v4."""
    return kernels().level.decode()


def cpu_levels():
    """{level: True if this CPU runs it} of the levels built in, best first."""
    cdef const char* name
    levels = {}
    while (name := c.built_level(len(levels))) != NULL:
        levels[name.decode()] = bool(c.level_supported(name))
    return levels


def select_cpu_level(str level):
    """Uses a level from now on; False if it is unknown or this CPU cannot run it."""
    return bool(c.select_level(level.encode()))


def max_threads():
    """OpenMP's thread limit for the calling thread; 1 without OpenMP."""
    return c.max_threads()


def has_openmp():
    """True if the kernels were built with OpenMP."""
    return bool(c.has_openmp())
