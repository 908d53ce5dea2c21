"""Stages of a recipe in a few words: what a step of a lineage is called."""

from __future__ import annotations

from compression.recipe import Cut, Distill, Gradual, Lottery, Prune, Quantize, Recalibrate, Sparsify, Stage, Train
from compression.report.text import brief, share, unit_word

PENALTIES = {"l1": "L1", "l2": "L2", "group_lasso": "group lasso", "batchnorm_l1": "L1 on BatchNorm"}


def stage_words(stage: Stage) -> str:
    """One stage in a few words: "prune 50 % of channels", "train 3 epochs"."""
    match stage:
        case Prune():
            return f"prune {_amount(stage)}"
        case Gradual(schedule="dense_sparse_dense"):
            return f"train dense, sparse, dense at {_amount(stage)}, {_epochs(stage.epochs)}"
        case Gradual():
            return f"prune {_amount(stage)} gradually, {_epochs(stage.epochs)}"
        case Lottery():
            return f"draw a {_ticket(stage)}, {share(stage.sparsity)} pruned"
        case Recalibrate():
            what = [word for word, on in (("BatchNorm", stage.batchnorm), ("biases", stage.biases)) if on]
            return f"recalibrate {' and '.join(what)}"
        case Sparsify():
            return f"train with {PENALTIES[stage.penalty]}, {_epochs(stage.epochs)}"
        case Train():
            return f"train {_epochs(stage.epochs)}"
        case Distill():
            return f"{_taught(stage)}, {_epochs(stage.epochs)}"
        case Quantize():
            return f"quantise to int8, {stage.mode}"


def _amount(stage: Cut) -> str:
    unit = unit_word(stage.granularity)
    if isinstance(stage, Prune) and stage.threshold is not None:
        return f"{unit} below {brief(stage.threshold)}"
    return f"{share(stage.sparsity)} of {unit}" if stage.sparsity else f"{stage.granularity} of weights"


def _ticket(stage: Lottery) -> str:
    return {"winning": "winning ticket", "reinitialised": "ticket, reinitialised", "shuffled": "shuffled ticket"}[
        stage.ticket
    ]


def _taught(stage: Distill) -> str:
    who = "" if stage.student == "same" else f" into {stage.student}"
    if stage.alpha == 0:
        return f"train{who} without a teacher"
    return f"distil{who} at T = {brief(stage.temperature)}"


def _epochs(number: int) -> str:
    return f"{number} epoch{'s' if number > 1 else ''}"
