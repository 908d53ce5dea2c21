"""Start the dashboard: ``python -m pages._serve``, with Streamlit's own options after it.

What the first page needs is imported and loaded while the server starts and the browser opens,
which takes as long as the page itself; then what the Trade-offs page needs, whose database takes long to open.
"""

import atexit
import gc
import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main

from compression.roster import VARIABLE
from pages._logs import discreet


def warm() -> None:
    """Load the first model with its data and judge it once, as the first page will."""
    import pandas  # noqa: F401, first: a chart drawn while another thread is amid this import finds it half there

    from compression.models.zoo import SAMPLES, available
    from compression.subject import load_subject
    from pages import _draw, _workbench  # noqa: F401, for their imports

    first = SAMPLES[available()[0]]
    _workbench.before(load_subject(first.name, first.data))
    try:
        warm_store(first.name)
    finally:
        spare_collections()


def warm_store(model: str) -> None:
    """Open the studies' database and look at this model's latest study; what cannot be reached the page says."""
    from compression.registry import UserError
    from pages import _new_study  # noqa: F401, for its imports
    from pages._explore import prepare

    with suppress(UserError):
        prepare(model)


def spare_collections() -> None:
    """Leave what is loaded out of collections of garbage: Streamlit has one after every run of a page.

    It would look at 400,000 objects each time, for 0.2 seconds in which no other session is served.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # some libraries complain of what is left at the end


if __name__ == "__main__":
    options = []
    if os.environ.get(VARIABLE):
        discreet()
        options = ["--logger.enableRich=false"]  # which would write its own log of faults
    # Else a link to one page would run that page's file alone, before app.py asks who is there.
    PagesManager.uses_pages_directory = False
    Thread(target=warm, daemon=True).start()
    main(["run", str(Path(__file__).parents[1] / "app.py"), *options, *sys.argv[1:]])
