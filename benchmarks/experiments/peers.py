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
# Fits that only set F*: who, with which knob, within how many seconds. Peers' once, ours always.
REFEREES = (
    ("cyanure auto", 160, 120.0),
    ("skglm working-set", 1e-9, 60.0),
    ("scikit-learn ridge", 1e-12, 60.0),
    (OURS, 1e-11, 20.0),
)
FAR_BEHIND_US, BEHIND_THE_BEST = 5.0, 1.5  # a peer's fit is cut off at so many times the seconds
SHORTEST_LIMIT = 0.1
CONTENDER = 1.5  # repeated if within this of the best peer
OUTSIDER = 3.0  # not measured again without --everyone if stored beyond this
# The order of a first meeting: quick ones first, they set the limits for the others.
ORDER = ("fastsum estimators", "cyanure", "snapml", "liblinear", "celer", "skglm", "adelie")
ORDER += ("glum", "scikit-learn", "fastsum")


class NoReference(Exception):
    """Nobody found a point by which to judge the others."""


def measure(row, objective, stored, args):
    """The JSON record of a row; curves of who is not measured are taken from `stored`."""
    objective.n_threads = args.threads
    problem, null = objective.get_objective(), objective.null_value()
    same = bool(stored) and math.isclose(stored["null"], null, rel_tol=1e-12)
    if not same or not math.isclose(stored["alpha"], objective.alpha, rel_tol=1e-9):
        stored = {"curves": {}, "skipped": {}, "best": None}
    contest = _Contest(row, objective, stored)
    skipped = contest.admit(problem, args)
    try:
        contest.run(args.repeats)
    finally:
        for entrant in contest.entrants.values():
            entrant.close()
    return {
        "null": null,
        "best": contest.best,
        "alpha": objective.alpha,
        "curves": {label: curve.to_json() for label, curve in contest.curves.items()},
        "skipped": stored["skipped"] | skipped,
    }


class _Contest:
    """All solvers on one row."""

    def __init__(self, row, objective, stored):
        self.row, self.objective, self.null = row, objective, objective.null_value()
        self.best, self.entrants = stored["best"], {}
        self.curves = {label: Curve.from_json(c) for label, c in stored["curves"].items()}
        started = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        self.stamp = f"{started}, load {os.getloadavg()[0]:.1f}"

    def levels(self):
        """Objective values of the targets, for the best value known."""
        return [self.best + target * (self.null - self.best) for target in self.row.targets]

    def admit(self, problem, args):
        """Finds who is measured now, ours first; returns {label: why it does not serve}."""
        skipped, asked = {}, [OURS] if args.ours_only else args.solver
        for solver in sorted(registry.solvers(), key=lambda solver: ORDER.index(solver.name)):
            if solver.name == "fastsum":  # the engine without an estimator: not what is judged
                continue
            if asked and not any(part in solver.label for part in asked):
                continue
            skip, reason = solver.skip(**problem)
            if skip:
                skipped[solver.label] = reason
            elif asked or args.everyone or not self._known_as_slow(solver.label):
                self.entrants[solver.label] = Entrant(solver, problem)
        return skipped

    def _known_as_slow(self, label):
        """True for a peer whose stored seconds are far above those of the best peer."""
        if label == OURS or label not in self.curves:
            return False
        pairs = [(self.curves[label].best(x)[0], self._best_peer(x)) for x in self.levels()]
        return all(own > OUTSIDER * best or own == math.inf for own, best in pairs)

    def run(self, repeats):
        """Everyone up the ladder, then the winning settings in turns."""
        referees = [r for r in REFEREES if self.best is None or r[0] == OURS]
        known = self.null if self.best is None else self.best
        self.best = min(known, _reference(referees, self.entrants, self.objective))
        if not self.best < self.null:
            raise NoReference("no fit was better than the null model: the limits are too short")
        for label in self.entrants:
            self.curves.pop(label, None)
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
            if not self._winning(label):
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


def _reference(referees, entrants, objective):
    """The smallest F of a few accurate fits."""
    best = objective.null_value()
    for label, knob, limit in referees:
        if label in entrants:
            with contextlib.suppress(CutOff, EOFError, RuntimeError):
                seconds, result = entrants[label].run(knob, limit)
                value = objective.evaluate(**result)
                best = min(best, value)
                print(f"  reference {label}: {value!r} in {seconds:.3g} s", flush=True)
    return best


# --- results --------------------------------------------------------------------------------------


def load_results(args):
    path = Path(args.out or report.RESULTS) / f"{NAME}.json"
    return json.loads(path.read_text()) if path.exists() else {"rows": {}}


def save(name, row, machine, args):
    """Puts a row into the file, one line each; another run may have put in others meanwhile."""
    results = load_results(args)
    results["rows"][name] = row
    path = Path(args.out or report.RESULTS) / f"{NAME}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in results["rows"].items()]
    text = '{"machine": ' + json.dumps(machine) + ',\n"rows": {\n' + ",\n".join(lines) + "\n}}\n"
    path.with_suffix(".new").write_text(text, encoding="utf-8")
    path.with_suffix(".new").replace(path)


def main(args):
    warnings.simplefilter("ignore")
    done, turn = load_results(args)["rows"], timing.Turn(trial=args.small)
    for row in rows.chosen(args):
        row = dataclasses.replace(row, limit=min(row.limit, args.limit))
        stored = done.get(row.name)
        if args.resume and stored:
            continue
        objective, reason = rows.load(row)
        if objective is None or (args.ours_only and not stored):
            print(f"{row.name}: skipped, {reason or 'no stored times of the peers'}", flush=True)
            continue
        print(row.name, flush=True)
        with turn:
            machine = timing.machine(args.threads)
            try:
                record = measure(row, objective, stored, args)
            except NoReference as error:
                print(f"  {error}", flush=True)
                continue
        head = {"targets": row.targets, "wanted": row.wanted, "judged": row.judged}
        save(row.name, head | record, machine.finish(), args)
        for line in standings.lines({row.name: head | record}):
            shown = ", ".join(f"{c} {report.shown(line[c])}" for c in standings.COLUMNS[1:])
            print(f"  {shown}", flush=True)
    turn.end()
    results = load_results(args)
    if results["rows"]:
        standings.write(results, Path(args.out) if args.out else None)
    if not (args.only or args.solver or args.dataset or args.objective or args.small):
        own.main(args)  # after the forks, which threads of this process would not survive
        kernels.main(args)
