"""One trial of a study, as a worker runs it: a recipe in, plain numbers and weights out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from compression.measure.hardware import hardware, versions
from compression.pipeline import Event, run
from compression.recipe import Recipe
from compression.registry import UserError
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
        versions: of the libraries that the study's numbers come from.
        flag: the name of the event that stops it.
    """

    recipe: Recipe
    setting: Row
    split: str
    limit: int | None
    versions: dict[str, str]
    flag: str


@dataclass(frozen=True)
class Made:
    """What came of a trial: its row, or why there is none.

    ``refused`` is a fault of the worker, not of the setting: another one may do it.
    """

    row: Row | None = None
    reason: str = ""
    refused: bool = False
    stopped: bool = False
    weights: bytes = b""
    seconds: float = 0.0
    epochs: list[Row] = field(default_factory=list)
    hardware: Row = field(default_factory=dict)


def carry_out(trial: Trial) -> Made:
    """Run a trial in a worker; it asks the cluster's flag whether to stop, about once a second."""
    from distributed import Event as Flag
    from distributed import get_client

    if versions() != trial.versions:
        return Made(reason=f"the worker has {differing(versions(), trial.versions)}", refused=True)
    flag = Flag(trial.flag, client=get_client())
    looked = time.monotonic()

    def asked() -> bool:
        nonlocal looked
        if time.monotonic() - looked < LOOK:
            return False
        looked = time.monotonic()
        return bool(flag.is_set())

    with stoppable(asked):
        return made(trial)


def made(trial: Trial) -> Made:
    """Run a trial in this process."""
    prepare_process(threads=1)
    epochs: list[Row] = []

    def tell(event: Event) -> None:
        if event.epoch:
            epochs.append(event.epoch.model_dump(mode="json"))

    began = time.perf_counter()
    try:
        result = run(trial.recipe, tell, split=trial.split, limit=trial.limit)
    except Stopped:
        return Made(stopped=True)
    except UserError as fault:
        return Made(reason=str(fault), seconds=time.perf_counter() - began)
    row = {
        "model": trial.recipe.model,
        "seed": trial.recipe.seed,
        **trial.setting,
        "achieved_sparsity": result.achieved_sparsity,
        **result.final.row(),
    }
    seconds = time.perf_counter() - began
    return Made(row, result.stopped, False, False, result.weights, seconds, epochs, hardware())


def differing(here: dict[str, str], wanted: dict[str, str]) -> str:
    """In which libraries two machines differ, in words."""
    names = sorted(name for name in {*wanted, *here} if wanted.get(name) != here.get(name))
    told = ", ".join(f"{name} {here.get(name, 'missing')} instead of {wanted.get(name, 'none')}" for name in names)
    return f"{told}; give it the same versions"
