"""``espalier export``: a model as files that can be shipped."""

from __future__ import annotations

import argparse
import sys

from compression.cli_parser import listed
from compression.cli_tables import print_json, progress, table
from compression.export import export_model
from compression.report.text import size
from compression.training import prepare_process


def export(arguments: argparse.Namespace) -> None:
    """Write the files, and say of each how long it is and how near its logits are to PyTorch's.

    Raises:
        UserError: as ``export_model``.
    """
    prepare_process()
    with progress() as bar:
        task = bar.add_task(f"reading {arguments.result}", total=None)
        formats = listed(arguments.formats)
        card = export_model(
            arguments.result, arguments.to, formats, arguments.data, lambda line: bar.update(task, description=line)
        )
    for note in card["notes"]:
        print(note, file=sys.stderr)
    if arguments.json:
        return print_json(card)
    rows = [
        (
            name,
            size(about["bytes"]),
            f"{about['largest_difference']:.1e}",
            f"opset {about['opset']}" if "opset" in about else "",
        )
        for name, about in card["files"].items()
    ]
    table((f"in {arguments.to}", "size", "largest difference", ""), rows)
    print(f"differences from the model's own logits, as a share of the largest, on {card['compared_on']}")
