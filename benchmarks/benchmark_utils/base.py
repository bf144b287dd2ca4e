"""benchopt's base classes when benchopt runs us, stand-ins with the same face when it does not."""

import importlib.util
import sys

import numpy as np

if "benchopt" in sys.modules:
    from benchopt import BaseDataset, BaseObjective, BaseSolver
else:

    class _Parametrised:
        """Class attribute `parameters`: {name: values}; an instance has one value of each."""

        parameters: dict = {}  # noqa: RUF012 (benchopt's own face)

        @classmethod
        def get_instance(cls, **options):
            unknown = set(options) - set(cls.parameters)
            if unknown:
                raise ValueError(f"{cls.name} has no parameter {sorted(unknown)}")
            made = cls()
            for name, values in cls.parameters.items():
                setattr(made, name, options.get(name, values[0]))
            return made

    class BaseDataset(_Parametrised):
        pass

    class BaseObjective(_Parametrised):
        pass

    class BaseSolver(_Parametrised):
        pass


class DataSource(BaseDataset):
    """A data set: `get_data` returns X and y as they are; the objective encodes the labels."""

    requirements = ("pip::fastsum",)

    def unavailable(self):
        """Why there is no such data here, or None."""
        return None


class LinearSolver(BaseSolver):
    """A solver of `parameters["solver"]` variants; each run is a cold fit with one knob.

    Class attribute `module` is what must be importable. `unsupported` says why a problem cannot be
    served; `set_objective` prepares, untimed; `run` is timed and leaves `coef` (d,) or (d, K) and
    `intercept` behind.
    """

    module = ""
    # The knob of `run`: "tolerance" or "iteration" (passes or iterations).
    sampling_strategy = "tolerance"

    @property
    def falling(self):
        """True if a smaller knob is more accurate."""
        return self.sampling_strategy == "tolerance"

    def ladder(self):
        """Knobs to try, coarse to fine."""
        return [10.0**-k for k in range(15)] if self.falling else [2**k for k in range(14)]

    def between(self, coarse, fine):
        """A knob between two, or None."""
        if self.falling:
            return float(f"{(coarse * fine) ** 0.5:.2g}")
        return (coarse + fine) // 2 if fine - coarse > 1 else None

    @property
    def label(self):
        return f"{self.name} {self.solver}" if self.solver else self.name

    def missing(self):
        """Why the solver cannot run here at all, or None."""
        found = importlib.util.find_spec(self.module) is not None
        return None if found else f"{self.module} is not installed"

    def skip(self, **problem):
        reason = self.missing() or self.unsupported(**problem)
        return reason is not None, reason

    def unsupported(self, **problem):
        return None

    def compile(self, **problem):
        """What is done once a process, before any problem: just-in-time compilation."""

    def set_objective(self, X, y, loss, alpha, l1_ratio, fit_intercept, n_threads=1):
        self.X, self.y, self.loss, self.alpha, self.l1_ratio = X, y, loss, alpha, l1_ratio
        self.fit_intercept, self.n_threads = fit_intercept, n_threads
        self.n = X.shape[0]

    def keep(self, estimator):
        """coef and intercept of a fitted scikit-learn estimator, features first."""
        coef = np.atleast_2d(estimator.coef_)
        self.coef = coef[0] if coef.shape[0] == 1 else coef.T
        b = np.zeros(1) if not self.fit_intercept else np.ravel(estimator.intercept_)
        self.intercept = float(b[0]) if b.size == 1 else b

    def get_result(self):
        return {"coef": self.coef, "intercept": self.intercept}


def penalty_name(l1_ratio):
    return {0.0: "l2", 1.0: "l1"}.get(float(l1_ratio), "elasticnet")
