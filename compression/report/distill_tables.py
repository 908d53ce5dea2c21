"""What was distilled, and what a teacher says, as the tidy tables that the charts of distilling draw.

A *run* is one trained model by its role: "teacher", "alone" (the student without a teacher),
"distilled", or any other name, say of a method.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, Protocol

import pandas as pd

from compression.registry import UserError, pick
from compression.report.gains import gain
from compression.report.measures import AXES
from compression.results import Epoch

Row = Mapping[str, Any]


class Wrong(Protocol):
    """A wrong class in a softened answer, as ``distillation.softening.wrong_ranking`` gives it."""

    @property
    def index(self) -> int:
        """Which class."""

    @property
    def probability(self) -> float:
        """What the teacher gives it."""

    @property
    def ratio(self) -> float:
        """That, over what the true class gets."""


class Size(Protocol):
    """A gradient's size, as ``distillation.softening.gradient_size`` gives it."""

    @property
    def temperature(self) -> float:
        """At which temperature."""

    @property
    def plain(self) -> float:
        """As it is."""

    @property
    def scaled(self) -> float:
        """Times T²."""


class Bins(Protocol):
    """Confidence against accuracy, as ``measure.calibration.reliability`` gives it."""

    @property
    def edges(self) -> Sequence[float]:
        """One more than there are bins."""

    @property
    def counts(self) -> Sequence[int]:
        """Images in each bin."""

    @property
    def confidence(self) -> Sequence[float | None]:
        """The mean confidence in each bin; None for an empty one."""

    @property
    def accuracy(self) -> Sequence[float | None]:
        """The accuracy in each bin; None for an empty one."""


def softening_table(classes: Sequence[str], at_one: Sequence[float], soft: Sequence[float], label: int) -> pd.DataFrame:
    """One image's probabilities at T = 1 and at the chosen T, a row a class: name, one, soft, true.

    Raises:
        UserError: not one probability for each class, or no such label.
    """
    if not len(classes) == len(at_one) == len(soft):
        raise UserError(
            f"{len(at_one)} and {len(soft)} probabilities for {len(classes)} classes; one for each is needed"
        )
    _check_label(label, classes)
    true = [at == label for at in range(len(classes))]
    body = {"name": list(classes), "one": list(at_one), "soft": list(soft), "true": true}
    return pd.DataFrame(body, columns=["name", "one", "soft", "true"])


def entropy_table(temperatures: Sequence[float], bits: Sequence[float]) -> pd.DataFrame:
    """The entropy of one image's answer at each temperature, sorted: temperature, bits."""
    table = pd.DataFrame({"temperature": list(temperatures), "bits": list(bits)})
    return table.sort_values("temperature", ignore_index=True)


def dark_table(classes: Sequence[str], ranking: Iterable[Wrong]) -> pd.DataFrame:
    """The wrong classes, the most probable first: name, probability, ratio (to the true class's)."""
    body = [(classes[wrong.index], wrong.probability, wrong.ratio) for wrong in ranking]
    table = pd.DataFrame(body, columns=["name", "probability", "ratio"])
    return table.sort_values("probability", ascending=False, kind="stable", ignore_index=True)


def gradient_table(sizes: Iterable[Size]) -> pd.DataFrame:
    """The gradient's size at each temperature, sorted: temperature, plain, scaled (times T²)."""
    body = [(size.temperature, size.plain, size.scaled) for size in sizes]
    table = pd.DataFrame(body, columns=["temperature", "plain", "scaled"])
    return table.sort_values("temperature", ignore_index=True)


def learning_table(runs: Mapping[str, Sequence[Epoch]]) -> pd.DataFrame:
    """One row an epoch of each run: run, epoch (from 1), hard_loss, teacher_loss, val_accuracy.

    The losses are the epoch's ``parts`` named "hard" and "teacher", which no alpha has weighed, so that
    runs compare; a run without parts has its training loss as the hard one and NaN for the teacher's.
    """
    body = [
        (run, at, epoch.parts.get("hard", epoch.train_loss), epoch.parts.get("teacher", math.nan), epoch.val_accuracy)
        for run, epochs in runs.items()
        for at, epoch in enumerate(epochs, 1)
    ]
    return pd.DataFrame(body, columns=["run", "epoch", "hard_loss", "teacher_loss", "val_accuracy"])


def judged_table(rows: Iterable[Row]) -> pd.DataFrame:
    """One row a run and seed: run, seed, accuracy, errors, n, split; seeds in order within each run.

    The flat rows need run, seed, accuracy, n and split; ``errors`` is how many of n are wrong.
    """
    body = [
        (row["run"], row["seed"], row["accuracy"], round(row["n"] * (1 - row["accuracy"])), row["n"], row["split"])
        for row in rows
    ]
    turns = {run: turn for turn, run in enumerate(dict.fromkeys(line[0] for line in body))}
    body.sort(key=lambda line: (turns[line[0]], line[1]))
    return pd.DataFrame(body, columns=["run", "seed", "accuracy", "errors", "n", "split"])


