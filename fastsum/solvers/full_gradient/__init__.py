"""Methods whose every step reads all rows."""

from fastsum.solvers._method import Method
from fastsum.solvers.full_gradient.fista import Fista
from fastsum.solvers.full_gradient.frank_wolfe import FrankWolfe
from fastsum.solvers.full_gradient.gd import GradientDescent
from fastsum.solvers.full_gradient.lbfgs import Lbfgs

METHODS: tuple[type[Method], ...] = (
    GradientDescent,
    Fista,
    Lbfgs,
    FrankWolfe,
)
