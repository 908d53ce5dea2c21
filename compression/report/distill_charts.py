"""Charts of distilling: the student while it learns, judged beside itself without a teacher, and its calibration."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import Any, Literal

import pandas as pd

from compression.report import distill_titles as titles
from compression.report.compare import records
from compression.report.drawing import NARROW, Chart, Frame, chart, empty_chart, heading, headroom
from compression.report.labels import LABEL_PX, Label, Scale, notes, place
from compression.report.runs import by_run, dash, label, looks, marked
from compression.report.text import MINUS, percent, unique
from compression.report.themes import OPEN, Style, Theme, faded
from compression.report.titles import split_word

Row = dict[str, Any]
Measure = Literal["errors", "accuracy"]
HEAD_PX, ROW_PX = 20, 48


def learning_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    planned: int | None = None,
    width: int = NARROW,
    height: int | None = None,
) -> Chart:
    """The two terms of the loss before alpha weighs them, and validation accuracy, by epoch, for one or two runs.

    ``table`` is a :func:`learning_table`. ``planned`` is how many epochs there will be: the axis
    is as long from the first, so that nothing jumps while training runs. From 520 pixels on the
    two panels stand side by side, else one above the other.
    """
    rows = records(table)
    beside = width >= 520
    tall = height or (320 if beside else 460)
    if not rows:
        return empty_chart("No epoch has been trained yet", "Curves appear with the first epoch.", theme, width, tall)
    title = titles.learning_title(rows)
    subtitle = (
        "Cross-entropy with the labels and the teacher's term on training images, neither weighed by α; "
        "accuracy on validation images · measured"
    )
    frame = Frame(width, tall, left=46, top=headroom(title, subtitle, width))
    runs = by_run(rows)
    styles = looks(runs)
    x = Scale(0.7, max([planned or 1] + [row["epoch"] for row in rows]) + 0.3, frame.across * (0.44 if beside else 1.0))
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"annotations": []}
    panels = ((_losses(runs), "Training loss, unweighed"), (_accuracies(runs), "Accuracy"))
    for turn, (curves, head) in enumerate(panels):
        panel, box = ("", "2")[turn], _panel(turn, beside, frame)
        y = _heights(
            [value for own in curves.values() for _, value in own], frame.upward * (box[1][1] - box[1][0]), turn
        )
        traces += [_curve(run, part, own, styles[run], panel, theme) for (run, part), own in curves.items() if own]
        layout[f"xaxis{panel}"] = _epochs(x, box[0], panel, beside or turn == 1)
        layout[f"yaxis{panel}"] = _measures(y, box[1], panel, turn)
        layout["annotations"].append(heading(f"<b>{head}</b>", box[0][0], box[1][1], theme))
        layout["annotations"] += _curve_names(curves, styles, panel, x, y, theme)
    return chart(traces, theme, title, subtitle, frame, layout)


Curves = dict[tuple[str, str], list[tuple[float, float]]]


def _losses(runs: dict[str, list[Row]]) -> Curves:
    parts = {"labels": "hard_loss", "teacher": "teacher_loss"}
    return {(run, part): _known(own, key) for run, own in runs.items() for part, key in parts.items()}


def _accuracies(runs: dict[str, list[Row]]) -> Curves:
    return {(run, ""): _known(own, "val_accuracy") for run, own in runs.items()}


def _known(own: list[Row], key: str) -> list[tuple[float, float]]:
    return [(row["epoch"], row[key]) for row in own if math.isfinite(row[key])]


def _panel(turn: int, beside: bool, frame: Frame) -> tuple[list[float], list[float]]:
    head = HEAD_PX / frame.upward
    if beside:
        return [[0.0, 0.44], [0.56, 1.0]][turn], [0.0, 1 - head]
    gap = 30 / frame.upward
    half = (1 - gap - 2 * head) / 2
    return [0.0, 1.0], [[half + gap + head, 1 - head], [0.0, half]][turn]


def _heights(values: list[float], length: float, turn: int) -> Scale:
    """The axis of a panel; losses of which one is many times another stand on a logarithmic one."""
    if not values:
        return Scale(0.0, 1.0, length)
    low, high = min(values), max(values)
    if turn == 0 and low > 0 and high / low > 12:
        return Scale(low / 1.5, high * 2, length, True)
    room = 0.12 * (high - low or 0.1 * high or 0.02)
    return Scale(low - room, high + 2 * room, length)


def _epochs(x: Scale, domain: list[float], panel: str, named: bool) -> dict[str, Any]:
    step = max(1, math.ceil((x.high - x.low) / 6))
    axis = {"domain": domain, "anchor": f"y{panel}", "range": x.range, "tickformat": "d", "dtick": step, "tick0": 0}
    return axis | ({"title": {"text": "Epoch"}} if named else {})


def _measures(y: Scale, domain: list[float], panel: str, turn: int) -> dict[str, Any]:
    axis: dict[str, Any] = {"domain": domain, "anchor": f"x{panel}", "range": y.range, "nticks": 5}
    if y.log:
        return axis | {"type": "log", "tickformat": "~g", "dtick": "D2" if y.high / y.low < 100 else 1}
    return axis | {"tickformat": "~%" if turn else "~g"}


def _curve(
    run: str, part: str, own: list[tuple[float, float]], look: Style, panel: str, theme: Theme
) -> dict[str, Any]:
    colour, number = theme.palette[look.colour], "%{y:.3g}" if part else "%{y:.1%}"
    name = label(run) + (f", {part}" if part else "")
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [x for x, _ in own],
        "y": [float(f"{y:.5g}") for _, y in own],
        "xaxis": f"x{panel}",
        "yaxis": f"y{panel}",
        "line": {"color": colour, "width": 2, "dash": dash(1 if part == "teacher" else 0)},
        "marker": {"symbol": look.symbol + ("-open" if part == "teacher" else ""), "size": 6, "color": colour},
        "hovertemplate": f"epoch %{{x}}, {name}: {number}<extra></extra>",
    }


def _curve_names(
    curves: Curves, styles: dict[str, Style], panel: str, x: Scale, y: Scale, theme: Theme
) -> list[dict[str, Any]]:
    """Each curve's name; a part of the loss is said only where the run has two."""
    several = {run for run, part in curves if part == "teacher" and curves[run, part]}
    labels = []
    for (run, part), own in curves.items():
        look = styles[run]
        if part == "teacher":
            look = Style(look.colour, look.symbol, OPEN[look.glyph])
        text = marked(run, look, theme, f": {part}" if run in several and part else "")
        labels += [Label(text, own[::-1], leader=True)] if own else []
    return notes(place(labels, [own for own in curves.values() if own], x, y), x, y, theme, panel) if labels else []


