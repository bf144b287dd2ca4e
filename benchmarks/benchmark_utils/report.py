"""A result as JSON and markdown files, and as a table on the terminal."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).resolve().parent.parent / "results"


def write(name, title, explanation, columns, rows, facts, details, args):
    """rows: list of dicts with the keys `columns`; details go to the JSON only."""
    folder = Path(args.out) if args.out else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    record = {"machine": facts, "note": args.note, "rows": rows, "details": details}
    text = json.dumps(record, indent=1, default=float)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    lines = [f"# {title}", "", explanation, "", machine_line(facts), ""]
    lines += [args.note, ""] if args.note else []
    lines += [table(columns, rows)]
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def table(columns, rows):
    """A markdown table of the rows' `columns`."""
    lines = [_line(columns), _line("---" for _ in columns)]
    lines += [_line(shown(row.get(c)) for c in columns) for row in rows]
    return "\n".join(lines)


def show(title, columns, rows):
    """Prints the rows as a table."""
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(shown(row.get(c)) for c in columns))
    console = Console()
    console.width = max(console.width, 200)  # a log file is no narrow terminal
    console.print(table)


def shown(value):
    if value is None or value != value:
        return ""
    if value == float("inf"):
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def machine_line(facts):
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['threads']} thread(s) each, kernels "
        f"{facts['cpu_level']}; Python {facts['python']}, {versions}. Load of the machine before "
        f"and after: {facts['load_before']}, {facts['load_after']} (this run itself is 1; more "
        "means that it was busy with other work)."
    )
