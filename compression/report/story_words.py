"""The sentences of a story. Each is computed from its numbers, and none claims what may be noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from compression.report.cloud_titles import bound_words
from compression.report.compare import ratio_words
from compression.report.cover import Cover
from compression.report.savings import DAYS, BreakEven, Saving, break_even
from compression.report.setting_words import trial_words
from compression.report.story import Change, Evidence, Point, Story
from compression.report.text import (
    TIMES,
    capital,
    duration,
    interval,
    money,
    percent,
    points,
    printable,
    quantity,
    signed,
    unique,
)
from compression.report.titles import split_word

Row = Mapping[str, Any]
PAID = {"hours": "machine time", "energy": "energy"}
"""In what a search is paid for."""


def title(story: Story, cover: Cover) -> str:
    """The presenter's title, else what the study is."""
    return cover.title or f"{story.start['model']}, compressed"


def headline(story: Story, point: Point) -> str:
    """What a point costs and buys: "3.1× smaller and 2.4× faster, −0.3 ± 0.2 points"."""
    parts = [ratio_words(story.start["packed_bytes"] / point.row["packed_bytes"], "smaller", "larger", "same size")]
    speedup = point.savings.get("hours")
    if speedup and speedup.clear:
        parts.append(ratio_words(point.row["speedup"], "faster", "slower", "of the same speed"))
    return f"{capital(' and '.join(parts))}, {change_words(point.change)}"


def change_words(change: Change) -> str:
    """A change of accuracy with its uncertainty: "−0.3 ± 0.2 points", or that none is seen beyond noise."""
    digits = 1 if round(100 * change.half, 1) else 2
    told = f"{signed(100 * change.value, digits)} ± {100 * change.half:.{digits}f} points"
    return told if change.clear else f"accuracy the same within noise ({told})"


def chosen_words(story: Story) -> str:
    """Which point it is, how it was chosen, and on which images it was judged."""
    point = story.points[0]
    how = "suggested among" if story.suggested else "picked by hand among"
    bounds = " and ".join(map(bound_words, story.studied.constraints))
    asked = f" under {bounds}" if bounds else ""
    met = "" if _meets(story, point) else ", which it does not meet"
    number = int((~story.table["baseline"]).sum())
    among = f"the only setting{',' if bounds else ''}" if number == 1 else f"{how} {number:,} settings"
    return f"{point.letter}, {among}{asked}{met}: {trial_words(point.label, point.row['trial'])}."


def _meets(story: Story, point: Point) -> bool:
    return all(one.holds(point.row) for one in story.studied.constraints)


def accuracy_words(story: Story, point: Point) -> str:
    """Accuracy before and after, and on which images."""
    change = point.change
    images = f"{change.n:,} {split_word(change.split)} images"
    unseen = "that no choice has seen" if change.split != story.studied.split else "that it was chosen by, too"
    return f"Accuracy {percent(change.before)} before, {percent(change.after)} after, on {images} {unseen}."


def images_words(story: Story) -> str:
    """On which images the accuracies of the chart are, and on which those of the text."""
    own, change = story.studied.split, story.points[0].change
    drawn = (
        f"The chart's accuracies are of {int(story.start['n']):,} {split_word(own)} images, on which the study chose"
    )
    if change.split == own:
        return f"{drawn}, as are those of the text."
    return (
        f"{drawn}; those of the text are of {change.n:,} {split_word(change.split)} images, which no choice has seen."
    )


def harm_words(point: Point) -> list[str]:
    """How many answers changed, and which class pays."""
    seen = point.evidence
    if seen is None:
        return ["Which answers changed is not known: the model of this trial, or its data, is not here."]
    return [_changed(seen), _worst(seen)]


def losing_words(seen: Evidence) -> str:
    """How many classes lose accuracy, noise left out."""
    losing, total = sum(high < 0 for _, _, _, high in seen.changes()), len(seen.classes)
    return f"{losing or 'None'} of {total} classes {'loses' if losing < 2 else 'lose'} accuracy beyond noise"


def _changed(seen: Evidence) -> str:
    total = seen.lost + seen.won + seen.otherwise
    if not total:
        return f"None of {seen.n:,} answers on {split_word(seen.split)} images changed."
    rest = f", {seen.otherwise:,} from one wrong answer to another" if seen.otherwise else ""
    return (
        f"{total:,} of {seen.n:,} answers on {split_word(seen.split)} images changed: {seen.lost:,} from right to "
        f"wrong, {seen.won:,} from wrong to right{rest}."
    )


def _worst(seen: Evidence) -> str:
    worst, change, low, high = seen.changes()[0]
    name, ends = printable(worst.name), f"{points(low)} to {points(high)}"
    if change >= 0:
        return "No class loses accuracy."
    if high < 0:
        return f"Class {name} loses most: {points(change)} of {worst.n:,} images ({ends})."
    return f"No class loses beyond noise; the most is {points(change)} of {worst.n:,} images of class {name} ({ends})."


def savings_words(story: Story, point: Point) -> list[str]:
    """What a year saves at the stated traffic, in machine time, money, energy and CO₂."""
    requests = story.assumed.requests_per_day
    if not requests:
        return ["At 0 requests a day nothing is saved."]
    return [
        f"At {quantity(requests)} requests a day {_time_words(point, requests * DAYS)}",
        capital(_energy_words(story, point, requests * DAYS)),
    ]


