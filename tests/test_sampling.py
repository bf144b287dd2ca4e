"""Orders of rows: probabilities, counts a pass, rows of weight zero, the auto rule, the RNG."""

import numpy as np
import pytest
from problems import random_problem, split_rows

import fastsum.sampling as sampling
from fastsum.data import as_rows
from fastsum.sampling import KINDS, Sampler, rng_from_state, rng_state

DRAWN = [kind for kind in KINDS if kind != "auto"]
N = 60


def make(kind, *, weights=None, uneven=True, n_blocks=1):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 4))
    rows = split_rows(X, n_blocks) if n_blocks > 1 else as_rows(X)
    lipschitz = rng.uniform(0.5, 1.0, N) ** (8 if uneven else 0.1)
    if weights is not None:
        lipschitz = lipschitz * weights
    return Sampler(rows, weights, lipschitz, kind), rows, lipschitz


def passes(sampler, rows, n_passes, seed=0):
    """Global row numbers of each pass."""
    rng = np.random.default_rng(seed)
    for _ in range(n_passes):
        parts = sampler.draw(rng, 1)
        assert all(order.dtype == np.int64 for _, order in parts)
        yield np.concatenate([order + rows.starts[block] for block, order in parts])


def some_weights():
    weights = np.random.default_rng(1).uniform(0.1, 2.0, N)
    weights[::4] = 0.0
    return weights


def probabilities(sampler):
    return np.full(N, 1 / N) if sampler.p is None else sampler.p


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", DRAWN)
def test_probabilities_sum_to_one_and_q_is_their_inverse(kind, weighted):
    sampler, _, lipschitz = make(kind, weights=some_weights() if weighted else None)
    p = probabilities(sampler)
    assert p.sum() == pytest.approx(1.0)
    q = np.full(N, sampler.q_uniform) if sampler.q is None else sampler.q
    np.testing.assert_allclose((p * q)[p > 0], 1.0)
    active = p > 0
    expected = active / active.sum()
    if kind == "importance":  # eq. (15)
        share = lipschitz / lipschitz.sum()
        expected = np.where(active, 0.5 / active.sum() + 0.5 * share, 0.0)
    np.testing.assert_allclose(p, expected)
    np.testing.assert_allclose(sampler.inverse_probability(lipschitz), (lipschitz * q)[active])


@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", DRAWN)
def test_frequencies(kind, weighted, n_blocks):
    weights = some_weights() if weighted else None
    sampler, rows, _ = make(kind, weights=weights, n_blocks=n_blocks)
    n = sampler.n_active
    assert n == (N if weights is None else (weights > 0).sum())
    p, n_passes = probabilities(sampler), 400
    counts = np.array([np.bincount(o, minlength=N) for o in passes(sampler, rows, n_passes)])
    assert (counts.sum(axis=1) == n).all()
    if kind == "blocks":
        assert (counts == (p > 0)).all()
    elif kind == "importance":
        assert (counts >= np.floor(n * p - 1e-9)).all()
        assert (counts <= np.ceil(n * p + 1e-9)).all()
    if weights is not None:
        assert not counts[:, weights == 0].any()
    # mean of n_passes counts: five standard deviations of independent draws
    error = np.abs(counts.mean(axis=0) - n * p)
    assert (error <= 5 * np.sqrt(n * p / n_passes) + 1e-12).all()


@pytest.mark.parametrize("kind", DRAWN)
def test_orders_differ_from_pass_to_pass(kind):
    sampler, rows, _ = make(kind)
    first, second = passes(sampler, rows, 2)
    assert not np.array_equal(first, second)
    again, _ = passes(sampler, rows, 2)
    np.testing.assert_array_equal(first, again)
    places = np.array([o[0] for o in passes(sampler, rows, 200)])
    assert len(np.unique(places)) > N / 2  # any row may come first


@pytest.mark.parametrize("kind", DRAWN)
def test_several_passes_at_once_are_the_same_passes(kind):
    for n_blocks in (1, 3):
        sampler, rows, _ = make(kind, n_blocks=n_blocks)
        rng = np.random.default_rng(0)
        joined = [o + rows.starts[block] for block, o in sampler.draw(rng, 3)]
        one_by_one = list(passes(sampler, rows, 3))
        np.testing.assert_array_equal(np.concatenate(joined), np.concatenate(one_by_one))


@pytest.mark.parametrize("weighted", [False, True])
def test_long_blocks_are_read_in_order(monkeypatch, weighted):
    monkeypatch.setattr(sampling, "BLOCKS_FROM", 1)
    monkeypatch.setattr(sampling, "BLOCK_ROWS", 8)
    sampler, rows, _ = make("blocks", weights=some_weights() if weighted else None)
    active = np.flatnonzero(probabilities(sampler))
    cuts = set()
    for order in passes(sampler, rows, 50):
        np.testing.assert_array_equal(np.sort(order), active)
        place = np.searchsorted(active, order)
        jumps = np.flatnonzero(np.diff(place) != 1)
        assert len(jumps) <= len(active) / 8 + 1
        cuts |= set((place[jumps + 1] % 8).tolist())
    assert len(cuts) == 8  # blocks begin at another row in every pass


def test_auto_takes_importance_where_constants_are_uneven():
    assert make("auto", uneven=True)[0].kind == "importance"
    assert make("auto", uneven=False)[0].kind == "blocks"
    rows = as_rows(np.ones((4, 1)))
    for top, kind in [(3.1, "importance"), (2.9, "blocks")]:
        # the mean of (1, 1, 1, top) is 2 top / 4 at top = 3
        constants = np.array([1.0, 1.0, 1.0, top])
        assert Sampler(rows, None, constants, "auto").kind == kind
    # rows of weight zero do not count
    weights = np.array([1.0, 1.0, 0.0, 0.0])
    assert Sampler(rows, weights, np.array([1.0, 1.1, 0.0, 0.0]), "auto").kind == "blocks"


def test_rows_without_curvature_are_drawn_evenly():
    sampler = Sampler(as_rows(np.zeros((5, 2))), None, np.zeros(5), "importance")
    np.testing.assert_allclose(sampler.p, 0.2)


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"sampling='random' is unknown; choose one of \['auto'"):
        Sampler(random_problem(0).rows, None, np.ones(40), "random")


def test_rng_survives_the_round_trip():
    rng = np.random.Generator(np.random.PCG64(7))
    rng.integers(10, size=3, dtype=np.int32)  # leaves half a word behind
    numbers = rng_state(rng)
    assert numbers.dtype == np.uint64 and numbers.shape == (6,)
    twin = rng_from_state(numbers)
    for draw in (
        lambda g: g.integers(1 << 30, size=5, dtype=np.int32),
        lambda g: g.random(4),
        lambda g: g.permutation(20),
    ):
        np.testing.assert_array_equal(draw(rng), draw(twin))
    np.testing.assert_array_equal(rng_state(rng), rng_state(twin))
