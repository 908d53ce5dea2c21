"""A model's lineage: what each stage of a pipeline left, beside its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from compression.report.compare import records
from compression.report.drawing import WIDE, Chart, Frame, chart, empty_chart, error_bars, heading, headroom, level_line
from compression.report.stage_words import stage_words
from compression.report.text import capital, count, interval, percent, points, size, times, wrapped
from compression.report.themes import Theme, faded
from compression.results import Measurement, Result

Row = dict[str, Any]
CONTROLS = {"random": "control: pruned at random", "scratch": "control: small dense model from scratch"}
SHORT = {CONTROLS["random"]: "pruned at random", CONTROLS["scratch"]: "a small dense model"}
"""The controls in a title."""
PANELS: tuple[tuple[str, str, tuple[float, float]], ...] = (
    ("accuracy", "Accuracy", (0.56, 0.96)),
    ("packed_bytes", "Packed size", (0.38, 0.50)),
    ("macs", "MACs an image", (0.19, 0.31)),
    ("speedup", "Speed-up over the baseline", (0.0, 0.12)),
)
"""Each panel's column, words, and share of the height."""


def lineage_table(result: Result, controls: Sequence[Mapping[str, Any]] = ()) -> pd.DataFrame:
    """One line a step: the baseline, what each stage left, and the controls' ends.

    Args:
        result: of the pipeline.
        controls: rows of a study, each with ``run`` and a measurement's names.
    """
    rows = [_step("baseline", result.baseline)]
    rows += [_step(stage_words(stage.stage), stage.measurement) for stage in result.stages]
    for row in controls:
        known = {key: row.get(key) for key in rows[0] if key not in ("step", "control")}
        rows.append({"step": CONTROLS[row["run"]], "control": True, **known})
    return pd.DataFrame(rows)


def _step(name: str, measured: Measurement) -> Row:
    row = measured.row()
    keys = ("accuracy", "accuracy_low", "accuracy_high", "params", "nonzero", "packed_bytes", "macs")
    speed = ("speedup", "speedup_low", "speedup_high", "runtime")
    return {"step": name, "control": False, **{key: row[key] for key in keys}, **{key: row.get(key) for key in speed}}


def lineage_title(rows: Sequence[Row], stopped: bool = False) -> str:
    """What the whole pipeline bought and cost, and whether its controls do as well.

    "7.9× smaller, 2.1× the speed, −0.8 points of accuracy; better than pruned at random".
    """
    first, *stages = [row for row in rows if not row["control"]]
    if not stages:
        return "The baseline, before any stage"
    last = stages[-1]
    bought = [f"{times(first['packed_bytes'] / last['packed_bytes'])} smaller"]
    if _known(last["speedup"]):
        sure = last["speedup_low"] > 1 or last["speedup_high"] < 1
        bought.append(f"{times(last['speedup'])} the speed" if sure else "no faster")
    change = last["accuracy"] - first["accuracy"]
    noise = last["accuracy_low"] <= first["accuracy_high"] and first["accuracy_low"] <= last["accuracy_high"]
    cost = "accuracy the same within its interval" if noise else f"{points(change)} of accuracy"
    told = ", ".join([*bought, cost]) + _verdict(last, [row for row in rows if row["control"]])
    return f"Stopped early; until then {told}" if stopped else capital(told)


def _verdict(last: Row, controls: Sequence[Row]) -> str:
    """Whether the controls end as accurate: a claim only where the intervals are apart."""
    beaten = [SHORT[row["step"]] for row in controls if last["accuracy_low"] > row["accuracy_high"]]
    level = [SHORT[row["step"]] for row in controls if last["accuracy_low"] <= row["accuracy_high"]]
    told = ([f"better than {' and '.join(beaten)}"] if beaten else []) + (
        [f"no better than {' or '.join(level)}"] if level else []
    )
    return f"; {', '.join(told)}" if told else ""


