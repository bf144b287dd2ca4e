"""Long-lived fits and their results: jobs that survive their process, and model files."""

from .fitted_model import FittedModel
from .job import Job, JobError, Outcome, read_events
from .model_file import load_model, save_model
from .recipe import Recipe, Task, task_of

__all__ = [
    "FittedModel",
    "Job",
    "JobError",
    "Outcome",
    "Recipe",
    "Task",
    "load_model",
    "read_events",
    "save_model",
    "task_of",
]
