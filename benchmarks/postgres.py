"""A PostgreSQL server of a benchmark's or a test's own, on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.browsing import free_port


def programs() -> Path | None:
    """Where PostgreSQL's programs lie, which Debian keeps off the path; None where it, or psycopg, is not installed."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders and find_spec("psycopg") else None


@dataclass(frozen=True)
class Server:
    """A server that runs: its address, and what has pg_ctl start, stop or restart it, with options behind that."""

    address: str
    control: Callable[..., None]


@contextmanager
def postgres(binaries: Path, *settings: str) -> Iterator[Server]:
    """Run a server with an empty database and its usual settings, but for those given: ``fsync=off``."""
    port = free_port()
    # It does not run as root, and nobody may not look into everybody's folders.
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

        def control(*what: str) -> None:
            chosen = ("listen_addresses=127.0.0.1", "unix_socket_directories=''", *settings)
            options = " ".join([f"-p {port}", *(f"-c {one}" for one in chosen)])
            run("pg_ctl", "-w", "-o", options, "-l", str(data / "log"), *what)

        run("initdb", "-A", "trust", "-U", "studies")
        control("start")
        try:
            yield Server(f"postgresql+psycopg://studies@127.0.0.1:{port}/postgres", control)
        finally:
            control("stop", "-m", "immediate")
