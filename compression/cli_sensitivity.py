"""``espalier sensitivity``: every layer cut alone, and a budget spread over the layers in several ways."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from compression.cli_parser import listed
from compression.cli_tables import allocations_table, print_json, progress, readings_table
from compression.pruning.allocation import ALLOCATIONS
from compression.pruning.budget import CURRENCIES, Budget, allocate
from compression.pruning.costs import counter
from compression.pruning.ground import Ground, ground_of
from compression.pruning.sensitivity import Reading, layer_costs, probes
from compression.recipe import STRUCTURED, Prune, Recipe, validated
from compression.registry import UserError, pick, quoted
from compression.subject import Subject, judge, layer_names, load_subject, prune_subject, scan_subject
from compression.training import prepare_process

Row = dict[str, Any]


def sensitivity(arguments: argparse.Namespace) -> None:
    """Scan, and with a budget compare its allocations; ``--out`` keeps one of them as a recipe."""
    prepare_process()
    if arguments.out and not arguments.budget:
        raise UserError("--out keeps an allocation; give a --budget to allocate")
    pick(ALLOCATIONS, arguments.method, "--method")
    asked: Prune = validated(
        Prune,
        {
            "granularity": arguments.granularity, "criterion": arguments.criterion, "sparsity": 0.5,
            "round_to": arguments.round_to, "images": arguments.images,
        },
    )  # fmt: skip
    subject = load_subject(arguments.model, arguments.data)
    budget = budget_of(arguments.budget, subject, asked.granularity) if arguments.budget else None
    readings = _scanned(subject, asked)
    costs = [asdict(cost) for cost in layer_costs(subject.model, asked.granularity, subject.groups)]
    made: list[Row] = []
    if budget:
        ground = ground_of(subject.model, asked.granularity, subject.groups, readings, listed(arguments.keep))
        made = _allocations(subject, ground, budget, asked)
        if arguments.out:
            _keep(subject, made, arguments.method, arguments.out)
    if arguments.json:
        rows = {"layers": costs, "readings": [asdict(reading) for reading in readings], "allocations": made}
        return print_json(rows)
    readings_table(costs, [asdict(reading) for reading in readings])
    if made:
        allocations_table(made)


def budget_of(text: str, subject: Subject, granularity: str) -> Budget:
    """Read ``sparsity=0.5``, the share that goes, or ``macs=0.5``, ``params=0.5``, ``bytes=0.5``, the share left.

    Raises:
        UserError: it is neither.
    """
    kind, _, share = text.partition("=")
    try:
        part = float(share)
    except ValueError:
        part = 0.0
    if kind not in CURRENCIES or not 0 < part < 1:
        raise UserError(
            f"--budget is {quoted(text)}; give one of {', '.join(CURRENCIES)}, an equals sign and a share in (0, 1), "
            "such as macs=0.5"
        )
    whole = counter(subject.model, granularity, subject.groups)({})
    return Budget(kind, part if kind == "sparsity" else part * getattr(whole, kind))  # type: ignore[arg-type]


def _scanned(subject: Subject, asked: Prune) -> list[Reading]:
    """The last reading of each layer and sparsity."""
    each = probes(layer_names(subject, asked.granularity), asked.granularity, asked.criterion)
    readings: dict[tuple[str, float], Reading] = {}
    images = min(asked.images, len(subject.dataset.val))
    with progress() as bar:
        task = bar.add_task(f"scanning {subject.name}", total=len(each) * images)
        for reading in scan_subject(subject, each, images):
            readings[reading.layer, reading.sparsity] = reading
            bar.update(task, completed=sum(one.n for one in readings.values()))
    return list(readings.values())


def _allocations(subject: Subject, ground: Ground, budget: Budget, asked: Prune) -> list[Row]:
    """What each method makes of a budget; those that cannot meet it are named on stderr.

    Raises:
        UserError: none can.
    """
    made: list[Row] = []
    faults: dict[str, str] = {}
    for method in ALLOCATIONS:
        try:
            made.append(_allocated(subject, ground, budget, method, asked))
        except UserError as fault:
            faults[method] = str(fault)
    if not made:
        raise UserError("; ".join(dict.fromkeys(faults.values())))
    for method, line in faults.items():
        print(f"left out: {method}: {line}", file=sys.stderr)
    return made


def _allocated(subject: Subject, ground: Ground, budget: Budget, method: str, asked: Prune) -> Row:
    """One method's allocation, measured on as many validation images as the scan."""
    made, pruned = allocate(ground, budget, partial(prune_subject, subject), method, asked.criterion, asked.round_to)
    measured = judge(subject, pruned.model, "val", asked.images)[1]
    return {
        "method": method,
        "accuracy": measured.accuracy,
        "predicted": made.predicted,
        "sparsity": made.left.sparsity,
        "params": measured.nonzero,
        "macs": measured.macs,
        "bytes": measured.file_bytes if asked.granularity in STRUCTURED else measured.packed_bytes,
        "n": measured.n,
        "stage": {"kind": "prune"} | made.stage.model_dump(mode="json", exclude_defaults=True),
    }


def _keep(subject: Subject, made: list[Row], method: str, path: Path) -> None:
    found = next((row for row in made if row["method"] == method), None)
    if found is None:
        raise UserError(f"the allocation '{method}' does not meet the budget, so there is nothing to keep in {path}")
    recipe = Recipe.from_mapping({"model": subject.name, "data": subject.dataset.name, "stages": [found["stage"]]})
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)