def judged_chart(
    table: pd.DataFrame, theme: Theme, *, measure: Measure = "errors", base: str = "alone", width: int = NARROW
) -> Chart:
    """Every seed of every run as a dot, with mean ± sd, and the teacher as a line to compare with.

    ``table`` is a :func:`judged_table`; its run "teacher" becomes the line, and ``base`` is the
    run that the others must beat.
    """
    rows = records(table)
    runs = by_run(row for row in rows if row["run"] != "teacher")
    if not runs:
        hint = "Train the student with its teacher and alone to compare the two."
        return empty_chart("No student has been judged yet", hint, theme, width)
    title, subtitle = titles.judged_title(rows, measure, base), _judged_words(rows, measure, base)
    frame = Frame(width, headroom(title, subtitle, width) + 24 + ROW_PX * len(runs) + 50, left=12, right=12, bottom=46)
    teacher = [row[measure] for row in rows if row["run"] == "teacher"]
    x = _span([row[measure] for row in rows], measure, frame.across)
    styles = looks(runs)
    traces, words = [], []
    for turn, (run, own) in enumerate(runs.items()):
        values = [row[measure] for row in own]
        traces += _dots(own, values, turn, styles[run], measure, x, theme)
        words += _row_words(turn, marked(run, styles[run], theme), _mean_sd(values, measure), theme)
    unit = "Errors" if measure == "errors" else "Accuracy"
    better = "left" if measure == "errors" else "right"
    places = " and ".join(split_word(split) for split in unique(row["split"] for row in rows))
    layout: dict[str, Any] = {
        "xaxis": {
            "title": {"text": f"{unit} on {places} images · {better} is better"},
            "range": x.range,
            "tickformat": "d" if measure == "errors" else "~%",
            "nticks": 6,
        },
        "yaxis": {"range": [len(runs) - 0.5, -0.5 - 24 / ROW_PX], "visible": False},
        "annotations": words,
        "shapes": [],
    }
    if teacher:
        at = fmean(teacher)
        layout["shapes"].append(_teacher_line(at, theme))
        layout["annotations"].append(_teacher_word(at, f"{marked('teacher', looks(['teacher'])['teacher'], theme)} "
                                                   f"{_figure(at, measure)}", x, theme))  # fmt: skip
    return chart(traces, theme, title, subtitle, frame, layout)


