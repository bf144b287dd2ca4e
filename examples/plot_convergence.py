"""
The certificate against the truth
=================================

l2 logistic regression on a9a (32,561 x 123), alpha = 1/n. For SAGA and SVRG the certified duality
gap, which a fit knows, is drawn beside the true suboptimality, which takes the optimum to know. The
gap is never below. Scikit-learn's SAGA minimises the same objective and has no certificate; that it
stalls is due to the intercept, whose step it damps to a hundredth on sparse data.

``python examples/plot_convergence.py docs/img/convergence.png`` draws the figure of the README.
"""

import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import fastsum
from fastsum.datasets import load_example

warnings.simplefilter("ignore", ConvergenceWarning)  # fits are stopped on purpose

MAX_PASSES = 120
X, y = load_example("a9a", return_X_y=True)
alpha = 1.0 / X.shape[0]
problem = fastsum.Problem(X, y, loss="logistic", alpha=alpha)
sign = np.where(y == np.max(y), 1.0, -1.0)


def objective(coef, intercept):
    """Compute docs/maths.md eq. (1) with NumPy, outside of any solver."""
    margins = sign * (X @ coef + intercept)
    return np.logaddexp(0.0, -margins).mean() + 0.5 * alpha * coef @ coef


def our_curve(solver):
    """Return passes, certified gap and objective at each certificate of one fit."""
    points = []

    def record(info):
        points.append((info.passes, info.gap, objective(info.coef, info.intercept)))

    result = fastsum.minimize(
        problem, solver, tol=1e-9, max_iter=MAX_PASSES, random_state=0, callback=record
    )
    points.append((result.n_iter, result.dual_gap, objective(result.coef, result.intercept)))
    return np.array(points, dtype=float).T


def sklearn_curve():
    """Return passes and objective of scikit-learn's SAGA, one fit per number of passes."""
    passes = np.array([1, 2, 3, 5, 8, 12, 20, 30, 50, 80, MAX_PASSES])
    values = []
    for k in passes:
        model = LogisticRegression(C=1.0, solver="saga", tol=0.0, max_iter=k, random_state=0)
        model.fit(X, y)
        values.append(objective(model.coef_.ravel(), model.intercept_[0]))
    return passes, np.array(values)


# The optimum: one more fit by other methods, certified to about 1e-14.
best = fastsum.minimize(problem, "auto", tol=1e-14)
optimum = objective(best.coef, best.intercept)
share = np.mean(sign > 0)
null = -share * np.log(share) - (1 - share) * np.log(1 - share)  # w = 0 and the best intercept
scale = null - optimum

figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
for solver, colour in (("saga", "C0"), ("svrg", "C1")):
    passes, gap, value = our_curve(solver)
    true = np.maximum(value - optimum, 1e-16)
    axes.semilogy(passes, gap / scale, color=colour, label=f"fastsum {solver}: certified gap")
    axes.semilogy(passes, true / scale, "--", color=colour, label=f"fastsum {solver}: true")
passes, value = sklearn_curve()
axes.semilogy(passes, (value - optimum) / scale, ":", color="C7", label="scikit-learn saga: true")
axes.set(
    title="l2 logistic regression on a9a, alpha = 1/n",
    xlabel="passes over the data",
    ylabel="suboptimality, relative to the null model",
    ylim=(1e-9, 3),
)
axes.legend(frameon=False, fontsize="small")
axes.grid(alpha=0.3)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=130)
else:
    plt.show()
