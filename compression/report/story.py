"""The story of a study: the operating points that are presented, what each costs, buys and breaks, and for whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import pandas as pd

from compression.goals import Constraint
from compression.registry import UserError, pick
from compression.report.cloud_titles import best_of
from compression.report.compare import answers_change, records
from compression.report.gains import gain
from compression.report.measures import AXES
from compression.report.savings import Assumptions, Saving, savings
from compression.report.study_cloud import cloud_table
from compression.report.study_tables import nearest_miss
from compression.report.study_view import StudyView, study_view
from compression.report.text import printable

Row = Mapping[str, Any]
MOST = 3
"""Operating points side by side."""
LETTERS = "ABC"


@dataclass(frozen=True)
class Studied:
    """A study as it is told: its rows with the baseline, what was asked for, and under which conditions.

    Attributes:
        name: of the study.
        rows: its points, as the store has them.
        constraints: of its plan.
        objectives: of its plan.
        split: on which images it measured.
        failed: how many settings could not be measured.
        seconds: of one worker, for all its trials together.
        ended: the day on which it last ran, or empty.
        hardware: of each trial, by its number.
        versions: likewise.
    """

    name: str
    rows: Sequence[Row]
    constraints: tuple[Constraint, ...] = ()
    objectives: tuple[str, ...] = ("accuracy", "packed_bytes")
    split: str = "val"
    failed: int = 0
    seconds: float = 0.0
    ended: str = ""
    hardware: Mapping[int, Row] = field(default_factory=dict)
    versions: Mapping[int, Row] = field(default_factory=dict)

    @property
    def cost(self) -> str:
        """What counts beside accuracy: the first such objective."""
        return next((name for name in self.objectives if name != "accuracy"), "packed_bytes")


@dataclass(frozen=True)
class ClassAnswers:
    """How both models answered the images of one class."""

    name: str
    n: int
    right: int
    lost: int
    won: int

    @property
    def before(self) -> float:
        """Accuracy of the baseline."""
        return self.right / self.n

    @property
    def after(self) -> float:
        """Accuracy of the model presented."""
        return (self.right + self.won - self.lost) / self.n


@dataclass(frozen=True)
class Evidence:
    """How a model and its baseline answered the same images, class by class.

    Attributes:
        split: which images.
        classes: those that have images.
        otherwise: images that both got wrong with different answers.
    """

    split: str
    classes: tuple[ClassAnswers, ...]
    otherwise: int = 0

    @property
    def n(self) -> int:
        """All images."""
        return sum(one.n for one in self.classes)

    @property
    def lost(self) -> int:
        """Right before and wrong now."""
        return sum(one.lost for one in self.classes)

    @property
    def won(self) -> int:
        """Wrong before and right now."""
        return sum(one.won for one in self.classes)

    @property
    def right(self) -> int:
        """Right before."""
        return sum(one.right for one in self.classes)

    def changes(self) -> list[tuple[ClassAnswers, float, float, float]]:
        """Each class with its change of accuracy, the greatest loss first, and an interval that allows for the choice.

        Source: Bonferroni's correction, at 95 % for all classes together.
        """
        z = NormalDist().inv_cdf(1 - 0.025 / len(self.classes))
        worst_first = sorted(self.classes, key=lambda one: (one.after - one.before, one.name))
        return [(one, *answers_change(one.lost, one.won, one.n, z)) for one in worst_first]


@dataclass(frozen=True)
class Change:
    """Accuracy before and after on the same split, and the ends of the change's 95 % interval."""

    before: float
    after: float
    low: float
    high: float
    n: int
    split: str

    @property
    def value(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def half(self) -> float:
        """The longer side of the interval: a single number that errs on the wide side."""
        return max(self.value - self.low, self.high - self.value)

    @property
    def clear(self) -> bool:
        """Whether more than noise is there."""
        return abs(self.value) > self.half


@dataclass(frozen=True)
class Point:
    """An operating point: the row of its setting, its name, and what follows from them."""

    row: Row
    letter: str
    label: str
    change: Change
    evidence: Evidence | None
    savings: Mapping[str, Saving]


@dataclass(frozen=True)
class Story:
    """All that a report says, before it is put into words.

    Attributes:
        studied: the study.
        start: the baseline's row.
        table: every trial on the chart's two measures, of ``cloud_table``.
        points: those presented, the first of which is the one that counts.
        suggested: whether that one was suggested, not picked.
        assumed: prices and intensities.
    """

    studied: Studied
    start: Row
    table: pd.DataFrame
    points: tuple[Point, ...]
    suggested: bool
    assumed: Assumptions


def told_of(studied: Studied) -> StudyView:
    """The study's trials, where there is something to tell.

    Raises:
        UserError: nothing was measured yet, or there is no baseline to compare with.
    """
    view = study_view(studied.rows)
    if not view.trials:
        why = f"; {studied.failed} could not be measured, and `espalier study show` says why" if studied.failed else ""
        raise UserError(f"The study '{studied.name}' has no finished trial to present{why}")
    if len(view.rows) == len(view.trials):
        raise UserError(f"The study '{studied.name}' has no baseline to compare with; resume it")
    return view


def unasked(number: int) -> None:
    """No evidence for any trial."""


def story(
    studied: Studied,
    trials: Sequence[int] = (),
    assumed: Assumptions | None = None,
    evidence: Callable[[int], Evidence | None] = unasked,
    axis: str = "",
) -> Story:
    """What there is to tell of a study.

    Args:
        studied: the study.
        trials: numbers of the trials to present, up to MOST; without any the suggested one.
        assumed: prices and intensities.
        evidence: gives for a trial what images say that it has not seen, where that can be known.
        axis: the measure that accuracy is drawn against; by default the study's own objective.

    Raises:
        UserError: nothing to tell, too many points, or one that is not there.
    """
    view, axis, assumed = told_of(studied), axis or studied.cost, assumed or Assumptions()
    table = _cloud(studied, view, axis, assumed)
    numbers = tuple(dict.fromkeys(trials)) or (_suggested(table, studied),)
    if len(numbers) > MOST:
        raise UserError(f"{len(numbers)} trials are given; at most {MOST} are presented side by side")
    start = next(row for row in view.rows if row["granularity"] == "baseline")
    labels = {number: row["label"] for row in records(table) for number in row["trials"]}
    chosen = [(number, _row(view, number, studied.name)) for number in numbers]
    points = []
    for letter, (number, row) in zip(LETTERS, chosen, strict=False):
        seen = evidence(number)
        runs = [one for one in view.trials if one["trial"] in row["trials"]]
        change = _change(start, runs, seen)
        points.append(Point(row, letter, printable(labels[number]), change, seen, savings(start, row, assumed)))
    return Story(studied, start, table, tuple(points), not trials, assumed)


def _cloud(studied: Studied, view: StudyView, axis: str, assumed: Assumptions) -> pd.DataFrame:
    pick(AXES, axis, "axis")
    return cloud_table(view.rows, axis, "accuracy", view.groups[0], studied.constraints, assumed.g_per_kwh)


def _suggested(table: pd.DataFrame, studied: Studied) -> int:
    """The trial that the chart names: the best one, else the nearest to the constraints, else the most accurate."""
    rows = records(table)
    trials = [row for row in rows if not row["baseline"]]
    nearest, _ = nearest_miss(trials, studied.constraints) or (None, ())
    most = max(trials, key=lambda row: (row["accuracy"], row["ratio"] if row["ratio"] == row["ratio"] else 0))
    return int((best_of(rows, studied.constraints) or nearest or most)["trial"])


def _row(view: StudyView, number: int, name: str) -> Row:
    for row in view.settings:
        if number in row["trials"]:
            return row
    raise UserError(f"The study '{name}' has no finished trial {number}; it may have been deleted meanwhile")


def _change(start: Row, runs: Sequence[Row], seen: Evidence | None) -> Change:
    """From unseen images answered by both models where there are some, else from what the study measured."""
    if seen:
        _, low, high = answers_change(seen.lost, seen.won, seen.n)
        after = (seen.right + seen.won - seen.lost) / seen.n
        return Change(seen.right / seen.n, after, low, high, seen.n, seen.split)
    found = gain(runs, [start])
    return Change(found.start, found.own, found.low, found.high, int(start["n"]), start["split"])
