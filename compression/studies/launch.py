"""Processes that outlive the page or the script that starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import BinaryIO


def launch(log: BinaryIO, module: str, *arguments: str) -> int:
    """Start a module in a session of its own, so that no closed terminal ends it; its number."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        start_new_session=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    # Somebody has to wait for it, or it stays in the process table for as long as the server runs.
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid
