"""Charts of a scan: what each layer alone can lose, as lines and as a heat map."""

from __future__ import annotations

from typing import Any

import pandas as pd

from compression.report import sensitivity_titles as titles
from compression.report.compare import records
from compression.report.drawing import WIDE, Chart, Frame, chart, corner_key, empty_chart, headroom, level_line
from compression.report.labels import Label, Scale, breadth, notes, place
from compression.report.sensitivity_tables import by_layer
from compression.report.text import capital, escaped, percent, points, share, shortened, unit_word
from compression.report.themes import DASHES, Theme, faded
from compression.report.titles import TOLERANCE, tolerated

Row = dict[str, Any]
NAMED = 5
"""How many of the layers that give way first are named and coloured."""
COLOURS = (0, 3, 2, 1, 5)
"""Of the palette, in the order of the named layers; the one in between is the baseline's."""
CELL_PX = 20
PALEST = 0.06
"""How much of the colour a cell without loss still has, so that it is told from the page."""
HINT = "Press Scan: every layer is cut alone, at several sparsities, and the model is judged each time."


def sensitivity_chart(
    table: pd.DataFrame, theme: Theme, *, tolerance: float = TOLERANCE, width: int = WIDE, height: int = 400
) -> Chart:
    """Accuracy against the share removed of each layer alone.

    ``table`` is a :func:`sensitivity_table`. The layers that give way first are named; those that
    lose no more than the tolerance are faded, as are the rest where there are many.
    """
    rows = records(table)
    title = titles.sensitivity_title(rows, tolerance)
    if not rows:
        return empty_chart(title, HINT, theme, width, height)
    layers, idle = by_layer(rows), set(titles.harmless(rows, tolerance))
    named = [name for name in titles.ranked(rows, tolerance) if name not in idle][:NAMED]
    rest = f"; {len(layers) - len(named)} that can spare more are grey" if len(layers) > len(named) else ""
    subtitle = f"{_judged(rows)}, without fine-tuning · measured{rest}"
    frame = Frame(width, height, top=headroom(title, subtitle, width))
    x, y = _scales(rows, frame)
    paths = {name: _path(own) for name, own in layers.items()}
    traces = [_line(name, layers[name], theme) for name in layers if name not in named]
    looks = dict(zip(named, zip(COLOURS, DASHES, strict=False), strict=False))
    traces += [_line(name, layers[name], theme, looks[name]) for name in named]
    whole = rows[0]["whole"]
    labels = [Label(f"whole model {percent(whole)}", [(x.high * part, whole) for part in (0.6, 0.3, 0.02)])]
    labels += [_name(name, paths[name], theme.palette[looks[name][0]]) for name in named]
    what = unit_word(rows[0]["granularity"])
    layout = {
        "xaxis": {"title": {"text": f"Share of one layer's {what} removed"}, "range": x.range, "tickformat": "~%"},
        "yaxis": {"range": y.range, "tickformat": "~%", "nticks": 7},
        "shapes": [level_line(whole, theme)],
        "annotations": notes(place(labels, list(paths.values()), x, y), x, y, theme),
    }
    return chart(traces, theme, title, subtitle, frame, layout)


def _judged(rows: list[Row]) -> str:
    images = sorted({row["n"] for row in rows})
    number = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,} so far"
    return f"Accuracy on validation images, n = {number}, with one layer cut"


def _scales(rows: list[Row], frame: Frame) -> tuple[Scale, Scale]:
    heights = [value for row in rows for value in (row["accuracy"], row["whole"])]
    room = 0.06 * max(max(heights) - min(heights), 0.02)
    right = max(row["x"] for row in rows)
    y = Scale(max(0.0, min(heights) - room), max(heights) + 2 * room, frame.upward)
    return Scale(-0.02 * right, 1.03 * right, frame.across), y


def _path(own: list[Row]) -> list[tuple[float, float]]:
    return [(0.0, own[0]["whole"]), *((row["x"], row["accuracy"]) for row in own)]


