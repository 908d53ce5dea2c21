"""The second phase of a study: latencies, alone on the machine, in shuffled pairs with the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from optuna.trial import FrozenTrial, TrialState

from compression.data.root import own_root
from compression.goals import beaten
from compression.measure import latencies
from compression.models.files import load_weights
from compression.models.structure import outline
from compression.studies import recording, records, store
from compression.studies.study import Study
from compression.studies.sweep import TOGETHER, timing_row
from compression.subject import load_subject

MOST = 48
"""Shapes that are timed; where there are more, those on the front of accuracy and MACs come first."""


def time_candidates(study: Study, going_on: Callable[[], bool]) -> Iterator[int]:
    """Time what is not yet timed; yields how many trials still wait, after every few that were timed.

    Models of one shape are timed once, since that is all that these runtimes see: where zeros lie
    changes nothing.

    Args:
        study: whose finished trials are timed.
        going_on: asked between the few; False ends it, and another call takes it up again.
    """
    subject = load_subject(study.model, study.data)
    waiting = _untimed(study)
    left = sum(map(len, waiting.values()))
    shapes = list(waiting)
    for start in range(0, len(shapes), TOGETHER):
        if not going_on():
            return
        few = shapes[start : start + TOGETHER]
        models = {shape: load_weights(own_root() / waiting[shape][0].user_attrs["weights"]).model for shape in few}
        timings = latencies(models, subject.model, subject.blueprint.input_shape)
        for shape in few:
            row = timing_row(subject, timings[shape], study.split, study.limit)
            for trial in waiting[shape]:
                store.add_timing(study.name, trial._trial_id, row)
            left -= len(waiting[shape])
        yield left


def _untimed(study: Study) -> dict[str, list[FrozenTrial]]:
    """The trials that have no timing, by shape: of the MOST shapes that are most promising, timed ones among them."""
    done = [trial for trial in recording.trials(study.name) if trial.state == TrialState.COMPLETE]
    timed, shapes = records.timed(study.name), dict[str, list[FrozenTrial]]()
    for trial in _by_rank(done):
        shape = outline(load_weights(own_root() / trial.user_attrs["weights"]).model)
        shapes.setdefault(shape, []).append(trial)
    chosen = list(shapes.items())[:MOST]
    untimed = {shape: [one for one in own if one._trial_id not in timed] for shape, own in chosen}
    return {shape: own for shape, own in untimed.items() if own}


def _by_rank(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """First those that no other beats in both accuracy and MACs, then the others by accuracy."""
    points = {
        trial._trial_id: (trial.user_attrs["row"]["accuracy"], -trial.user_attrs["row"]["macs"]) for trial in trials
    }
    rank = {number: (beaten(own, points.values()), -own[0]) for number, own in points.items()}
    return sorted(trials, key=lambda trial: rank[trial._trial_id])
