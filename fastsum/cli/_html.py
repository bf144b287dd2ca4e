"""The report of a job: one HTML file that needs nothing beside it."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum import __version__
from fastsum.files import write_whole
from fastsum.losses import LOSSES
from fastsum.wide import gathered

from ._report import Scores, gap_text

if TYPE_CHECKING:
    from fastsum.jobs import FittedModel, Job

    from ._training import Training

WIDTH, HEIGHT, MARGIN = 560, 300, 50
BINS, TOP, TOP_OF_FIELD = 10, 30, 5
Points = Sequence[tuple[float, float]]
Names = Mapping[int, Sequence[tuple[str, str]]]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em;
  color: #222; background: #fff; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; }
td, th { padding: 0.15em 1em 0.15em 0; text-align: left; border-bottom: 1px solid #ddd; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
svg text { font: 12px system-ui, sans-serif; fill: #444; }
"""


def write_report(
    path: Path,
    job: Job,
    training: Training,
    scores: Mapping[str, Scores],
    judged: tuple[Any, npt.NDArray[Any]],
) -> None:
    """Write the report.

    Parameters
    ----------
    path : Path
        Where to.
    job : Job
        Whose report it is.
    training : Training
        The model and the account of the fit.
    scores : mapping
        Scores by part of the store.
    judged : (Dataset, ndarray)
        Rows and labels of the calibration curve; names of columns.
    """
    result, model = training.result, training.model
    body = [
        f"<h1>{html.escape(job.out.name)}</h1>",
        _table("Fit", _fit_rows(training)),
        "<h2>Convergence</h2>",
        _convergence(result.trace),
        _scores(scores),
        _calibration(model, *judged),
        _largest(model, judged[0].names),
        _by_field(model, judged[0].names),
        _table("Settings", _settings(job)),
        f"<p>fastsum {__version__}</p>",
    ]
    page = (
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>"
        f"{html.escape(job.out.name)}</title><style>{STYLE}</style></head><body>"
        f"{''.join(body)}</body></html>\n"
    ).encode()
    write_whole(path, lambda stream: _write(stream, page))


def _write(stream: Any, page: bytes) -> None:
    stream.write(page)


def _fit_rows(training: Training) -> list[tuple[str, str]]:
    result, model = training.result, training.model
    return [
        ("status", str(model.header["status"])),
        ("objective", f"{float(result.objective):.10g}"),
        ("certified gap", gap_text(float(result.dual_gap))),
        ("relative gap", gap_text(training.relative_gap)),
        ("passes", str(model.header["n_iter"])),
        ("non-zero coefficients", model.size),
        *(("note", note) for note in training.notes),
    ]


def _settings(job: Job) -> list[tuple[str, str]]:
    rows = [("store", str(job.store)), ("store's SHA-256", job.fingerprint)]
    rows += [(name, str(value)) for name, value in asdict(job.recipe).items()]
    return rows + [(name, str(value)) for name, value in job.bits.items()]


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<h2>{title}</h2><table>{cells}</table>"


def _scores(scores: Mapping[str, Scores]) -> str:
    names = list(next(iter(scores.values())))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{html.escape(part)}</td>"
        + "".join(f"<td class='n'>{_number(found[name])}</td>" for name in names)
        + "</tr>"
        for part, found in scores.items()
    )
    return f"<h2>Scores</h2><table><tr><th></th>{head}</tr>{rows}</table>"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5f}"


def _largest(model: FittedModel, names: Names) -> str:
    """The columns with the largest coefficients, of the first output if there are several."""
    row = sp.csr_array(model.coef[[0]])
    columns, values = row.indices, row.data
    held = min(TOP, len(values))
    top = np.argpartition(-np.abs(values), held - 1)[:held] if held else np.arange(0)
    top = top[np.argsort(-np.abs(values[top]), kind="stable")]
    rows = [
        (_name(names.get(column, [])), f"{column}", f"{value:+.6g}")
        for column, value in zip(columns[top].tolist(), values[top].tolist(), strict=True)
    ]
    return _features("Largest coefficients", ("field = category", "column", "coefficient"), rows)


