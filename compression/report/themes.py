"""Two palettes, and the look that every chart shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FONT = '"Source Sans", "Source Sans 3", "Helvetica Neue", Arial, sans-serif'


@dataclass(frozen=True)
class Theme:
    """The colours of one theme; every palette colour has 3:1 contrast on the page, text 4.5:1.

    ``page`` is the colour of the page, and so of a picture taken of a chart. ``zero`` marks
    weights that are exactly zero.
    """

    name: str
    page: str
    text: str
    muted: str
    grid: str
    zero: str
    palette: tuple[str, str, str, str, str, str]

    @property
    def kept(self) -> str:
        """What stays in the network, and the present candidate."""
        return self.palette[0]

    @property
    def pruned(self) -> str:
        """What goes, and what is lost."""
        return self.palette[3]

    @property
    def baseline(self) -> str:
        """The network before."""
        return self.palette[4]


LIGHT = Theme(
    name="light",
    page="#ffffff",
    text="#262730",
    muted="#5c5f6b",
    grid="#e3e5ea",
    zero="#8c9099",
    palette=("#12436D", "#28A197", "#801650", "#F46A25", "#3D3D3D", "#A285D1"),
)
DARK = Theme(
    name="dark",
    page="#0e1117",
    text="#fafafa",
    muted="#b3b8c5",
    grid="#2b303b",
    zero="#767b87",
    palette=("#6CB2F0", "#4FD1C0", "#F08CC0", "#FF9A5C", "#D0D3DA", "#C9B3F0"),
)
THEMES = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True)
class Style:
    """How one series looks: a colour, a symbol with its glyph, and a dash, never colour alone."""

    colour: int
    symbol: str
    glyph: str


STYLES: dict[str, Style] = {
    "weights": Style(0, "circle", "●"),
    "channels": Style(1, "square", "■"),
    "rows": Style(2, "diamond", "◆"),
    "kernels": Style(3, "triangle-up", "▲"),
    "2:4": Style(5, "triangle-down", "▼"),
    "1:4": Style(5, "triangle-left", "◀"),
    "4:8": Style(5, "triangle-right", "▶"),
    "heads": Style(2, "pentagon", "⬟"),
    "blocks": Style(3, "hexagon", "⬢"),
    "baseline": Style(4, "star", "★"),
}
VARIANTS = ("", "-open", "-dot", "-open-dot")
OPEN = dict(zip("●■◆▲▼◀▶⬟⬢★", "○□◇△▽◁▷⬠⬡☆", strict=True))
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def symbols(series: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """A marker symbol for each series: the granularity's own, then its open and dotted variants."""
    seen: dict[str, int] = {}
    chosen = {}
    for name, rows in series.items():
        granularity = rows[0]["granularity"]
        turn = seen.get(granularity, 0)
        seen[granularity] = turn + 1
        chosen[name] = STYLES[granularity].symbol + VARIANTS[turn % len(VARIANTS)]
    return chosen


def named_symbol(name: str, granularity: str, symbol: str, theme: Theme) -> str:
    """The name after the character that looks like its symbol, in its colour: "● weights"."""
    look = STYLES[granularity]
    glyph = OPEN[look.glyph] if "-open" in symbol else look.glyph
    return f'<span style="color:{theme.palette[look.colour]}">{glyph}</span> {name}'


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``. Source: WCAG 2.2."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def readable(colour: str) -> str:
    """The colour of words on this one: white or dark, whichever stands out more."""
    white, dark = 1.05 / (luminance(colour) + 0.05), (luminance(colour) + 0.05) / (luminance(LIGHT.text) + 0.05)
    return LIGHT.page if white >= dark else LIGHT.text


def faded(colour: str, opacity: float) -> str:
    """``#rrggbb`` as an rgba colour with this opacity."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def base_layout(theme: Theme) -> dict[str, Any]:
    """What the layouts of all charts have in common."""
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.muted,
        "zeroline": False,
        "ticks": "",
        "automargin": False,
        "title": {"standoff": 8, "font": {"size": 12, "color": theme.muted}},
        "tickfont": {"size": 12, "color": theme.muted},
    }
    return {
        "font": {"family": FONT, "size": 13, "color": theme.text},
        "paper_bgcolor": theme.page,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
        "hoverlabel": {
            "bgcolor": theme.page,
            "bordercolor": theme.muted,
            "align": "left",
            "font": {"family": FONT, "size": 13, "color": theme.text},
        },
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "title": {"text": ""}},
        "xaxis": axis,
        "yaxis": axis,
    }
