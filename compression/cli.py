"""The ``espalier`` command: what the pages do, without a browser."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from compression.data.sets import DATASETS, data_root, fetch, load_data
from compression.measure import latencies
from compression.models.zoo import SAMPLES, model_card
from compression.pipeline import Event, RunResult, judge, load_subject, run
from compression.recipe import Recipe, validated
from compression.registry import UserError
from compression.report.text import count, percent, size
from compression.results import Measurement
from compression.studies.plan import Sweep, left_out, points
from compression.studies.sweep import sweep

Row = dict[str, Any]


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print the one line and leave."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 2 on bad input, with one line on stderr."""
    parsed = _parser().parse_args(arguments)
    try:
        status: int | None = parsed.command(parsed)
        return status or 0
    except UserError as fault:
        print(f"espalier: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("espalier: interrupted", file=sys.stderr)
        return 130


def _parser() -> Parser:
    parser = Parser(prog="espalier", description="Prune and distil neural networks, and see what it costs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def add(name: str, command: Callable[[argparse.Namespace], int | None], about: str) -> Parser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(command=command)
        if name != "serve":
            added.add_argument("--json", action="store_true", help="print JSON for programs")
        return added

    add("models", _models, "sample models: name, data, accuracy, parameters")
    data = add("data", _data, "data sets: what is here, what can be fetched")
    data.add_argument("name", nargs="?", help=f"one of: {', '.join(DATASETS)}; or a folder of images")
    data.add_argument("--get", action="store_true", help="fetch it")
    measure = add("measure", _measure, "accuracy, size, MACs and latency of a model")
    measure.add_argument("model", help="a sample model, or a .safetensors file")
    measure.add_argument("--data", help="data set or folder of images; by default the model's own")
    measure.add_argument("--split", default="test", help="train, val or test (default: test)")
    measure.add_argument("--no-latency", action="store_true", help="leave the timing out")
    recipe = add("run", _run, "run one recipe; prints before and after each stage")
    recipe.add_argument("recipe", type=Path, help="a YAML or JSON file")
    recipe.add_argument("--out", type=Path, help="folder for the result and the model")
    recipe.add_argument("--split", default="test", help="train, val or test (default: test)")
    recipe.add_argument("--latency", action="store_true", help="measure latency too")
    grid = add("sweep", _sweep, "measure a grid of prunings of one model")
    grid.add_argument("--model", required=True)
    grid.add_argument("--data")
    grid.add_argument("--granularity", default="weights,channels", help="comma-separated")
    grid.add_argument("--criterion", default="magnitude", help="comma-separated")
    grid.add_argument("--scope", default="global", help="layer or global (default: global)")
    grid.add_argument("--sparsity", default="0:0.9:0.1", help="FROM:TO:STEP, or a comma-separated list")
    grid.add_argument("--epochs", default=0, help="of fine-tuning after pruning (default: 0)")
    grid.add_argument("--seeds", default=1, help="number of seeds (default: 1)")
    grid.add_argument("--split", default="val", help="val or test (default: val)")
    grid.add_argument("--round-to", default=8, help="keep widths at multiples of this (default: 8)")
    grid.add_argument("--latency", action="store_true", help="measure latency too, afterwards")
    serve = add("serve", _serve, "the dashboard, in the browser")
    serve.add_argument("--port", type=int, default=8501)
    return parser


def _models(arguments: argparse.Namespace) -> None:
    cards = [model_card(name) for name in SAMPLES]
    if arguments.json:
        return _json(cards)
    _table(
        ("model", "data", "test accuracy", "95 % interval", "parameters", "what it is"),
        [
            (
                card["name"],
                card["data"] + (" *" if card.get("data_note") else ""),
                percent(card["accuracy"], 2) if "accuracy" in card else "random weights",
                _interval(card["accuracy_low"], card["accuracy_high"]) if "accuracy" in card else "",
                f"{card['params']:,}" if "params" in card else "",
                card["sentence"],
            )
            for card in cards
        ],
    )
    for note in sorted({card["data_note"] for card in cards if card.get("data_note")}):
        print(f"* {note}")


def _data(arguments: argparse.Namespace) -> None:
    if arguments.name and arguments.get:
        fetch(arguments.name, lambda line: print(line, file=sys.stderr))
    if arguments.name:
        dataset = load_data(arguments.name)
        about = {
            "name": dataset.name,
            "shape": list(dataset.shape),
            "classes": list(dataset.classes),
            **{name: len(split) for name, split in dataset.splits()},
            "mean": list(dataset.mean),
            "std": list(dataset.std),
            "note": dataset.note,
        }
        if arguments.json:
            return _json(about)
        return _table(("", dataset.name), [(key, str(value)) for key, value in about.items() if value])
    listed = [
        {"name": s.name, "here": s.here(), "megabytes": s.megabytes, "sentence": s.sentence} for s in DATASETS.values()
    ]
    if arguments.json:
        return _json(listed)
    rows = [(d["name"], "here" if d["here"] else f"fetch with --get ({d['megabytes']} MB)", d["sentence"])
            for d in listed]  # fmt: skip
    _table(("data set", f"in {data_root()}", "what it is"), rows)


def _measure(arguments: argparse.Namespace) -> None:
    subject = load_subject(arguments.model, arguments.data)
    _, measured = judge(subject, subject.model, arguments.split)
    if not arguments.no_latency:
        with Console(stderr=True).status("timing"):
            timings = latencies({"it": subject.model}, subject.model, subject.blueprint.input_shape)
        measured = measured.model_copy(update={"latency": timings["it"]})
    if arguments.json:
        return _json(measured.model_dump(mode="json"))
    _table((arguments.model, f"{measured.split}, n = {measured.n}"), _facts(measured))


def _facts(measured: Measurement) -> list[tuple[str, str]]:
    worst = min(measured.class_accuracy.items(), key=lambda item: item[1])
    facts = [
        ("accuracy", f"{percent(measured.accuracy, 2)} {_interval(measured.accuracy_low, measured.accuracy_high)}"),
        ("worst class", f"{worst[0]}: {percent(worst[1])}"),
        ("parameters", f"{measured.params:,}, of which {measured.nonzero:,} not zero"),
        ("file", size(measured.file_bytes)),
        ("file, zeros packed", size(measured.packed_bytes)),
        ("MACs per image", count(measured.macs)),
        ("memory per image", f"{size(measured.memory_bytes)} (estimated)"),
    ]
    if measured.energy:
        facts.append(("energy per image", f"{measured.energy.energy_mj:.3g} mJ ({measured.energy.source})"))
    for timing in measured.latency:
        facts.append(
            (
                f"latency, {timing.runtime}, batch {timing.batch}",
                f"{timing.median_ms:.3g} ms on this machine "
                f"(min {timing.min_ms:.3g}, p90 {timing.p90_ms:.3g}; one thread)",
            )
        )
    return facts


def _run(arguments: argparse.Namespace) -> None:
    try:
        text = arguments.recipe.read_text()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"No recipe file can be read at '{arguments.recipe}'") from None
    recipe = Recipe.from_json(text) if arguments.recipe.suffix == ".json" else Recipe.from_yaml(text)
    with _progress() as progress:
        task = progress.add_task("starting", total=1.0)

        def show(event: Event) -> None:
            progress.update(task, completed=event.fraction, description=event.message)

        result = run(recipe, show, split=arguments.split, timed=arguments.latency)
    if arguments.out:
        result.save(arguments.out)
        print(f"wrote {arguments.out}/model.safetensors, recipe.yaml and result.json", file=sys.stderr)
    if arguments.json:
        return _json(_as_json(result))
    _run_table(result)


def _as_json(result: RunResult) -> dict[str, Any]:
    body = result.model_dump(mode="json")
    return body | {"final": result.final.model_dump(mode="json")}


def _run_table(result: RunResult) -> None:
    measured = [("baseline", result.baseline)]
    for number, done in enumerate(result.stages, start=1):
        asked = f" {done.achieved_sparsity:.1%}" if done.achieved_sparsity is not None else ""
        measured.append((f"{number}. {done.stage.kind}{asked}", done.measurement))
    rows = []
    for label, m in measured:
        timing = next((t for t in m.latency if t.runtime == "onnxruntime"), None)
        speed = f"{timing.speedup:.2f}× [{timing.speedup_low:.2f}, {timing.speedup_high:.2f}]" if timing else ""
        rows.append(
            (label, percent(m.accuracy, 2), _interval(m.accuracy_low, m.accuracy_high), f"{m.nonzero:,}",
             size(m.packed_bytes), count(m.macs), speed)
        )  # fmt: skip
    names = ("stage", f"{result.final.split} accuracy", "95 % interval", "non-zero", "packed size", "MACs", "speed-up")
    keep = len(names) if any(row[-1] for row in rows) else len(names) - 1
    _table(names[:keep], [row[:keep] for row in rows])
    for done in result.stages:
        if done.layers:
            _table(
                ("layer", "asked", "achieved", "kept"),
                [
                    (r.layer, "" if r.asked is None else f"{r.asked:.1%}", f"{r.achieved:.1%}",
                     f"{r.kept:,} of {r.width:,}" + (f"  {r.note}" if r.note else ""))
                    for r in done.layers
                ],
            )  # fmt: skip


def _sweep(arguments: argparse.Namespace) -> None:
    plan: Sweep = validated(
        Sweep,
        {
            "model": arguments.model,
            "data": arguments.data,
            "granularities": _listed(arguments.granularity),
            "criteria": _listed(arguments.criterion),
            "scope": arguments.scope,
            "sparsities": sparsities(arguments.sparsity),
            "epochs": arguments.epochs,
            "seeds": arguments.seeds,
            "round_to": arguments.round_to,
            "split": arguments.split,
            "latency": arguments.latency,
        },
    )
    for line in left_out(plan):
        print(f"left out: {line}", file=sys.stderr)
    rows: dict[int, Row] = {}
    total = len(points(plan)) * (2 if plan.latency else 1)
    with _progress() as progress:
        task = progress.add_task(f"sweeping {plan.model}", total=total)
        for done in sweep(plan, workers=os.cpu_count() or 1):
            progress.advance(task)
            if done.error:
                print(f"left out: {done.point.granularity} at {done.point.sparsity:g}: {done.error}",
                      file=sys.stderr)  # fmt: skip
            elif done.row:
                rows[done.point.index] = done.row
    ordered = [rows[index] for index in sorted(rows)]
    if arguments.json:
        return _json([{key: value for key, value in row.items() if key != "point"} for row in ordered])
    _table(
        ("granularity", "criterion", "sparsity", "achieved", "seed", f"{plan.split} accuracy", "95 % interval",
         "packed size", "MACs", *(("speed-up",) if plan.latency else ())),
        [
            (row["granularity"], row["criterion"], f"{row['sparsity']:.1%}", f"{row['achieved_sparsity']:.1%}",
             str(row["seed"]), percent(row["accuracy"], 2),
             _interval(row["accuracy_low"], row["accuracy_high"]),
             size(row["packed_bytes"]), count(row["macs"]),
             *((f"{row['speedup']:.2f}×",) if plan.latency else ()))
            for row in ordered
        ],
    )  # fmt: skip


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
            f"sparsity is '{text}'; give FROM:TO:STEP such as 0:0.9:0.1, or a list such as 0.5,0.9"
        ) from None


def _serve(arguments: argparse.Namespace) -> int:
    app = Path(__file__).resolve().parents[1] / "app.py"
    port = str(arguments.port)
    return subprocess.call([sys.executable, "-m", "streamlit", "run", str(app), "--server.port", port], cwd=app.parent)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _interval(low: float, high: float) -> str:
    return f"[{100 * low:.2f}, {100 * high:.2f}]"


def _json(body: Any) -> None:
    print(json.dumps(body, indent=2, ensure_ascii=False))


def _table(names: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*names, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    # A pipe has no width of its own; wide enough that no column is folded there.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)


if __name__ == "__main__":
    sys.exit(main())
