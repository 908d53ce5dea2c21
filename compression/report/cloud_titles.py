"""What the cloud of a study's trials shows, in one sentence and a line of measures, and which point it names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from compression.goals import Constraint
from compression.report.estimates import estimate_words
from compression.report.measures import AXES, ESTIMATED, MEASURES, ON_DEVICES, nothing, short, worth
from compression.report.setting_words import fitted
from compression.report.study_tables import best_feasible, nearest_miss
from compression.report.text import amount, capital, lowered, percent, share, times, unique
from compression.report.titles import (
    NOTHING_YET,
    ONLY_BASELINE,
    TOLERANCE,
    accuracy_words,
    best_point,
    cost_words,
    split_word,
    timing_words,
    tolerated,
)

Row = dict[str, Any]
Rows = Sequence[Row]
NAMED_BY = ("recipe", "study", "model")
"""Groups whose names speak for themselves."""
MOST_WORDS, NAME_WORDS = 15, 6
"""Of a title, and of the settings in it."""


def best_of(rows: Rows, constraints: Sequence[Constraint]) -> Row | None:
    """The trial that the chart names; None where none is fit.

    Under constraints it is the most accurate that meets them where accuracy is on an axis and free,
    the cheaper of equals; else the one that costs least. Without, it is the greatest gain within the
    tolerance.
    """
    trials = [row for row in rows if not row["baseline"]]
    if not trials or not trials[0]["axis"]:
        return max(trials, key=lambda row: row["accuracy"], default=None)
    cost = trials[0]["axis"]
    if not constraints:
        costs = [row | {"x_low": row["x_low" if row["x_axis"] == cost else "y_low"]} for row in trials]
        best = best_point(costs)
        return None if best is None else trials[next(at for at, row in enumerate(costs) if row is best)]
    free = "accuracy" in (trials[0]["x_axis"], trials[0]["y_axis"]) and "accuracy" not in _bounded(constraints)
    sign = -1 if AXES[cost].more_is_better else 1
    known = sorted((row for row in trials if row[cost] == row[cost]), key=lambda row: sign * row[cost])
    return cast("Row | None", best_feasible(known, constraints, "accuracy" if free else cost))


def _bounded(constraints: Sequence[Constraint]) -> set[str]:
    return {one.metric for one in constraints}


def cloud_title(rows: Rows, constraints: Sequence[Constraint], best: Row | None) -> str:
    """What is best, or why nothing is: "Best feasible: channels 60 %, 43 KB at 98.2 %"."""
    trials = [row for row in rows if not row["baseline"]]
    if not trials:
        return ONLY_BASELINE if rows else NOTHING_YET
    for key in (trials[0]["x_axis"], trials[0]["y_axis"]):
        if key in ON_DEVICES and all(math.isnan(row[key]) for row in trials):
            return f"None of these models fits the memory of {MEASURES[key].where}"
        if all(math.isnan(row[key]) for row in trials):
            return f"{MEASURES[key].label} of these trials has not been measured yet"
    if constraints:
        return _feasible_title(trials, constraints, best)
    cost = trials[0]["axis"]
    if not cost or len(trials) == len(rows):
        top = max(trials, key=lambda row: row["accuracy"])
        return _led(f"Most accurate of {len(trials):,} trials:", top)
    if best is None:
        return f"{nothing(AXES[cost])} stays within {tolerated(TOLERANCE)} of the baseline"
    if best["ratio"] != best["ratio"]:
        return _led("Named:", best)
    rest = f"{AXES[cost].verb.format(times(best['ratio']))} and {cost_words(rows, best)}"
    return capital(f"{fitted(best['label'], min(NAME_WORDS, MOST_WORDS - len(rest.split())))} {rest}")


def _led(lead: str, row: Row) -> str:
    """A row's name between a few words and its numbers."""
    told = numbers(row)
    room = MOST_WORDS - len(f"{lead} {told}".split())
    return f"{lead} {fitted(row['label'], min(NAME_WORDS, room))}, {told}"


def numbers(row: Row) -> str:
    """Cost and accuracy of a row: "43 KB at 98.2 %"."""
    cost = row["axis"]
    known = bool(cost) and row[cost] == row[cost]
    return f"{worth(row[cost], cost)} at {percent(row['accuracy'])}" if known else percent(row["accuracy"])


