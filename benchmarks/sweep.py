"""Sweep: 40 one-shot points against the script that a user would write from the libraries' READMEs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import psutil
import torch

from benchmarks.report import ROOT, Row
from compression.data.sets import DATASETS, load_data
from compression.models.zoo import SAMPLES
from compression.studies.plan import Sweep, spaced

SPARSITIES = spaced(0.05, 0.95, 20)
PEER_SPARSITIES = SPARSITIES[2::5]
ROUNDS = 3


@dataclass(frozen=True)
class Case:
    """A model, the structured granularity beside single weights, and how many times faster we must be."""

    model: str
    structured: str
    bar: float


CASES = (Case("mnist-lenet-5", "channels", 4.0), Case("mnist-lenet-300-100", "rows", 10.0))


@dataclass(frozen=True)
class Times:
    """Both scripts once: seconds a point with set-up and without imports, and with imports."""

    ours: float
    peer: float
    ours_imports: float
    peer_imports: float


def rows(quick: bool = False) -> list[Row]:
    """For each model the ratio to the script, equal accuracies, and the share of the machine's peak."""
    found = []
    for case in CASES:
        data = SAMPLES[case.model].data
        if DATASETS[data].here():
            found += _compared(case, quick)
        else:
            how = f"the data set {data} is not on this machine"
            found.append(Row(case.model, "–", f"≥ {case.bar:g}×", None, how))
    return found


def _compared(case: Case, quick: bool) -> list[Row]:
    sparsities, asked = (SPARSITIES[2::10], SPARSITIES[2::10]) if quick else (SPARSITIES, PEER_SPARSITIES)
    kinds = ("weights", case.structured)
    # round_to=1: Torch-Pruning's script cuts to any width, and so every point removes something.
    plan = Sweep(model=case.model, granularities=kinds, sparsities=sparsities, split="test", round_to=1)
    points = [[kind, sparsity] for kind in kinds for sparsity in asked]
    total = len(sparsities) * len(kinds)
    data = load_data(SAMPLES[case.model].data)
    peer = [case.model, str(data.mean[0]), str(data.std[0]), json.dumps(points)]
    times, peaks = [], []
    for _ in range(1 if quick else ROUNDS):
        peaks.append(peak_flops())
        ours, ours_wall = _run("benchmarks.sweep_ours", plan.model_dump_json())
        theirs, peer_wall = _run("benchmarks.sweep_peer", *peer)
        times.append(_times(ours, ours_wall, theirs, peer_wall, total))
    return [
        *_ratio_rows(case, times, len(points), total, ours["errors"]),
        _same_row(case, ours["rows"], theirs["points"]),
        _peak_row(case, ours["rows"], median(each.ours for each in times) * total, max(peaks)),
    ]


def _run(module: str, *arguments: str) -> tuple[dict[str, Any], float]:
    """What a module prints as JSON, and the seconds of its whole process."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True)
    wall = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{module} failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return json.loads(done.stdout), wall


def _times(ours: dict[str, Any], ours_wall: float, peer: dict[str, Any], peer_wall: float, points: int) -> Times:
    timed = [row["seconds"] for row in peer["points"]]
    all_of_peer = peer["setup"] + mean(timed) * points
    imports = peer_wall - peer["setup"] - sum(timed)
    return Times(
        ours=ours["seconds"] / points,
        peer=all_of_peer / points,
        ours_imports=ours_wall / points,
        peer_imports=(all_of_peer + imports) / points,
    )


def _ratio_rows(case: Case, times: list[Times], timed: int, points: int, errors: list[str]) -> list[Row]:
    ours, peer = (median(getattr(each, side) for each in times) for side in ("ours", "peer"))
    ratio = median(each.peer / each.ours for each in times)
    imported = median(each.peer_imports / each.ours_imports for each in times)
    failed = f" {len(errors)} of our points could not be made ({errors[0]})." if errors else ""
    how = (
        f"single weights and {case.structured}, {points // 2} sparsities each, one-shot, global, magnitude, the 10,000 "
        f"test images, fp32. Medians of {len(times)} runs of each in turn, each in a process of its own, from after "
        f"the imports: loading, worker start and our baseline point are in, shared among {points} points. The script "
        f"was timed on {timed} of them, spread evenly. Imports included, the ratio is {imported:.1f}×.{failed}"
    )
    name = case.model
    return [
        Row(f"{name}: sweep against the script", f"{ratio:.1f}×", f"≥ {case.bar:g}×", ratio >= case.bar, how),
        Row(f"{name}: Espalier's sweep", f"{ours:.3f} s a point"),
        Row(f"{name}: the READMEs' script", f"{peer:.3f} s a point"),
    ]


def _same_row(case: Case, ours: list[dict[str, Any]], peer: list[dict[str, Any]]) -> Row:
    """Global L1 on single weights is one method in both: as many images must be right."""
    found = {row["sparsity"]: round(row["accuracy"] * row["n"]) for row in ours if row["granularity"] == "weights"}
    pairs = [(each["sparsity"], found.get(each["sparsity"]), each["correct"]) for each in peer
             if each["granularity"] == "weights"]  # fmt: skip
    same = sum(a == b for _, a, b in pairs)
    listed = "; ".join(f"{sparsity:.1%}: {a:,} and {b:,}" for sparsity, a, b in pairs)
    how = f"global L1 on single weights, images right of 10,000 in our sweep and in the script: {listed}."
    name = f"{case.model}: accuracies identical"
    return Row(name, f"{same} of {len(pairs)} points", "all", same == len(pairs), how)


def _peak_row(case: Case, ours: list[dict[str, Any]], seconds: float, peak: float) -> Row:
    reached = sum(2 * row["macs"] * row["n"] for row in ours) / seconds
    how = (
        f"2 × MACs × images of all points over the whole time, {reached / 1e9:.0f} GFLOP/s, against "
        f"{peak / 1e9:.0f} GFLOP/s of an fp32 product of two 2048×2048 matrices on all cores."
    )
    return Row(f"{case.model}: share of the machine's peak", f"{reached / peak:.0%}", how=how)


def peak_flops(side: int = 2048, seconds: float = 1.0) -> float:
    """Floating-point operations a second of the best fp32 matrix product on all cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(psutil.cpu_count(logical=False) or threads)
    a, b = torch.randn(2, side, side)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        began = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - began)
    torch.set_num_threads(threads)
    return 2 * side**3 / best
