"""What a measured model would do on devices that are not here, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from compression.devices import DEVICES, Device, estimate, milliseconds, misfit
from compression.report.text import DASH, size, times

Row = Mapping[str, Any]


def device_table(row: Row, start: Row | None = None) -> pd.DataFrame:
    """A line for every device: its name, the range of one image's time, how it stands to the start, its limits' source.

    Args:
        row: a measurement's names.
        start: those of the model as it was, if it is to be compared with.
    """
    body = [
        (device.label, _time(device, row), "" if start is None else _gain(name, row, start), device.source)
        for name, device in DEVICES.items()
    ]
    return pd.DataFrame(body, columns=["device", "one image", "against the baseline", "source"])


def _time(device: Device, row: Row) -> str:
    found = milliseconds(device, row)
    if found:
        low, high = (f"{float(f'{end:.2g}'):g}" for end in found)
        return f"{low}{DASH}{high} ms"
    lack = misfit(device, row)
    return f"does not fit: {size(lack.needs)} of {lack.of}, {size(lack.has)} there" if lack else ""


def _gain(name: str, row: Row, start: Row) -> str:
    now, before = estimate(name, row), estimate(name, start)
    if now is None or before is None:
        return "fits now" if now else ""
    return "as before" if times(before / now) == times(1) else f"about {times(before / now)} faster"