def _feasible_title(trials: Rows, constraints: Sequence[Constraint], best: Row | None) -> str:
    if best is not None:
        return _led("Best feasible:", best)
    miss = nearest_miss(trials, constraints)
    alone = len(trials) == 1
    none = "The only trial does not meet" if alone else f"None of {len(trials):,} trials meets"
    nearest = "it" if alone else "the nearest"
    if miss is None:
        met = sum(row["feasible"] for row in trials)
        return f"{met:,} of {len(trials):,} trials meet all constraints, but lack a measure drawn here"
    near, failed = miss
    first = failed[0]
    value = near[first.metric]
    if len(constraints) == 1:
        has = "not measured" if math.isnan(value) else f"{nearest} has {amount(value, MEASURES[first.metric].scale)}"
        return f"{none} {bound_words(first)}; {has}"
    if len(failed) == 1:
        return f"{none} all constraints; {nearest} fails {bound_words(first)}"
    title = f"{none} all constraints; {nearest} fails {', '.join(dict.fromkeys(short(one.metric) for one in failed))}"
    return title if len(title.split()) <= MOST_WORDS else f"{none} all constraints; {nearest} fails {len(failed)}"


def bound_words(constraint: Constraint) -> str:
    """A constraint as it is read: "accuracy ≥ 98 %", "packed size ≤ 100 KB"."""
    least = constraint.least > -math.inf
    bound = constraint.least if least else constraint.most
    return f"{short(constraint.metric)} {'≥' if least else '≤'} {amount(bound, MEASURES[constraint.metric].scale)}"


def cloud_subtitle(rows: Rows, constraints: Sequence[Constraint], bars: bool, hidden: Sequence[str]) -> str:
    """How many trials of what, on which images, with which intervals, and what faded and hollow mean.

    ``hidden`` says what is not in view.
    """
    drawn = [row for row in rows if row["x"] == row["x"] and row["y"] == row["y"]]
    parts = [_counted(rows)]
    axes = (rows[0]["x_axis"], rows[0]["y_axis"])
    if "accuracy" in axes:
        parts.append(lowered(accuracy_words(rows)) + ("" if bars else " (on hover)"))
    else:
        parts.append(
            f"measured on {split_words(rows)} images, n = {', '.join(f'{n:,}' for n in unique(r['n'] for r in rows))}"
        )
    parts.append(", ".join(dict.fromkeys(_origin(rows, key) for key in axes if key != "accuracy")))
    groups = {row["group"] for row in drawn if not row["baseline"]}
    parts.append(f"symbols: {rows[0]['by']}" if len(groups) > 1 and rows[0]["by"] not in NAMED_BY else "")
    marks = ["faded: beaten by another"] if not all(row["front"] for row in drawn) else []
    if constraints and not all(row["feasible"] for row in drawn):
        marks.append("hollow: fails a constraint")
    parts += ["; ".join(marks), "; ".join([*_lacking(rows), *hidden])]
    return " · ".join(filter(None, parts))


def split_words(rows: Rows) -> str:
    """On which images rows were measured: "validation", "validation and test"."""
    return " and ".join(split_word(split) for split in unique(row["split"] for row in rows))


def _counted(rows: Rows) -> str:
    trials = [row for row in rows if not row["baseline"]]
    runs = sum(len(row["trials"]) for row in trials)
    words = f"{runs:,} trial{'' if runs == 1 else 's'}"
    return words if runs == len(trials) else f"{words} of {len(trials):,} setting{'' if len(trials) == 1 else 's'}"


def _origin(rows: Rows, key: str) -> str:
    axis = MEASURES[key]
    if key in ESTIMATED:
        return f"{short(key)} {estimate_words(key, rows[0]['g_per_kwh'])}"
    where = f" ({timing_words(rows, axis.where)})" if axis.where else ""
    return f"{short(key)}{where} {axis.origin}"


def _lacking(rows: Rows) -> list[str]:
    """How many rows have no place for want of a measure."""
    found = []
    for key in dict.fromkeys((rows[0]["x_axis"], rows[0]["y_axis"])):
        missing = sum(math.isnan(row[key]) for row in rows)
        lack = f"that do not fit {MEASURES[key].where}" if key in ON_DEVICES else f"without {short(key)}"
        if missing:
            found.append(f"{missing:,} of {len(rows):,} {lack} are not drawn")
    return found


def below_words(number: int, least: float) -> str:
    """How many points lie under the first view: "5 below 79 % are off the chart"."""
    return f"{number:,} below {share(least)} are off the chart"
