"""Problems that share their rows as one: a pass over the rows is then one for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastsum.columns import Columns
from fastsum.problem import Problem


def beside(problems: Sequence[Problem]) -> Problem:
    """Problems over the same rows, labels and loss as one: its problem b is the b-th of them.

    Each has one problem of its own. Weights that differ become columns, each scaled to the sum of
    the first: of weights only their shares count.
    """
    first, B = problems[0], len(problems)
    S, s = first.total_weight, first.sample_weight
    if any(p.sample_weight is not s for p in problems):
        own = [
            np.full(p.rows.n_rows, S / p.total_weight)
            if p.sample_weight is None
            else p.sample_weight * (S / p.total_weight)
            for p in problems
        ]
        s = np.ascontiguousarray(np.stack(own, axis=1))
    alpha = np.concatenate([p.penalty.alpha for p in problems])
    l1_ratio = np.concatenate([p.penalty.l1_ratio for p in problems])
    offset = None if first.offset is None else np.tile(first.offset, B)
    columns = Columns(n_problems=B, n_outputs=first.columns.n_outputs)
    together = first._changed(columns=columns, offset=offset, sample_weight=s)
    return together.with_penalty(alpha, l1_ratio)
