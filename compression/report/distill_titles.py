"""The sentences over the charts of distilling, each computed from the rows that are drawn.

As in ``titles.py`` a sentence has at most fifteen words, and claims no difference that the
intervals do not show.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from compression.report.compare import T975
from compression.report.gains import gain
from compression.report.text import brief, capital, chance, percent, shortened, times

Row = dict[str, Any]
Rows = Sequence[Row]
SUBJECTS = {"teacher": "the teacher", "alone": "the student alone", "distilled": "the distilled student"}


def subject(run: str) -> str:
    """A run as the subject of a sentence: "the distilled student", "the hints student" for a method."""
    return SUBJECTS.get(run, f"the {run} student")


def fitting(*sentences: str) -> str:
    """The first sentence of at most fifteen words; if all are longer, the last one cut."""
    for sentence in sentences:
        if len(sentence.split()) <= 15:
            return sentence
    return " ".join(sentences[-1].split()[:14]) + " …"


def softening_title(rows: Rows, temperature: float) -> str:
    """How much of the answer the wrong classes hold, at the chosen T and at 1."""
    soft, one = (sum(row[key] for row in rows if not row["true"]) for key in ("soft", "one"))
    held = f"Wrong classes hold {chance(min(soft, 1.0))} at T = {brief(temperature)}"
    return held if temperature == 1 else f"{held}, {chance(min(one, 1.0))} at T = 1"


def entropy_title(rows: Rows, classes: int, present: tuple[float, float] | None) -> str:
    """How undecided the teacher is now, of how much is possible."""
    most = f"{math.log2(classes):.1f} bits"
    if present:
        return f"At T = {brief(present[0])} the teacher is unsure by {_bits(present[1])} of at most {most}"
    low, high = rows[0], rows[-1]
    span = f"From T = {brief(low['temperature'])} to {brief(high['temperature'])}"
    return f"{span} entropy goes from {_bits(low['bits'])} to {_bits(high['bits'])} bits"


def _bits(bits: float) -> str:
    return f"{bits:.1f}" if bits >= 0.095 or not bits else f"{bits:.2f}"


def dark_title(rows: Rows, true: str) -> str:
    """Which wrong class comes first, and how far ahead of the next."""
    first, name = rows[0], shortened(str(true))
    other = shortened(str(first["name"]))
    if first["ratio"] > 1:
        return fitting(
            f"The teacher takes this {name} for {other}: {_fold(first['ratio'])} as likely",
            f"The teacher takes it for {other}",
        )
    if len(rows) == 1 or not rows[1]["probability"]:
        given = f"the teacher gives {other} {chance(first['probability'])}"
        return fitting(f"For this {name} {given}", capital(given))
    plain = f"This {name} looks most like {other}"
    ahead, next_one = first["probability"] / rows[1]["probability"], shortened(str(rows[1]["name"]))
    if ahead < 1.05:
        return fitting(f"This {name} looks about as much like {other} as like {next_one}", f"It looks like {other}")
    return fitting(f"{plain}: {_fold(ahead)} as likely as {next_one}", f"It looks most like {other}")


def _fold(ratio: float) -> str:
    return times(ratio) if ratio < 1000 else ">1000×"


def similarity_title(pair: tuple[str, str, float], temperature: float) -> str:
    """Which class the teacher takes most for which other."""
    true, other, part = pair
    return fitting(
        f"{capital(shortened(true))} looks most like {shortened(other)}: "
        f"{chance(part)} on average at T = {brief(temperature)}",
        f"Classes look alike by up to {chance(part)} at T = {brief(temperature)}",
    )


def gradient_title(rows: Rows) -> str:
    """What temperature does to the gradient, and what is left of that with T²."""
    low, high = rows[0], rows[-1]
    if len(rows) == 1:
        return f"At T = {brief(low['temperature'])} the gradient is {low['plain']:.2g}; with T², {low['scaled']:.2g}"
    span = f"From T = {brief(low['temperature'])} to {brief(high['temperature'])} the gradient"
    return f"{span} {_move(low['plain'], high['plain'])}; with T² it {_move(low['scaled'], high['scaled'])}"


def _move(before: float, after: float) -> str:
    ratio = after / before
    if abs(math.log(ratio)) < math.log(1.05):
        return "hardly changes"
    return f"grows {_fold(ratio)}" if ratio > 1 else f"shrinks {_fold(1 / ratio)}"


def learning_title(rows: Rows) -> str:
    """Where validation accuracy stands, at the last epoch that every run has reached."""
    ends: dict[str, dict[int, float]] = {}
    for row in rows:
        ends.setdefault(row["run"], {})[row["epoch"]] = row["val_accuracy"]
    at = min(max(own) for own in ends.values())
    names = [(subject(run), percent(own[at])) for run, own in ends.items()]
    time = f"After {at} epoch{'' if at == 1 else 's'}"
    first = f"{time} {names[0][0]} reaches {names[0][1]}"
    if len(names) == 1:
        return fitting(f"{first} on validation images", first)
    return fitting(f"{first}, {names[1][0]} {names[1][1]}", first)


@dataclass(frozen=True)
class Gap:
    """A run's mean and that of the student alone, how much better it is, and whether that is beyond noise."""

    run: str
    mean: float
    start: float
    better: float
    low: float
    high: float
    seeds: int
    shared: bool
    clear: bool


