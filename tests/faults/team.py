"""A team's dashboard, really started, and what strangers and colleagues send to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from benchmarks.browsing import Server, free_port, wait_for
from benchmarks.visitor import Visitor, visit
from compression.owner import owner_id

ROOT = Path(__file__).parents[2]
SECRET = "what signs the logins of these tests"
ISSUER = "https://login.example"
SECRETS = f"""
[auth]
redirect_uri = "http://localhost:{{port}}/oauth2callback"
cookie_secret = "{SECRET}"
client_id = "id"
client_secret = "secret"
server_metadata_url = "http://localhost:1/.well-known/openid-configuration"
"""
BROKEN = """
import runpy
from pages import _workbench
def broken():
    try:
        open("/home/anna/x-ray of ben.png")
    except OSError as fault:
        raise RuntimeError("anna@example.org brought 'patients.zip'") from fault
_workbench.prepare_process = broken
runpy.run_module("pages._serve", run_name="__main__", alter_sys=True)
"""
"""A dashboard whose pages raise, with personal data in the words of the fault and of the one behind it."""


@dataclass(frozen=True)
class Team:
    """A running dashboard that asks for a login: its process, port, data root, temporary files and log."""

    pid: int
    port: int
    data: Path
    temporary: Path
    log: Path

    @property
    def url(self) -> str:
        """Under the name that logins come back to."""
        return f"http://localhost:{self.port}"

    def visit(self, name: str = "", secret: str = SECRET) -> AbstractContextManager[Visitor]:
        """A visitor who is logged in as NAME@example.org, or not at all."""
        return visit(self.url, secret, **(login_of(name) if name else {}))

    def ask(self, method: str, path: str, body: bytes | Iterator[bytes] = b"", **headers: str) -> HTTPResponse:
        """What the server answers; header names are written with _ for -."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            with closing(connection.getresponse()) as answer:
                return answer


def login_of(name: str) -> dict[str, str]:
    """What the provider says of a visitor."""
    return {"iss": ISSUER, "sub": name, "email": f"{name}@example.org"}


def id_of(name: str) -> str:
    """The owner's id of a visitor."""
    return owner_id(f"{ISSUER} {name}")


@contextmanager
def team(home: Path, script: str = "") -> Iterator[Team]:
    """Start a dashboard for everybody at example.org but eve; with ``script`` in the place of the usual start."""
    start = ["-c", script] if script else ["-m", "pages._serve"]
    options = ["--server.headless", "true", "--server.maxUploadSize", "1", "--server.port"]
    with _running(home, [*start, *options], SECRETS) as found:
        yield found


@contextmanager
def served(home: Path, secrets: str) -> Iterator[Team]:
    """The same by ``espalier serve --team``, with secrets of one's own, in which ``{port}`` is where it listens."""
    pytest.importorskip("authlib", reason="Authlib is not installed (pip install 'espalier[team]')")
    command = ["-c", "import sys; from compression.cli import main; sys.exit(main())"]
    with _running(home, [*command, "serve", "--team", "--allow", str(home / "team.txt"), "--port"], secrets) as found:
        yield found


@contextmanager
def _running(home: Path, command: list[str], secrets: str) -> Iterator[Team]:
    """Run Python with a command that ends with the port, in a home of its own, until the block ends."""
    port, log = free_port(), home / "server.log"
    (home / ".streamlit").mkdir(parents=True)
    (home / "tmp").mkdir()
    (home / ".streamlit" / "secrets.toml").write_text(secrets.replace("{port}", str(port)))
    (home / "team.txt").write_text("anna@example.org\nben@example.org\n")
    ours = ("STREAMLIT_", "ESPALIER_", "PYTEST_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    variables |= {"HOME": str(home), "TMPDIR": str(home / "tmp"), "ESPALIER_DATA": str(home / "data")}
    variables |= {"ESPALIER_TEAM": str(home / "team.txt"), "PYTHONPATH": str(ROOT)}
    with log.open("w") as sink:
        command = [sys.executable, *command, str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=sink, stderr=sink)
        try:
            found = Team(process.pid, port, home / "data", home / "tmp", log)
            wait_for(Server(f"http://127.0.0.1:{port}", process), log=log)
            yield found
        finally:
            process.kill()
            process.wait()
