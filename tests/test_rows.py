"""X -> Rows: every container, dtype and layout gives numpy's numbers, without needless copies."""

import numpy as np
import pytest
import scipy.sparse as sp
from problems import split_rows

import fastsum
from fastsum.data import as_rows

RNG = np.random.default_rng(0)
SHAPE = (13, 6)
DENSE = np.round(RNG.standard_normal(SHAPE) * 8) / 8 + 1 / 16  # no zeros, exact in float32
SPARSE = np.where(RNG.random(SHAPE) < 0.4, DENSE, 0.0)
SPARSE[4], SPARSE[:, 2] = 0.0, 0.0  # an empty row, an empty column
ONES = (SPARSE != 0).astype(float)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("blocks", [1, 3])
def test_margins_of_dense_rows_with_few_columns_in_use(dtype, blocks):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((30, 200)).astype(dtype)
    W = np.zeros((201, 1))
    W[[3, 100, 199, 200], 0] = rng.standard_normal(4)
    rows = split_rows(X, blocks)
    z = rows.margins(W, 2, np.full((30, 1), np.nan))
    np.testing.assert_allclose(z[:, 0], X.astype(float) @ W[:-1, 0] + W[-1, 0], rtol=1e-14)


def csr(matrix=SPARSE, container=sp.csr_array, index=np.int32, pointer=np.int32, dtype=float):
    X = container(matrix.astype(dtype))
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(pointer)
    return X


def unsorted():
    X = csr()
    for a, b in zip(X.indptr, X.indptr[1:], strict=False):
        X.indices[a:b], X.data[a:b] = X.indices[a:b][::-1].copy(), X.data[a:b][::-1].copy()
    X.has_sorted_indices = False
    return X


def duplicates():
    X = csr()
    data = np.repeat(X.data / 2, 2)
    return sp.csr_array((data, np.repeat(X.indices, 2), X.indptr * 2), shape=X.shape)


def explicit_zeros():
    X = csr()
    X.data[::3] = 0.0
    return X


def memmap(tmp_path, matrix):
    np.save(tmp_path / "X.npy", matrix)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def wide_buffer():
    """A CSR whose arrays are longer than its last pointer."""
    X = csr()
    X.data, X.indices = np.append(X.data, [np.pi] * 4), np.append(X.indices, [0] * 4)
    X.indices = X.indices.astype(np.int32)
    return X


def unaligned(matrix):
    raw = np.frombuffer(b"x" + matrix.tobytes(), dtype=np.uint8)[1:]
    return raw.view(matrix.dtype).reshape(matrix.shape)


