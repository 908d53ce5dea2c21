from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import torch

from compression.measure import hardware, versions
from compression.measure.hardware import cpu_model


def test_hardware_is_plain_data_about_this_machine() -> None:
    machine = hardware()
    assert json.loads(json.dumps(machine)) == machine
    assert set(machine) == {"cpu", "cores", "torch_threads", "memory_gib", "gpu", "platform"}
    assert 1 <= machine["cores"] <= (os.cpu_count() or 1)
    assert machine["torch_threads"] == torch.get_num_threads()
    assert machine["memory_gib"] > 0


def test_cpu_model_reads_the_name_for_people(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Slow Chip 9 @ 1 GHz: rev 2\nflags\t: fpu\n")
    assert cpu_model(info) == "Slow Chip 9 @ 1 GHz: rev 2"
    assert cpu_model(tmp_path / "absent")


def test_versions_name_what_numbers_depend_on() -> None:
    found = versions()
    assert {"python", "torch", "torchvision", "onnxruntime", "torch-pruning"} <= set(found)
    assert found["torch"] == version("torch")
