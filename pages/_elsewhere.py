"""What a measured model would do on devices that are not here: always an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from compression.devices import DEVICES
from compression.report.elsewhere import device_table
from compression.report.text import DASH


def elsewhere(row: Mapping[str, Any], start: Mapping[str, Any] | None, key: str) -> None:
    """A button that opens the devices, each with the range of its time or what does not fit."""
    with st.popover("On other devices", icon=":material/devices_other:", key=key):
        table = device_table(row, start)
        st.dataframe(table.drop(columns="source"), hide_index=True, key=f"{key}_table")
        unknown = [device.label for device in DEVICES.values() if device.bandwidth is None]
        st.caption(
            f":material/calculate: Estimated: 10{DASH}50 % of a device's peak in work or in memory traffic, whichever "
            "takes longer; dense fp32, batch 1, zeros count as work. Compare shapes with it, do not promise times. "
            f"Of {' and '.join(unknown)} the memory traffic is not known, so that they seem faster than they are."
        )
