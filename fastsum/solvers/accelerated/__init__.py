"""Methods whose rate has the square root of the condition number."""

from fastsum.solvers._method import Method

METHODS: tuple[type[Method], ...] = ()
