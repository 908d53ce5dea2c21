"""The stage that distils: who teaches, who learns, and the lesson itself."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import nn

from compression.distillation.lesson import lesson
from compression.distillation.students import fresh, student_blueprint
from compression.models.files import Loaded
from compression.models.zoo import available
from compression.recipe import Distill, Recipe
from compression.registry import UserError, unknown
from compression.stages.outcome import Outcome, Work, fitted
from compression.subject import Subject, as_trained, at_chance, baseline, subject_of


def distilled(before: Outcome, stage: Distill, original: Subject, seed: int, number: int) -> Work:
    """Teach a student; whether it goes on or starts anew, and who teaches, the stage says."""
    subject = before.subject
    teacher, student = teacher_of(stage, subject, original), student_of(stage, subject, original, seed)
    goes_on = _goes_on(stage, subject, original)
    masks = before.masks if goes_on else {}
    yield f"asking the teacher {teacher.name}", None
    if stage.alpha:
        better_than_chance(teacher)
    goal = lesson(stage, student.model, teacher.model, subject.dataset, seed)
    settings = stage.settings() | {"copies": stage.copies, "without": stage.without, "seed": seed}
    settings |= {"objective": goal, "masks": masks}
    verb = "distilling" if stage.alpha else "training the student alone"
    stopped = yield from fitted(verb, student, settings, number)
    notes = [goal.answers.note] if stage.alpha else []
    if stage.student == "same" and not goes_on:
        notes.append("The student is a twin of the present model with new weights: no stage before has changed it.")
    if _parameters(student.model) > _parameters(teacher.model):
        notes.append("The student is larger than its teacher.")
    return Outcome(student, masks, notes=tuple(notes), stopped=stopped)


def check_students(recipe: Recipe, original: Subject) -> None:
    """Raise UserError for a student or teacher that cannot be, before anything is trained."""
    present = original
    for stage in recipe.stages:
        if isinstance(stage, Distill):
            teacher_of(stage, present, original)
            present = student_of(stage, present, original, recipe.seed)  # which the next of them finds


def teacher_of(stage: Distill, present: Subject, original: Subject) -> Subject:
    """Who teaches in a stage.

    Raises:
        UserError: an unknown name, a file that cannot be read, or a model for other images or classes.
    """
    roles = {"original": original, "present": present}
    roles["auto"] = roles["original" if stage.student == "same" else "present"]
    if stage.teacher in roles:
        return roles[stage.teacher]
    if stage.teacher not in available() and not stage.teacher.endswith(".safetensors"):
        raise UserError(unknown("teacher", stage.teacher, (*roles, *available())))
    teacher = subject_of(stage.teacher, present.dataset)
    if teacher.dataset.normalisation != present.dataset.normalisation:
        raise UserError(
            f"Teacher '{stage.teacher}' was trained on images normalised otherwise than those of '{present.name}'; "
            "a lesson shows both the same images, so take the teacher as the recipe's model, or import both alike"
        )
    return teacher


def student_of(stage: Distill, present: Subject, original: Subject, seed: int) -> Subject:
    """Who learns in a stage: a copy of the present model where it goes on, else a fresh one."""
    if _goes_on(stage, present, original):
        return replace(present, model=copy.deepcopy(present.model))
    blueprint = replace(student_blueprint(stage, present.blueprint), normalisation=present.blueprint.normalisation)
    learner = Loaded(fresh(blueprint, seed).eval(), blueprint)
    dataset = as_trained(f"student {stage.student}", learner, present.dataset)
    return Subject(f"student of {original.name}", learner.model, blueprint, dataset)


def _goes_on(stage: Distill, present: Subject, original: Subject) -> bool:
    return stage.student == "same" and present.model is not original.model


def better_than_chance(teacher: Subject) -> None:
    """Raise UserError where a teacher knows no more than chance: there is nothing to learn from it."""
    measured = baseline(teacher)[1]
    if at_chance(teacher, measured):
        raise UserError(
            f"Teacher '{teacher.name}' is right on {measured.accuracy:.1%} of the validation images, no better than "
            f"chance ({1 / len(teacher.dataset.classes):.1%}); train it first or choose another"
        )


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
