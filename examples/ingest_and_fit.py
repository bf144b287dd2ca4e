"""
From log files to a model
=========================

From log files to a model: a store on the disk, a job that is interrupted, and its resumption.
"""

import tempfile
from pathlib import Path

import numpy as np

from fastsum.jobs import Job, Recipe, load_model
from fastsum.store import Dataset, ingest

rng = np.random.default_rng(0)
folder = Path(tempfile.mkdtemp())

# two days of a log: clicked or not, the site, the hour, what the visitor has spent
for day in (1, 2):
    site, hour = rng.zipf(1.5, 20_000) % 1000, rng.integers(24, size=20_000)
    spent = np.round(rng.lognormal(size=20_000), 2)
    odds = np.sin(site) + np.log(spent) + 0.5 * (hour > 18) - 1
    clicked = rng.random(20_000) < 1 / (1 + np.exp(-odds))
    rows = zip(clicked.astype(int), site, hour, spent, strict=True)
    text = "".join(f"{c},site{s},{h},{x}\n" for c, s, h, x in rows)
    (folder / f"day{day}.csv").write_text("clicked,site,hour,spent\n" + text)

data = ingest(
    [folder / "day*.csv"],
    folder / "clicks",
    target="clicked",
    categorical=["hour"],
    bits=18,
    test_fraction=0.2,
)
print(data)


class PowerCut(Exception):
    """What ends the first attempt."""


def interrupt(progress):
    print(f"pass {progress.passes}: certified gap {progress.gap:.1e}")
    if progress.passes >= 8:
        raise PowerCut


recipe = Recipe(alpha=1e-5, tol=1e-6, solver="svrg", n_jobs=1)
job = Job.create(folder / "run", folder / "clicks", folder / "model", recipe, 0.0)
try:
    job.run(watch=interrupt)
except PowerCut:
    print("interrupted")
Job(folder / "run").run(watch=lambda p: print(f"pass {p.passes}: certified gap {p.gap:.1e}"))

model, test = load_model(folder / "model"), Dataset(folder / "clicks", "test")
p = model.predict_proba(test)[:, 1]
print(
    f"log loss on {test.n_rows:,} test rows: {-np.log(np.where(test.y == 1, p, 1 - p)).mean():.4f}"
)
