"""The frame that every chart shares: words on top, transparent ground, no validation, little JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import plotly.graph_objects as go
from plotly.io.json import to_json_plotly

from compression.report.labels import LABEL_PX
from compression.report.text import escaped, wrapped
from compression.report.themes import Theme, base_layout

NARROW, WIDE = 280, 560
"""Pixels: half a page beside a sidebar at 1280, and a whole one at 1024. Wider is always fine."""
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "pan2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}
"""For ``st.plotly_chart(..., config=CONFIG)``."""
TITLE_PX, SUBTITLE_PX, LEGEND_PX = 15, 12, 20
DIRECT = 4
"""Up to so many series are named beside their points, more of them in a legend."""


@dataclass(frozen=True)
class Chart:
    """A figure and the words over it.

    Draw it with ``st.plotly_chart(chart.figure, alt=chart.alt, theme=None, config=CONFIG)``.
    """

    figure: go.Figure
    title: str
    subtitle: str

    @property
    def alt(self) -> str:
        """The text alternative: the sentence of the title."""
        return self.title


@dataclass(frozen=True)
class Frame:
    """A chart's size in pixels: the least width it must look right at, its height, its margins."""

    width: int
    height: int
    left: int = 52
    right: int = 14
    top: int = 0
    bottom: int = 44

    @property
    def across(self) -> int:
        """The least width of the plot itself."""
        return self.width - self.left - self.right

    @property
    def upward(self) -> int:
        """The height of the plot itself."""
        return max(60, self.height - self.top - self.bottom)


def words(title: str, subtitle: str, width: int) -> tuple[list[str], list[str], int]:
    """The lines of title and subtitle at this width, and the room that they need on top."""
    heads = wrapped(title, width - 10, TITLE_PX)
    tails = wrapped(subtitle, width - 10, SUBTITLE_PX) if subtitle else []
    return heads, tails, round(len(heads) * TITLE_PX * 1.3 + len(tails) * SUBTITLE_PX * 1.3 + 20)


def headroom(title: str, subtitle: str, width: int) -> int:
    """The top margin that fits the words."""
    return words(title, subtitle, width)[2]


def chart(
    traces: list[dict[str, Any]],
    theme: Theme,
    title: str,
    subtitle: str,
    frame: Frame,
    layout: dict[str, Any] | None = None,
) -> Chart:
    """Put traces into the common frame; the frame's top margin is made to fit the words.

    Plotly's validation would take most of the time, so it is left to the tests. Streamlit copies every figure that
    it has drawn and hands it over again, and Plotly then draws all of it again where it cannot tell that nothing
    is new: templates and, without a revision, arrays it compares by identity.
    """
    heads, tails, top = words(title, subtitle, frame.width)
    body: dict[str, Any] = {
        "template": "none",
        "datarevision": crc32(to_json_plotly(traces).encode()),
        "height": frame.height,
        "margin": {"l": frame.left, "r": frame.right, "t": top, "b": frame.bottom, "autoexpand": False},
        "title": _title(heads, tails, theme),
    }
    base, own = base_layout(theme), layout or {}
    base |= {key: base[key[:5]] for key in own if key[1:5] == "axis"}  # yaxis2 is as yaxis is
    whole = laid_over(laid_over(base, body), own)
    return Chart(go.Figure(data=traces, layout=whole, _validate=False), title, subtitle)


def laid_over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """One layout over another: what both have is the upper one's, mappings key by key."""
    both = {key: laid_over(base[key], own[key]) for key in base.keys() & own.keys()
            if isinstance(base[key], Mapping) and isinstance(own[key], Mapping)}  # fmt: skip
    return {**base, **own, **both}


