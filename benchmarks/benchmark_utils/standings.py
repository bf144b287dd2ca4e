"""Tables, figure and page of `peers.json`: who is ahead, by how much, and where a peer is."""

import math
from fnmatch import fnmatch
from pathlib import Path
from statistics import median

from benchmark_utils import report
from benchmark_utils.contest import OURS, Curve

COLUMNS = ["row", "to", "ours", "best peer", "its seconds", "ratio", "wanted", "next peers"]
SHORT = 0.02  # seconds below which differences count and not ratios
CUT_OFF = 5.0  # a larger ratio counts as this: peers are cut off there
AHEAD = 1.1  # a peer is ahead beyond this ratio
PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
# Why a peer is ahead: {pattern of rows: reason}, the first that matches.
REASONS: dict[str, str] = {
    "click-l2-10": "A few epochs of dual ascent solve it; ours also validates, rewrites the data, "
    "makes a preconditioner and proves the gap.",
    "click-l2-*": "The labels of this log are nearly separable: several Newton steps, each of "
    "20 to 40 products, and scattered sums of 780,000 columns do not fit a cache.",
    "text-l2-1": "Some ten passes over 15 MB, as many as the peers make, and a preconditioner.",
    "data/breast-cancer-*": "A millisecond of work: validation and the estimator's own cost.",
    "data/german*": "A millisecond of work: validation and the estimator's own cost.",
    "*-lasso-0.1": "Small: validation, several certificates and the growth of the working set.",
    "data/farm_ads-l1-*": "Gram matrices of long rows are made anew at each Newton step.",
}
METHOD = """\
Least seconds of a cold fit, two threads, whose true relative suboptimality
(F(w) - F\\*) / (F(null) - F\\*) is at most the target. F is recomputed in float64, outside the
solver, on the data as they were handed over; F\\* is the smallest F seen by anyone. Each solver
climbs a ladder of tolerances or iterations and refines it near the target; no intercept, which
peers penalise or lack. Ours is the public estimator with its defaults, validation and preparation
included; conversions to a peer's own format and compilation are left out of the peer's time. A peer
is cut off beyond 5 times our seconds or 1.5 times the best peer's. Medians of up to five runs in
turns. "ratio" is the peer's seconds over ours: above 1 we are ahead. An asterisk marks a row whose
sides were measured in different runs."""


def lines(rows):
    """A line of the table for each row and target."""
    for name, row in rows.items():
        if "curves" not in row:
            continue
        curves = {label: Curve.from_json(curve) for label, curve in row["curves"].items()}
        for target in row["targets"]:
            level = row["best"] + target * (row["null"] - row["best"])
            times = {label: curve.best(level)[0] for label, curve in curves.items()}
            ours = times.pop(OURS, math.nan)  # not measured, or inf: not reached
            reached = sorted((label for label in times if times[label] < math.inf), key=times.get)
            best, theirs = (reached[0], times[reached[0]]) if reached else ("none", math.inf)
            # no judgement without either side
            ratio = theirs / ours if ours < math.inf or theirs < math.inf else math.nan
            apart = reached and curves[best].run != curves[OURS].run if OURS in curves else True
            yield {
                "row": name + ("*" if apart else ""),
                "to": f"{target:.0e}",
                "ours": ours,
                "best peer": best,
                "its seconds": theirs,
                "ratio": ratio,
                "wanted": row["wanted"],
                "next peers": ", ".join(f"{label} {times[label]:.3g}" for label in reached[1:3]),
                "judged": row["judged"],
            }


def totals(found):
    """Sentences on a set of lines: geometric mean where it is long, excess where it is short."""
    known = [line for line in found if not math.isnan(line["ratio"])]
    long = [x for x in known if max(x["ours"], x["its seconds"]) > SHORT]
    short = [x for x in known if max(x["ours"], x["its seconds"]) <= SHORT]
    said = []
    if long:
        ratios = [min(x["ratio"], CUT_OFF) for x in long]
        mean = math.exp(sum(math.log(r) if r else -math.inf for r in ratios) / len(ratios))
        slower = [x for x in long if x["ratio"] < 1 / AHEAD]
        worst = min(long, key=lambda x: x["ratio"])
        said.append(
            f"{len(long)} rows of more than {1000 * SHORT:.0f} ms: geometric mean of the ratios, "
            f"at most {CUT_OFF:.0f} each, "
            f"{mean:.3g}, median {median(ratios):.3g}; "
            f"{len(slower)} ({len(slower) / len(long):.0%}) slower than {AHEAD}x; worst "
            f"{worst['row']} to {worst['to']}, ratio {worst['ratio']:.3g}."
        )
    if short:
        excess = [1000 * (x["ours"] - x["its seconds"]) for x in short]
        last = short[excess.index(max(excess))]
        said.append(
            f"{len(short)} shorter rows: ours takes {median(excess):+.2g} ms more (median), "
            f"{max(excess):+.2g} ms at worst ({last['row']})."
        )
    return said


