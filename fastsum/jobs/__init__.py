"""Long-lived results of fits: model files."""

from .fitted_model import FittedModel
from .model_file import load_model, save_model

__all__ = ["FittedModel", "load_model", "save_model"]
