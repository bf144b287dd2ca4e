"""
Click-through prediction
========================

A log of impressions with 39 hashed features each, three in a hundred of which are clicked: the
shape of an advertising log, generated. The model is fitted on the first rows and judged on the
last ones, by log loss, since its probabilities are what bids are made of. Left: the strength of
the penalty decides, and with it the number of columns in use; every fit is certified, so that no
difference is leftover error of a solver. Right: the share of the clicks that the best-scored
impressions hold.

``python examples/plot_click_through.py FILE.png`` writes the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import log_loss

from fastsum import FiniteSumClassifier
from fastsum.datasets import make_click_log

N_TRAIN, N_TEST = 60_000, 20_000
X, y = make_click_log(N_TRAIN + N_TEST, 1 << 16, random_state=0)
X_train, y_train, X_test, y_test = X[:N_TRAIN], y[:N_TRAIN] > 0, X[N_TRAIN:], y[N_TRAIN:] > 0
constant = log_loss(y_test, np.full(N_TEST, np.mean(y_train)))
print(f"{X.shape[0]:,} impressions, {X.shape[1]:,} columns, {np.mean(y > 0):.1%} clicks")

# %%
# One fit a strength, all certified to the same share of what there is to gain.
alphas = np.geomspace(2e-3, 2e-5, 7)
models = []
for alpha in alphas:
    model = FiniteSumClassifier("logistic", alpha=alpha, l1_ratio=0.2, tol=1e-4)
    models.append(model.fit(X_train, y_train))
losses = [log_loss(y_test, model.predict_proba(X_test)[:, 1]) for model in models]
best = models[int(np.argmin(losses))]
print(f"alpha = {best.alpha:.1e}: {1 - min(losses) / constant:.1%} less loss than the mean rate")
print(f"certified gap {best.dual_gap_:.1e}, {np.count_nonzero(best.coef_):,} columns in use")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.semilogx(alphas, losses, "o-", ms=4)
left.margins(x=0.12, y=0.12)  # room for the numbers
left.axhline(constant, color="0.5", lw=0.9, ls=":", label="the mean rate")
for model, loss in zip(models, losses, strict=True):  # below the curve: to its left, to its right
    text, at = f"{np.count_nonzero(model.coef_):,}", (model.alpha, loss)
    style = {"ha": "right" if model.alpha < best.alpha else "left", "fontsize": "x-small"}
    left.annotate(text, at, xytext=(0, -11), textcoords="offset points", **style)
left.set(xlabel="alpha", ylabel="log loss, held out", title="numbers: columns in use")
left.legend(frameon=False)

order = np.argsort(-best.decision_function(X_test))
caught = np.cumsum(y_test[order]) / np.sum(y_test)
right.plot(np.linspace(0, 1, N_TEST), caught)
right.plot([0, 1], [0, 1], color="0.5", lw=0.9, ls=":")
right.set(xlabel="share of the impressions, best first", ylabel="share of the clicks")
right.set_title(f"alpha = {best.alpha:.1e}")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=110)
else:
    plt.show()
