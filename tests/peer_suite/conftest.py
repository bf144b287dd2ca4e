"""Fixtures that scikit-learn's tests expect, and the sample that the default run takes."""

import os
import re
from itertools import groupby
from pathlib import Path

import pytest
import sklearn

HERE = Path(__file__).parent
SLOW = re.compile("CV.*-(saga|svrg)")  # a grid by methods that take long for its weakest penalties
THE_TABLES_OWN = sklearn.__version__.startswith("1.9.")  # the version that the table describes


def pytest_configure(config):
    config.addinivalue_line("markers", "thread_unsafe: a mark of scikit-learn's tests")


@pytest.fixture(scope="session")
def global_random_seed():
    """The seed upstream takes by default, or the one of its environment variable."""
    return int(os.environ.get("SKLEARN_TESTS_GLOBAL_RANDOM_SEED", "42"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """One case of each upstream test is the sample; the others are marked `full`."""
    ours = [i for i in items if HERE in i.path.parents and i.cls is not None]
    by_test = groupby(ours, lambda item: (item.cls, item.originalname))
    for number, (_, cases) in enumerate(by_test):
        cases = list(cases)
        quick = [case for case in cases if not SLOW.search(case.name)] or cases
        sample = quick[number % len(quick)]  # not always the same solver and container
        for case in cases:
            if case is not sample:
                case.add_marker(pytest.mark.full)
            for cases_that_fail, why in (
                getattr(case.function, "entry", {}).get("fails", {}).items()
            ):
                if re.search(cases_that_fail, case.name):
                    case.add_marker(pytest.mark.xfail(reason=why, strict=THE_TABLES_OWN))
