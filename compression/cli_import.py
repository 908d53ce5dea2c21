"""``espalier import`` and ``models``: somebody's model as one of ours, with its card; the models that have names."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

from compression.card import Card
from compression.cli_tables import card_tables, models_table, print_json, progress, removed
from compression.library import add_model, options_of, shape_of, write_model
from compression.models.architectures import TRUSTED
from compression.models.imports import import_model
from compression.models.own import remove_model
from compression.models.zoo import cards
from compression.registry import UserError, quoted
from compression.training import prepare_process


def imported(arguments: argparse.Namespace) -> None:
    """Build, fill and describe a model; write its file and its card, or keep both by a name."""
    prepare_process()
    if arguments.name and arguments.out:
        raise UserError("--name and --out are both given; choose a model with a name, or a file")
    # Whoever names a function here has been asked, and means it; a file that names one has not.
    os.environ[TRUSTED] = ",".join(filter(None, (os.environ.get(TRUSTED), arguments.architecture)))
    with progress() as bar:
        bar.add_task(f"importing {arguments.architecture}", total=None)
        card, told = _named(arguments) if arguments.name else _filed(arguments)
    print(told, file=sys.stderr)
    return print_json(card) if arguments.json else card_tables(card)


def _named(arguments: argparse.Namespace) -> tuple[Card, str]:
    return add_model(arguments.name, **_asked(arguments), data=arguments.data), f"'{arguments.name}' is a model now"


def _filed(arguments: argparse.Namespace) -> tuple[Card, str]:
    if arguments.data:
        raise UserError("--data is for models with a name; give --name, or --classes and --input")
    out = arguments.out or Path(f"{Path(re.split('[:.]', arguments.architecture)[-1]).name}.safetensors")
    _check_out(out, arguments.weights)
    return write_model(out, import_model(**_asked(arguments))), f"wrote {out} and {out.with_suffix('.json')}"


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "architecture": arguments.architecture,
        "config": options_of(arguments.config, "--config"),
        "classes": arguments.classes,
        "input_shape": shape_of(arguments.input, "--input") if arguments.input is not None else None,
        "weights": arguments.weights,
        "pretrained": arguments.pretrained,
        "mean": numbers_of("--mean", arguments.mean),
        "std": numbers_of("--std", arguments.std),
    }


def numbers_of(option: str, text: str) -> tuple[float, ...]:
    """Read ``0.485,0.456,0.406``; none where nothing is given. Raises UserError where it is not numbers."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise UserError(
            f"{option} is {quoted(text)}; give a number for each channel such as 0.485,0.456,0.406"
        ) from None


def _check_out(out: Path, weights: Path | None) -> None:
    if out.suffix != ".safetensors":
        raise UserError(f"--out is {quoted(str(out))}; give a file that ends in .safetensors")
    if weights and weights.absolute() == out.absolute():
        raise UserError(f"--out would write over the weights at {quoted(str(out))}; give another name")
    if not out.parent.is_dir():
        raise UserError(f"There is no folder {quoted(str(out.parent))} to write --out into")


def models(arguments: argparse.Namespace) -> None:
    """List the models that have names, or delete one of your own."""
    if arguments.action is None:
        return print_json(cards()) if arguments.json else models_table(cards())
    removed("model", arguments.what, arguments.yes, remove_model)
