"""Suboptimality against seconds: every solver that is installed and serves the problem."""

import math
import warnings
from dataclasses import dataclass, field
from statistics import median

from benchmark_utils import report, timing
from rich.progress import Progress

from benchmarks import registry

NO_B = "fit_intercept=False"
# (short name, data set, objective); without an intercept where peers penalise it
PROBLEMS = [
    ("a9a", "a9a", f"logistic_l2[{NO_B}]"),
    ("click log", "click_log[n_samples=100000,n_features=131072]", f"logistic_l2[{NO_B}]"),
    ("click log l1", "click_log[n_samples=50000,n_features=65536]", f"logistic_l1[reg=0.1,{NO_B}]"),
    ("dense", "simulated[n_samples=50000,n_features=100]", "logistic_l2"),
    ("dense elastic net", "simulated[n_samples=20000,n_features=100]", "logistic_enet[reg=0.02]"),
    ("ridge", "simulated[n_samples=50000,n_features=100,n_classes=0]", "ridge"),
    (
        "lasso, wide",
        "simulated[n_samples=500,n_features=5000,condition=1,n_classes=0,n_relevant=50]",
        "lasso[reg=0.05]",
    ),
    ("softmax", "simulated[n_samples=20000,n_features=50,n_classes=5]", "multinomial_l2"),
    ("imdb", "folder[file=imdb_counts]", f"logistic_l2[{NO_B}]"),
    ("pendigits", "folder[file=pendigits]", "multinomial_l2"),
]
SMALL = [("small", "simulated[n_samples=300,n_features=5]", "logistic_l2")]
LEVELS = (1e-2, 1e-4, 1e-6, 1e-8)
DONE = 1e-10  # relative suboptimality at which a ladder ends
LADDERS = {
    "tolerance": [10.0**-k for k in range(15)],
    "iteration": [2**k for k in range(14)],
}
EXPLANATION = """\
Seconds of the fastest cold fit whose relative suboptimality (F - F*) / (F(null model) - F*) is at
most the level; each solver climbs its ladder of tolerances or iterations until 1e-10, no further
gain, or the time limit. Empty: not reached. F is recomputed in float64 from the coefficients, F* is
the smallest F of all solvers; the certified gap left at F* is in the JSON file. Conversions that a
fit would repeat (CSC, liblinear's rows) and compilation (skglm) are before the clock. Repeats
alternate between the solvers."""


@dataclass
class Curve:
    """One solver's ladder on one problem."""

    solver: object
    knobs: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    seconds: list[list[float]] = field(default_factory=list)
    ended: str = ""

    def climb(self, objective, limit):
        """One rung higher, timed; ends the ladder if it is high enough."""
        ladder = LADDERS[self.solver.sampling_strategy]
        knob, clock = ladder[len(self.knobs)], timing.Clock()
        try:
            clock.time(lambda: self.solver.run(knob))
            found = objective.evaluate_result(**self.solver.get_result())
        except Exception as error:  # a peer that breaks is a result
            self.ended = f"{type(error).__name__}: {error}"[:200]
            return
        self.knobs.append(knob)
        self.values.append(found["value"])
        self.gaps.append(found["gap"])
        self.seconds.append(list(clock.wall))
        scale = abs(objective.null_value())
        if found["gap"] <= DONE * scale:
            self.ended = "accurate"
        elif clock.wall[0] > limit:
            self.ended = "time limit"
        elif len(self.knobs) == len(ladder):
            self.ended = "end of the ladder"
        elif found["gap"] < 1e-2 * scale and self.gain() <= 1e-13 * scale:
            self.ended = "no gain"

    def gain(self):
        """What the last four rungs gained."""
        if len(self.values) <= 4:
            return math.inf
        return min(self.values[:-4]) - min(self.values[-4:])

    def repeat(self, rung):
        clock = timing.Clock()
        clock.time(lambda: self.solver.run(self.knobs[rung]))
        self.seconds[rung] += clock.wall

    def points(self, best, null):
        """(median seconds, relative suboptimality) of each rung."""
        span = max(null - best, 1e-300)
        rungs = zip(self.seconds, self.values, strict=True)
        return [(median(seconds), max(value - best, 0) / span) for seconds, value in rungs]


def climb_all(curves, objective, limit, repeats, tick):
    while any(not curve.ended for curve in curves):
        for curve in curves:
            if not curve.ended:
                curve.climb(objective, limit)
                tick()
    for _ in range(repeats - 1):
        for rung in range(max(len(curve.knobs) for curve in curves)):
            for curve in curves:
                if rung < len(curve.knobs):
                    curve.repeat(rung)
                    tick()


