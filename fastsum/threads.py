"""How many threads a fit uses. Nothing else reads thread settings; kernels get a number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import joblib
from threadpoolctl import ThreadpoolController

from fastsum._core import _registry

_lock = Lock()
_limits: list[Any] = []  # open now; the first knows what the process had, and stays to the end
_ended: list[Any] = []  # the first, once its own context is left
MOST_THREADS = _registry.max_threads()  # of this process, before other libraries change it
PER_THREAD = 1 << 19  # values of a pass for each thread: fewer take longer than to wake it
SMALL_WORK = 1 << 14  # below it BLAS starts no threads that matter


def resolve_n_threads(n_jobs: int | None) -> int:
    """Threads inside one fit.

    Parameters
    ----------
    n_jobs : int or None
        None means 1, or the number of jobs of an enclosing ``joblib.parallel_config``; -1 the
        CPUs this process may use, -2 one fewer, and so on.

    Returns
    -------
    int
        At least 1. A number given is at most OpenMP's limit when fastsum was imported
        (OMP_NUM_THREADS, a joblib worker); None and negative ones at most its limit now
        (threadpoolctl). Other libraries lower that for the whole process and leave it so: after a
        fit of snapml every n_jobs=2 was heard as 1.

    Raises
    ------
    ValueError
        If `n_jobs` is 0 or no integer.
    """
    if n_jobs is not None and not hasattr(n_jobs, "__index__"):
        raise ValueError(f"n_jobs must be None or an integer other than 0, got {n_jobs!r}")
    if n_jobs == 0:
        raise ValueError("n_jobs must not be 0: use None for one thread or -1 for all CPUs")
    limit = _registry.max_threads() if n_jobs is None or n_jobs < 0 else MOST_THREADS
    return max(1, min(int(joblib.effective_n_jobs(n_jobs)), limit))


def useful_threads(n_threads: int, work: int) -> int:
    """How many of n_threads gain on passes over `work` values.

    Fits of 10^4 to 10^6 values took 1.0 to 5 times as long with two threads as with one.
    """
    return max(1, min(n_threads, work // max(1, PER_THREAD)))


@cache
def _controller() -> ThreadpoolController:
    """Looks the process's BLAS libraries up, once."""
    return ThreadpoolController()


@contextmanager
def blas_threads(n_threads: int, work: float) -> Iterator[None]:
    """Limits BLAS to n_threads inside the context, where there are `work` values to go through.

    With one thread the workers of BLAS sleep. Else they would spin for some 20 ms after each call
    and take the cores from our own: a pass of two threads then took twice as long. The limit is the
    process's: of fits side by side, the last to end gives back what the first one found.
    """
    if work < SMALL_WORK:
        yield
        return
    with _lock:
        limit = _controller().limit(limits=n_threads, user_api="blas")
        _limits.append(limit)
    try:
        yield
    finally:
        with _lock:
            limit.restore_original_limits()
            if limit is not _limits[0]:
                _limits.remove(limit)
            else:
                _ended.append(limit)
            if _ended and len(_limits) == 1:
                _ended.clear()
                _limits.pop().restore_original_limits()
