"""Successive halving: a trial that is behind its rivals at a rung is stopped, so that the others have its time.

The first rung is cheap: what comes before the first training, with BatchNorm counted anew. The
others are epochs 1, 2, 4, 8 and so on. A study has two objectives as a rule, and whoever compared
accuracies alone would stop all small models; so a trial's rivals are those that cost no more.

Source: Li et al. 2020, A system for massively parallel hyperparameter tuning, arXiv 1810.05934, algorithm 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from compression.recipe import Distill, Quantize, Recalibrate, Recipe, Train, epochs_of

ETA = 2
"""One in so many goes on from a rung."""
RIVALS = 2
"""Fewer at a rung, and everybody goes on: there is nothing to compare with yet."""


@dataclass(frozen=True)
class Rung:
    """How a trial does at a rung: 0 is the first look, n is epoch n.

    ``cost`` is the study's, such as its packed size in bytes; ``epochs`` are all that it is to be trained for.
    """

    trial: int
    rung: int
    accuracy: float
    cost: float
    epochs: int


def first_look(recipe: Recipe) -> Recipe | None:
    """The recipe up to its first training, BatchNorm counted anew, and rounded to int8 where it ends so.

    None where a look at it says nothing: nothing is trained, the student starts from new weights,
    or weights are still removed while training goes on.
    """
    before = tuple(takewhile(lambda stage: epochs_of(stage) == 0, recipe.stages))
    heals = all(
        isinstance(stage, Train | Recalibrate | Quantize) or (isinstance(stage, Distill) and stage.student == "same")
        for stage in recipe.stages[len(before) :]
    )
    if not before or len(before) == len(recipe.stages) or not heals:
        return None
    counted = before if isinstance(before[-1], Recalibrate) else (*before, Recalibrate())
    return recipe.model_copy(update={"stages": (*counted, *recipe.rounding)})


def is_rung(epoch: int) -> bool:
    """Whether trials are compared after this epoch, the first being 1."""
    return epoch & (epoch - 1) == 0


def behind(own: Rung, others: Iterable[Rung]) -> bool:
    """Whether a trial is not among the better half of its rivals at a rung: those that cost no more than it.

    After training has begun they are those that are trained as long, too: whoever is to be trained
    for eight epochs still learns at a high rate when one of two epochs is done.
    """
    rivals = [
        one
        for one in others
        if (one.rung, one.trial != own.trial) == (own.rung, True)
        and one.cost <= own.cost
        and (own.rung == 0 or one.epochs == own.epochs)
    ]
    if len(rivals) < RIVALS:
        return False
    ahead = sum(one.accuracy > own.accuracy for one in rivals)
    return ahead >= math.ceil((len(rivals) + 1) / ETA)
