"""What a study still has to do: its plan less what the store has, as trials for workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from compression.recipe import Recipe
from compression.studies import records, spool, store
from compression.studies.proposals import Proposal, confirmations, proposals
from compression.studies.race import race_name, stop_name
from compression.studies.space import Values, is_setting
from compression.studies.study import Study
from compression.studies.trial import Row, Trial


@dataclass(frozen=True)
class Task:
    """A trial that the store has as running and that needs a worker; the baseline's number is BASELINE."""

    number: int
    key: str
    trial: Trial


def tasks(study: Study) -> Iterator[Task]:
    """Every trial that needs a worker, noted as running; what is known or cannot be is settled here.

    The baseline comes first, then the points of the grid or of the search until its budget is spent.
    """
    if "baseline" not in store.about(study.name):
        yield Task(records.BASELINE, "", _trial(study, study.base, {}, records.BASELINE))
    ended = _ended(study)
    done = _keys(ended)
    begun = sum(study.search == "grid" or one.kept.get("seed", study.seed) == study.seed for one in ended)
    started, source = time.time(), proposals(study)
    while not _spent(study, begun, started) and (proposal := next(source, None)):
        if _counts(study, proposal, done):
            begun += 1
            yield from _task(study, proposal, done)


def confirming(study: Study) -> Iterator[Task]:
    """The best of a search once more with other seeds, as ``tasks``; to be asked when the search itself is done."""
    done = _keys(_ended(study))
    for proposal in confirmations(study):
        if _counts(study, proposal, done):
            yield from _task(study, proposal, done)


def _ended(study: Study) -> list[records.Record]:
    kept = records.records(study.name, "key", "reason", "seed")
    return [one for one in kept if one.state.is_finished() and one.kept.get("reason") not in store.GIVEN_UP]


def _keys(ended: list[records.Record]) -> set[str]:
    return {one.kept.get("key", str(one.number)) for one in ended}


def _spent(study: Study, begun: int, started: float) -> bool:
    """Whether the budget of trials or minutes is used up."""
    minutes = (time.time() - started) / 60
    return bool((study.trials and begun >= study.trials) or (study.minutes and minutes >= study.minutes))


def _counts(study: Study, proposal: Proposal, done: set[str]) -> bool:
    """Whether it is a trial: a sampler's always is, a point of a grid where it can be and is not done yet."""
    if proposal.number is not None:
        return True
    return proposal.recipe is not None and store.key_of(proposal.recipe, study) not in done


def _task(study: Study, proposal: Proposal, done: set[str]) -> Iterator[Task]:
    """Note the trial; its task, unless it cannot be or is known."""
    if proposal.recipe is None:
        store.fail(proposal.number or 0, proposal.reason)
        return
    key = store.key_of(proposal.recipe, study)
    done.add(key)
    number = _noted(study, proposal, proposal.recipe, key)
    if not _reused(study, number, key, proposal.setting):
        yield Task(number, key, _trial(study, proposal.recipe, dict(proposal.setting), number))


def _noted(study: Study, proposal: Proposal, recipe: Recipe, key: str) -> int:
    """The trial's number in the store, which has it as running."""
    if proposal.number is None:
        return store.begin(study.name, key, recipe, proposal.given, proposal.setting)
    store.note(proposal.number, store.head(key, recipe, proposal.setting))
    return proposal.number


def _reused(study: Study, number: int, key: str, setting: Values) -> bool:
    """Whether this was measured before, in whatever study; the numbers are then taken over."""
    left = spool.left(key)
    known = None if left else records.measured(key)
    if left:
        row, kept = left
    elif known:
        row = known.user_attrs["row"]
        names = ("epochs", "versions", "hardware", "weights", "seconds")
        kept = {**{name: known.user_attrs[name] for name in names}, "reused": True}
    else:
        return False
    # The row holds the settings under the names that they have in the study that it comes from.
    store.finish(number, study, {**{name: row[name] for name in row if not is_setting(name)}, **setting}, kept)
    spool.forget(key)
    return True


def _trial(study: Study, recipe: Recipe, setting: Row, number: int) -> Trial:
    race = "" if number == records.BASELINE else race_name(study)
    return Trial(recipe, setting, study.split, study.limit, stop_name(study), race, number)
