"""One trial of a study, as a worker runs it: a recipe in, plain numbers and weights out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from compression.measure.hardware import hardware
from compression.pipeline import Event, run
from compression.recipe import Cut, Recipe, fixed_sparsity
from compression.registry import UserError
from compression.studies.halving import Rung, first_look, is_rung
from compression.subject import load_subject
from compression.training import prepare_process
from compression.training.stopping import Stopped, stoppable

Row = dict[str, Any]
LOOK = 1.0
"""Seconds between two looks at the flag that stops a trial."""


@dataclass(frozen=True)
class Trial:
    """What a worker is to do.

    Attributes:
        recipe: what to make.
        setting: what tells it from the others, as flat names for its row.
        split: where it is measured.
        limit: on so many images, or on all.
        flag: the name of the event that stops it.
        race: the topic on which it tells how it does at every rung; empty where it races nobody.
        number: in the store; the event ``{flag} {number}`` stops this one alone.
    """

    recipe: Recipe
    setting: Row
    split: str
    limit: int | None
    flag: str
    race: str
    number: int


@dataclass(frozen=True)
class Made:
    """What came of a trial: its row, or why there is none."""

    row: Row | None = None
    reason: str = ""
    stopped: bool = False
    weights: bytes = b""
    seconds: float = 0.0
    epochs: list[Row] = field(default_factory=list)
    hardware: Row = field(default_factory=dict)


def carry_out(trial: Trial) -> Made:
    """Run a trial in a worker; it asks the cluster's flags whether to stop, about once a second."""
    from distributed import Event as Flag
    from distributed import get_client, get_worker

    names = [trial.flag, f"{trial.flag} {trial.number}"] if trial.race else [trial.flag]
    flags = [Flag(name, client=get_client()) for name in names]
    looked = time.monotonic()

    def asked() -> bool:
        nonlocal looked
        if time.monotonic() - looked < LOOK:
            return False
        looked = time.monotonic()
        return any(flag.is_set() for flag in flags)

    def tell(rung: Rung) -> None:
        get_worker().log_event(trial.race, {"rung": asdict(rung)})

    with stoppable(asked):
        return made(trial, tell if trial.race else None)


def made(trial: Trial, tell: Callable[[Rung], None] | None = None) -> Made:
    """Run a trial in this process; ``tell`` hears how it does at every rung."""
    prepare_process(threads=1)
    began = time.perf_counter()
    epochs: list[Row] = []
    try:
        cost = _looked_at(trial, tell) if tell else None

        def heard(event: Event) -> None:
            if event.epoch:
                epochs.append(event.epoch.model_dump(mode="json"))
            if event.epoch and tell and cost is not None and is_rung(len(epochs)):
                tell(Rung(trial.number, len(epochs), event.epoch.val_accuracy, cost))

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
    return Made(row, result.stopped, False, result.weights, seconds, epochs, hardware())


def _looked_at(trial: Trial, tell: Callable[[Rung], None]) -> float | None:
    """Tell how a trial does before it is trained; its packed size, or None where a first look says nothing."""
    look = first_look(trial.recipe)
    if look is None:
        return None
    found = run(look, split="val", limit=trial.limit).final
    tell(Rung(trial.number, 0, found.accuracy, found.packed_bytes))
    return found.packed_bytes


def described(recipe: Recipe) -> Row:
    """What a recipe does, as flat names: its last pruning, if it has one, and its epochs; "baseline" if nothing."""
    cuts = [stage for stage in recipe.stages if isinstance(stage, Cut)]
    nothing = "none" if recipe.stages else "baseline"
    about: Row = {"granularity": nothing, "criterion": "", "scope": "", "sparsity": 0.0}
    if cuts:
        about = {name: getattr(cuts[-1], name) for name in about}
        about["sparsity"] = about["sparsity"] or fixed_sparsity(about["granularity"])
    return {**about, "epochs": recipe.epochs}


def differing(here: dict[str, str], wanted: dict[str, str]) -> str:
    """In which libraries two machines differ, in words."""
    names = sorted(name for name in {*wanted, *here} if wanted.get(name) != here.get(name))
    told = ", ".join(f"{name} {here.get(name, 'missing')} instead of {wanted.get(name, 'none')}" for name in names)
    return f"{told}; give it the same versions"
