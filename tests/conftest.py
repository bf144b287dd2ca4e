"""Shared set-up of the tests."""

import gc
import os
import sys
from pathlib import Path

import pytest

# The checkout's fastsum/ has no compiled core, the installed one has. So the checkout must not be
# on the path: neither here, where ``python -m pytest`` puts it, nor in the processes that tests
# start. An editable install does not need it, that brings its own finder.
ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
os.environ["PYTHONSAFEPATH"] = "1"


def pytest_collection_finish():
    """Millions of objects of the items live to the end: no collection shall walk them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def small_fits_use_their_threads(monkeypatch):
    """Tests are of small data, on which n_jobs > 1 would not be heard."""
    monkeypatch.setattr("fastsum.threads.PER_THREAD", 1)


@pytest.fixture
def solved(monkeypatch):
    """How many problems each shared solve took, and how many fits were made alone."""
    from fastsum.linear_model import _many
    from fastsum.linear_model._base import FiniteSumEstimator

    counts = {"shared": [], "alone": 0}
    solve_many, solve = _many.solve_many, FiniteSumEstimator._solve

    def many(problems, *args, **kwargs):
        counts["shared"].append(len(problems))
        return solve_many(problems, *args, **kwargs)

    def alone(self, *args):
        counts["alone"] += 1
        return solve(self, *args)

    monkeypatch.setattr(_many, "solve_many", many)
    monkeypatch.setattr(FiniteSumEstimator, "_solve", alone)
    return counts
