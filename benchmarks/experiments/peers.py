"""Least seconds to a true relative suboptimality: our estimators against every peer."""

import contextlib
import dataclasses
import datetime
import json
import math
import os
import warnings
from pathlib import Path

from benchmark_utils import report, standings, timing
from benchmark_utils.contest import OURS, Curve, CutOff, Entrant

from benchmarks import registry, rows
from benchmarks.experiments import kernels, own

NAME = "peers"
# Fits that only set F*: who, with which knob, within how many seconds.
REFEREES = (
    ("cyanure auto", 160, 120.0),
    ("skglm working-set", 1e-9, 60.0),
    ("scikit-learn ridge", 1e-12, 60.0),
    (OURS, 1e-11, 20.0),
)
FAR_BEHIND_US, BEHIND_THE_BEST = 5.0, 1.5  # a peer's fit is cut off at so many times the seconds
SHORTEST_LIMIT = 0.1
CONTENDER = 1.5  # repeated if within this of the best peer
# The order of a first meeting: quick ones first, they set the limits for the others.
ORDER = ("fastsum estimators", "cyanure", "snapml", "liblinear", "celer", "skglm", "adelie")
ORDER += ("glum", "scikit-learn", "fastsum")


def measure(row, stored, args):
    """The JSON record of a row; the curves of who is not asked for are taken from `stored`."""
    objective, reason = rows.load(row)
    if objective is None:
        return {"skipped row": reason}
    objective.n_threads = args.threads
    problem, null = objective.get_objective(), objective.null_value()
    same = stored and math.isclose(stored.get("null", 0), null, rel_tol=1e-12)
    same = same and math.isclose(stored["alpha"], objective.alpha, rel_tol=1e-9)
    asked = [OURS] if args.ours_only else args.solver
    if args.ours_only and not same:
        return {"skipped row": "no stored times of the peers on these data"}
    entrants, skipped = _entrants(problem, asked)
    try:
        best = stored["best"] if same else _reference(entrants, objective)
        contest = _Contest(row, objective, entrants, best)
        if asked and same:
            contest.keep(stored["curves"])
            skipped |= stored["skipped"]
        contest.run(args.repeats)
    finally:
        for entrant in entrants.values():
            entrant.close()
    return {
        "null": null,
        "best": contest.best,
        "alpha": objective.alpha,
        "curves": {label: curve.to_json() for label, curve in contest.curves.items()},
        "skipped": skipped,
    }


def _entrants(problem, asked):
    """({label: Entrant} of who serves the problem, ours first; {label: why not})."""
    entrants, skipped = {}, {}
    for solver in sorted(registry.solvers(), key=lambda solver: ORDER.index(solver.name)):
        if asked and not any(part in solver.label for part in asked):
            continue
        if solver.name == "fastsum":  # the engine without an estimator: not what is judged
            continue
        skip, reason = solver.skip(**problem)
        if skip:
            skipped[solver.label] = reason
        else:
            entrants[solver.label] = Entrant(solver, problem)
    return entrants, skipped


def _reference(entrants, objective):
    """The smallest F of a few accurate fits."""
    best = objective.null_value()
    for label, knob, limit in REFEREES:
        if label in entrants:
            with contextlib.suppress(CutOff, EOFError, RuntimeError):
                seconds, result = entrants[label].run(knob, limit)
                value = objective.evaluate(**result)
                best = min(best, value)
                print(f"  reference {label}: {value!r} in {seconds:.3g} s", flush=True)
    return best


