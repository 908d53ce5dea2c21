"""Small charts for cards of methods: what a loss compares, how wide a student is, where int8 rounds to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from compression.report.compare import records
from compression.report.drawing import WIDE, Chart, Frame, chart, heading, headroom
from compression.report.labels import LABEL_PX, breadth
from compression.report.text import brief, count, shortened
from compression.report.themes import Theme, faded

PANEL_PX, HEADING_PX, ROW_PX, GAP = 190, 24, 34, 0.12
WINDOW = 12
"""So many levels of int8 are shown close up."""


def compared_chart(
    teacher: ArrayLike, student: ArrayLike, theme: Theme, *, what: str, rows: str, columns: str, width: int = WIDE
) -> Chart:
    """What a loss compares: two heat maps in one scale, the teacher's on the left; NaN is left out."""
    left, right = np.asarray(teacher, float), np.asarray(student, float)
    title = f"Compared: {what}"
    low, high = (float(pick([pick(left), pick(right)])) for pick in (np.nanmin, np.nanmax))
    apart = f"; mean difference {brief(float(np.nanmean(np.abs(left - right))))}" if left.shape == right.shape else ""
    subtitle = (
        f"A line is a {rows}, a column a {columns}; {brief(low)} (pale) to {brief(high)} (dark){apart} · computed"
    )
    frame = Frame(width, headroom(title, subtitle, width) + HEADING_PX + PANEL_PX + 12, left=8, right=8, bottom=12)
    top = 1 - HEADING_PX / frame.upward
    scale = {"zmin": low, "zmax": high if high > low else low + 1}
    layout: dict[str, Any] = {"annotations": []}
    traces = []
    for turn, (name, values) in enumerate((("Teacher", left), ("Student", right))):
        panel, start = ("2" if turn else ""), turn * (0.5 + GAP / 2)
        traces.append(_heat(values, theme) | scale | {"xaxis": f"x{panel}", "yaxis": f"y{panel}"})
        domain = [start, start + 0.5 - GAP / 2]
        layout[f"xaxis{panel}"] = {"domain": domain, "anchor": f"y{panel}", "visible": False}
        layout[f"yaxis{panel}"] = {"domain": [0, top], "anchor": f"x{panel}", "visible": False, "autorange": "reversed"}
        size = "×".join(map(str, values.shape))
        layout["annotations"].append(heading(f"{name}, {size}", start, top, theme))
    return chart(traces, theme, title, subtitle, frame, layout)


def _heat(values: NDArray[Any], theme: Theme) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "z": [[None if one != one else float(f"{one:.4g}") for one in row] for row in values.tolist()],
        "colorscale": [[0.0, faded(theme.kept, 0.06)], [1.0, theme.kept]],
        "showscale": False,
        "hoverongaps": False,
        "hovertemplate": "%{z}<extra></extra>",
    }


def widths_table(teacher: Mapping[str, int], student: Mapping[str, int]) -> pd.DataFrame:
    """One line a layer: layer, teacher, student; NaN where one of them has none of this name."""
    names = [*teacher, *(name for name in student if name not in teacher)]
    body = [(name, teacher.get(name, np.nan), student.get(name, np.nan)) for name in names]
    return pd.DataFrame(body, columns=["layer", "teacher", "student"]).astype({"teacher": float, "student": float})


def widths_chart(table: pd.DataFrame, theme: Theme, *, params: tuple[int, int], width: int = WIDE) -> Chart:
    """How wide each layer is in the teacher and beside it in the student, from a :func:`widths_table`.

    ``params`` are the parameters of both.
    """
    rows = records(table)
    title = f"The student has {count(params[1])} parameters, its teacher {count(params[0])}"
    subtitle = "Channels or units that each layer makes, teacher above, student below · counted"
    names = [shortened(row["layer"], 18) for row in rows]
    left = breadth(names) + 16
    top = headroom(title, subtitle, width)
    frame = Frame(width, top + ROW_PX * len(rows) + 8, left=left, right=40, bottom=8)
    places = list(range(len(rows)))
    traces = [
        {
            "type": "bar", "orientation": "h", "name": who, "x": [_none(row[who]) for row in rows], "y": places,
            "text": [f"{row[who]:.0f}" if row[who] == row[who] else "none" for row in rows], "textposition": "outside",
            "textfont": {"size": LABEL_PX, "color": theme.text}, "marker": {"color": colour}, "cliponaxis": False,
            "hovertemplate": f"%{{y}}: %{{x}} of the {who}<extra></extra>",
        }
        for who, colour in (("teacher", theme.zero), ("student", theme.kept))
    ]  # fmt: skip
    most = max(row[who] for row in rows for who in ("teacher", "student") if row[who] == row[who])
    axis = {"range": [len(rows) - 0.5, -0.5], "tickvals": places, "ticktext": names, "showgrid": False,
            "ticklabelstandoff": 4}  # fmt: skip
    layout = {"barmode": "group", "bargap": 0.25, "yaxis": axis, "xaxis": {"range": [0, 1.04 * most], "visible": False}}
    return chart(traces, theme, title, subtitle, frame, layout)


def _none(value: float) -> float:
    return value if value == value else 0.0


