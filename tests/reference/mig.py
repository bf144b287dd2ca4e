"""MiG in NumPy, written from Zhou, Shang, Cheng (ICML 2018), Algorithms 1 and 2."""

import numpy as np
from reference import katyusha


def couplings(sigma, L, m, stage):
    """theta, 1 - theta and the step of one column in epoch `stage` since its (re)start."""
    if sigma == 0:
        theta = 2 / (stage + 4)
        return theta, 1 - theta, 1 / (4 * L * theta)
    if m * sigma / L <= 3 / 4:
        eta = np.sqrt(1 / (3 * sigma * m * L))
        theta = m * eta * sigma
    else:
        eta, theta = 2 / (3 * L), 1 / 2
    return theta, 1 - theta, eta


def iterates(problem, order, *, sampling="blocks", start=None):
    """Katyusha's with y_k = theta x_k + (1 - theta) w~ inside an epoch; weights as there."""
    return katyusha.iterates(problem, order, sampling=sampling, start=start, couple=couplings)
