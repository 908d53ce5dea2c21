"""A visitor of the dashboard without a browser: speaks to its websocket as Streamlit's own page does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value, generate_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME, XSRF_COOKIE_NAME
from websockets.sync.client import ClientConnection, connect

PATIENCE = 120.0
"""Seconds to wait for the server's next message."""
LARGEST = 256 * 2**20
"""Bytes of a message."""
TEXTS = ("heading", "markdown", "alert", "exception", "text", "code")


@dataclass
class Visitor:
    """One session of the dashboard.

    Attributes:
        socket: to the server.
        session: its id on the server.
        elements: what is on the page, the last of each place.
        states: what the visitor set so far, by the ids of widgets.
        faults: uncaught exceptions, and runs that did not come to their end.
    """

    socket: ClientConnection
    page: str = ""
    query: str = ""
    session: str = ""
    elements: dict[tuple[int, ...], Any] = field(default_factory=dict)
    states: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def open(self, page: str = "", **query: str) -> Visitor:
        """Go to a page and wait until it stands."""
        self.page, self.query, self.states = page, urlencode(query), {}
        self.elements.clear()
        return self.run()

    def set(self, key: str, **value: Any) -> float:
        """Set the widget with this key, as in ``double_array_value={"data": [0.5]}``; seconds until all is drawn."""
        self.states[self.widget(key)] = value
        begun = time.monotonic()
        self.run()
        return time.monotonic() - begun

    def press(self, key: str) -> Visitor:
        """Press a button."""
        name = self.widget(key)
        self.states[name] = {"trigger_value": True}
        self.run()
        del self.states[name]
        return self

    def run(self) -> Visitor:
        """Have the page drawn with what the widgets hold, and wait until it stands."""
        asked = BackMsg()
        asked.rerun_script.query_string, asked.rerun_script.page_name = self.query, self.page
        for name, value in self.states.items():
            state = asked.rerun_script.widget_states.widgets.add(id=name)
            for kind, content in value.items():
                if isinstance(content, Mapping):
                    getattr(state, kind).data.extend(content["data"])
                else:
                    setattr(state, kind, content)
        self.socket.send(asked.SerializeToString())
        while (ended := self._hear()) is None:
            pass
        if ended == ForwardMsg.FINISHED_EARLY_FOR_RERUN:  # it has begun anew by itself
            return self._stand()
        if ended == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self.faults.append("a page does not compile")
        return self

    def _stand(self) -> Visitor:
        while self._hear() in (None, ForwardMsg.FINISHED_EARLY_FOR_RERUN):
            pass
        return self

    def _hear(self) -> int | None:
        """Take in one message; how a run of the script ended, where that is what it says."""
        told = ForwardMsg.FromString(self.socket.recv(PATIENCE))
        kind = told.WhichOneof("type")
        if kind == "new_session":
            self.session = told.new_session.initialize.session_id
        if kind == "delta" and told.delta.HasField("new_element"):
            element = told.delta.new_element
            self.elements[tuple(told.metadata.delta_path)] = element
            if element.HasField("exception"):
                self.faults.append(element.exception.message)
        return told.script_finished if kind == "script_finished" else None

    def widget(self, key: str) -> str:
        """The id of the widget with a key; a widget carries its key at its id's end."""
        for element in self.elements.values():
            shown = getattr(element, element.WhichOneof("type"))
            if getattr(shown, "id", "").endswith(f"-{key}"):
                return str(shown.id)
        raise RuntimeError(f"{self.page or 'the first page'} has no widget {key}: {self.text()[:200]}")

    def text(self) -> str:
        """All words on the page."""
        found = []
        for element in self.elements.values():
            shown = getattr(element, element.WhichOneof("type"))
            found += [str(shown)] if element.WhichOneof("type") in TEXTS else [getattr(shown, "label", "")]
        return "\n".join(found)


@contextmanager
def visit(url: str, secret: str = "", origin: str = "", **login: str) -> Iterator[Visitor]:
    """A visitor of the dashboard at this address.

    Args:
        url: of the server.
        secret: that the server signs logins with; by it a test logs in without a provider.
        origin: the page that the visitor comes from; by default the dashboard's own.
        login: what a provider says of a person, ``sub`` and ``email`` at least.
    """
    token, origin = generate_xsrf_token_string(), origin or url
    cookies = {XSRF_COOKIE_NAME: token, **(login_cookie(origin, secret, **login) if login else {})}
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    address = f"ws://{urlsplit(url).netloc}/_stcore/stream"
    with connect(
        address, origin=origin, subprotocols=["streamlit", token], additional_headers=headers, max_size=LARGEST
    ) as socket:
        yield Visitor(socket)


def login_cookie(origin: str, secret: str, **login: str) -> dict[str, str]:
    """The cookie of somebody who is logged in on a page of ``origin``, by its name; otherwise as in ``visit``."""
    told = json.dumps({"origin": origin, "is_logged_in": True, **login})
    return {USER_COOKIE_NAME: create_signed_value(secret, USER_COOKIE_NAME, told).decode()}
