"""Accelerators as a resource of Dask: who has one gets trials for it, one at a time; none is needed here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from distributed import Client, get_worker

from compression.machine import cores, gpus
from compression.studies import dispatch, driver, records
from compression.studies.cluster import GPU, connected, workers_of
from compression.studies.making import made as make
from compression.studies.trial import Made, Trial
from tests.studies.plans import GRID, made, team

pytestmark = [pytest.mark.timeout(240)]


def told(trial: Trial) -> Made:
    """A trial on the processor that says where it was to be, and how much of the resource is left beside it."""
    left = get_worker().state.available_resources.get(GPU)
    row = {"accuracy": 0.9, "packed_bytes": 1, **trial.setting}
    return Made(row, hardware={"device": trial.device, "left": left})


@pytest.mark.parametrize("has", [True, False])
def test_a_worker_that_says_it_has_an_accelerator_gets_one_trial_on_it_at_a_time(
    own_store: Path, monkeypatch: pytest.MonkeyPatch, has: bool
) -> None:
    made(GRID)
    monkeypatch.setattr(dispatch, "carry_out", told)
    with team(1, **({"resources": {GPU: 1}} if has else {})) as address:
        assert driver.run_study("grid", address) == "done"
    where = [one.kept["hardware"] for one in records.records("grid", "hardware")]
    assert len(where) == 6 and all(one == where[0] for one in where)
    assert where[0] == ({"device": "cuda", "left": 0} if has else {"device": "cpu", "left": None})


def test_local_workers_have_an_accelerator_each_and_are_one_for_every_core(
    own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")
    with connected(None) as client:
        assert _resources(client) == [{}] * (cores() - 1) + [{GPU: 1}]
        seen = client.run(lambda: os.environ.get("CUDA_VISIBLE_DEVICES"))
        assert set(seen.values()) == {"GPU-a"}
    specs = workers_of([f"GPU-{number}" for number in range(cores() + 1)])
    assert [one["options"]["env"]["CUDA_VISIBLE_DEVICES"] for one in specs.values()] == [
        f"GPU-{number}" for number in range(cores() + 1)
    ]
    assert all(not one["options"]["resources"] for one in workers_of([]).values()) and len(workers_of([])) == cores()


def _resources(client: Client) -> list[dict[str, float]]:
    return sorted((one["resources"] for one in client.scheduler_info()["workers"].values()), key=len)


@pytest.mark.parametrize(
    ("given", "found"), [("", []), ("-1", []), ("0", ["0"]), ("0, 2", ["0", "2"]), ("GPU-a,-1,GPU-b", ["GPU-a"])]
)
def test_accelerators_are_those_that_cuda_would_see(
    monkeypatch: pytest.MonkeyPatch, given: str, found: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert gpus() == found


@pytest.mark.parametrize(
    ("script", "found"),
    [("echo GPU-a; echo GPU-b", ["GPU-a", "GPU-b"]), ("echo no driver >&2; exit 9", []), (None, [])],
)
def test_accelerators_are_those_that_the_driver_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str | None, found: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if script:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    assert gpus() == found


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
def test_a_worker_whose_accelerator_torch_cannot_find_says_so(own_store: Path) -> None:
    trial = Trial(made(GRID).base, {}, "val", 32, "", "", "", 0, device="cuda")
    assert make(trial).reason == "device is cuda, but torch finds no accelerator on this machine; use cpu"
