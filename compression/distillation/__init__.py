"""Distillation: what a student learns from a teacher, and where the two are compared."""

from compression.distillation.features import Regressors, Stage, Watch, chosen, match, stages, usable
from compression.distillation.losses import DISTILLATIONS, SCALES, View

__all__ = [
    "DISTILLATIONS",
    "SCALES",
    "Regressors",
    "Stage",
    "View",
    "Watch",
    "chosen",
    "match",
    "stages",
    "usable",
]
