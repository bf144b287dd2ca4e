"""Stochastic gradient methods, without variance reduction."""

from fastsum.solvers._method import Method
from fastsum.solvers.stochastic.acc_sgd import AccSgd
from fastsum.solvers.stochastic.sgd import Sgd
from fastsum.solvers.stochastic.sgd_linesearch import SgdLinesearch

METHODS: tuple[type[Method], ...] = (
    Sgd,
    SgdLinesearch,
    AccSgd,
)
