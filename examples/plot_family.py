"""
The family of methods on one problem
====================================

l2 logistic regression on a9a (32,561 x 123), alpha = 1/n: certified gap against passes over the
data and against seconds, for a method of each kind and for ``solver="auto"``. Methods named in
``minimize(..., refine=False)`` make the steps of their papers and nothing else. max_i L_i / alpha
is about 4 n: acceleration has little to gain here; docs/which_method.md shows where it has more.

``python examples/plot_family.py family.png`` writes the figure to a file.
"""

import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

import fastsum
from fastsum.datasets import load_example

warnings.simplefilter("ignore", ConvergenceWarning)  # fits are stopped on purpose

MAX_PASSES = 60
SOLVERS = {
    "gd": "full gradients",
    "fista": "full gradients, accelerated",
    "sgd": "stochastic",
    "saga": "variance-reduced",
    "svrg": "variance-reduced",
    "katyusha": "accelerated, primal",
    "catalyst": "accelerated, around miso",
    "sdca": "dual",
    "apcg": "accelerated, dual",
    "auto": "phases",
}

X, y = load_example("a9a", return_X_y=True)
problem = fastsum.Problem(X, y, loss="logistic", alpha=1.0 / X.shape[0])
null = fastsum.minimize(problem, init=(np.zeros(X.shape[1]), 0.0), max_iter=0).objective

figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.0), sharey=True, layout="constrained")
for k, (solver, kind) in enumerate(SOLVERS.items()):
    trace = fastsum.minimize(
        problem, solver, tol=1e-10, max_iter=MAX_PASSES, refine=False, random_state=0
    ).trace
    scale = null - np.max(trace["objective"] - trace["gap"])  # F(null) - D, docs/maths.md eq. (8)
    style = {"color": "k", "lw": 2} if solver == "auto" else {"color": f"C{k}"}
    for ax, unit in zip(axes, ("passes", "seconds"), strict=True):
        ax.semilogy(trace[unit], trace["gap"] / scale, label=f"{solver} ({kind})", **style)
        ax.set(xlabel=unit, ylim=(1e-10, 10))
        ax.grid(alpha=0.3)
axes[0].set_ylabel("certified relative gap")
axes[0].set_title("l2 logistic regression on a9a, alpha = 1/n", fontsize="medium", loc="left")
axes[1].set_xscale("log")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=130)
else:
    plt.show()
