"""Runs the whole peer suite and writes its table: python tests/peer_suite/write_readme.py"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import sklearn

HERE = Path(__file__).resolve().parent
WORDS = {
    "passed": "pass",
    "xfailed": "fail as the table expects",
    "upstream": "pass up to where upstream gives up (pytest.xfail)",
    "skipped": "skipped by upstream",
    "failed": "FAIL",
}


class Count:
    """Outcomes by upstream module and test."""

    def __init__(self) -> None:
        table = tomllib.loads((HERE / "table.toml").read_text())
        entries = [entry for part in table.values() for entry in part.values()]
        self.reasons = {
            why for e in entries if isinstance(e, dict) for why in e.get("fails", {}).values()
        }
        self.outcomes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = re.search(r"::(Test\w+)::(test_\w+)", report.nodeid)
        if found is None or not (report.when == "call" or report.outcome != "passed"):
            return
        if report.when == "teardown":
            return
        outcome = report.outcome
        if hasattr(report, "wasxfail"):  # our mark, or pytest.xfail() in a body
            outcome = "xfailed" if report.wasxfail in self.reasons else "upstream"
        self.outcomes[found.groups()][outcome] += 1


def remarks(entry: dict, reasons: dict[str, str]) -> str:
    words = ["solvers named run as ours"] if not entry.get("references", True) else []
    if "tol" in entry:
        words.append("`tol` squared" if entry["tol"] == "square" else f"`tol` {entry['tol']:g}")
    if "max_iter" in entry:
        words.append(f"`max_iter` {entry['max_iter']}")
    if "why" in entry:
        words.append(reasons.get(entry["why"], entry["why"]))
    elif "drop" in entry:
        left = ", ".join(f"{k}={v}" for k, vs in entry["drop"].items() for v in vs)
        words.append(f"without {left}")
    words += [f"**fails** (`{cases}`): {why}" for cases, why in entry.get("fails", {}).items()]
    return "; ".join(words).replace("|", r"\|")


def main() -> int:
    sys.path.insert(0, str(HERE.parent))
    count = Count()
    code = pytest.main([str(HERE), "-m", "", "-q", "-p", "no:cacheprovider", "--tb=line"], [count])
    from peer_suite.upstream import REASONS, TABLE, class_name, reason

    total: Counter[str] = Counter()
    for outcomes in count.outcomes.values():
        total += outcomes
    entries = [entry for tests in TABLE.values() for entry in tests.values()]
    runs = sum(reason(entry) is None for entry in entries)
    lines = [
        (HERE / "readme_head.md").read_text(),
        f"With scikit-learn {sklearn.__version__} and numpy {np.__version__}: "
        f"{runs} of {len(entries)} tests apply, in "
        f"{sum(total.values())} cases: "
        + ", ".join(f"{total[k]} {w}" for k, w in WORDS.items())
        + ".",
        "",
    ]
    for module, tests in TABLE.items():
        lines += [f"## {module}.py", "", "| test | cases | remarks |", "|---|---|---|"]
        for test, entry in tests.items():
            if reason(entry) is None:
                outcomes = count.outcomes[class_name(module), test]
                cases = ", ".join(f"{outcomes[k]} {w}" for k, w in WORDS.items() if outcomes[k])
                lines.append(
                    f"| {test} | {cases} | {remarks(entry, REASONS)} |".replace("  |", " |")
                )
        lines += ["", "Does not apply:", "", "| test | why |", "|---|---|"]
        lines += [f"| {t} | {reason(e)} |" for t, e in tests.items() if reason(e) is not None]
        lines.append("")
    (HERE / "README.md").write_text("\n".join(lines).replace("\n\n\n", "\n\n"))
    return int(code)


if __name__ == "__main__":
    raise SystemExit(main())
