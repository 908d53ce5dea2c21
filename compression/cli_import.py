"""``espalier import``: somebody's model as a model file of ours, with its card."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from compression.card import model_card_of
from compression.cli_tables import card_tables, print_json, progress
from compression.models.architectures import TRUSTED
from compression.models.files import save_weights
from compression.models.imports import import_model
from compression.registry import UserError, quoted
from compression.training import prepare_process


def imported(arguments: argparse.Namespace) -> None:
    """Build, fill and describe a model; write its file and its card."""
    prepare_process()
    config, shape = config_of(arguments.config), shape_of(arguments.input)
    mean, std = numbers_of("--mean", arguments.mean), numbers_of("--std", arguments.std)
    out = arguments.out or Path(f"{re.split('[:.]', arguments.architecture)[-1]}.safetensors")
    _check_out(out, arguments.weights)
    # Whoever names a function here has been asked, and means it; a file that names one has not.
    os.environ[TRUSTED] = ",".join(filter(None, (os.environ.get(TRUSTED), arguments.architecture)))
    with progress() as bar:
        bar.add_task(f"importing {arguments.architecture}", total=None)
        made = import_model(
            arguments.architecture, config, arguments.classes, shape, arguments.weights, arguments.pretrained, mean, std
        )
        card = model_card_of(out.stem, made.model, made.blueprint, made.notes)
    save_weights(made.model, made.blueprint, out)
    beside = out.with_suffix(".json")
    beside.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {out} and {beside}", file=sys.stderr)
    return print_json(card) if arguments.json else card_tables(card)


def config_of(text: str) -> dict[str, Any]:
    """The options of an architecture. Raises UserError where they are not a JSON object."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise UserError(f"--config is {quoted(text)}; give a JSON object such as '{{\"hidden\": [64]}}'")
    return config


def shape_of(text: str | None) -> tuple[int, ...] | None:
    """Read ``3x224x224``. Raises UserError where it is not three whole numbers."""
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,7}([x×]\d{1,7}){2}", text):
        raise UserError(f"--input is {quoted(text)}; give channels, height and width such as 3x224x224")
    return tuple(int(part) for part in re.split("[x×]", text))


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