def lineage_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    split: str = "test",
    n: int = 0,
    stopped: bool = False,
    width: int = WIDE,
    height: int = 600,
) -> Chart:
    """Accuracy, packed size, MACs and speed-up after each step, the controls behind the last.

    ``table`` is a :func:`lineage_table`; ``split`` and ``n`` say which images accuracy was measured
    on, ``stopped`` that not all stages came to their end.
    """
    rows = records(table)
    if not rows:
        return empty_chart("Nothing has been run yet", "Build a pipeline and run it.", theme, width, 240)
    title = lineage_title(rows, stopped)
    runtime = next((row["runtime"] for row in rows if _known(row["runtime"])), None)
    timed = f"; speed-up in {runtime}, one thread, batch 1" if runtime else ""
    images = f" on {n:,} {split} images" if n else ""
    subtitle = f"After every stage{images}, 95 % intervals{timed} · measured"
    frame = Frame(width, height, left=52, top=headroom(title, subtitle, width), bottom=78)
    shown = [panel for panel in PANELS if panel[0] != "speedup" or runtime]
    traces: list[Row] = []
    layout: Row = {"annotations": [], "shapes": [], "bargap": 0.5}
    for turn, (key, words, share) in enumerate(shown):
        panel = "" if turn == 0 else str(turn + 1)
        traces += _accuracy(rows, theme) if key == "accuracy" else [_bars(rows, key, panel, theme)]
        layout[f"xaxis{panel}"] = _steps(rows, frame, panel, last=turn == len(shown) - 1)
        layout[f"yaxis{panel}"] = _heights(rows, key, share, panel)
        layout["annotations"].append(heading(f"<b>{words}</b>", 0, share[1] + 0.01, theme))
    layout["shapes"].append(level_line(rows[0]["accuracy"], theme))
    return chart(traces, theme, title, subtitle, frame, layout)


def _known(value: Any) -> bool:
    """Whether a cell holds anything; a table writes what is missing as NaN."""
    return value is not None and value == value


def _accuracy(rows: list[Row], theme: Theme) -> list[Row]:
    steps = [(i, row) for i, row in enumerate(rows) if not row["control"]]
    controls = [(i, row) for i, row in enumerate(rows) if row["control"]]
    names = ("accuracy_low", "accuracy", "accuracy_high")
    traces = []
    for own, mode, colour, symbol in (
        (steps, "lines+markers+text", theme.kept, "circle"),
        (controls, "markers+text", theme.baseline, "diamond-open"),
    ):
        if own:
            traces.append({
                "type": "scatter", "mode": mode, "x": [i for i, _ in own], "y": [row["accuracy"] for _, row in own],
                "text": [percent(row["accuracy"]) for _, row in own], "textposition": _above(own),
                "textfont": {"size": 12, "color": theme.text}, "cliponaxis": False,
                "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 9, "symbol": symbol},
                "error_y": error_bars([row for _, row in own], names, colour),
                "customdata": [[row["step"], interval(row["accuracy_low"], row["accuracy_high"])] for _, row in own],
                "hovertemplate": "%{customdata[0]}<br>%{text}, 95 %: %{customdata[1]}<extra></extra>",
            })  # fmt: skip
    return traces


def _above(own: list[tuple[int, Row]]) -> list[str]:
    """Where each value stands, off the line: below a step that lost, above the others."""
    values = [row["accuracy"] for _, row in own]
    lost = [i > 0 and value < values[i - 1] for i, value in enumerate(values)]
    return ["bottom center" if down else "top center" for down in lost]


def _bars(rows: list[Row], key: str, panel: str, theme: Theme) -> Row:
    """Bars with their values on top; hollow for controls."""
    say = {"packed_bytes": size, "macs": count, "speedup": times}[key]
    values = [row[key] if _known(row[key]) else None for row in rows]
    return {
        "type": "bar", "x": list(range(len(rows))), "y": [value or 0 for value in values],
        "xaxis": f"x{panel}", "yaxis": f"y{panel}", "cliponaxis": False, "textposition": "outside",
        "text": ["not timed" if value is None else say(value) for value in values],
        "textfont": {"size": 12, "color": theme.text},
        "marker": {
            "color": [faded(theme.baseline, 0.15) if row["control"] else theme.kept for row in rows],
            "line": {"width": 1, "color": [theme.baseline if row["control"] else theme.kept for row in rows]},
        },
        "customdata": [row["step"] for row in rows],
        "hovertemplate": "%{customdata}: %{text}<extra></extra>",
    }  # fmt: skip


def _steps(rows: list[Row], frame: Frame, panel: str, last: bool) -> Row:
    room = frame.across / len(rows)
    names = ["<br>".join(wrapped(capital(row["step"]), max(60.0, room - 6), 12)) for row in rows]
    return {
        "range": [-0.6, len(rows) - 0.4], "tickvals": list(range(len(rows))), "ticktext": names,
        "showgrid": False, "anchor": f"y{panel}", "tickangle": 0, "showticklabels": last,
    }  # fmt: skip


def _heights(rows: list[Row], key: str, share: tuple[float, float], panel: str) -> Row:
    body: Row = {"domain": list(share), "anchor": f"x{panel}", "nticks": 5}
    if key != "accuracy":
        most = max((row[key] for row in rows if _known(row[key])), default=1.0)
        return body | {"range": [0, 1.35 * most], "showticklabels": False, "showgrid": False}
    low, high = min(row["accuracy_low"] for row in rows), max(row["accuracy_high"] for row in rows)
    room = max(0.01, high - low)
    return body | {
        "range": [max(-0.12, low - 0.25 * room), high + 0.2 * room],
        "tickformat": ".0%" if room > 0.04 else ".1%",
    }
