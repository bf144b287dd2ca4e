"""``fastsum fit``."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt
from rich.console import Console

from fastsum.datasets import DataInfo, read_data
from fastsum.jobs import save_model

from ._report import evaluate, print_training
from ._training import Recipe, Training, train


class Files(NamedTuple):
    """The files a fit reads and writes."""

    data: Path
    out: Path
    test: Path | None = None
    plot: Path | None = None


def run_fit(
    files: Files, recipe: Recipe, *, dtype: str, n_features: int | None, zero_based: bool
) -> None:
    """Read, fit, write the model and report.

    Parameters
    ----------
    files : Files
        What to read and to write.
    recipe : Recipe
        What to fit.
    dtype : {"float64", "float32"}
        Type of the data in memory.
    n_features : int or None
        Number of columns, None for what the data say.
    zero_based : bool
        Whether svmlight indices start at 0.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read or written, or the data do not fit the recipe.
    """
    _check_outputs(files)
    options: dict[str, Any] = {"dtype": dtype, "zero_based": zero_based}
    X, y, info = _read(files.data, n_features=n_features, **options)
    parts = {"train": (X, y)}
    if files.test is not None:  # before the fit: a bad file should not cost the fit
        X_test, y_test, _ = _read(files.test, n_features=info.n_features, **options)
        parts["test"] = (X_test, y_test)

    training = train(X, y, recipe, files.data.name)
    model = training.model
    save_model(files.out, replace(model, header={**model.header, "zero_based": zero_based}))
    if files.plot is not None:
        _draw(training, files)

    scores = {name: evaluate(model, *part) for name, part in parts.items()}
    print_training(training, scores, {name: len(part[1]) for name, part in parts.items()})
    _say(f"Model written to {files.out}.")
    if files.plot is not None:
        _say(f"Convergence drawn to {files.plot}.")


def _check_outputs(files: Files) -> None:
    """Find out before the fit whether its results can be written."""
    for path in (files.out, files.plot):
        if path is not None and not path.absolute().parent.is_dir():
            raise ValueError(f"{path}: the folder {path.parent} does not exist; create it first.")
        if path is not None and path.is_dir():
            raise ValueError(f"{path} is a folder; give the name of a file.")
    if files.plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise ValueError("--plot needs matplotlib, which is missing: pip install matplotlib.")


def _read(path: Path, **options: Any) -> tuple[Any, npt.NDArray[Any], DataInfo]:
    """Read data and say what was read."""
    X, y, info = read_data(path, **options)
    assert y is not None  # required of read_data
    stored = "" if info.format == "npz-dense" else f", {info.n_stored:,} non-zeros"
    _say(f"{path}: {info.n_samples:,} samples, {info.n_features:,} features{stored}")
    return X, y, info


def _draw(training: Training, files: Files) -> None:
    """Draw the trace of the fit, without a display."""
    import matplotlib

    matplotlib.use("Agg")
    from fastsum.plot import ConvergenceDisplay

    display = ConvergenceDisplay.from_traces({files.data.name: training.result.trace})
    display.figure_.savefig(files.plot, dpi=150, bbox_inches="tight")


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)
