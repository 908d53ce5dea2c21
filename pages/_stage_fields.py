"""The fields of every kind of stage: which a form shows, under what words, within what bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from compression.distillation.losses import DISTILLATIONS
from compression.distillation.students import STUDENTS
from compression.pruning import CRITERIA, GRANULARITIES, SCOPES
from compression.pruning.penalties import PENALTIES
from compression.pruning.schedules import SCHEDULES
from compression.quantization import MODES
from compression.recipe import Augment, Ramp, Ticket
from compression.registry import Method

Body = dict[str, Any]
KINDS = {
    "prune": "Prune",
    "recalibrate": "Recalibrate",
    "train": "Train (fine-tune)",
    "gradual": "Prune gradually",
    "lottery": "Lottery ticket",
    "sparsify": "Sparsify (penalty)",
    "distill": "Distil",
    "quantize": "Quantise (int8)",
}
NEW: dict[str, Body] = {
    "prune": {"sparsity": 0.5},
    "gradual": {"sparsity": 0.9},
    "train": {"epochs": 3},
    "distill": {"lr": 0.01},
}
"""Where a new stage of a kind opens, other than at its defaults."""
TABLES: dict[str, Mapping[str, Method]] = {
    "granularity": GRANULARITIES,
    "criterion": CRITERIA,
    "scope": SCOPES,
    "schedule": SCHEDULES,
    "penalty": PENALTIES,
    "method": DISTILLATIONS,
    "student": STUDENTS,
    "mode": MODES,
}
"""Fields whose choices have method cards."""
CHOICES: dict[str, tuple[str, ...]] = {
    "ramp": get_args(Ramp),
    "ticket": get_args(Ticket),
    "augment": get_args(Augment),
    "teacher": ("auto", "original", "present"),
}
LABELS = {
    "granularity": "Style", "criterion": "Criterion", "scope": "Scope", "sparsity": "Sparsity", "schedule": "Schedule",
    "rounds": "Rounds", "end": "Done by", "restart": "Fine-tune in every round", "round_to": "Widths at multiples of",
    "images": "Images looked at", "epochs": "Epochs", "lr": "Learning rate", "augment": "Augmentation",
    "weight_decay": "Weight decay", "batch_size": "Batch", "rewind": "Rewind to epoch", "ticket": "Ticket",
    "penalty": "Penalty", "strength": "Strength", "ramp": "Ramp", "batchnorm": "BatchNorm statistics",
    "biases": "Biases of linear layers", "student": "Student", "width": "Width", "depth": "Depth",
    "hidden": "Units of each layer", "threshold": "Threshold", "amount": "Amount by", "method": "Method",
    "temperature": "Temperature", "alpha": "Teacher's weight α", "teacher": "Teacher",
    "mode": "Ranges", "per_channel": "A scale for each channel",
}  # fmt: skip
HELP = {
    "end": "The fraction of the training after which the sparsity rises no more.",
    "restart": "The learning rate rises and falls in every round: prune a little, heal, and again.",
    "epochs": "Of a lottery ticket: in each round.",
    "rewind": "0: the weights left go back to what they were before training.",
    "ticket": "Reinitialised and shuffled are the controls of the lottery ticket hypothesis.",
    "strength": "What the penalty weighs in the loss.",
    "lr": "The highest; it rises for a fifth of the steps, then falls to zero.",
    "teacher": "Auto: the original where the student is the present model, else the present model.",
    "images": "Training images that a criterion, a recalibration or a calibration looks at.",
    "per_channel": "Of each weight. Off: one scale for a layer, which takes fewer bytes and rounds more coarsely.",
    "weight_decay": "L2 on weights, by the optimiser.",
}
NUMBERS: dict[str, tuple[float, float, float, str]] = {
    "sparsity": (0.01, 0.99, 0.01, "%.3g"),
    "threshold": (1e-6, 10.0, 0.001, "%.4g"),
    "rounds": (1, 100, 1, "%d"),
    "end": (0.05, 1.0, 0.05, "%.2f"),
    "round_to": (1, 64, 1, "%d"),
    "images": (2, 50_000, 64, "%d"),
    "epochs": (1, 200, 1, "%d"),
    "lr": (0.0001, 1.0, 0.01, "%.4g"),
    "weight_decay": (0.0, 0.1, 0.0001, "%.4g"),
    "batch_size": (8, 2048, 8, "%d"),
    "rewind": (0, 199, 1, "%d"),
    "strength": (1e-7, 10.0, 0.0001, "%.4g"),
    "width": (0.05, 1.0, 0.05, "%.2f"),
    "depth": (0.1, 1.0, 0.1, "%.2f"),
    "temperature": (0.5, 100.0, 0.5, "%.4g"),
    "alpha": (0.0, 1.0, 0.05, "%.2f"),
}
"""Of each number: least, most, step, how it is written."""
OPENING = {"sparsity": 0.5, "threshold": 0.01}
"""Where a number opens that a stage can do without."""
TRAINING = ("augment", "weight_decay", "batch_size")
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "prune": (("granularity", "criterion", "scope", "amount", "sparsity", "threshold"), ("round_to", "images")),
    "recalibrate": (("batchnorm", "biases"), ("images", "augment")),
    "train": (("epochs", "lr"), TRAINING),
    "gradual": (
        ("granularity", "criterion", "scope", "sparsity", "schedule", "rounds", "epochs", "lr"),
        ("restart", "end", "round_to", "images", *TRAINING),
    ),
    "lottery": (("sparsity", "rounds", "rewind", "ticket", "epochs", "lr"), ("scope", *TRAINING)),
    "sparsify": (("penalty", "strength", "ramp", "epochs", "lr"), TRAINING),
    "distill": (
        ("student", "width", "depth", "hidden", "method", "temperature", "alpha", "epochs", "lr"),
        ("teacher", *TRAINING),
    ),
    "quantize": (("mode", "images"), ("per_channel",)),
}
"""Of each kind: the fields that are shown, and those under More. What no form shows stays as it is."""
WIDTH = 190
