"""Methods with momentum: n + sqrt(n kappa) sample gradients a factor in place of n + kappa."""

from fastsum.solvers._method import Method
from fastsum.solvers.accelerated.katyusha import Katyusha

METHODS: tuple[type[Method], ...] = (Katyusha,)
