"""What must hold after every fault: nothing measured is lost, nothing is counted twice, and the page knows."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from compression.registry import UserError
from compression.studies import control, records
from compression.studies.control import Status
from compression.studies.driver import run_study
from compression.studies.study import Study
from tests.studies.plans import WAIT, once, until

ROOT = Path(__file__).parents[2]


def account(study: Study, state: str, measured: int, before: Collection[str] = ()) -> Status:
    """Check a study after a fault; how it is, as a page reads it.

    Args:
        study: that met the fault.
        state: that it is to be in.
        measured: how many settings have numbers.
        before: keys that were measured before the fault.
    """
    keys, present = once(study), control.status(study.name)
    assert (present.state, len(keys), present.done) == (state, measured, measured), present
    assert set(before) <= set(keys), "something measured was lost"
    assert len(records.rows(study.name)) == measured
    return present


def some_measured(study: Study) -> list[str]:
    """Wait for the first numbers; the keys of what is measured."""
    until(lambda: once(study))
    return once(study)


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that is there until the block ends."""
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=subprocess.DEVNULL) as one:
        try:
            yield one
        finally:
            one.terminate()


@contextmanager
def running(study: Study, address: str, faults: list[str] | None = None) -> Iterator[None]:
    """Have an engine run a study meanwhile, to its end; what ends it early goes to ``faults``."""
    ended: list[str] = []

    def run() -> None:
        try:
            ended.append(run_study(study.name, address))
        except UserError as fault:
            if faults is None:
                raise
            faults.append(str(fault))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(WAIT)
    assert ended or faults, "it goes on and on"
