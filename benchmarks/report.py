"""Rows of a benchmark, and RESULTS.md, which is made of them."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from compression.measure import hardware, versions

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
INTRODUCTION = """# Speed and memory

Written by `make bench`; `make bench ARGS="surgery startup"` runs single benchmarks again and keeps the other
sections. Every section says when, at which commit and on what machine it was measured.
"""


@dataclass(frozen=True)
class Row:
    """One figure: what it is, what was measured, the bar that it must meet, and how it was measured.

    ``met`` None is a figure without a bar of its own, or one that could not be measured here.
    """

    name: str
    measured: str
    bar: str = ""
    met: bool | None = None
    how: str = ""


def absent(name: str, data: str, bar: str = "") -> Row:
    """The row of what needs a data set that is not here."""
    return Row(name, "–", bar, None, f"the data set {data} is not on this machine")


def spread(percents: Sequence[float]) -> str:
    """Mean and standard deviation of percentages, two decimals; a single one alone."""
    sd = f" ± {stdev(percents):.2f}" if len(percents) > 1 else ""
    return f"{fmean(percents):.2f}{sd} %"


def verdict(row: Row) -> str:
    """Whether a bar is met, in words."""
    return {True: "met", False: "**not met**", None: "not measured" if row.bar else ""}[row.met]


def section(title: str, rows: Sequence[Row], load: float) -> str:
    """One benchmark as Markdown: a heading, the circumstances, a table and a note for each row that has one.

    Args:
        title: the heading; RESULTS.md holds one section of a title.
        rows: what was measured.
        load: the machine's load average before the run.
    """
    lines = [f"## {title}", "", circumstances(load), "", "| | measured | bar | |", "|---|---|---|---|"]
    lines += [f"| {row.name} | {row.measured} | {row.bar} | {verdict(row)} |" for row in rows]
    notes = [f"- {row.name}: {row.how}" for row in rows if row.how]
    return "\n".join([*lines, "", *notes, *([""] if notes else [])])


def circumstances(load: float) -> str:
    """Date, commit, machine and versions of a run, in two sentences."""
    here, version = hardware(), versions()
    gpu = f", {here['gpu']}" if here["gpu"] else ""
    libraries = ", ".join(f"{name} {version[name]}" for name in ("python", "torch", "onnxruntime") if name in version)
    return (
        f"{datetime.date.today():%Y-%m-%d}, {commit()}, load {load:.1f} before the run. "
        f"{here['cpu']}, {here['cores']} cores, {here['memory_gib']} GiB{gpu}, {here['platform']}; {libraries}."
    )


def commit() -> str:
    """The commit that was measured, and whether the code differs from it."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!benchmarks/{RESULTS.name}")
    except (OSError, subprocess.CalledProcessError):
        return "not in a git checkout"
    return f"commit {name}{' with uncommitted changes' if changed else ''}"


def load_average() -> float:
    """How many processes wanted a core in the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def merged(old: str, new: Mapping[str, str], order: Sequence[str]) -> str:
    """RESULTS.md with new sections in the place of old ones of the same title, in a fixed order."""
    kept = {part.splitlines()[0].strip(): f"## {part.strip()}\n" for part in re.split(r"(?m)^## ", old)[1:]}
    present = {**kept, **new}
    return "\n".join([INTRODUCTION, *(present[title] for title in order if title in present)])


def table(rows: Sequence[Row]) -> str:
    """Rows for a terminal."""
    lines = []
    for row in rows:
        bar = f"  [{row.bar}: {verdict(row).strip('*')}]" if row.bar else ""
        lines.append(f"  {row.name}: {row.measured}{bar}")
        lines += [f"      {row.how}"] if row.how else []
    return "\n".join(lines)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
