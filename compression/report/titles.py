"""The sentence over each chart, at most fifteen words, and the line of measures under it.

Each is computed from the rows that are drawn (dicts, one a row of the chart's table), so that a
chart cannot claim what its data do not show.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from compression.report.bins import FilterGrid
from compression.report.compare import within_noise
from compression.report.estimates import estimate_words
from compression.report.measures import AXES, ESTIMATED, nothing
from compression.report.text import (
    amount,
    capital,
    lowered,
    percent,
    points,
    removing,
    share,
    shortened,
    times,
    unique,
    unit_word,
)

Rows = Sequence[dict[str, Any]]
TOLERANCE = 0.01
"""The loss of accuracy, one point, that titles and recommendations allow."""
MOST_NAMED = 3
"""Classes that a title names."""
EQUAL = 1e-9
"""Changes of accuracy that differ by less are one."""
ONLY_BASELINE = "Only the baseline has been measured so far"
NOTHING_YET = "Nothing has been measured yet"


def tolerated(tolerance: float) -> str:
    """0.01 → "1 point"; 0.005 → "0.5 points"."""
    number = round(100 * tolerance, 1)
    return f"{number:g} point{'' if number == 1 else 's'}"


def best_point(rows: Rows, tolerance: float = TOLERANCE) -> dict[str, Any] | None:
    """The row with the greatest gain among those that lose at most ``tolerance``; None if none.

    A gain is a ratio above 1.05, and for a speed-up its whole interval above 1. Of equal gains
    the more accurate is taken.
    """
    fit = [
        row
        for row in rows
        if not row["baseline"]
        and row["change"] >= -tolerance - 1e-12
        and row["ratio"] > 1.05
        and not (AXES[row["axis"]].more_is_better and row["x_low"] <= 1)
    ]
    return max(fit, key=lambda row: (row["ratio"], row["accuracy"])) if fit else None


def tradeoff_title(rows: Rows, tolerance: float = TOLERANCE) -> str:
    """The greatest gain within the tolerance: "Removing 60 % of channels makes it 3.4× smaller …"."""
    pruned = [row for row in rows if not row["baseline"]]
    if not pruned:
        return ONLY_BASELINE if rows else NOTHING_YET
    if len(pruned) == len(rows):
        return "There is no baseline to compare these models with"
    axis = AXES[pruned[0]["axis"]]
    if all(math.isnan(row["x"]) for row in pruned):
        return f"{axis.label} of the pruned models has not been measured yet"
    best = best_point(pruned, tolerance)
    if best is None:
        return f"{nothing(axis)} stays within {tolerated(tolerance)} of the baseline"
    # The device is on the axis and in the subtitle: with it the sentence would be too long.
    verb = axis.verb.removesuffix(f" on {axis.where}").format(times(best["ratio"]))
    return f"{removing(best['granularity'], best['sparsity'])} {verb} and {cost_words(rows, best)}"


def cost_words(rows: Rows, best: dict[str, Any]) -> str:
    """What accuracy a row gives up: "costs 0.3 points, within noise"."""
    loss = round(-100 * best["change"], 1)
    if loss <= 0:
        return "costs no accuracy"
    place = ("model", "data", "split")
    start = next(row for row in rows if row["baseline"] and all(row[k] == best[k] for k in place))
    return f"costs {loss:.1f} points" + (", within noise" if within_noise(start, best) else "")


def _within(rows: Rows, budget: float) -> Rows:
    """The rows whose cost keeps to the budget."""
    sign = -1 if rows and AXES[rows[0]["axis"]].more_is_better else 1
    return [row for row in rows if sign * row["x"] <= sign * budget]


def best_within(rows: Rows, budget: float) -> dict[str, Any] | None:
    """The most accurate row whose cost keeps to the budget, the cheaper of equals; None if none does."""
    sign = -1 if rows and AXES[rows[0]["axis"]].more_is_better else 1
    return max(_within(rows, budget), key=lambda row: (row["accuracy"], -sign * row["x"]), default=None)


def budget_title(rows: Rows, best: dict[str, Any] | None, budget: float) -> str:
    """What is most accurate within the budget, and how many others are as good up to noise.

    "Within 100 KB: removing 60 % of channels leads, 95.8 %; 3 others within noise".
    """
    axis = AXES[rows[0]["axis"]] if rows else AXES["packed_bytes"]
    bound = f"{'At least' if axis.more_is_better else 'Within'} {amount(budget, axis.scale)}"
    if best is None:
        return f"{bound}: no measured model keeps to this budget"
    rivals = sum(within_noise(row, best) for row in _within(rows, budget) if row is not best)
    who = "the baseline" if best["baseline"] else lowered(removing(best["granularity"], best["sparsity"]))
    others = f"; {rivals} other{'s' if rivals > 1 else ''} within noise" if rivals else ""
    return f"{bound}: {who} {'leads' if rivals else 'is best'}, {percent(best['accuracy'])}{others}"


def tradeoff_subtitle(rows: Rows, least: float = 0.0) -> str:
    """What is drawn, on which split and how many images, with which interval, and what is missing."""
    key = rows[0]["axis"]
    axis = AXES[key]
    place = f" ({timing_words(rows, axis.where)})" if axis.where and key not in ESTIMATED else ""
    missing = sum(math.isnan(row["x"]) for row in rows)
    lost = f"; {missing} of {len(rows)} without it are not drawn" if missing else ""
    origin = estimate_words(key, rows[0]["g_per_kwh"]) if key in ESTIMATED else axis.origin
    known = "both measured" if origin == "measured" else f"{origin}; accuracy measured"
    hidden = sum(row["accuracy"] < least for row in rows if row["x"] == row["x"])
    lost += f"; {hidden} below {share(least)} are off the chart" if hidden else ""
    return f"{accuracy_words(rows)} · {lowered(axis.label)}{place} · {known}{lost}"


def timing_words(rows: Rows, where: str) -> str:
    """In what the rows were timed: "ONNX Runtime, batch 1"; the batch only where it is known."""
    batches = [f"{batch:g}" for batch in unique(row["batch"] for row in rows)]
    return f"{where}, batch {' and '.join(batches)}" if batches else where


def accuracy_words(rows: Rows) -> str:
    """What the accuracies are: "Accuracy on validation images, n = 360, 95 % interval"."""
    splits = " and ".join(split_word(split) for split in unique(row["split"] for row in rows))
    images = ", ".join(f"{n:,.0f}" for n in unique(row["n"] for row in rows))
    spreads = {row["spread"] for row in rows}
    bars = {"interval": "95 % interval", "sd": f"± sd of {max(row['seeds'] for row in rows)} seeds"}
    shown = " or ".join(text for key, text in bars.items() if key in spreads)
    return f"Accuracy on {splits} images{_trained(rows)}, n = {images}, {shown}"


def _trained(rows: Rows) -> str:
    """Whether the pruned models were fine-tuned, where all were treated alike."""
    epochs = {row["epochs"] for row in rows if not row["baseline"] and "epochs" in row}
    if len(epochs) != 1:
        return ""
    number = epochs.pop()
    return f" after {number} epoch{'' if number == 1 else 's'} of fine-tuning" if number else " without fine-tuning"


def split_word(split: str) -> str:
    """The split's name in full."""
    return {"val": "validation", "train": "training"}.get(split, split)


