"""Methods on a stream: rows come a batch at a time, are seen once and are gone.

What is minimised is eq. (1) over all rows that could come, so there is no certificate.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from fastsum.problem import Problem
from fastsum.result import SENTENCES, Result, Status, trace_dtype
from fastsum.sampling import rng_from_state, rng_state
from fastsum.solvers._driver import plain
from fastsum.solvers._full_pass import FullPass
from fastsum.solvers._method import INTERCEPT_SHARE, SMALLEST, PerSampleMethod, State, Weights
from fastsum.solvers.stochastic.sgd import POWERS, Sgd
from fastsum.solvers.variance_reduced.svrg import Svrg

GROWTH = 2  # of the rows of a snapshot from one to the next


class Stream(ABC):
    """One method on a stream; its state is a flat dict of arrays, scalars and RNG state.

    Step sizes, the correction of weights and the density of columns are those of eq. (11) and (15)
    with all rows seen so far in the place of all rows (eq. 75).

    Parameters
    ----------
    step_size : float or None
        None takes the theory's, from the longest row so far.
    n_threads : int
    """

    method: ClassVar[type[PerSampleMethod]]

    def __init__(self, step_size: float | None, n_threads: int):
        self.step_size, self.n_threads = step_size, n_threads

    def start(self, W: Weights, seed: int) -> State:
        """The state before the first row, at weights W (d + 1, K)."""
        return {
            "weights": W,
            "rng": rng_state(np.random.Generator(np.random.PCG64(seed))),
            "rows": 0,
            "first": 0,  # rows of the first batch
            "weight": 0.0,  # sum of s_i
            "square": 0.0,  # sum of s_i ||x_i||^2
            "longest": 0.0,  # max of s_i ||x_i||^2
            "heaviest": 0.0,  # max of s_i
            "held": np.zeros(len(W) - 1),  # rows that hold each column
        }

    def take(self, problem: Problem, state: State) -> Result:
        """Steps on the rows of a batch; those of weight 0 are none."""
        began = time.perf_counter()
        problem = problem.on_weighted_rows()
        rows, s = problem.rows, problem.sample_weight
        norms = rows.squared_norms(self.n_threads)
        weights = np.full(rows.n_rows, problem.total_weight / rows.n_rows) if s is None else s
        state["first"] = state["first"] or rows.n_rows
        state["rows"] += rows.n_rows
        state["weight"] += float(weights.sum())
        state["square"] += float(weights @ norms)
        state["longest"] = max(state["longest"], float((weights * norms).max()))
        state["heaviest"] = max(state["heaviest"], float(weights.max()))
        state["held"] += rows.column_mass(None)
        self._take(problem, state)
        return self._result(problem, state["weights"], began)

    def _result(self, problem: Problem, W: Weights, began: float) -> Result:
        """The point as it is, with the objective of one batch."""
        full, B = FullPass(problem, self.n_threads), problem.columns.n_problems
        loss, _ = full.losses(full.margins(W), W[-1].astype(np.float64))
        objective, gap = loss + problem.penalty_value(W), np.full(B, np.inf)
        seconds = time.perf_counter() - began
        record = ("stream", 1, seconds, plain(objective), plain(gap))
        return Result(
            coef=(W[:-1, 0] if W.shape[1] == 1 else W[:-1]).copy(),
            intercept=plain(W[-1].copy()),
            objective=plain(objective),
            dual_gap=plain(gap),
            n_iter=1,
            trace=np.array([record], dtype=trace_dtype(B)),
            solver=self.method.name,
            status=Status.STREAM,
            message=SENTENCES[Status.STREAM],
            state={},
        )

    @abstractmethod
    def _take(self, problem: Problem, state: State) -> None: ...

    def _on(self, problem: Problem, state: State) -> Any:
        """The method on rows of the stream, with the constants of all that were seen."""
        mean_weight = state["weight"] / state["rows"]
        n = problem.rows.n_rows
        # s_i / (S p_i) is s_i / mean weight then
        problem = problem.standing_for(problem.sample_weight, n * mean_weight)
        c2 = 0.0
        if problem.fit_intercept:
            c2 = INTERCEPT_SHARE * state["square"] / state["weight"] or 1.0
        top = problem.loss.curvature * (state["longest"] + c2 * state["heaviest"]) / mean_weight
        gamma = self.step_size or (self.method.step_share / top if top > SMALLEST else 1.0)
        method = self.method(problem, sampling="blocks", step_size=gamma, n_threads=self.n_threads)
        method.intercept_curvature = c2
        if method.density is not None:
            held = np.maximum(state["held"], 1.0)
            method.density[...] = np.where(state["held"] > 0, state["rows"] / held, 0.0)
        return method


class StreamingSgd(Stream):
    """SGD (Robbins, Monro 1951) through a stream, with the schedule of one long pass.

    Step: eq. (59), each row once; without an l2 part eta_t = gamma (1 + t / n)^-1/2, n the rows of
    the first batch, for a stream has no last row that a faster schedule could be made for.
    Result: the mean of the iterates since the last power of two but one of the rows, as for `sgd`.
    Cost and memory: those of `sgd`.
    """

    method = Sgd

    def start(self, W: Weights, seed: int) -> State:
        """At rest, with a mean of nothing."""
        state = super().start(W, seed)
        own = {"point": W.copy(), "mean": W.copy(), "before": W.copy()}
        return {**state, **own, "made": 0, "stretch": 0, "time": 0}

    def _take(self, problem: Problem, state: State) -> None:
        sgd = self._on(problem, state)
        free = problem.l2 == 0
        sgd.power[free], sgd.decay[free] = POWERS["sqrt"], 1.0 / state["first"]
        if state["time"] >= max(state["made"], 1):  # a stretch as long as all before it
            state["before"][...], state["stretch"] = state["mean"], state["time"]
            state["made"] += state["time"]
            state["time"] = 0
            state.pop("visits", None)
        if problem.rows.sparse and "visits" not in state:
            state["visits"] = np.full(problem.rows.n_cols, state["time"], dtype=np.int64)
        sgd.steps_before = np.full(problem.K, float(state["made"]))
        sgd.sweep(state, 1)
        if "visits" in state:
            sgd.finish(state)
        share = state["time"] / (state["time"] + state["stretch"])
        state["weights"][...] = state["before"] + share * (state["mean"] - state["before"])


class StreamingSvrg(Stream):
    """Streaming SVRG (Frostig, Ge, Kakade, Sidford, COLT 2015, Algorithm 1).

    Stage s: the gradient at a snapshot, from k_s rows; then m_s steps of eq. (11) and (12) with
    fresh rows, whose slopes at the snapshot are made on the way: eq. (76). k_0 is the first batch
    and k_s doubles. The paper takes m from the condition number, here m_s = k_s, and the last
    iterate of a stage in the place of a random one.
    Rate: that of the empirical minimiser, up to a constant, once m_s is of the order of L / mu.
    Cost: two dot products a step; memory: three (d + 1, K) vectors.
    """

    method = Svrg

    def start(self, W: Weights, seed: int) -> State:
        """The first snapshot is the start."""
        state = super().start(W, seed)
        own = {name: np.zeros_like(W) for name in ("full_gradient", "gradient_sum")}
        return {
            **state,
            **own,
            "snapshot_weights": W.copy(),
            "stage": 0,  # rows of the snapshot
            "gathered": 0,  # of them so far
            "left": 0,  # steps to make before the next snapshot
            "gathered_weight": 0.0,
        }

    def _take(self, problem: Problem, state: State) -> None:
        n, begin = problem.rows.n_rows, 0
        state["stage"] = state["stage"] or n
        rng = rng_from_state(state["rng"])
        order = rng.permutation(n)
        state["rng"] = rng_state(rng)
        while begin < n:
            stepping = state["left"] > 0
            most = state["left"] if stepping else state["stage"] - state["gathered"]
            ids = np.sort(order[begin : begin + most])
            s = problem.sample_weight
            part = problem.on_rows(problem.rows.take(ids), ids, None if s is None else s[ids])
            (self._step if stepping else self._gather)(part, state)
            begin += len(ids)

    def _gather(self, part: Problem, state: State) -> None:
        """Adds the slopes of rows at the snapshot to its gradient."""
        svrg = self._on(part, state)
        weight = part.total_weight
        u = svrg.derivatives(state["snapshot_weights"])
        mean = svrg.average(u) * (svrg.problem.total_weight / weight)
        state["gradient_sum"] += weight * mean
        state["gathered"] += part.rows.n_rows
        state["gathered_weight"] += weight
        if state["gathered"] == state["stage"]:
            state["full_gradient"][...] = state["gradient_sum"] / state["gathered_weight"]
            state["left"] = state["stage"]

    def _step(self, part: Problem, state: State) -> None:
        """Steps on rows, and the next snapshot after the last one of the stage."""
        self._on(part, state).sweep(state, 1)
        state["left"] -= part.rows.n_rows
        if state["left"] == 0:
            state["snapshot_weights"][...] = state["weights"]
            state["gradient_sum"][...] = 0.0
            state["stage"] *= GROWTH
            state["gathered"], state["gathered_weight"] = 0, 0.0


STREAMS: dict[str, type[Stream]] = {
    kind.method.name: kind for kind in (StreamingSgd, StreamingSvrg)
}
