"""Results as tidy tables: what the charts draw and the tests compare.

A row of a sweep is a flat dict: model, data, granularity ("baseline" for the baseline),
criterion, scope, sparsity (asked), achieved_sparsity, epochs, seed, and ``Measurement.row()``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from compression.carbon import WORLD
from compression.recipe import STRUCTURED
from compression.registry import UserError, pick
from compression.report.compare import records
from compression.report.estimates import estimated
from compression.report.measures import AXES
from compression.report.text import named, unique
from compression.results import Epoch, LayerReport

Row = Mapping[str, Any]
IDENTITY = ("model", "data", "split", "granularity", "criterion", "scope", "epochs")
"""What makes two rows points of one series; they differ in sparsity, and in seed, alone."""


def tradeoff_table(rows: Iterable[Row], x: str = "packed_bytes", g_per_kwh: float = WORLD) -> pd.DataFrame:
    """Accuracy against one cost, a row a configuration, its seeds taken together.

    Seeds that differ give the mean and mean ± one standard deviation (``spread`` "sd"). One
    seed, or seeds that agree to the last image, keep the measured interval ("interval": Wilson
    for accuracy, bootstrap for a speed-up). ``change`` and ``ratio`` compare with the baseline
    of the same model, data and split; a ratio above 1 is an improvement. A cost that was not
    measured stays in the table as NaN. The baseline's speed-up is 1 by definition. ``g_per_kwh`` is of the
    grid by which CO₂ is estimated.

    Raises:
        UserError: ``x`` is not one of AXES.
    """
    axis = pick(AXES, x, "axis")
    groups = grouped(estimated(rows, x, g_per_kwh=g_per_kwh), IDENTITY + ("sparsity",))
    body = [_point(members, x, axis.low, axis.high) for members in groups]
    base = {tuple(row[k] for k in IDENTITY[:3]): row for row in body if row["baseline"]}
    labels = _series_labels(body)
    for row, label in zip(body, labels, strict=True):
        start = base.get(tuple(row[k] for k in IDENTITY[:3]))
        row["series"] = label
        row["change"] = row["accuracy"] - start["accuracy"] if start else math.nan
        row["ratio"] = improvement(row["x"], start["x"] if start else math.nan, axis.more_is_better)
    return pd.DataFrame(body, columns=TRADEOFF)


TRADEOFF = [
    *IDENTITY,
    *("sparsity", "achieved_sparsity", "baseline", "series", "axis", "n", "seeds", "batch", "g_per_kwh"),
    *("accuracy", "accuracy_low", "accuracy_high", "spread", "change", "x", "x_low", "x_high", "ratio"),
]


def curve_table(rows: Iterable[Row]) -> pd.DataFrame:
    """Accuracy against the sparsity asked for, each series starting at its baseline, sorted.

    The columns are those of :func:`tradeoff_table`, with ``x`` the sparsity.
    """
    body = [row | {"axis": "sparsity"} for row in records(tradeoff_table(rows))]
    for row in body:
        row["x"] = row["x_low"] = row["x_high"] = row["sparsity"]
    starts = [row for row in body if row["baseline"]]
    series: dict[str, list[dict[str, Any]]] = {}
    for row in body:
        if not row["baseline"]:
            series.setdefault(row["series"], []).append(row)
    lines = list(starts)
    for own in series.values():
        same = {name: own[0][name] for name in ("granularity", "criterion", "scope", "epochs", "series")}
        place = [own[0][name] for name in IDENTITY[:3]]
        first = [row | same | {"baseline": False} for row in starts if [row[k] for k in IDENTITY[:3]] == place]
        lines += sorted(first + own, key=lambda row: row["x"])
    return pd.DataFrame(lines, columns=TRADEOFF)


def speed_table(rows: Iterable[Row]) -> pd.DataFrame:
    """How many times smaller and faster than the baseline, at the sparsities both kinds share.

    One row for each granularity and sparsity, means over criteria, scopes and seeds, the
    widest of their speed-up intervals. Kept are the sparsities where masked (single weights,
    N:M, kernels) and removed units (rows, channels) were both timed. Columns: kind,
    granularity, label, sparsity, size_ratio, speedup, low, high, accuracy, batch.
    """
    rows = list(rows)
    base = [row["packed_bytes"] for row in rows if row["granularity"] == "baseline"]
    timed = [r for r in rows if r["granularity"] != "baseline" and _number(r.get("speedup")) and base]
    body = []
    for members in grouped(timed, ("granularity", "sparsity")):
        first = members[0]
        body.append(
            {
                "kind": "removed" if first["granularity"] in STRUCTURED else "zeroed",
                "granularity": first["granularity"],
                "label": named(first["granularity"]),
                "sparsity": first["sparsity"],
                "size_ratio": base[0] / fmean(row["packed_bytes"] for row in members),
                "speedup": fmean(row["speedup"] for row in members),
                "low": min(row.get("speedup_low", row["speedup"]) for row in members),
                "high": max(row.get("speedup_high", row["speedup"]) for row in members),
                "accuracy": fmean(row["accuracy"] for row in members),
                "batch": plain(first.get("batch")),
            }
        )
    columns = "kind granularity label sparsity size_ratio speedup low high accuracy batch".split()
    table = pd.DataFrame(body, columns=columns)
    both = table.groupby("sparsity")["kind"].nunique()
    return table[table["sparsity"].isin(both[both == 2].index)].sort_values(
        ["granularity", "sparsity"], ignore_index=True
    )


def layer_table(reports: Sequence[LayerReport]) -> pd.DataFrame:
    """One row a layer, in the order of the network: asked (NaN if none), achieved, kept, width, note."""
    fields = ("layer", "asked", "achieved", "kept", "width", "threshold", "note")
    table = pd.DataFrame([[getattr(r, f) for f in fields] for r in reports], columns=fields)
    return table.astype({"asked": float, "achieved": float, "threshold": float})


def class_table(before: Mapping[str, float], after: Mapping[str, float]) -> pd.DataFrame:
    """Accuracy of every class before and after, the greatest loss first, ties by name."""
    missing = sorted(set(before) ^ set(after))
    if missing:
        raise UserError(f"Class '{missing[0]}' is in only one of the two measurements; give both the same data")
    body = [(name, before[name], after[name], round(after[name] - before[name], 9)) for name in before]
    table = pd.DataFrame(body, columns=["name", "before", "after", "change"])
    return table.sort_values(["change", "name"], ignore_index=True)


def history_table(epochs: Sequence[Epoch]) -> pd.DataFrame:
    """One row an epoch, numbered through all stages from 1, with the stage it belongs to.

    Where the training loss has several terms it is that of the labels, as the validation loss is.
    """
    fields = ("stage", "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds")
    table = pd.DataFrame([[getattr(e, f) for f in fields] for e in epochs], columns=fields)
    table["train_loss"] = [e.parts.get("hard", e.train_loss) for e in epochs]
    table.insert(0, "step", range(1, len(table) + 1))
    return table


def change_table(before: Row, after: Row, keys: Sequence[str] = ("packed_bytes", "params", "macs")) -> pd.DataFrame:
    """Costs before and after for two flat rows: key, label, before, after, left (after / before)."""
    body = [(key, pick(AXES, key, "axis").label, before[key], after[key]) for key in keys]
    table = pd.DataFrame(body, columns=["key", "label", "before", "after"])
    return table.assign(left=table["after"] / table["before"])


def grouped(rows: Iterable[Row], keys: Sequence[str]) -> list[list[Row]]:
    """The rows that are equal in these keys, in the order in which each group first appears."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(plain(row.get(key)) for key in keys), []).append(row)
    return list(groups.values())