def _judged_words(rows: list[Row], measure: Measure, base: str) -> str:
    seeds = len({row["seed"] for row in rows if row["run"] != "teacher"})
    images = ", ".join(f"{n:,.0f}" for n in unique(row["n"] for row in rows))
    words = f"Each dot a seed, diamond: mean ± sd, n = {images}" if seeds > 1 else f"One seed, n = {images}"
    runs = [run for run in dict.fromkeys(row["run"] for row in rows) if run not in ("teacher", base)]
    if len(runs) == 1 and any(row["run"] == base for row in rows):
        found = titles.gap(rows, measure, runs[0], base)
        low, high = (f"{end:.0f}" if measure == "errors" else f"{100 * end:.2f}" for end in (found.low, found.high))
        unit = "errors fewer" if measure == "errors" else "points more"
        over = f", the {found.seeds} seeds that both have" if found.shared else ""
        words += f"; 95 % interval of the gain{over}: {low} to {high} {unit}".replace("-", MINUS)
    return f"{words} · measured"


def _span(values: list[float], measure: Measure, across: float) -> Scale:
    low, high = min(values), max(values)
    room = 0.1 * (high - low) or (2.0 if measure == "errors" else 0.005)
    return Scale(low - room, high + room, across)


def _dots(
    own: list[Row], values: list[float], turn: int, look: Style, measure: Measure, x: Scale, theme: Theme
) -> list[dict[str, Any]]:
    colour = theme.palette[look.colour]
    common = {"type": "scatter", "mode": "markers", "cliponaxis": False, "name": label(own[0]["run"])}
    dots = {
        "x": values,
        "y": _stacked(values, turn, x),
        "marker": {"symbol": look.symbol, "size": 9, "color": faded(colour, 0.65)},
        "text": [f"<b>{label(row['run'])}, seed {row['seed']}</b><br>{row['errors']:,} errors<br>"
                 f"accuracy {percent(row['accuracy'], 2)}" for row in own],
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    if len(values) < 2:
        return [common | dots]
    error = {"type": "data", "array": [stdev(values)], "color": theme.text, "thickness": 1.5, "width": 5}
    mean = {
        "x": [fmean(values)],
        "y": [turn + 0.27],
        "marker": {"symbol": "diamond", "size": 10, "color": colour, "line": {"color": theme.text, "width": 1}},
        "error_x": error,
        "hovertemplate": f"{label(own[0]['run'])}: {_mean_sd(values, measure)}<extra></extra>",
    }
    return [common | dots, common | mean]


def _stacked(values: list[float], turn: int, x: Scale) -> list[float]:
    """Dots of seeds that nearly agree stand above each other, so that all are seen."""
    heights: list[float] = []
    for at, value in enumerate(values):
        near = sum(abs(x(value) - x(other)) < 6 for other in values[:at])
        heights.append(turn - 0.09 * min(near, 3))
    return heights


def _mean_sd(values: list[float], measure: Measure) -> str:
    if len(values) < 2:
        return _figure(values[0], measure)
    middle, sd = fmean(values), stdev(values)
    if measure == "errors":
        return f"{middle:.1f} ± {sd:.1f}"
    return f"{100 * middle:.2f} ± {100 * sd:.2f} %"


def _figure(value: float, measure: Measure) -> str:
    return f"{value:,.0f}" if measure == "errors" else percent(value, 2)


def _row_words(turn: int, name: str, numbers: str, theme: Theme) -> list[dict[str, Any]]:
    common = {"xref": "paper", "y": turn, "yshift": 19, "showarrow": False, "bgcolor": theme.page}
    common["font"] = {"size": LABEL_PX, "color": theme.text}
    return [
        common | {"text": name, "x": 0.0, "xanchor": "left"},
        common | {"text": f"<b>{numbers}</b>", "x": 1.0, "xanchor": "right"},
    ]


def _teacher_line(at: float, theme: Theme) -> dict[str, Any]:
    line = {"color": theme.baseline, "width": 1.5, "dash": "dot"}
    return {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "line": line}


def _teacher_word(at: float, text: str, x: Scale, theme: Theme) -> dict[str, Any]:
    right = x(at) > x.length / 2
    return {
        "text": text,
        "x": at,
        "y": 1.0,
        "yref": "paper",
        "xanchor": "right" if right else "left",
        "xshift": -3 if right else 3,
        "yanchor": "top",
        "showarrow": False,
        "font": {"size": LABEL_PX, "color": theme.text},
    }