WIDE = np.tile(DENSE, (2, 3))
# name -> (maker, storage expected)
CASES = {
    "C": (lambda tmp: DENSE.copy(), "dense"),
    "F": (lambda tmp: np.asfortranarray(DENSE), "dense"),
    "column slice": (lambda tmp: WIDE[:, 2:8], "dense"),
    "row slice": (lambda tmp: WIDE[::2], "dense"),
    "every other column": (lambda tmp: WIDE[:, ::2], "dense"),
    "one column": (lambda tmp: WIDE[:, 3:4], "dense"),
    "one row": (lambda tmp: np.asfortranarray(DENSE)[3:4], "dense"),
    "negative row stride": (lambda tmp: DENSE[::-1], "dense"),
    "negative column stride": (lambda tmp: DENSE[:, ::-1], "dense"),
    "transposed": (lambda tmp: DENSE.T, "dense"),
    "broadcast": (lambda tmp: np.broadcast_to(DENSE[0], SHAPE), "dense"),
    "unaligned": (lambda tmp: unaligned(DENSE), "dense"),
    "big-endian": (lambda tmp: DENSE.astype(">f8"), "dense"),
    "float16": (lambda tmp: DENSE.astype(np.float16), "dense"),
    "longdouble": (lambda tmp: DENSE.astype(np.longdouble), "dense"),
    "list": (lambda tmp: DENSE.tolist(), "dense"),
    "int": (lambda tmp: (8 * DENSE).astype(int), "dense"),
    "uint8": (lambda tmp: np.abs(8 * DENSE).astype(np.uint8), "dense"),
    "bool": (lambda tmp: DENSE > 0, "dense"),
    "object": (lambda tmp: DENSE.astype(object), "dense"),
    "memmap": (lambda tmp: memmap(tmp, DENSE), "dense"),
    "F memmap": (lambda tmp: memmap(tmp, np.asfortranarray(DENSE)), "dense"),
    "dense of ones": (lambda tmp: np.ones(SHAPE), "dense"),
    "csr_array": (lambda tmp: csr(), "csr"),
    "csr_matrix": (lambda tmp: csr(container=sp.csr_matrix), "csr"),
    "csr int64 ids": (lambda tmp: csr(index=np.int64), "csr"),
    "csr int64 pointers": (lambda tmp: csr(pointer=np.int64), "csr"),
    "csr int64": (lambda tmp: csr(index=np.int64, pointer=np.int64), "csr"),
    "csr of int": (lambda tmp: csr(8 * SPARSE, dtype=np.int16), "csr"),
    "csr of bool": (lambda tmp: csr(dtype=bool), "ones"),
    "csr of ones": (lambda tmp: csr(ONES), "ones"),
    "csr of int ones": (lambda tmp: csr(ONES, dtype=np.int64), "ones"),
    "one value is not 1": (lambda tmp: csr(np.where(ONES * np.arange(6) == 5, 2, ONES)), "csr"),
    "csr without entries": (lambda tmp: sp.csr_array(SHAPE), "ones"),
    "unsorted": (lambda tmp: unsorted(), "csr"),
    "duplicates": (lambda tmp: duplicates(), "csr"),
    "explicit zeros": (lambda tmp: explicit_zeros(), "csr"),
    "longer arrays": (lambda tmp: wide_buffer(), "csr"),
    "csr slice": (lambda tmp: csr()[3:9], "csr"),
    "csc": (lambda tmp: csr().tocsc(), "csr"),
    "csc of ones": (lambda tmp: csr(ONES).tocsc(), "ones"),
    "csc_matrix": (lambda tmp: sp.csc_matrix(SPARSE), "csr"),
    "coo": (lambda tmp: csr().tocoo(), "csr"),
    "coo_matrix": (lambda tmp: sp.coo_matrix(SPARSE), "csr"),
    "coo duplicates": (
        lambda tmp: sp.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [3, 3, 0])), shape=(2, 4)),
        "csr",
    ),
    "bsr": (lambda tmp: csr(np.vstack([SPARSE, SPARSE])).tobsr((2, 3)), "csr"),
    "lil": (lambda tmp: csr().tolil(), "csr"),
    "dok": (lambda tmp: csr().todok(), "csr"),
    "dia": (lambda tmp: csr().todia(), "csr"),
}
DTYPES = [np.float64, np.float32]


def numbers(X):
    """The dense float64 values of any container, by numpy and scipy."""
    return np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("K", [1, 2, 3, 5, 7, 8, 13, 70])
