"""The cloud of a study's trials on any two measures: front, baseline, constraints, and one point that is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from compression.goals import Constraint
from compression.report import cloud_titles as titles
from compression.report.cloud_bounds import (
    bound_labels,
    bound_paths,
    bound_shapes,
    bounds_in,
    bounds_on,
    dotted,
    remark_labels,
)
from compression.report.cloud_marks import (
    BARS,
    WEBGL,
    Plane,
    Row,
    Side,
    baseline_trace,
    front_paths,
    front_trace,
    key_trace,
    looks_of,
    points_traces,
    ring_trace,
    side,
)
from compression.report.compare import knee, records
from compression.report.drawing import (
    DIRECT,
    WIDE,
    Chart,
    Frame,
    chart,
    empty_chart,
    headroom,
    level_line,
    with_legend,
)
from compression.report.labels import CELL, Label, notes, pixels, place
from compression.report.text import escaped
from compression.report.themes import Style, Theme, faded
from compression.report.tradeoff import FOCUS

Key = tuple[str, int]


def cloud_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    constraints: Sequence[Constraint] = (),
    best: Key | None = None,
    show_knee: bool = False,
    log_x: bool | None = None,
    log_y: bool | None = False,
    selected: Sequence[Key] = (),
    pinned: Key | None = None,
    width: int = WIDE,
    height: int = 460,
) -> Chart:
    """Every trial of a :func:`cloud_table` on its two measures, with front, baseline and constraints.

    Beaten points are faded, those that fail a constraint hollow; constraints on an axis shade what they
    rule out. ``customdata`` of every point says its study and trial: ``trial_of``.

    Args:
        table: of ``cloud_table``, made with the same constraints.
        theme: the colours.
        constraints: what a point must meet.
        best: study and trial of the point to name; None names that of ``cloud_titles.best_of``.
        show_knee: ring the front's knee.
        log_x: a logarithmic axis; None where values span more than eight times.
        log_y: the same of y.
        selected: study and trial of points to ring and mark, after the pinned one: A, B, …
        pinned: study and trial of the point marked A.
        width: the least width that it must look right at.
        height: of the whole chart, a legend apart.
    """
    everything = records(table)
    named = _found(everything, best) if best else titles.best_of(everything, constraints)
    title = titles.cloud_title(everything, constraints, named)
    rows = [row for row in everything if row["x"] == row["x"] and row["y"] == row["y"]]
    if not rows:
        hint = "Choose another measure, or take the times of these trials." if everything else "Run the study first."
        return empty_chart(title, hint, theme, width, height)
    marked = [row for row in (_found(rows, key) for key in (pinned, *selected) if key) if row]
    plane = _plane(rows, constraints, log_x, log_y, marked)
    bounds, unseen = bounds_in(plane, constraints)
    subtitle = titles.cloud_subtitle(everything, constraints, plane.bars, _hidden(rows, plane) + unseen)
    frame = Frame(width, height, left=68, top=headroom(title, subtitle, width))
    plane = _sized(plane, frame)
    turn = _knee(rows, plane) if show_knee else None
    remarks = remark_labels(rows, named, turn, marked, plane, bool(constraints))
    groups = _grouped(rows)
    looks = looks_of(list(groups))
    labels, keyed = _labels(groups, looks, remarks + bound_labels(bounds, plane, theme), rows, bounds, plane, theme)
    traces = _traces(rows, groups, looks, plane, theme, keyed)
    rings = {"best": [named] if named else [], "knee": [turn] if turn else [], "marked": marked}
    traces += [ring_trace(name, own, plane, theme) for name, own in rings.items() if own]
    layout = _axes(plane, titles.split_words(rows)) | {
        "annotations": labels,
        "shapes": bound_shapes(bounds, plane, theme),
    }
    layout["shapes"] += [level_line(level, theme) for level in _levels(rows, plane)]
    frame, legend = with_legend(list(groups), frame) if keyed else (frame, {})
    return chart(traces, theme, title, subtitle, frame, layout | legend)


def _found(rows: Sequence[Row], key: Key | None) -> Row | None:
    """The row that a trial is in."""
    return next((row for row in rows if key and row["study"] == key[0] and key[1] in row["trials"]), None)


def _plane(
    rows: Sequence[Row],
    constraints: Sequence[Constraint],
    log_x: bool | None,
    log_y: bool | None,
    marked: Sequence[Row] = (),
) -> Plane:
    """The stretch that is first shown: accuracies far below the baseline are left out of it, unless they are marked."""
    least = {name: min([_least(rows, name), *(row[name] for row in marked)]) for name in ("x", "y")}
    shown = [row for row in rows if all(row[name] >= floor for name, floor in least.items())] or list(rows)
    bars = len(rows) <= BARS
    sides = []
    for name, log in (("x", log_x), ("y", log_y)):
        bounds = [bound for bound, _, _ in bounds_on(rows[0][f"{name}_axis"], constraints)]
        sides.append(side(shown, name, log, least[name], bars, bounds))
    return Plane(sides[0], sides[1], "scattergl" if len(rows) > WEBGL else "scatter", bars)


def _least(rows: Sequence[Row], name: str) -> float:
    """The floor of the first view on an axis of accuracy; none on others."""
    if rows[0][f"{name}_axis"] != "accuracy":
        return float("-inf")
    start = max((row[name] for row in rows if row["baseline"]), default=max(row[name] for row in rows))
    lowest = min(row[name] for row in rows)
    return float(lowest) if lowest >= start - FOCUS else int((start - FOCUS) * 20) / 20


def _hidden(rows: Sequence[Row], plane: Plane) -> list[str]:
    found = []
    for name, one in dict.fromkeys((("x", plane.x), ("y", plane.y))):
        low = sum(row[name] < one.least for row in rows)
        found += [titles.below_words(low, one.least)] if low else []
    return list(dict.fromkeys(found))


def _sized(plane: Plane, frame: Frame) -> Plane:
    """The plane in the frame's pixels; a floor keeps its line."""
    x = replace(plane.x, scale=replace(plane.x.scale, length=frame.across))
    return replace(plane, x=x, y=replace(plane.y, scale=replace(plane.y.scale, length=frame.upward)))