def _point(members: list[Row], x: str, x_low: str, x_high: str) -> dict[str, Any]:
    first = members[0]
    row = {key: plain(first.get(key)) for key in (*IDENTITY, "sparsity", "batch", "g_per_kwh")}
    row["baseline"] = first["granularity"] == "baseline"
    row |= {"axis": x, "n": first["n"], "seeds": len(members)}
    row["achieved_sparsity"] = fmean(_number(r.get("achieved_sparsity")) or 0.0 for r in members)
    middle, low, high, kind = spread(members, "accuracy", "accuracy_low", "accuracy_high")
    row |= {"accuracy": middle, "accuracy_low": low, "accuracy_high": high, "spread": kind}
    row["x"], row["x_low"], row["x_high"], _ = spread(members, x, x_low, x_high)
    if row["baseline"] and AXES[x].more_is_better:
        row["x"] = row["x_low"] = row["x_high"] = 1.0
    return row


def spread(members: Sequence[Row], name: str, low: str, high: str) -> tuple[float, float, float, str]:
    """Mean of one metric over seeds, its ends, and what they are.

    Seeds that differ give mean ± one standard deviation, "sd"; else the first one's ends, "interval".
    """
    values = [value for row in members if (value := _number(row.get(name))) is not None]
    if not values:
        return math.nan, math.nan, math.nan, ""
    middle = fmean(values) if len(values) > 1 else values[0]
    if max(values) > min(values):
        sd = stdev(values)
        return middle, middle - sd, middle + sd, "sd"
    ends = [_number(members[0].get(low)), _number(members[0].get(high))]
    return middle, middle if ends[0] is None else ends[0], middle if ends[1] is None else ends[1], "interval"


def _series_labels(body: list[dict[str, Any]]) -> list[str]:
    """The granularity's name, and of the rest only what varies among the rows."""
    pruned = [row for row in body if not row["baseline"]]
    varying = [k for k in ("criterion", "scope") if len(unique(r[k] for r in pruned)) > 1]
    several = [k for k in ("model", "data", "split") if len(unique(r[k] for r in body)) > 1]
    trained = len({row["epochs"] for row in pruned}) > 1
    labels = []
    for row in body:
        parts = ["baseline"] if row["baseline"] else [named(row["granularity"]), *(row[k] for k in varying)]
        parts += [str(row[k]) for k in several]
        if trained and not row["baseline"]:
            parts.append(f"{row['epochs']} epochs" if row["epochs"] else "no training")
        labels.append(", ".join(part for part in parts if part))
    return labels


def improvement(value: float, start: float, more_is_better: bool) -> float:
    """How many times better than the start; what is a ratio already stays as it is."""
    if more_is_better:
        return value
    return start / value if value else math.nan


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def plain(value: Any) -> Any:
    """The value, or "" for one that is missing."""
    return "" if value is None or value != value else value
