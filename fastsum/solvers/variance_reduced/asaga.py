"""ASAGA (Leblond, Pedregosa, Lacoste-Julien, AISTATS 2017; prox: the same authors, NIPS 2017).

The steps are in src_cpp/solvers/asaga.hpp.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastsum.problem import Problem
from fastsum.solvers.variance_reduced.saga import Saga


class Asaga(Saga):
    """SAGA by `n_jobs` threads that read and write one point without locks.

    Problem, step and memory: those of `Saga`; with one thread the same bits.  Rate: linear, that of
    SAGA for gamma = 1 / (36 L) while the steps under way at once meet few columns in common; gamma
    is that of (15), and without strong convexity (l1 alone, a free intercept) the same steps are
    made.  Each coefficient's step is atomic, a row's are not.

    More threads than one are not reproducible: which one is ahead is up to the machine, so equal
    seeds give points that differ within what the certificate allows. On rows that share their
    columns, dense ones above all, the threads wait for each other's cache lines, and two can be
    slower than one.
    """

    name = "asaga"
    own_weights = False
    threaded: ClassVar[bool] = True

    def __init__(self, problem: Problem, **options: Any):
        super().__init__(problem, **options)
        self._work = np.empty(10 * problem.K * self.n_threads)
