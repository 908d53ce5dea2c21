"""A study on PostgreSQL, which restarts in the middle."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compression.registry import UserError
from compression.studies import control, store
from tests.faults.account import account, running, some_measured
from tests.faults.test_engines import free_port
from tests.studies.plans import LONG, made

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240), pytest.mark.usefixtures("own_store")]
Server = Callable[..., None]


def programs() -> Path:
    """Where PostgreSQL's programs lie; Debian keeps them off the path."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("PostgreSQL is not installed (on Debian: apt-get install postgresql)")
    return folders[-1]


@pytest.fixture
def server(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on loopback, whose database the studies are in; call it with what pg_ctl is to do."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'espalier[postgres]')")
    binaries, port = programs(), str(free_port())
    # PostgreSQL does not run as root, and nobody may not look into pytest's folders.
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
            options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
            run("pg_ctl", "-w", "-o", options, "-l", str(data / "log"), *what)

        run("initdb", "-A", "trust", "-U", "studies")
        control("start")
        try:
            monkeypatch.setenv(store.VARIABLE, f"postgresql+psycopg://studies@127.0.0.1:{port}/postgres")
            yield control
        finally:
            store.let_go()
            control("stop", "-m", "immediate")


def test_a_postgresql_server_that_restarts_is_waited_for(server: Server, cluster: str) -> None:
    study = made(LONG.replace("epochs: 4", "epochs: 8"))
    with running(study, cluster):
        before = some_measured(study)
        assert len(before) < 3
        server("restart", "-m", "immediate")
    assert account(study, "done", 3, before).failed == ()


def test_a_postgresql_server_that_is_down_for_a_while_is_waited_for(server: Server, cluster: str) -> None:
    study = made(LONG.replace("epochs: 4", "epochs: 8"))
    with running(study, cluster):
        before = some_measured(study)
        assert len(before) < 3
        server("stop", "-m", "fast")
        with pytest.raises(UserError, match=r"The studies in postgresql\+psycopg://.* cannot be reached: .*refused"):
            control.status("long")
        server("start")
    assert account(study, "done", 3, before).failed == ()
