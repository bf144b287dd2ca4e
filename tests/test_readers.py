"""Reading data files: what is read is right, what is malformed is named."""

import bz2
import gzip
import lzma
import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file

from fastsum.datasets import read_data

WRITERS = {"": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
TEXT = b"1 1:0.5 3:2  # a comment\n\n-1 2:-1e-3\n1\n"
DENSE = np.array([[0.5, 0, 2], [0, -1e-3, 0], [0, 0, 0]])


def write(path, content, opener=open):
    with opener(path, "wb") as stream:
        stream.write(content)
    return path


# --- svmlight: good files -------------------------------------------------------------------------


@pytest.mark.parametrize("ending", list(WRITERS))
def test_svmlight_plain_and_compressed(tmp_path, ending):
    path = write(tmp_path / f"data.svm{ending}", TEXT, WRITERS[ending])
    X, y, info = read_data(path)
    assert isinstance(X, sp.csr_matrix) and X.indices.dtype == np.int32
    assert np.array_equal(X.toarray(), DENSE) and y.tolist() == [1, -1, 1]
    assert (info.format, info.n_samples, info.n_features, info.n_stored) == ("svmlight", 3, 3, 3)
    assert info.path == str(path) and info.extras == {}


def test_zero_based_indices(tmp_path):
    path = write(tmp_path / "data.svm", b"1 0:1 2:1\n-1 1:4\n")
    X, _, _ = read_data(path, zero_based=True)
    assert np.array_equal(X.toarray(), [[1, 0, 1], [0, 4, 0]])


def test_one_based_file_without_its_first_column_is_not_shifted(tmp_path):
    """Guessing the base from the smallest index would read this as zero-based or shift it."""
    path = write(tmp_path / "data.svm", b"1 2:1\n-1 3:4\n")
    assert np.array_equal(read_data(path)[0].toarray(), [[0, 1, 0], [0, 0, 4]])


def test_n_features_widens_and_limits(tmp_path):
    path = write(tmp_path / "data.svm", TEXT)
    X, _, info = read_data(path, n_features=7)
    assert X.shape == (3, 7) == (info.n_samples, info.n_features)
    assert np.array_equal(X.toarray()[:, :3], DENSE)
    with pytest.raises(ValueError, match=r"data\.svm: it has 3 features, 2 are expected"):
        read_data(path, n_features=2)
    with pytest.raises(ValueError, match="n_features must be at least 1"):
        read_data(path, n_features=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype(tmp_path, dtype):
    X, _, _ = read_data(write(tmp_path / "data.svm", TEXT), dtype=dtype)
    assert X.dtype == dtype


def test_dtype_must_be_a_float(tmp_path):
    with pytest.raises(ValueError, match="dtype must be float32, float64 or None"):
        read_data(write(tmp_path / "data.svm", TEXT), dtype=np.int32)


def test_query_ids_are_skipped(tmp_path):
    X, _, _ = read_data(write(tmp_path / "data.svm", b"1 qid:4 1:2\n0 qid:4 2:3\n"))
    assert np.array_equal(X.toarray(), [[2, 0], [0, 3]])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), d=st.integers(1, 9))
def test_svmlight_round_trip(tmp_path_factory, seed, n, d):
    rng = np.random.default_rng(seed)
    X = sp.csr_matrix(rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.4))
    y = rng.integers(0, 3, size=n)
    path = tmp_path_factory.mktemp("data") / "data.svm"
    dump_svmlight_file(X, y, str(path), zero_based=False)
    back, labels, _ = read_data(path, n_features=d)
    assert np.allclose(back.toarray(), X.toarray(), rtol=1e-15, atol=0)
    assert np.array_equal(labels, y)


# --- svmlight: malformed files --------------------------------------------------------------------

MALFORMED = {
    "label": (b"spam 1:2", "the label 'spam' is not a number"),
    "csv": (b"5.1,3.5,1.4", "the label '5.1,3.5,1.4' is not one number"),
    "multilabel": (b"1,2 1:2", "is not one number"),
    "nan label": (b"nan 1:2", "the label 'nan' is not finite"),
    "no colon": (b"1 1:2 7", "'7' is not an index:value pair"),
    "index": (b"1 x:2", "the index of 'x:2' is not an integer"),
    "zero": (b"1 0:2", "index 0 found, but indices start at 1"),
    "negative": (b"1 -3:2", "the index of '-3:2' is negative"),
    "decreasing": (b"1 4:1 2:1", "index 2 comes after 4"),
    "twice": (b"1 4:1 4:1", "index 4 occurs twice"),
    "value": (b"1 4:many", "the value of '4:many' is not a number"),
    "no value": (b"1 4:", "the value of '4:' is not a number"),
    "nan": (b"1 4:nan", "the value of '4:nan' is not finite"),
    "inf": (b"1 4:-inf", "the value of '4:-inf' is not finite"),
    "overflow": (b"1 4:1e999", "the value of '4:1e999' is not finite"),
    "huge index": (b"1 99999999999999999999:1", "is too large"),
}


