"""How a trial is made: its recipe run in this process, which hears of every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

from compression.measure.hardware import hardware
from compression.pipeline import Event, run
from compression.recipe import Cut, Recipe, fixed_sparsity
from compression.registry import UserError
from compression.studies.halving import Rung, first_look, is_rung
from compression.studies.trial import Made, Row, Trial
from compression.subject import load_subject
from compression.training import prepare_process
from compression.training.device import work_on
from compression.training.stopping import Stopped


def made(trial: Trial, tell: Callable[[Rung], None] | None = None) -> Made:
    """Run a trial in this process; ``tell`` hears how it does at every rung."""
    prepare_process(threads=1)
    began = time.perf_counter()
    epochs: list[Row] = []
    try:
        work_on(trial.device)
        cost = _looked_at(trial, tell) if tell else None

        def heard(event: Event) -> None:
            if event.epoch:
                epochs.append(event.epoch.model_dump(mode="json"))
            if event.epoch and tell and cost is not None and is_rung(len(epochs)):
                tell(Rung(trial.number, len(epochs), event.epoch.val_accuracy, cost, trial.recipe.epochs))

        result = run(trial.recipe, heard, split=trial.split, limit=trial.limit)
    except Stopped:
        return Made(stopped=True, seconds=time.perf_counter() - began)
    except UserError as fault:
        return Made(reason=str(fault), seconds=time.perf_counter() - began)
    row = {
        "model": trial.recipe.model,
        "data": load_subject(trial.recipe.model, trial.recipe.data).dataset.name,
        "seed": trial.recipe.seed,
        **described(trial.recipe),
        **trial.setting,
        "achieved_sparsity": result.achieved_sparsity,
        **result.final.row(),
    }
    seconds = time.perf_counter() - began
    return Made(row, result.stopped, False, result.weights, seconds, epochs, {**hardware(), "device": trial.device})


def _looked_at(trial: Trial, tell: Callable[[Rung], None]) -> float | None:
    """Tell how a trial does before it is trained; its cost, or None where a first look says nothing."""
    look = first_look(trial.recipe)
    if look is None:
        return None
    found = run(look, split="val", limit=trial.limit).final
    cost = float(found.row()[trial.cost]) if trial.cost else 0.0
    tell(Rung(trial.number, 0, found.accuracy, cost, trial.recipe.epochs))
    return cost


def described(recipe: Recipe) -> Row:
    """What a recipe does, as flat names: its last pruning, if it has one, and its epochs; "baseline" if nothing."""
    cuts = [stage for stage in recipe.stages if isinstance(stage, Cut)]
    nothing = "none" if recipe.stages else "baseline"
    about: Row = {"granularity": nothing, "criterion": "", "scope": "", "sparsity": 0.0}
    if cuts:
        about = {name: getattr(cuts[-1], name) for name in about}
        about["sparsity"] = about["sparsity"] or fixed_sparsity(about["granularity"])
    return {**about, "epochs": recipe.epochs}
