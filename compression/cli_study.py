"""``espalier study``: plans run by an engine of their own, watched, stopped, resumed and exported."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from compression.cli_tables import interval, print_json, progress, table
from compression.goals import feasible
from compression.registry import UserError, pick, quoted
from compression.report.study_tables import settings_of
from compression.report.text import count, percent, size, times
from compression.studies import control, records, store
from compression.studies.presets import STUDY_PRESETS
from compression.studies.study import Study
from compression.subject import load_subject

Row = dict[str, Any]
LOOK = 0.5
"""Seconds between two looks at a running study."""
WRITERS = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".json": lambda frame, path: frame.to_json(path, orient="records", indent=2),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
}


def study(arguments: argparse.Namespace) -> None:
    """One of the commands on studies."""
    ACTIONS[arguments.action](arguments)


def _run(arguments: argparse.Namespace) -> None:
    path = Path(_named(arguments, "a YAML file with the plan"))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise UserError(f"No study file can be read at {quoted(str(path))}") from None
    plan = Study.from_yaml(text)
    control.start(plan, arguments.cluster, arguments.insecure)
    _watch(plan.name, arguments)


def _plan(arguments: argparse.Namespace) -> None:
    preset = pick(STUDY_PRESETS, arguments.what, "preset")
    print(preset.build(load_subject(arguments.model)).to_yaml(), end="")


def _resume(arguments: argparse.Namespace) -> None:
    control.resume(_named(arguments), arguments.cluster, arguments.insecure)
    _watch(arguments.what, arguments)


def _watch(name: str, arguments: argparse.Namespace) -> None:
    if arguments.detach:
        return print(f"started; `espalier study show {quoted(name)}` says how it is")
    follow(name)
    _show(arguments, name)


def follow(name: str) -> None:
    """Watch a study until it ends; leaving it does not stop it.

    Raises:
        UserError: it failed, or its engine fell silent.
    """
    with progress() as bar:
        task = bar.add_task(name, total=None)
        while (present := control.status(name)).state in control.UNDER_WAY:
            bar.update(task, completed=present.settled, total=present.total)
            time.sleep(LOOK)
    if present.state in ("failed", "lost"):
        raise UserError(present.message or f"the engine of '{name}' fell silent; `espalier study resume` goes on")


def _ls(arguments: argparse.Namespace) -> None:
    found = [{"name": name, "model": store.plan(name).model, **asdict(control.status(name))} for name in store.names()]
    if arguments.json:
        return print_json(found)
    rows = [
        (one["name"], one["model"], one["state"], f"{one['done']} of {one['total'] or 'some'}", str(len(one["failed"])))
        for one in found
    ]
    table(("study", "model", "state", "measured", "failed"), rows)


def _show(arguments: argparse.Namespace, name: str = "") -> None:
    name = name or _named(arguments)
    plan, present, rows = store.plan(name), control.status(name), records.rows(name)
    if arguments.json:
        return print_json({"study": plan.model_dump(mode="json"), **asdict(present), "rows": rows})
    print(
        f"{name}: {present.state}, {present.done} of {present.total or 'some'} settings measured on {plan.split} images"
    )
    for line in present.failed:
        print(f"left out: {line}", file=sys.stderr)
    settings = settings_of(rows)
    best = sorted(rows, key=lambda row: (feasible(row, plan.bounds), row["accuracy"]), reverse=True)
    timed = ("speed-up",) if plan.latency else ()
    measures = ("accuracy", "95 % interval", "packed size", "MACs", *timed, "meets")
    table(
        ("trial", *(key.split(".", 1)[-1] for key in settings), *measures),
        [
            (
                str(row["trial"]),
                *(f"{row.get(key, '')}" for key in settings),
                percent(row["accuracy"], 2),
                interval(row["accuracy_low"], row["accuracy_high"]),
                size(row["packed_bytes"]),
                count(row["macs"]),
                *(_speed(row) for _ in timed),
                "yes" if feasible(row, plan.bounds) else "no",
            )
            for row in best[: arguments.most]
        ],
    )


def _speed(row: Row) -> str:
    """The paired speed-up with its interval: "2.4× [2.3, 2.5]"; nothing where a model was not timed."""
    if not row.get("speedup"):
        return ""
    return f"{times(row['speedup'])} [{row['speedup_low']:.1f}, {row['speedup_high']:.1f}]"


def _named(arguments: argparse.Namespace, what: str = "the name of a study") -> str:
    """What the action is about. Raises UserError where it was left out."""
    if not arguments.what:
        raise UserError(f"study {arguments.action} needs {what}")
    return str(arguments.what)


def _pause(arguments: argparse.Namespace) -> None:
    control.pause(_named(arguments))
    print(f"'{arguments.what}' is asked to pause; `espalier study resume` goes on")


def _cancel(arguments: argparse.Namespace) -> None:
    control.cancel(_named(arguments))
    print(f"'{arguments.what}' is cancelled; what was measured stays")


def _rm(arguments: argparse.Namespace) -> None:
    if not arguments.yes:
        raise UserError(f"rm deletes the study {quoted(_named(arguments))} with all its trials; say --yes to do so")
    control.delete(_named(arguments))
    print(f"deleted '{arguments.what}'")


def _export(arguments: argparse.Namespace) -> None:
    if not arguments.out or arguments.out.suffix not in WRITERS:
        given = f"is {quoted(str(arguments.out))}" if arguments.out else "is missing"
        raise UserError(f"--out {given}; give a file that ends in {', '.join(WRITERS)}")
    frame = pd.DataFrame(records.rows(_named(arguments)))
    WRITERS[arguments.out.suffix](frame, arguments.out)
    print(f"wrote {len(frame)} rows to {arguments.out}", file=sys.stderr)


ACTIONS = {
    "run": _run,
    "plan": _plan,
    "ls": _ls,
    "show": _show,
    "resume": _resume,
    "pause": _pause,
    "cancel": _cancel,
    "rm": _rm,
    "export": _export,
}
