"""Training and prediction on resident tensors."""

from compression.training.batches import Step, taken_of
from compression.training.fitting import Diverged, Masking, Objective, fit, hold
from compression.training.prediction import inputs, normalise, predict, prepare_process
from compression.training.recount import recount

__all__ = [
    "Diverged",
    "Masking",
    "Objective",
    "Step",
    "fit",
    "hold",
    "inputs",
    "normalise",
    "predict",
    "prepare_process",
    "recount",
    "taken_of",
]
