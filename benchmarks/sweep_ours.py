"""Espalier's sweep in a process of its own: ``python -m benchmarks.sweep_ours PLAN`` prints JSON.

The seconds run from after the imports to the last point: loading the model and the images, starting
the workers and the baseline are in them.
"""

from __future__ import annotations

import json
import os
import sys
import time

import torchvision  # noqa: F401  # an import like the others: the library leaves it until data are read

from compression.recipe import validated
from compression.studies.plan import Sweep
from compression.studies.sweep import sweep


def main() -> None:
    """Run the plan with as many workers as cores."""
    plan = validated(Sweep, json.loads(sys.argv[1]))
    began = time.perf_counter()
    finished = list(sweep(plan, workers=os.cpu_count() or 1))
    seconds = time.perf_counter() - began
    rows = [done.row for done in finished if done.row]
    print(json.dumps({"seconds": seconds, "rows": rows, "errors": [done.error for done in finished if done.error]}))


if __name__ == "__main__":
    main()
