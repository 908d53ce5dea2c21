"""The process that local workers are forked from: it imports torch once for all of them.

That takes seconds, so an engine starts it as soon as there is something to do, before it imports Dask itself.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.forkserver import ensure_running

PRELOAD = ("distributed", "compression.studies.cluster", "compression.studies.crew", "compression.studies.making")
"""What local workers have imported when they start, torch among it."""


ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def prepare_forks() -> dict[str, str]:
    """Start that process, unless it runs; the variables of this one, which it may have had otherwise."""
    os.environ.update(ONE_THREAD)  # they are read when torch is imported
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(PRELOAD))
    ensure_running()
    return dict(os.environ)
