from __future__ import annotations

import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compression.measure import RUNTIMES, latencies, latency
from compression.registry import UserError
from tests.measure.nets import Broken, Chatty, cnn

QUICK = {"pairs": 5, "seconds": 0.02}


@pytest.mark.parametrize("runtime", sorted(RUNTIMES))
def test_runtimes_compute_the_modules_outputs(runtime: str) -> None:
    assert RUNTIMES[runtime].label and RUNTIMES[runtime].sentence.endswith(".")
    model, x = cnn().train(), torch.randn(3, 2, 8, 8)
    run = RUNTIMES[runtime].build(model, x)
    outputs = run()
    given = outputs if isinstance(outputs, torch.Tensor) else torch.from_numpy(outputs[0])  # type: ignore[index]
    torch.testing.assert_close(given.clone(), model.eval()(x).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_every_runtime_batch_and_candidate_is_measured_in_one_child() -> None:
    model, seen = cnn(), []
    slower = nn.Sequential(*[cnn()[0], nn.Conv2d(8, 2, 1), nn.Upsample(scale_factor=2), model])  # type: ignore[index]
    measured = latencies(
        {"same": model, "slower/odd name": slower},
        model,
        (2, 8, 8),
        batches=(1, 3),
        on_progress=lambda done, total: seen.append((done, total)),
        **QUICK,
    )
    assert list(measured) == ["same", "slower/odd name"]
    assert seen == sorted(seen) and seen[-1] == (8, 8) and {total for _, total in seen} == {8}
    assert measured["same"] != measured["slower/odd name"]
    for rows in measured.values():
        assert [(row.runtime, row.batch) for row in rows] == [
            ("eager", 1), ("eager", 3), ("onnxruntime", 1), ("onnxruntime", 3),
        ]  # fmt: skip
        for row in rows:
            assert row.pairs >= 5 and row.threads == 1
            assert 0 < row.speedup_low <= row.speedup <= row.speedup_high
            assert 0 < row.min_ms <= row.median_ms <= row.p90_ms


@pytest.mark.slow
def test_one_candidate_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = cnn().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    (row,) = latency(model, model, (2, 8, 8), runtimes=("eager",), **QUICK)
    assert row.runtime == "eager"
    assert model.training and all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not list(tmp_path.glob("espalier-latency-*/*")), "the modules must not stay on the disk"


def test_no_candidates_need_no_child() -> None:
    assert latencies({}, cnn(), (2, 8, 8)) == {}


def test_a_failure_names_the_candidate_and_the_runtime() -> None:
    with pytest.raises(RuntimeError, match="'bad' does not run in PyTorch eager: out of luck") as fault:
        latencies({"bad": Broken()}, nn.Linear(2, 2), (2,), **QUICK)
    assert "\n" not in str(fault.value)


def test_bad_input_gives_one_line() -> None:
    model = cnn()

    class Unreachable(nn.Module):
        pass

    for match, change in {
        "did you mean 'eager'": {"runtimes": ("eagre",)},
        "batch must lie in 1 to 4096": {"batches": (0,)},
        "pairs is 1": {"pairs": 1},
        "seconds is nan": {"seconds": float("nan")},
        "'candidate' cannot be sent": {"candidate": Unreachable()},
    }.items():
        arguments = {"candidate": model, "baseline": model, "input_shape": (2, 8, 8), **change}
        with pytest.raises(UserError, match=match) as fault:
            latency(**arguments)  # type: ignore[arg-type]
        assert "\n" not in str(fault.value)


def test_a_class_of_the_running_script_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "__module__", "__main__")
    with pytest.raises(UserError, match="class 'Broken' of the running script"):
        latency(Broken(), cnn(), (2,))


def test_what_a_model_prints_does_not_get_between() -> None:
    (row,) = latency(Chatty(), nn.Linear(2, 2), (2,), runtimes=("eager",), **QUICK)
    assert row.pairs >= 5


class StopIt(Exception):
    pass


def test_progress_can_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            children.append(self)

    def stop(done: int, total: int) -> None:
        assert (done, total) == (0, 50), "a measurement can be stopped before it is done"
        raise StopIt

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    many = dict.fromkeys(map(str, range(50)), cnn())
    with pytest.raises(StopIt):
        latencies(many, cnn(), (2, 8, 8), runtimes=("eager",), on_progress=stop, seconds=60)
    assert [child.returncode for child in children] == [-signal.SIGKILL]
