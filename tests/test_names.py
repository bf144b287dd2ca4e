"""Names of hashed columns: against a count of the categories in the text, and in the report."""

import collections
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.utils import murmurhash3_32
from typer.testing import CliRunner

import fastsum
from fastsum.cli._app import app
from fastsum.store import Dataset, StoreError, ingest
from fastsum.store._encode import log_bin
from fastsum.store._format import seal
from fastsum.store._names import MISSING, bin_name, merged
from fastsum.store._settings import Encoding

EVIL = "<script>x</script>"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Rows of a category with a missing and a hostile value, one of many values, and a number."""
    path = tmp_path_factory.mktemp("names") / "a.csv"
    rng = np.random.default_rng(0)
    sites = rng.choice(["a", "b", EVIL, ""], size=900, p=[0.5, 0.3, 0.15, 0.05])
    users = rng.zipf(1.5, size=900) % 2000
    prices = rng.choice(["0", "2", "7.5", "-7.5", "0.3", ""], size=900)
    clicks = rng.random(900) < np.where(sites == "a", 0.8, 0.2)
    rows = [f"{int(c)},{s},u{u},{p}" for c, s, u, p in zip(clicks, sites, users, prices)]  # noqa: B905
    path.write_text("click,site,user,price\n" + "\n".join(rows) + "\n")
    return path, sites, [f"u{u}" for u in users], prices


def test_names_are_those_of_the_text(source, tmp_path):
    path, sites, users, prices = source
    data = ingest([path], tmp_path / "s", target="click", bits=24)
    encoding = Encoding(bits=24)
    expected = {}
    for field, values in (("site", sites), ("user", users)):
        top = collections.Counter(values).most_common(128)
        least = top[-1][1]
        for value, count in top:
            if count > least:  # among equals it is chance which are kept
                seed = encoding.seed_of(field)
                column = murmurhash3_32(str(value), seed=seed, positive=True) % (1 << 24)
                expected[column] = [(field, str(value) or MISSING)]
    named = {c: n for c, n in data.names.items() if n[0][0] != "price"}
    assert len(named) <= 4 + 128 and expected.items() <= named.items()
    bins = {n[0][1] for n in data.names.values() if n[0][0] == "price"}
    assert bins == {bin_name(float(p)) if p else MISSING for p in set(prices)}
    # every column that is named is in use by as many rows as have the category
    rows = data.rows.matrix()
    count = np.asarray((rows != 0).sum(axis=0)).ravel()
    (column,) = [c for c, n in data.names.items() if n == [("site", "a")]]
    assert count[data.columns.tolist().index(column)] == (sites == "a").sum()


def test_a_number_is_in_the_bin_of_its_name():
    for x in np.concatenate([np.geomspace(1e-4, 1e6, 300), np.arange(4), -np.geomspace(0.01, 99)]):
        name = bin_name(x)
        if "to" not in name:
            assert int(abs(x)) == abs(int(name))
            continue
        low, high = (float(part) for part in name.strip("-()").split(" to "))
        assert low * 0.995 <= abs(x) <= high * 1.005 and name.startswith("-") == (x < 0)
        inside = np.sign(x) * np.sqrt(low * high)
        assert log_bin(np.array([inside])) == log_bin(np.array([x]))


def test_the_most_frequent_of_all_blocks_are_kept():
    blocks = [[["f", k, 1 + (k == b), f"{k}-{b}"] for k in range(5000)] for b in range(3)]
    found = merged([*blocks, [["g", 7, 1, "x"]]])
    assert [entry[:3] for entry in found[:3]] == [("f", k, 4) for k in range(3)]
    assert found[0] == ("f", 0, 4, "0-0") and found[-1] == ("g", 7, 1, "x")
    assert len(found) == 1001


def test_stores_without_names(source, tmp_path):
    data = ingest([source[0]], tmp_path / "s", target="click", bits=12, names=False)
    assert data.names == {} and not (tmp_path / "s" / "names.json").exists()
    (tmp_path / "a.svm").write_text("1 3:1\n0 4:1\n")
    assert ingest([tmp_path / "a.svm"], tmp_path / "t").names == {}


@pytest.mark.parametrize("text", ["", "[[1, 2, 3, 4]]", "{}", "[" * 10**5, '[["f", 1, true, "x"]]'])
def test_broken_names_are_refused(source, tmp_path, text):
    store = ingest([source[0]], tmp_path / "s", target="click", bits=12).path
    (store / "names.json").write_text(text)
    with pytest.raises(StoreError, match="checksum"):
        _ = Dataset(store).names
    manifest = json.loads((store / "manifest.json").read_text())
    from fastsum.store._names import _crc

    manifest["names_crc"] = _crc(text.encode())
    manifest["checksum"] = seal(manifest)
    (store / "manifest.json").write_text(json.dumps(manifest))
    if text == "{}":
        assert Dataset(store).names == {}
        return
    with pytest.raises(StoreError, match="cannot be read"):
        _ = Dataset(store).names


class Tables(HTMLParser):
    """The tables of a page by the heading before them."""

    def __init__(self):
        super().__init__()
        self.found, self.tags, self._into, self._title = {}, set(), None, ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._into = tag
        if tag == "h2":
            self._title = ""
        elif tag == "tr":
            self.found.setdefault(self._title, []).append([])
        elif tag in ("td", "th"):
            self.found[self._title][-1].append("")

    def handle_data(self, text):
        if self._into == "h2":
            self._title += text
        elif self._into in ("td", "th"):
            self.found[self._title][-1][-1] += text

    def handle_endtag(self, tag):
        self._into = None


def test_the_report_names_the_largest_coefficients(source, tmp_path):
    run, store = CliRunner(), str(tmp_path / "s")
    ingesting = ["ingest", str(source[0]), "--out", store, "--target", "click", "--bits", "26"]
    fitting = ["fit", store, "--job", str(tmp_path / "job"), "--out", str(tmp_path / "m"),
               "--alpha", "1e-3"]  # fmt: skip
    for command in (ingesting, fitting):
        result = run.invoke(app, command)
        assert result.exit_code == 0, result.output
    page = (tmp_path / "job" / "report.html").read_text()
    parser = Tables()
    parser.feed(page)
    assert "script" not in parser.tags
    top = parser.found["Largest coefficients"][1:]
    model = fastsum.load_model(tmp_path / "m")
    largest = np.sort(np.abs(model.coef.data))[::-1][:30]
    np.testing.assert_allclose([abs(float(row[-1])) for row in top], largest, rtol=1e-5)
    named = {row[0]: float(row[-1]) for row in top}
    by_field = parser.found["Largest coefficients of frequent categories by field"][1:]
    assert [row[0] for row in by_field if row[0]] == ["site", "user", "price"]
    sites = {row[1]: float(row[3]) for row in by_field[:4]}
    assert set(sites) == {"a", "b", EVIL, MISSING} and max(sites, key=sites.get) == "a"
    assert named["site = a"] == sites["a"]
    column = next(int(row[2]) for row in by_field if row[1] == "a")
    assert f"{model.coef[:, [column]].toarray()[0, 0]:+.6g}" == f"{sites['a']:+.6g}"
