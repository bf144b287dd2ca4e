"""``fastsum demo``: real data that come with the package, then a click log of a million rows."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy.typing as npt
import scipy.sparse as sp
from rich.console import Console

from fastsum.datasets import load_example, make_click_log
from fastsum.jobs import Recipe

from ._report import evaluate, print_training
from ._training import train

N_FEATURES = 2**20


def run_demo(rows: int, n_jobs: int) -> None:
    """Fit both data sets and print what came out.

    Parameters
    ----------
    rows : int
        Rows of the generated click log to fit; a tenth more is held out for testing.
    n_jobs : int
        Threads inside a fit.
    """
    start = perf_counter()
    console = Console()
    console.rule("a9a: does a person earn more than 50,000 dollars? (real data)")
    adult = load_example("a9a")
    parts = {
        "train": (adult.data, adult.target),
        "test": (adult.data_test, adult.target_test),
    }
    _fit_and_print(parts, Recipe(tol=1e-6, n_jobs=n_jobs), "a9a")

    console.rule(f"Generated click log: {rows:,} rows, {N_FEATURES:,} features")
    begin = perf_counter()
    X, y = make_click_log(rows + rows // 10, N_FEATURES, random_state=0)
    console.print(f"generated in {perf_counter() - begin:.1f} s, {y.mean():.2%} clicks")
    parts = {"train": _rows(X, y, 0, rows), "test": _rows(X, y, rows, X.shape[0])}
    _fit_and_print(parts, Recipe(alpha=10 / rows, tol=1e-3, n_jobs=n_jobs), "click log")
    console.print(f"Everything took {perf_counter() - start:.1f} s.")


def _fit_and_print(
    parts: dict[str, tuple[Any, npt.NDArray[Any]]], recipe: Recipe, title: str
) -> None:
    """Fit the part called train and score every part."""
    training = train(*parts["train"], recipe, title)
    scores = {name: evaluate(training.model, *part) for name, part in parts.items()}
    print_training(training, scores, {name: len(part[1]) for name, part in parts.items()})


def _rows(
    X: sp.csr_matrix, y: npt.NDArray[Any], start: int, stop: int
) -> tuple[sp.csr_matrix, npt.NDArray[Any]]:
    """Return some rows without copying their values, as scipy's own slicing would."""
    first, last = int(X.indptr[start]), int(X.indptr[stop])
    indptr = X.indptr[start : stop + 1] - first
    part = (X.data[first:last], X.indices[first:last], indptr)
    return sp.csr_matrix(part, shape=(stop - start, X.shape[1])), y[start:stop]
