"""Generated click logs: one-hot rows with Zipf-like features and a planted logistic model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import brentq
from scipy.special import expit, logit

# Rows drawn at a time: the temporaries stay near 2 * 8 * 16384 * n_fields bytes (10 MB at 39
# fields), which fits the caches better than one pass over everything.
_CHUNK_ROWS = 1 << 14

# Standard deviation of the planted log-odds over rows. At 1.2 and a few per cent of clicks the
# best possible AUC is about 0.8, as in published click-prediction contests.
_LOG_ODDS_SD = 1.2

# Rows that decide the intercept: enough to fix the click rate to about 0.1 % of its value.
_INTERCEPT_ROWS = 1 << 20


def make_click_log(
    n_samples: int,
    n_features: int,
    *,
    n_fields: int = 39,
    click_rate: float = 0.03,
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
    dtype: npt.DTypeLike = np.float32,
) -> tuple[sp.csr_matrix, npt.NDArray[np.int8]]:
    """Generate a click log: sparse rows of ones and rare clicks.

    Every row is an impression described by `n_fields` categorical fields (site, advertiser,
    hour, ...), one-hot encoded. A field owns a contiguous share of the columns: a few fields
    are small, many are large. Within a field the values follow Zipf's law with exponent
    about 1 (the k-th commonest value has probability close to ``1 / (k log(size))``) and
    common and rare values lie scattered over the field's columns. A click is drawn from a
    logistic model with one normal weight per column, and the intercept is set so that the
    expected share of clicks is `click_rate`.

    Parameters
    ----------
    n_samples : int
        Number of rows, at least 1.
    n_features : int
        Number of columns, at least `n_fields` and below 2**31. Not every column need occur.
    n_fields : int, default=39
        Number of ones in every row, at least 1.
    click_rate : float, default=0.03
        Expected share of clicks, strictly between 0 and 1.
    random_state : int, numpy Generator, RandomState or None, default=None
        Seed of all draws. The same integer gives the same data on every call.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of the stored ones.

    Returns
    -------
    X : scipy.sparse.csr_matrix of shape (n_samples, n_features)
        All stored values are 1; columns are sorted and distinct within a row. Column ids are
        int32 as long as `n_samples` * `n_fields` is below 2**31.
    y : ndarray of shape (n_samples,), dtype int8
        1 for a click, 0 for none.

    Raises
    ------
    TypeError
        If a count is not an integer, or `random_state` is of no known kind.
    ValueError
        If a parameter is outside its range.

    Notes
    -----
    Needs about ``8 * n_samples * n_fields`` bytes for the result at float32, and little more
    while running.

    Examples
    --------
    >>> from fastsum.datasets import make_click_log
    >>> X, y = make_click_log(1000, 5000, random_state=0)
    >>> X.shape, X.nnz
    ((1000, 5000), 39000)
    """
    n_samples, n_features, n_fields = _check_sizes(n_samples, n_features, n_fields)
    if not isinstance(click_rate, Real) or not 0.0 < float(click_rate) < 1.0:
        raise ValueError(
            f"click_rate must lie strictly between 0 and 1, got {click_rate!r}: "
            "it is the expected share of clicks, for example 0.03."
        )
    dtype = np.dtype(dtype)
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be float32 or float64, got {dtype}.")

    rng = _generator(random_state)
    fields = _Fields.lay_out(n_features, n_fields)
    weights = rng.standard_normal(n_features, dtype=np.float32)
    weights *= _LOG_ODDS_SD / math.sqrt(n_fields)

    columns = np.empty((n_samples, n_fields), dtype=np.int32)
    log_odds = np.empty(n_samples, dtype=np.float32)
    for start in range(0, n_samples, _CHUNK_ROWS):
        chunk = slice(start, min(start + _CHUNK_ROWS, n_samples))
        fields.draw(rng, columns[chunk])
        np.sum(weights[columns[chunk]], axis=1, out=log_odds[chunk])

    log_odds += _intercept(log_odds[:_INTERCEPT_ROWS], float(click_rate))
    y = (rng.random(n_samples, dtype=np.float32) < expit(log_odds)).astype(np.int8)
    return _one_hot(columns, n_features, dtype), y


def _check_sizes(n_samples: Any, n_features: Any, n_fields: Any) -> tuple[int, int, int]:
    """Return the three counts as ints; raise if one is not usable."""
    counts = {"n_samples": n_samples, "n_features": n_features, "n_fields": n_fields}
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise TypeError(f"{name} must be an integer, got {value!r}.")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    if n_features < n_fields:
        raise ValueError(
            f"n_features={n_features} is smaller than n_fields={n_fields}, but every field "
            "needs a column of its own: raise n_features or lower n_fields."
        )
    if n_features > np.iinfo(np.int32).max:
        raise ValueError(
            f"n_features must be below 2**31 (column ids are int32), got {n_features}."
        )
    return int(n_samples), int(n_features), int(n_fields)


def _generator(random_state: Any) -> np.random.Generator:
    """Return a Generator for any of the usual ways to give a seed."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**31 - 1, size=4))
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, int | np.integer) and random_state >= 0:
        return np.random.default_rng(int(random_state))
    raise TypeError(
        "random_state must be a non-negative int, a numpy Generator, a RandomState or None, "
        f"got {random_state!r}."
    )


