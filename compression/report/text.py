"""Numbers as people read them: bytes, MACs, percents, points, ratios and names."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

MINUS, TIMES, DASH = "−", "×", "–"
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNITS = {"rows": "neurons", "channels": "channels", "kernels": "kernels", "heads": "heads", "blocks": "blocks"}
"""What one removed piece is called, by granularity; every other granularity removes weights."""

SYMBOLS = {"times": "×", "ms": "ms", "mj": "mJ", "g": "g"}
"""Of the units that have no steps."""
Scale = Literal["bytes", "count", "times", "ms", "mj", "g", "fraction"]


def thousands(value: float, steps: tuple[str, ...]) -> str:
    """Three significant digits and the step of a thousand: 431080 with K, M → "431 K"."""
    power = 0
    while power < len(steps) - 1 and abs(value) >= 999.5 * 1000**power:
        power += 1
    number = value / 1000**power
    digits = 0 if power == 0 else max(0, 2 - int(math.log10(max(abs(number), 1))))
    text = f"{number:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {steps[power]}".rstrip()


def size(value: float) -> str:
    """Bytes in steps of 1000: "812 bytes", "98.3 KB", "1.72 MB"."""
    return thousands(value, ("bytes", "KB", "MB", "GB", "TB"))


def count(value: float) -> str:
    """A count in steps of 1000: "812", "98.3 K", "1.72 M", "4.09 G"."""
    return thousands(value, ("", "K", "M", "G", "T"))


def part(value: float, whole: float) -> str:
    """A count of a count, a unit that both have said once: "48 of 64", "55 of 8.64 K", "6.29 of 9.22 K"."""
    steps = ("", "K", "M", "G", "T")
    power = sum(abs(whole) >= 999.5 * 1000**step for step in range(len(steps) - 1))
    if power == 0 or value < 1000**power:
        return f"{count(value)} of {count(whole)}"
    return f"{value / 1000**power:.3g} of {whole / 1000**power:.3g} {steps[power]}"


def quantity(value: float) -> str:
    """Any amount as everybody reads it: "8·10⁻⁵", "0.00083", "0.0153", "47.7", "6,470", "1.72 million"."""
    if 0 < abs(value) < 1e-4:
        return powered(value)
    if abs(value) < 999_500:
        return f"{float(f'{value:.3g}'):,.10g}"
    return thousands(value, ("", "thousand", "million", "billion", "trillion"))


def money(value: float, currency: str) -> str:
    """An amount of money: "$0.30", "$38.50", "$6,470", "$1.72 million", and "less than a cent" below one."""
    if 0 < abs(value) < 0.01:
        return "less than a cent"
    sign = MINUS if value < 0 else ""
    return f"{sign}{currency}{quantity(abs(value)) if abs(value) >= 100 or not value else f'{abs(value):.2f}'}"


def percent(fraction: float, digits: int = 1) -> str:
    """0.9753 → "97.5 %"."""
    return f"{100 * fraction:.{digits}f} %".replace("-", MINUS)


def share(fraction: float) -> str:
    """A percentage without needless decimals: 0.6 → "60 %", 0.625 → "62.5 %"."""
    return f"{round(100 * fraction, 1):g} %".replace("-", MINUS)


def chance(probability: float) -> str:
    """A probability, however small: "97.3 %", "0.02 %", "4·10⁻⁹", and ">99.9 %" short of certainty."""
    if probability in (0.0, 1.0):
        return percent(probability, 0)
    if probability > 0.9995:
        return ">99.9 %"
    if probability >= 0.00095:
        return percent(probability)
    return percent(probability, 2) if probability >= 0.000095 else powered(probability)


def powered(value: float) -> str:
    """One digit and a power of ten: 3.8e-9 → "4·10⁻⁹", 1e-9 → "10⁻⁹"."""
    digit, exponent = f"{value:.0e}".split("e")
    power = f"10{str(int(exponent)).translate(RAISED)}"
    return power if digit == "1" else f"{digit}·{power}"


def brief(value: float) -> str:
    """Three significant digits without an exponent: 47.698 → "47.7", 1000 → "1000"."""
    return f"{float(f'{value:.3g}'):.10g}"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign: "+0.3", "−0.3", "0.0"."""
    rounded = round(value, digits)
    sign = MINUS if rounded < 0 else "+" if rounded > 0 else ""
    return f"{sign}{abs(rounded):.{digits}f}"


def points(change: float) -> str:
    """A change of accuracy in percentage points, with its sign: −0.003 → "−0.3 points"."""
    return f"{signed(100 * change)} points"


