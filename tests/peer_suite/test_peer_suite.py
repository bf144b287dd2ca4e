"""scikit-learn's own tests, run with our classes in place of theirs; see README.md here."""

import pytest
import sklearn
from peer_suite import upstream

for _module in upstream.TABLE:
    _name = upstream.class_name(_module)
    _found = upstream.tests_of(_module)
    _tests = {n: staticmethod(f) for n, f in _found.items() if n.startswith("test_")}
    globals().update((n, f) for n, f in _found.items() if n not in _tests)  # fixtures
    globals()[_name] = type(_name, (), _tests)


@pytest.mark.parametrize("module", upstream.TABLE)
def test_the_table_names_every_upstream_test(module):
    if not sklearn.__version__.startswith("1.9."):
        pytest.skip("the table is that of scikit-learn 1.9")
    found = {name for name in vars(upstream.load(module)) if name.startswith("test_")}
    assert found == set(upstream.TABLE[module])