def furthest(rows: Rows, tolerance: float = TOLERANCE) -> float:
    """The highest sparsity up to which every measured point loses at most ``tolerance``."""
    reached = 0.0
    for row in sorted(rows, key=lambda row: row["x"]):
        if row["change"] < -tolerance - 1e-12:
            break
        reached = row["x"]
    return reached


def by_series(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each series, the baseline's own left out, in the order of the table."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if not row["baseline"]:
            groups.setdefault(row["series"], []).append(row)
    return groups


def curve_title(rows: Rows, tolerance: float = TOLERANCE) -> str:
    """How far the most patient series goes: "Channels can go to 60 % before accuracy drops 1 point"."""
    series = {n: own for n, own in by_series(rows).items() if any(row["x"] > 0 for row in own)}
    if not series:
        return ONLY_BASELINE if rows else NOTHING_YET
    reach = {name: furthest(own, tolerance) for name, own in series.items()}
    name = max(reach, key=lambda key: reach[key])
    own, limit = series[name], tolerated(tolerance)
    kind = own[-1]["granularity"]
    if ":" in kind:
        return f"The {kind} pattern changes accuracy by {points(own[-1]['change'])}"
    what = capital(unit_word(kind))
    if reach[name] == 0:
        first = min(row["x"] for row in own if row["x"] > 0)
        return f"Removing {share(first)} of {unit_word(kind)} already costs more than {limit}"
    if reach[name] == max(row["x"] for row in own):
        return f"{what} can go to {share(reach[name])} and stay within {limit}"
    return f"{what} can go to {share(reach[name])} before accuracy drops {limit}"


def speed_title(rows: Rows, at: float | None = None) -> str:
    """Both kinds at one sparsity, the one nearest ``at``: what removing and what zeroing does to speed."""
    if not rows:
        return "Sparsity is not speed: time both kinds to see it"
    here = [row for row in rows if row["sparsity"] == speed_at(rows, at)]
    units = max((r for r in here if r["kind"] == "removed"), key=lambda r: r["speedup"])
    masked = max((r for r in here if r["kind"] == "zeroed"), key=lambda r: r["speedup"])
    gain = f"makes it {times(units['speedup'])} faster" if units["low"] > 1 else "does not make it faster"
    if masked["low"] > 1:
        other = f"{times(masked['speedup'])} faster"
    else:
        other = "no faster"
    what = "kernels" if masked["granularity"] == "kernels" else "weights"
    return f"{removing(units['granularity'], units['sparsity'])} {gain}; zeroing {what}, {other}"


def speed_at(rows: Rows, at: float | None = None) -> float:
    """The sparsity in the rows that is nearest ``at`` (default a half), the higher of two."""
    wanted = 0.5 if at is None else at
    return min((float(row["sparsity"]) for row in rows), key=lambda s: (abs(s - wanted), -s))


def histogram_title(total: float, gone: float, threshold: float | None, signed: bool, what: str) -> str:
    """How much of the mass goes, and where the cut lies."""
    if not gone:
        return f"No {what} are pruned yet"
    part = share(gone / total)
    if threshold is None:
        return f"{part} of {what} are pruned"
    side = f"within ±{threshold:.3g}" if signed else f"below {threshold:.3g}"
    return f"{part} of {what} lie {side} and are pruned"


def layer_title(rows: Rows) -> str:
    """Which layer loses most and which least."""
    most, least = max(rows, key=lambda r: r["achieved"]), min(rows, key=lambda r: r["achieved"])
    high, low = share(most["achieved"]), share(least["achieved"])
    if len(rows) == 1:
        return f"{shortened(most['layer'])} loses {high}"
    if most["achieved"] - least["achieved"] < 0.005:
        return f"Every layer loses {high}"
    return f"{shortened(most['layer'])} loses most ({high}), {shortened(least['layer'])} least ({low})"


def class_title(rows: Rows) -> str:
    """The classes that lose most, by name, and how many lose."""
    losing = sum(row["change"] < 0 for row in rows)
    if not losing:
        return "No class loses accuracy"
    names = [shortened(name) for name in hit_hardest(rows)]
    who = f"Class {names[0]} loses" if len(names) == 1 else f"Classes {', '.join(names[:-1])} and {names[-1]} lose"
    if len(names) > MOST_NAMED:
        who = f"{len(names)} classes lose"
    return f"{who} most, {points(rows[0]['change'])}; {losing} of {len(rows)} classes lose"


def hit_hardest(rows: Rows) -> list[str]:
    """The classes that lose most; those that lose just as much are not left out by the order of their names."""
    worst = min(row["change"] for row in rows)
    return [str(row["name"]) for row in rows if row["change"] - worst < EQUAL]


def filter_title(grid: FilterGrid) -> str:
    """How many first-layer filters are gone, or how many of their weights are zero."""
    if grid.removed:
        return f"{grid.removed} of {grid.total} first-layer filters {'is' if grid.removed == 1 else 'are'} removed"
    if grid.zeros:
        return f"{share(grid.zeros)} of the first layer's weights are zero"
    return "The first layer is whole"


def history_title(rows: Rows, measure: str) -> str:
    """Where the validation figure started and where it ended."""
    first, last = rows[0][f"val_{measure}"], rows[-1][f"val_{measure}"]
    write = percent if measure == "accuracy" else lambda value: f"{value:.3g}"
    if len(rows) == 1:
        return f"After 1 epoch validation {measure} is {write(last)}"
    return f"Validation {measure} went from {write(first)} to {write(last)} in {len(rows)} epochs"


def change_title(rows: Rows) -> str:
    """Every saving in one line, of two sizes the last: "4.4× smaller, 3.9× fewer MACs"."""
    saved = {AXES[row["key"]].gain: times(1 / row["left"]) for row in rows if 0 < row["left"] < 0.995}
    words = ", ".join(f"{ratio} {gain}" for gain, ratio in saved.items())
    return capital(words) if words else "Nothing got smaller"
