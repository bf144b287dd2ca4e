"""The command line as a user meets it: files in, files and tables out, errors in one line."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit
from sklearn.datasets import dump_svmlight_file, make_classification, make_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score
from typer.testing import CliRunner

from fastsum.cli import app
from fastsum.cli._report import evaluate
from fastsum.datasets import make_click_log
from fastsum.jobs import FittedModel, load_model
from fastsum.losses import LOSSES


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def ok(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def fails(*arguments):
    """Return the one line of error that a failing command ends with."""
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("fastsum: ")]
    assert len(lines) == 1
    return lines[0]


def cell(output, name):
    """Return the cells of the table row called `name`."""
    row = next(line for line in output.splitlines() if re.search(rf"│ {name} +│", line))
    return [part.strip() for part in row.split("│")[2:-1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes in svmlight form, train and test."""
    folder = tmp_path_factory.mktemp("cli")
    X, y = make_classification(600, 12, random_state=0)
    y = 2 * y - 1
    dump_svmlight_file(X[:400], y[:400], str(folder / "train.svm"), zero_based=False)
    dump_svmlight_file(X[400:], y[400:], str(folder / "test.svm"), zero_based=False)
    np.savez(folder / "arrays.npz", X=X, y=y)
    return folder


@pytest.fixture(scope="module")
def model_file(folder):
    path = folder / "model.fsm"
    ok("fit", folder / "train.svm", "--out", path, "--tol", 1e-8)
    return path


# --- fit ------------------------------------------------------------------------------------------


def test_fit_finds_the_minimum_and_reports_it(folder):
    path = folder / "reported.fsm"
    arguments = ("--out", path, "--test", folder / "test.svm", "--alpha", 0.01, "--tol", 1e-9)
    result = ok("fit", folder / "train.svm", *arguments)

    with np.load(folder / "arrays.npz") as z:
        X, y = z["X"], z["y"]
    reference = LogisticRegression(C=1 / (0.01 * 400), tol=1e-10, max_iter=1000)
    reference.fit(X[:400], y[:400])
    margins = y[:400] * reference.decision_function(X[:400])
    objective = np.logaddexp(0, -margins).mean() + 0.005 * np.sum(reference.coef_**2)
    assert float(cell(result.stdout, "objective")[0]) == pytest.approx(objective, rel=1e-8)
    assert float(cell(result.stdout, "relative gap")[0]) <= 1e-9
    assert cell(result.stdout, "status") == ["converged"]
    for name, score in [
        ("log loss", lambda a, b: log_loss(b, reference.predict_proba(a))),
        ("AUC", lambda a, b: roc_auc_score(b, reference.decision_function(a))),
        ("accuracy", lambda a, b: accuracy_score(b, reference.predict(a))),
    ]:
        shown = [float(value) for value in cell(result.stdout, name)]
        assert shown == pytest.approx([score(X[:400], y[:400]), score(X[400:], y[400:])], abs=2e-5)

    model = load_model(path)
    assert np.allclose(model.coef, reference.coef_, atol=1e-4)
    assert model.classes.tolist() == [-1, 1] and model.classes.dtype.kind == "i"
    header = model.header
    assert (header["alpha"], header["status"], header["n_samples"]) == (0.01, "converged", 400)
    assert header["objective"] == pytest.approx(objective, rel=1e-8)
    assert "train.svm" in result.stderr and "400 samples, 12 features" in result.stderr


def test_alpha_defaults_to_one_over_n(model_file):
    assert load_model(model_file).header["alpha"] == 1 / 400


@pytest.mark.parametrize("solver", ["saga", "svrg"])
@pytest.mark.parametrize("loss", ["logistic", "multinomial", "squared_hinge", "smoothed_hinge"])
def test_losses_and_solvers(folder, tmp_path, loss, solver):
    arguments = ("--out", tmp_path / "m", "--loss", loss, "--solver", solver, "--tol", 1e-6)
    result = ok("fit", folder / "train.svm", *arguments)
    assert cell(result.stdout, "solver") == [solver]
    assert ("log loss" in result.stdout) == ("hinge" not in loss)
    assert float(cell(result.stdout, "accuracy")[0]) > 0.8
    assert load_model(tmp_path / "m").loss == loss


