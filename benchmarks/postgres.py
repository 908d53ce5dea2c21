"""A PostgreSQL server of a benchmark's own, on loopback and with its usual settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from benchmarks.browsing import free_port


def programs() -> Path | None:
    """Where PostgreSQL's programs lie, which Debian keeps off the path; None where it, or psycopg, is not installed."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders and find_spec("psycopg") else None


@contextmanager
def postgres(binaries: Path) -> Iterator[str]:
    """Run a server with an empty database; its address."""
    port = free_port()
    # It does not run as root.
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        if nobody:
            Path(folder).chmod(0o711)
            os.chown(data, 65534, 65534)

        def run(program: str, *arguments: str) -> None:
            command = [*nobody, str(binaries / program), "-D", str(data), *arguments]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        run("initdb", "-A", "trust", "-U", "studies")
        run("pg_ctl", "-w", "-o", options, "-l", str(data / "log"), "start")
        try:
            yield f"postgresql+psycopg://studies@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "fast", "stop")
