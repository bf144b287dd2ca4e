"""
Are the probabilities right?
============================

A bid is the predicted probability of a click times the worth of a click, so a model that orders
its rows well and overstates its odds loses money. With an unpenalised intercept the mean
prediction of a logistic regression is the rate of the training rows exactly; a reliability diagram
shows the rest. Beside it: the same scores read as sigmoid(2 score), which is what a softmax over
(-score, score) gives, and a fit with an SVM's loss whose scores were put through a sigmoid.

``python examples/plot_calibration.py FILE.png`` writes the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from fastsum import FiniteSumClassifier
from fastsum.datasets import load_example

data = load_example("a9a")
X, y = data.data, data.target > 0
order = np.random.default_rng(0).permutation(len(y))
train, held_out = order[:20_000], order[20_000:]

logistic = FiniteSumClassifier("logistic", alpha=1e-5, tol=1e-6).fit(X[train], y[train])
svm = FiniteSumClassifier("squared_hinge", alpha=1e-5, tol=1e-6).fit(X[train], y[train])
score = logistic.decision_function(X[held_out])
PREDICTIONS = {
    "logistic": logistic.predict_proba(X[held_out])[:, 1],
    "sigmoid(2 score)": expit(2 * score),
    "sigmoid of an SVM's score": expit(svm.decision_function(X[held_out])),
}
rate = logistic.predict_proba(X[train])[:, 1].mean()
print(f"mean prediction {rate:.5f}, rate of the training rows {np.mean(y[train]):.5f}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
figure.suptitle("held-out rows")
left.plot([0, 1], [0, 1], color="0.6", lw=0.9)
for k, (name, p) in enumerate(PREDICTIONS.items()):
    observed, predicted = calibration_curve(y[held_out], p, n_bins=12, strategy="quantile")
    left.plot(predicted, observed, "o-", ms=4, label=name)
    right.hist(p, bins=40, range=(0, 1), histtype="step", color=f"C{k}")
    loss, brier = log_loss(y[held_out], p), brier_score_loss(y[held_out], p)
    print(f"{name}: log loss {loss:.4f}, Brier score {brier:.4f}")
left.set(xlabel="predicted probability", ylabel="observed share")
left.legend(frameon=False, fontsize="small")
right.set(xlabel="predicted probability", ylabel="rows", yscale="log")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=110)
else:
    plt.show()
