"""Successive halving: a trial that is behind its rivals at a rung is stopped, so that the others have its time.

The first rung is cheap: what comes before the first training, with BatchNorm counted anew. The
others are epochs 1, 2, 4, 8 and so on. A study has two objectives as a rule, and whoever compared
accuracies alone would stop all small models; so a trial's rivals are those no larger than it is.

Source: Li et al. 2020, A system for massively parallel hyperparameter tuning, arXiv 1810.05934, algorithm 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from compression.recipe import Distill, Recalibrate, Recipe, Train, epochs_of

ETA = 2
"""One in so many goes on from a rung."""
RIVALS = 2
"""Fewer at a rung, and everybody goes on: there is nothing to compare with yet."""


@dataclass(frozen=True)
class Rung:
    """How a trial does at a rung: 0 is the first look, n is epoch n; ``cost`` is its packed size in bytes."""

    trial: int
    rung: int
    accuracy: float
    cost: float


def first_look(recipe: Recipe) -> Recipe | None:
    """The recipe up to its first training, BatchNorm counted anew.

    None where a look at it says nothing: nothing is trained, the student starts from new weights,
    or weights are still removed while training goes on.
    """
    before = tuple(takewhile(lambda stage: epochs_of(stage) == 0, recipe.stages))
    heals = all(
        isinstance(stage, Train | Recalibrate) or (isinstance(stage, Distill) and stage.student == "same")
        for stage in recipe.stages[len(before) :]
    )
    if not before or len(before) == len(recipe.stages) or not heals:
        return None
    counted = before if isinstance(before[-1], Recalibrate) else (*before, Recalibrate())
    return recipe.model_copy(update={"stages": counted})


def is_rung(epoch: int) -> bool:
    """Whether trials are compared after this epoch, the first being 1."""
    return epoch & (epoch - 1) == 0


def behind(own: Rung, others: Iterable[Rung]) -> bool:
    """Whether a trial is not among the better half of those at its rung that are no larger than it."""
    rivals = [one for one in others if one.rung == own.rung and one.cost <= own.cost and one.trial != own.trial]
    if len(rivals) < RIVALS:
        return False
    ahead = sum(one.accuracy > own.accuracy for one in rivals)
    return ahead >= math.ceil((len(rivals) + 1) / ETA)