@pytest.mark.parametrize("ending", ["", ".xz"])
@pytest.mark.parametrize("case", list(MALFORMED))
def test_malformed_line_is_named(tmp_path, case, ending):
    line, reason = MALFORMED[case]
    content = b"1 1:1 2:1\n# comment\n" + line + b"\n-1 1:nonsense\n"
    path = write(tmp_path / f"data.svm{ending}", content, WRITERS[ending])
    with pytest.raises(ValueError) as caught:
        read_data(path)
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert reason in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    good=st.integers(0, 5),
    junk=st.sampled_from([b"a", b"1:1", b"1 :", b"1 1:1:1", b"1 2:3 1:1", b"x 1:1", b"1 1:\xff"]),
)
def test_the_first_bad_line_wherever_it_is(tmp_path_factory, good, junk):
    path = tmp_path_factory.mktemp("data") / "data.svm"
    write(path, b"1 1:1\n" * good + junk + b"\n1 1:1\n")
    with pytest.raises(ValueError, match=f"line {good + 1}: "):
        read_data(path)


@settings(max_examples=150, deadline=None)
@given(content=st.binary(min_size=1, max_size=200), ending=st.sampled_from([*WRITERS, ".npz"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, ending):
    """Whatever the file holds: a valid result, or a ValueError that names the file."""
    path = write(tmp_path_factory.mktemp("data") / f"data{ending}", content)
    try:
        X, y, _ = read_data(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        X.check_format(full_check=True)
        assert np.isfinite(X.data).all() and np.isfinite(y).all() and len(y) == X.shape[0] > 0


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_compressed_file(tmp_path, ending, keep):
    path = tmp_path / f"data.svm{ending}"
    rng = np.random.default_rng(0)
    lines = b"".join(b"1 1:%f 2:%f\n" % tuple(rng.random(2)) for _ in range(3000))
    write(path, lines, WRITERS[ending])
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=f"not a complete {re.escape(ending)} file") as caught:
        read_data(path)
    assert str(path) in str(caught.value) and "fetch or write it again" in str(caught.value)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".npz"])
def test_wrong_ending(tmp_path, ending):
    path = write(tmp_path / f"data{ending}", TEXT)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_data(path)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a comment\n", b"1\n-1\n"])
def test_empty_file(tmp_path, content):
    with pytest.raises(ValueError, match="no data"):
        read_data(write(tmp_path / "data.svm", content))


def test_missing_file(tmp_path):
    for name in ("no.svm", "no.npz", "no.svm.xz"):
        with pytest.raises(FileNotFoundError):
            read_data(tmp_path / name)


# --- npz ------------------------------------------------------------------------------------------


def csr_arrays():
    X = sp.csr_matrix(DENSE)
    return {
        "data": X.data,
        "indices": X.indices,
        "indptr": X.indptr,
        "shape": np.array(X.shape),
        "y": np.array([1, -1, 1]),
    }


