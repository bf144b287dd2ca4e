"""Methods whose rate has the square root of the condition number."""

from fastsum.solvers._method import Method
from fastsum.solvers.accelerated.acc_prox_sdca import AccProxSdca
from fastsum.solvers.accelerated.apcg import Apcg
from fastsum.solvers.accelerated.rpdg import Rpdg

METHODS: tuple[type[Method], ...] = (
    AccProxSdca,
    Apcg,
    Rpdg,
)
