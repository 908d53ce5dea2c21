"""``espalier serve``: the dashboard for whoever sits at this machine, or for a team that logs in."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tomllib
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from compression.data.quota import QUOTAS, allowed, amount
from compression.data.root import data_root
from compression.owner import NOBODY, working_for
from compression.registry import UserError, quoted
from compression.roster import VARIABLE, read_roster

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SECRET = 32
"""Characters that the secret which signs logins must have at least."""


def serve(arguments: argparse.Namespace) -> NoReturn:
    """Become the dashboard, so that what is sent to this process reaches it.

    Raises:
        UserError: the pages are not here, or what was asked for would let strangers in.
    """
    if not (ROOT / "pages" / "_serve.py").is_file():
        raise UserError(f"The pages are not in {ROOT}: a package has the commands alone; serve from a checkout")
    variables = _quotas(arguments) | {"ESPALIER_DATA": str(data_root().absolute())}  # it runs in another folder
    options = ["--server.port", str(arguments.port), "--server.address", arguments.address]
    if arguments.team:
        options += _team(arguments)
        variables[VARIABLE] = str(arguments.allow.resolve())
    else:
        options += _alone(arguments)
    _check_port(arguments.address, arguments.port)
    if arguments.keep_days is not None:
        if not arguments.keep_days >= 1:
            raise UserError(f"--keep-days is {arguments.keep_days:g}; it must be at least 1")
        from compression.studies.tidy import clean  # here, since it loads Optuna, which this needs for nothing else

        print(f"espalier: removed {len(clean(arguments.keep_days))} old files that no study uses", file=sys.stderr)
    command = [sys.executable, "-m", "pages._serve", *options]
    os.chdir(ROOT)
    os.execve(sys.executable, command, {**os.environ, **variables})


def _quotas(arguments: argparse.Namespace) -> dict[str, str]:
    """The variables that hold what may be taken, as given here; what they hold now is checked too."""
    variables = {}
    for key, quota in QUOTAS.items():
        if (given := getattr(arguments, key)) is None:
            with working_for(NOBODY):
                allowed(key)
        else:
            amount(quota, given, f"--{key}")
            variables[quota.variable] = given
    return variables


def _check_port(address: str, port: int) -> None:
    """Raise UserError where nothing can listen there: the port is taken, or the address is not this machine's."""
    if not 1 <= port <= 65535:
        raise UserError(f"--port is {port}; it must lie in 1 to 65535")
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            tried.bind((address, port))
    except OSError as fault:
        raise UserError(
            f"Nothing can listen at --address {quoted(address)} --port {port} ({fault.strerror}); choose another"
        ) from None


def _alone(arguments: argparse.Namespace) -> list[str]:
    """Streamlit's options without a login: this machine alone, unless that is asked for in so many words."""
    if arguments.allow:
        raise UserError("--allow is given without --team; who may enter is asked of a team that logs in")
    if arguments.disk:
        raise UserError("--disk is given without --team; it limits what users take who have rooms of their own")
    if is_loopback(arguments.address):
        # As an address is written in a browser, which Streamlit prints as it is given.
        return [f"--browser.serverAddress=[{arguments.address}]"] if ":" in arguments.address else []
    if not arguments.insecure:
        raise UserError(
            f"--address is {quoted(arguments.address)}, where others reach the dashboard without a login; "
            "ask for one with --team, or say --insecure"
        )
    print("espalier: whoever reaches this machine can use the dashboard: no login is asked for", file=sys.stderr)
    return ["--server.allowedHosts=*"]


def _team(arguments: argparse.Namespace) -> list[str]:
    """Streamlit's options with a login: under the address that its provider sends people back to, and no other."""
    if not arguments.allow:
        raise UserError("--team needs --allow FILE, with an e-mail address or @domain a line: a login is no permission")
    read_roster(arguments.allow)
    if find_spec("authlib") is None:
        raise UserError("--team needs Authlib, which is not installed; run: pip install 'espalier[team]'")
    address = urlsplit(login()["redirect_uri"])
    if address.scheme != "https" and not is_loopback(address.hostname or "") and not arguments.insecure:
        raise UserError(
            f"redirect_uri is {quoted(address.geturl())}, which sends logins unencrypted; give https, or say --insecure"
        )
    hosts = dict.fromkeys((address.hostname, *LOOPBACK))
    return [
        "--server.headless=true",
        f"--server.corsAllowedOrigins={address.scheme}://{address.netloc}",
        *(f"--server.allowedHosts={host}" for host in hosts),
    ]


def is_loopback(address: str) -> bool:
    """Whether an address is one of this machine that no other machine reaches."""
    try:
        return address == "localhost" or ip_address(address).is_loopback
    except ValueError:
        return False


def login() -> dict[str, Any]:
    """What Streamlit's secrets say of logging in.

    Raises:
        UserError: there is no such section, it cannot be read, or lacks what a login needs.
    """
    path = next((path for path in secrets_files() if path.is_file()), None)
    if path is None:
        raise UserError(f"--team needs [auth] in {secrets_files()[0]}; docs/deployment.md has an example")
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("auth", {})
    except (OSError, ValueError) as fault:
        raise UserError(f"{path} cannot be read: {str(fault).splitlines()[0]}") from None
    for name in ("redirect_uri", "cookie_secret"):
        if not isinstance(found, dict) or not isinstance(found.get(name), str):
            raise UserError(f"[auth] in {path} has no {name}; docs/deployment.md has an example")
    if len(found["cookie_secret"]) < SECRET:
        raise UserError(f"cookie_secret in {path} is too short to sign logins with; give at least {SECRET} characters")
    return dict(found)


def secrets_files() -> tuple[Path, Path]:
    """Where Streamlit looks for secrets: those of this checkout go before the user's."""
    return ROOT / ".streamlit" / "secrets.toml", Path.home() / ".streamlit" / "secrets.toml"
