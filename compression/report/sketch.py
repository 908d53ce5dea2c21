"""A chart as a picture and words, to be seen until what draws charts has arrived: without hover, zoom or click."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compression.report.cloud_marks import LOOKS, REST
from compression.report.drawing import Chart
from compression.report.labels import breadth

Part = Mapping[str, Any]
Spot = tuple[float, float]
ACROSS = 1000
"""How broad the picture is in its own unit: it stretches to the width that there is. Upward all is in pixels."""
GLYPHS = {look.symbol: look.glyph for look in (*LOOKS, *REST.values())}


def sketch(chart: Chart) -> str:
    """The chart as HTML, as high as it is and as wide as there is room.

    It is meant for a :func:`cloud_chart`: its words, scales, shapes, points and lines are shown, each where the
    chart itself will have it. Every symbol is a disc. A hollow one is a ring that covers what is under it, so that
    solid ones are drawn over it; faded discs that overlap do not add up. Error bars and leaders are left out, and
    of a chart without points all but its title.
    """
    figure = chart.figure.to_plotly_json()
    layout = figure["layout"]
    if "range" not in layout["xaxis"]:
        return _heading(layout["title"])
    margin = layout["margin"]
    upward = layout["height"] - margin["t"] - margin["b"]
    x, y = _Side(layout["xaxis"], ACROSS), _Side(layout["yaxis"], upward, upwards=True)
    marks = [_shape(one, x, y) for one in layout.get("shapes", ())]
    marks += [_trace(one, x, y, layout["paper_bgcolor"]) for one in sorted(figure["data"], key=_turn)]
    words = [*_scales(x, y, upward), *(_note(one, x, y) for one in layout.get("annotations", ()))]
    place = f"left:{margin['l']}px;right:{margin['r']}px;top:{margin['t']}px;height:{upward}px"
    return (
        f'<div style="position:relative;height:{layout["height"]}px;line-height:1.2">{_heading(layout["title"])}'
        f'<div style="position:absolute;{place}">{_picture([_grid(x, y, upward), *marks], upward)}'
        f"{''.join(words)}{_legend(figure['data'], layout, upward)}</div></div>"
    )


@dataclass(frozen=True)
class _Side:
    """One axis, from data to its length."""

    axis: Part
    length: float
    upwards: bool = False

    @property
    def log(self) -> bool:
        return self.axis.get("type") == "log"

    def __call__(self, value: float) -> float:
        """Where a value lies, from the left or from the top; what has no logarithm lies far outside."""
        if self.log:
            value = math.log10(value) if value > 0 else -99.0
        return self.at(value)

    def at(self, value: float) -> float:
        """Where a value lies that is an exponent on a logarithmic axis."""
        low, high = self.axis["range"]
        return self.share((value - low) / (high - low))

    def share(self, part: float) -> float:
        """Where a share of the whole axis lies."""
        return (1 - part if self.upwards else part) * self.length

    def placed(self, value: float, ref: str) -> float:
        """Where a value lies in what it refers to: the axis, or the whole of it."""
        return self.share(value) if ref == "paper" or ref.endswith("domain") else self(value)

    def ticks(self) -> list[float]:
        """Where Plotly writes numbers at this axis, exponents where it is logarithmic."""
        low, high = self.axis["range"]
        if self.log:
            digits = (1, 2, 5) if self.axis["dtick"] == "D2" else (1,)
            decades = range(math.floor(low), math.ceil(high))
            ticks = [decade + math.log10(digit) for decade in decades for digit in digits]
        else:
            step = _step((high - low) / self.axis["nticks"])
            ticks = [step * at for at in range(math.ceil(low / step), math.floor(high / step) + 1)]
        return [tick for tick in ticks if low <= tick <= high]

    def told(self, tick: float) -> str:
        """A tick's value in the two forms that our axes have: a share in per cent, and a plain number."""
        value = 10**tick if self.log else tick
        return f"{100 * value:.6g}%" if self.axis["tickformat"].endswith("%") else f"{value:.6g}"