def reliability_table(runs: Mapping[str, Bins]) -> pd.DataFrame:
    """One row a run and bin: run, left, right, count, confidence, accuracy (NaN for an empty bin)."""
    body = [
        (run, left, right, count, _number(confidence), _number(accuracy))
        for run, bins in runs.items()
        for left, right, count, confidence, accuracy in zip(
            bins.edges[:-1], bins.edges[1:], bins.counts, bins.confidence, bins.accuracy, strict=True
        )
    ]
    return pd.DataFrame(body, columns=["run", "left", "right", "count", "confidence", "accuracy"])


def temperature_table(rows: Iterable[Row], by: str = "alpha") -> pd.DataFrame:
    """Accuracy against temperature, seeds taken together, sorted.

    One seed keeps its measured interval (``spread`` "interval"). Several give their mean ± one
    standard deviation ("sd"), taken as one image at the least: seeds that happen to agree do
    not make a number certain.

    The flat rows need temperature (None or NaN for the student alone), ``by`` ("alpha" or
    "method", a line each), seed, accuracy, accuracy_low, accuracy_high, n and split. Columns:
    series ("α = 0.9", a method's name, or "alone"), alone, temperature (NaN if alone),
    accuracy, accuracy_low, accuracy_high, spread, seeds, n, split.

    Raises:
        UserError: ``by`` is another word.
    """
    if by not in ("alpha", "method"):
        raise UserError(f"by is {by!r}; it must be alpha or method")
    groups: dict[tuple[str, float | None], list[Row]] = {}
    for row in rows:
        temperature = row["temperature"]
        alone = temperature is None or temperature != temperature
        series = "alone" if alone else f"α = {row[by]:g}" if by == "alpha" else str(row[by])
        groups.setdefault((series, None if alone else float(temperature)), []).append(row)
    body = [_swept(series, temperature, members) for (series, temperature), members in groups.items()]
    turns = {series: turn for turn, series in enumerate(dict.fromkeys(row["series"] for row in body))}
    body.sort(key=lambda row: (turns[row["series"]], row["temperature"]))
    return pd.DataFrame(body, columns=TEMPERATURE)


TEMPERATURE = "series alone temperature accuracy accuracy_low accuracy_high spread seeds n split".split()


def _swept(series: str, temperature: float | None, members: list[Row]) -> dict[str, Any]:
    alone = temperature is None
    return {"series": series, "alone": alone, "temperature": _number(temperature)} | _together(members)


def _together(members: list[Row]) -> dict[str, Any]:
    """The accuracy of one or several seeds, with the measured interval or the standard deviation."""
    first, middle = members[0], fmean(row["accuracy"] for row in members)
    low, high, spread = first["accuracy_low"], first["accuracy_high"], "interval"
    if len(members) > 1:
        sd = max(stdev(row["accuracy"] for row in members), 1 / first["n"])
        low, high, spread = max(0.0, middle - sd), min(1.0, middle + sd), "sd"
    return {
        "accuracy": middle,
        "accuracy_low": low,
        "accuracy_high": high,
        "spread": spread,
        "seeds": len(members),
        "n": first["n"],
        "split": first["split"],
    }


COSTS = {key: AXES[key] for key in ("params", "macs", "packed_bytes")}
"""What a student can save, and the axes of these."""


def cost_table(rows: Iterable[Row], x: str = "params") -> pd.DataFrame:
    """Accuracy against one cost, a row a run, its seeds taken together as in :func:`temperature_table`.

    The flat rows need run, seed, accuracy, accuracy_low, accuracy_high, n, split and the cost ``x``.
    Columns: run, axis, x (mean over seeds; NaN if not known), accuracy, accuracy_low, accuracy_high,
    spread, seeds, n, split; ``ratio``, the teacher's cost over the run's; ``change``, the accuracy
    minus the teacher's, and ``gain``, minus the student's alone, each with a ``_low`` and a
    ``_high``, its 95 % interval. They are NaN where there is nothing to compare with, and for the
    teacher; ``gain`` also for the student alone.

    Raises:
        UserError: ``x`` is not one of COSTS.
    """
    pick(COSTS, x, "cost")
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["run"], []).append(row)
    costs = {run: fmean(_number(row.get(x)) for row in members) for run, members in groups.items()}
    body = []
    for run, members in groups.items():
        line = {
            "run": run,
            "axis": x,
            "x": costs[run],
            "ratio": costs.get("teacher", math.nan) / (costs[run] or math.nan),
        }
        for name, base in (("change", "teacher"), ("gain", "alone")):
            start = [] if run in ("teacher", base) else groups.get(base, [])
            found = gain(members, start) if start else None
            ends = (found.better, found.low, found.high) if found else (math.nan,) * 3
            line |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
        body.append(line | _together(members))
    return pd.DataFrame(body, columns=COST)


COST = (
    "run axis x ratio accuracy accuracy_low accuracy_high spread seeds n split "
    "change change_low change_high gain gain_low gain_high"
).split()


def _check_label(label: int, classes: Sequence[str]) -> None:
    if not 0 <= label < len(classes):
        raise UserError(f"label is {label}; it must lie in 0 to {len(classes) - 1}")


def _number(value: float | None) -> float:
    return math.nan if value is None else value