def gap(rows: Rows, measure: str, run: str, base: str) -> Gap:
    """The ``gains.gain`` of ``run`` over ``base`` in accuracy, or in errors of n images."""
    own, start = ([row for row in rows if row["run"] == name] for name in (run, base))
    found, n = gain(own, start), own[0]["n"]
    mean, first, better, low, high = found.own, found.start, found.better, found.low, found.high
    if measure == "errors":  # rounded, since fractions of n miss whole errors by a hair
        mean, first, better, low, high = (round(n * a, 6) for a in (1 - mean, 1 - first, better, low, high))
    return Gap(run, mean, first, better, low, high, found.seeds, found.shared, found.clear)


def judged_title(rows: Rows, measure: str, base: str = "alone") -> str:
    """By how much distilling beats the student alone, or that it does not; the teacher is no rival."""
    runs = [run for run in dict.fromkeys(row["run"] for row in rows) if run != "teacher"]
    rivals = [run for run in runs if run != base]
    if base not in runs or not rivals:
        return fitting(_level(rows, measure, (runs or ["teacher"])[0]))
    gaps = [gap(rows, measure, run, base) for run in rivals]
    best = max([g for g in gaps if g.clear and g.better > 0] or gaps, key=lambda g: g.better)
    name, size = capital(subject(best.run)), _amount(abs(best.better), measure)
    seeds = f"{best.seeds} seed{'' if best.seeds == 1 else 's'}"
    if not best.clear:
        same = f"not clearly better than {subject(base)}, {seeds}"
        return fitting(f"{name} is {same}", f"Distilling is {same}")
    if best.better < 0:
        worse = f"is {size} worse than {subject(base)}, {seeds}"
        return fitting(f"{name} {worse}", f"Distilling {worse}")
    if measure == "errors":
        fewer = f"makes {size.split()[0]} fewer errors than alone, {best.mean:.0f} against {best.start:.0f}"
        return fitting(f"{name} {fewer}", f"Distilling {fewer}")
    above = f"reaches {percent(best.mean)}, {size} above {subject(base)}"
    return fitting(f"{name} {above}", f"Distilling {above}")


def _level(rows: Rows, measure: str, run: str) -> str:
    mean = fmean(row[measure] for row in rows if row["run"] == run)
    return capital(f"{subject(run)} makes {mean:.0f} errors" if measure == "errors" else
                   f"{subject(run)} reaches {percent(mean)}")  # fmt: skip


def _amount(size: float, measure: str) -> str:
    if measure == "errors":
        number = f"{size:.0f}" if size >= 1 else f"{size:.1f}"
        return f"{number} error{'' if number == '1' else 's'}"
    return f"{100 * size:.1f} points"


@dataclass(frozen=True)
class Ece:
    """A run's expected calibration error with the half width of its 95 % interval, and its signed gap."""

    value: float
    half: float
    over: float


def ece(rows: Iterable[Row]) -> Ece:
    r"""The calibration error of the bins of one run, and about how sure that number is.

    .. math:: \mathrm{ECE} = \sum_m \frac{n_m}{n} |a_m - c_m|, \quad
        \mathrm{half} = 1.96 \sqrt{\sum_m (n_m/n)^2 \, a_m (1 - a_m) / n_m}

    ``over`` is mean confidence minus accuracy: above 0 the model is too sure of itself.
    """
    full = [row for row in rows if row["count"]]
    n = sum(row["count"] for row in full)
    value = sum(row["count"] / n * abs(row["accuracy"] - row["confidence"]) for row in full)
    over = sum(row["count"] / n * (row["confidence"] - row["accuracy"]) for row in full)
    variance = sum(row["count"] / n**2 * row["accuracy"] * (1 - row["accuracy"]) for row in full)
    return Ece(value, 1.96 * math.sqrt(variance), over)


