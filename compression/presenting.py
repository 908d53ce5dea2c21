"""What there is to present of a study: read from the store, and asked of models on images that no trial has seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from compression.data.root import own_root
from compression.measure import changed
from compression.models.files import load_weights
from compression.registry import UserError
from compression.report.savings import Assumptions
from compression.report.story import ClassAnswers, Evidence, Story, Studied, story
from compression.studies import records, store
from compression.subject import baseline, judge, load_subject


def studied(name: str) -> Studied:
    """A study as its story needs it. Raises UserError where there is none of this name."""
    plan, said = store.plan(name), store.told(name)
    kept = {one.number: one.kept for one in records.records(name, "seconds", "hardware", "versions")}
    return Studied(
        name=name,
        rows=records.points(name),
        constraints=plan.bounds,
        objectives=plan.objectives,
        split=plan.split,
        failed=sum(1 for _ in records.failures(name)),
        seconds=sum(one.get("seconds", 0.0) for one in kept.values()),
        ended=f"{datetime.fromtimestamp(said['seen'], UTC):%-d %B %Y}" if "seen" in said else "",
        hardware={number: one["hardware"] for number, one in kept.items() if "hardware" in one},
        versions={number: one["versions"] for number, one in kept.items() if "versions" in one},
    )


def evidence(name: str, trial: int) -> Evidence | None:
    """How a trial's model answers the test images, beside its baseline; None where model or data are not here.

    Raises:
        UserError: the study has no such trial, or it has not finished.
    """
    plan, weights = store.plan(name), records.trial(name, trial)["weights"]
    path = own_root() / str(weights)
    if weights is None or not path.is_file():
        return None
    try:
        subject = load_subject(plan.model, plan.data)
    except UserError:
        return None
    labels = subject.dataset.test.labels
    before, after = baseline(subject, "test")[0], judge(subject, load_weights(path).model, "test")[0]
    change = changed(before, after, labels)
    right = change.before == labels
    otherwise = ~right & (change.after != labels) & (change.before != change.after)
    classes = []
    for number, one in enumerate(subject.dataset.classes):
        own = labels == number
        if own.any():
            lost, won = ((labels[at] == number).sum() for at in (change.right_to_wrong, change.wrong_to_right))
            classes.append(ClassAnswers(one, int(own.sum()), int(right[own].sum()), int(lost), int(won)))
    return Evidence("test", tuple(classes), int(otherwise.sum()))


def told(name: str, trials: Sequence[int] = (), assumed: Assumptions | None = None, axis: str = "") -> Story:
    """The story of a study with the evidence for its points; see ``story`` for the arguments and faults."""
    return story(studied(name), trials, assumed, partial(evidence, name), axis)