def test_losses_without_a_curvature(folder, tmp_path):
    ok("fit", folder / "train.svm", "--out", tmp_path / "m", "--loss", "hinge")
    assert load_model(tmp_path / "m").header["status"] == "converged"
    refused = ("--loss", "hinge", "--solver", "saga")
    line = fails("fit", folder / "train.svm", "--out", tmp_path / "m", *refused)
    assert "loss='hinge' has no finite curvature" in line and "'auto'" in line
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = rng.poisson(np.exp(X[:, 0] + 0.5))
    np.savez(tmp_path / "counts.npz", X=X, y=y)
    shown = ok("fit", tmp_path / "counts.npz", "--out", tmp_path / "p", "--loss", "poisson").stdout
    model = load_model(tmp_path / "p")
    assert model.coef[0] == pytest.approx([1.0, 0.0, 0.0], abs=0.15)
    np.testing.assert_allclose(model.predict(X), np.exp(X @ model.coef[0] + model.intercept[0]))
    assert float(cell(shown, "R2")[0]) == pytest.approx(r2_score(y, model.predict(X)), abs=1e-4)
    np.savez(tmp_path / "wrong.npz", X=X, y=-y)
    refused = ("--out", tmp_path / "p", "--loss", "poisson")
    assert "needs y >= 0" in fails("fit", tmp_path / "wrong.npz", *refused)


def test_parameter_of_the_loss(folder, tmp_path):
    for loss, param in (("huber", 0.5), ("smoothed_hinge", 2.0)):
        ok("fit", folder / "train.svm", "--out", tmp_path / "m", "--loss", loss)
        default = load_model(tmp_path / "m")
        more = ("--loss", loss, "--loss-param", param)
        ok("fit", folder / "train.svm", "--out", tmp_path / "m", *more)
        model = load_model(tmp_path / "m")
        assert default.header["loss_param"] == LOSSES[loss].param
        assert model.header["loss_param"] == param
        assert model.header["objective"] != default.header["objective"]
    failed = run("fit", folder / "train.svm", "--out", tmp_path / "m", "--loss-param", 1)
    assert failed.exit_code == 1 and "loss='logistic' has no parameter" in failed.output


def test_options_reach_the_problem(folder, tmp_path):
    options = ("--l1-ratio", 0.5, "--alpha", 0.05, "--no-intercept", "--dtype", "float32")
    ok("fit", folder / "train.svm", "--out", tmp_path / "m", *options, "--tol", 1e-4)
    model = load_model(tmp_path / "m")
    assert model.coef.dtype == np.float32 and model.intercept.tolist() == [0]
    assert model.header["l1_ratio"] == 0.5 and not model.header["fit_intercept"]
    assert np.count_nonzero(model.coef) < 12


def test_passes_run_out(folder, tmp_path):
    arguments = ("--out", tmp_path / "m", "--tol", 1e-12, "--max-iter", 2)
    result = ok("fit", folder / "train.svm", *arguments)
    assert cell(result.stdout, "status") == ["max_iter"] and cell(result.stdout, "passes") == ["2"]
    assert "Note: " in result.stderr and "max_iter" in result.stderr


def test_fit_multiclass_npz(tmp_path):
    X, y = make_classification(300, 8, n_classes=3, n_informative=5, random_state=1)
    labels = np.array(["ant", "bee", "cow"])[y]
    np.savez(tmp_path / "d.npz", X=X, y=labels)
    result = ok("fit", tmp_path / "d.npz", "--out", tmp_path / "m", "--loss", "multinomial")
    assert float(cell(result.stdout, "accuracy")[0]) > 0.6
    predicted = ok("predict", tmp_path / "m", tmp_path / "d.npz").stdout.split()
    assert set(predicted) == {"ant", "bee", "cow"}
    assert "3 classes" in repr(load_model(tmp_path / "m"))
    error = fails("fit", tmp_path / "d.npz", "--out", tmp_path / "m")
    assert "--loss logistic is for two classes, found 3: use --loss multinomial" in error


def test_fit_regression(tmp_path):
    X, y = make_regression(200, 5, noise=1.0, random_state=0)
    np.savez(tmp_path / "d.npz", X=X, y=y)
    arguments = ("--loss", "squared", "--alpha", 0.1, "--tol", 1e-10)
    result = ok("fit", tmp_path / "d.npz", "--out", tmp_path / "m", *arguments)
    reference = Ridge(alpha=0.1 * 200).fit(X, y)
    r2 = r2_score(y, reference.predict(X))
    assert float(cell(result.stdout, "R2")[0]) == pytest.approx(r2, abs=1e-5)
    lines = ok("predict", tmp_path / "m", tmp_path / "d.npz").stdout.split()
    assert np.allclose(np.array(lines, dtype=float), reference.predict(X), atol=1e-2)


def test_plot_is_a_png(folder, tmp_path):
    picture = tmp_path / "gap.png"
    ok("fit", folder / "train.svm", "--out", tmp_path / "m", "--plot", picture)
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5_000