def measure(data_spec, objective_spec, wanted, args, tick):
    """(curves, skipped, best value, null value, smallest gap) or a reason why not."""
    source, objective = registry.dataset(data_spec), registry.objective(objective_spec)
    if reason := source.unavailable():
        return reason
    data = source.get_data()
    skip, reason = objective.skip(**data)
    if skip:
        return reason
    objective.n_threads = args.threads
    objective.set_data(**data)
    problem, curves, skipped = objective.get_objective(), [], {}
    for solver in registry.solvers():
        if wanted and not any(part in solver.label for part in wanted):
            continue
        skip, reason = solver.skip(**problem)
        if skip or (solver.name == "fastsum" and solver.solver == "auto" and not wanted):
            skipped[solver.label] = reason or "auto is saga or svrg"
            continue
        solver.set_objective(**problem)
        curves.append(Curve(solver))
    climb_all(curves, objective, args.limit, args.repeats or 3, tick)
    best = min(min(curve.values, default=math.inf) for curve in curves)
    gap = min(min(curve.gaps, default=math.inf) for curve in curves)
    return curves, skipped, best, objective.null_value(), gap


def rows_of(name, curves, best, null):
    for curve in curves:
        points = curve.points(best, null)
        row = {"problem": name, "solver": curve.solver.label}
        for level in LEVELS:
            times = [seconds for seconds, error in points if error <= level]
            row[f"{level:.0e}"] = min(times) if times else None
        row["best"] = min((error for _, error in points), default=None)
        row["ended by"] = curve.ended
        yield row


def chosen(args):
    """The problems that the command line asks for."""
    if args.dataset or args.objective:
        data, objective = args.dataset or "a9a", args.objective or "logistic_l2"
        return [(f"{objective} on {data}", data, objective)]
    problems = SMALL if args.small else PROBLEMS
    return [p for p in problems if not args.only or any(part in p[0] for part in args.only)]


def main(args):
    warnings.simplefilter("ignore")
    title, rows, details, panels = "Seconds to a relative suboptimality", [], [], []
    columns = ["problem", "solver", *(f"{level:.0e}" for level in LEVELS), "best", "ended by"]
    with timing.exclusive(trial=args.small), Progress() as progress:
        machine = timing.machine(args.threads)
        for name, data, objective in chosen(args):
            task = progress.add_task(name, total=None)
            out = measure(data, objective, args.solver, args, lambda t=task: progress.advance(t))
            progress.remove_task(task)
            if isinstance(out, str):
                rows.append({"problem": name, "solver": "skipped", "ended by": out})
                continue
            curves, skipped, best, null, gap = out
            rows += rows_of(name, curves, best, null)
            drawn = {c.solver.label: c.points(best, null) for c in curves}
            panels.append((name, drawn))
            shared = {"dataset": data, "objective": objective, "best": best, "null": null}
            details.append({"problem": name, **shared, "gap": gap, "skipped": skipped, **drawn})
            # after each problem: an hour's figures survive a run that is cut short
            facts = machine.finish()
            report_as = ("time-to-accuracy", title, EXPLANATION, columns, rows, facts, details)
            draw(panels, report.write(*report_as, args) / "time-to-accuracy.png")
    report.show(title, columns, rows)


def envelope(points):
    """The smallest error reached by each time, 1e-12 at least."""
    smallest, out = math.inf, []
    for seconds, error in sorted(points):
        if max(error, 1e-12) < smallest:
            smallest = max(error, 1e-12)
            out.append((seconds, smallest))
    return out


def draw(panels, path):
    """Suboptimality against seconds, a panel a problem, one colour a solver throughout."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    across = min(3, len(panels))
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(down, across, figsize=(5 * across, 3.6 * down), squeeze=False)
    labels = sorted({label for _, drawn in panels for label in drawn})
    colours = {label: plt.get_cmap("tab20")(i % 20) for i, label in enumerate(labels)}
    for axis, (name, drawn) in zip(axes.flat, panels, strict=False):
        for label, points in drawn.items():
            width = 2.4 if label.startswith("fastsum") else 1.2
            points = envelope(points)
            if points:
                line = {"color": colours[label], "linewidth": width, "label": label}
                axis.loglog(*zip(*points, strict=True), marker="o", markersize=3, **line)
        axis.set(title=name, xlabel="seconds", ylabel="relative suboptimality")
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    handles = {h.get_label(): h for a in axes.flat for h in a.get_lines()}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=80)
    plt.close(figure)
