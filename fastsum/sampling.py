"""Which rows a pass visits, in which order: the only randomness in the library.

Three kinds (docs/maths.md eq. 11 and 15), always over the rows with a positive weight:

uniform     rows drawn with replacement, p_i = 1/n.
blocks      every row once: blocks of consecutive rows in random order, p_i = 1/n. Small data have
            blocks of one row (a permutation); large data blocks of 64, read in order, which costs
            about half a pass of random rows. If neighbours are more alike than rows are at large
            (rows grouped by user, say), "auto" keeps to blocks of one row: long runs of similar
            rows made SVRG diverge and SAGA ten times slower.
importance  p_i = 1/(2n) + L_i / (2 sum L) (Schmidt et al., AISTATS 2015), drawn as a shuffled
            systematic sample: row i appears floor(n p_i) or ceil(n p_i) times a pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum.data import Rows

FloatArray = npt.NDArray[np.float64]
Order = npt.NDArray[np.int64]
KINDS = ("auto", "uniform", "blocks", "importance")

# Rows a block: 1 while the data fit a cache, then long enough for the hardware to read ahead.
BLOCK_ROWS = 64
BLOCKS_FROM = 1 << 22  # stored values
ALIKE = 1.5  # neighbours are alike if their coherence is this many times that of rows at large


def check_kind(kind: str) -> None:
    """Raises ValueError if there is no such sampling."""
    if kind not in KINDS:
        raise ValueError(f"sampling={kind!r} is unknown; choose one of {list(KINDS)}")


class Sampler:
    """Draws the rows of a pass.

    Parameters
    ----------
    rows : Rows
    sample_weight : (n,) array or None
    lipschitz : (n,) array
        L_i, the smoothness of the weighted loss of row i.
    kind : {"auto", "uniform", "blocks", "importance"}
        "auto" takes importance if max L_i > 2 mean L_i, else blocks.

    Attributes
    ----------
    n_active : int
        Rows with a positive weight: the steps of a pass.
    q : (n,) array or None, q_uniform : float
        1 / p_i; one number if all rows are equally likely.
    p : (n,) array or None
        p_i; None if all n rows are equally likely.
    block_rows : int
        Consecutive rows visited together by kind "blocks".
    """

    def __init__(
        self, rows: Rows, sample_weight: FloatArray | None, lipschitz: FloatArray, kind: str
    ):
        check_kind(kind)
        n = rows.n_rows
        self._active = None
        if sample_weight is not None and (sample_weight == 0).any():
            self._active = np.flatnonzero(sample_weight)
        self.n_active = n if self._active is None else len(self._active)
        self._lipschitz = lipschitz if self._active is None else lipschitz[self._active]
        if kind == "auto":
            uneven = self._lipschitz.max() > 2 * self._lipschitz.mean()
            kind = "importance" if uneven else "blocks"
            small = rows.nnz < BLOCKS_FROM or neighbours_alike(rows)
        else:  # rows rewritten in a random order may as well be read in runs
            small = rows.nnz < BLOCKS_FROM and rows.row_order is None
        self.kind = kind
        self._starts = np.asarray([*rows.starts, n])
        self.block_rows = 1 if small else BLOCK_ROWS

        self.q: FloatArray | None = None
        self.q_uniform = float(self.n_active)
        self.p: FloatArray | None = None
        if kind == "importance":
            total = float(self._lipschitz.sum())
            share = (
                self._lipschitz / total if total > 0 else np.full(self.n_active, 1 / self.n_active)
            )
            p = 0.5 / self.n_active + 0.5 * share
            self.p, self.q = self._spread(p, n), self._spread(1 / p, n)
            self._cumulative = np.cumsum(p)
            self._cumulative /= self._cumulative[-1]
        elif self._active is not None:
            self.p = self._spread(np.full(self.n_active, 1 / self.n_active), n)

    def _spread(self, values: FloatArray, n: int) -> FloatArray:
        """Values of the active rows as an array over all rows, 0 elsewhere."""
        if self._active is None:
            return values
        out = np.zeros(n)
        out[self._active] = values
        return out

    def inverse_probability(self, values: FloatArray) -> FloatArray:
        """values_i / p_i of the active rows, (n_active,)."""
        active = values if self._active is None else values[self._active]
        if self.q is None:
            return active * self.q_uniform
        q = self.q if self._active is None else self.q[self._active]
        return active * q

    def draw(self, rng: np.random.Generator, n_passes: int) -> list[tuple[int, Order]]:
        """(block, rows of the block in order of visit) for n_passes passes."""
        parts: list[tuple[int, Order]] = []
        for _ in range(n_passes):
            order = self._pass(rng)
            if self._active is not None:
                order = self._active[order]
            parts += self._by_block(rng, order) if len(self._starts) > 2 else [(0, order)]
        if len(self._starts) == 2 and n_passes > 1:
            return [(0, np.concatenate([order for _, order in parts]))]
        return parts

    def _pass(self, rng: np.random.Generator) -> Order:
        n = self.n_active
        if self.kind == "uniform":
            return rng.integers(n, size=n)
        if self.kind == "importance":
            points = (np.arange(n) + rng.random()) / n
            order = np.searchsorted(self._cumulative, points, side="right")
            np.minimum(order, n - 1, out=order)
            rng.shuffle(order)
            return order
        if self.block_rows == 1:
            return rng.permutation(n)
        # a random offset, so that blocks are not the same rows in every pass
        size, offset = self.block_rows, int(rng.integers(self.block_rows))
        n_blocks = (n + offset + size - 1) // size
        order = (rng.permutation(n_blocks)[:, None] * size + np.arange(size)).ravel() - offset
        return order[(order >= 0) & (order < n)]

    def _by_block(self, rng: np.random.Generator, order: Order) -> list[tuple[int, Order]]:
        """Splits global row numbers by row block; the blocks come in random order."""
        block_of = np.searchsorted(self._starts, order, side="right") - 1
        parts = []
        for block in rng.permutation(len(self._starts) - 1).tolist():
            mine = order[block_of == block]
            if mine.size:
                parts.append((block, mine - self._starts[block]))
        return parts


def neighbours_alike(rows: Rows) -> bool:
    """Whether rows resemble their neighbours more than they resemble rows at large.

    The coherence of 64 rows is ||G||_F^2 / trace(G)^2 of their Gram matrix G: 1 if they are all
    parallel, 1/64 if they are orthogonal and of one length. Looks at 8 runs of neighbours.
    """
    n, rng = rows.blocks[0].n_rows, np.random.Generator(np.random.PCG64(0))
    if n < 2 * BLOCK_ROWS:
        return False

    def coherence(n_runs: int, size: int) -> float:
        gram = _gram(rows, rng.integers(n - size + 1, size=n_runs), size)
        trace = float(np.trace(gram))
        return float((gram**2).sum()) / trace**2 if trace > 0 else 0.0

    runs = np.mean([coherence(1, BLOCK_ROWS) for _ in range(8)])
    scattered = np.mean([coherence(BLOCK_ROWS, 1) for _ in range(8)])
    return bool(runs > ALIKE * scattered)


def _gram(rows: Rows, starts: Order, size: int) -> FloatArray:
    """X_S X_S' of the rows S: `size` consecutive ones from each of `starts`, first block."""
    parts = [rows.part(rows.blocks[0], start, start + size) for start in starts.tolist()]
    A: Any = (sp.vstack(parts) if rows.sparse else np.vstack(parts)).astype(np.float64)
    product: Any = A @ A.T
    return product.toarray() if sp.issparse(product) else product


def rng_state(rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    """State of a PCG64 generator as six numbers."""
    state: dict[str, Any] = dict(rng.bit_generator.state)
    inner, low = state["state"], (1 << 64) - 1
    numbers = [n >> shift & low for n in (inner["state"], inner["inc"]) for shift in (64, 0)]
    return np.array([*numbers, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def rng_from_state(numbers: npt.NDArray[np.uint64]) -> np.random.Generator:
    """The generator whose state `rng_state` took down."""
    a, b, c, d, has_uint32, uinteger = (int(n) for n in numbers)
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": a << 64 | b, "inc": c << 64 | d},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
    return np.random.Generator(bits)
