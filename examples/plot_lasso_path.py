"""
The Lasso on wide data
======================

71 rows and 4,088 columns in correlated groups, of which six columns matter: the shape of the
riboflavin data of Bühlmann, Kalisch and Meier (2014), generated. The whole path of 60 strengths is
one call, each point certified, and takes a small multiple of one fit. Dashed: the columns that made
the target.

``python examples/plot_lasso_path.py FILE.png`` writes the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import fastsum
from fastsum import LassoCV

rng = np.random.default_rng(4)
n, groups, size = 71, 511, 8
shared = np.repeat(rng.standard_normal((n, groups)), size, axis=1)
X = 0.7 * shared + 0.7 * rng.standard_normal((n, groups * size))
true = rng.choice(groups, 6, replace=False) * size
weights = np.array([2.0, -1.6, 1.3, -1.1, 0.9, 0.8])
y = X[:, true] @ weights + 0.5 * rng.standard_normal(n)
print(f"{X.shape[0]} rows, {X.shape[1]:,} columns")

# %%
alphas = fastsum.alpha_max(X, y, loss="squared") * np.geomspace(1, 0.02, 60)
path = fastsum.path(X, y, loss="squared", alphas=alphas, tol=1e-6)
coefs = path.coefs.toarray().T
print(f"largest certified gap of the path: {np.max(path.gaps):.1e}")

# %%
# Five folds choose the strength; the rule of one standard error takes the strongest within noise.
cv = LassoCV(alphas=alphas, cv=5, selection_rule="one_standard_error").fit(X, y)
kept = np.flatnonzero(cv.coef_)
hits = len(np.intersect1d(kept, true))
print(f"alpha = {cv.alpha_:.3f}: {len(kept)} columns, {hits} of the 6 that matter")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
others = np.setdiff1d(np.flatnonzero(np.any(coefs != 0, axis=0)), true)
left.semilogx(alphas, coefs[:, others], color="0.75", lw=0.8)
for j, weight in zip(true, weights, strict=True):
    line = left.semilogx(alphas, coefs[:, j], lw=1.8)[0]
    left.axhline(weight, color=line.get_color(), ls="--", lw=0.7)
left.invert_xaxis()
left.set(xlabel="alpha", ylabel="coefficient", title="grey: columns that do not matter")
left.axvline(cv.alpha_, color="k", lw=0.9, ls=":")
mean, error = cv.mse_path_.mean(axis=1), cv.mse_path_.std(axis=1) / np.sqrt(5)
right.errorbar(cv.alphas_, mean, error, fmt="o", ms=3, lw=0.8, color="C1")
right.axvline(cv.alpha_, color="k", lw=0.9, ls=":", label=f"chosen: {len(kept)} columns")
right.set(xscale="log", xlabel="alpha", ylabel="mean squared error", title="five folds")
right.set_ylim(bottom=0)
right.invert_xaxis()
right.legend(frameon=False)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=110)
else:
    plt.show()
