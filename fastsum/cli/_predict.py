"""``fastsum predict`` and ``fastsum info``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy.typing as npt
from rich.console import Console

from fastsum.datasets import read_data
from fastsum.jobs import FittedModel, load_model
from fastsum.store import Dataset
from fastsum.store import stream as stream_rows

from ._report import key_value_table


def run_predict(
    model_path: Path, data_path: Path, out: Path | None, *, proba: bool, part: str = "train"
) -> None:
    """Write one line per sample: the label or value, or the class probabilities.

    Parameters
    ----------
    model_path, data_path : Path
        The model and the samples; labels in the data are not looked at.
    out : Path or None
        Where to write; None for standard output.
    proba : bool
        Whether to write probabilities, comma-separated, under a line with the labels.
    part : {"train", "test"}
        Of a store.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read or written, or does not fit the model.
    """
    model = load_model(model_path)
    if proba and model.loss not in ("logistic", "multinomial"):
        raise ValueError(
            f"{model_path}: a model fitted with the {model.loss} loss has no probabilities; "
            "leave --proba out, or fit with --loss logistic or multinomial."
        )
    batches = _batches(model, data_path, part)
    if out is None:
        _write_all(sys.stdout, model, batches, proba)
        sys.stdout.flush()  # a reader that is gone shows here, where it is handled
        return
    with out.open("w", encoding="utf-8") as stream:
        _write_all(stream, model, batches, proba)


def _batches(model: FittedModel, path: Path, part: str) -> Iterator[Any]:
    """The samples of a store, in its order, or of a file, in its own; many at a time."""
    encoding = model.header.get("encoding")
    if path.is_dir():
        yield Dataset(path, part)
    elif isinstance(encoding, dict) and encoding.get("names"):
        yield from stream_rows(path, encoding)
    else:
        X, _, _ = read_data(
            path,
            n_features=model.n_features,
            zero_based=bool(model.header.get("zero_based", False)),
            require_y=False,
        )
        yield X


def _write_all(stream: IO[str], model: FittedModel, batches: Iterable[Any], proba: bool) -> None:
    """Write the predictions of all samples as text."""
    if proba:
        assert model.classes is not None  # only classifiers have probabilities
        stream.write(",".join(str(label) for label in model.classes) + "\n")
    for X in batches:
        _write(stream, model.predict_proba(X) if proba else model.predict(X))


def _write(stream: IO[str], table: npt.NDArray[Any]) -> None:
    """Write predictions; floats in the shortest form that reads back the same."""
    rows = table.tolist()
    if table.ndim == 1:
        stream.writelines(f"{value}\n" for value in rows)
    else:
        stream.writelines(",".join(map(repr, row)) + "\n" for row in rows)


def run_info(path: Path) -> None:
    """Print what a model file holds.

    Parameters
    ----------
    path : Path
        The model file.

    Raises
    ------
    OSError, ValueError
        If it cannot be read.
    """
    model = load_model(path)
    rows = [
        ("loss", model.loss),
        ("classes", _classes(model)),
        ("features", f"{model.n_features:,}"),
        ("non-zero coefficients", model.size),
    ]
    shown = (
        "alpha",
        "l1_ratio",
        "fit_intercept",
        "n_samples",
        "objective",
        "dual_gap",
        "tol",
        "status",
        "n_iter",
        "solver",
        "dtype",
        "fastsum_version",
    )
    rows += [(key, _text(model.header[key])) for key in shown if key in model.header]
    rows.append(("file size", f"{path.stat().st_size:,} bytes"))
    Console().print(key_value_table(str(path), rows))


def _classes(model: FittedModel) -> str:
    """Return the labels, or how many there are if they would not fit."""
    if model.classes is None:
        return "none (regression)"
    text = ", ".join(str(label) for label in model.classes)
    return text if len(text) <= 40 else f"{len(model.classes)} classes"


def _text(value: Any) -> str:
    return f"{value:.8g}" if isinstance(value, float) else str(value)
