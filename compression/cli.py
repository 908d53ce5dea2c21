"""The ``espalier`` command: what the pages do, without a browser."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from compression.carbon import read_grid
from compression.cli_data import data
from compression.cli_export import export
from compression.cli_import import imported, models
from compression.cli_parser import command_parser, listed
from compression.cli_sensitivity import sensitivity
from compression.cli_serve import serve
from compression.cli_tables import (
    measurement_table,
    print_json,
    progress,
    result_tables,
    sweep_table,
    teaching_table,
)
from compression.machine import cores
from compression.pipeline import Event, measure, run
from compression.recipe import Recipe, validated
from compression.registry import UserError, quoted
from compression.studies.jobs import Plan
from compression.studies.plan import Sweep
from compression.studies.sweep import sweep
from compression.studies.teaching import Teaching
from compression.training import prepare_process

Row = dict[str, Any]
Study = TypeVar("Study", Sweep, Teaching)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 2 on bad input, with one line on stderr."""
    parsed = command_parser(COMMANDS).parse_args(arguments)
    try:
        status: int | None = parsed.command(parsed)
        sys.stdout.flush()
        return status or 0
    except UserError as fault:
        print(f"espalier: {fault}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # a reader such as head has seen enough; nothing is left to say, at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as fault:  # a full disk, a folder that may not be read: the system's line says which
        print(f"espalier: {' '.join(str(fault).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("espalier: interrupted", file=sys.stderr)
        return 130


def _measure(arguments: argparse.Namespace) -> None:
    grid = read_grid(arguments.grid)
    prepare_process()
    with progress() as bar:
        bar.add_task(f"measuring {arguments.model}", total=None)
        measured = measure(arguments.model, arguments.data, arguments.split, latency=not arguments.no_latency)
    if arguments.json:
        return print_json(measured.model_dump(mode="json"))
    measurement_table(arguments.model, measured, grid)


def _run(arguments: argparse.Namespace) -> None:
    prepare_process()
    recipe = _read_recipe(arguments.recipe)
    if arguments.out:
        _check_writable(arguments.out)  # before minutes of work, not after them
    with progress() as bar:
        task = bar.add_task("starting", total=1.0)

        def show(event: Event) -> None:
            bar.update(task, completed=event.fraction, description=event.message)

        result = run(recipe, show, split=arguments.split, timed=arguments.latency)
    if arguments.out:
        result.save(arguments.out)
        print(f"wrote {arguments.out}/model.safetensors, recipe.yaml and result.json", file=sys.stderr)
    if arguments.json:
        print_json(result.model_dump(mode="json") | {"final": result.final.model_dump(mode="json")})
    else:
        result_tables(result)
    if result.stopped:
        raise UserError(result.stopped)


def _read_recipe(path: Path) -> Recipe:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise UserError(f"No recipe file can be read at {quoted(str(path))}") from None
    return Recipe.from_json(text) if path.suffix == ".json" else Recipe.from_yaml(text)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError):
        raise UserError(f"The result cannot be written to {quoted(str(folder))}; give --out a folder") from None


def _sweep(arguments: argparse.Namespace) -> None:
    plan = _planned(
        Sweep,
        {
            "model": arguments.model,
            "data": arguments.data,
            "granularities": listed(arguments.granularity),
            "criteria": listed(arguments.criterion),
            "scope": arguments.scope,
            "sparsities": sparsities(arguments.sparsity),
            "epochs": arguments.epochs,
            "seeds": arguments.seeds,
            "round_to": arguments.round_to,
            "images": arguments.images,
            "split": arguments.split,
            "latency": arguments.latency,
        },
    )
    rows = _study(plan, f"sweeping {plan.model}")
    if arguments.json:
        return _json_rows(rows)
    sweep_table(rows, plan.split)


def _distill(arguments: argparse.Namespace) -> None:
    stage = {
        "kind": "distill",
        **{
            name: getattr(arguments, name)
            for name in ("student", "width", "depth", "epochs", "lr", "augment", "copies")
        },
        "hidden": listed(arguments.hidden),
        "without": listed(arguments.without),
    }
    plan = _planned(
        Teaching,
        {
            "model": arguments.teacher,
            "data": arguments.data,
            "stage": stage,
            "methods": listed(arguments.method),
            "temperatures": listed(arguments.temperature),
            "alphas": listed(arguments.alpha),
            "seeds": arguments.seeds,
            "split": arguments.split or "test",
        },
    )
    if arguments.split is None:  # several ways are there to choose from, and that is what validation is for
        plan = plan.model_copy(update={"split": "test" if plan.ways() == 1 else "val"})
    rows = _study(plan, f"teaching a student of {plan.model}")
    if not any(row["alpha"] for row in rows):
        raise UserError("the student could be taught in none of these ways")
    if arguments.json:
        return _json_rows(rows)
    teaching_table(rows, plan.split)


OPTIONS = {
    "granularities": "granularity",
    "criteria": "criterion",
    "sparsities": "sparsity",
    "round_to": "round-to",
    "methods": "method",
    "temperatures": "temperature",
    "alphas": "alpha",
}
"""The options of plans' fields that are called otherwise."""


def _planned(kind: type[Study], body: dict[str, Any]) -> Study:
    """A plan; a fault names the option that was given, where ``validated`` names the field."""
    try:
        return validated(kind, body)
    except UserError as fault:
        told = re.sub(r"(?:^|(?<=; ))(?:stage\.)?(\w+)(?:\.\d+)*(?= is )", _option, str(fault))
        raise UserError(told) from None


def _option(field: re.Match[str]) -> str:
    return f"--{OPTIONS.get(field[1], field[1])}"


def _study(plan: Plan, what: str) -> list[Row]:
    """Run a plan with a progress bar; what could not be made is said on stderr."""
    found, failed = dict[int, Row](), dict[int, str]()
    with progress() as bar:
        task = bar.add_task(what, total=len(plan.points()) * (2 if plan.latency else 1))
        for done in sweep(plan, workers=cores()):
            bar.advance(task)
            if done.error:
                failed[done.point.index] = f"{done.point.label}: {done.error}"
            if done.row:
                found[done.point.index] = done.row
    for line in plan.left_out():
        print(f"left out: {line}", file=sys.stderr)
    for index, line in sorted(failed.items()):
        print(f"{'stopped early' if index in found else 'left out'}: {line}", file=sys.stderr)
    return [found[index] for index in sorted(found)]


def sparsities(text: str) -> tuple[float, ...]:
    """Read ``0:0.95:0.05`` (both ends included) or ``0.5,0.9`` into numbers.

    Raises:
        UserError: it is neither.
    """
    try:
        if ":" not in text:
            return tuple(float(part) for part in text.split(","))
        start, stop, step = (float(part) for part in text.split(":"))
        count = math.floor((stop - start) / step + 1e-9) + 1
        if not (step > 0 and 1 <= count <= 10_000):
            raise ValueError
        return tuple(round(start + i * step, 10) for i in range(count))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UserError(
            f"--sparsity is {quoted(text)}; give FROM:TO:STEP such as 0:0.9:0.1, or a list such as 0.5,0.9"
        ) from None


def _studies(arguments: argparse.Namespace) -> None:
    from compression.cli_study import study  # here, since it loads Optuna, which no other command needs

    study(arguments)


def _tuned(arguments: argparse.Namespace) -> None:
    from compression.cli_tune import tune  # here, for the same reason

    tune(arguments)


def _json_rows(rows: list[Row]) -> None:
    """Rows of a study, without their number in its plan."""
    print_json([{key: value for key, value in row.items() if key != "point"} for row in rows])


def _reported(arguments: argparse.Namespace) -> None:
    from compression.cli_report import report  # here, for the same reason

    report(arguments)


COMMANDS = {
    "models": models,
    "data": data,
    "import": imported,
    "measure": _measure,
    "run": _run,
    "sensitivity": sensitivity,
    "sweep": _sweep,
    "distill": _distill,
    "tune": _tuned,
    "study": _studies,
    "report": _reported,
    "export": export,
    "serve": serve,
}


if __name__ == "__main__":
    sys.exit(main())
