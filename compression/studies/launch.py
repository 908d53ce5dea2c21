"""Processes that outlive the page or the script that starts them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import BinaryIO

import psutil

from compression.data.quota import allowed, check_disk
from compression.owner import VARIABLE, environment, owner
from compression.registry import UserError

MODULES = ("compression.studies.engine", "compression.studies.sweep", "compression.errands")
"""What runs a study; a sweep, a lesson or a pipeline; an export, an upload or a download."""


def check_turn() -> None:
    """Raise UserError where the present owner runs as many processes as may run at once, or the disk is full."""
    check_disk()
    most = allowed("studies")
    if math.isfinite(most) and running() >= most:
        raise UserError(f"You have {most:g} under way, as many as run for one person at once; wait, or cancel one")


def running() -> int:
    """How many studies, jobs and errands run on this machine for the present owner."""
    return sum(map(_is_own, psutil.process_iter()))


def _is_own(process: psutil.Process) -> bool:
    """Whether a process was launched for the present owner; its workers, which it has forked, were not."""
    with suppress(psutil.Error, OSError):
        said = process.cmdline()[1:3]
        if said[:1] == ["-m"] and said[1] in MODULES and os.getsid(process.pid) == process.pid:
            return process.environ().get(VARIABLE, "") == owner()
    return False


def launch(log: BinaryIO, module: str, *arguments: str) -> int:
    """Start a module for the present owner, in a session of its own, so that no closed terminal ends it; its number."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        start_new_session=True, env={**environment(), "PYTHONPATH": path},
    )  # fmt: skip
    # Somebody has to wait for it, or it stays in the process table for as long as the server runs.
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid
