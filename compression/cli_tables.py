"""What the ``espalier`` command prints: plain tables on stdout, progress on a terminal's stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from compression.carbon import grams_per_million
from compression.registry import UserError, quoted
from compression.report.teaching import ways
from compression.report.text import amount, count, percent, size
from compression.results import Measurement, Result

Row = Mapping[str, Any]
PIPE_WIDTH = 200
"""A pipe has no width of its own; wide enough that no column of ours is folded there."""


def print_json(body: Any) -> None:
    """Print for programs."""
    print(json.dumps(body, indent=2, ensure_ascii=False))


def table(names: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table without lines."""
    drawn = Table(*names, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        drawn.add_row(*row)
    # No markup: a class or a folder may be called [red].
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(width=width, markup=False, highlight=False, emoji=False).print(drawn)


def models_table(cards: Iterable[Row]) -> None:
    """Print the models that have names, and what a reader of their accuracies must know."""
    cards = list(cards)
    table(
        ("model", "data", "test accuracy", "95 % interval", "parameters", "what it is"),
        [
            (
                card["name"],
                (card["data"] or "") + (" *" if card.get("data_note") else ""),
                percent(card["accuracy"], 2) if "accuracy" in card else "not measured",
                interval(card["accuracy_low"], card["accuracy_high"]) if "accuracy" in card else "",
                f"{card['params']:,}" if "params" in card else "",
                card["sentence"],
            )
            for card in cards
        ],
    )
    for note in sorted({card["data_note"] for card in cards if card.get("data_note")}):
        print(f"* {note}")


def sets_table(sets: Iterable[Row], root: Path) -> None:
    """Print the catalogue of data sets: which are here, and how to get the others."""
    rows = [
        (known["name"], "here" if known["here"] else f"fetch with --get ({known['megabytes']} MB)", known["sentence"])
        for known in sets
    ]
    table(("data set", f"in {root}", "what it is"), rows)


def set_table(about: Row) -> None:
    """Print one data set: shape, classes, sizes and statistics."""
    written = {
        **about,
        "shape": "×".join(map(str, about["shape"])),
        "classes": ", ".join(about["classes"]),
        **{name: ", ".join(f"{value:.4f}" for value in about[name]) for name in ("mean", "std")},
    }
    table(("data set", about["name"]), [(key, str(value)) for key, value in written.items() if key != "name" and value])


def card_tables(card: Row) -> None:
    """Print a model's card: what it is, what can be pruned of it or why not, and its layers."""
    facts = [
        ("input", "×".join(map(str, card["input_shape"]))),
        ("classes", f"{card['classes']:,}"),
        *((key, ", ".join(f"{value:g}" for value in values)) for key, values in (card["normalisation"] or {}).items()),
        ("parameters", f"{card['params']:,}"),
        ("MACs per image", count(card["macs"])),
        *(("note", note) for note in card["notes"]),
    ]
    table(("model", card["name"]), facts)
    print()
    table(
        ("granularity", "layers", "units", "why not"),
        [(row["granularity"], f"{row['layers']:,}", f"{row['units']:,}", row["why"]) for row in card["prune"]],
    )
    print()
    table(
        ("layer", "kind", "weights", "parameters", "MACs", "can be cut out", "why not"),
        [
            (
                row["layer"],
                row["kind"],
                "×".join(map(str, row["shape"])),
                f"{row['params']:,}",
                count(row["macs"]),
                f"{row['units']:,} {row['cut']}" if row["cut"] else "",
                row["why"],
            )
            for row in card["layers"]
        ],
    )


def measurement_table(name: str, measured: Measurement, g_per_kwh: float) -> None:
    """Print one measurement, its CO₂ by what the grid emits."""
    worst = min(measured.class_accuracy.items(), key=lambda item: item[1])
    accuracy = f"{percent(measured.accuracy, 2)} {interval(measured.accuracy_low, measured.accuracy_high)}"
    facts = [
        ("accuracy", accuracy),
        ("worst class", f"{worst[0]}: {percent(worst[1])}"),
        ("parameters", f"{measured.params:,}, of which {measured.nonzero:,} not zero"),
        ("file", size(measured.file_bytes)),
        ("file, zeros packed", size(measured.packed_bytes)),
        ("MACs per image", count(measured.macs)),
        ("memory per image", f"{size(measured.memory_bytes)} (estimated)"),
    ]
    if measured.energy:
        energy, source = measured.energy.energy_mj, measured.energy.source
        facts.append(("energy per image", f"{energy:.3g} mJ ({source})"))
        grams = amount(grams_per_million(energy, g_per_kwh), "g")
        facts.append(("CO₂ per million images", f"{grams} (estimated: {source} energy at {g_per_kwh:g} g/kWh)"))
    for timing in measured.latency:
        range_ms = f"(min {timing.min_ms:.3g}, p90 {timing.p90_ms:.3g}; one thread)"
        label = f"latency, {timing.runtime}, batch {timing.batch}"
        facts.append((label, f"{timing.median_ms:.3g} ms on this machine {range_ms}"))
    table((name, f"{measured.split}, n = {measured.n}"), facts)


def result_tables(result: Result) -> None:
    """Print what every stage of a recipe left, and what each pruning did to every layer."""
    measured = [("baseline", result.baseline)]
    for number, done in enumerate(result.stages, start=1):
        achieved = f" {done.achieved_sparsity:.1%}" if done.achieved_sparsity is not None else ""
        measured.append((f"{number}. {done.stage.kind}{achieved}", done.measurement))
    names = ("stage", f"{result.final.split} accuracy", "95 % interval", "non-zero", "packed size", "MACs", "speed-up")
    rows = [_stage_row(label, measurement) for label, measurement in measured]
    keep = len(names) if any(row[-1] for row in rows) else len(names) - 1
    table(names[:keep], [row[:keep] for row in rows])
    for done in result.stages:
        for note in done.notes:
            print(f"\n{done.stage.kind}: {note}")
        if done.layers:
            print()
            table(
                ("layer", "asked", "achieved", "kept", ""),
                [
                    (
                        layer.layer,
                        "" if layer.asked is None else f"{layer.asked:.1%}",
                        f"{layer.achieved:.1%}",
                        f"{layer.kept:,} of {layer.width:,}",
                        layer.note,
                    )
                    for layer in done.layers
                ],
            )


def _stage_row(label: str, measured: Measurement) -> tuple[str, ...]:
    row = measured.row()
    faster = f"{row['speedup']:.2f}× [{row['speedup_low']:.2f}, {row['speedup_high']:.2f}]" if "speedup" in row else ""
    return (
        label,
        percent(measured.accuracy, 2),
        interval(measured.accuracy_low, measured.accuracy_high),
        f"{measured.nonzero:,}",
        size(measured.packed_bytes),
        count(measured.macs),
        faster,
    )


def sweep_table(rows: Iterable[Row], split: str) -> None:
    """Print the points of a sweep; the speed-up too where it was measured."""
    rows = list(rows)
    timed = ("speed-up",) if any("speedup" in row for row in rows) else ()
    names = ("granularity", "criterion", "sparsity", "achieved", "seed", f"{split} accuracy", "95 % interval")
    table(
        (*names, "packed size", "MACs", *timed),
        [
            (
                row["granularity"],
                row["criterion"],
                f"{row['sparsity']:.1%}",
                f"{row['achieved_sparsity']:.1%}",
                str(row["seed"]),
                percent(row["accuracy"], 2),
                interval(row["accuracy_low"], row["accuracy_high"]),
                size(row["packed_bytes"]),
                count(row["macs"]),
                *([f"{row['speedup']:.2f}×" if "speedup" in row else ""] if timed else []),
            )
            for row in rows
        ],
    )


def readings_table(costs: Iterable[Row], readings: Iterable[Row]) -> None:
    """Print a scan: what each layer holds and does, and the accuracy with it alone cut."""
    readings = list(readings)
    at = {(row["layer"], row["sparsity"]): row["accuracy"] for row in readings}
    sparsities = sorted({sparsity for _, sparsity in at})
    whole, n = readings[0]["whole_accuracy"], readings[0]["n"]
    print(f"Validation accuracy with one layer alone cut; the whole model has {percent(whole, 2)}, n = {n:,}.\n")
    table(
        ("layer", "units", "parameters", "MACs", *(f"{sparsity:.0%}" for sparsity in sparsities)),
        [
            (
                cost["layer"],
                f"{cost['units']:,}",
                f"{cost['params']:,}",
                count(cost["macs"]),
                *(percent(at[cost["layer"], s], 1) if (cost["layer"], s) in at else "" for s in sparsities),
            )
            for cost in costs
        ],
    )


def allocations_table(made: Iterable[Row]) -> None:
    """Print what each way of spreading a budget leaves, before any training."""
    print()
    table(
        ("allocation", "validation accuracy", "estimated", "sparsity", "parameters", "MACs", "file"),
        [
            (
                row["method"],
                percent(row["accuracy"], 2),
                percent(row["predicted"], 2),
                f"{row['sparsity']:.1%}",
                f"{row['params']:,}",
                count(row["macs"]),
                size(row["bytes"]),
            )
            for row in made
        ],
    )


def teaching_table(rows: list[dict[str, Any]], split: str) -> None:
    """Print the ways of teaching, each over its seeds, the student alone above those it is taught in."""
    names = ("student", "method", "T", "alpha", "seeds")
    table(
        (*names, f"{split} errors", "accuracy", "ECE", "agreement", "parameters", "MACs"),
        [
            (
                way["student"],
                way["method"],
                "" if way["temperature"] is None else f"{way['temperature']:g}",
                f"{way['alpha']:g}" if way["alpha"] else "",
                str(way["seeds"]),
                _spread(f"{way['errors']:.1f}".removesuffix(".0"), way["errors_sd"], 1),
                _spread(percent(way["accuracy"], 2), way["accuracy_sd"], 2, 100),
                f"{way['ece']:.3f}",
                percent(way["agreement"], 1),
                f"{way['params']:,}",
                count(way["macs"]),
            )
            for way in ways(rows)
        ],
    )


def _spread(mean: str, sd: float | None, digits: int, scale: float = 1) -> str:
    return mean if sd is None else f"{mean} ± {scale * sd:.{digits}f}"


def interval(low: float, high: float) -> str:
    """The ends of an interval in percent, as a mathematician writes it."""
    return f"[{100 * low:.2f}, {100 * high:.2f}]"


def progress() -> Progress:
    """A bar on stderr while a terminal is there to see it; nothing otherwise."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)


def removed(kind: str, name: str | None, sure: bool, remove: Callable[[str], object]) -> None:
    """Delete a model or a data set of one's own, where its name is given and ``--yes`` too, and say so."""
    if not name:
        raise UserError(f"rm needs the name of a {kind} of your own")
    if not sure:
        raise UserError(f"rm deletes the {kind} {quoted(name)}; say --yes to do so")
    remove(name)
    print(f"removed {quoted(name)}", file=sys.stderr)