def _by_field(model: FittedModel, names: Names) -> str:
    """The same for each field, of the frequent categories, whose names the store keeps."""
    known = np.array([c for c in names if 0 <= c < model.n_features], dtype=np.int64)
    values = gathered(model.coef[[0]].T, known)[:, 0]
    fields: dict[str, list[tuple[float, int, str]]] = {}
    for column, value in zip(known.tolist(), values.tolist(), strict=True):
        for field, category in names[column] if value else []:
            fields.setdefault(field, []).append((value, column, category))
    rows = []
    for field, held in fields.items():
        held.sort(key=lambda entry: -abs(entry[0]))
        for number, (value, column, category) in enumerate(held[:TOP_OF_FIELD]):
            rows.append(("" if number else field, category, f"{column}", f"{value:+.6g}"))
    head = ("field", "category", "column", "coefficient")
    return _features("Largest coefficients of frequent categories by field", head, rows)


def _name(meanings: Sequence[tuple[str, str]]) -> str:
    """What a column stands for, as far as the store tells."""
    return " or ".join(f"{field} = {category}" for field, category in meanings)


def _features(title: str, head: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    """A table whose last two columns are numbers."""
    if not rows:
        return ""
    names = "".join(f"<th>{name}</th>" for name in head)
    text = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[:-2])
        + "".join(f"<td class='n'>{cell}</td>" for cell in row[-2:])
        + "</tr>"
        for row in rows
    )
    return f"<h2>{title}</h2><table><tr>{names}</tr>{text}</table>"


def _convergence(trace: npt.NDArray[Any]) -> str:
    gaps = [(float(p), float(g)) for p, g in zip(trace["passes"], trace["gap"], strict=True)]
    points = [(p, math.log10(g)) for p, g in gaps if math.isfinite(g) and g > 0]
    return _figure(points, "passes over the data", "log10 of the certified gap")


def _calibration(model: FittedModel, X: Any, y: npt.NDArray[Any]) -> str:
    """Share of the second class against its mean probability, in bins of equally many rows."""
    if model.classes is None or not LOSSES[model.loss].has_probabilities or model.coef.shape[0] > 1:
        return ""
    p = model.predict_proba(X)[:, 1]
    hit = y == model.classes[1]
    parts = np.array_split(np.argsort(p, kind="stable"), min(BINS, len(p)))
    points = [(float(p[part].mean()), float(hit[part].mean())) for part in parts]
    name = html.escape(str(model.classes[1]))
    figure = _figure(points, f"mean predicted probability of {name}", "share of rows", even=True)
    return f"<h2>Calibration</h2>{figure}"


def _figure(points: Points, x_name: str, y_name: str, even: bool = False) -> str:
    """A line through points as SVG; `even` adds the diagonal."""
    if not points:
        return "<p>There is nothing to draw.</p>"
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    if even:
        xs, ys = [*xs, *ys], [*xs, *ys]
    x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
    wide, high = (x1 - x0) or 1.0, (y1 - y0) or 1.0

    def place(x: float, y: float) -> str:
        across = MARGIN + (x - x0) / wide * (WIDTH - 2 * MARGIN)
        return f"{across:.1f},{HEIGHT - MARGIN - (y - y0) / high * (HEIGHT - 2 * MARGIN):.1f}"

    line = " ".join(place(*point) for point in points)
    dots = "".join(
        "<circle cx='{}' cy='{}' r='3' fill='#1f5fa8'/>".format(*place(*point).split(","))
        for point in points
    )
    diagonal = f"<polyline points='{place(x0, x0)} {place(x1, x1)}' stroke='#bbb'/>" if even else ""
    labels = "".join(
        f"<text x='{x}' y='{y}' text-anchor='{anchor}'>{text}</text>"
        for x, y, anchor, text in (
            (WIDTH / 2, HEIGHT - 10, "middle", x_name),
            (10, 20, "start", y_name),
            (MARGIN, HEIGHT - MARGIN + 18, "middle", f"{x0:.3g}"),
            (WIDTH - MARGIN, HEIGHT - MARGIN + 18, "middle", f"{x1:.3g}"),
            (MARGIN - 8, HEIGHT - MARGIN, "end", f"{y0:.3g}"),
            (MARGIN - 8, MARGIN + 4, "end", f"{y1:.3g}"),
        )
    )
    frame = (
        f"<path d='M{MARGIN} {MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}' fill='none' "
        "stroke='#888'/>"
    )
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' role='img' aria-label='{y_name}'>"
        f"{frame}{diagonal}<polyline points='{line}' fill='none' stroke='#1f5fa8' "
        f"stroke-width='1.5'/>{dots}{labels}</svg>"
    )
