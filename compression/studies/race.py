"""The race of a study's trials, as its engine runs it: hears of every rung, and stops who falls behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from compression.goals import PROXIES
from compression.studies import database, recording, records
from compression.studies.halving import Rung, behind
from compression.studies.study import Study

if TYPE_CHECKING:
    from distributed import Client

Judge = Callable[[], Mapping[int, str]]
"""Takes note of what was told since the last call; why each trial was stopped that fell behind, by its number."""


def stop_name(study: Study) -> str:
    """What the event is called that stops a study's trials; with a number behind it, that trial alone."""
    return f"stop {database.stored(study.name)}"


def race_name(study: Study) -> str:
    """The topic on which the trials of a study tell how they do; empty where they do not race."""
    return f"race {database.stored(study.name)}" if study.halving else ""


def cost_of(study: Study) -> str:
    """What makes two trials rivals: the study's first objective beside accuracy, or what a search goes by for it."""
    wanted = next((name for name in study.objectives if name != "accuracy"), "")
    return PROXIES.get(wanted, (wanted,))[0]


def referee(study: Study, client: Client) -> Judge:
    """Listen to the trials of a study; the function that judges them. What the store knows of earlier ones counts."""
    from distributed import Event as Flag

    lost: dict[int, str] = {}
    if not study.halving:
        return lambda: lost
    told: SimpleQueue[Rung] = SimpleQueue()
    stay = (TrialState.COMPLETE, TrialState.PRUNED)
    ended = (one for one in records.records(study.name, "rungs") if one.state in stay)
    rungs = (Rung(**rung) for one in ended for rung in one.kept.get("rungs", ()))
    known = {(rung.trial, rung.rung): rung for rung in rungs}

    def hear(event: tuple[float, dict[str, Any]]) -> None:
        told.put(Rung(**event[1]["rung"]))

    client.subscribe_topic(race_name(study), hear)

    def judge() -> Mapping[int, str]:
        while True:
            try:
                rung = told.get_nowait()
            except Empty:
                return lost
            known[rung.trial, rung.rung] = rung  # a trial whose worker died tells it anew
            recording.note(rung.trial, {"rungs": [asdict(one) for one in known.values() if one.trial == rung.trial]})
            if rung.trial not in lost and behind(rung, known.values()):
                lost[rung.trial] = _reason(rung)
                Flag(f"{stop_name(study)} {rung.trial}", client=client).set()

    return judge


def _reason(rung: Rung) -> str:
    place = f"after epoch {rung.rung}" if rung.rung else "before training"
    return f"stopped {place}: {rung.accuracy:.1%} is not in the better half of those that cost no more"
