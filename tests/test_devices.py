"""Devices that are not here: which models fit their memory, and the range of their time, worked out by hand."""

from __future__ import annotations

import math

import pytest

from compression.devices import DEVICES, Misfit, estimate, give_or_take, milliseconds, misfit
from compression.registry import UserError

SMALL = {"macs": 1_000_000, "file_bytes": 100_000, "memory_bytes": 150_000}
"""Of its memory 50 KB are activations, written and read: 200 KB of traffic."""
WIDE = {"macs": 1_000, "file_bytes": 40_000_000, "memory_bytes": 40_000_000}


def test_work_or_traffic_whichever_takes_longer() -> None:
    # 10⁶ MACs are 2·10⁶ operations; the Raspberry Pi 4 does 5.8 to 29 GFLOPS and moves 0.27 to 1.35 GB/s.
    work, moved = [2e6 / 29e9, 2e6 / 5.8e9], [2e5 / 1.35e9, 2e5 / 0.27e9]
    expected = [1000 * max(*pair) for pair in zip(work, moved, strict=True)]
    assert milliseconds(DEVICES["pi4"], SMALL) == pytest.approx(expected)
    assert milliseconds(DEVICES["pi4"], {**SMALL, "macs": 10**9}) == pytest.approx([2e12 / 29e9, 2e12 / 5.8e9])
    assert milliseconds(DEVICES["pi5"], WIDE) == pytest.approx([4e10 / 2.4e9, 4e10 / 0.48e9])
    assert milliseconds(DEVICES["phone"], SMALL) == pytest.approx([2e9 / 22.5e9, 2e9 / 4.5e9])


def test_memory_comes_first() -> None:
    chip = DEVICES["stm32h7"]
    assert misfit(chip, SMALL) is None and milliseconds(chip, SMALL) == pytest.approx((1000 / 240, 100))
    assert misfit(chip, WIDE) == Misfit("weights", 40e6, 2e6) and milliseconds(chip, WIDE) is None
    lively = {**SMALL, "memory_bytes": 700_000}
    assert misfit(chip, lively) == Misfit("memory", 600_000, 512e3)
    assert misfit(chip, {**SMALL, "memory_bytes": 612_000}) is None, "weights stay in flash"
    assert misfit(DEVICES["pi4"], {**SMALL, "memory_bytes": 1.1e9}) == Misfit("memory", 1.1e9, 1e9)
    assert misfit(DEVICES["phone"], {**SMALL, "memory_bytes": 1e12}) is None, "its memory is not known"


@pytest.mark.parametrize("name", DEVICES)
def test_an_estimate_is_the_middle_and_the_truth_may_be_as_far_off_on_either_side(name: str) -> None:
    low, high = milliseconds(DEVICES[name], SMALL) or (math.nan, math.nan)
    middle, apart = estimate(name, SMALL) or math.nan, give_or_take(DEVICES[name])
    assert 0 < low < middle < high
    assert (middle / apart, middle * apart) == pytest.approx((low, high))
    assert (estimate(name, {**SMALL, "macs": 2 * 10**9}) or 0) / (estimate(name, {**SMALL, "macs": 10**9}) or 1) == (
        pytest.approx(2)
    ), "half the work takes half the time"


def test_an_unknown_device_is_told_the_others() -> None:
    with pytest.raises(UserError, match="^Unknown device 'pi3'.*pi4, pi5, orin_nano, phone, stm32h7$"):
        estimate("pi3", SMALL)
    assert estimate("stm32h7", WIDE) is None