def reliability_title(runs: Mapping[str, Rows]) -> str:
    """Which student is better calibrated, where that is beyond noise; of one model, whether it is too sure."""
    found = {run: ece(own) for run, own in runs.items()}
    if len(found) == 1:
        ((run, only),) = found.items()
        if abs(only.over) <= only.half:
            return fitting(f"{capital(subject(run))} is on average as sure as it is right: ECE {percent(only.value)}")
        word = "sure" if only.over > 0 else "unsure"
        size = f"{abs(100 * only.over):.1f} points"
        return fitting(f"{capital(subject(run))} is too {word} by {size}: ECE {percent(only.value)}")
    rivals = {run: own for run, own in found.items() if run != "teacher"}
    found = rivals if len(rivals) > 1 else found
    best, worst = min(found, key=lambda run: found[run].value), max(found, key=lambda run: found[run].value)
    low, high = found[best], found[worst]
    if high.value - low.value <= math.hypot(low.half, high.half):
        return f"No model is clearly better calibrated: ECE {percent(low.value)} to {percent(high.value)}"
    numbers = f"ECE {percent(low.value).removesuffix(' %')} against {percent(high.value)}"
    return fitting(
        f"{capital(subject(best))} is better calibrated than {subject(worst)}: {numbers}",
        f"Calibration differs: {numbers}",
    )


def standout(rows: Rows) -> tuple[Row, bool]:
    """The most accurate row, and whether its interval lies above those of all other T on its line."""
    best = max((row for row in rows if not row["alone"]), key=lambda row: row["accuracy"])
    rest = [row for row in rows if row["series"] == best["series"] and row is not best]
    return best, bool(rest) and all(best["accuracy_low"] > row["accuracy_high"] for row in rest)


def temperature_title(rows: Rows) -> str:
    """Which temperature is best, or that none is; and whether it beats the student alone."""
    swept = [row for row in rows if not row["alone"]]
    best, clear = standout(rows)
    lines = len({row["series"] for row in swept})
    at = f"T = {brief(best['temperature'])}" if lines == 1 else f"{best['series']}, T = {brief(best['temperature'])}"
    alone = next((row for row in rows if row["alone"]), None)
    gain = _against(best, alone) if alone else ""
    reach = f"{percent(best['accuracy'])}{gain}"
    if len({row["temperature"] for row in swept}) == 1:
        return fitting(f"{at} reaches {reach}", f"T = {brief(best['temperature'])} reaches {reach}")
    if clear:
        return fitting(f"{at} stands out: {reach}", f"T = {brief(best['temperature'])} stands out: {reach}")
    return fitting(
        f"No temperature stands out: {at} is highest, {reach}",
        f"No temperature stands out; the highest accuracy is {reach}",
        "No temperature stands out",
    )


def _against(best: Row, alone: Row) -> str:
    change = f"{abs(100 * (best['accuracy'] - alone['accuracy'])):.1f} points"
    if not _apart(best, alone):
        return ", not clearly above alone"
    return f", {change} {'above' if best['accuracy'] > alone['accuracy'] else 'below'} alone"


def _apart(a: Row, b: Row) -> bool:
    """Whether the intervals do not meet; of seeds also whether Student's interval of the difference leaves out 0.

    The standard deviations of two or three seeds are often small by chance, and the best of
    many temperatures is high by chance, so that bars alone would promise too much.
    """
    if a["accuracy_low"] <= b["accuracy_high"] and b["accuracy_low"] <= a["accuracy_high"]:
        return False
    if {a["spread"], b["spread"]} != {"sd"}:
        return True
    error = math.hypot(*((row["accuracy_high"] - row["accuracy"]) / math.sqrt(row["seeds"]) for row in (a, b)))
    quantile = T975[min(a["seeds"] + b["seeds"] - 2, len(T975)) - 1]
    return bool(abs(a["accuracy"] - b["accuracy"]) > quantile * error)
