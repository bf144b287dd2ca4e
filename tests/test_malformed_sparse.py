"""Sparse matrices whose arrays lie: a ValueError or the right numbers, never a crash."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastsum import Problem, minimize
from fastsum.data import as_rows

INDEX_TYPES = (np.int32, np.int64, np.uint32, np.uint64, np.float64)


@st.composite
def compressed(draw):
    """(rows, cols, indptr, indices, data) that often, not always, describe a matrix."""
    rows, cols = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    n_indices = draw(st.integers(0, 8))
    ids = st.integers(0, cols - 1) | st.sampled_from([-1, cols, 2**31 - 1, -(2**31)])
    indices = draw(st.lists(ids, min_size=n_indices, max_size=n_indices))
    n_data = draw(st.just(n_indices) | st.integers(0, 9))
    data = draw(st.lists(st.sampled_from([1.0, 0.0, -2.5, 1.0]), min_size=n_data, max_size=n_data))
    cuts = draw(st.lists(st.integers(0, n_indices), min_size=rows - 1, max_size=rows - 1))
    indptr = [0, *sorted(cuts), n_indices]
    if draw(st.booleans()):
        at = draw(st.integers(0, rows))
        indptr[at] = draw(st.sampled_from([-1, 1, n_indices + 1, 2**31 - 1, 0]))
    if draw(st.booleans()) and draw(st.booleans()):
        indptr = indptr[:-1] if draw(st.booleans()) else [*indptr, n_indices]
    return rows, cols, indptr, indices, data


def integers(values, dtype):
    return np.array(values, dtype=np.int64).astype(dtype)


def meaning(rows, cols, indptr, indices, data):
    """The dense matrix if the arrays describe one, by plain Python; None otherwise."""
    if len(indptr) != rows + 1 or indptr[0] != 0 or len(data) < len(indices):
        return None
    dense = np.zeros((rows, cols))
    for i in range(rows):
        if not 0 <= indptr[i] <= indptr[i + 1] <= len(indices):
            return None
        for e in range(indptr[i], indptr[i + 1]):
            if not 0 <= indices[e] < cols:
                return None
            dense[i, indices[e]] += data[e]
    return dense


def fitted_rows(X):
    """Rows of X after a short fit on them; any exception but ValueError fails the test."""
    problem = Problem(X, np.arange(X.shape[0]), loss="squared", alpha=0.1)
    minimize(problem, "saga", max_iter=2, tol=1e3)
    return problem.rows.columns(np.arange(X.shape[1]))


def assert_refused_or_right(X, expected):
    try:
        dense = fitted_rows(X)
    except ValueError:
        return
    assert expected is not None, "a malformed matrix was accepted"
    np.testing.assert_array_equal(dense, expected)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    arrays=compressed(),
    pointer=st.sampled_from(INDEX_TYPES),
    index=st.sampled_from(INDEX_TYPES),
    kind=st.sampled_from(["csr", "csc"]),
    container=st.sampled_from(["array", "matrix"]),
)
@example(
    arrays=(1, 1, [0, 1], [0], []), pointer=np.int32, index=np.int32, kind="csr", container="array"
)
@example(
    arrays=(2, 3, [0, 2, 1], [0, 1], [1.0, 2.0]),
    pointer=np.int64,
    index=np.int32,
    kind="csr",
    container="array",
)
def test_compressed(arrays, pointer, index, kind, container):
    rows, cols, indptr, indices, data = arrays
    floats = np.float64 in (index, pointer)
    make = getattr(sp, f"{kind}_{container}")
    X = make((rows, cols) if kind == "csr" else (cols, rows))
    X.indptr, X.indices = integers(indptr, pointer), integers(indices, index)
    X.data = np.array(data, dtype=float)
    expected = None
    if not floats:
        expected = meaning(rows, cols, X.indptr.tolist(), X.indices.tolist(), data)
    if expected is not None and kind == "csc":
        expected = expected.T
    assert_refused_or_right(X, expected)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    entries=st.lists(
        st.tuples(st.sampled_from([0, 1, 2, -1, 3]), st.sampled_from([0, 1, -1, 2, 2**31 - 1])),
        max_size=6,
    ),
    missing=st.sampled_from([0, 0, 0, 1, -1]),
    index=st.sampled_from(INDEX_TYPES),
)
def test_coordinates(entries, missing, index):
    X = sp.coo_array((3, 2))
    i, j = integers([e[0] for e in entries], index), integers([e[1] for e in entries], index)
    X.coords = (i, j)
    n_data = max(0, len(entries) - missing)
    X.data = np.ones(n_data)
    expected = None
    inside = all(0 <= a < 3 and 0 <= b < 2 for a, b in zip(i, j, strict=True))
    if n_data == len(entries) and inside and index is not np.float64:
        expected = np.zeros((3, 2))
        for a, b in entries:
            expected[a, b] += 1
    assert_refused_or_right(X, expected)


def lying_bsr():
    X = sp.bsr_array(np.ones((4, 6)), blocksize=(2, 3))
    X.indices = X.indices + 5
    return X


def short_bsr():
    X = sp.bsr_array(np.ones((4, 6)), blocksize=(2, 3))
    X.data = X.data[:1]
    return X


def narrow_bsr():
    X = sp.bsr_array(np.arange(24.0).reshape(4, 6), blocksize=(2, 3))
    X.data = X.data[:, :1]
    return X


def lying_lil():
    X = sp.lil_array((3, 4))
    X.rows[1], X.data[1] = [0, 1000000], [1.0, 2.0]
    return X


def negative_lil():
    X = sp.lil_array((3, 4))
    X.rows[1], X.data[1] = [-3], [1.0]
    return X


def uneven_lil():
    X = sp.lil_array((3, 4))
    X.rows[1], X.data[1] = [0, 1, 2], [1.0]
    return X


def lying_dok():
    X = sp.dok_array((3, 4))
    X._dict[(1, 1000000)] = 2.0
    return X


def lying_dia():
    X = sp.dia_array((np.ones((2, 4)), [0, 1]), shape=(4, 4))
    X.offsets = np.array([0, 10**6, 3])
    return X


def cut_shape():
    X = sp.csr_array(np.arange(12.0).reshape(3, 4))
    X._shape = (3, 2)
    return X


@pytest.mark.parametrize(
    "make",
    [
        lying_bsr,
        short_bsr,
        narrow_bsr,
        lying_lil,
        negative_lil,
        uneven_lil,
        lying_dok,
        lying_dia,
        cut_shape,
    ],
)
def test_other_formats(make):
    with pytest.raises(ValueError):
        fitted_rows(make())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indices": np.array([0, 9, 1], np.int32)}, r"indices of X out of range: 9 at position 1"),
        ({"indptr": np.array([0, 2, 1], np.int32)}, r"indptr of X .* never decrease.*row 1"),
        ({"indptr": np.array([1, 2, 3], np.int32)}, r"indptr of X .* must start at 0"),
        ({"indptr": np.array([0, 2, 9], np.int32)}, r"indptr of X .* past the 3 stored indices"),
        ({"indptr": np.array([0, 3], np.int32)}, r"indptr of X has 2 entries for 2 rows.*needs 3"),
        ({"indices": np.array([0.0, 1.0, 2.0])}, r"indices of X must be integers, got float64"),
        ({"indptr": np.array([0.0, 2.0, 3.0])}, r"indptr of X must be integers, got float64"),
        ({"data": np.ones(2)}, r"X has 2 values for 3 indices"),
    ],
)
def test_messages_name_the_fault(change, message):
    X = sp.csr_array(([2.0, 3.0, 4.0], [0, 2, 1], [0, 2, 3]), shape=(2, 3))
    for name, array in change.items():
        setattr(X, name, array)
    with pytest.raises(ValueError, match=message):
        as_rows(X)
    with pytest.raises(ValueError, match=message):
        as_rows(X, validated=True)
