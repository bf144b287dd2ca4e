"""The rule behind solver="auto"."""

from __future__ import annotations

from fastsum.problem import Problem
from fastsum.solvers._method import fits, table_bytes


def choose(problem: Problem) -> str:
    """Name of the solver for a problem.

    SAGA makes progress with every row it reads, from the first pass on, but keeps n K scalars;
    SVRG can do without them. So: saga while its table is less than a quarter of the free memory.
    """
    return "saga" if fits(table_bytes(problem), 0.25) else "svrg"
