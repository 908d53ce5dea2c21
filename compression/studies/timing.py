"""The second phase of a study: latencies, alone on the machine, in shuffled pairs with the baseline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from compression.data.root import data_root
from compression.measure import latencies
from compression.models.files import load_weights
from compression.models.structure import structure
from compression.studies import records, store
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
    models = {number: load_weights(data_root() / path).model for number, path in waiting.items()}
    numbers: dict[str, list[int]] = {}
    for number, model in models.items():
        numbers.setdefault(json.dumps(structure(model)), []).append(number)
    left = len(waiting)
    shapes = list(numbers)[:MOST]
    for start in range(0, len(shapes), TOGETHER):
        if not going_on():
            return
        few = shapes[start : start + TOGETHER]
        timings = latencies(
            {shape: models[numbers[shape][0]] for shape in few}, subject.model, subject.blueprint.input_shape
        )
        for shape in few:
            row = timing_row(subject, timings[shape], study.split, study.limit)
            for number in numbers[shape]:
                store.add_timing(study.name, number, row)
            left -= len(numbers[shape])
        yield left


def _untimed(study: Study) -> Mapping[int, str]:
    """Where the weights of the trials lie that have no timing, the most promising first."""
    done = [trial for trial in store.trials(study.name) if trial.state == TrialState.COMPLETE]
    timed = records.timed(study.name)
    return {trial._trial_id: trial.user_attrs["weights"] for trial in _by_rank(done) if trial._trial_id not in timed}


def _by_rank(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """First those that no other beats in both accuracy and MACs, then the others by accuracy."""
    points = {
        trial._trial_id: (trial.user_attrs["row"]["accuracy"], -trial.user_attrs["row"]["macs"]) for trial in trials
    }

    def beaten(own: tuple[float, float]) -> bool:
        return any(other != own and other[0] >= own[0] and other[1] >= own[1] for other in points.values())

    return sorted(trials, key=lambda trial: (beaten(points[trial._trial_id]), -points[trial._trial_id][0]))
