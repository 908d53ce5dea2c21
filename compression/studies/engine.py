"""``python -m compression.studies.engine NAME``: runs a study in a process of its own.

Every worker that is forked imports this module again, as multiprocessing has it; so it imports little.
"""

from __future__ import annotations

import argparse
import sys

from compression.registry import UserError
from compression.studies.forking import end_forks, prepare_forks


def main(arguments: list[str] | None = None) -> int:
    """The command line of the engine."""
    parser = argparse.ArgumentParser(prog="python -m compression.studies.engine", description=__doc__)
    parser.add_argument("name", help="of a study in the store")
    parser.add_argument("--cluster", help="address of a Dask scheduler; by default a local one is started")
    parser.add_argument("--insecure", action="store_true", help="allow plain tcp to another machine")
    given = parser.parse_args(arguments)
    if not given.cluster:
        prepare_forks()
    from compression.studies.driver import run_study  # while the workers' torch is imported

    try:
        run_study(given.name, given.cluster, given.insecure)
    except UserError as fault:
        print(f"engine: {fault}", file=sys.stderr)
        return 2
    finally:
        end_forks()
    return 0


if __name__ == "__main__":
    sys.exit(main())
