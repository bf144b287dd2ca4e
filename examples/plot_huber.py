"""
Regression with outliers
========================

Regression with outliers: squared error against Huber's loss.

``python examples/plot_huber.py [FILE.png]`` draws it.

One target in ten is off by a hundred. The squared error follows the outliers, Huber's loss counts
each of them by its sign alone beyond a residual of delta (`loss_param`). Both fits are certified.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from fastsum import FiniteSumRegressor

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-3, 3, 300))
y = 2 * x + 1 + rng.standard_normal(300)
outliers = rng.random(300) < 0.1
y[outliers] += 100 * (x[outliers] > 0)

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.scatter(x, y, s=8, color="0.6", label="data")
axes.plot(x, 2 * x + 1, color="black", linestyle="--", label="truth", zorder=3)  # over the fits
for loss, options in (("squared", {}), ("huber", {"loss_param": 1.35})):
    model = FiniteSumRegressor(loss, alpha=1e-4, tol=1e-8, random_state=0, **options)
    model.fit(x[:, None], y)
    slope, intercept = model.coef_[0], model.intercept_
    print(
        f"{loss}: slope {slope:.2f}, intercept {intercept:.2f}, certified gap {model.dual_gap_:.1e}"
    )
    axes.plot(x, model.predict(x[:, None]), label=loss)
axes.set_xlabel("x")
axes.set_ylabel("y")
axes.legend()
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=110)
else:
    plt.show()
