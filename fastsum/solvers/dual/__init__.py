"""Methods that climb the dual, row by row."""

from fastsum.solvers._method import Method
from fastsum.solvers.dual.sdca import Sdca

METHODS: tuple[type[Method], ...] = (Sdca,)