def _time_words(point: Point, requests: float) -> str:
    hours, price = (point.savings.get(key) for key in ("hours", "money"))
    if hours is None or price is None:
        return "machine time is not told, since latency was not measured (latency: true in the plan)."
    if not hours.clear:
        row = point.row
        return f"no machine time is saved beyond noise (speed-up {_speed_words(row)})."
    return (
        f"{_yearly(price, requests)} a year is {_direction(price)}{_ends(price, requests)}: {_part(hours, requests)}."
    )


def _speed_words(row: Row) -> str:
    return f"{row['speedup']:.2f}{TIMES}, {row['speedup_low']:.2f} to {row['speedup_high']:.2f}"


def _energy_words(story: Story, point: Point, requests: float) -> str:
    energy, co2 = (point.savings.get(key) for key in ("energy", "co2"))
    if energy is None or co2 is None:
        return "energy is not told, since it was not measured."
    if not energy.clear:
        return "no energy is saved."
    return (
        f"{_part(energy, requests)} of energy a year is {_direction(energy)}, and {_yearly(co2, requests)} "
        f"({story.start['energy_source']})."
    )


def _part(one: Saving, requests: float) -> str:
    """What is saved of all: "71 of 122 machine hours"."""
    of = "of" if one.saved >= 0 else "on top of"
    return f"{quantity(abs(one.saved) * requests)} {of} {amount_of(one.before * requests, one)}"


def _direction(one: Saving) -> str:
    return "saved" if one.saved >= 0 else "added"


def _yearly(one: Saving, requests: float) -> str:
    return amount_of(abs(one.saved) * requests, one)


def amount_of(value: float, one: Saving | BreakEven) -> str:
    """An amount in the unit of a saving: "$38.50", "71 kWh"."""
    return money(value, one.unit) if one.key == "money" else f"{quantity(value)} {one.unit}"


def _ends(one: Saving, requests: float) -> str:
    """The ends of what is saved, where they are written differently: " ($3.44 to $3.65)"."""
    low, high = (amount_of(abs(end) * requests, one) for end in sorted((one.low, one.high), key=abs))
    return f" ({low} to {high})" if low != high else ""


def earned(story: Story, point: Point) -> list[BreakEven]:
    """When the search is paid for; see ``savings.break_even``."""
    return break_even(story.studied.seconds, point.savings, story.assumed)


def break_even_words(story: Story, point: Point) -> list[str]:
    """After how many requests, and days at the stated traffic, the search has paid for itself."""
    found = earned(story, point)
    energy = [f", about {amount_of(one.spent, one)}" for one in found if one.key == "energy"]
    spent = f"The search took {duration(story.studied.seconds)} of one worker{''.join(energy)}."
    paid = [_paid(one, story) for one in found]
    return [spent, *(paid or ["Nothing is clearly saved to pay for it."])]


def _paid(one: BreakEven, story: Story) -> str:
    days = one.days(story.assumed.requests_per_day)
    when = "never" if math.isinf(days) else _days(days)
    return (
        f"It is paid for in {PAID[one.key]} after {quantity(math.ceil(one.requests))} requests: {when} at this traffic."
    )


def _days(days: float) -> str:
    if days < 1:
        return "less than a day"
    return f"{quantity(days)} days" if days < 2 * DAYS else f"{quantity(days / DAYS)} years"


def footnote(story: Story) -> list[str]:
    """Under which conditions all of it holds: data, seeds, runtime, batch, hardware, versions, date."""
    row, studied, start = story.points[0].row, story.studied, story.start
    ends = interval(start["accuracy_low"], start["accuracy_high"])
    lines = [
        _study_words(story),
        f"Accuracy of the baseline on these images {percent(start['accuracy'])} (95 % interval {ends}).",
        f"Latency: {row['runtime']}, batch {row['batch']:g}, one thread, in pairs with the baseline."
        if row.get("runtime")
        else "",
        f"Energy: {start.get('energy_source') or 'not measured'}; CO₂ by the grid stated.",
        _machine_words(studied.hardware.get(row["trial"], {})),
        _version_words(studied.versions.get(row["trial"], {})),
    ]
    return [line for line in lines if line]


def _study_words(story: Story) -> str:
    row, studied, start = story.points[0].row, story.studied, story.start
    trials = len(studied.rows) - 1
    parts = [
        f"Study {studied.name}: {start['model']} on {start['data']}",
        f"{trials:,} trial{'' if trials == 1 else 's'}",
        f"{row['seeds']} seeds" if row["seeds"] > 1 else f"seed {row['seed']}",
        f"{split_word(studied.split)} images n = {int(start['n']):,}",
        f"last run {studied.ended}" if studied.ended else "",
    ]
    return f"{', '.join(filter(None, parts))}."


def _machine_words(hardware: Row) -> str:
    parts = unique([hardware.get("cpu"), hardware.get("gpu"), hardware.get("platform")])
    cores = [f"{hardware['cores']} cores"] if hardware.get("cores") else []
    return f"Machine: {printable(', '.join([*map(str, parts), *cores]))}." if parts else ""


def _version_words(versions: Row) -> str:
    return f"Versions: {', '.join(f'{name} {number}' for name, number in versions.items())}." if versions else ""
