"""One trial of a study, as it goes to a worker and comes back: a recipe in, plain numbers and weights out.

The engine reads this without torch, which only the worker needs.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from compression.owner import working_for
from compression.recipe import Recipe
from compression.studies.halving import Rung

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
        cost: what counts as a rival's size, by the name that a row has for it; empty where all are rivals.
        number: in the store; the event ``{flag} {number}`` stops this one alone.
        owner: whose data and models it needs.
        device: what it trains and is judged on.
    """

    recipe: Recipe
    setting: Row
    split: str
    limit: int | None
    flag: str
    race: str
    cost: str
    number: int
    owner: str = ""
    device: str = "cpu"


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

    from compression.studies.making import made
    from compression.training.stopping import stoppable

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

    with working_for(trial.owner), stoppable(asked):
        return made(trial, tell if trial.race else None)


def differing(here: dict[str, str], wanted: dict[str, str]) -> str:
    """In which libraries two machines differ, in words."""
    names = sorted(name for name in {*wanted, *here} if wanted.get(name) != here.get(name))
    told = ", ".join(f"{name} {here.get(name, 'missing')} instead of {wanted.get(name, 'none')}" for name in names)
    return f"{told}; give it the same versions"