@pytest.mark.parametrize("case", CASES)
def test_passes_equal_numpy(case, K, n_threads, tmp_path):
    X = CASES[case][0](tmp_path)
    A, rows = numbers(X), as_rows(X)
    (n, d), rng = A.shape, np.random.default_rng(1)
    assert (rows.n_rows, rows.n_cols, rows.storage) == (n, d, CASES[case][1])
    W = rng.standard_normal((d + 1, K))
    z = rows.margins(W, n_threads, np.full((n, K), np.nan))
    np.testing.assert_allclose(z, A @ W[:-1] + W[-1], rtol=1e-13, atol=1e-13)
    r = rng.standard_normal((n, K))
    np.testing.assert_allclose(rows.transposed(r, n_threads), A.T @ r, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(rows.squared_norms(n_threads), (A**2).sum(axis=1), rtol=1e-13)
    P = np.linspace(0.1, 2.0, A.shape[1])
    np.testing.assert_allclose(rows.squared_norms(n_threads, P), (A**2) @ P, rtol=1e-12)
    p = rng.random(n)
    held = sp.csr_array(X, copy=True) if sp.issparse(X) else A * 0 + 1
    if sp.issparse(X):
        held.data = np.ones(held.data.shape)  # explicit zeros are held too
    held = numbers(held) != 0
    np.testing.assert_allclose(rows.column_mass(p), p @ held, rtol=1e-13)
    np.testing.assert_array_equal(rows.column_mass(None), held.sum(axis=0))
    ids = np.array([d - 1, 0])
    np.testing.assert_array_equal(rows.columns(ids), A[:, ids])


@pytest.mark.parametrize("case", CASES)
def test_float32_is_kept_and_the_rest_is_float64(case, tmp_path):
    X = CASES[case][0](tmp_path)
    assert as_rows(X).dtype == np.float64
    if isinstance(X, list):
        return
    single = X.astype(np.float32)
    rows = as_rows(single)
    assert rows.dtype == np.float32
    for block in rows.blocks:
        assert block.values is None or block.values.dtype == np.float32
    z = rows.margins(np.ones((X.shape[1] + 1, 1)), 1, np.empty((X.shape[0], 1)))
    np.testing.assert_allclose(z[:, 0], numbers(single).sum(axis=1) + 1, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_the_users_arrays_stay_as_they_are(case, tmp_path):
    X, fresh = CASES[case][0](tmp_path), CASES[case][0](tmp_path)
    as_rows(X)
    if sp.issparse(X) and X.format in ("csr", "csc", "bsr"):
        for name in ("data", "indices", "indptr"):
            mine, theirs = getattr(X, name), getattr(fresh, name)
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
    else:
        np.testing.assert_array_equal(numbers(X), numbers(fresh))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "case", ["C", "column slice", "row slice", "one column", "memmap", "dense of ones"]
)
def test_dense_rows_are_not_copied(case, dtype, tmp_path):
    X = CASES[case][0](tmp_path)
    X = X if X.dtype == dtype else WIDE.astype(dtype)[1::2, 1:4]
    rows = as_rows(X)
    assert np.shares_memory(rows.blocks[0].values, X)
    assert rows.copied == ""
    assert "no copy" in repr(rows)


@pytest.mark.parametrize("pointer", [np.int32, np.int64])
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
def test_canonical_csr_is_not_copied(container, pointer):
    X = csr(container=container, pointer=pointer)
    block = as_rows(X).blocks[0]
    assert np.shares_memory(block.values, X.data)
    assert np.shares_memory(block.indices, X.indices)
    assert np.shares_memory(block.indptr, X.indptr) == (pointer is np.int64)
    ones = csr(ONES)
    block = as_rows(ones).blocks[0]
    assert block.values is None
    assert np.shares_memory(block.indices, ones.indices)


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ("F", "to row-major"),
        ("int", "int64 to float64"),
        ("csr int64 ids", "column ids to int32"),
        ("unsorted", "no copy"),
        ("duplicates", "duplicates summed"),
        ("csr of int", "int16 to float64"),
    ],
)
def test_repr_says_what_was_copied(case, word, tmp_path):
    assert word in repr(as_rows(CASES[case][0](tmp_path)))


@pytest.mark.parametrize("case", CASES)
def test_repr_of_a_problem_says_the_storage(case, tmp_path):
    X = CASES[case][0](tmp_path)
    n = np.shape(X)[0]
    y = np.arange(n) % 2 if n > 1 else [1.0]
    loss = "logistic" if n > 1 else "squared"
    text = repr(fastsum.Problem(X, y, loss=loss))
    assert f"float64, {CASES[case][1]}, " in text
    assert f"{n:,} x " in text and f"loss={loss}" in text


def test_frames():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    names = [f"f{j}" for j in range(SHAPE[1])]
    for frame in (pd.DataFrame(DENSE, columns=names), pl.DataFrame(DENSE, schema=names)):
        z = as_rows(frame).margins(np.ones((7, 1)), 1, np.empty((13, 1)))
        np.testing.assert_allclose(z[:, 0], DENSE.sum(axis=1) + 1)
    mixed = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    np.testing.assert_array_equal(as_rows(mixed).columns(np.arange(3)), mixed.to_numpy(float))


# ---- refused


@pytest.mark.parametrize("make", [np.array, sp.csr_array, sp.csc_array, sp.coo_array])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(make, value):
    X = SPARSE.copy()
    X[3, 1] = value
    with pytest.raises(ValueError, match=r"(?i)nan|infinity"):
        as_rows(make(X))


def test_duplicates_that_overflow_are_not_let_in():
    X = sp.csr_array(([1.5e308, 1.5e308], [0, 0], [0, 2]), shape=(1, 1))
    with pytest.raises(ValueError, match=r"(?i)infinity|overflow"):
        as_rows(X)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty(shape):
    for X in (np.empty(shape), sp.csr_array(shape)):
        with pytest.raises(ValueError, match="minimum of 1 is required"):
            as_rows(X)


def test_wrong_dimensions():
    for X in (np.arange(3.0), np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match=r"Expected 2D array|dim 3|<= 2"):
            as_rows(X)


def test_more_columns_than_an_int32_can_number():
    wide = sp.csr_array(([2.0], [2**31], [0, 1]), shape=(1, 2**31 + 1))
    with pytest.raises(ValueError, match=r"2,147,483,649 columns.*hash them to fewer"):
        as_rows(wide)
