"""Sample gradients to an accuracy against the condition number, beside the stated rates."""

from pathlib import Path

import numpy as np
from benchmark_utils import report, timing

from benchmarks.theory import counts, figures, laws, regimes
from benchmarks.theory.problems import Ridge

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGE = Path(laws.__file__).with_name("page.md")  # docs/theory.md without its numbers
TITLE = "Theory against practice"
EXPLANATION = """\
Sample gradients until (F(w) - F\\*) / (F(0) - F\\*) <= 1e-6, against kappa = L / mu (gd, fista) or
max_i L_i / mu (all others), mu = alpha + lambda_min, over five decades: from 3 for gd, fista and
sgd, from n / 10 for variance-reduced and from n for accelerated methods. l2 least squares with n =
256 and d = 40: rows of norm 1, eigenvalues of X'X / n in geometric progression down to 1e-8 of the
largest, and as much of y along each of them. sgd: (F - F\\*) / F(0) <= 2e-3 by the last iterate of
Robbins-Monro steps, the mean of 3 seeds, and nine tenths of y out of X's reach, so that the
variance at the optimum is the same for all kappa. F\\* is solved for directly. Steps are those of
the solvers' theory, rows are drawn independently, nothing is refined (`refine=False`); passes
between two certificates are interpolated. "slope" is that of log(measured) against log(predicted),
1 wanted, "constant" the geometric mean of measured over predicted; "in kappa" the slope against
log(kappa) where the law is a power of it: kappa >= 30 n, accelerated methods 300 n."""
COLUMNS = ["method", "rate", "slope", "in kappa", "law's", "constant", "source"]
MARGIN_COLUMNS = ["alpha", "degrees to the hard-margin SVM", "degrees left open by the certificate"]


def main(args):
    small = args.small
    points = np.array([0.0, 1.0, 2.0]) if small else laws.POINTS
    chosen = [law for law in laws.LAWS if any(p in law.label for p in args.only or [""])]
    facts = timing.machine(args.threads)
    results, rows = [], []
    for law in chosen:
        results.append(one(law, points))
        rows.append(row(law, results[-1]))
        print(law.label, {k: report.shown(v) for k, v in rows[-1].items()}, flush=True)
    interpolation, lasso = regimes.interpolation(100 if small else 400), regimes.l1()
    margin = regimes.maximum_margin()
    descent = regimes.gradient_descent(1000 if small else 200_000)
    extra = {"counts": results, "maximum margin": margin, "gradient descent": descent.tolist()}
    extra |= {"interpolation": {name: c.tolist() for name, c in interpolation.items()}}
    extra |= {"lasso": {name: c.tolist() for name, c in lasso[0].items()}}
    facts = facts.finish()
    folder = report.write("theory", TITLE, EXPLANATION, COLUMNS, rows, facts, extra, args)
    page, images = (folder / "page.md", folder) if args.out else (DOCS / "theory.md", DOCS / "img")
    figures.counts(results, len(Ridge.make().y), images / "theory.png")
    figures.regimes(interpolation, lasso, margin, descent, images / "regimes.png")
    page.write_text(text(rows, margin), encoding="utf-8")
    report.show(TITLE, COLUMNS, rows)


def one(law, points):
    """Counts of one method, with what was predicted and what else was seen."""
    ridge = Ridge.make(noise=law.noise)
    n = len(ridge.y)
    kappas = law.kappas(n, points)
    measured = [counts.measure(ridge, law, kappa) for kappa in kappas]
    return {
        "method": law.method,
        "label": law.label,
        "kappa": kappas.tolist(),
        "count": [count for count, _ in measured],
        "predicted": law.count(n, kappas, law.epsilon).tolist(),
        "other phases": sorted({phase for _, phases in measured for phase in phases}),
    } | counts.fitted(law, n, kappas, [count for count, _ in measured])


def row(law, result):
    found = {name: result[name] for name in ("slope", "in kappa", "law's", "constant")}
    return {"method": law.label, "rate": law.formula, "source": law.source} | found


def text(rows, margin):
    """docs/theory.md."""
    degrees = [dict(zip(MARGIN_COLUMNS, values, strict=True)) for values in margin]
    missed = [r for r in rows if not abs(r["slope"] - 1) <= 0.1]
    verdict = "All slopes are within 0.1 of 1."
    if missed:
        names = ", ".join(f"{r['method']} ({r['slope']:.2f})" for r in missed)
        verdict = f"Further than 0.1 from 1: {names}."
    return PAGE.read_text(encoding="utf-8").format(
        explanation=EXPLANATION,
        table=report.table(COLUMNS, rows),
        verdict=verdict,
        margin=report.table(MARGIN_COLUMNS, degrees),
    )
