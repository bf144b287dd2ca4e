"""Methods whose every step reads all rows."""

from fastsum.solvers._method import Method
from fastsum.solvers.full_gradient.fista import Fista
from fastsum.solvers.full_gradient.gd import GradientDescent

METHODS: tuple[type[Method], ...] = (
    GradientDescent,
    Fista,
)
