"""Typed face of _kernels.pyx."""

from typing import Any, Final

import numpy.typing as npt

Array = npt.NDArray[Any]

STORAGES: Final[dict[str, int]]
TARGET_KINDS: Final[dict[str, int]]

def cpu_level() -> str: ...

class Block:
    values: Array | None
    indices: Array | None
    indptr: Array | None
    storage: str
    def __init__(
        self,
        storage: str,
        n_rows: int,
        n_cols: int,
        float64: bool,
        *,
        values: Array | None = None,
        indices: Array | None = None,
        indptr: Array | None = None,
        stride: int = 0,
    ) -> None: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def n_cols(self) -> int: ...
    @property
    def nnz(self) -> int: ...

class Task:
    y: Array
    sample_weight: Array | None
    offset: Array | None
    n_rows: int
    K: int
    def __init__(
        self,
        loss: int,
        loss_param: float,
        n_problems: int,
        n_outputs: int,
        target_kind: str,
        y: Array,
        sample_weight: Array | None,
        offset: Array | None = None,
    ) -> None: ...

def margins(block: Block, W: Array, K: int, z: Array, first_row: int, n_threads: int) -> None: ...
def add_transposed(
    block: Block, r: Array, K: int, out: Array, work: Array | None, first_row: int, n_threads: int
) -> None: ...
def row_norms(
    block: Block, P: Array | None, out: Array, first_row: int, n_threads: int
) -> None: ...
def column_mass(block: Block, p: Array | None, out: Array, first_row: int) -> None: ...
def loss_terms(
    task: Task,
    z: Array,
    b: Array,
    u: Array | None,
    with_curvature: bool,
    sums: Array,
    work: Array,
    n_threads: int,
) -> None: ...
def loss_curvature(
    task: Task, z: Array, b: Array, h: Array, work: Array, n_threads: int
) -> None: ...
def loss_gap(
    task: Task,
    z: Array,
    b: Array,
    u: Array,
    scale: Array,
    out: Array,
    work: Array,
    n_threads: int,
) -> None: ...
def penalty_terms(
    W: Array,
    v: Array,
    l1: Array,
    l2: Array,
    own: Array | None,
    scale: Array,
    value: Array,
    gap: Array,
    subgradient: Array,
) -> None: ...
def steps(
    solver: int,
    block: Block,
    task: Task,
    first_row: int,
    order: Array,
    total_weight: float,
    q: Array | None,
    q_uniform: float,
    density: Array | None,
    scale: Array | None,
    intercept_curvature: float,
    step: Array,
    l1: Array,
    l2: Array,
    own: Array | None,
    ridge: Array | None,
    row_l1: Array | None,
    row_l2: Array | None,
    vectors: tuple[Array | None, ...],
    tables: tuple[Array | None, ...],
    work: Array,
    parameters: tuple[Array, ...] = (),
    sequences: tuple[Array, ...] = (),
    visits: Array | None = None,
    time: int = 0,
    n_threads: int = 1,
    per_row: tuple[Array, ...] = (),
) -> None: ...
def csr_fault(indptr: Array, indices: Array, n_rows: int, n_cols: int) -> tuple[int, int]: ...
def rows_increase(indptr: Array, indices: Array) -> bool: ...
def columns_differ(indptr: Array, indices: Array, stamp: Array) -> bool: ...