def devices_chart(table: pd.DataFrame, theme: Theme, *, device: str, what: str, width: int = WIDE) -> Chart:
    """The range of one image's time on each device; the named one is dark.

    ``table`` has device, low and high in ms, NaN where the model does not fit; ``what`` says which model.
    """
    rows = records(table)
    own = next(row for row in rows if row["device"] == device)
    fits = own["low"] == own["low"]
    title = f"{what} on {device}: " + (
        f"{brief(own['low'])} to {brief(own['high'])} ms an image" if fits else "does not fit"
    )
    subtitle = "From the least to the most that one image may take, ms, on a log scale · estimated"
    there = [row for row in rows if row["low"] == row["low"]]
    left = breadth(row["device"] for row in rows) + 16
    frame = Frame(width, headroom(title, subtitle, width) + 24 * len(rows) + 30, left=left, right=20, bottom=26)
    traces = [
        {
            "type": "scatter", "mode": "lines", "x": [row["low"], row["high"]], "y": [rows.index(row)] * 2,
            "line": {"width": 9, "color": theme.kept if row["device"] == device else theme.zero},
            "hovertemplate": "%{x:.3g} ms<extra></extra>",
        }
        for row in there
    ]  # fmt: skip
    axis = {"range": [len(rows) - 0.5, -0.5], "tickvals": list(range(len(rows))), "showgrid": False,
            "ticktext": [row["device"] for row in rows], "ticklabelstandoff": 4}  # fmt: skip
    return chart(traces, theme, title, subtitle, frame, {"xaxis": {"type": "log", "dtick": 1}, "yaxis": axis})


def levels_table(values: ArrayLike, rounded: ArrayLike) -> pd.DataFrame:
    """One line a value: value, rounded, in the order of the values."""
    table = pd.DataFrame({"value": np.ravel(values).astype(float), "rounded": np.ravel(rounded).astype(float)})
    return table.sort_values("value", ignore_index=True)


def levels_chart(
    table: pd.DataFrame, theme: Theme, *, low: float, high: float, step: float, found: str, width: int = WIDE
) -> Chart:
    """Two number lines of a :func:`levels_table`: all values with the range of the levels, and some close up.

    ``low``, ``high`` and ``step`` are of the levels; ``found`` says on what they were found.
    """
    rows = records(table)
    beyond = sum(not low - step / 2 <= row["value"] <= high + step / 2 for row in rows)
    title = (
        f"{beyond} of {len(rows)} values lie beyond the range and are clipped"
        if beyond
        else (f"All {len(rows)} values lie within the range, at most {brief(step / 2)} from a level")
    )
    subtitle = (
        f"Activations of one image. Above: all, and the range found on {found}, {brief(low)} to {brief(high)}. "
        f"Below: {WINDOW} of its 256 levels, {brief(step)} apart (ring: before, disc: after) · computed"
    )
    start = _window(rows, low, step)
    near = [row for row in rows if start <= row["value"] <= start + WINDOW * step]
    ends = [min(low, rows[0]["value"]), max(high, rows[-1]["value"])]
    pad = 0.03 * (ends[1] - ends[0])
    frame = Frame(width, headroom(title, subtitle, width) + 210, left=14, right=14, bottom=28)
    moves = [point for row in near for point in ((row["value"], 1), (row["rounded"], 0), (None, None))]
    traces = [
        _marks([row["value"] for row in rows], [0.35] * len(rows), "line-ns-open", theme.kept)
        | {"xaxis": "x2", "yaxis": "y2"},
        {"type": "scatter", "mode": "lines", "x": [low, high], "y": [0, 0], "xaxis": "x2", "yaxis": "y2",
         "line": {"color": theme.pruned, "width": 5}, "hoverinfo": "skip"},
        {"type": "scatter", "mode": "lines", "x": [x for x, _ in moves], "y": [y for _, y in moves],
         "line": {"color": theme.muted, "width": 1}, "hoverinfo": "skip"},
        _marks([row["value"] for row in near], [1] * len(near), "circle-open", theme.kept),
        _marks([row["rounded"] for row in near], [0] * len(near), "circle", theme.pruned),
    ]  # fmt: skip
    hidden = {"showgrid": False, "showticklabels": False}
    layout = {
        "xaxis": {"range": [start - step / 2, start + (WINDOW + 0.5) * step], "anchor": "y", "nticks": 5,
                  "tickvals": [start + turn * step for turn in range(WINDOW + 1)],
                  "ticktext": [brief(start + turn * step) if turn % 3 == 0 else "" for turn in range(WINDOW + 1)]},
        "yaxis": hidden | {"domain": [0, 0.5], "range": [-0.2, 1.25]},
        "xaxis2": {"range": [ends[0] - pad, ends[1] + pad], "anchor": "y2", "showgrid": False, "nticks": 6},
        "yaxis2": hidden | {"domain": [0.74, 1], "anchor": "x2", "range": [-0.4, 0.8]},
    }  # fmt: skip
    return chart(traces, theme, title, subtitle, frame, layout)


def _window(rows: Sequence[Mapping[str, Any]], low: float, step: float) -> float:
    """The level from which the close-up starts: a little under the middle one of the values that are not 0."""
    others: list[float] = [row["value"] for row in rows if abs(row["value"]) > step] or [low]
    return low + step * round((others[len(others) // 2] - low) / step - WINDOW / 2)


def _marks(x: list[float], y: list[float], symbol: str, colour: str) -> dict[str, Any]:
    marker = {"symbol": symbol, "size": 9, "color": colour, "line": {"width": 1.5, "color": colour}}
    return {"type": "scatter", "mode": "markers", "x": x, "y": y, "marker": marker, "hoverinfo": "skip"}
