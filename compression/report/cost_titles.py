"""The sentence over the chart of teacher and students against a cost, computed from the rows that are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from compression.report.distill_titles import fitting, subject
from compression.report.measures import AXES, Axis
from compression.report.text import capital, lowered, percent, points, times
from compression.report.titles import accuracy_words

Row = dict[str, Any]
Rows = Sequence[Row]
MORE = {"fewer parameters": "more parameters", "fewer MACs": "more MACs", "smaller": "larger"}
"""What a gain is called where it is none."""


def cost_title(rows: Rows) -> str:
    """What the student's lower cost costs in accuracy, and how much of that the teacher wins back.

    Differences whose interval holds zero are said to be within noise.
    """
    runs = {row["run"]: row for row in rows}
    teacher, alone, best = runs.get("teacher"), runs.get("alone"), taught(rows)
    student = alone or best
    if teacher and student and not math.isnan(student["ratio"]):
        if alone and best:
            price, lost = _price(student), clear(student, "change") and student["change"] < 0
            return fitting(f"{price}; {_help(best, student, lost)}", f"{price}; {_help(best, student, lost, True)}")
        return fitting(_price(student, f" {subject(student['run'])}"), _price(student, " the student"))
    if alone and best:
        return _worth(best)
    row = student or rows[0]
    return fitting(f"{capital(subject(row['run']))} reaches {percent(row['accuracy'])}")


def cost_subtitle(rows: Rows) -> str:
    """What is drawn, on which split and how many images, with which interval, and where the cost comes from."""
    axis = AXES[rows[0]["axis"]]
    known = "both measured" if axis.origin == "measured" else f"{axis.origin}; accuracy measured"
    # Marked as baselines, of which the words say nothing about fine-tuning.
    return f"{accuracy_words([row | {'baseline': True} for row in rows])} · {lowered(axis.label)} · {known}"


def taught(rows: Rows) -> Row | None:
    """The student whose teacher helped most beyond noise, or at all; of those that cost what the student alone does."""
    alone = next((row for row in rows if row["run"] == "alone"), None)
    rivals = [row for row in rows if row["run"] not in ("teacher", "alone") and (not alone or level(row, alone))]
    if not alone:
        return max(rivals, key=lambda row: row["accuracy"], default=None)
    helped = [row for row in rivals if clear(row, "gain") and row["gain"] > 0]
    return max(helped or rivals, key=lambda row: row["gain"], default=None)


def level(a: Row, b: Row) -> bool:
    """Whether two rows cost the same, to one in a hundred."""
    return math.isclose(a["x"], b["x"], rel_tol=0.01)


def clear(row: Row, key: str) -> bool:
    """Whether the interval of this difference leaves out zero."""
    return not row[f"{key}_low"] <= 0 <= row[f"{key}_high"]


def worth(row: Row) -> str:
    """What the teacher's hint is worth: "+1.6 points", "within noise", or nothing without the student alone."""
    if math.isnan(row["gain"]):
        return ""
    return points(row["gain"]) if clear(row, "gain") else "within noise"


def _price(student: Row, who: str = "") -> str:
    """The first half: "34× fewer parameters cost 3.7 points", "Being 2.0× larger gains no more than noise"."""
    axis, ratio, worse = AXES[student["axis"]], student["ratio"], student["change"] < 0
    known, size = clear(student, "change"), _size(student["change"])
    if times(max(ratio, 1 / ratio)) == times(1):
        how = f"{'loses' if worse else 'gains'} {size}"
        return f"At equal cost{who or ' the student'} {how}" if known else "At equal cost accuracy is within noise"
    lead, s = _lead(axis, ratio)
    if known:
        still = "still " if worse and ratio < 1 else ""
        return f"{lead} {still}{'cost' if worse else 'gain'}{s}{who} {size}"
    return f"{lead} {'cost' if ratio > 1 else 'gain'}{s}{who} no more than noise"


def _lead(axis: Axis, ratio: float) -> tuple[str, str]:
    """The subject, and the ending of its verb."""
    what = f"{times(ratio)} {axis.gain}" if ratio > 1 else f"{times(1 / ratio)} {MORE[axis.gain]}"
    return (f"Being {what}", "s") if axis.gain == "smaller" else (what, "")


def _help(best: Row, alone: Row, lost: bool, plain: bool = False) -> str:
    """The second half: what the teacher's hint changes."""
    if not clear(best, "gain"):
        return "the teacher's help is within noise"
    if best["gain"] < 0:
        return f"distilling costs {_size(best['gain'])}{' more' if lost else ''}"
    who = "the teacher" if plain or best["run"] == "distilled" else subject(best["run"])
    if not lost:
        return f"{who} adds {_size(best['gain'])}"
    back, gone = _number(best["gain"]), _number(alone["change"])
    more = " and more" if clear(best, "change") and best["change"] > 0 else ""
    return f"{who} wins back {f'all{more}' if float(back) >= float(gone) else back}"


def _worth(best: Row) -> str:
    """The title where no teacher is drawn."""
    if not clear(best, "gain"):
        return "What distilling adds to the student alone is within noise"
    return f"Distilling {'adds' if best['gain'] > 0 else 'costs'} {_size(best['gain'])} at equal cost"


def _size(change: float) -> str:
    return f"{_number(change)} points"


def _number(change: float) -> str:
    """Percentage points without a sign; a small difference that is clear is not written as none."""
    size = 100 * abs(change)
    return f"{size:.1f}" if size >= 0.05 else f"{size:.1g}"
