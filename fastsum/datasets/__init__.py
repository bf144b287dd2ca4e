"""Data to try the solvers on: generated click logs and two small real sets."""

from ._click_log import make_click_log
from ._examples import load_example
from ._readers import DataInfo, read_data
from ._svmlight import first_fault

__all__ = ["DataInfo", "first_fault", "load_example", "make_click_log", "read_data"]
