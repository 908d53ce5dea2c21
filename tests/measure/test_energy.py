from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compression.measure import Counter, counted, counters, modelled
from compression.measure.energy import _nvml
from compression.registry import UserError


def test_model_by_hand() -> None:
    # 1000 MACs of 4.6 pJ, 4 bytes from DRAM for 640 pJ, 8 bytes written and read: 2·2 accesses of 5 pJ.
    energy = modelled(macs=1000, weight_bytes=4, activation_bytes=8)
    assert energy.energy_mj == pytest.approx((4600 + 640 + 20) * 1e-12 * 1e3)
    assert energy.source == "modelled"
    for constant in ("4.6 pJ", "160 pJ/B", "1.25 pJ/B", "45 nm, Horowitz 2014"):
        assert constant in energy.detail


def fake_rapl(folder: Path, name: str, zone: str) -> Path:
    path = folder / zone
    path.mkdir()
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text("9000000\n")
    (path / "max_energy_range_uj").write_text("10000000\n")
    return path


def test_only_whole_packages_are_listed(tmp_path: Path) -> None:
    fake_rapl(tmp_path, "package-0", "intel-rapl:0")
    fake_rapl(tmp_path, "core", "intel-rapl:0:0")
    fake_rapl(tmp_path, "psys", "intel-rapl:1")
    found = [name for name in counters(tmp_path) if name.startswith("rapl")]
    assert found == ["rapl:package-0"]
    assert not [name for name in counters(tmp_path / "absent") if name.startswith("rapl")]


def test_rapl_is_read_through_its_overflow(tmp_path: Path) -> None:
    zone = fake_rapl(tmp_path, "package-0", "intel-rapl:0")
    runs = []

    def run() -> None:
        runs.append(1)
        (zone / "energy_uj").write_text("2000000\n")  # 9 J, then past 10 J to 2 J: 3 J in all

    energy = counted(run, counters(tmp_path)["rapl:package-0"], seconds=0.01)
    assert energy.energy_mj == pytest.approx(3000 / len(runs))
    assert energy.source == "counter"
    assert "whole processor" in energy.detail and f"{len(runs)} runs" in energy.detail


def test_a_counter_that_stands_still_is_an_error() -> None:
    still = Counter(source="counter", detail="", read=lambda: 1.0)
    with pytest.raises(UserError, match="did not move"):
        counted(lambda: None, still, seconds=0.001)
    with pytest.raises(UserError, match="seconds is 0"):
        counted(lambda: None, still, seconds=0)


class FakeNvml:
    """The three functions of the driver's library that are used; the status is 0 for success."""

    def __init__(self, status: int) -> None:
        self.status = status

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:
        assert index == 0
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, out: Any) -> int:
        out._obj.value = 12_500
        return self.status


def test_nvml_gives_joules_or_is_absent() -> None:
    board = _nvml(FakeNvml(status=0))
    assert board is not None and board.read() == 12.5 and board.source == "metered"
    assert _nvml(FakeNvml(status=3)) is None