def _step(least: float) -> float:
    """The next of 1, 2 and 5 times the powers of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (2, 5, 10) if power * digit > least)


def _picture(parts: Sequence[str], upward: float) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {ACROSS} {upward}" preserveAspectRatio="none">'
        f"{''.join(parts)}</svg>"
    )
    source = f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
    return f'<img src="{source}" alt="" style="width:100%;height:100%;max-width:none">'


def _grid(x: _Side, y: _Side, upward: float) -> str:
    lines = [f"M{x.at(tick):.1f} 0V{upward}" for tick in x.ticks()]
    lines += [f"M0 {y.at(tick):.1f}H{ACROSS}" for tick in y.ticks()]
    return _path("".join(lines), stroke=x.axis["gridcolor"])


def _shape(shape: Part, x: _Side, y: _Side) -> str:
    """A straight line or a filled box."""
    (left, right), (top, bottom) = (
        [round(side.placed(shape[f"{name}{end}"], shape.get(f"{name}ref", name)), 1) for end in (0, 1)]
        for name, side in (("x", x), ("y", y))
    )
    if shape["type"] == "rect":
        return f'<path d="M{left} {top}H{right}V{bottom}H{left}Z" fill="{shape["fillcolor"]}"/>'
    dashes = {"dot": "2 3", "dash": "9 9"}[shape["line"]["dash"]]
    return _path(f"M{left} {top}L{right} {bottom}", **_stroke(shape["line"]), stroke_dasharray=dashes)


def _turn(trace: Part) -> tuple[bool, bool, float]:
    """Lines over points, solid over hollow, small over large."""
    marker = trace.get("marker")
    return (False, not _hollow(marker), -marker["size"]) if marker else (True, True, 0)


def _hollow(marker: Part) -> bool:
    return str(marker["symbol"]).endswith("-open")


def _trace(trace: Part, x: _Side, y: _Side, page: str) -> str:
    spots = [(x(a), y(b)) for a, b in zip(trace["x"], trace["y"], strict=True) if a is not None and b is not None]
    if not spots:
        return ""
    return _line(trace["line"], spots) if trace["mode"] == "lines" else _points(trace["marker"], spots, page)


def _line(line: Part, spots: Sequence[Spot]) -> str:
    """A staircase."""
    step = "V{1:.1f}H{0:.1f}" if line["shape"] == "vh" else "H{0:.1f}V{1:.1f}"
    path = "M{:.1f} {:.1f}".format(*spots[0]) + "".join(step.format(*spot) for spot in spots[1:])
    return _path(path, **_stroke(line))


def _points(marker: Part, spots: Sequence[Spot], page: str) -> str:
    """Discs are lines of no length with round ends, which stay round however the picture is stretched."""
    opacity = marker.get("opacity", 1)
    each = [opacity] * len(spots) if isinstance(opacity, int | float) else opacity
    edge = marker["line"]["width"] if _hollow(marker) else 0
    drawn = []
    for level in sorted(set(each)):
        alike = (f"M{a:.1f} {b:.1f}h0" for (a, b), own in zip(spots, each, strict=True) if own == level)
        path = "".join(dict.fromkeys(alike))
        disc = {"stroke_width": marker["size"] + edge, "stroke_linecap": "round"}
        drawn.append(_path(path, stroke=marker["color"], stroke_opacity=level, **disc))
        if edge:
            drawn.append(_path(path, stroke=page, **disc | {"stroke_width": marker["size"] - edge}))
    return "".join(drawn)


def _stroke(line: Part) -> dict[str, Any]:
    return {"stroke": line["color"], "stroke_width": line["width"]}


def _path(path: str, **look: Any) -> str:
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in look.items())
    return f'<path d="{path}" fill="none" vector-effect="non-scaling-stroke"{attributes}/>'


def _scales(x: _Side, y: _Side, upward: float) -> list[str]:
    """The numbers at both axes, and what they are of."""
    font, under, beside = x.axis["tickfont"], x.axis["title"], y.axis["title"]
    words = [_words(x.told(tick), (x.at(tick), upward + 3), _by("center", "top"), font) for tick in x.ticks()]
    words += [_words(y.told(tick), (0, y.at(tick)), _by("right", "middle"), font, right=-3) for tick in y.ticks()]
    words.append(_words(under["text"], (ACROSS / 2, upward + 22), _by("center", "top"), under["font"]))
    turned, away = f"{_by('center', 'middle')} rotate(-90deg)", 18 + breadth(map(y.told, y.ticks()))
    return [*words, _words(beside["text"], (0, upward / 2), turned, beside["font"], right=-away)]


def _note(note: Part, x: _Side, y: _Side) -> str:
    right, up = (note["ax"], -note["ay"]) if note["showarrow"] else (note["xshift"], note["yshift"])
    place, move = (x.at(note["x"]), y.at(note["y"]) - up), _by(note["xanchor"], note["yanchor"])
    return _words(note["text"], place, move, note["font"], right, note.get("bgcolor", "none"))


def _by(across: str, upward: str) -> str:
    """The move that brings these sides of words to their place."""
    parts = {"left": "0", "center": "-50%", "right": "-100%", "top": "0", "middle": "-50%", "bottom": "-100%"}
    return f"translate({parts[across]},{parts[upward]})"


def _words(markup: str, place: Spot, move: str, font: Part, right: float = 0, background: str = "none") -> str:
    """Words at a place of the picture, and so many pixels right of it."""
    at = f"left:calc({place[0] / ACROSS:.2%} + {right:g}px);top:{place[1]:.1f}px;transform:{move}"
    look = f"white-space:nowrap;background:{background};{_font(font)}"
    return f'<span style="position:absolute;{at};{look}">{markup}</span>'


def _heading(title: Part) -> str:
    """Title and subtitle, line by line as the chart has them."""
    lines = [(title["text"], title["font"]), (title["subtitle"]["text"], title["subtitle"]["font"])]
    body = "".join(f'<div style="line-height:1.3;margin-bottom:6px;{_font(font)}">{text}</div>' for text, font in lines)
    return f'<div style="padding:2px 4px">{body}</div>'


def _legend(traces: Sequence[Part], layout: Part, upward: float) -> str:
    """The names of what has a key and no points of its own, under the axis' title."""
    if not layout["showlegend"]:
        return ""
    keys = [(one["marker"], one["name"]) for one in traces if list(one["x"]) == [None]]
    body = "".join(
        f'<span style="color:{look["color"]}">{GLYPHS[look["symbol"]]}</span> {name}&emsp;' for look, name in keys
    )
    return f'<div style="position:absolute;top:{upward + 46}px;{_font(layout["font"] | {"size": 12})}">{body}</div>'


def _font(font: Part) -> str:
    return f"font-size:{font['size']}px;color:{font['color']}"
