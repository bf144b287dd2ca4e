"""The commands and their options. What they do is in the other modules of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _options as o
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


@app.command()
def fit(
    data: o.DataFile,
    out: o.OutModel,
    loss: o.LossOption = o.Loss.logistic,
    loss_param: o.LossParam = None,
    alpha: o.Alpha = None,
    l1_ratio: o.L1Ratio = 0.0,
    tol: o.Tol = 1e-4,
    max_iter: o.MaxIter = 1000,
    max_time: o.MaxTime = None,
    solver: o.SolverOption = o.Solver.auto,
    no_intercept: o.NoIntercept = False,
    n_jobs: o.Jobs = -1,
    seed: o.Seed = 0,
    test: o.TestFile = None,
    plot: o.PlotFile = None,
    dtype: o.DTypeOption = o.DType.float64,
    n_features: o.Features = None,
    zero_based: o.ZeroBased = False,
    job: o.JobOption = None,
    checkpoint_minutes: o.Minutes = 5.0,
) -> None:
    """Fit a linear model to DATA and write it to a model file.

    Minimises the mean loss plus alpha * (l1_ratio * |w|_1 + (1 - l1_ratio) / 2 * |w|_2^2).

    Stops when the gap to the minimum is certified to be below tol.
    """
    from fastsum.jobs import Recipe

    recipe = Recipe(
        loss=loss.value,
        loss_param=loss_param,
        alpha=alpha if isinstance(alpha, float) else None,
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
        reading = Reading(dtype.value, n_features, zero_based, alpha == o.AUTO)
        if job is not None:
            start_job(job, files, recipe, reading, checkpoint_minutes)
        else:
            run_fit(files, recipe, reading)


@app.command()
def ingest(
    sources: o.Sources,
    out: o.OutStore,
    format: o.FormatOption = None,
    target: o.Target = None,
    test: o.TestSources = None,
    test_fraction: o.TestFraction = 0.0,
    bits: o.Bits = 22,
    signed: o.Signed = False,
    numbers: o.NumbersOption = o.Numbers.bins,
    categorical: o.Categorical = None,
    drop: o.Drop = None,
    no_header: o.NoHeader = False,
    map_label: o.MapLabel = None,
    zero_based: o.ZeroBased = False,
    n_features: o.Features = None,
    dtype: o.DTypeOption = o.DType.float64,
    on_error: o.OnErrorOption = o.OnError.stop,
    like: o.Like = None,
    no_names: o.NoNames = False,
    seed: o.HashSeed = 0,
    n_jobs: o.Processes = -1,
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
            names=not no_names,
            seed=seed,
            n_jobs=n_jobs,
        )


@app.command()
def resume(
    job: o.JobFolder,
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
    job: o.JobFolder,
    follow: Annotated[bool, typer.Option(help="Go on until the job has finished.")] = True,
) -> None:
    """Show how far a job has come."""
    with plain_errors():
        from ._jobs import watch_job

        watch_job(job, follow)


@app.command()
def predict(
    model: o.ModelFile,
    data: o.DataFile,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where to write.", show_default="standard output"),
    ] = None,
    proba: Annotated[
        bool, typer.Option("--proba", help="Write class probabilities, under a line of labels.")
    ] = False,
    part: o.PartOption = o.Part.train,
) -> None:
    """Write the model's prediction for each sample of DATA, one a line."""
    with plain_errors():
        from ._predict import run_predict

        run_predict(model, data, out, proba=proba, part=part.value)


@app.command()
def info(model: o.ModelFile) -> None:
    """Show what a model file holds."""
    with plain_errors():
        from ._predict import run_info

        run_info(model)


@app.command()
def demo(
    rows: Annotated[
        int, typer.Option(min=1000, help="Rows of the generated click log.")
    ] = 1_000_000,
    n_jobs: o.Jobs = -1,
) -> None:
    """Fit the shipped a9a data, then a generated click log with 2^20 features."""
    with plain_errors():
        from ._demo import run_demo

        run_demo(rows, n_jobs)
