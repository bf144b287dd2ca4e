"""Losses in NumPy, from docs/maths.md eq. (3): value, derivative and conjugate of all rows.

Margins and dual variables are (n, C), labels (n,). A loss of the registry that has no formula here
is called through its own scalar methods, which tests/test_losses.py holds to finite differences.
"""

import numpy as np


def _xlogx(p):
    inside = np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0)
    return np.where(p >= -1e-12, inside, np.inf)


class Squared:
    @staticmethod
    def value(y, z):
        return (z[:, 0] - y) ** 2 / 2

    @staticmethod
    def derivative(y, z):
        return z - y[:, None]

    @staticmethod
    def conjugate(y, u):
        return u[:, 0] ** 2 / 2 + u[:, 0] * y


class Logistic:
    @staticmethod
    def value(y, z):
        return np.logaddexp(0.0, -y * z[:, 0])

    @staticmethod
    def derivative(y, z):
        m = y * z[:, 0]
        return (-y * np.exp(-np.logaddexp(0.0, m)))[:, None]

    @staticmethod
    def conjugate(y, u):
        t = -y * u[:, 0]
        return _xlogx(t) + _xlogx(1 - t)


class Multinomial:
    @staticmethod
    def value(y, z):
        top = z.max(axis=1)
        log_sum = top + np.log(np.exp(z - top[:, None]).sum(axis=1))
        return log_sum - z[np.arange(len(y)), y.astype(int)]

    @staticmethod
    def derivative(y, z):
        p = np.exp(z - z.max(axis=1)[:, None])
        return p / p.sum(axis=1)[:, None] - np.eye(z.shape[1])[y.astype(int)]

    @staticmethod
    def conjugate(y, u):
        return _xlogx(u + np.eye(u.shape[1])[y.astype(int)]).sum(axis=1)


class SquaredHinge:
    @staticmethod
    def value(y, z):
        return np.maximum(1 - y * z[:, 0], 0.0) ** 2

    @staticmethod
    def derivative(y, z):
        return (-2 * y * np.maximum(1 - y * z[:, 0], 0.0))[:, None]

    @staticmethod
    def conjugate(y, u):
        t = -y * u[:, 0]
        return np.where(t >= 0, t**2 / 4 - t, np.inf)


class Huber:
    def __init__(self, delta):
        self.delta = delta

    def value(self, y, z):
        r = np.abs(z[:, 0] - y)
        beyond = np.maximum(r - self.delta, 0.0)
        return np.minimum(r, self.delta) * (r + beyond) / 2  # (r^2 - beyond^2) / 2 as a product

    def derivative(self, y, z):
        return np.clip(z - y[:, None], -self.delta, self.delta)

    def conjugate(self, y, u):
        inside = np.abs(u[:, 0]) <= self.delta * (1 + 1e-15)
        return np.where(inside, u[:, 0] ** 2 / 2 + u[:, 0] * y, np.inf)


class SmoothedHinge:
    def __init__(self, gamma):
        self.gamma = gamma

    def value(self, y, z):
        t = np.maximum(1 - y * z[:, 0], 0.0)
        beyond = np.maximum(t - self.gamma, 0.0)
        return (t**2 - beyond**2) / (2 * self.gamma)

    def derivative(self, y, z):
        return (-y * np.clip((1 - y * z[:, 0]) / self.gamma, 0.0, 1.0))[:, None]

    def conjugate(self, y, u):
        a = -y * u[:, 0]
        return np.where((a >= 0) & (a <= 1), self.gamma * a**2 / 2 - a, np.inf)


class Hinge:
    @staticmethod
    def value(y, z):
        return np.maximum(1 - y * z[:, 0], 0.0)

    @staticmethod
    def derivative(y, z):
        return np.where(y * z[:, 0] < 1, -y, 0.0)[:, None]

    @staticmethod
    def conjugate(y, u):
        a = -y * u[:, 0]
        return np.where((a >= 0) & (a <= 1), -a, np.inf)


class Poisson:
    @staticmethod
    def value(y, z):
        return np.exp(z[:, 0]) - y * z[:, 0] + _xlogx(y) - y

    @staticmethod
    def derivative(y, z):
        return np.exp(z) - y[:, None]

    @staticmethod
    def conjugate(y, u):
        m = u[:, 0] + y
        return _xlogx(m) - _xlogx(y) - u[:, 0]


class _FromRegistry:
    def __init__(self, loss):
        self._loss = loss

    def value(self, y, z):
        return np.array([self._loss.value(z_i, y_i) for y_i, z_i in zip(y, z, strict=True)])

    def derivative(self, y, z):
        return np.array([self._loss.derivative(z_i, y_i) for y_i, z_i in zip(y, z, strict=True)])

    def conjugate(self, y, u):
        return np.array([self._loss.conjugate(u_i, y_i) for y_i, u_i in zip(y, u, strict=True)])


FORMULAS = {
    "squared": Squared,
    "logistic": Logistic,
    "multinomial": Multinomial,
    "squared_hinge": SquaredHinge,
    "huber": Huber,
    "smoothed_hinge": SmoothedHinge,
    "hinge": Hinge,
    "poisson": Poisson,
}
# The smoothness constants of eq. (3).
CURVATURE = {
    "squared": 1.0,
    "logistic": 0.25,
    "multinomial": 0.5,
    "squared_hinge": 2.0,
    "huber": 1.0,
}


def formula(loss):
    if loss.name not in FORMULAS:
        return _FromRegistry(loss)
    found = FORMULAS[loss.name]
    return found if loss.param is None else found(loss.param)


def curvature(loss):
    if loss.name == "smoothed_hinge":
        return 1 / loss.param
    return CURVATURE.get(loss.name, loss.curvature)
