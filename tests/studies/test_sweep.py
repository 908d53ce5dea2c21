"""Sweeps: the same rows however many workers, equal to PyTorch's own pruning done by hand."""

from __future__ import annotations

import copy
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune
from torch.utils.data import DataLoader, TensorDataset

from compression.data.sets import load_data
from compression.machine import cores
from compression.models.zoo import load_model
from compression.pipeline import measure, run
from compression.registry import UserError
from compression.results import Latency
from compression.studies import sweep as sweeping
from compression.studies.plan import Point, Sweep
from compression.studies.sweep import Done, run_point, sweep
from compression.training import normalise

GRID = Sweep(model="digits-mlp", granularities=("weights", "rows"), sparsities=(0, 0.5, 0.9), split="test")


def rows(plan: Sweep, workers: int = 1) -> dict[int, dict[str, object]]:
    return {done.point.index: done.row for done in sweep(plan, workers) if done.row}


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn"])
def test_accuracies_are_those_of_the_script_that_one_would_write(name: str) -> None:
    plan = Sweep(model=name, granularities=("weights",), sparsities=(0, 0.3, 0.6, 0.9), split="test")
    dataset = load_data("digits")
    test = TensorDataset(normalise(dataset.test.images, dataset), dataset.test.labels)
    expected = []
    for sparsity in plan.sparsities:
        model = copy.deepcopy(load_model(name))
        layers = [(m, "weight") for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        torch_prune.global_unstructured(layers, torch_prune.L1Unstructured, amount=sparsity)
        with torch.no_grad():
            right = sum(int((model(x).argmax(1) == y).sum()) for x, y in DataLoader(test, batch_size=64))
        expected.append((sparsity, right / 359))
    assert [(row["sparsity"], row["accuracy"]) for row in rows(plan).values()] == expected


@pytest.mark.slow
def test_two_workers_give_the_very_rows_of_one() -> None:
    plan = GRID.model_copy(update={"criteria": ("magnitude", "random"), "epochs": 1, "sparsities": (0.5,), "seeds": 2})
    # A process of its own, as a sweep has: this one may hold autograd's threads, which no fork survives.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        alone, shared = rows(plan, workers=1), fresh.submit(rows, plan, 2).result()
    assert sorted(alone) == list(range(1 + 2 * 2 * 2))
    assert shared == alone


def test_a_row_is_its_point_and_the_measurement_of_its_recipe() -> None:
    found = rows(GRID)
    for point in GRID.points():
        result = run(point.recipe)
        achieved = result.stages[0].achieved_sparsity if result.stages else 0.0
        about = {"data": "digits", "achieved_sparsity": achieved}
        assert found[point.index] == {**result.final.row(), **point.row(), **about}
    assert [row["sparsity"] for row in found.values()] == [0, 0.5, 0.9, 0.5, 0.9]  # what was asked
    assert found[0]["accuracy"] == measure("digits-mlp").accuracy
    assert all(isinstance(value, str | int | float) for row in found.values() for value in row.values())


def test_the_limit_and_the_split_reach_every_point() -> None:
    found = rows(GRID.model_copy(update={"split": "val", "limit": 50}))
    assert {(row["split"], row["n"]) for row in found.values()} == {("val", 50)}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_point_that_cannot_be_made_says_why_while_the_others_finish(workers: int) -> None:
    # A thousandth of 192 hidden units is none at all, but of 16,960 weights it is 17.
    plan = Sweep(model="digits-mlp", granularities=("rows", "weights"), sparsities=(0.001,))
    done = sorted(sweep(plan, workers), key=lambda one: one.point.index)
    assert [one.row is not None for one in done] == [True, False, True]
    assert done[1].error.startswith("Nothing pruned: sparsity 0.001")
    assert "\n" not in done[1].error
    assert [one.error for one in (done[0], done[2])] == ["", ""]


def test_unknown_models_and_absent_data_stop_a_sweep_at_once(data_root: Path) -> None:
    with pytest.raises(UserError, match="^Unknown model 'digits-mpl'"):
        next(sweep(GRID.model_copy(update={"model": "digits-mpl"})))
    with pytest.raises(UserError, match="^Data set 'mnist' is not in"):
        next(sweep(GRID.model_copy(update={"model": "mnist-lenet-300-100"}), workers=2))


def slow_point(point: Point, split: str, limit: int | None, keep: bool, folder: Path | None) -> Done:
    """Stands for ``run_point``; it leaves a file for each point that was begun."""
    Path(os.environ["BEGUN"], str(point.index)).touch()
    time.sleep(0.05)
    return Done(point, point.row())


def test_whoever_stops_early_does_not_wait_for_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEGUN", str(tmp_path))
    monkeypatch.setattr(sweeping, "run_point", slow_point)
    plan = GRID.model_copy(update={"sparsities": tuple(n / 100 for n in range(1, 51))})
    going = sweep(plan, workers=2)
    next(going)
    going.close()
    assert 1 <= len(list(tmp_path.iterdir())) < 30 < len(plan.points())


def test_latency_comes_last_and_adds_to_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fake(
        models: dict[str, nn.Module], baseline: nn.Module, shape: tuple[int, ...]
    ) -> dict[str, tuple[Latency, ...]]:
        asked.extend(models)
        assert shape == (1, 8, 8)
        whole = sum(p.numel() for p in baseline.parameters())
        found = {}
        for name, model in models.items():
            speedup = whole / sum(p.numel() for p in model.parameters())
            found[name] = tuple(
                Latency(
                    runtime=runtime, batch=1, speedup=speedup, speedup_low=speedup, speedup_high=speedup, min_ms=1,
                    median_ms=2, p90_ms=3, baseline_median_ms=4, pairs=30, threads=1,
                )
                for runtime in ("eager", "onnxruntime")
            )  # fmt: skip
        return found

    monkeypatch.setattr(sweeping, "latencies", fake)
    plan = GRID.model_copy(update={"latency": True})
    done = list(sweep(plan, workers=1))
    plain, timed = done[: len(done) // 2], done[len(done) // 2 :]
    assert sorted(one.point.index for one in plain) == [one.point.index for one in timed] == list(range(5))
    assert sorted(asked, key=int) == [str(one.point.index) for one in timed]
    for one, other in zip(plain, timed, strict=True):
        assert one.row is not None and other.row is not None
        assert "speedup" not in one.row
        assert {name: other.row[name] for name in one.row} == one.row
        assert other.row["speedup"] == other.row["eager_speedup"] == 17_226 / one.row["params"]
        assert (other.row["latency_ms"], other.row["baseline_latency_ms"], other.row["batch"]) == (2, 4, 1)


def test_run_point_hands_the_weights_over_only_when_asked() -> None:
    point = GRID.points()[1]
    assert run_point(point, "val", None, keep=False).weights == b""
    assert run_point(point, "val", None, keep=True).weights == run(point.recipe).weights


def test_workers_are_the_cores_that_one_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
