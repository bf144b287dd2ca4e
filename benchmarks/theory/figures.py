"""The figures of docs/theory.md."""

import numpy as np
from matplotlib.figure import Figure

GROUPS = {
    "full gradients, SGD": ("gd", "fista", "sgd"),
    "variance reduction": ("sag", "saga", "svrg", "l-svrg", "sdca", "miso", "sarah"),
    "accelerated": (
        *("katyusha", "l-katyusha", "mig", "point-saga", "apcg", "rpdg"),
        *("acc-prox-sdca", "catalyst", "acc-prox-svrg"),
    ),
}
LINES = {"full gradients, SGD": [], "variance reduction": ["n + kappa"]}
LINES["accelerated"] = ["n + kappa", "n + sqrt(n kappa)"]
MARKERS = "osv^D<>PX"


def counts(results, n, path):
    """Counts against kappa, a panel a group, and against the predicted count, all methods."""
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    *panels, last = figure.subplots(2, 2).flat
    for (group, names), ax in zip(GROUPS.items(), panels, strict=True):
        mine = [r for r in results if r["method"] in names]
        for marker, r in zip(MARKERS, mine, strict=False):
            ax.loglog(r["kappa"], r["count"], marker=marker, ms=4, lw=1, label=r["label"])
        kappa = np.geomspace(*ax.get_xlim(), 100) if mine else np.ones(1)
        laws = {"n + kappa": n + kappa, "n + sqrt(n kappa)": n + np.sqrt(n * kappa)}
        for name, style in zip(LINES[group] if mine else (), (":", "--"), strict=False):
            ax.loglog(kappa, 10 * laws[name], "k" + style, lw=0.8, label=f"10 ({name})")
        ax.set(title=group, xlabel="kappa", ylabel="sample gradients")
        if mine:
            ax.legend(frameon=False, fontsize="x-small")
        ax.grid(alpha=0.3)
    for i, r in enumerate(results):
        style = {"color": f"C{i % 10}", "marker": MARKERS[i % len(MARKERS)], "ms": 3, "lw": 0.8}
        last.loglog(r["predicted"], r["count"], **style)
    ends = np.array(last.get_xlim())
    last.loglog(ends, 10 * ends, "k--", lw=0.8, label="slope 1")
    last.set(title="each beside its own rate", xlabel="predicted, no constant", ylabel="measured")
    last.legend(frameon=False, fontsize="x-small")
    last.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def regimes(interpolation, lasso, margin, descent, path):
    """Interpolation, l1 with the bounds, and the way to the maximum margin."""
    figure = Figure(figsize=(11.0, 7.6), layout="constrained")
    left, right, low_left, low_right = figure.subplots(2, 2).flat
    for name, (passes, value) in interpolation.items():
        left.semilogy(passes, np.maximum(value, 1e-16), label=name)
        right.loglog(passes, np.maximum(value, 1e-16), label=name)
    passes = interpolation["logistic, separable"][0]
    right.loglog(passes, 0.3 / passes, "k:", lw=0.8, label="1 / t")
    left.set(title="SGD with a line search: linear, or not", ylabel="F / F(0)", xlabel="passes")
    right.set(title="the same, both scales logarithmic", xlabel="passes", ylim=(1e-8, 1))
    curves, scale, L, size = lasso
    for name, (passes, value) in curves.items():
        low_left.loglog(passes, np.maximum(value, 1e-14 * scale) / scale, label=name)
    t = np.geomspace(4, 3000, 50)
    low_left.loglog(t, L * size / (2 * t) / scale, "k:", lw=0.8, label="bound of gd")
    low_left.loglog(t, 2 * L * size / (t + 1) ** 2 / scale, "k--", lw=0.8, label="bound of fista")
    low_left.set(title="l1 alone, n < d", xlabel="passes", ylim=(1e-12, 10))
    low_left.set_ylabel("(F - F*) / (F(0) - F*)")
    steps, degrees = descent
    low_right.plot(1 / np.log(steps[1:]), degrees[1:], "o", ms=3, label="gradient descent, step t")
    strength, far, _ = np.array(margin).T
    low_right.plot(1 / np.log(1 / strength), far, "s", ms=4, label="certified fit, t = 1 / alpha")
    low_right.axhline(1.0, color="C7", lw=0.8, ls=":", label="1 degree")
    low_right.set(
        title="separable labels: the way to the maximum margin",
        xlabel="1 / log t",
        ylabel="degrees",
        xlim=(0, 0.6),
        ylim=(0, 15),
    )
    for ax in figure.axes:
        ax.legend(frameon=False, fontsize="x-small")
        ax.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