def delta(text: str) -> str | None:
    """A change as a metric's delta: an ASCII minus, by which its arrow points down; None for no change."""
    changed = any(digit in "123456789" for digit in text)
    return text.replace(MINUS, "-") if changed else None


def interval(low: float, high: float) -> str:
    """Two ends in percent: "96.2–98.4 %"."""
    return f"{100 * low:.1f}{DASH}{100 * high:.1f} %"


def times(ratio: float) -> str:
    """A ratio with two or three digits: "0.62×", "1.0×", "2.1×", "12×"."""
    digits = 2 if round(ratio, 2) < 1 else 1 if round(ratio, 1) < 10 else 0
    return f"{ratio:.{digits}f}{TIMES}"


def amount(value: float, scale: Scale) -> str:
    """A number written the way its scale is read."""
    if scale == "bytes":
        return size(value)
    if scale == "count":
        return count(value)
    if scale == "times":
        return times(value)
    if scale == "fraction":
        return share(value)
    if scale == "g" and abs(value) >= 1000:
        return f"{brief(value / 1000)} kg"
    return f"{brief(value)} {SYMBOLS[scale]}"


def unit_of(largest: float, scale: Scale) -> tuple[float, str]:
    """The divisor and the unit in which an axis up to ``largest`` is drawn: 431080 → (1000, "KB")."""
    if scale not in ("bytes", "count"):
        return 1.0, SYMBOLS.get(scale, "")
    steps = ("bytes", "KB", "MB", "GB") if scale == "bytes" else ("", "thousands", "millions", "billions")
    power = min(3, int(math.log10(largest) // 3)) if largest >= 1 else 0
    return 1000.0**power, steps[power]


def unit_word(granularity: str) -> str:
    """What the granularity removes, in the plural: "channels", "neurons", "weights"."""
    return UNITS.get(granularity, "weights")


def named(granularity: str) -> str:
    """The granularity as a label: "weights", "2:4 pattern", "neurons"."""
    return f"{granularity} pattern" if ":" in granularity else unit_word(granularity)


def removing(granularity: str, sparsity: float) -> str:
    """The subject of a title: "Removing 60 % of channels", "The 2:4 pattern"."""
    if ":" in granularity:
        return f"The {granularity} pattern"
    return f"Removing {share(sparsity)} of {unit_word(granularity)}"


def lowered(label: str) -> str:
    """The label inside a sentence: its first letter small, unless it is an acronym like MACs."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def capital(sentence: str) -> str:
    """The sentence with its first letter a capital."""
    return sentence[:1].upper() + sentence[1:]


def escaped(words: str) -> str:
    """Words that somebody gave, so that Plotly shows every letter: it takes what looks like a tag for one."""
    return words.replace("&", "&amp;").replace("<", "&lt;")


def wrapped(text: str, width_px: float, size_px: float) -> list[str]:
    """Break text into lines of even length that fit; a number is never parted from its unit.

    Plotly does not wrap. A character is taken as 0.47 of the font size: a tenth more than the
    app's font needs on average.
    """
    glued = re.sub(r"(?<=[\d=]) (?=\S)| (?=[=·])", "\u00a0", text)
    limit = max(12, int(width_px / (0.47 * size_px)))
    lines = _filled(glued, limit)
    while limit > 12 and len(shorter := _filled(glued, limit - 1)) == len(lines):
        lines, limit = shorter, limit - 1
    return lines


def _filled(text: str, limit: int) -> list[str]:
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > limit:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def shortened(name: str, limit: int = 18) -> str:
    """A long name cut so that it can still be told apart: ``blocks.0.attention.qkv`` is ``blocks.0.a….qkv`` in 15.

    Of a layer's path the longest parts are cut first, never the last; of other names the middle is left out.
    """
    parts = name.split(".")
    for at in sorted(range(len(parts) - 1), key=lambda at: len(parts[at]), reverse=True):
        over = len(".".join(parts)) - limit
        kept = max(1, len(parts[at]) - over - 1)
        if over > 0 and kept + 1 < len(parts[at]):
            parts[at] = f"{parts[at][:kept]}…"
    short = ".".join(parts)
    if len(short) <= limit:
        return short
    head = (limit - 1) // 2
    return f"{name[:head]}…{name[head + 1 - limit :]}"


def unique(values: Any) -> list[Any]:
    """The distinct values in the order in which they first appear, blanks left out."""
    return [value for value in dict.fromkeys(values) if value not in (None, "") and value == value]


def printable(text: str) -> str:
    """Text without what no document can hold: control characters and halves of characters."""
    return "".join(sign for sign in text if sign.isprintable())


def duration(seconds: float) -> str:
    """A rough time: 8.2 → "8 s", 200 → "3 min", 9000 → "2.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600, 1):g} h"
