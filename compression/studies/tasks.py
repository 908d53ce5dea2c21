"""What a study still has to do: its plan less what the store has, as trials for workers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass

from compression.data.root import own_root
from compression.owner import owner
from compression.recipe import Recipe
from compression.studies import keys, recording, records, spool, store
from compression.studies.proposals import Proposal, confirmations, proposals, setting_words
from compression.studies.race import cost_of, race_name, stop_name
from compression.studies.space import Values, is_setting
from compression.studies.study import Study
from compression.studies.trial import Row, Trial

PATIENCE = 10
"""How often in a row a sampler may ask for what was tried already before that costs it a trial."""


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
        yield Task(records.BASELINE, "", trial_of(study, study.base, {}, records.BASELINE))
    ended = _ended(study)
    own = [one for one in ended if study.search == "grid" or one.kept.get("seed", study.seed) == study.seed]
    for proposal in _within_budget(study, done := _keys(ended), len(_keys(own))):
        yield from _task(study, proposal, done)


def confirming(study: Study) -> Iterator[Task]:
    """The best of a search once more with other seeds, as ``tasks``; to be asked when the search itself is done."""
    done = _keys(_ended(study))
    for proposal in confirmations(study):
        if key_of(study, proposal) not in done:
            yield from _task(study, proposal, done)


def _ended(study: Study) -> list[records.Record]:
    kept = records.records(study.name, "key", "reason", "seed")
    return [one for one in kept if one.state.is_finished() and one.kept.get("reason") not in recording.GIVEN_UP]


def _keys(ended: list[records.Record]) -> set[str]:
    return {one.kept.get("key", str(one.number)) for one in ended}


def _within_budget(study: Study, done: Set[str], tried: int) -> Iterator[Proposal]:
    """What to try that is not done yet, until the budget is spent or a search has tried every point there is.

    A sampler that asks for what was tried already is told how it was, and asks again: nothing is
    measured, and so it costs nothing. One that does nothing else pays for every tenth time.
    """
    most = math.inf if study.search == "grid" else study.space.size
    started = time.time() - store.told(study.name).get("used", 0.0)  # of engines before this one too
    repeats, paid, source = 0, 0, proposals(study)
    while tried < most and not _spent(study, tried + paid, started) and (proposal := next(source, None)):
        if key_of(study, proposal) not in done:
            if proposal.recipe is None and proposal.number is None:
                continue  # a grid's points that contradict themselves are told by its outlook
            repeats, tried = 0, tried + 1
            yield proposal
        elif proposal.number is not None:
            _repeated(study, proposal, proposal.number)
            repeats += 1
            paid += repeats % PATIENCE == 0


def _spent(study: Study, begun: int, started: float) -> bool:
    """Whether the budget of trials or minutes is used up."""
    minutes = (time.time() - started) / 60
    return bool((study.trials and begun >= study.trials) or (study.minutes and minutes >= study.minutes))


def key_of(study: Study, proposal: Proposal) -> str:
    """What a proposal is known by: the key of what it would measure, or the setting that contradicts itself."""
    return keys.key_of(proposal.recipe, study) if proposal.recipe else setting_words(proposal.setting)


def _repeated(study: Study, proposal: Proposal, number: int) -> None:
    """Tell the sampler how a setting was that it asks for again; where it has no numbers, that it has none."""
    key = key_of(study, proposal)
    if proposal.recipe:
        _noted(study, proposal, proposal.recipe, key)
    if not _reused(study, number, key, proposal.setting):
        recording.fail(number, recording.REPEATED)


def _task(study: Study, proposal: Proposal, done: set[str]) -> Iterator[Task]:
    """Note the trial; its task, unless it cannot be or is known."""
    key = key_of(study, proposal)
    done.add(key)
    if proposal.recipe is None:
        number = proposal.number or 0
        recording.note(number, {"key": key, "setting": proposal.setting})
        recording.fail(number, proposal.reason)
        return
    number = _noted(study, proposal, proposal.recipe, key)
    if not _reused(study, number, key, proposal.setting):
        yield Task(number, key, trial_of(study, proposal.recipe, dict(proposal.setting), number))


def _noted(study: Study, proposal: Proposal, recipe: Recipe, key: str) -> int:
    """The trial's number in the store, which has it as running."""
    if proposal.number is None:
        return recording.begin(study.name, key, recipe, proposal.given, proposal.setting)
    recording.note(proposal.number, recording.head(key, recipe, proposal.setting))
    return proposal.number


def _reused(study: Study, number: int, key: str, setting: Values) -> bool:
    """Whether this was measured before, in whatever study; the numbers are then taken over."""
    left = spool.left(key)
    known = None if left else records.measured(key)
    if known and not _here(known.user_attrs["weights"]):
        known = None
    if left:
        row, kept = left
    elif known:
        row = known.user_attrs["row"]
        names = ("epochs", "versions", "hardware", "weights", "seconds")
        kept = {**{name: known.user_attrs[name] for name in names}, "reused": True}
    else:
        return False
    # The row holds the settings under the names that they have in the study that it comes from.
    recording.finish(number, study, {**{name: row[name] for name in row if not is_setting(name)}, **setting}, kept)
    spool.forget(key)
    return True


def _here(weights: str | None) -> bool:
    """Whether a trial's model can be had: it may lie on another machine, or have been cleared away."""
    return weights is None or (own_root() / weights).is_file()


def trial_of(study: Study, recipe: Recipe, setting: Row, number: int) -> Trial:
    """What a worker is to do for a recipe of a study."""
    race = "" if number == records.BASELINE else race_name(study)
    return Trial(recipe, setting, study.split, study.limit, stop_name(study), race, cost_of(study), number, owner())
