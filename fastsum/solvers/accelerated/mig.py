"""MiG (Zhou, Shang, Cheng, ICML 2018). Its steps are Katyusha's, src_cpp/solvers/katyusha.hpp."""

from __future__ import annotations

from fastsum.solvers.accelerated._lags import FloatArray
from fastsum.solvers.accelerated.katyusha import Katyusha


class Mig(Katyusha):
    """MiG: one point beside the snapshot, in place of Katyusha's two.

    Problem: (1).  Steps: Algorithm 1, eq. (40) with tau_1 = theta and tau_2 = 1 - theta, so that
    x = theta z + (1 - theta) w~ and y has no part in it; theta and the step as tau_1 and alpha of
    eq. (41), the next snapshot theta times the average of the z plus 1 - theta times the last,
    eq. (42).  Rate, cost of a step and memory: Katyusha's.  The paper's own sparse variant
    re-weights; here the steps of dense rows are made just in time, eq. (43).

    Without an l2 part: Algorithm 2, theta = 2 / (s + 4) in epoch s and a step 1 / (4 L theta),
    begun anew where the snapshots move uphill, s bounded as there; a free intercept as in Katyusha.
    """

    name = "mig"
    ns_step = 1 / 4

    def _share_of_snapshot(self) -> FloatArray:
        return 1 - self.tau1
