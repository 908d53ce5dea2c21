"""What each kind of stage does to a model: the rooms below, joined."""

from __future__ import annotations

from compression.recipe import Distill, Gradual, Lottery, Prune, Quantize, Recalibrate, Sparsify, Stage, Train
from compression.stages.outcome import Outcome, Work, after, finished
from compression.stages.smaller import drawn, gradually_pruned, pruned, quantised, recalibrated, sparsified, trained
from compression.stages.teaching import better_than_chance, check_students, distilled, student_of, teacher_of
from compression.subject import Subject

__all__ = [
    "Outcome",
    "Work",
    "after",
    "better_than_chance",
    "carry_out",
    "check_students",
    "finished",
    "student_of",
    "teacher_of",
]


def carry_out(before: Outcome, stage: Stage, original: Subject, seed: int, number: int) -> Work:
    """Carry out one stage, yielding what happens and each epoch; the generator's value is the outcome.

    Args:
        before: what the stage finds.
        stage: what to do.
        original: the recipe's model, as it was before the first stage.
        seed: of the recipe.
        number: of the stage, passed on into the epochs.

    Raises:
        UserError: names, amounts or layers that do not fit.
        Diverged: training failed within its first epoch, so that there is nothing to keep.
    """
    match stage:
        case Prune():
            return pruned(before, stage, seed)
        case Recalibrate():
            return recalibrated(before, stage, seed)
        case Train():
            return trained(before, stage, seed, number)
        case Gradual():
            return gradually_pruned(before, stage, seed, number)
        case Lottery():
            return drawn(stage, original, seed, number)
        case Sparsify():
            return sparsified(before, stage, seed, number)
        case Distill():
            return distilled(before, stage, original, seed, number)
        case Quantize():
            return quantised(before, stage, seed)
