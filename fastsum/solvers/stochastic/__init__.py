"""Stochastic gradient methods, without variance reduction."""

from fastsum.solvers._method import Method

METHODS: tuple[type[Method], ...] = ()
