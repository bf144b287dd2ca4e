"""What solving many problems takes, and how many at a time a budget allows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

from fastsum.data import Rows
from fastsum.problem import Problem
from fastsum.solvers.phases._preconditioner import APPLIED, MOST_COLUMNS
from fastsum.solvers.phases.working_set import GRAM_BYTES, GROWTH

SHARE = 0.25  # of the machine's memory: the budget where none is given
# Arrays of a fit in flight, of n K and of (d + 1) K float64: most of those of Newton steps.
PER_ROW, PER_WEIGHT = 24, 40
DATA = 3  # copies of the data: the rows of a fold, the columns of a working set or a block
BLOCKS = 3  # of a preconditioner, p^2 float64 each, while one is made or lent


@dataclass(frozen=True)
class Footprint:
    """Bytes: of what all paths share, of the results, and of each path in flight."""

    shared: int
    results: int
    path: int

    @classmethod
    def of(cls, problems: Sequence[Problem], longest: int) -> Footprint:
        """Of problems over one data set, in paths of at most `longest`."""
        first = problems[0]
        rows, K = first.rows, first.K
        weights = (rows.n_cols + 1) * K * first.dtype.itemsize
        data = size_of(rows)
        block = min(rows.n_cols, rows.n_rows, MOST_COLUMNS) ** 2
        if rows.sparse:
            block = min(block, int(APPLIED * rows.nnz))
        wide = (rows.n_cols + 1) * K * 8
        in_flight = PER_ROW * rows.n_rows * K * 8 + PER_WEIGHT * wide + BLOCKS * 8 * block
        if any(p.l1.any() or p.penalty.bounded for p in problems):
            most = min(rows.n_cols, GROWTH * rows.n_rows)
            in_flight += 2 * min(8 * most * most, max(GRAM_BYTES, data))  # two while it grows
        # a path keeps its points, and those of the one before
        return cls(data, len(problems) * weights, DATA * data + in_flight + 2 * longest * weights)

    def at_a_time(self, n_threads: int, budget: float | None) -> int:
        """How many paths of `n_threads` fit into the budget.

        Raises
        ------
        ValueError
            If the budget is no positive number.
        MemoryError
            If not even one does and the budget was given.
        """
        if budget is not None and not (isinstance(budget, Real) and budget > 0):
            raise ValueError(
                f"memory_budget must be a positive number of bytes or None, got {budget!r}"
            )
        limit = default_budget() if budget is None else budget
        fits = (limit - self.shared - self.results) // self.path
        if fits < 1 and budget is not None:
            raise MemoryError(
                f"memory_budget is {megabytes(budget)}, and the problems need about "
                f"{megabytes(self.total(1))} one path at a time: raise it, or solve fewer problems"
            )
        return int(max(1, min(n_threads, fits)))

    def total(self, at_a_time: int) -> int:
        """Bytes with so many paths at a time."""
        return self.shared + self.results + at_a_time * self.path

    def sentence(self, at_a_time: int, budget: float | None) -> str:
        """What is shown before the run."""
        limit = default_budget() if budget is None else budget
        return (
            f"at most about {megabytes(self.total(at_a_time))} of {megabytes(limit)}: data "
            f"{megabytes(self.shared)}, results {megabytes(self.results)}, {at_a_time} at a time "
            f"with {megabytes(self.path)} each"
        )


def size_of(rows: Rows) -> int:
    """Bytes of the stored rows."""
    per_value = (rows.dtype.itemsize if rows.storage != "ones" else 0) + (4 if rows.sparse else 0)
    return rows.nnz * per_value + (8 * (rows.n_rows + 1) if rows.sparse else 0)


def default_budget() -> int:
    """A quarter of the machine's memory."""
    return int(SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def megabytes(n_bytes: float) -> str:
    """A number of bytes for people."""
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:,.1f} GB"
