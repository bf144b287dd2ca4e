"""The best intercept in NumPy: roots of the slope in b, docs/maths.md eq. (7)."""

import numpy as np
import scipy.optimize


def best_intercept(a, z):
    """b (K,) for margins z (n, K) without it."""
    if not a.fit_intercept:
        return np.zeros(z.shape[1])
    out = []
    for b, part in enumerate(a.per_problem(z + a.offset)):
        y = a.Y[:, b]

        def slope(shift, part=part, y=y):
            return a.s @ a.loss.derivative(y, part + shift) / a.S

        if a.C == 1:
            reach = 10 + np.abs(part).max() + np.abs(y).max()
            root = scipy.optimize.brentq(lambda t: slope(t)[0], -reach, reach, xtol=1e-15)
            out.append([root])
        else:
            found = scipy.optimize.root(slope, np.zeros(a.C), method="lm", tol=1e-15).x
            out.append(found - found.mean())
    return np.concatenate(out)
