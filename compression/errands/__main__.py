"""The process of an errand: ``python -m compression.errands FOLDER``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import psutil

from compression.data.root import data_root
from compression.errands.folder import WORK, read_order
from compression.errands.orders import ERRANDS, Say
from compression.machine import memory
from compression.registry import UserError
from compression.studies.watch import State, write_state
from compression.training import prepare_process

MEMORY = {"data": 6 * 2**30, "model": 32 * 2**30}
"""Bytes that what a stranger sends may take, over what the process begins with.

Measured: a data set takes its pixels, of which 4 GiB are read, and one image decoded; a model seven times its weights.
"""


def main(folder: Path) -> int:
    """Carry out what was ordered in a folder, and write there how far it is and what it came to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what is half written is taken away again
    present = State(state="running", total=100, pid=os.getpid())
    write_state(folder, present)
    os.environ["ESPALIER_DATA"] = str(data_root().absolute())
    os.chdir(folder / WORK)  # errors name files as the order does, not where this server keeps them
    prepare_process()

    def say(share: float, what: str) -> None:
        write_state(folder, present.model_copy(update={"done": round(100 * share), "message": what}))

    try:
        ended = _outcome(folder, say)
    finally:
        shutil.rmtree(folder / WORK, ignore_errors=True)
    write_state(folder, present.model_copy(update=ended))
    return 0


def _outcome(folder: Path, say: Say) -> dict[str, object]:
    """Carry out the order; what the state says of its end."""
    try:
        order = read_order(folder)
        if order.kind in MEMORY:
            _bound(MEMORY[order.kind])
        found = ERRANDS[order.kind](order, say)
    except UserError as fault:
        return {"state": "failed", "message": str(fault)}
    except Exception as fault:
        full = isinstance(fault, MemoryError) or "allocate memory" in str(fault)  # the latter is torch's
        if full and order.kind in MEMORY:
            return {"state": "failed", "message": "It takes more memory than an upload may; bring something smaller"}
        traceback.print_exc()  # into the log, where the one who runs the server looks
        return {"state": "failed", "message": " ".join(f"{type(fault).__name__}: {fault}".split())[:200]}
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
    return {"state": "done", "done": 100}


def _bound(more: int) -> None:
    """Limit the memory of this process to so many bytes over what it has, as far as there are as many."""
    try:
        import resource
    except ImportError:  # not on every system
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)  # which stays, for processes that set a limit of their own
    most = psutil.Process().memory_info().vms + min(more, memory())
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