def behind(found):
    """The lines in which a peer is ahead, worst first."""
    slow = [x for x in found if not x["ratio"] >= 1 / AHEAD]
    slow = [x for x in slow if x["best peer"] != "none" and x["ours"] > SHORT]  # nan is not
    return sorted(slow, key=lambda x: x["ratio"] if not math.isnan(x["ratio"]) else 0)


def write(results, folder=None):
    """peers.md and peers.png in the folder; docs/benchmarks.md if it is the usual one."""
    found = list(lines(results["rows"]))
    judged = [line for line in found if line["judged"]]
    data = [line for line in found if not line["judged"]]
    where = folder or report.RESULTS
    machine = report.machine_line(results["machine"])
    parts = ["# Ours against every peer", METHOD, machine]
    if judged:
        parts += ["## The judged rows", *totals(judged), _table(judged)]
    if data:
        parts += ["## Every data set", *totals(data), _table(data)]
    (where / "peers.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if panels := list(_panels(results["rows"])):
        draw(panels, where / "peers.png")
    if folder is None:
        PAGE.write_text(_page(judged, data, machine), encoding="utf-8")


def _table(found):
    return report.table(COLUMNS, found)


def _page(judged, data, machine):
    slow = behind(judged + data)
    parts = ["# Benchmarks", "Generated by `python -m benchmarks peers`; do not edit.", METHOD]
    parts += [machine, "## The judged rows", *totals(judged), _table(judged)]
    parts += ["![Time to accuracy](../benchmarks/results/peers.png)"]
    if data:
        parts += ["## Every data set", *totals(data)]
        parts += ["The rows are in [peers.md](../benchmarks/results/peers.md)."]
    parts += ["## Where a peer is ahead"]
    parts += ["\n".join(_item(line) for line in slow) if slow else "Nowhere in this run."]
    return "\n\n".join(parts) + "\n"


def _item(line):
    if line["ours"] == math.inf:
        text = "ours did not get there in its time"
    else:
        text = f"ours {line['ours']:.3g} s, {line['ours'] / line['its seconds']:.2g} times as long"
    name = line["row"].rstrip("*")
    reason = next((why for pattern, why in REASONS.items() if fnmatch(name, pattern)), "")
    who = f"{line['best peer']} {line['its seconds']:.3g} s"
    return f"- {line['row']} to {line['to']}: {who}, {text}." + (f" {reason}" if reason else "")


# --- figure ---------------------------------------------------------------------------------------


def _panels(rows):
    """(name, {label: [(seconds, suboptimality)]}) of the judged rows."""
    for name, row in rows.items():
        if "curves" not in row or not row["judged"]:
            continue
        span = max(row["null"] - row["best"], 1e-300)
        drawn = {
            label: [(median(r[2]), max(r[1] - row["best"], 0) / span) for r in curve["rungs"]]
            for label, curve in row["curves"].items()
        }
        yield name, drawn


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

    across = min(4, len(panels))
    down = -(-len(panels) // across)
    size = (4.2 * across, 3.2 * down + 1.2)
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False)
    labels = sorted({label for _, drawn in panels for label in drawn} - {OURS})
    colours = {label: plt.get_cmap("tab20")(i % 20) for i, label in enumerate(labels)}
    for axis, (name, drawn) in zip(axes.flat, panels, strict=False):
        for label, points in drawn.items():
            ours = label == OURS
            points = envelope(points)
            if points:
                line = {"color": "black" if ours else colours[label], "label": label}
                line |= {"linewidth": 2.6 if ours else 1.2, "zorder": 3 if ours else 2}
                axis.loglog(*zip(*points, strict=True), marker="o", markersize=3, **line)
        axis.set(title=name, xlabel="seconds", ylabel="relative suboptimality")
        axis.grid(alpha=0.3)
        axis.xaxis.set_minor_formatter("")  # within a decade they would lie over each other
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    handles = {h.get_label(): h for a in axes.flat for h in a.get_lines()}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5)
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=80)
    plt.close(figure)
