"""The tables under the sensitivity charts, from the plain rows of a scan and of the allocations compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from compression.report.titles import TOLERANCE
from compression.results import wilson

Row = Mapping[str, Any]


def sensitivity_table(readings: Iterable[Row]) -> pd.DataFrame:
    """One line for each layer and sparsity, in the order in which the layers first appear.

    ``readings`` have the fields of a ``Reading``. ``sparsity`` is the fraction asked, ``x`` the one
    really removed, ``change`` the accuracy against that of the whole model on the same images, which is ``whole``.
    Of a layer that was read several times the last reading counts.
    """
    latest = {(row["layer"], row["sparsity"]): row for row in readings}
    lines = []
    for row in latest.values():
        low, high = wilson(round(row["accuracy"] * row["n"]), row["n"])
        lines.append(
            {
                "layer": row["layer"],
                "granularity": row["granularity"],
                "sparsity": row["sparsity"],
                "x": row["achieved"],
                "accuracy": row["accuracy"],
                "accuracy_low": low,
                "accuracy_high": high,
                "change": row["accuracy"] - row["whole_accuracy"],
                "whole": row["whole_accuracy"],
                "n": row["n"],
                "params_saved": row["params_saved"],
                "macs_saved": row["macs_saved"],
            }
        )
    return pd.DataFrame(lines, columns=SENSITIVITY)


SENSITIVITY = [
    "layer", "granularity", "sparsity", "x", "accuracy", "accuracy_low", "accuracy_high", "change", "whole", "n",
    "params_saved", "macs_saved",
]  # fmt: skip


def spare(rows: Sequence[Row], tolerance: float = TOLERANCE) -> float:
    """How much one layer can lose: the highest sparsity up to which all readings lose at most the tolerance."""
    reached = 0.0
    for row in sorted(rows, key=lambda row: float(row["x"])):
        if row["change"] < -tolerance - 1e-12:
            break
        reached = float(row["x"])
    return reached


def by_layer(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each layer, by rising sparsity."""
    layers: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        layers.setdefault(row["layer"], []).append(row)
    return {name: sorted(own, key=lambda row: float(row["x"])) for name, own in layers.items()}


def layer_cost_table(costs: Iterable[Row]) -> pd.DataFrame:
    """Parameters and MACs of each layer, and their shares of what all these layers hold and do.

    ``costs`` have ``layer``, ``units``, ``params`` and ``macs``.
    """
    table = pd.DataFrame([dict(row) for row in costs], columns=["layer", "units", "params", "macs"])
    for name in ("params", "macs"):
        table[f"{name}_share"] = table[name] / max(1, table[name].sum())
    return table


def allocation_table(allocations: Iterable[Row]) -> pd.DataFrame:
    """One line for each method and layer: how much of the layer goes.

    ``allocations`` have ``method``, ``label`` and ``sparsities`` by layer.
    """
    lines = [
        {"method": row["method"], "label": row["label"], "layer": layer, "sparsity": sparsity}
        for row in allocations
        for layer, sparsity in row["sparsities"].items()
    ]
    return pd.DataFrame(lines, columns=["method", "label", "layer", "sparsity"])


def outcome_table(allocations: Iterable[Row], whole: Row) -> pd.DataFrame:
    """One line for each method, the most accurate first: measured and predicted accuracy.

    ``allocations`` have ``method``, ``label``, ``accuracy`` with its interval, ``predicted``,
    ``sparsity`` and ``n``; ``whole`` is the measurement of the model as it is, on the same images.
    """
    names = ["method", "label", "sparsity", "accuracy", "accuracy_low", "accuracy_high", "predicted", "n"]
    table = pd.DataFrame([{name: row[name] for name in names} for row in allocations], columns=names)
    table["whole"], table["change"] = whole["accuracy"], table["accuracy"] - whole["accuracy"]
    return table.sort_values("accuracy", ascending=False, kind="stable", ignore_index=True)
