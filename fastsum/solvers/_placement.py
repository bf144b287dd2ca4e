"""Where a fit runs: on the CPU or, for dense rows, on a CUDA device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastsum.backend import check_device, cuda, cuda_state
from fastsum.device import as_device_rows
from fastsum.problem import Problem

# "auto" copies X to a device from this many values on, rows times columns times problems: below,
# a fit on the CPU is over before the copy pays. A guess, for it was never measured.
LARGE = 1 << 26
MOST_OUTPUTS = 100  # coupled: the curvature of a row is held in shared memory


def lacking_on_device(problem: Problem) -> str:
    """What the problem has that no device can do, or an empty string."""
    own, loss = problem.penalty.own, problem.loss
    if problem.rows.sparse:
        return f"X is sparse ({problem.rows.storage}), and the CUDA backend is for dense X"
    if len(problem.rows.blocks) != 1 or problem.rows.user_cols is not None:
        return "X is a store on disk, whose rows are read by the CPU"
    if loss.kinked:
        return f"loss={loss.name!r} has kinks, which are smoothed on the CPU alone"
    if own is not None and own.loose.any():
        return (
            "features with penalty_factor=0 or a bound in place of a penalty are certified on "
            "the CPU alone"
        )
    if problem.columns.n_outputs > MOST_OUTPUTS:
        return f"more than {MOST_OUTPUTS} coupled outputs do not fit a device's shared memory"
    return ""


def placed(problem: Problem, device: str) -> Problem:
    """The problem with its rows where `device` says.

    Parameters
    ----------
    problem : Problem
    device : {"auto", "cpu", "cuda"}
        "auto" is the device that X lies on; else the CPU, or a CUDA device where one can be used,
        for dense problems of `LARGE` values.

    Raises
    ------
    ValueError
        If "cuda" cannot serve the problem, or "cpu" is asked for data on a device.
    RuntimeError
        If "cuda" is asked for and cannot be used; says why.
    """
    check_device(device)
    if problem.on_device:
        if device == "cpu":
            raise ValueError(
                "device='cpu' needs X on the host, and it lies on a CUDA device: use "
                "device='auto', or copy it with X.cpu() or cupy.asnumpy(X)"
            )
        return problem
    small = problem.rows.nnz * problem.K < LARGE
    if device == "cpu" or (device == "auto" and small):
        return problem
    missing = lacking_on_device(problem)
    if device == "cuda":
        cuda()  # raises where there is none
        if missing:
            raise ValueError(
                f"device='cuda' cannot serve this problem: {missing}. Use device='cpu'"
            )
    elif missing or not cuda_state()[0]:
        return problem
    return on_device(problem)


def on_device(problem: Problem) -> Problem:
    """The problem with its rows copied to the device."""
    (block,) = problem.rows.blocks
    assert block.values is not None
    rows = as_device_rows(np.asarray(block.values))
    return problem.on_rows(rows, None, problem.sample_weight)  # type: ignore[arg-type]


def placed_together(problems: Sequence[Problem], device: str) -> Sequence[Problem]:
    """`placed`, of problems over the same rows, which are copied once."""
    first = placed(problems[0], device)
    if first is problems[0]:
        return problems
    return [p.on_rows(first.rows, None, p.sample_weight) for p in problems]