@dataclass(frozen=True)
class _Fields:
    """Where each field's columns lie, and how its values are scattered over them.

    All arrays have shape (n_fields,). The value of popularity rank r (0 is the commonest)
    sits in column ``first + (step * r) % size``; a step coprime to the size makes that a
    permutation which needs no table.
    """

    first: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]

    @classmethod
    def lay_out(cls, n_features: int, n_fields: int) -> _Fields:
        """Share the columns out: two each, the rest in proportion to the 4th power of rank."""
        least = 2 if n_features >= 2 * n_fields else 1  # a field of one column is a constant
        share = (np.arange(1, n_fields + 1) / n_fields) ** 4
        ends = np.rint(np.cumsum(share) / share.sum() * (n_features - least * n_fields))
        size = least + np.diff(ends.astype(np.int64), prepend=0)
        first = np.cumsum(size) - size
        step = np.array([_coprime_step(int(m)) for m in size], dtype=np.int64)
        return cls(first, size, step)

    def draw(self, rng: np.random.Generator, out: npt.NDArray[np.int32]) -> None:
        """Fill `out`, of shape (n_rows, n_fields), with column ids."""
        # Rank by inverse distribution function: P(rank < k) = log(k + 1) / log(size + 1).
        u = rng.random(out.shape)
        u *= np.log(self.size + 1.0)
        np.exp(u, out=u)
        value = u.astype(np.int64)  # rounds down: rank + 1
        value -= 1
        np.minimum(value, self.size - 1, out=value)  # exp may round up to size + 1
        value *= self.step
        value %= self.size
        value += self.first
        out[...] = value


def _coprime_step(size: int) -> int:
    """Return a step near the golden section of `size` that has no common factor with it."""
    step = max(1, round(0.618 * size))
    while math.gcd(step, size) != 1:
        step += 1
    return step


def _intercept(log_odds: npt.NDArray[np.float32], rate: float) -> float:
    """Return b with mean(sigmoid(log_odds + b)) = rate."""
    scores = log_odds.astype(np.float64)
    centre = float(logit(rate))
    low, high = centre - float(scores.max()) - 1.0, centre - float(scores.min()) + 1.0
    return float(brentq(lambda b: float(expit(scores + b).mean()) - rate, low, high, xtol=1e-6))


def _one_hot(
    columns: npt.NDArray[np.int32], n_features: int, dtype: np.dtype[Any]
) -> sp.csr_matrix:
    """Return the CSR matrix whose row i holds ones at ``columns[i]``."""
    n_samples, n_fields = columns.shape
    nnz = n_samples * n_fields
    index_type = np.int32 if nnz <= np.iinfo(np.int32).max else np.int64
    indptr = np.arange(0, nnz + 1, n_fields, dtype=index_type)
    X = sp.csr_matrix(
        (np.ones(nnz, dtype=dtype), columns.reshape(-1), indptr), shape=(n_samples, n_features)
    )
    # Fields come in the order of their columns, so the rows are sorted as they are.
    X.has_sorted_indices = True
    X.has_canonical_format = True
    return X
