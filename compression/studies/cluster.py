"""The Dask cluster that a study runs on: a local one with a worker for every core, or one that exists already.

Accelerators are a resource that each local worker has one of at most; the workers of another cluster
have those that they were started with: ``dask worker … --resources "GPU=1"``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from logging import WARNING
from typing import Any

import dask
from dask.utils import parse_bytes
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed.system import MEMORY_LIMIT

from compression.machine import cores, gpus
from compression.registry import UserError, quoted
from compression.studies import database
from compression.studies.forking import prepare_forks

Row = dict[str, Any]
HOST = "127.0.0.1"
GPU = "GPU"
"""The resource that Dask counts accelerators by: a worker that says it has one gets one trial on it at a time."""
MEMORY = "ESPALIER_WORKER_MEMORY"
"""The variable that says how much memory a local worker may take, as in "2 GB"."""
SHARE = 0.8
"""Of the machine's memory, for all local workers together."""
SETTINGS = {
    "distributed.worker.multiprocessing-method": "forkserver",
    # A paused worker would wait for memory that nobody frees; the limit itself still holds.
    "distributed.worker.memory.pause": False,
    "distributed.worker.profile.enabled": False,
    # Fifty times a second, every server would see whether it is late, and take time from the trials.
    "distributed.admin.tick.interval": "500 ms",
    "distributed.admin.system-monitor.interval": "5 s",
}
SPAWN = "distributed.nanny.pre-spawn-environ"
"""What Dask sets in the environment of its workers."""


def memory_limit() -> int:
    """Bytes that a local worker may take: what ESPALIER_WORKER_MEMORY says, or its share of the machine's.

    Raises:
        UserError: the variable holds no size.
    """
    given = os.environ.get(MEMORY)
    if not given:
        return int(SHARE * MEMORY_LIMIT / cores())
    try:
        return int(parse_bytes(given))
    except ValueError:
        raise UserError(f"{MEMORY} is {quoted(given)}; give a size such as 2 GB") from None


@contextmanager
def connected(address: str | None) -> Iterator[Client]:
    """A client of the cluster at an address, or of a local one made for the occasion.

    Raises:
        UserError: no scheduler answers there, or it is lost on the way.
    """
    if not address:
        with _local() as client:
            yield client
        return
    try:
        joined = Client(address, timeout=database.SECONDS)
    except (OSError, ValueError) as fault:
        reason = str(fault).splitlines()[0][:200]
        raise UserError(f"No scheduler answers at {address} within {database.SECONDS} s: {reason}") from None
    with joined as client:
        try:
            yield client
        except (OSError, CancelledError):
            raise UserError(
                f"The scheduler at {address} was lost; resume the study when it, or another, runs"
            ) from None


@contextmanager
def _local() -> Iterator[Client]:
    # Dask has workers give every freed block back to the system, and each batch of images then waits twice as long.
    kept = {name: value for name, value in dask.config.get(SPAWN).items() if name != "MALLOC_TRIM_THRESHOLD_"}
    # The engine itself counts who dies of what.
    scheduler = {"host": HOST, "dashboard_address": f"{HOST}:0", "allowed_failures": 0}
    with (
        dask.config.set({**SETTINGS, SPAWN: kept}),
        SpecCluster(workers_of(gpus()), {"cls": Scheduler, "options": scheduler}, silence_logs=WARNING) as cluster,
        Client(cluster) as client,
    ):
        yield client


def workers_of(accelerators: Sequence[str]) -> dict[int, Row]:
    """Local workers as Dask wants them described: one for every core, the first ones with an accelerator each."""
    # Forked workers would otherwise have the variables of the moment at which the first one was forked.
    env = prepare_forks()
    own = {"host": HOST, "nthreads": 1, "memory_limit": memory_limit(), "dashboard": False, "silence_logs": WARNING}
    specs = {}
    for number in range(max(cores(), len(accelerators))):
        has = number < len(accelerators)
        mine = {"env": {**env, **({"CUDA_VISIBLE_DEVICES": accelerators[number]} if has else {})}}
        specs[number] = {"cls": Nanny, "options": {**own, **mine, "resources": {GPU: 1} if has else {}}}
    return specs