def _line(name: str, own: list[Row], theme: Theme, look: tuple[int, str] | None = None) -> dict[str, Any]:
    path = _path(own)
    colour, dash = (theme.palette[look[0]], look[1]) if look else (faded(theme.muted, 0.45), "solid")
    return {
        "type": "scatter",
        "mode": "lines+markers" if look else "lines",
        "name": escaped(name),
        "x": [round(x, 4) for x, _ in path],
        "y": [round(y, 4) for _, y in path],
        "line": {"color": colour, "width": 2 if look else 1.2, "dash": dash},
        "marker": {"size": 5, "color": colour},
        "text": [f"<b>{escaped(name)}</b><br>{percent(own[0]['whole'])} whole", *(_hover(name, row) for row in own)],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _hover(name: str, row: Row) -> str:
    return f"<b>{escaped(name)}</b>, {share(row['x'])} removed<br>{percent(row['accuracy'])}, {points(row['change'])}"


def _name(name: str, path: list[tuple[float, float]], colour: str) -> Label:
    """The layer's name beside the steep part of its curve, in its colour."""
    middle = (path[0][1] + min(y for _, y in path)) / 2
    spots = sorted(path[1:], key=lambda spot: abs(spot[1] - middle))[:6]
    return Label(f'<span style="color:{colour}">■</span> {escaped(shortened(name))}', spots, leader=True)


def sensitivity_map(table: pd.DataFrame, theme: Theme, *, tolerance: float = TOLERANCE, width: int = WIDE) -> Chart:
    """The points lost by each layer (row) at each sparsity (column); a dot where it is within the tolerance.

    ``table`` is a :func:`sensitivity_table`.
    """
    rows = records(table)
    title = titles.map_title(rows, tolerance)
    if not rows:
        return empty_chart(title, HINT, theme, width)
    layers, columns = list(by_layer(rows)), sorted({row["sparsity"] for row in rows})
    cells = {(row["layer"], row["sparsity"]): row for row in rows}
    grid = [[cells.get((layer, column)) for column in columns] for layer in layers]
    subtitle = (
        f"{capital('points')} lost (• within {tolerated(tolerance)}) · {_judged(rows)}, no fine-tuning · measured"
    )
    names = [escaped(shortened(layer)) for layer in layers]
    left = breadth(names) + 12
    frame = Frame(width, headroom(title, subtitle, width) + CELL_PX * len(layers) + 62, left=left, bottom=58)
    top = max(0.001, *(-row["change"] for row in rows))
    axis = {"showgrid": False, "ticklabelstandoff": 2}
    layout = {
        "xaxis": axis
        | {
            "title": {"text": f"Share of the layer's {unit_word(rows[0]['granularity'])} removed"},
            "range": [-0.5, len(columns) - 0.5],
            "tickvals": list(range(len(columns))),
            "ticktext": [share(column) for column in columns],
            "tickangle": 0,
        },
        "yaxis": axis | {"range": [len(layers) - 0.5, -0.5], "tickvals": list(range(len(layers))), "ticktext": names},
        "annotations": [_key(top, frame.bottom, theme)],
    }
    return chart([_heat(grid, top, theme), _dots(grid, tolerance, theme)], theme, title, subtitle, frame, layout)


def _heat(grid: list[list[Row | None]], top: float, theme: Theme) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "z": [[None if row is None else round(max(0.0, -row["change"]), 4) for row in line] for line in grid],
        "text": [["" if row is None else _hover(row["layer"], row) for row in line] for line in grid],
        "zmin": 0,
        "zmax": round(top, 4),
        "colorscale": [[0.0, faded(theme.pruned, PALEST)], [1.0, theme.pruned]],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "hovertemplate": "%{text}<extra></extra>",
    }


def _dots(grid: list[list[Row | None]], tolerance: float, theme: Theme) -> dict[str, Any]:
    spots = [
        (across, down)
        for down, line in enumerate(grid)
        for across, row in enumerate(line)
        if row is not None and row["change"] >= -tolerance - 1e-12
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [across for across, _ in spots],
        "y": [down for _, down in spots],
        "marker": {"symbol": "circle", "size": 4, "color": theme.muted},
        "hoverinfo": "skip",
    }


def _key(top: float, bottom: int, theme: Theme) -> dict[str, Any]:
    """What the palest and the darkest cell stand for."""
    pale, dark = (f'<span style="color:{faded(theme.pruned, part)}">■</span>' for part in (3 * PALEST, 1.0))
    return corner_key(f"{pale} none to {dark} {points(top).lstrip('+')} lost", bottom, theme)
