"""Methods whose every step reads all rows."""

from fastsum.solvers._method import Method

METHODS: tuple[type[Method], ...] = ()
