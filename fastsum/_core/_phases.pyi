"""Typed face of _phases.pyx."""

from typing import Any

import numpy.typing as npt

from fastsum._core._kernels import Block, Task

Array = npt.NDArray[Any]

def hessian_product(
    block: Block,
    V: Array,
    n_problems: int,
    n_outputs: int,
    curvature: Array,
    out: Array,
    work: Array,
    first_row: int,
    n_threads: int,
) -> None: ...
def add_squares(
    block: Block,
    curvature: Array,
    K: int,
    out: Array,
    work: Array | None,
    first_row: int,
    n_threads: int,
) -> None: ...
def column_counts(block: Block, counts: Array, n_threads: int) -> None: ...
def split_sizes(
    block: Block, n_hot: int, hot_sizes: Array, rare_sizes: Array, n_threads: int
) -> None: ...

class Split:
    def __init__(
        self,
        block: Block,
        n_hot: int,
        hot_indptr: Array,
        hot: Array,
        rare_indptr: Array,
        rare_row: Array,
        rare_col: Array,
        work: Array,
        n_threads: int,
    ) -> None: ...
    def product(
        self, V: Array, curvature: Array, out: Array, z: Array, bounds: Array, work: Array
    ) -> None: ...

def gather_rows(
    block: Block,
    order: Array | None,
    place: Array,
    indptr: Array,
    indices: Array,
    values: Array | None,
    n_threads: int,
) -> None: ...
def svrg_epoch(
    block: Block,
    task: Task,
    order: Array,
    correction: Array,
    snapshot_derivatives: Array,
    packed: Array,
    base: Array,
    damping: Array,
    n_merges: int,
    n_threads: int,
) -> None: ...
def dual_epoch(
    block: Block,
    task: Task,
    order: Array,
    q: Array,
    per_l2: float,
    per_rho: float,
    u: Array,
    weights: Array,
) -> float: ...