class _Contest:
    """All solvers on one row."""

    def __init__(self, row, objective, entrants, best):
        self.row, self.objective, self.entrants, self.best = row, objective, entrants, best
        self.null, self.curves = objective.null_value(), {}
        started = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        self.stamp = f"{started}, load {os.getloadavg()[0]:.1f}"

    def levels(self):
        """Objective values of the targets, for the best value known."""
        return [self.best + target * (self.null - self.best) for target in self.row.targets]

    def keep(self, stored):
        """Stored curves of solvers that are not measured now."""
        others = set(stored) - set(self.entrants)
        self.curves = {label: Curve.from_json(stored[label]) for label in others}

    def run(self, repeats):
        for label, entrant in self.entrants.items():
            curve = Curve(run=self.stamp)
            limits = [self._limit(label, level) for level in self.levels()]
            curve.climb(entrant, self.objective, self.levels(), limits)
            self.curves[label] = curve
            for level in self.levels():
                if curve.best(level)[0] <= CONTENDER * self._best_peer(level):
                    curve.refine(entrant, self.objective, level, self.row.limit)
            self.best = min([self.best, *(rung.value for rung in curve.rungs)])
            times = ", ".join(report.shown(curve.best(level)[0]) for level in self.levels())
            print(f"  {label}: {times} s; {curve.ended}", flush=True)
            if curve.rungs and not self._winning(label):
                entrant.close()
        self._repeat(repeats)

    def _limit(self, label, level):
        if label == OURS:
            return self.row.limit
        ours = self.curves[OURS].best(level)[0] if OURS in self.curves else math.inf
        bound = min(FAR_BEHIND_US * ours, BEHIND_THE_BEST * self._best_peer(level), self.row.limit)
        return max(bound, SHORTEST_LIMIT)

    def _best_peer(self, level):
        times = [c.best(level)[0] for label, c in self.curves.items() if label != OURS]
        return min(times, default=math.inf)

    def _winning(self, label):
        """The settings of a solver that are fastest for a level, if it is a contender."""
        found = []
        for level in self.levels():
            seconds, rung = self.curves[label].best(level)
            contends = label == OURS or seconds <= CONTENDER * self._best_peer(level)
            if rung is not None and contends and rung not in found:
                found.append(rung)
        return found

    def _repeat(self, repeats):
        """The winning settings again, in turns."""
        winning = {label: self._winning(label) for label in self.entrants}
        for count in range(1, repeats or 5):
            for label, rungs in winning.items():
                for rung in rungs:
                    # five runs where they are short, three where not, one where they are long
                    if repeats or rung.seconds[0] < (1.0 if count > 2 else 5.0):
                        self.curves[label].repeat(self.entrants[label], rung, self.row.limit)


# --- results --------------------------------------------------------------------------------------


def load_results(args):
    path = Path(args.out or report.RESULTS) / f"{NAME}.json"
    return json.loads(path.read_text()) if path.exists() else {"rows": {}}


def save(results, args):
    """One line a row and curve, so that a change of one shows as one."""
    path = Path(args.out or report.RESULTS) / f"{NAME}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in results["rows"].items()]
    machine = json.dumps(results["machine"])
    text = '{"machine": ' + machine + ',\n"rows": {\n' + ",\n".join(lines) + "\n}}\n"
    path.with_suffix(".new").write_text(text, encoding="utf-8")
    path.with_suffix(".new").replace(path)


def main(args):
    warnings.simplefilter("ignore")
    results = load_results(args)
    done = results["rows"]
    for row in rows.chosen(args):
        row = dataclasses.replace(row, limit=min(row.limit, args.limit))
        if args.resume and "curves" in done.get(row.name, {}):
            continue
        print(row.name, flush=True)
        with timing.exclusive(trial=args.small):
            machine = timing.machine(args.threads)
            record = measure(row, done.get(row.name), args)
            results["machine"] = machine.finish()
        if "curves" in record or row.name not in done:
            done[row.name] = {
                "targets": row.targets,
                "wanted": row.wanted,
                "judged": not row.name.startswith("data/"),
                **record,
            }
            save(results, args)
        if "skipped row" in record:
            print(f"  skipped: {record['skipped row']}", flush=True)
            continue
        for line in standings.lines({row.name: done[row.name]}):
            shown = ", ".join(f"{c} {report.shown(line[c])}" for c in standings.COLUMNS[1:])
            print(f"  {shown}", flush=True)
    if "machine" in results:
        standings.write(results, Path(args.out) if args.out else None)
    if not (args.only or args.solver or args.dataset or args.objective or args.small):
        own.main(args)  # after the forks, which threads of this process would not survive
        kernels.main(args)