def _knee(rows: Sequence[Row], plane: Plane) -> Row | None:
    """The knee of the front in view: points far below would bend it anywhere."""
    shown = [row for row in rows if plane.shows(row)]
    return knee(shown, plane.x.scale.log, "y", plane.y.scale.log, not plane.y.up)


def _grouped(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each group in the groups' order, the best drawn last."""
    groups: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["turn"]):
        if not row["baseline"]:
            groups.setdefault(row["group"], []).append(row)
    return {name: sorted(own, key=lambda row: (row["front"], row["near"])) for name, own in groups.items()}


def _levels(rows: Sequence[Row], plane: Plane) -> list[float]:
    """The accuracies of the baselines, each of which has a line across the chart that labels should keep off."""
    return sorted({row["y"] for row in rows if row["baseline"]}) if plane.y.key == "accuracy" else []


def _labels(
    groups: dict[str, list[Row]],
    looks: dict[str, Style],
    remarks: list[Label],
    rows: Sequence[Row],
    bounds: Any,
    plane: Plane,
    theme: Theme,
) -> tuple[list[dict[str, Any]], bool]:
    """All labels placed, and whether the groups need a legend: they are many, or their names would cover points."""
    x, y = plane.x.scale, plane.y.scale
    spots = [plane.at(row) for row in rows]
    places = np.round(pixels(spots, x, y) / CELL).tolist()
    cells = {tuple(cell): spot for cell, spot in zip(places, spots, strict=True)}  # one stands for all in its cell
    paths = [[spot] for spot in cells.values()] + front_paths(rows, plane) + bound_paths(bounds, plane)
    paths += [[spot] for level in _levels(rows, plane) for spot in dotted(level, plane)]
    names = []
    if 1 < len(groups) <= DIRECT:
        names = [_name_label(name, own, looks[name], plane, theme) for name, own in groups.items()]
    placed = place(remarks + names, paths, x, y)
    keyed = len(groups) > DIRECT or any(item.covers for item in placed[len(remarks) :])
    if keyed:
        placed = placed[: len(remarks)]
    made = notes(placed, x, y, theme)
    for note, item in zip(made, placed, strict=True):
        if item.covers:
            note["bgcolor"] = faded(theme.page, 0.8)
    return made, keyed


def _name_label(name: str, own: Sequence[Row], look: Style, plane: Plane, theme: Theme) -> Label:
    shown = sorted((row for row in own if plane.shows(row)), key=lambda row: row["y"], reverse=plane.y.up is False)
    text = f'<span style="color:{theme.palette[look.colour]}">{look.glyph}</span> {escaped(name)}'
    return Label(text, [plane.at(row) for row in (shown or own)[:60]], clear=1)


def _traces(
    rows: Sequence[Row],
    groups: dict[str, list[Row]],
    looks: dict[str, Style],
    plane: Plane,
    theme: Theme,
    keyed: bool,
) -> list[dict[str, Any]]:
    traces = []
    for name, own in groups.items():
        traces += points_traces(name, own, looks[name], plane, theme)
    if keyed:
        traces += [key_trace(name, looks[name], plane, theme) for name in groups]
    return [*traces, front_trace(rows, plane, theme), baseline_trace(rows, plane, theme)]


def _axes(plane: Plane, split: str) -> dict[str, Any]:
    return {
        "xaxis": _axis(plane.x, "right" if plane.x.up else "left", split),
        "yaxis": _axis(plane.y, "up" if plane.y.up else "down", split),
        "dragmode": "zoom",
        "clickmode": "event+select",
    }


def _axis(one: Side, better: str, split: str) -> dict[str, Any]:
    name = f"{one.axis.label} ({one.unit})" if one.unit else one.axis.label
    name += f" on {split} images" if one.key == "accuracy" else ""
    ticks: dict[str, Any] = {"nticks": 7}
    if one.scale.log:
        ticks = {"type": "log", "dtick": "D2" if one.scale.high / one.scale.low < 1000 else 1}
    form = "~%" if one.axis.scale == "fraction" else "~g"
    return {"title": {"text": f"{name} · {better} is better"}, "range": one.scale.range, "tickformat": form, **ticks}
