"""
Cross-validation in one pass
============================

The strength of a penalty by cross-validation: the best score against one standard error.

``python examples/plot_cross_validation.py [FILE.png]`` draws it.

Five folds and twenty values of C of an l1 logistic regression are problems over one data set and
are solved together. The rule of one standard error takes the strongest penalty that is as good
as the best up to the noise of the folds: fewer columns for the same score.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from fastsum import LogisticRegressionCV
from fastsum.datasets import load_example
from fastsum.plot import CVDisplay

X, y = load_example("a9a", return_X_y=True)
X, y = X[::8], y[::8]

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
settings = {"Cs": np.logspace(-2.5, 1.5, 20), "l1_ratios": (1.0,), "max_iter": 1000}
for rule in ("best", "one_standard_error"):
    model = LogisticRegressionCV(**settings, selection_rule=rule).fit(X, y)
    kept = int(np.count_nonzero(model.coef_))
    print(f"{rule}: C = {model.C_:.3g}, {kept} of {X.shape[1]} columns")
    if rule == "best":
        axes.axvline(model.C_, linestyle=":", color="0.3", label=f"best: C = {model.C_:.3g}")
CVDisplay.from_estimator(model, ax=axes)
axes.set_ylabel("mean log-likelihood of the rows held out")
axes.legend()
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=110)
else:
    plt.show()
