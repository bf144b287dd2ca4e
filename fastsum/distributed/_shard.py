"""What a worker holds: its rows, prepared, and the sums over them that a fit asks for."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.columns import Columns
from fastsum.data import Rows, as_rows
from fastsum.distributed._local import LocalSolver
from fastsum.losses import distinct, get_loss
from fastsum.margin_size import ROWS
from fastsum.prepare import selected
from fastsum.problem import Problem
from fastsum.problem_parts import check_weights
from fastsum.row_source import labels_with
from fastsum.solvers.phases._preconditioner import own_curvature
from fastsum.solvers.phases._submatrix import Submatrix
from fastsum.store import Dataset

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Message = dict[str, Any]
Reply = tuple[Array, "FloatArray | None"]  # numbers, and columns (d, m), to be summed
NOTHING = np.zeros(0)
MOST_LABELS = 1000  # distinct ones that are told to the driver
SHUFFLED_FROM = 1 << 20  # stored values: more are visited in an order of their own


@dataclass(frozen=True)
class Source:
    """Rows, labels and weights of one shard, or where they are.

    Attributes
    ----------
    X : matrix, or path of a store
    y, sample_weight : array or None
    part, blocks : of a store, the part and the numbers of its blocks
    """

    X: Any
    y: Any = None
    sample_weight: Any = None
    part: str = "train"
    blocks: tuple[int, ...] | None = None

    def load(self) -> tuple[Rows, Array, FloatArray | None]:
        """Rows, labels and weights, checked."""
        X = self.X
        if self.blocks is not None:
            X = Dataset(X, self.part).only(self.blocks)
        rows, y = as_rows(X), np.asarray(labels_with(X, self.y))
        if y.shape != (rows.n_rows,):
            raise ValueError(
                f"y of a partition has shape {y.shape} for {rows.n_rows} rows; give one label a row"
            )
        if self.sample_weight is None or not rows.n_rows:
            return rows, y, None
        given = np.asarray(self.sample_weight, dtype=np.float64)
        if given.shape != (rows.n_rows,):
            raise ValueError(
                f"sample_weight of a partition has shape {given.shape} for {rows.n_rows} rows"
            )
        # a partition may be without weight, not the whole
        return rows, y, given if not given.any() else check_weights(given, rows.n_rows)


class Shard:
    """The rows of one worker.

    Every operation takes a message, a dict, and gives numbers and columns to be summed over the
    workers, or, for `describe` and `prepare`, a dict.
    """

    def __init__(self, source: Source):
        self._rows, self._labels, self._weights = source.load()

    def call(self, operation: str, message: Message) -> Any:
        """The operation of that name."""
        if operation not in OPERATIONS:
            raise ValueError(f"operation {operation!r} is unknown")
        return getattr(self, operation)(message)

    # ---- set-up

    def describe(self, message: Message) -> Message:
        """What the driver must know before it states the problem."""
        rows, s = self._rows, self._weights
        present = self._labels if s is None else self._labels[s > 0]
        few: Array | None = distinct(present) if len(present) else present
        ids = counts = None
        if rows.sparse:
            mass = rows.column_mass(None)
            ids = np.flatnonzero(mass) if mass.any() else np.zeros(1, dtype=np.int64)
            counts = mass[ids]
        share = None
        if few is not None and len(few) > MOST_LABELS:
            few = None
        if few is not None:
            share = np.bincount(np.searchsorted(few, present), self._weights_of(s), len(few))
        return {
            "n_rows": rows.n_rows,
            "n_features": rows.n_features,
            "n_cols": rows.n_cols,
            "ids": ids,
            "counts": counts,
            "column_order": rows.column_order,
            "dtype": rows.dtype.str,
            "sparse": rows.sparse,
            "nnz": rows.nnz,
            "weight": float(rows.n_rows) if s is None else float(s.sum()),
            "weighted": s is not None,
            "labels": few,
            "label_weights": share,
            "real": present.dtype.kind in "biuf" and bool(np.isfinite(present).all()),
            "versions": versions(),
        }

    def prepare(self, message: Message) -> Message:
        """States the problem on these rows, with columns that they do not touch left out."""
        rows, y, s = self._rows, self._labels, self._weights
        loss, classes = message["loss"], message["classes"]
        columns = Columns(*message["columns"])
        self._threads, self._S = message["n_threads"], message["total_weight"]
        targets = coded(y, classes, columns, get_loss(loss).coupled)
        every = max(1, rows.n_rows // ROWS)
        sample = rows.every(every).matrix(), targets[rows.every_id(every)]
        rows, order, self._place = compact(rows, message["ids"], message["number"])
        if order is not None:
            targets, s = targets[order], None if s is None else s[order]
        unit = None if s is None or s.any() else np.ones(rows.n_rows)
        problem = Problem(
            rows,
            targets,
            loss=loss,
            loss_param=message["loss_param"],
            alpha=message["alpha"],
            sample_weight=s if unit is None else unit,
            fit_intercept=message["fit_intercept"],
            columns=columns,
        )
        self.problem = problem if unit is None else problem.standing_for(s, 0.0)
        n, K, B, C = rows.n_rows, columns.width, columns.n_problems, columns.n_outputs
        self._margins, self._u = np.zeros((n, K)), np.zeros((n, K))
        self._shift, self._width = np.zeros(K), B + K * (1 + C)
        self._work = np.empty(self._threads * (2 * K + C**2))
        self._c = np.zeros((n, K))
        self._model: dict[str, FloatArray] = {}
        self._local = LocalSolver(self.problem, self._threads, message["number"])
        mean = float(targets.sum() if s is None else s @ targets)
        return {"sample": sample, "label_sum": mean}

    # ---- certificates

    def loss_terms(self, message: Message) -> Reply:
        """Value, gradient and curvature in b of the losses at shifts of b (m, K): (m, ...).

        At a new W if given; slopes u are those of the last shift. With the gradient of the losses
        there if `gradient` is true.
        """
        if "W" in message:
            self._W = self._stored(message["W"])
            self.problem.rows.margins(self._W, self._threads, self._margins)
        out = []
        for self._shift in message["shifts"]:
            sums = np.zeros((self._threads, self._width))
            self._terms(self._margins, self._shift, self._u, message["curved"], sums)
            out.append(sums.sum(axis=0))
        if not message["gradient"]:
            return np.array(out), None
        return np.array(out), self._sent(self._transposed(self._u))

    def gradient(self, message: Message) -> Reply:
        """sum_i s_i u_i x_i of the slopes at the point, or of the model's dual point."""
        return NOTHING, self._sent(self._transposed(self._dual(message["dual"])))

    def loss_gap(self, message: Message) -> Reply:
        """sum_i s_i [l(z_i) + l*(c u_i) - c z_i u_i], (B,)."""
        return self._gap(self._dual(message["dual"]), message["scale"]), None

    def model_dual(self, message: Message) -> Reply:
        """The model's slopes at the new point, moved by -move and into the domain.

        Sums of s u, of s where u was in the domain, of s |u|, and the gap of the losses: (4, B).
        """
        problem, model = self.problem, self._model
        B = problem.columns.n_problems
        z = self._margins + self._shift
        u = model["u"] + model["c"] * (z - model["z"]) - message["move"]
        y = np.column_stack([problem.labels_of(b) for b in range(B)])
        feasible = problem.loss.dual_feasible(u, y)
        model["dual"] = feasible
        s = 1.0 if problem.sample_weight is None else problem.sample_weight[:, None]
        inside = s * (feasible == u)
        sums = [s * feasible, inside, s * np.abs(feasible)]
        gap = self._gap(feasible, np.ones(B))
        return np.stack([*(v.sum(axis=0) for v in sums), gap]), None

    # ---- Newton steps

    def diagonal(self, message: Message) -> Reply:
        """The diagonal of the Hessian of the losses, (d, K)."""
        self._take_curvature(message)
        own = own_curvature(self._c, self.problem.columns.n_outputs)
        return NOTHING, self._sent(self.problem.rows.weighted_squares(own, self._threads))

    def block(self, message: Message) -> Reply:
        """The Hessian of the losses on some columns and the intercept, from every `step`-th row."""
        rows, step, hot = self.problem.rows, message["step"], self._stored(message["hot"])[:, 0]
        self._take_curvature(message)
        # each of these columns has its place in the block, the others 0
        local = np.flatnonzero(hot)
        here = hot[local] - 1
        sample = rows.every_id(step)
        weight = own_curvature(self._c, self.problem.columns.n_outputs)[sample] * step
        A, q = Submatrix(rows.every(step), local, self._threads), message["size"] + 1
        H = np.zeros((weight.shape[1], q, q))
        inside, small = np.append(here, q - 1), np.empty((len(local), len(local)))
        for k, w in enumerate(np.asfortranarray(weight).T):
            A.gram(w, small, 0, None)
            part = np.empty((len(local) + 1, len(local) + 1))
            part[:-1, :-1] = small
            part[-1, :-1] = part[:-1, -1] = A.transposed(np.ascontiguousarray(w))
            part[-1, -1] = w.sum()
            H[k][np.ix_(inside, inside)] = part
        return H.astype(message["dtype"]), None

    def hessian_product(self, message: Message) -> Reply:
        """A' D A p for p (d + 1, K)."""
        self._take_curvature(message)
        p = self._stored(message["p"])
        work = np.empty(self._threads * (len(p) + 1) * p.shape[1])
        B = self.problem.columns.n_problems
        out = self.problem.rows.hessian_product(p, self._c, B, self._threads, work)
        return out[-1], self._sent(out[:-1])

    def along(self, message: Message) -> Reply:
        """Sums of the losses at lengths t of a step delta from the point, (m, B)."""
        delta, lengths = self._stored(message["delta"]), message["lengths"]
        slope = np.empty_like(self._margins)
        self.problem.rows.margins(delta, self._threads, slope)
        z, B = self._margins + self._shift, self.problem.columns.n_problems
        values, zero = np.empty((len(lengths), B)), np.zeros(self.problem.K)
        for t, length in enumerate(lengths):
            sums = np.zeros((self._threads, self._width))
            self._terms(z + length * slope, zero, None, False, sums)
            values[t] = sums.sum(axis=0)[:B]
        return values, None

    # ---- local solves

    def local_solve(self, message: Message) -> Reply:
        """Epochs on the own rows, corrected by the gradient of all: w_k and its weight.

        Columns: a H_jj w_j and a H_jj, a the share of this worker in S and H_jj the curvature of
        its own mean in column j; numbers: the same of the intercept.
        """
        share = self.problem.total_weight / self._S
        if share == 0:
            return np.zeros(2), self._sent(np.zeros((self.problem.rows.n_cols, 2)))
        W = self._W.astype(np.float64)
        W[-1] += self._shift
        gradient = self._stored(message["gradient"])
        moved, H = self._local.solve(
            W, self._margins + self._shift - W[-1], self._u, gradient, message["epochs"]
        )
        weight = share * H
        out = np.column_stack([weight * moved[:, 0], weight])
        return out[-1], self._sent(out[:-1])

    # ----

    def _take_curvature(self, message: Message) -> None:
        """Takes the curvature at the point if told so, raised to |l'| / R where R is finite (B,).

        With slopes and margins there it is the model of a Newton step.
        """
        if "radius" not in message:
            return
        problem, radius = self.problem, message["radius"]
        n, K, B = len(self._u), problem.K, problem.columns.n_problems
        if problem.loss.coupled:
            c = self._u.copy()
            c[np.arange(n), problem.y.astype(np.intp)] += 1.0
        else:
            c = np.empty((n, B, 1, 1))
            task, work = problem.task, self._work
            _kernels.loss_curvature(task, self._margins, self._shift, c, work, self._threads)
            c = c.reshape(n, K)
            if np.isfinite(radius).any():
                c = np.maximum(c, np.minimum(np.abs(self._u) / radius, problem.loss.curvature))
        self._model = {"u": self._u.copy(), "c": c, "z": self._margins + self._shift}
        s = problem.sample_weight
        self._c = c * (1.0 / self._S if s is None else (s / self._S)[:, None])

    @staticmethod
    def _weights_of(s: FloatArray | None) -> FloatArray | None:
        return None if s is None else s[s > 0]

    def _terms(
        self, z: FloatArray, b: FloatArray, u: FloatArray | None, curved: bool, sums: FloatArray
    ) -> None:
        task = self.problem.task
        _kernels.loss_terms(task, z, b, u, curved, sums, self._work, self._threads)

    def _gap(self, u: FloatArray, scale: FloatArray) -> FloatArray:
        out = np.zeros((self._threads, self.problem.columns.n_problems))
        task, work = self.problem.task, self._work
        _kernels.loss_gap(task, self._margins, self._shift, u, scale, out, work, self._threads)
        total: FloatArray = out.sum(axis=0)
        return total

    def _dual(self, name: str) -> FloatArray:
        return self._u if name == "point" else self._model["dual"]

    def _transposed(self, u: FloatArray) -> FloatArray:
        s = self.problem.sample_weight
        return self.problem.rows.transposed(u if s is None else u * s[:, None], self._threads)

    def _stored(self, W: Array) -> Array:
        """(d' + 1, K) or (d', K) as the driver sends it, in the order and size of these rows."""
        if self._place is None:
            # what comes out of a message may begin at any byte
            return np.require(W, requirements=["C_CONTIGUOUS", "ALIGNED"])
        intercept = len(W) > len(self._place)
        out = np.zeros((self.problem.rows.n_cols + intercept, W.shape[1]), dtype=W.dtype)
        out[self._place] = W[:-1] if intercept else W
        if intercept:
            out[-1] = W[-1]
        return out

    def _sent(self, columns: FloatArray) -> FloatArray:
        """Columns of these rows as the driver gets them."""
        return columns if self._place is None else columns[self._place]


