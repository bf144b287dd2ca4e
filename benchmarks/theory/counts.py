"""How many sample gradients a fit takes to an accuracy, and the slopes of such counts."""

import warnings

import numpy as np

import fastsum

MOST_PASSES = 10_000_000
NOISY_SHARE = 0.8  # of the predicted passes that a noisy method is followed for


def follow(problem, solver, suboptimality, least, **settings):
    """Passes and suboptimality(w) at each certificate until it is at most `least`, and what else
    than the method's steps was seen: one with unlucky steps may have gone back ("roll back").
    """
    seen = [(0.0, suboptimality(np.zeros(problem.rows.n_cols)))]

    def look(progress):
        seen.append((progress.passes, suboptimality(progress.coef)))
        return seen[-1][1] <= least

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = fastsum.minimize(problem, solver, tol=0.0, refine=False, callback=look, **settings)
    return np.array(seen).T, set(result.trace["phase"]) - {solver}


def crossing(passes, values, epsilon):
    """Where the values fall to epsilon: their logarithm is linear between two certificates."""
    below = np.flatnonzero(values <= epsilon)
    if below.size == 0:
        return float("nan")
    k = below[0]
    above, below = np.log(values[k - 1] / epsilon), np.log(max(values[k], 1e-300) / epsilon)
    return passes[k - 1] + above / (above - below) * (passes[k] - passes[k - 1])


def measure(ridge, law, kappa):
    """Count of sample gradients of the mean curve over the law's seeds, and other phases seen."""
    alpha, n = ridge.alpha(kappa, law.batch), len(ridge.y)
    best, null = ridge.optimum(alpha), ridge.objective(np.zeros(ridge.X.shape[1]), alpha)
    scale = null if law.absolute else null - best
    step = 1 / ridge.spectrum[0] if law.batch else law.step  # max_i L_i = 1
    noisy = len(law.seeds) > 1  # the law is one of the mean: all seeds go on as far
    predicted = float(law.count(n, kappa, law.epsilon)) / n
    curves, other = [], set()
    for seed in law.seeds:
        curve, phases = follow(
            ridge.problem(alpha),
            law.method,
            lambda w: (ridge.objective(w, alpha) - best) / scale,
            -1.0 if noisy else law.epsilon,
            max_iter=int(NOISY_SHARE * predicted) + 8 if noisy else MOST_PASSES,
            step_size=step,
            sampling="auto" if law.batch else "uniform",
            random_state=seed,
            solver_options=law.options,
        )
        curves.append(curve)
        other |= phases
    passes, values = np.mean(curves, axis=0)
    return float(crossing(passes, values, law.epsilon) * n), sorted(other)


def slope(x, y):
    """The slope of log y against log x, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def fitted(law, n, kappas, counts):
    """Slopes against the rate and, where it is asymptotic, in kappa; the rate's constant."""
    kappas, counts = np.asarray(kappas), np.asarray(counts)
    rate = law.count(n, kappas, law.epsilon)
    far = kappas >= (law.start or 0.0) * n * (1 - 1e-9)
    return {
        "slope": slope(rate, counts),
        "in kappa": slope(kappas[far], counts[far]) if far.sum() > 2 else None,
        "law's": law.power if law.method != "acc-prox-svrg" else None,
        "constant": float(np.exp(np.mean(np.log(counts / rate)))),
    }
