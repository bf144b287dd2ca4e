"""
Path and choice of an l1 penalty
================================

Choice of the penalty: the path of an l1 logistic regression and its cross-validation.

``python examples/plot_path.py [FILE.png]`` draws it.

The path shows which features come in as the penalty gets weaker. The grid search solves all alphas
on all folds together and takes, by the rule of one standard error, the strongest penalty that is
about as good as the best.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

import fastsum
from fastsum.model_selection import FastGridSearchCV, one_standard_error
from fastsum.plot import CVDisplay, PathDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = (X - X.mean()) / X.std()
alphas = fastsum.alpha_max(X, y, loss="logistic") * np.geomspace(0.8, 1e-3, 30)
path = fastsum.path(X, y, loss="logistic", alphas=alphas, tol=1e-8)

model = fastsum.FiniteSumClassifier("logistic", l1_ratio=1.0, tol=1e-8)
search = FastGridSearchCV(
    model, {"alpha": alphas}, cv=10, scoring="neg_log_loss", refit=one_standard_error
).fit(X, y)
n_used = np.count_nonzero(search.best_estimator_.coef_)
print(f"alpha = {search.best_params_['alpha']:.3g}: {n_used} of {X.shape[1]} features")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
PathDisplay.from_path(path, n_names=6, ax=left)
CVDisplay.from_search(search, ax=right)
left.axvline(search.best_params_["alpha"], color="black", linestyle="--", linewidth=0.9)
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=110)
else:
    plt.show()
