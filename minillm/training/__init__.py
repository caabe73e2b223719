"""Training: the loop, and all that makes a run survive."""

from .loop import Result, TrainingProblem, train
from .settings import Settings

__all__ = ["Result", "Settings", "TrainingProblem", "train"]
