"""The options of the commands: their types, limits and help."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

AUTO = "auto"  # of --alpha


class Loss(StrEnum):
    """Losses to fit."""

    logistic = "logistic"
    multinomial = "multinomial"
    squared = "squared"
    squared_hinge = "squared_hinge"
    huber = "huber"
    smoothed_hinge = "smoothed_hinge"
    hinge = "hinge"
    poisson = "poisson"


class Solver(StrEnum):
    """Solvers to fit with."""

    auto = "auto"
    saga = "saga"
    svrg = "svrg"


class DType(StrEnum):
    """Types of the data in memory, and of the coefficients."""

    float64 = "float64"
    float32 = "float32"


class Format(StrEnum):
    """What sources hold."""

    svmlight = "svmlight"
    criteo = "criteo"
    csv = "csv"
    tsv = "tsv"
    parquet = "parquet"


class Numbers(StrEnum):
    """What becomes of numbers."""

    bins = "bins"
    log = "log"
    raw = "raw"


class Part(StrEnum):
    """Parts of a store."""

    train = "train"
    test = "test"


class OnError(StrEnum):
    """What becomes of malformed lines."""

    stop = "stop"
    skip = "skip"


DataFile = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="svmlight text (plain, .gz, .bz2, .xz), .npz with a scipy CSR matrix or a dense X, "
        "and y, or a store made by 'fastsum ingest'.",
    ),
]
JobFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a job.")]
JobOption = Annotated[
    Path | None,
    typer.Option(
        "--job",
        help="Keep settings, checkpoints, events and a report in this folder, so that 'fastsum "
        "resume' can go on after an interruption; DATA is a store then.",
        show_default="none",
    ),
]
Minutes = Annotated[
    float, typer.Option("--checkpoint-minutes", min=0.0, help="Between checkpoints of a job.")
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model written by 'fastsum fit'.")
]
OutModel = Annotated[Path, typer.Option("--out", "-o", help="Where to write the model.")]
LossOption = Annotated[
    Loss,
    typer.Option(
        help="logistic, hinge, squared_hinge and smoothed_hinge are for two classes, multinomial "
        "for two or more, squared and huber for regression, poisson for counts."
    ),
]
LossParam = Annotated[
    float | None,
    typer.Option(
        help="delta of huber, in units of the targets, or gamma of smoothed_hinge.",
        show_default="1.35 or 1",
    ),
]


def strength(text: str) -> float | str:
    """A strength of the penalty, or "auto"."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if text == AUTO or (value >= 0 and math.isfinite(value)):
        return AUTO if text == AUTO else value
    raise typer.BadParameter(f"{text!r} is neither a number >= 0 nor {AUTO!r}")


Alpha = Annotated[
    object,
    typer.Option(
        parser=strength,
        metavar="FLOAT|auto",
        help="Strength of the penalty; auto takes the best on the test rows.",
        show_default="1 / number of samples",
    ),
]
L1Ratio = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Share of the l1 penalty; the rest is l2.")
]
Tol = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Certified gap to reach, as a share of the null model's excess over the minimum.",
    ),
]
MaxIter = Annotated[int, typer.Option(min=0, help="Most passes over the data.")]
MaxTime = Annotated[
    float | None, typer.Option(min=0.0, help="Most seconds to spend fitting.", show_default="none")
]
SolverOption = Annotated[Solver, typer.Option(help="auto chooses by shape and progress.")]
NoIntercept = Annotated[bool, typer.Option("--no-intercept", help="Fit no intercept.")]
Jobs = Annotated[int, typer.Option(help="Threads inside the fit; -1 takes all CPUs.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the solver's random order.")]
TestFile = Annotated[
    Path | None, typer.Option("--test", help="Data to score the model on.", show_default="none")
]
PlotFile = Annotated[
    Path | None,
    typer.Option("--plot", help="Draw gap against passes into this PNG.", show_default="none"),
]
DTypeOption = Annotated[DType, typer.Option(help="Type of the data and of the coefficients.")]
Features = Annotated[
    int | None,
    typer.Option(
        "--n-features", min=1, help="Number of columns.", show_default="the largest index"
    ),
]
ZeroBased = Annotated[
    bool, typer.Option("--zero-based", help="Column indices of svmlight text start at 0, not 1.")
]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="svmlight, Criteo's TSV, CSV, TSV or Parquet files, or globs; .gz, .bz2, .xz and "
        ".zst are undone.",
    ),
]
OutStore = Annotated[Path, typer.Option("--out", "-o", help="The store to make, a new folder.")]
FormatOption = Annotated[
    Format | None, typer.Option(help="What the files hold.", show_default="by their names")
]
Target = Annotated[
    str | None, typer.Option(help="The column that is the label.", show_default="none")
]
TestSources = Annotated[
    list[str] | None, typer.Option(help="A file or glob of test rows.", show_default="none")
]
TestFraction = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Share of rows to hold out, by their hash.")
]
Bits = Annotated[int, typer.Option(min=1, max=32, help="Hash to 2^bits columns.")]
Signed = Annotated[bool, typer.Option("--signed", help="Half of the categories are -1.")]
NumbersOption = Annotated[Numbers, typer.Option(help="Log bins, log values or raw values.")]
Categorical = Annotated[
    list[str] | None,
    typer.Option(help="A column of numbers that are categories.", show_default="none"),
]
Drop = Annotated[list[str] | None, typer.Option(help="A column to leave out.", show_default="none")]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The first line holds data; columns are c0, c1, ...")
]
MapLabel = Annotated[
    list[str] | None, typer.Option(help="OLD=NUMBER, for a label.", show_default="none")
]
OnErrorOption = Annotated[
    OnError, typer.Option(help="What becomes of a malformed line; skipped ones are counted.")
]
Like = Annotated[
    Path | None, typer.Option(help="A store to have the columns of.", show_default="none")
]
NoNames = Annotated[
    bool, typer.Option("--no-names", help="Keep no dictionary of frequent categories.")
]
HashSeed = Annotated[int, typer.Option(min=0, help="Seed of hashes and of the order.")]
Processes = Annotated[int, typer.Option(help="Processes that read; -1 takes all CPUs.")]
PartOption = Annotated[Part, typer.Option(help="Which rows of a store.")]
