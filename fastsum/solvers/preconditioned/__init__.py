"""Per-sample methods in the metric of a sketched Hessian."""

from fastsum.solvers._method import Method

METHODS: tuple[type[Method], ...] = ()
