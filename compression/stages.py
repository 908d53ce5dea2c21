"""What each kind of stage does to a model: the rooms below, joined."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from compression.distillation.lesson import lesson
from compression.distillation.students import fresh, student_blueprint
from compression.models.zoo import SAMPLES
from compression.pruning import Pruned
from compression.recipe import Distill, Fit, Prune, Stage, Train
from compression.registry import UserError, unknown
from compression.results import Epoch
from compression.subject import Subject, baseline, check_fit, prune_subject, subject_of
from compression.training import Diverged, fit

Work = Generator[tuple[str, Epoch | None], None, "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a stage hands on.

    Attributes:
        subject: the model as it is now, with its data.
        masks: by parameter name, what later training has to hold at zero.
        pruned: what a prune stage did.
        notes: what a reader of the result must know.
        stopped: why training ended before its last epoch, if it did.
    """

    subject: Subject
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    pruned: Pruned | None = None
    notes: tuple[str, ...] = ()
    stopped: str = ""


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
    if isinstance(stage, Prune):
        return _pruned(before, stage, seed)
    if isinstance(stage, Train):
        return _trained(before, stage, seed, number)
    return _distilled(before, stage, original, seed, number)


def _pruned(before: Outcome, stage: Prune, seed: int) -> Work:
    yield f"pruning {stage.granularity} by {stage.criterion}", None
    pruned = prune_subject(before.subject, stage, seed)
    masks = _zeros_kept(pruned.model, {*before.masks, *pruned.masks})
    return Outcome(replace(before.subject, model=pruned.model), masks, pruned)


def _zeros_kept(model: nn.Module, names: set[str]) -> dict[str, Tensor]:
    """Masks read off the weights: what is pruned is exactly zero, also after later surgery."""
    parameters = dict(model.named_parameters())
    return {name: parameters[name].detach() != 0 for name in names if name in parameters}


def _trained(before: Outcome, stage: Train, seed: int, number: int) -> Work:
    model = copy.deepcopy(before.subject.model)
    settings = stage.model_dump(exclude={"kind"}) | {"masks": before.masks}
    stopped = yield from _fitted("training", model, before.subject, settings, seed, number)
    return Outcome(replace(before.subject, model=model), before.masks, stopped=stopped)


def _distilled(before: Outcome, stage: Distill, original: Subject, seed: int, number: int) -> Work:
    subject = before.subject
    teacher, student = teacher_of(stage, subject, original), student_of(stage, subject, original, seed)
    masks = before.masks if _goes_on(stage, subject, original) else {}
    yield f"asking the teacher {teacher.name}", None
    if stage.alpha:
        better_than_chance(teacher)
    goal = lesson(stage, student.model, teacher.model, subject.dataset, seed)
    settings = stage.model_dump(include={*Fit.model_fields, "copies", "without"}, exclude={"kind"})
    settings |= {"objective": goal, "masks": masks}
    verb = "distilling" if stage.alpha else "training the student alone"
    stopped = yield from _fitted(verb, student.model, subject, settings, seed, number)
    notes = [goal.answers.note] if stage.alpha else []
    if _parameters(student.model) > _parameters(teacher.model):
        notes.append("The student is larger than its teacher.")
    return Outcome(student, masks, notes=tuple(notes), stopped=stopped)


def _fitted(
    verb: str, model: nn.Module, subject: Subject, settings: dict[str, Any], seed: int, number: int
) -> Generator[tuple[str, Epoch | None], None, str]:
    """Train in place; the value is why it stopped early, or nothing. What whole epochs made is kept."""
    done = 0
    try:
        for epoch in fit(model, subject.dataset, seed=seed, stage=number, **settings):
            done = epoch.epoch
            yield f"{verb}, epoch {done} of {settings['epochs']}", epoch
    except Diverged as fault:
        if not done:
            raise
        return f"{fault}; kept what {done} epoch{'s' if done > 1 else ''} made"
    return ""


def teacher_of(stage: Distill, present: Subject, original: Subject) -> Subject:
    """Who teaches in a stage.

    Raises:
        UserError: an unknown name, a file that cannot be read, or a model for other images or classes.
    """
    roles = {"original": original, "present": present}
    roles["auto"] = roles["original" if stage.student == "same" else "present"]
    if stage.teacher in roles:
        return roles[stage.teacher]
    if stage.teacher not in SAMPLES and not stage.teacher.endswith(".safetensors"):
        raise UserError(unknown("teacher", stage.teacher, (*roles, *SAMPLES)))
    return subject_of(stage.teacher, present.dataset)


def student_of(stage: Distill, present: Subject, original: Subject, seed: int) -> Subject:
    """Who learns in a stage: a copy of the present model where it goes on, else a fresh one."""
    if _goes_on(stage, present, original):
        return replace(present, model=copy.deepcopy(present.model))
    blueprint = student_blueprint(stage, present.blueprint)
    check_fit(f"student {stage.student}", model := fresh(blueprint, seed).eval(), blueprint, present.dataset)
    return Subject(f"student of {original.name}", model, blueprint, present.dataset)


def _goes_on(stage: Distill, present: Subject, original: Subject) -> bool:
    return stage.student == "same" and present.model is not original.model


def better_than_chance(teacher: Subject) -> None:
    """Raise UserError where a teacher knows no more than chance: there is nothing to learn from it."""
    measured, chance = baseline(teacher)[1], 1 / len(teacher.dataset.classes)
    if measured.accuracy_low <= chance:
        raise UserError(
            f"Teacher '{teacher.name}' is right on {measured.accuracy:.1%} of the validation images, no better than "
            f"chance ({chance:.1%}); train it first or choose another"
        )


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
