"""A chart as a picture and words, to be seen until what draws charts has arrived: without hover, zoom or click."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from compression.report.drawing import Chart
from compression.report.labels import breadth

Part = Mapping[str, Any]
ACROSS = 1000
"""How broad the picture is in its own unit: it stretches to the width that there is. Upward all is in pixels."""
X_SHIFTS = {"left": "0", "center": "-50%", "right": "-100%"}
Y_SHIFTS = {"top": "0", "middle": "-50%", "bottom": "-100%"}


def sketch(chart: Chart) -> str:
    """The chart as HTML, as high as it is and as wide as there is room.

    It is meant for a :func:`cloud_chart`: its words, scales, shapes, points and lines are shown, each where the
    chart itself will have it. Every symbol is a disc, a hollow one a ring; error bars and leaders are left out.
    """
    figure = chart.figure.to_plotly_json()
    layout = figure["layout"]
    if "range" not in layout["xaxis"]:  # nothing to draw; the words say why
        return _heading(layout["title"])
    margin = layout["margin"]
    upward = layout["height"] - margin["t"] - margin["b"]
    x, y = _Side(layout["xaxis"], ACROSS), _Side(layout["yaxis"], upward, upwards=True)
    shapes = [_shape(one, x, y) for one in layout.get("shapes", ())]
    # The smaller over the larger, or a ring would hide what it is round; lines over all.
    traces = sorted(figure["data"], key=lambda trace: -trace["marker"]["size"] if "marker" in trace else 0)
    marks = [_trace(one, x, y, layout["paper_bgcolor"]) for one in traces]
    words = [*_scales(x, y, upward), *(_note(one, x, y) for one in layout.get("annotations", ()))]
    place = f"left:{margin['l']}px;right:{margin['r']}px;top:{margin['t']}px;height:{upward}px"
    return (
        f'<div style="position:relative;height:{layout["height"]}px;line-height:1.2">{_heading(layout["title"])}'
        f'<div style="position:absolute;{place}">{_picture([_grid(x, y, upward), *shapes, *marks], upward)}'
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

    def __call__(self, value: float) -> str:
        """Where a value lies, from the left or from the top; what has no logarithm lies far outside."""
        if self.log:
            value = math.log10(value) if value > 0 else -99.0
        return self.at(value)

    def at(self, value: float) -> str:
        """Where a value lies that is an exponent on a logarithmic axis."""
        low, high = self.axis["range"]
        return self.share((value - low) / (high - low))

    def share(self, part: float) -> str:
        """Where a share of the whole axis lies."""
        return f"{(1 - part if self.upwards else part) * self.length:.1f}"

    def placed(self, value: float, ref: str) -> str:
        """Where a value lies in what it refers to: the axis, or the whole of it."""
        return self.share(value) if ref == "paper" or ref.endswith("domain") else self(value)

    def ticks(self) -> list[float]:
        """The values that Plotly writes at this axis, exponents where it is logarithmic."""
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
    """The least of 1, 2 and 5 times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least * (1 - 1e-9))


def _picture(parts: Sequence[str], upward: float) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {ACROSS} {upward}" preserveAspectRatio="none">'
        f"{''.join(parts)}</svg>"
    )
    source = f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
    return f'<img src="{source}" alt="" style="width:100%;height:100%;max-width:none">'


def _grid(x: _Side, y: _Side, upward: float) -> str:
    lines = [f"M{x.at(tick)} 0V{upward}" for tick in x.ticks()] + [f"M0 {y.at(tick)}H{ACROSS}" for tick in y.ticks()]
    return _path("".join(lines), stroke=x.axis["gridcolor"])


def _shape(shape: Part, x: _Side, y: _Side) -> str:
    """A straight line or a filled box."""
    (left, right), (top, bottom) = (
        [side.placed(shape[f"{name}{end}"], shape.get(f"{name}ref", name)) for end in (0, 1)]
        for name, side in (("x", x), ("y", y))
    )
    if shape["type"] == "rect":
        return f'<path d="M{left} {top}H{right}V{bottom}H{left}Z" fill="{shape["fillcolor"]}"/>'
    dashes = {"dot": "2 3", "dash": "9 9"}[shape["line"]["dash"]]
    return _path(f"M{left} {top}L{right} {bottom}", **_stroke(shape["line"]), stroke_dasharray=dashes)


def _trace(trace: Part, x: _Side, y: _Side, page: str) -> str:
    spots = [(x(a), y(b)) for a, b in zip(trace["x"], trace["y"], strict=True) if a is not None and b is not None]
    if not spots:
        return ""
    return _line(trace["line"], spots) if trace["mode"] == "lines" else _points(trace["marker"], spots, page)


