"""Methods that climb the dual, row by row."""

from fastsum.solvers._method import Method

METHODS: tuple[type[Method], ...] = ()
