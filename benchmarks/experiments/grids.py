"""Seconds of a cross-validated grid: ours, as separate fits of ours, scikit-learn's."""

import time
import warnings

import numpy as np
import sklearn.linear_model
from benchmark_utils import report, timing
from sklearn.datasets import load_diabetes

import fastsum
from benchmarks import registry

EXPLANATION = """\
5 folds times a grid of penalties, fitted and scored, with the last fit to all rows; default tol of
each side (ours is a certified gap). "separate" is 5 times the grid times the mean of a few plain
fits of ours to all rows. "grid" strengths; scikit-learn is timed on "peer's grid" of them where the
whole would take minutes, and its seconds are for these alone. Ratios are to ours."""
COLUMNS = ["problem", "shape", "grid", "ours s", "separate s", "ratio", "scikit-learn s"]
COLUMNS += ["peer's grid", "ratio to peer"]
FOLDS = 5


def problems(small):
    """(name, data set, Cs of a classifier or None for the Lasso, strengths timed of the peer)."""
    size = "n_samples=2000,n_features=4096" if small else "n_samples=200000,n_features=262144"
    yield "click log", f"click_log[{size}]", np.logspace(-2, 1, 3 if small else 20), 4
    if not small:
        yield "a9a", "a9a", np.logspace(-3, 2, 20), 20
        yield "imdb_counts", "folder[file=imdb_counts]", np.logspace(-4, 0, 10), 3
        yield "mnist_t10k", "folder[file=mnist_t10k]", np.logspace(-5, -2, 5), 2
        for name in ("riboflavin", "golub", "wheat"):
            yield name, f"folder[file={name}]", None, 100
    yield "diabetes", None, None, 100


def sides(Cs, few, threads):
    """Our grid, a plain fit at a place of it, and the peer's grid of `few` strengths."""
    if Cs is None:
        plain = fastsum.Lasso(alpha=0.1, n_jobs=threads)
        peer = sklearn.linear_model.LassoCV(cv=FOLDS, n_jobs=threads)
        return fastsum.LassoCV(cv=FOLDS, n_jobs=threads), [plain], peer
    ours = fastsum.LogisticRegressionCV(Cs=Cs, cv=FOLDS, n_jobs=threads)
    some = Cs[:: max(1, len(Cs) // 4)]
    plain = [fastsum.LogisticRegression(C=C, n_jobs=threads) for C in some]
    peer = sklearn.linear_model.LogisticRegressionCV(
        Cs=Cs[:: max(1, len(Cs) // few)],
        cv=FOLDS,
        scoring="neg_log_loss",
        l1_ratios=(0,),
        use_legacy_attributes=False,
        max_iter=1000,
        n_jobs=threads,
    )
    return ours, plain, peer


def seconds(model, X, y):
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start


def main(args):
    warnings.simplefilter("ignore")
    rows = []
    with timing.exclusive(trial=args.small):
        facts = timing.machine(args.threads)
        for name, data, Cs, few in problems(args.small):
            if args.only and not any(part in name for part in args.only):
                continue
            source = None if data is None else registry.dataset(data)
            if source is not None and (reason := source.unavailable()):
                print(f"{name}: {reason}")
                continue
            X, y = load_diabetes(return_X_y=True) if source is None else source.get_data().values()
            ours, plain, peer = sides(Cs, few, args.threads)
            size = 100 if Cs is None else len(Cs)
            took = seconds(ours, X, y)
            separate = FOLDS * size * float(np.mean([seconds(model, X, y) for model in plain]))
            theirs = seconds(peer, X, y)
            rows.append(
                {
                    "problem": name,
                    "shape": " x ".join(map(str, X.shape)),
                    "grid": size,
                    "ours s": took,
                    "separate s": separate,
                    "ratio": separate / took,
                    "scikit-learn s": theirs,
                    "peer's grid": size if Cs is None else len(peer.Cs_),
                    "ratio to peer": theirs / took,
                }
            )
            report.show("Grids", COLUMNS, rows[-1:])
        facts = facts.finish()
    report.write("grids", "Cross-validated grids", EXPLANATION, COLUMNS, rows, facts, [], args)