def test_zero_based_is_remembered(folder, tmp_path):
    X = np.eye(4)[np.arange(40) % 4]
    y = np.arange(40) % 2
    dump_svmlight_file(X, y, str(tmp_path / "d.svm"), zero_based=True)
    assert "index 0 found" in fails("fit", tmp_path / "d.svm", "--out", tmp_path / "m")
    ok("fit", tmp_path / "d.svm", "--out", tmp_path / "m", "--zero-based")
    predicted = ok("predict", tmp_path / "m", tmp_path / "d.svm").stdout.split()
    assert predicted == [str(label) for label in y]


def test_n_features_makes_room_for_the_test_data(folder, tmp_path):
    (tmp_path / "t.svm").write_text("1 13:1\n-1 1:2\n")
    arguments = ("fit", folder / "train.svm", "--out", tmp_path / "m", "--test", tmp_path / "t.svm")
    assert "it has 13 features, 12 are expected" in fails(*arguments)
    assert not (tmp_path / "m").exists()
    ok(*arguments, "--n-features", 13)
    assert load_model(tmp_path / "m").n_features == 13


# --- predict and info -----------------------------------------------------------------------------


def test_predictions_are_those_of_the_model(folder, model_file, tmp_path):
    model = load_model(model_file)
    with np.load(folder / "arrays.npz") as z:
        X = z["X"][400:]
    lines = ok("predict", model_file, folder / "test.svm").stdout.split()
    assert lines == [str(label) for label in model.predict(X)]

    out = tmp_path / "p.csv"
    result = ok("predict", model_file, folder / "test.svm", "--proba", "--out", out)
    assert result.stdout == ""
    header, *rows = out.read_text().splitlines()
    p = np.array([row.split(",") for row in rows], dtype=float)
    expected = expit(X @ model.coef[0] + model.intercept[0])
    assert header == "-1,1" and np.allclose(p[:, 1], expected, atol=1e-10)
    assert np.allclose(p.sum(axis=1), 1)


def test_predict_needs_no_labels(model_file, folder, tmp_path):
    with np.load(folder / "arrays.npz") as z:
        np.savez(tmp_path / "x.npz", X=z["X"])
    assert len(ok("predict", model_file, tmp_path / "x.npz").stdout.split()) == 600


def test_info(model_file):
    result = ok("info", model_file)
    assert cell(result.stdout, "loss") == ["logistic"]
    assert cell(result.stdout, "classes") == ["-1, 1"]
    assert cell(result.stdout, "features") == ["12"]
    assert cell(result.stdout, "alpha") == ["0.0025"]
    assert cell(result.stdout, "status") == ["converged"]


def test_demo(tmp_path):
    result = ok("demo", "--rows", 2000)
    accuracies = [line for line in result.stdout.splitlines() if "│ accuracy" in line]
    train, test = (float(part) for part in accuracies[0].split("│")[2:4])
    assert 0.845 < train < 0.855 and 0.845 < test < 0.855  # what linear models reach on a9a
    gaps = [line for line in result.stdout.splitlines() if "│ relative gap" in line]
    assert len(gaps) == 2 and float(gaps[1].split("│")[2]) <= 1e-3


# --- scores ---------------------------------------------------------------------------------------


def test_scores_against_scikit_learn():
    X, y = make_classification(300, 8, n_classes=3, n_informative=5, random_state=1)
    reference = LogisticRegression().fit(X, y)
    model = FittedModel(reference.coef_, reference.intercept_, reference.classes_, "multinomial")
    p = reference.predict_proba(X)
    scores = evaluate(model, X, y)
    assert scores["log loss"] == pytest.approx(log_loss(y, p), rel=1e-12)
    assert scores["accuracy"] == accuracy_score(y, reference.predict(X))
    z = reference.decision_function(X)
    areas = [roc_auc_score(y == k, z[:, k]) for k in range(3)]
    assert scores["AUC"] == pytest.approx(np.mean(areas))

    rest = FittedModel(reference.coef_, reference.intercept_, reference.classes_, "logistic")
    assert evaluate(rest, X, y)["log loss"] == pytest.approx(log_loss(y, rest.predict_proba(X)))


def test_scores_that_are_not_defined():
    model = FittedModel(np.ones((1, 1)), np.zeros(1), np.array([0, 1]), "logistic")
    one_class = evaluate(model, np.ones((3, 1)), np.array([1, 1, 1]))
    assert one_class["AUC"] is None and one_class["accuracy"] == 1
    new_label = evaluate(model, np.ones((3, 1)), np.array([1, 0, 5]))
    assert new_label["log loss"] is None and new_label["accuracy"] == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="code both in the same way"):
        evaluate(model, np.ones((2, 1)), np.array(["0", "1"]))


def test_confident_mistakes_are_not_clipped():
    model = FittedModel(np.array([[1000.0]]), np.zeros(1), np.array([0, 1]), "logistic")
    assert evaluate(model, np.ones((1, 1)), np.array([0]))["log loss"] == 1000