def _title(heads: list[str], tails: list[str], theme: Theme) -> dict[str, Any]:
    """Plotly moves text of one line down by 0.7 em and longer text not: both are made even here."""
    several = len(heads) > 1
    heads, tails = [escaped(line) for line in heads], [escaped(line) for line in tails]
    below = "<br>".join(tails) + ("<br>" if len(tails) == 1 else "")
    return {
        "text": f"<b>{'<br>'.join(heads)}</b>",
        "font": {"size": TITLE_PX, "color": theme.text},
        "subtitle": {"text": below, "font": {"size": SUBTITLE_PX, "color": theme.muted}},
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 5 + (0.7 * TITLE_PX if several else 0), "l": 4},
    }


def empty_chart(title: str, hint: str, theme: Theme, width: int = NARROW, height: int = 200) -> Chart:
    """What stands in for a chart without data: the title, and what to do next."""
    note = {
        "text": "<br>".join(map(escaped, wrapped(hint, width - 40, 13))),
        "showarrow": False,
        "x": 0.5,
        "y": 0.5,
        "xref": "paper",
        "yref": "paper",
        "font": {"size": 13, "color": theme.muted},
    }
    layout = {"annotations": [note], "xaxis": {"visible": False}, "yaxis": {"visible": False}}
    trace = {"type": "scatter", "x": [None], "y": [None], "hoverinfo": "skip"}
    return chart([trace], theme, title, "", Frame(width, height), layout)


def with_legend(names: list[str], frame: Frame) -> tuple[Frame, dict[str, Any]]:
    """A horizontal legend under the axis title: the frame with room for it, and the layout."""
    longest = max(len(name) for name in names)
    a_row = max(1, int(frame.across / (6.5 * longest + 44)))
    extra = -(-len(names) // a_row) * LEGEND_PX + 6
    y = -(frame.bottom + 2) / frame.upward
    legend = {"orientation": "h", "x": 0, "y": y, "yanchor": "top", "font": {"size": 12}}
    return (
        replace(frame, height=frame.height + extra, bottom=frame.bottom + extra),
        {"legend": legend, "showlegend": True},
    )


def staircase(spots: Sequence[tuple[float, float]], more_is_better: bool, theme: Theme, kind: str) -> dict[str, Any]:
    """The Pareto front through spots sorted from left to right: between two models there is none."""
    return {
        "type": kind,
        "mode": "lines",
        "name": "Pareto front",
        "x": [x for x, _ in spots],
        "y": [y for _, y in spots],
        "line": {"color": theme.text, "width": 1.5, "shape": "vh" if more_is_better else "hv"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def level_line(height: float, theme: Theme, panel: str = "") -> dict[str, Any]:
    """A dotted line across the plot at the baseline's height."""
    line = {"color": theme.baseline, "width": 1, "dash": "dot"}
    across = {"xref": f"x{panel} domain", "yref": f"y{panel}", "x0": 0, "x1": 1, "y0": height, "y1": height}
    return {"type": "line", "layer": "below", "line": line, **across}


def heading(text: str, x: float, y: float, theme: Theme) -> dict[str, Any]:
    """The words over one panel of several, on its upper left corner (x, y as shares of the paper)."""
    return {
        "text": text,
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12, "color": theme.text},
    }


def corner_key(text: str, down: int, theme: Theme) -> dict[str, Any]:
    """The key of a heat map: words so many pixels under its lower right corner."""
    return {
        "text": text,
        "x": 1.0,
        "y": 0.0,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "right",
        "yanchor": "bottom",
        "yshift": -down,
        "showarrow": False,
        "font": {"size": LABEL_PX, "color": theme.text},
    }


def error_bars(
    rows: Sequence[Mapping[str, Any]], names: tuple[str, str, str], colour: str, **look: Any
) -> dict[str, Any]:
    """Bars from ``low`` to ``high`` round ``middle``, whose keys ``names`` holds in this order."""
    low, middle, high = names
    return {
        "type": "data",
        "symmetric": False,
        "array": [round(row[high] - row[middle], 5) for row in rows],
        "arrayminus": [round(row[middle] - row[low], 5) for row in rows],
        "color": colour,
        "thickness": 1.2,
        "width": 0,
        **look,
    }
