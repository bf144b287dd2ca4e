"""The problems of `python -m benchmarks peers`: a judged table, and every data set of a folder."""

import os
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import registry
from benchmarks.datasets.folder import VARIABLE

NO_B = "fit_intercept=False"  # peers penalise the intercept, or have none
# Those whose labels are numbers; the others are classes.
REGRESSION = {
    *("riboflavin", "wheat", "abalone", "housing_scale", "cal_housing", "cpu_small", "space_ga"),
    "tecator",
}


@dataclass(frozen=True)
class Row:
    """A problem, the relative suboptimalities to reach, and how far ahead we want to be."""

    name: str
    dataset: str
    objective: str
    targets: tuple[float, ...] = (1e-4,)
    wanted: float = 1.0
    limit: float = 60.0  # seconds of one fit

    @property
    def judged(self):
        """True for a row of the table, False for one of the folder's."""
        return not self.name.startswith("data/")


def judged():
    """The rows of the table, in its order."""
    click = "click_log[n_samples=500000,n_features=1048576]"
    both = (1e-4, 1e-8)
    for reg in (1, 0.1, 10):
        yield Row(f"click-l2-{reg}", click, f"logistic_l2[reg={reg},{NO_B}]", both, 4.0)
    for kind in ("l1", "enet"):
        for reg in (0.01, 0.001):
            yield Row(f"click-{kind}-{reg}", click, f"logistic_{kind}[reg={reg},{NO_B}]", wanted=5)
    click = "click_log[n_samples=200000,n_features=262144]"
    yield Row("click-lasso-0.01", click, f"lasso[reg=0.01,{NO_B}]", wanted=5)
    wide = "simulated[n_samples=1000,n_features=20000,condition=1,n_classes=0,n_relevant=100]"
    sparse = [("wide", wide), ("text", "text[n_classes=0]")]
    sparse += [(file, f"folder[file={file}]") for file in ("riboflavin", "golub", "wheat")]
    for name, data in sparse:
        for reg in (0.1, 0.01):
            yield Row(f"{name}-lasso-{reg}", data, f"lasso[reg={reg},{NO_B}]", wanted=1.5)
    dense = "simulated[n_samples=200000,n_features=100,condition=1000]"
    yield Row("dense-l2-1", dense, f"logistic_l2[reg=1,{NO_B}]", both, 2.0)
    yield Row("text-l2-1", "text", f"logistic_l2[reg=1,{NO_B}]", both)
    for file in ("mnist_t10k", "letter.scale", "sector.scale"):
        data = f"folder[file={file}]"
        yield Row(f"{file}-softmax-l2-1", data, f"multinomial_l2[reg=1,{NO_B}]", wanted=1.5)
        yield Row(f"{file}-softmax-l1-0.01", data, f"multinomial_l1[reg=0.01,{NO_B}]", wanted=1.5)


def folder():
    """Every data set of the folder under nine penalties."""
    place = os.environ.get(VARIABLE)
    files = sorted(Path(place).iterdir()) if place else []
    for path in files:
        name = path.name.removesuffix(".svm.xz").removesuffix(".npz")
        if name == path.name:
            continue
        for kind, regs in (("l2", (10, 1, 0.1)), ("l1", (0.1, 0.01, 0.001))):
            for reg in regs:
                yield _of_file(name, kind, reg)
        for reg in (0.1, 0.01, 0.001):
            yield _of_file(name, "enet", reg)


def _of_file(name, kind, reg):
    if name in REGRESSION:
        task = {"l2": "ridge", "l1": "lasso", "enet": "enet"}[kind]
    else:
        task = f"classes_{kind}"
    objective = f"{task}[reg={reg},{NO_B}]"
    return Row(f"data/{name}-{kind}-{reg}", f"folder[file={name}]", objective, limit=10.0)


SMALL = [
    Row("small-l2-1", "simulated[n_samples=300,n_features=5]", f"logistic_l2[reg=1,{NO_B}]"),
    Row("small-lasso-0.1", "simulated[n_samples=60,n_features=90,n_classes=0]", f"lasso[{NO_B}]"),
]


def chosen(args):
    """The rows that the command line asks for; all by default."""
    if args.dataset or args.objective:
        data, objective = args.dataset or "a9a", args.objective or f"logistic_l2[{NO_B}]"
        return [Row(f"{objective} on {data}", data, objective, (1e-4, 1e-8))]
    every = SMALL if args.small else (*judged(), *folder())
    patterns = args.only or ["*"]
    return [row for row in every if any(fnmatch(row.name, pattern) for pattern in patterns)]


def load(row):
    """The objective of a row on its data, or why there is none."""
    source = registry.dataset(row.dataset)
    if reason := source.unavailable():
        return None, reason
    data = _data(row.dataset, source)
    classes = "logistic" if len(set(data["y"].tolist())) == 2 else "multinomial"
    objective = registry.objective(row.objective.replace("classes_", f"{classes}_"))
    skip, reason = objective.skip(**data)
    if not skip:
        objective.set_data(**data)
    return (None if skip else objective), reason


_last = {}


def _data(spec, source):
    """The data of a spec; the last ones are kept, for rows that follow each other."""
    if spec not in _last:
        _last.clear()
        _last[spec] = source.get_data()
    return _last[spec]
