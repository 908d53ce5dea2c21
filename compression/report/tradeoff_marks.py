"""What the trade-off chart is made of: points, front, baseline, rings, labels, budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compression.report.drawing import error_bars, staircase
from compression.report.labels import Label, Scale
from compression.report.measures import Axis
from compression.report.text import amount, interval, named, percent, points, share, times
from compression.report.themes import STYLES, Theme, faded, named_symbol

Row = dict[str, Any]
ACCURACY = ("accuracy_low", "accuracy", "accuracy_high")


@dataclass(frozen=True)
class View:
    """What of the plane is shown, in which units, at which pixels."""

    axis: Axis
    divisor: float
    unit: str
    x: Scale
    y: Scale

    def at(self, row: Row) -> tuple[float, float]:
        """Where the row is drawn."""
        return row["x"] / self.divisor, row["accuracy"]

    def shows(self, row: Row) -> bool:
        """Whether the row lies within the accuracies first shown."""
        return bool(row["accuracy"] >= self.y.low)


def _hover(row: Row, view: View) -> str:
    head = row["series"] if row["baseline"] else f"{row['series']}, {share(row['sparsity'])} sparsity"
    lines = [f"<b>{head}</b>"]
    lines.append(f"accuracy {percent(row['accuracy'])} ({interval(row['accuracy_low'], row['accuracy_high'])})")
    if not row["baseline"]:
        lines.append(f"{points(row['change'])} against the baseline")
    cost = f"{view.axis.label}: {amount(row['x'], view.axis.scale)}"
    if view.axis.more_is_better:
        cost += f" ({times(row['x_low'])} to {times(row['x_high'])})"
    elif not row["baseline"] and row["ratio"] == row["ratio"]:
        cost += f", {times(row['ratio'])} {view.axis.gain}"
    lines += [cost] + ([f"{row['seeds']} seeds"] if row["seeds"] > 1 else [])
    standing = "on the Pareto front" if row["front"] else "within noise of the front" if row["near"] else "dominated"
    return "<br>".join([*lines, standing])


def points_trace(name: str, own: list[Row], symbol: str, view: View, theme: Theme) -> dict[str, Any]:
    """The points of one series, faded by their standing, with their intervals."""
    colour = theme.palette[STYLES[own[0]["granularity"]].colour]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [row["x"] / view.divisor for row in own],
        "y": [row["accuracy"] for row in own],
        "marker": {
            "symbol": symbol,
            "size": 9,
            "color": colour,
            "line": {"color": theme.page, "width": 1},
            "opacity": [1 if row["front"] else 0.6 if row["near"] else 0.35 for row in own],
        },
        "error_y": error_bars(own, ACCURACY, faded(colour, 0.3)),
        "text": [_hover(row, view) for row in own],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }
    if view.axis.more_is_better:
        trace["error_x"] = error_bars(own, ("x_low", "x", "x_high"), faded(colour, 0.3))
    return trace


def key_trace(name: str, own: list[Row], symbol: str, theme: Theme) -> dict[str, Any]:
    """A legend entry at full strength, since the series' own first point may be faded."""
    colour = theme.palette[STYLES[own[0]["granularity"]].colour]
    marker = {"symbol": symbol, "size": 9, "color": colour, "line": {"color": theme.page, "width": 1}}
    return {"type": "scatter", "mode": "markers", "name": name, "x": [None], "y": [None], "marker": marker}


def front_trace(rows: list[Row], view: View, theme: Theme) -> dict[str, Any]:
    """A staircase: between two models there is none, so a budget buys the best one that is under it."""
    front = sorted((view.at(row) for row in rows if row["front"]), key=lambda at: at[0])
    return staircase(front, view.axis.more_is_better, theme, "scatter")


def baseline_trace(rows: list[Row], view: View, theme: Theme) -> dict[str, Any]:
    """The baselines, as stars."""
    own = [row for row in rows if row["baseline"]]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "baseline",
        "x": [row["x"] / view.divisor for row in own],
        "y": [row["accuracy"] for row in own],
        "marker": {"symbol": STYLES["baseline"].symbol, "size": 13, "color": theme.baseline},
        "error_y": error_bars(own, ACCURACY, faded(theme.baseline, 0.6)),
        "text": [_hover(row, view) for row in own],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }


def ring_traces(rows: list[Row | None], view: View, theme: Theme) -> list[dict[str, Any]]:
    """Rings round the rows that have a remark, those that are not None."""
    spots = [view.at(row) for row in rows if row]
    ring = {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _ in spots],
        "y": [y for _, y in spots],
        "marker": {"symbol": "circle-open", "size": 17, "color": theme.text, "line": {"width": 2}},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [ring] if spots else []


def remark_labels(rows: list[Row], best: Row | None, turn: Row | None, view: View) -> list[Label]:
    """The words at the baselines, the recommended point and the knee."""
    labels = [
        Label(f"{row['series']} {percent(row['accuracy'])}", [view.at(row)], leader=True, clear=3)
        for row in rows
        if row["baseline"]
    ]
    if best:
        gain = f"{times(best['ratio'])} {view.axis.gain}"
        label = f"<b>{named(best['granularity'])} {share(best['sparsity'])}: {gain}</b>"
        labels.append(Label(label, [view.at(best)], leader=True, clear=5))
    if turn and view.shows(turn):
        labels.append(Label("knee (furthest from chord)", [view.at(turn)], leader=True, clear=5))
    return labels


def name_label(name: str, own: list[Row], symbol: str, view: View, theme: Theme) -> Label:
    """The series' name, best beside a point far down the slope, where points are few."""
    shown = sorted((row for row in own if view.shows(row)), key=lambda row: row["accuracy"]) or own
    text = named_symbol(name, own[0]["granularity"], symbol, theme)
    return Label(text, [view.at(row) for row in shown], clear=1)


def visible_paths(rows: list[Row], view: View) -> list[list[tuple[float, float]]]:
    """The bars through the points and the front's staircase."""
    bars = []
    for row in rows:
        x, _ = view.at(row)
        bars.append([(x, max(row["accuracy_low"], view.y.low)), (x, row["accuracy_high"])])
    steps = sorted(view.at(row) for row in rows if row["front"])
    stairs = steps[:1]
    for (x, y), (later, up) in zip(steps, steps[1:], strict=False):
        stairs += [(x, up) if view.axis.more_is_better else (later, y), (later, up)]
    return [*bars, stairs]


def budget_shapes(view: View, budget: float | None, theme: Theme) -> list[dict[str, Any]]:
    """The budget's line, and a shade over what it rules out."""
    if budget is None:
        return []
    line = min(max(budget / view.divisor, view.x.low), view.x.high)
    away = {"yref": "paper", "y0": 0, "y1": 1, "x0": line}
    edge = view.x.low if view.axis.more_is_better else view.x.high
    within = "top left" if line > (view.x.low + view.x.high) / 2 else "top right"
    text = f"budget {amount(budget, view.axis.scale)}"
    return [
        {
            "type": "rect",
            "layer": "below",
            "x1": edge,
            "line": {"width": 0},
            "fillcolor": faded(theme.muted, 0.16),
            **away,
        },
        {
            "type": "line",
            "x1": line,
            "line": {"color": theme.muted, "width": 1.5, "dash": "dash"},
            "label": {
                "text": text,
                "textangle": 0,
                "textposition": "start",
                "xanchor": "right" if within == "top left" else "left",
                "yanchor": "bottom",
                "font": {"size": 12, "color": theme.muted},
            },
            **away,
        },
    ]
