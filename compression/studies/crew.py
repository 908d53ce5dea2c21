"""Who does what: every worker of a cluster has one trial at a time, so that its death has one cause.

A scheduler that places trials itself lets them wait at busy workers, and takes all that a dying
worker had for suspects. Here only what ran there is one, and it is tried again elsewhere before it
is given up. Workers may come and go; those with other versions of the libraries get nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dask.utils import format_bytes
from distributed import Client, Future, KilledWorker, wait

from compression.machine import versions
from compression.registry import UserError, in_a_line
from compression.studies.cluster import GPU
from compression.studies.tasks import Task
from compression.studies.trial import Made, Trial, differing

TRIES = 2
"""How many workers a setting may take with it before it is marked failed."""
ARRIVAL = 15.0
"""Seconds within which the result of a trial has to come over."""
FULL = "worker-restart-memory"
"""The topic on which Dask tells that a worker was over its memory limit."""
Event = tuple[float, Mapping[str, Any]]


class Crew:
    """The workers behind a client, and what they have to do.

    Attributes:
        refused: what is wrong with each worker that gets no trials, by its address.
    """

    def __init__(self, client: Client, work: Callable[[Trial], Made]) -> None:
        self.refused: dict[str, str] = {}
        self._client, self._work = client, work
        self._running: dict[Future[Any], tuple[Task, str]] = {}
        self._checks: dict[str, Future[Any]] = {}
        self._sound: set[str] = set()
        self._there: dict[str, Mapping[str, Any]] = {}
        self._limits: dict[str, int] = {}
        self._gone = deque[str]()
        self._lost: dict[Any, bool] = {}
        self._full: set[str] = set()
        self._died: defaultdict[int, list[str]] = defaultdict(list)
        client.subscribe_topic("all", self._hear)
        client.subscribe_topic(FULL, lambda event: self._full.add(event[1]["worker"]))

    def close(self) -> None:
        """Hear no more of them."""
        if self._client.status == "running":
            for topic in ("all", FULL):
                self._client.unsubscribe_topic(topic)

    def running(self) -> list[int]:
        """The numbers of the trials under way."""
        return [task.number for task, _ in self._running.values()]

    def complaint(self) -> str:
        """Who is refused and why, in a line; empty where nobody is."""
        return "; ".join(f"The worker {address} has {reason}" for address, reason in self.refused.items())

    def absence(self) -> str:
        """That there is no worker at all, in a line; empty where there is one."""
        return "" if self._there else "The cluster has no worker; the study waits for one"

    def free(self) -> list[str]:
        """The workers that may have a trial now, those with an accelerator first.

        Raises:
            UserError: there are only workers that have other versions of the libraries.
        """
        while self._gone:
            self._forget(self._gone.popleft())
        self._there = dict(self._client.scheduler_info()["workers"])
        for address in self._there.keys() - self._checks.keys() - self._sound - self.refused.keys():
            key = f"versions-{address}-{time.time_ns()}"
            self._checks[address] = self._client.submit(versions, key=key, workers=[address], pure=False)
            self._limits[address] = self._there[address]["memory_limit"]
        for address in [one for one, check in self._checks.items() if check.status != "pending"]:
            self._checked(address, self._checks.pop(address))
        if self._there and self._there.keys() <= self.refused.keys():
            raise UserError(self.complaint())
        ready = self._sound - {worker for _, worker in self._running.values()}
        free = [one for one in self._there if one in ready and self._there[one]["status"] == "running"]
        return sorted(free, key=lambda one: not self._has_gpu(one))

    def give(self, task: Task, worker: str) -> None:
        """Have a worker carry out a trial, on its accelerator where it has one."""
        key = f"trial-{task.number}-{time.time_ns()}"
        trial, takes = (replace(task.trial, device="cuda"), {GPU: 1}) if self._has_gpu(worker) else (task.trial, None)
        future = self._client.submit(self._work, trial, key=key, workers=[worker], resources=takes, pure=False)
        self._running[future] = (task, worker)

    def back(self, seconds: float) -> list[tuple[Task, Made | None]]:
        """What was finished within so many seconds, at the first of it; None for a trial that has to be run again.

        Raises:
            CancelledError: the scheduler was lost.
        """
        waiting = [*self._running, *self._checks.values()]
        with suppress(TimeoutError):
            if waiting:
                wait(waiting, timeout=seconds, return_when="FIRST_COMPLETED")
            else:
                time.sleep(seconds)
        if self._client.status != "running":
            raise CancelledError
        over = [(future, *at) for future, at in self._running.items() if self._is_over(future, at[1])]
        return [self._taken(*one) for one in over]

    def _has_gpu(self, worker: str) -> bool:
        return bool(self._there[worker]["resources"].get(GPU, 0) >= 1)

    def _checked(self, address: str, check: Future[Any]) -> None:
        """Take note of what a worker says of itself."""
        if check.status == "error":
            fault = check.exception()
            if not isinstance(fault, KilledWorker):
                self.refused[address] = f"no Espalier that starts ({type(fault).__name__}: {fault})"
            return
        with suppress(TimeoutError):  # where it is gone meanwhile
            found = check.result(timeout=ARRIVAL)
            if found == versions():
                self._sound.add(address)
            else:
                self.refused[address] = differing(found, versions())

    def _forget(self, address: str) -> None:
        """Another worker may come at the address of one that left."""
        self._sound.discard(address)
        self._checks.pop(address, None)
        self.refused.pop(address, None)

    def _is_over(self, future: Future[Any], worker: str) -> bool:
        return future.status != "pending" or future.key in self._lost or worker not in self._there

    def _taken(self, future: Future[Any], task: Task, worker: str) -> tuple[Task, Made | None]:
        """What a trial that is over came to; it is then no longer under way."""
        del self._running[future]
        made: Made | None = None
        fault = future.exception() if future.status == "error" else None
        if future.status == "finished":
            # The result is still on its worker: where that dies now, this comes in vain.
            with suppress(TimeoutError):
                made = future.result(timeout=ARRIVAL)
        elif fault and not isinstance(fault, KilledWorker):  # the fate of that setting, not of the study
            made = Made(reason=f"{type(fault).__name__}: {in_a_line(fault, 300)}")
        elif self._lost.get(future.key, bool(fault)):
            made = self._mourned(task, worker)
        future.release()
        return task, made

    def _mourned(self, task: Task, worker: str) -> Made | None:
        """Count a worker's death against what it ran; why that is given up, or None where it is tried again."""
        died = self._died[task.number]
        died.append(worker)
        if len(died) < TRIES:
            return None
        full = [one for one in died if one in self._full]
        if full:
            limit = format_bytes(self._limits[full[-1]])
            return Made(reason=f"it took {len(full)} of {TRIES} workers over their memory limit of {limit}")
        return Made(reason=f"it took {TRIES} workers with it")

    def _hear(self, event: Event) -> None:
        """Note which trials a worker took with it, and whether it died; called by the client's own thread."""
        told = event[1]
        if told["action"] == "remove-worker":
            self._lost |= dict.fromkeys(told["processing-tasks"], not told["expected"])
            self._gone.append(told["worker"])
