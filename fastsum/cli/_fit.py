"""``fastsum fit``."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt
from rich.console import Console

from fastsum.datasets import DataInfo, read_data
from fastsum.jobs import Recipe, save_model
from fastsum.store import Dataset

from ._alpha import choose_alpha
from ._report import evaluate, print_training
from ._training import Training, train


class Files(NamedTuple):
    """The files a fit reads and writes."""

    data: Path
    out: Path
    test: Path | None = None
    plot: Path | None = None


class Reading(NamedTuple):
    """How text is read: dtype in memory, number of columns, whether indices start at 0.

    choose_alpha: whether alpha is to be chosen by the test rows.
    """

    dtype: str = "float64"
    n_features: int | None = None
    zero_based: bool = False
    choose_alpha: bool = False

    def refuse_for(self, store: Path) -> None:
        """Raise ValueError if anything is asked that a store has settled."""
        if self[:3] != Reading()[:3]:
            raise ValueError(
                f"{store} is a store, whose columns and dtype were settled when it was made: leave "
                "out --dtype, --n-features and --zero-based, or give them to 'fastsum ingest'."
            )


def run_fit(files: Files, recipe: Recipe, reading: Reading) -> None:
    """Read, fit, write the model and report.

    Parameters
    ----------
    files : Files
        What to read and to write.
    recipe : Recipe
        What to fit.
    reading : Reading
        How text is read.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read or written, or the data do not fit the recipe.
    """
    check_outputs(files)
    parts, header = read_parts(files, reading)
    if reading.choose_alpha:
        recipe = replace(recipe, alpha=choose_alpha(parts, recipe))
    X, y = parts["train"]
    training = train(X, y, recipe, files.data.name)
    model = training.model
    save_model(files.out, replace(model, header={**model.header, **header}))
    if files.plot is not None:
        _draw(training, files)

    scores = {name: evaluate(model, *part) for name, part in parts.items()}
    print_training(training, scores, {name: len(part[1]) for name, part in parts.items()})
    _say(f"Model written to {files.out}.")
    if files.plot is not None:
        _say(f"Convergence drawn to {files.plot}.")


def read_parts(files: Files, reading: Reading) -> tuple[dict[str, Any], dict[str, Any]]:
    """Samples and labels by part, before the fit; and what the model's header says of them."""
    if files.data.is_dir():
        reading.refuse_for(files.data)
        if files.test is not None:
            raise ValueError("a store brings its own test rows: leave --test out.")
        return store_parts(files.data)
    options: dict[str, Any] = {"dtype": reading.dtype, "zero_based": reading.zero_based}
    X, y, info = _read(files.data, n_features=reading.n_features, **options)
    parts: dict[str, Any] = {"train": (X, y)}
    if files.test is not None:
        X_test, y_test, _ = _read(files.test, n_features=info.n_features, **options)
        parts["test"] = (X_test, y_test)
    return parts, {"zero_based": reading.zero_based}


def store_parts(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts of a store, and how its columns came about."""
    data = Dataset(path)
    _say(repr(data))
    parts: dict[str, Any] = {"train": (data, data.y)}
    if any(shard["part"] == "test" for shard in data.manifest["shards"]):
        test = Dataset(path, "test")
        parts["test"] = (test, test.y)
    encoding = data.manifest["encoding"]
    return parts, {"encoding": encoding, "zero_based": bool(encoding.get("zero_based", False))}


def check_outputs(files: Files) -> None:
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
