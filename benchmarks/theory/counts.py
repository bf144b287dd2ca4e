"""How many sample gradients a fit takes to an accuracy, and the slopes of such counts."""

import warnings

import numpy as np

import fastsum

MOST_PASSES = 10_000_000


def passes_to(problem, solver, suboptimality, epsilon, **settings):
    """Passes until suboptimality(w) <= epsilon, and what else than the method's steps was seen.

    Looked at where certificates fall, at steps of a quarter; in between the logarithm of the
    suboptimality is taken to be linear. A method with unlucky steps may have gone back to a better
    point ("roll back"): that is reported.
    """
    seen = [(0.0, suboptimality(np.zeros(problem.rows.n_cols)))]

    def look(progress):
        seen.append((progress.passes, suboptimality(progress.coef)))
        return seen[-1][1] <= epsilon

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = fastsum.minimize(problem, solver, tol=0.0, refine=False, callback=look, **settings)
    other = sorted(set(result.trace["phase"]) - {solver})
    (before, above), (after, below) = seen[-2:]
    if not below <= epsilon:
        return float("nan"), other
    share = np.log(above / epsilon) / np.log(above / max(below, 1e-300))
    return before + share * (after - before), other


def measure(ridge, law, kappa, max_passes=MOST_PASSES):
    """Median count of sample gradients over the law's seeds, and other phases seen."""
    alpha = ridge.alpha(kappa, law.batch)
    best, null = ridge.optimum(alpha), ridge.objective(np.zeros(ridge.X.shape[1]), alpha)
    scale = null if law.absolute else null - best
    step = 1 / ridge.spectrum[0] if law.batch else law.step  # max_i L_i = 1
    found, other = [], set()
    for seed in law.seeds:
        passes, phases = passes_to(
            ridge.problem(alpha),
            law.method,
            lambda w: (ridge.objective(w, alpha) - best) / scale,
            law.epsilon,
            max_iter=max_passes,
            step_size=step,
            sampling="auto" if law.batch else "uniform",
            random_state=seed,
            solver_options=law.options,
        )
        found.append(passes * len(ridge.y))
        other |= set(phases)
    return float(np.median(found)), sorted(other)


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
