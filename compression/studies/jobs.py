"""A study as a job: a folder with a plan, rows and a state, and a process of its own.

The page only reads the folder, so closing the browser or opening a second tab changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from compression.data.root import own_root
from compression.machine import versions
from compression.recipe import validated
from compression.registry import UserError, quoted
from compression.results import Result
from compression.studies import keys, watch
from compression.studies.launch import check_turn
from compression.studies.lineage import Lineage
from compression.studies.plan import Sweep
from compression.studies.teaching import Teaching
from compression.studies.watch import UNDER_WAY, State
from compression.writing import write_whole

Row = dict[str, Any]
Plan = Sweep | Teaching | Lineage
PLANS: dict[str, type[Sweep] | type[Teaching] | type[Lineage]] = {
    "prune": Sweep,
    "distill": Teaching,
    "pipeline": Lineage,
}
WORDS = {"prune": "sweep", "distill": "lesson", "pipeline": "pipeline"}
"""What a job of each kind is called."""


def start(plan: Plan, fresh: bool = False) -> str:
    """Start a study in a process of its own and return the job's name.

    The same plan on the same weights and versions has the same name: a job that is running or
    done is not started again unless ``fresh``.

    Raises:
        UserError: as many run as may, or nothing can be written.
    """
    name = _name(plan)
    folder = _root() / name
    try:
        with watch.one_by_one(_root()):
            present = _state_or_none(name)
            if present and (present.state in UNDER_WAY or (present.state == "done" and not fresh)):
                return name
            check_turn()
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
            (folder / "plan.json").write_text(plan.model_dump_json())
            watch.begin(folder, "compression.studies.sweep")
    except OSError as fault:
        what = f"{WORDS[plan.kind].capitalize()}s cannot be kept in {_root()}"
        raise UserError(f"{what} ({fault.strerror}); set ESPALIER_DATA to another folder") from None
    return name


def state(name: str) -> State:
    """The state of a job; a process that died is reported as failed, with the end of its log.

    Raises:
        UserError: no such job.
    """
    folder = _folder(name)
    return watch.present_state(folder, _word(folder))


def _state_or_none(name: str) -> State | None:
    try:
        return state(name)
    except UserError:
        return None


def rows(name: str) -> list[Row]:
    """The rows so far, in the plan's order; a point that was timed has its later, fuller row.

    Raises:
        UserError: no such job.
    """
    found = {row["point"]: row for row in _lines(_folder(name) / "rows.jsonl")}
    return [found[point] for point in sorted(found)]


def plan(name: str) -> Plan:
    """The plan of a job. Raises UserError when there is no such job."""
    return read_plan(_folder(name))


def exists(name: str) -> bool:
    """Whether there is such a job on this machine."""
    return bool(re.fullmatch(r"[0-9a-z]{1,64}", name)) and (_root() / name / "plan.json").is_file()


def trainings(name: str) -> tuple[int, int]:
    """How many trainings of a job are done, and of how many; its baseline or teacher is a point, but trains nothing.

    Raises:
        UserError: no such job.
    """
    points = plan(name).points()
    untrained = {point.index for point in points if not point.recipe.stages}
    done = state(name).done - sum(row["point"] in untrained for row in rows(name))
    return max(0, done), len(points) - len(untrained)


def linked(named: str | None, kind: str, model: str, data: str) -> str | None:
    """The job that a link names, where it is one of this kind, model and data; else the latest of these, if any."""
    if named and exists(named) and _is(_root() / named, kind, model, data):
        return named
    return latest(kind, model, data)


def latest(kind: str, model: str, data: str) -> str | None:
    """The job of this kind, model and data that was started last; None where there is none."""
    plans = sorted(_root().glob("*/plan.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    folders = (path.parent for path in plans if _is(path.parent, kind, model, data))
    return next((folder.name for folder in folders if _state_or_none(folder.name)), None)


def _is(folder: Path, kind: str, model: str, data: str) -> bool:
    """Whether a job is of this kind, model and data; a plan of an older version, which cannot be read, is not."""
    try:
        found = read_plan(folder)
    except UserError:
        return False
    return (found.kind, found.model) == (kind, model) and found.data in (data, None)


def cancel(name: str) -> None:
    """Stop a job with its workers; its rows stay. Raises UserError when there is no such job."""
    folder = _folder(name)
    watch.stop(folder, _word(folder))


def read_plan(folder: Path) -> Plan:
    """The plan in a job folder. Raises UserError when it is not valid."""
    try:
        body = json.loads((folder / "plan.json").read_text())
        kind = PLANS[body["kind"]]
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(f"The plan of study '{folder.name}' cannot be read; start it again") from None
    found: Plan = validated(kind, body)
    return found


def append_row(folder: Path, row: Row, file: str = "rows") -> None:
    """Add a row to a job; one short line at once, so that workers may write side by side."""
    with (folder / f"{file}.jsonl").open("a") as sink:
        sink.write(json.dumps(row) + "\n")


def epochs(name: str) -> list[Row]:
    """The epochs of all points so far, each with its point's number. Raises UserError when there is no such job."""
    return _lines(_folder(name) / "epochs.jsonl")


def keep_weights(folder: Path, number: int, weights: bytes, of: str = "point") -> None:
    """Write the weights that a point, or a stage of the first one, left."""
    (folder / f"{of}-{number}.safetensors").write_bytes(weights)


def weights(name: str, number: int, of: str = "point") -> Path:
    """Where these weights lie. Raises UserError when there is no such job, or it kept none."""
    path = _folder(name) / f"{of}-{number}.safetensors"
    if not path.is_file():
        word = _word(path.parent).capitalize()
        raise UserError(f"{word} '{name}' kept no weights of {of} {number}; start it again")
    return path


def keep_result(folder: Path, point: int, result: Result) -> None:
    """Write what was measured along a point's stages; a later, fuller one takes its place."""
    write_whole(folder / f"{point}.result.json", result.model_dump_json(exclude={"weights"}).encode())


def result(name: str, point: int) -> Result | None:
    """What was measured along a point's stages; None as long as it is not done. Raises UserError for no such job."""
    path = _folder(name) / f"{point}.result.json"
    if not path.is_file():
        return None
    found: Result = validated(Result, json.loads(path.read_text()))
    return found


def _lines(path: Path) -> list[Row]:
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return [row for row in map(_parsed, lines) if row]


def _parsed(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None  # the line is being written at this moment
    return row if isinstance(row, dict) and isinstance(row.get("point"), int) else None


def _name(plan: Plan) -> str:
    about = plan.model_dump_json() + json.dumps([versions(), keys.contents(plan)])
    return hashlib.sha256(about.encode()).hexdigest()[:12]


def _root() -> Path:
    return own_root() / "sweeps"


def _folder(name: str) -> Path:
    if not exists(name):
        raise UserError(f"No study named {quoted(name)} on this machine; start one")
    return _root() / name


def _word(folder: Path) -> str:
    """What the job in a folder is called, as far as its plan can be read."""
    try:
        return WORDS[read_plan(folder).kind]
    except UserError:
        return "study"
