"""The process that local workers are forked from: it imports torch once for all of them.

That takes seconds, so an engine starts it before it imports anything else, and ends it where there was nothing to do.
"""

from __future__ import annotations

import multiprocessing
import os
from contextlib import suppress
from multiprocessing.forkserver import ensure_running

import psutil

PRELOAD = ("distributed", "compression.studies.trial", "compression.studies.making")
"""What local workers have imported when they start, torch among it."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def prepare_forks() -> dict[str, str]:
    """Start that process, unless it runs; the variables of this one, which it may have had otherwise."""
    os.environ.update(ONE_THREAD)  # they are read when torch is imported
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(PRELOAD))
    ensure_running()
    return dict(os.environ)


def end_forks() -> None:
    """End that process, where it runs: left to itself it would import all first, with our output held open."""
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any("multiprocessing.forkserver" in part for part in child.cmdline()):
                child.kill()
