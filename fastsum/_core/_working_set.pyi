"""Typed face of _working_set.pyx."""

from typing import Any

import numpy.typing as npt

from fastsum._core._kernels import Block

Array = npt.NDArray[Any]

def cpu_level() -> str: ...
def count_selected(block: Block, place: Array, counts: Array, n_threads: int) -> None: ...
def gather_columns(
    block: Block,
    place: Array,
    indptr: Array,
    indices: Array,
    values: Array | None,
    n_threads: int,
) -> None: ...
def add_gram(
    block: Block,
    place: Array | None,
    weight: Array,
    first: int,
    H: Array,
    work: Array | None,
    n_threads: int,
) -> None: ...
def row_descent(
    H: Array,
    x: Array,
    q: Array,
    l1: float,
    l2: float,
    target: float,
    most: int,
    work: Array,
) -> int: ...

class Descent:
    size: float
    def __init__(
        self,
        l1: float,
        l2: float,
        diagonal: Array,
        x: Array,
        q: Array,
        size: float,
        active: Array,
        own: Array | None = None,
    ) -> None: ...
    def on_gram(self, H: Array, target: float, share: float, most: int) -> tuple[float, int]: ...
    def pivots(
        self, H: Array, target: float, most: int, work: Array, cap: int
    ) -> tuple[float, int]: ...
    def on_columns(
        self,
        columns: Block,
        g: Array,
        weight: Array,
        mean: Array | None,
        r: Array,
        target: float,
        share: float,
        most: int,
    ) -> tuple[float, int]: ...
    def on_outputs(
        self,
        columns: Block,
        column: Array,
        output: Array,
        g: Array,
        curvature: Array,
        inverse: Array,
        z: Array,
        m: Array,
        target: float,
        share: float,
        most: int,
    ) -> tuple[float, int]: ...

def quadratic_gap(
    x: Array, q: Array, l1: float, l2: float, size: float, diagonal: Array, own: Array | None
) -> float: ...
