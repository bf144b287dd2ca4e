"""The commands and their options. What they do is in the other modules of this package."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ._errors import plain_errors

app = typer.Typer(
    name="fastsum",
    help="Fit linear models by certified stochastic solvers, and use them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; the entry point of the console script."""
    with plain_errors():
        app()


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
Alpha = Annotated[
    float | None,
    typer.Option(min=0.0, help="Strength of the penalty.", show_default="1 / number of samples"),
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


@app.command()
def fit(
    data: DataFile,
    out: OutModel,
    loss: LossOption = Loss.logistic,
    loss_param: LossParam = None,
    alpha: Alpha = None,
    l1_ratio: L1Ratio = 0.0,
    tol: Tol = 1e-4,
    max_iter: MaxIter = 1000,
    max_time: MaxTime = None,
    solver: SolverOption = Solver.auto,
    no_intercept: NoIntercept = False,
    n_jobs: Jobs = -1,
    seed: Seed = 0,
    test: TestFile = None,
    plot: PlotFile = None,
    dtype: DTypeOption = DType.float64,
    n_features: Features = None,
    zero_based: ZeroBased = False,
    job: JobOption = None,
    checkpoint_minutes: Minutes = 5.0,
) -> None:
    """Fit a linear model to DATA and write it to a model file.

    Minimises the mean loss plus alpha * (l1_ratio * |w|_1 + (1 - l1_ratio) / 2 * |w|_2^2).

    Stops when the gap to the minimum is certified to be below tol.
    """
    from fastsum.jobs import Recipe

    recipe = Recipe(
        loss=loss.value,
        loss_param=loss_param,
        alpha=alpha,
        l1_ratio=l1_ratio,
        fit_intercept=not no_intercept,
        tol=tol,
        max_iter=max_iter,
        max_time=max_time,
        solver=solver.value,
        n_jobs=n_jobs,
        seed=seed,
    )
    with plain_errors():
        from ._fit import Files, Reading, run_fit
        from ._jobs import start_job

        files = Files(data, out, test, plot)
        reading = Reading(dtype.value, n_features, zero_based)
        if job is not None:
            start_job(job, files, recipe, reading, checkpoint_minutes)
        else:
            run_fit(files, recipe, reading)


@app.command()
def ingest(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="svmlight, Criteo's TSV, CSV, TSV or Parquet files, or globs; .gz, .bz2, .xz and "
            ".zst are undone.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The store to make, a new folder.")],
    format: Annotated[
        Format | None, typer.Option(help="What the files hold.", show_default="by their names")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column that is the label.", show_default="none")
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="A file or glob of test rows.", show_default="none")
    ] = None,
    test_fraction: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of rows to hold out, by their hash.")
    ] = 0.0,
    bits: Annotated[int, typer.Option(min=1, max=30, help="Hash to 2^bits columns.")] = 22,
    signed: Annotated[
        bool, typer.Option("--signed", help="Half of the categories are -1.")
    ] = False,
    numbers: Annotated[Numbers, typer.Option(help="Log bins, log values or raw values.")] = (
        Numbers.bins
    ),
    categorical: Annotated[
        list[str] | None,
        typer.Option(help="A column of numbers that are categories.", show_default="none"),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="A column to leave out.", show_default="none")
    ] = None,
    no_header: Annotated[
        bool, typer.Option("--no-header", help="The first line holds data; columns are c0, c1, ...")
    ] = False,
    map_label: Annotated[
        list[str] | None, typer.Option(help="OLD=NUMBER, for a label.", show_default="none")
    ] = None,
    zero_based: ZeroBased = False,
    n_features: Features = None,
    dtype: DTypeOption = DType.float64,
    on_error: Annotated[
        OnError, typer.Option(help="What becomes of a malformed line; skipped ones are counted.")
    ] = OnError.stop,
    like: Annotated[
        Path | None, typer.Option(help="A store to have the columns of.", show_default="none")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of hashes and of the order.")] = 0,
    n_jobs: Annotated[int, typer.Option(help="Processes that read; -1 takes all CPUs.")] = -1,
) -> None:
    """Make a store of data files: hashed, shuffled, on disk, for fits larger than memory."""
    with plain_errors():
        from ._ingest import labels_of, run_ingest

        run_ingest(
            sources,
            out,
            format=None if format is None else format.value,
            target=target,
            test=test or (),
            test_fraction=test_fraction,
            bits=bits,
            signed=signed,
            numbers=numbers.value,
            categorical=categorical or (),
            drop=drop or (),
            header=False if no_header else None,
            labels=labels_of(map_label or ()),
            zero_based=zero_based,
            n_features=n_features,
            dtype=dtype.value,
            on_error=on_error.value,
            like=like,
            seed=seed,
            n_jobs=n_jobs,
        )


@app.command()
def resume(
    job: JobFolder,
    allow_different_bits: Annotated[
        bool,
        typer.Option(
            "--allow-different-bits", help="Go on although the machine or the build is another."
        ),
    ] = False,
) -> None:
    """Go on with a job that was interrupted, to the same result as if it had not been."""
    with plain_errors():
        from ._jobs import resume_job

        resume_job(job, allow_different_bits)


@app.command()
def watch(
    job: JobFolder,
    follow: Annotated[bool, typer.Option(help="Go on until the job has finished.")] = True,
) -> None:
    """Show how far a job has come."""
    with plain_errors():
        from ._jobs import watch_job

        watch_job(job, follow)


@app.command()
def predict(
    model: ModelFile,
    data: DataFile,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where to write.", show_default="standard output"),
    ] = None,
    proba: Annotated[
        bool, typer.Option("--proba", help="Write class probabilities, under a line of labels.")
    ] = False,
) -> None:
    """Write the model's prediction for each sample of DATA, one a line."""
    with plain_errors():
        from ._predict import run_predict

        run_predict(model, data, out, proba=proba)


@app.command()
def info(model: ModelFile) -> None:
    """Show what a model file holds."""
    with plain_errors():
        from ._predict import run_info

        run_info(model)


@app.command()
def demo(
    rows: Annotated[
        int, typer.Option(min=1000, help="Rows of the generated click log.")
    ] = 1_000_000,
    n_jobs: Jobs = -1,
) -> None:
    """Fit the shipped a9a data, then a generated click log with 2^20 features."""
    with plain_errors():
        from ._demo import run_demo

        run_demo(rows, n_jobs)
