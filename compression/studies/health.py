"""``python -m compression.studies.health``: whether a dashboard on this machine answers, and the storage too."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from compression.registry import UserError
from compression.studies import store

SECONDS = 5


def check_dashboard(port: int) -> None:
    """Raise UserError where no dashboard answers at this port."""
    try:
        with closing(HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
            connection.request("GET", "/_stcore/health")
            status = connection.getresponse().status
    except (OSError, HTTPException) as fault:
        raise UserError(f"The dashboard at port {port} does not answer: {fault}") from None
    if status != HTTPStatus.OK:
        raise UserError(f"The dashboard at port {port} answers {status}")


def main(arguments: list[str] | None = None) -> int:
    """The command line: one line for each of the two; 0 where both are well, else 1."""
    parser = argparse.ArgumentParser(prog="python -m compression.studies.health", description=__doc__)
    parser.add_argument("--port", type=int, default=8501, help="of the dashboard (default: 8501)")
    port = parser.parse_args(arguments).port
    well = True
    for what, check in (("dashboard", lambda: check_dashboard(port)), ("storage", store.names)):
        try:
            check()
            print(f"{what}: answers")
        except UserError as fault:
            print(f"{what}: {fault}", file=sys.stderr)
            well = False
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
