"""Start the dashboard: ``python -m pages._serve``, with Streamlit's own options after it.

What the first page needs is imported and loaded while the server starts and the browser opens,
which takes as long as the page itself.
"""

import sys
from pathlib import Path
from threading import Thread

from streamlit.web.cli import main


def warm() -> None:
    """Load the first model with its data and judge it once, as the first page will."""
    import pandas  # noqa: F401, first: a chart drawn while another thread is amid this import finds it half there

    from compression.models.zoo import SAMPLES, available
    from compression.subject import load_subject
    from pages import _draw, _workbench  # noqa: F401, for their imports

    first = SAMPLES[available()[0]]
    _workbench.before(load_subject(first.name, first.data))


if __name__ == "__main__":
    Thread(target=warm, daemon=True).start()
    main(["run", str(Path(__file__).parents[1] / "app.py"), *sys.argv[1:]])
