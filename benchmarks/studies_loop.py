"""A study's recipes one after the other in one process of one thread: ``python -m benchmarks.studies_loop STUDY``."""

from __future__ import annotations

import sys

from compression.studies.making import made
from compression.studies.proposals import proposals
from compression.studies.study import Study
from compression.studies.tasks import trial_of


def main() -> None:
    """Make every trial of a grid, as a worker makes it, and keep nothing."""
    study = Study.from_yaml(sys.argv[1])
    for number, one in enumerate(proposals(study)):
        if one.recipe:
            if not made(trial_of(study, one.recipe, dict(one.setting), number)).row:
                sys.exit(f"no row of {one.setting}")


if __name__ == "__main__":
    main()