# --- errors ---------------------------------------------------------------------------------------


def test_errors_are_one_line_and_name_the_file(folder, model_file, tmp_path):
    train, out = folder / "train.svm", tmp_path / "m"
    (tmp_path / "bad.svm").write_text("1 1:2\n1 2:x\n")
    (tmp_path / "one.svm").write_text("1 1:2\n1 2:3\n")
    (tmp_path / "text").write_text("hello")
    cases = [
        (("fit", "none.svm", "--out", out), "none.svm: No such file or directory"),
        (("fit", tmp_path / "bad.svm", "--out", out), "bad.svm, line 2: the value of '2:x'"),
        (("fit", tmp_path / "one.svm", "--out", out), "all labels are 1: a classifier needs"),
        (("fit", train, "--out", tmp_path / "no" / "m"), "does not exist; create it first"),
        (("fit", train, "--out", tmp_path), "is a folder; give the name of a file"),
        (("predict", tmp_path / "text", train), "text: not a whole model file"),
        (("predict", model_file, tmp_path / "bad.svm"), "bad.svm, line 2"),
        (("info", train), "train.svm: not a whole model file"),
        (("info", "none.fsm"), "none.fsm: No such file or directory"),
    ]
    for arguments, text in cases:
        assert text in fails(*arguments)
    assert not out.exists()


def test_probabilities_of_a_hinge(folder, tmp_path):
    ok("fit", folder / "train.svm", "--out", tmp_path / "m", "--loss", "squared_hinge")
    error = fails("predict", tmp_path / "m", folder / "train.svm", "--proba")
    assert "leave --proba out" in error


def test_plot_without_matplotlib(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    arguments = ("--out", tmp_path / "m", "--plot", tmp_path / "p.png")
    error = fails("fit", folder / "train.svm", *arguments)
    assert "--plot needs matplotlib" in error and not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "train.svm"),
        ("fit", "train.svm", "--out", "m", "--loss", "probit"),
        ("fit", "train.svm", "--out", "m", "--alpha", "-1"),
        ("fit", "train.svm", "--out", "m", "--l1-ratio", "1.5"),
        ("fit", "train.svm", "--out", "m", "--tol", "small"),
        ("demo", "--rows", "10"),
        ("nonsense",),
    ],
)
def test_usage_errors_exit_with_2(arguments):
    assert run(*arguments).exit_code == 2


def test_help_names_every_command():
    text = ok("--help").output
    assert all(name in text for name in ("fit", "predict", "info", "demo"))
    wide = CliRunner().invoke(app, ["fit", "--help"], env={"COLUMNS": "200"}).output
    assert "1 / number of samples" in wide and "svmlight text" in wide


# --- as a process ---------------------------------------------------------------------------------


def test_module_and_pipes(folder, model_file):
    command = [sys.executable, "-m", "fastsum", "predict", str(model_file)]
    done = subprocess.run(
        [*command, str(folder / "test.svm")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and len(done.stdout.split()) == 200 and done.stderr == ""
    failed = subprocess.run([*command, "none.svm"], capture_output=True, text=True, timeout=120)
    assert failed.returncode == 1
    assert failed.stderr == "fastsum: none.svm: No such file or directory\n"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupt_ends_with_130_and_writes_nothing(tmp_path):
    X, y = make_click_log(60_000, 30_000, random_state=0)
    arrays = {"data": X.data, "indices": X.indices, "indptr": X.indptr, "shape": X.shape}
    np.savez(tmp_path / "d.npz", y=y, **arrays)
    options = ["--tol", "0", "--alpha", "1e-9", "--max-iter", "1000000"]
    command = [sys.executable, "-m", "fastsum", "fit", "d.npz", "--out", "m", *options]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "60,000 samples" in process.stderr.readline()
    time.sleep(3)  # well inside the fit, which would take hours
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "fastsum: interrupted"
    assert "Traceback" not in stderr and os.listdir(tmp_path) == ["d.npz"]


def test_sparse_files_keep_their_storage(tmp_path):
    """A click log through a file: the same model as from memory, to the certificate."""
    X, y = make_click_log(3_000, 500, n_fields=10, click_rate=0.3, random_state=0)
    ones = {"indices": X.indices, "indptr": X.indptr, "shape": X.shape}
    np.savez(tmp_path / "d.npz", y=y, **ones)
    ok("fit", tmp_path / "d.npz", "--out", tmp_path / "m", "--alpha", 0.01, "--tol", 1e-9)
    reference = LogisticRegression(C=1 / (0.01 * 3_000), tol=1e-10, max_iter=1000)
    reference.fit(sp.csr_matrix(X, dtype=float), y)
    assert np.allclose(load_model(tmp_path / "m").coef, reference.coef_, atol=1e-4)
