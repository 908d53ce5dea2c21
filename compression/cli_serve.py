"""``espalier serve``: the dashboard for whoever sits at this machine, or for a team that logs in."""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from compression.data.quota import QUOTAS, allowed
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
    if not 1 <= arguments.port <= 65535:
        raise UserError(f"port is {arguments.port}; it must lie in 1 to 65535")
    if not (ROOT / "pages" / "_serve.py").is_file():
        raise UserError(f"The pages are not in {ROOT}: a package has the commands alone; serve from a checkout")
    variables = _quotas(arguments) | {"ESPALIER_DATA": str(data_root().absolute())}  # it runs in another folder
    options = ["--server.port", str(arguments.port), "--server.address", arguments.address]
    if arguments.team:
        options += _team(arguments)
        variables[VARIABLE] = str(arguments.allow.resolve())
    else:
        options += _alone(arguments)
    if arguments.keep_days is not None:
        from compression.studies.tidy import clean  # here, since it loads Optuna, which this needs for nothing else

        print(f"espalier: removed {len(clean(arguments.keep_days))} old files that no study uses", file=sys.stderr)
    command = [sys.executable, "-m", "pages._serve", *options]
    os.chdir(ROOT)
    os.execve(sys.executable, command, {**os.environ, **variables})


def _quotas(arguments: argparse.Namespace) -> dict[str, str]:
    """The variables that hold what may be taken, those given here first; what they hold is checked."""
    given = {quota.variable: getattr(arguments, key) for key, quota in QUOTAS.items()}
    variables = {name: value for name, value in given.items() if value is not None}
    with working_for(NOBODY):
        for key in QUOTAS:
            allowed(key, {**os.environ, **variables})
    return variables


def _alone(arguments: argparse.Namespace) -> list[str]:
    """Streamlit's options without a login: this machine alone, unless that is asked for in so many words."""
    if arguments.allow:
        raise UserError("--allow is given without --team; who may enter is asked of a team that logs in")
    if arguments.disk:
        raise UserError("--disk is given without --team; it limits what users take who have rooms of their own")
    if is_loopback(arguments.address):
        return []
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
