"""The inverse Hessian of L-BFGS, made of pairs of steps and changes of the gradient.

Source    Liu, Nocedal, Math. Programming 45, 1989, Algorithm 2.1; two loops: Nocedal, Wright,
          Numerical Optimization, 2nd edition 2006, Algorithm 7.4
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.solvers._full_pass import FloatArray, FullPass

CURVED = 1e-12  # s' y of a pair in units of |s| |y|: less tells of rounding


def times_inverse_hessian(
    g: FloatArray,
    pairs: npt.NDArray[np.float64],
    held: int,
    full: FullPass,
    scale: FloatArray,
    *,
    rescale: bool,
) -> FloatArray:
    """H g by two loops over the pairs, eq. (57), each problem apart.

    Parameters
    ----------
    g : (d, K) array
    pairs : (2, m, d, K) array
        s and y, pair k in slot k mod m; a pair without curvature, zeros say, does nothing.
    held : int
        Pairs written so far.
    full : FullPass
        Of the problem, for its sums over the outputs of each problem.
    scale : (B,) array
        H_0 = scale I without a pair.
    rescale : bool
        Whether H_0 = s' y / y' y I of the last pair.
    """
    each, spread, memory = full.each, full.spread, pairs.shape[1]
    p, steps = g, []
    for k in range(held - 1, max(0, held - memory) - 1, -1):
        s, y = pairs[0, k % memory], pairs[1, k % memory]
        curved, size = each((s * y).sum(axis=0)), each((y * y).sum(axis=0))
        good = curved > CURVED * np.sqrt(each((s * s).sum(axis=0)) * size)
        per = np.divide(1.0, curved, out=np.zeros_like(curved), where=good)
        a = per * each((s * p).sum(axis=0))
        p = p - spread(a) * y
        steps.append((s, y, per, a))
    if steps and rescale:
        s, y, per, _ = steps[0]
        size = each((y * y).sum(axis=0))
        scale = np.divide(1.0, per * size, out=scale.copy(), where=per > 0)
    p = spread(scale) * p
    for s, y, per, a in reversed(steps):
        p = p + spread(a - per * each((y * p).sum(axis=0))) * s
    return p
