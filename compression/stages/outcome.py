"""What a stage finds and hands on, and how training inside a stage is told."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from compression.pruning import Pruned
from compression.results import Drift, Epoch
from compression.subject import Subject
from compression.training import Diverged, fit

Work = Generator[tuple[str, Epoch | None], None, "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a stage hands on.

    Attributes:
        subject: the model as it is now, with its data.
        masks: by parameter name, what later training has to hold at zero.
        pruned: what a prune stage did.
        notes: what a reader of the result must know.
        stopped: why training ended before its last epoch, if it did.
        unpruned: the model before the last pruning, which a recalibration compares with.
        drift: what a penalty drew towards zero, epoch by epoch.
    """

    subject: Subject
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    pruned: Pruned | None = None
    notes: tuple[str, ...] = ()
    stopped: str = ""
    unpruned: nn.Module | None = None
    drift: tuple[Drift, ...] = ()


def finished(work: Work) -> Outcome:
    """Carry a stage out to its end, whatever it tells on the way."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


def fitted(
    verb: str, subject: Subject, settings: dict[str, Any], number: int, log: Callable[[Epoch], Epoch] | None = None
) -> Generator[tuple[str, Epoch | None], None, str]:
    """Train a subject's model in place; the value is why it stopped early, or nothing.

    Args:
        verb: what is told at every epoch.
        subject: its model trains on its data.
        settings: of ``fit``, the seed included.
        number: of the stage.
        log: sees every epoch and may add to it.

    Raises:
        Diverged: in the first epoch; later, what whole epochs made is kept.
    """
    done = 0
    try:
        for epoch in fit(subject.model, subject.dataset, stage=number, **settings):
            done = epoch.epoch
            yield f"{verb}, epoch {done} of {settings['epochs']}", log(epoch) if log else epoch
    except Diverged as fault:
        if not done:
            raise
        return f"{fault}; kept what {done} epoch{'s' if done > 1 else ''} made"
    return ""


def after(before: Outcome, pruned: Pruned) -> Outcome:
    """What a pruning hands on: the smaller model and what has to stay zero."""
    return Outcome(
        replace(before.subject, model=pruned.model),
        _zeros_kept(pruned.model, {*before.masks, *pruned.masks}),
        pruned,
        unpruned=before.subject.model,
    )


def _zeros_kept(model: nn.Module, names: set[str]) -> dict[str, Tensor]:
    """Masks read off the weights: what is pruned is exactly zero, also after later surgery."""
    parameters = dict(model.named_parameters())
    return {name: parameters[name].detach() != 0 for name in names if name in parameters}
