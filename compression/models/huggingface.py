"""Image classifiers of Hugging Face's ``transformers``: from a local folder, offline, without code of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from compression.models.given import Given
from compression.normalisation import checked_normalisation
from compression.registry import UserError, quoted

LABELS = ("id2label", "label2id", "num_labels")
"""Settings that the number of classes replaces."""


class Logits(nn.Module):
    """A classifier that gives its logits N×K alone, where ``transformers`` gives them with what else there is."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits N×K."""
        logits: Tensor = self.model(x_NCHW).logits
        return logits


def huggingface_model(settings: dict[str, Any], num_classes: int) -> nn.Module:
    """A classifier with random weights, of the settings that a ``config.json`` holds.

    Raises:
        UserError: transformers is not installed.
    """
    library = _library()
    own = {key: value for key, value in settings.items() if key not in ("model_type", *LABELS)}
    config = library.AutoConfig.for_model(settings["model_type"], **own, num_labels=num_classes)
    # Said, since settings may name others, which would be fetched; and eager is what every exporter understands.
    return Logits(library.AutoModelForImageClassification.from_config(config, attn_implementation="eager"))


def read_folder(folder: Path) -> Given:
    """Read ``config.json``, ``model.safetensors`` and, where there is one, ``preprocessor_config.json``.

    Raises:
        UserError: transformers is not installed, or the folder does not hold a whole image classifier.
    """
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise UserError(f"There is no {name} in {quoted(str(folder))}; give a folder that save_pretrained wrote")
    library = _library()
    try:
        model, told = library.AutoModelForImageClassification.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, output_loading_info=True,
            attn_implementation="eager",
        )  # fmt: skip
    except Exception as fault:  # whatever a stranger's configuration makes the library raise
        reason = " ".join(f"{type(fault).__name__}: {fault}".split())[:200]
        raise UserError(
            f"{quoted(str(folder))} is no image classifier that transformers can build ({reason})"
        ) from None
    wrong = [name for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for name in told[kind]]
    if wrong:
        first = quoted(str(sorted(map(str, wrong))[0]))
        raise UserError(
            f"The weights in {quoted(str(folder))} do not fit its config.json: {len(wrong)}, such as {first}"
        )
    settings = {key: value for key, value in model.config.to_diff_dict().items() if key not in LABELS}
    shown = _shown(folder / "preprocessor_config.json")
    channels = int(getattr(model.config, "num_channels", 3))
    mean, std = (shown.get(name) if shown.get("do_normalize", True) else None for name in ("image_mean", "image_std"))
    return Given(
        Logits(model).state_dict(),
        where=str(folder),
        options={"settings": settings},
        input_shape=(channels, *_side(shown, model.config)),
        normalisation=None if mean is None or std is None else checked_normalisation(mean, std, channels),
    )


def _library() -> Any:
    os.environ["HF_HUB_OFFLINE"] = "1"  # it is looked at once, on import: nothing is ever fetched
    try:
        import transformers
    except ImportError:
        raise UserError(
            "A Hugging Face folder needs the package transformers; install it with: pip install transformers"
        ) from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def _shown(path: Path) -> dict[str, Any]:
    """How images are prepared; nothing where the folder does not say."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{quoted(str(path))} is not a JSON object")
    return found


def _side(shown: dict[str, Any], config: Any) -> tuple[int, int]:
    """Height and width of an image: as cropped, else as resized, else as configured, else 224."""
    steps = (("do_center_crop", "crop_size"), ("do_resize", "size"))
    sizes = [shown.get(size) for step, size in steps if shown.get(step, True)]
    for size in (*sizes, getattr(config, "image_size", None), 224):
        if isinstance(size, dict):
            size = (size.get("height"), size.get("width")) if "height" in size else size.get("shortest_edge")
        pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
        if len(pair) == 2 and all(isinstance(side, int) for side in pair):
            return pair
    raise AssertionError  # 224 is a side