OPERATIONS = frozenset(name for name in vars(Shard) if not name.startswith("_") and name != "call")


def coded(y: Array, classes: Array | None, columns: Columns, coupled: bool) -> FloatArray:
    """Labels as a Problem with `columns` takes them."""
    if classes is None:
        return np.ascontiguousarray(y, dtype=np.float64)
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    if not coupled and columns.n_problems == 1:
        return np.where(codes == 1, 1.0, -1.0)
    return codes.astype(np.float64)


def compact(rows: Rows, ids: Ids | None, seed: int) -> tuple[Rows, Ids | None, Ids | None]:
    """Rows with the columns `ids` alone, in a random order where they are many.

    Gives the rows, their order, and where the ids are if all columns were kept: rows on a disk stay
    there as they are.
    """
    if ids is None:
        return rows, None, None
    if rows.user_cols is not None or len(rows.blocks) != 1:
        return rows, None, ids
    order = None
    if rows.nnz >= SHUFFLED_FROM:
        order = np.random.Generator(np.random.PCG64(seed)).permutation(rows.n_rows)
    return selected(rows, order, ids, 1), order, None


def versions() -> dict[str, str]:
    """What must agree between workers."""
    return {
        "fastsum": importlib.metadata.version("fastsum"),
        "numpy": np.__version__.rpartition(".")[0],
        "python": platform.python_version().rpartition(".")[0],
    }