def _line(line: Part, spots: Sequence[tuple[str, str]]) -> str:
    """A staircase."""
    step = "V{1}H{0}" if line["shape"] == "vh" else "H{0}V{1}"
    path = "M{} {}".format(*spots[0]) + "".join(step.format(*spot) for spot in spots[1:])
    return _path(path, **_stroke(line))


def _points(marker: Part, spots: Sequence[tuple[str, str]], page: str) -> str:
    """Discs are lines of no length with round ends, which stay round however the picture is stretched."""
    opacity = marker.get("opacity", 1)
    each = [opacity] * len(spots) if isinstance(opacity, int | float) else opacity
    hollow = marker["symbol"].endswith("-open")
    drawn = []
    for level in sorted(set(each)):
        alike = dict.fromkeys(spot for spot, own in zip(spots, each, strict=True) if own == level)
        path = "".join(f"M{a} {b}h0" for a, b in alike)
        disc = {"stroke_width": marker["size"], "stroke_linecap": "round"}
        drawn.append(_path(path, stroke=marker["color"], stroke_opacity=level, **disc))
        if hollow:
            hole = marker["size"] - 2 * marker["line"]["width"]
            drawn.append(_path(path, stroke=page, **disc | {"stroke_width": hole}))
    return "".join(drawn)


def _stroke(line: Part) -> dict[str, Any]:
    return {"stroke": line["color"], "stroke_width": line["width"]}


def _path(path: str, **look: Any) -> str:
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in look.items())
    return f'<path d="{path}" fill="none" vector-effect="non-scaling-stroke"{attributes}/>'


def _scales(x: _Side, y: _Side, upward: float) -> list[str]:
    """The numbers at both axes, and what they are of."""
    font, title = x.axis["tickfont"], x.axis["title"]["font"]
    words = [_text(x.told(tick), x.at(tick), upward + 3, "center", "top", font) for tick in x.ticks()]
    words += [_text(y.told(tick), 0, y.at(tick), "right", "middle", font, right=-3) for tick in y.ticks()]
    words.append(_text(escape(x.axis["title"]["text"]), ACROSS / 2, upward + 22, "center", "top", title))
    name, away = escape(y.axis["title"]["text"]), 18 + breadth(map(y.told, y.ticks()))
    return [*words, _text(name, 0, upward / 2, "center", "middle", title, right=-away, turned="rotate(-90deg)")]


def _note(note: Part, x: _Side, y: _Side) -> str:
    right, up = (note["ax"], -note["ay"]) if note["showarrow"] else (note["xshift"], note["yshift"])
    place = x.at(note["x"]), float(y.at(note["y"])) - up
    return _text(note["text"], *place, note["xanchor"], note["yanchor"], note["font"], right, note.get("bgcolor", ""))


def _text(
    markup: str,
    x: Any,
    y: Any,
    across: str,
    upward: str,
    font: Part,
    right: float = 0,
    ground: str = "",
    turned: str = "",
) -> str:
    """Words at a place of the plane, with the side or the middle that is there."""
    shift = f"transform:translate({X_SHIFTS[across]},{Y_SHIFTS[upward]}) {turned}"
    place = f"left:calc({float(x) / ACROSS:.2%} + {right:g}px);top:{y}px;{shift}"
    return (
        f'<span style="position:absolute;white-space:nowrap;{place};background:{ground};{_font(font)}">{markup}</span>'
    )


def _heading(title: Part) -> str:
    """Title and subtitle, line by line as the chart has them."""
    lines = [(title["text"], title["font"]), (title["subtitle"]["text"], title["subtitle"]["font"])]
    body = "".join(f'<div style="line-height:1.3;margin-bottom:6px;{_font(font)}">{text}</div>' for text, font in lines)
    return f'<div style="padding:2px 4px">{body}</div>'


def _legend(traces: Sequence[Part], layout: Part, upward: float) -> str:
    """The names of what has a key and no points of its own, under the axis' title."""
    if not layout["showlegend"]:
        return ""
    keys = [trace for trace in traces if list(trace["x"]) == [None]]
    body = "".join(
        f'<span style="color:{key["marker"]["color"]}">●</span> {key["name"]}&emsp;' for key in keys
    )  # fmt: skip
    return f'<div style="position:absolute;top:{upward + 48}px;{_font(layout["font"] | {"size": 12})}">{body}</div>'


def _font(font: Part) -> str:
    return f"font-size:{font['size']}px;color:{font['color']}"
