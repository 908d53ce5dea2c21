"""A team's log, without personal data: of a fault it says where and of which kind, not what it says.

A fault's own words may quote what somebody typed, brought or is called.
"""

import logging
import threading
import traceback
from collections.abc import Iterator


def discreet() -> None:
    """Have this process log of every fault its kind and its places alone."""
    before = logging.getLogRecordFactory()

    def record(*given, **more) -> logging.LogRecord:
        made = before(*given, **more)
        if made.exc_info and made.exc_info[1]:
            made.exc_text = described(made.exc_info[1])  # which formatters take as it is
        return made

    def hook(given: threading.ExceptHookArgs) -> None:
        if given.exc_value:
            logging.getLogger("streamlit").error("A thread ended early\n%s", described(given.exc_value))

    logging.setLogRecordFactory(record)
    threading.excepthook = hook


def described(fault: BaseException) -> str:
    """The kinds and places of a fault and of those that led to it, the first one first."""
    return "\n".join(line for one in reversed(list(_led(fault))) for line in (*_places(one), type(one).__name__))


def _led(fault: BaseException | None) -> Iterator[BaseException]:
    while fault:
        yield fault
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def _places(fault: BaseException) -> list[str]:
    frames = traceback.extract_tb(fault.__traceback__)
    return [f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in frames]
