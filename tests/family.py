"""Solvers for the tests: which ones a grid of problems is tried with, and their NumPy twins."""

import importlib

import numpy as np
from reference.arrays import arrays_of

from fastsum.solvers import SOLVERS, _tables

# The methods that every grid of the tests runs through; the others have test_family.py.
CORE = ("saga", "svrg")
CORE_NAMES = ("auto", *CORE)
FAMILY = [name for name in SOLVERS if name not in CORE]
# Methods of which a fit to the last digits can be asked.
EXACT = [name for name in FAMILY if SOLVERS[name].reaches <= 1e-10]
N_PASSES = 7


def no_memory(monkeypatch):
    monkeypatch.setattr(_tables, "available_memory", lambda: 0.0)
    monkeypatch.setattr(_tables, "SMALL_TABLE", 0)


def recorded_run(name, problem, sampling, monkeypatch, store=True, n_passes=N_PASSES):
    """(start, order of rows, [(steps made, weights)]) of a solver's own passes, no refinement.

    Where no rows are drawn the order counts the passes.
    """
    if not store:
        no_memory(monkeypatch)
    method = SOLVERS[name](problem, sampling=sampling, step_size=None, n_threads=1)
    order, seen = [], []
    draws = hasattr(method, "sampler")
    if draws:
        draw = method.sampler.draw

        def listen(rng, n):
            parts = draw(rng, n)
            for block, rows in parts:
                order.extend((rows + problem.rows.starts[block]).tolist())
            return parts

        method.sampler.draw = listen
    rng = np.random.default_rng(0)
    start = rng.standard_normal((problem.rows.n_cols + 1, problem.K)).astype(problem.dtype) / 4
    start[:-1] = problem.within(start[:-1])
    if not problem.fit_intercept:
        start[-1] = 0
    state = method.start(start.copy(), np.random.default_rng(1))
    least = 2 * (arrays_of(problem).s > 0).sum()  # rows to see: a pass may go into other things
    while len(seen) < n_passes or len(order) < least:
        method.advance(state, 1)
        if not draws:
            order.append(len(order))
            least = 0
        made = len(order) - state.get("ahead", 0)  # of the rows drawn
        seen.append((made, state["weights"].copy()))
    return start, order, seen


def assert_same_as_twin(name, problem, sampling, monkeypatch, *, tol=1e-10, **kwargs):
    start, order, seen = recorded_run(name, problem, sampling, monkeypatch, **kwargs)
    twin = importlib.import_module("reference." + name.replace("-", "_"))
    path = twin.iterates(problem, order, sampling=sampling, start=start)
    assert np.abs(path[-1] - path[0]).max() > 1e-3
    for steps, weights in seen:
        np.testing.assert_allclose(weights, path[steps], rtol=tol, atol=tol)
