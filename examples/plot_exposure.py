"""
Counts over different exposures
===============================

Counts over different exposures: Poisson regression with an offset.

``python examples/plot_exposure.py [FILE.png]`` draws it.

Claims of 2,000 insurance policies, each seen for some time between a week and five years. The
number of claims grows with that time, which is no feature: its coefficient is known. With
``offset=log(time)`` the model is one of the claims a year; without it the time hides in the noise.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from fastsum import PoissonRegressor

rng = np.random.default_rng(0)
age = rng.uniform(18, 80, 2000)
# new customers are young: those seen for a short time have other ages than those seen for long
years = np.clip(rng.gamma(2.0, age / 60), 1 / 52, 5.0)


def rate(age):
    """Claims a year."""
    return 0.25 * np.exp(1.2 * np.cos((age - 20) / 40 * np.pi))


claims = rng.poisson(years * rate(age))


def features(age):
    """Cubic in the age, scaled."""
    t = (np.asarray(age) - 49) / 31
    return np.stack([t, t**2, t**3], axis=1)


grid = np.linspace(18, 80, 200)
figure, axes = plt.subplots(figsize=(7, 4))
axes.plot(grid, rate(grid), color="black", linestyle="--", label="truth")
for name, offset in (("offset=log(years)", np.log(years)), ("no offset", None)):
    model = PoissonRegressor(alpha=1e-4, tol=1e-8).fit(features(age), claims, offset=offset)
    share = model.score(features(age), claims, offset=offset)
    print(f"{name}: share of the deviance {share:.3f}, certified gap {model.dual_gap_:.1e}")
    axes.plot(grid, model.predict(features(grid)), label=name)
axes.set_xlabel("age")
axes.set_ylabel("claims a year")
axes.legend()
figure.tight_layout()
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=110)
else:
    plt.show()