def save(tmp_path, **arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def test_npz_csr(tmp_path):
    X, y, info = read_data(save(tmp_path, **csr_arrays(), policy=np.arange(3)))
    assert isinstance(X, sp.csr_matrix) and X.dtype == np.float64
    assert np.array_equal(X.toarray(), DENSE) and y.tolist() == [1, -1, 1]
    assert info.format == "npz-csr" and info.extras["policy"].tolist() == [0, 1, 2]
    assert set(info.extras) == {"policy"}


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
def test_npz_as_scipy_saves_it(tmp_path, container):
    plain = tmp_path / "plain.npz"
    sp.save_npz(plain, container(DENSE))
    with np.load(plain) as z:
        path = save(tmp_path, y=np.zeros(3), **{key: z[key] for key in z.files})
    X, _, info = read_data(path)
    assert np.array_equal(X.toarray(), DENSE) and info.extras == {}


def test_npz_without_data_holds_ones(tmp_path):
    arrays = csr_arrays()
    del arrays["data"]
    X, _, _ = read_data(save(tmp_path, **arrays))
    assert np.array_equal(X.toarray(), DENSE != 0)


def test_npz_small_integers_become_floats(tmp_path):
    arrays = csr_arrays() | {"data": np.array([1, 13, 2], dtype=np.int8)}
    X, _, _ = read_data(save(tmp_path, **arrays))
    assert X.dtype == np.float64 and X.data.tolist() == [1, 13, 2]
    assert read_data(save(tmp_path, **arrays), dtype=np.float32)[0].dtype == np.float32


@pytest.mark.parametrize("stored", [np.float32, np.float64, np.int16, bool])
def test_npz_dense(tmp_path, stored):
    labels = np.array(["b", "a", "b"])
    X, y, info = read_data(save(tmp_path, X=DENSE.astype(stored), y=labels))
    assert isinstance(X, np.ndarray) and info.format == "npz-dense" and info.n_stored == 9
    assert X.dtype == (np.float32 if stored == np.float32 else np.float64)
    assert np.array_equal(X, DENSE.astype(stored)) and y.tolist() == ["b", "a", "b"]


def test_npz_labels_may_be_left_out_for_prediction(tmp_path):
    path = save(tmp_path, X=DENSE)
    with pytest.raises(ValueError, match="no array named y"):
        read_data(path)
    X, y, _ = read_data(path, require_y=False)
    assert y is None and np.array_equal(X, DENSE)


def test_npz_widening(tmp_path):
    assert read_data(save(tmp_path, **csr_arrays()), n_features=5)[0].shape == (3, 5)
    with pytest.raises(ValueError, match="X has 3 columns, 5 are expected"):
        read_data(save(tmp_path, X=DENSE, y=np.ones(3)), n_features=5)


BAD_CSR = {
    "format": ({"format": b"csc"}, "only csr is read"),
    "float indices": ({"indices": np.array([0.0, 2.0, 1.0])}, "indices must be a vector of int"),
    "index too large": ({"indices": np.array([0, 3, 1])}, "outside the 3 columns"),
    "negative index": ({"indices": np.array([0, -1, 1])}, "outside the 3 columns"),
    "decreasing": ({"indptr": np.array([0, 2, 1, 3])}, "indptr must rise"),
    "overflowing": ({"indptr": np.array([0, 2, 3, 2**40])}, "indptr must rise"),
    "start": ({"indptr": np.array([1, 2, 3, 3])}, "indptr must rise"),
    "short": ({"indptr": np.array([0, 2, 3])}, "indptr has 3 entries, 3 rows need 4"),
    "shape": ({"shape": np.array([3, 3, 1])}, "shape must be two counts"),
    "negative shape": ({"shape": np.array([-1, 3])}, "shape must be two counts"),
    "data length": ({"data": np.ones(2)}, r"data has shape \(2,\)"),
    "data kind": ({"data": np.array(["a", "b", "c"])}, "data must hold real numbers"),
    "nan": ({"data": np.array([1, np.nan, 1])}, r"data\[1\] is nan"),
    "y length": ({"y": np.ones(4)}, "y has 4 labels for 3 samples"),
    "y shape": ({"y": np.ones((3, 2))}, "y must be one number or string per sample"),
    "y nan": ({"y": np.array([0, np.inf, 1])}, r"y\[1\] is inf"),
}


@pytest.mark.parametrize("case", list(BAD_CSR))
def test_npz_malformed_csr_is_named(tmp_path, case):
    change, reason = BAD_CSR[case]
    path = save(tmp_path, **(csr_arrays() | change))
    with pytest.raises(ValueError, match=reason) as caught:
        read_data(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("missing", ["indices", "shape"])
def test_npz_missing_csr_array(tmp_path, missing):
    arrays = csr_arrays()
    del arrays[missing]
    with pytest.raises(ValueError, match=f"lacks the arrays .*{missing}"):
        read_data(save(tmp_path, **arrays))


def test_npz_foreign(tmp_path):
    with pytest.raises(ValueError, match=r"no samples found among the arrays \['w'\]"):
        read_data(save(tmp_path, w=np.ones(3), y=np.ones(3)))
    with pytest.raises(ValueError, match="X must have 2 axes"):
        read_data(save(tmp_path, X=np.ones(3), y=np.ones(3)))
    with pytest.raises(ValueError, match=r"X\[1, 0\] is inf"):
        read_data(save(tmp_path, X=np.array([[0.0], [np.inf]]), y=np.ones(2)))
    with pytest.raises(ValueError, match="not finite in float32"):
        read_data(save(tmp_path, X=np.array([[1e300]]), y=np.ones(1)), dtype=np.float32)
    with pytest.raises(ValueError, match="no data, 0 samples"):
        read_data(save(tmp_path, X=np.ones((0, 3)), y=np.ones(0)))


class Bomb:
    """Tells whether it was unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_npz_never_unpickles(tmp_path):
    arrays = {"X": np.ones((1, 1)), "y": np.array([Bomb()], dtype=object)}
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="arrays of Python objects are not read"):
        read_data(path)


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.98])
def test_npz_truncated(tmp_path, keep):
    path = save(tmp_path, X=np.random.default_rng(0).random((50, 50)), y=np.arange(50))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=r"not a .*\.npz file") as caught:
        read_data(path)
    assert str(path) in str(caught.value)


def test_npz_damaged_member(tmp_path):
    path = save(tmp_path, X=np.zeros((50, 50)), y=np.arange(50))
    content = bytearray(path.read_bytes())
    content[2000] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_data(path)
