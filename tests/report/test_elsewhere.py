"""The table of devices: ranges and what does not fit, in words."""

from __future__ import annotations

from compression.devices import DEVICES
from compression.report.elsewhere import device_table

ROW = {"macs": 1_000_000, "file_bytes": 100_000, "memory_bytes": 150_000}


def test_every_device_has_its_range_or_what_does_not_fit() -> None:
    table = device_table(ROW).set_index("device")
    assert list(table.index) == [device.label for device in DEVICES.values()]
    assert (
        table.loc["STM32H743", "one image"] == "4.2–100 ms"
        and table.loc["Cortex-A76 core", "one image"] == "0.089–0.44 ms"
    )
    assert set(table["against the baseline"]) == {""} and all(table["source"])
    wide = device_table({**ROW, "file_bytes": 3_000_000}).set_index("device")
    assert wide.loc["STM32H743", "one image"] == "does not fit: 3 MB of weights, 2 MB there"


def test_a_model_is_set_against_its_start() -> None:
    start = {"macs": 4_000_000, "file_bytes": 400_000, "memory_bytes": 600_000}
    assert set(device_table(ROW, start)["against the baseline"]) == {"about 4.0× faster"}
    assert set(device_table(ROW, ROW)["against the baseline"]) == {"as before"}
    large = {**start, "file_bytes": 3_000_000, "memory_bytes": 3_200_000}
    said = device_table(ROW, large).set_index("device")["against the baseline"]
    assert said["STM32H743"] == "fits now"
    assert device_table(large, ROW).set_index("device")["against the baseline"]["STM32H743"] == ""
