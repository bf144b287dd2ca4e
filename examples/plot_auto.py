"""
The phases of solver="auto"
===========================

Four problems of different shapes, each fitted to a certified 1e-8 by the same call. The colour of a
segment is the phase that made its right end, as ``trace["phase"]`` tells it; the first left end is
the null model. docs/auto.md tells the rule.

``python examples/plot_auto.py docs/img/auto.png`` draws the figure of that page.
"""

import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

import fastsum
from fastsum.datasets import make_click_log

COLOURS = {
    "svrg epoch": "C0",
    "newton-cg": "C1",
    "row samples": "C2",
    "row newton": "C3",
    "row sample": "C4",
    "working set": "C5",
}


def planted(n, d, seed):
    """Return dense correlated rows and labels of a logistic model."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + rng.standard_normal((n, 1))
    z = X @ rng.standard_normal(d) / np.sqrt(d)
    return X, np.where(rng.random(n) < 1 / (1 + np.exp(-z)), 1, -1)


clicks = make_click_log(150_000, 1 << 18, random_state=0, dtype=np.float64)
n = len(clicks[1])
many, few = planted(100_000, 50, 1), planted(200, 10_000, 2)
PROBLEMS = {
    "click log 150,000 x 262,144, l2": (*clicks, 1 / n, 0.0),
    "dense rows 100,000 x 50, l2": (*many, 1e-5, 0.0),
    "few rows 200 x 10,000, l2": (*few, 5e-3, 0.0),
    "the click log, l1": (*clicks, 2e-4, 1.0),
}


def fit(X, y, alpha, l1_ratio):
    """Return the null model's gap, the trace and F(null) - D, its unit (docs/maths.md eq. 8)."""
    problem = fastsum.Problem(X, y, loss="logistic", alpha=alpha, l1_ratio=l1_ratio)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        null = fastsum.minimize(problem, init=(np.zeros(X.shape[1]), 0.0), max_iter=0)
    trace = fastsum.minimize(problem, tol=1e-8, random_state=0).trace
    return null.dual_gap, trace, null.objective - np.max(trace["objective"] - trace["gap"])


figure, axes = plt.subplots(2, 2, figsize=(8.0, 5.2), sharey=True, layout="constrained")
for ax, (title, settings) in zip(axes.flat, PROBLEMS.items(), strict=True):
    null_gap, trace, unit = fit(*settings)
    passes, gap = np.append(0, trace["passes"]), np.append(null_gap, trace["gap"]) / unit
    named = set()
    for k, phase in enumerate(trace["phase"]):
        label = None if phase in named else phase
        named.add(phase)
        segment = {"c": COLOURS[phase], "marker": "o", "markevery": [1], "ms": 4, "label": label}
        ax.semilogy(passes[k : k + 2], gap[k : k + 2], **segment)
    ax.set_title(title, fontsize="medium")
    ax.axhline(1e-8, color="C7", lw=0.8, ls=":")
    ax.legend(frameon=False, fontsize="small")
    ax.grid(alpha=0.3)
for ax in axes[1]:
    ax.set_xlabel("passes over the data")
for ax in axes[:, 0]:
    ax.set_ylabel("certified relative gap")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=130)
else:
    plt.show()
