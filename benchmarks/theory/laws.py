"""The rates that the papers state, in sample gradients, up to a constant and log(1 / epsilon)."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

# Five decades of kappa: from 3 for methods of full gradients and SGD, whose laws have no n + ...;
# from n / 10 for the others, and from n for accelerated ones, whose law is n up to there.
POINTS = np.arange(0.0, 5.1, 0.5)
# Where a law is a sum, its power of kappa shows from this kappa / n on.
FROM_VR, FROM_ACCELERATED = 30.0, 300.0


@dataclass(frozen=True)
class Law:
    """One method's rate.

    count(n, kappa, epsilon) is the prediction, `power` that of kappa where kappa is large, seen
    from kappa = `start` n on (None: everywhere). `batch`: kappa = L / mu, else max_i L_i / mu. The
    accuracy is (F - F*) / (F(0) - F*) <= epsilon; `absolute`: (F - F*) / F(0), for a law in 1 /
    epsilon, as F(0) does not depend on kappa. `low` is the smallest kappa, in units of n if `of_n`.
    """

    method: str
    formula: str
    count: Callable[[float, np.ndarray, float], np.ndarray]
    source: str
    power: float
    start: float | None = FROM_VR
    low: float = 0.1
    of_n: bool = True
    batch: bool = False
    absolute: bool = False
    epsilon: float = 1e-6
    noise: float = 1.0  # of y, beside the part that X reaches, of size 1
    seeds: tuple[int, ...] = (0,)
    step: float | None = None  # in units of 1 / max_i L_i; None is the solver's own
    options: dict = field(default_factory=dict)
    note: str = ""

    @property
    def label(self):
        return f"{self.method} ({self.note})" if self.note else self.method

    def kappas(self, n, points=POINTS):
        return (n if self.of_n else 1.0) * self.low * 10.0**points


def full(power):
    return lambda n, kappa, epsilon: n * kappa**power


def robbins_monro(n, kappa, epsilon):
    return kappa / epsilon


def vr(n, kappa, epsilon):
    return n + kappa


def accelerated(n, kappa, epsilon):
    return n + np.sqrt(n * kappa)


def logarithmic(n, kappa, epsilon):
    """A round on each subproblem, one more for each factor of 300 of kappa / n: the solvers'."""
    return accelerated(n, kappa, epsilon) * (1 + np.log1p(kappa / n) / np.log(300))


def rpdg(n, kappa, epsilon):
    """One over the 2 / (n + 1 + sqrt((n - 1)^2 + 4 n C)) of the theorem, C = 4 kappa."""
    return (n + 1 + np.sqrt((n - 1) ** 2 + 16 * n * kappa)) / 2


def nitanda(n, kappa, epsilon):
    return n + n * kappa / (n + np.sqrt(kappa))


SUM, ROOT = "n + kappa", "n + sqrt(n kappa)"
LOG = "(n + sqrt(n kappa)) (1 + log(1 + kappa / n) / log 300)"
BATCH = {"start": None, "low": 3.0, "of_n": False, "batch": True}
# Robbins-Monro steps, the last iterate, which is noisy
SGD = {
    "start": None,
    "low": 3.0,
    "of_n": False,
    "absolute": True,
    "epsilon": 2e-3,
    "seeds": (0, 1, 2),
    "noise": 3.0,  # the variance at the optimum is to be the same for all kappa
    "options": {"schedule": "inverse", "average": False},
}


def fast(method, source, formula=ROOT, count=accelerated):
    return Law(method, formula, count, source, 0.5, FROM_ACCELERATED, low=1.0)


LAWS = [
    Law("gd", "n kappa", full(1.0), "Nesterov 2004, theorem 2.1.15", 1.0, **BATCH),
    Law("fista", "n sqrt(kappa)", full(0.5), "Chambolle, Pock 2016, algorithm 5", 0.5, **BATCH),
    Law("sgd", "kappa / epsilon", robbins_monro, "Rakhlin et al. 2012, lemma 1", 1.0, **SGD),
    Law("sag", SUM, vr, "Schmidt, Le Roux, Bach 2017", 1.0, step=0.5, note="step 1 / (2 L)"),
    Law("sag", SUM, vr, "the same, section 4.6 for the step", 1.0, note="its step 1 / L"),
    Law("saga", SUM, vr, "Defazio, Bach, Lacoste-Julien 2014", 1.0),
    Law("svrg", SUM, vr, "Xiao, Zhang 2014", 1.0),
    Law("l-svrg", SUM, vr, "Kovalev, Horvath, Richtarik 2020", 1.0),
    Law("sdca", SUM, vr, "Shalev-Shwartz, Zhang 2013", 1.0),
    Law("miso", SUM, vr, "Lin, Mairal, Harchaoui 2015", 1.0),
    Law("sarah", SUM, vr, "Nguyen et al. 2017", 1.0),
    fast("katyusha", "Allen-Zhu 2018"),
    fast("l-katyusha", "Kovalev, Horvath, Richtarik 2020"),
    fast("mig", "Zhou, Shang, Cheng 2018"),
    fast("point-saga", "Defazio 2016"),
    fast("apcg", "Lin, Lu, Xiao 2015"),
    fast("rpdg", "Lan, Zhou 2018", "(n + sqrt(n^2 + 16 n kappa)) / 2", rpdg),
    fast("acc-prox-sdca", "Shalev-Shwartz, Zhang 2016", LOG, logarithmic),
    fast("catalyst", "Lin, Mairal, Harchaoui 2018", LOG, logarithmic),
    Law("acc-prox-svrg", "n + n kappa / (n + sqrt(kappa))", nitanda, "Nitanda 2014", 0.5, None),
]
