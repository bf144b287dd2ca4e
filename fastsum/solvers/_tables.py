"""Tables of a scalar a row: in memory, or in a memory map beside rows that are on the disk."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem

Array = npt.NDArray[Any]
# Tables of this many bytes are allocated without a look at the free memory.
SMALL_TABLE = 1 << 24
# Tables of so many bytes go to the disk where the rows are there too.
MAPPED_FROM = 1 << 28


def table_bytes(problem: Problem) -> int:
    """Size of one stored scalar a row and column, n K."""
    return problem.rows.n_rows * problem.K * problem.dtype.itemsize


def is_mapped(problem: Problem) -> bool:
    """Whether tables are memory maps: of a store, and large."""
    return problem.rows.user_cols is not None and table_bytes(problem) >= MAPPED_FROM


def fits(n_bytes: int, share: float) -> bool:
    """Whether n_bytes are less than a share of the free memory; a small table always fits."""
    return n_bytes <= SMALL_TABLE or n_bytes < share * available_memory()


def new_table(problem: Problem) -> Array:
    """A table (n, K) of zeros in the dtype of the problem.

    A memory map is of a file without a name in the folder of temporary files; its pages are the
    system's, like those of the rows, and not the process's own.

    Raises
    ------
    OSError
        If the disk cannot hold it.
    """
    shape = (problem.rows.n_rows, problem.K)
    if not is_mapped(problem):
        return np.zeros(shape, problem.dtype)
    needed = table_bytes(problem)
    try:
        with tempfile.TemporaryFile(prefix="fastsum-") as file:
            # pages that the disk has no room for would end the process when they are written
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, needed)
            else:
                file.truncate(needed)
            return np.memmap(file, dtype=problem.dtype, mode="r+", shape=shape)
    except OSError as error:
        raise OSError(
            error.errno,
            f"a table of {needed / 1e9:.1f} GB does not fit in {tempfile.gettempdir()} "
            f"({error.strerror}): set TMPDIR to a folder with more room",
        ) from None


def copied(problem: Problem, array: Array) -> Array:
    """A copy, in a memory map if it is a table that belongs there."""
    if is_mapped(problem) and array.shape == (problem.rows.n_rows, problem.K):
        out = new_table(problem)
        out[...] = array
        return out
    return array.copy()


def available_memory() -> float:
    """Bytes that can be used without swapping; inf where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * int(line.split()[1])
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))
    except (OSError, ValueError):
        return float("inf")
