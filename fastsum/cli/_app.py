"""The commands and their options. What they do is in the other modules of this package."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ._errors import plain_errors
from ._training import Recipe

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


DataFile = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="svmlight text (plain, .gz, .bz2, .xz), or .npz with a scipy CSR matrix or a dense X, "
        "and y.",
    ),
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
) -> None:
    """Fit a linear model to DATA and write it to a model file.

    Minimises the mean loss plus alpha * (l1_ratio * |w|_1 + (1 - l1_ratio) / 2 * |w|_2^2).

    Stops when the gap to the minimum is certified to be below tol.
    """
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
        from ._fit import Files, run_fit

        run_fit(
            Files(data, out, test, plot),
            recipe,
            dtype=dtype.value,
            n_features=n_features,
            zero_based=zero_based,
        )


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
