"""The sentences over the sensitivity charts, computed from the rows that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compression.report.compare import within_noise
from compression.report.sensitivity_tables import by_layer, spare
from compression.report.text import percent, points, share, shortened, unit_word
from compression.report.titles import TOLERANCE, tolerated

Rows = Sequence[dict[str, Any]]
NOT_SCANNED = "No layer has been scanned yet"


def ranked(rows: Rows, tolerance: float = TOLERANCE) -> list[str]:
    """The layers, the most sensitive first: by what they can spare, and of equals by their mean loss."""
    layers = by_layer(rows)

    def patience(name: str) -> tuple[float, float]:
        own = layers[name]
        return spare(own, tolerance), sum(row["change"] for row in own) / len(own)

    return sorted(layers, key=patience)


def harmless(rows: Rows, tolerance: float = TOLERANCE) -> list[str]:
    """The layers that lose no more than the tolerance however far they were cut."""
    return [name for name, own in by_layer(rows).items() if spare(own, tolerance) == own[-1]["x"]]


def sensitivity_title(rows: Rows, tolerance: float = TOLERANCE) -> str:
    """Which layer gives way first, and how early: "stem gives way first: 20 % of its channels cost 3.4 points"."""
    if not rows:
        return NOT_SCANNED
    first = ranked(rows, tolerance)[0]
    own = by_layer(rows)[first]
    what = unit_word(own[0]["granularity"])
    fallen = next((row for row in own if row["change"] < -tolerance - 1e-12), None)
    if fallen is None:
        return f"No layer alone costs more than {tolerated(tolerance)}, even at {share(own[-1]['x'])}"
    lost = points(-fallen["change"]).lstrip("+")
    return f"{shortened(first)} gives way first: {share(round(fallen['x'], 2))} of its {what} cost {lost}"


def map_title(rows: Rows, tolerance: float = TOLERANCE) -> str:
    """What the most and the least patient layer can spare: "blocks.8.conv1 can spare 90 %, stem none"."""
    if not rows:
        return NOT_SCANNED
    order, layers = ranked(rows, tolerance), by_layer(rows)
    least, most = (spare(layers[name], tolerance) for name in (order[0], order[-1]))
    limit = tolerated(tolerance)
    if least == most:
        return f"Within {limit} every layer alone can spare {_much(most)}"
    return f"Within {limit} {shortened(order[-1])} can spare {_much(most)} alone, {shortened(order[0])} {_much(least)}"


def _much(part: float) -> str:
    return share(round(part, 2)) if part else "nothing"


def layer_cost_title(rows: Rows) -> str:
    """Where the numbers are and where the work is done."""
    if not rows:
        return "There is no layer to count"
    numbers, work = (max(rows, key=lambda row: float(row[key])) for key in ("params_share", "macs_share"))
    held, done = share(round(numbers["params_share"], 2)), share(round(work["macs_share"], 2))
    if numbers is work:
        return f"{shortened(numbers['layer'])} holds {held} of the parameters and does {done} of the work"
    holder, worker = shortened(numbers["layer"]), shortened(work["layer"])
    return f"{holder} holds {held} of the parameters, {worker} does {done} of the work"


def allocation_title(rows: Rows) -> str:
    """Where the methods differ most: "stem loses 5 % by sensitivity and 50 % uniform"."""
    if not rows:
        return "Nothing has been allocated yet"
    layers: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        layers.setdefault(row["layer"], []).append(row)
    apart = max(layers.values(), key=lambda own: max(r["sparsity"] for r in own) - min(r["sparsity"] for r in own))
    high, low = (choose(apart, key=lambda row: float(row["sparsity"])) for choose in (max, min))
    name = shortened(apart[0]["layer"])
    if high["sparsity"] - low["sparsity"] < 0.005:
        what = "all methods agree" if len({row["method"] for row in rows}) > 1 else "it is spread evenly"
        return f"Every layer loses {share(round(high['sparsity'], 2))}: {what}"
    most, least = share(round(high["sparsity"], 2)), share(round(low["sparsity"], 2))
    return f"{name} loses {most} with {high['label']}, {least} with {low['label']}"


def outcome_title(rows: Rows) -> str:
    """Which allocation keeps most accuracy, and by how much over the next; rows are the best first."""
    if not rows:
        return "Nothing has been allocated yet"
    best = rows[0]
    if len(rows) == 1:
        return f"{best['label']} leaves {percent(best['accuracy'])} before fine-tuning"
    second = rows[1]
    tied = [row for row in rows[1:] if within_noise(row, best)]
    if len(tied) == len(rows) - 1:
        least = percent(min(row["accuracy"] for row in rows))
        left = least if least == percent(best["accuracy"]) else f"{least} to {percent(best['accuracy'])}"
        return f"All {len(rows)} methods leave {left}: they are within noise of each other"
    kept = f"{best['label']} keeps most, {percent(best['accuracy'])}"
    if tied:
        return f"{kept}; {second['label']} is within noise"
    return f"{kept}; next is {second['label']}, {percent(second['accuracy'])}"
