"""``python -m tests.faults.spoiled NAME FAULT``: an engine whose database goes bad once a trial is in it.

What SQLite then says is its own: it was told that it may not write, or that there is no more room.
"""

from __future__ import annotations

import sys
from typing import Any

from sqlalchemy import event

from compression.studies import database, engine, recording

FAULTS = {"read-only": "PRAGMA query_only = 1", "full": "PRAGMA max_page_count = 1"}


def spoil(fault: str) -> None:
    """Have every connection be bad from the first finished trial on."""
    finish = recording.finish

    def finished(*arguments: Any) -> None:
        finish(*arguments)

        def bad(connection: Any, *rest: Any) -> None:
            connection.execute(FAULTS[fault])

        with database.talking() as storage:
            if not event.contains(storage.engine, "checkout", bad):
                event.listen(storage.engine, "checkout", bad)

    recording.finish = finished


if __name__ == "__main__":
    spoil(sys.argv[2])
    sys.exit(engine.main(sys.argv[1:2]))
