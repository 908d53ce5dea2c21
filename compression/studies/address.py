"""Addresses of Dask schedulers, checked before anything is sent to one."""

from __future__ import annotations

from urllib.parse import urlsplit

from compression.registry import UserError

LOCAL = ("127.0.0.1", "localhost", "::1")


def check_address(cluster: str | None, insecure: bool) -> None:
    """Raise UserError for plain tcp to another machine: whoever listens could run code in its name."""
    parts = urlsplit(cluster or "tls:")
    if not insecure and parts.scheme != "tls" and parts.hostname not in LOCAL:
        raise UserError(f"--cluster is {cluster}, which is not encrypted; use tls://, or say --insecure")
