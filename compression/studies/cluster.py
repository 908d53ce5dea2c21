"""The Dask cluster that a study runs on: a local one with a worker for every core, or one that exists already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import dask
import psutil
from distributed import Client, LocalCluster

from compression.machine import cores, versions
from compression.registry import UserError
from compression.studies import store
from compression.studies.trial import differing

TRIES = 2
"""How many workers a setting may take with it before it is marked failed."""
SPAWN = "distributed.nanny.pre-spawn-environ"
"""What Dask sets in the environment of its workers."""
LOCAL = ("127.0.0.1", "localhost", "::1")


def check_address(cluster: str | None, insecure: bool) -> None:
    """Raise UserError for plain tcp to another machine: whoever listens could run code in its name."""
    parts = urlsplit(cluster or "tls:")
    if not insecure and parts.scheme != "tls" and parts.hostname not in LOCAL:
        raise UserError(f"--cluster is {cluster}, which is not encrypted; use tls://, or say --insecure")


def check_workers(client: Client) -> None:
    """Raise UserError where a worker has other versions of the libraries that numbers depend on."""
    for worker, found in client.run(versions).items():
        if found != versions():
            raise UserError(f"The worker {worker} has {differing(found, versions())}")


@contextmanager
def connected(address: str | None) -> Iterator[Client]:
    """A client of the cluster at an address, or of a local one made for the occasion.

    Raises:
        UserError: no scheduler answers there.
    """
    if address:
        try:
            joined = Client(address, timeout=store.SECONDS)
        except (OSError, ValueError) as fault:
            reason = str(fault).splitlines()[0][:200]
            raise UserError(f"No scheduler answers at {address} within {store.SECONDS} s: {reason}") from None
        with joined as client:
            yield client
        return
    # Dask has workers give every freed block back to the system, and each batch of images then waits twice as long.
    kept = {name: value for name, value in dask.config.get(SPAWN).items() if name != "MALLOC_TRIM_THRESHOLD_"}
    limit = int(0.8 * psutil.virtual_memory().total / cores())
    with (
        dask.config.set({SPAWN: kept, "distributed.worker.profile.enabled": False}),
        LocalCluster(
            n_workers=cores(), threads_per_worker=1, memory_limit=limit, dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"allowed_failures": TRIES - 1},
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client
