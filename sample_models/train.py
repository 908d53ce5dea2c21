"""Train a sample model from nothing and write its weights and its card.

python sample_models/train.py digits-cnn
python sample_models/train.py --all
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compression.data.sets import Dataset, load_data  # noqa: E402
from compression.models.files import Blueprint, save_weights  # noqa: E402
from compression.models.zoo import FOLDER, SAMPLES, Sample, rebuild  # noqa: E402
from compression.registry import UserError, pick  # noqa: E402
from compression.results import wilson  # noqa: E402
from compression.training import fit, inputs, predict, recount  # noqa: E402

COUNTED = 20_000
"""Training images on which the BatchNorm of averaged weights is counted anew."""
TRAINED = {name: sample for name, sample in SAMPLES.items() if sample.training}


def train(sample: Sample) -> dict[str, object]:
    """Train one sample model by its settings in the zoo; write both files; return the card."""
    dataset = load_data(sample.data)
    blueprint = Blueprint(sample.architecture, sample.config, sample.input_shape)
    torch.manual_seed(sample.training[0].seed)
    model = blueprint.build()
    ends = []
    for how in sample.training:
        for epoch in fit(model, dataset, **asdict(how)):
            print(
                f"{sample.name}  epoch {epoch.epoch}/{how.epochs}  loss {epoch.train_loss:.4f}  "
                f"validation {epoch.val_accuracy:.2%}  {epoch.seconds:.1f} s",
                flush=True,
            )
        ends.append(copy.deepcopy(model.state_dict()))
    if sample.averaged > 1:
        model.load_state_dict(mean_of(ends[-sample.averaged :]))
        recount(model, dataset, images=COUNTED, augment=sample.training[-1].augment)
    save_weights(model, blueprint, FOLDER / f"{sample.name}.safetensors")
    card = _card(sample, dataset, model)
    (FOLDER / f"{sample.name}.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    return card


def mean_of(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of several networks' weights; counters are those of the last."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if last.is_floating_point() else last
        for name, last in states[-1].items()
    }


def _card(sample: Sample, dataset: Dataset, model: torch.nn.Module) -> dict[str, object]:
    logits = predict(model, inputs(dataset.test, dataset))
    correct, n = int((logits.argmax(1) == dataset.test.labels).sum()), len(dataset.test)
    low, high = wilson(correct, n)
    return {
        "name": sample.name,
        "sentence": sample.sentence,
        "data": sample.data,
        "data_note": dataset.note,
        "split": "test",
        "n": n,
        "accuracy": correct / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "params": sum(p.numel() for p in model.parameters()),
        "seed": sample.training[0].seed,
        "epochs": sum(how.epochs for how in sample.training),
        "mean": dataset.mean,
        "std": dataset.std,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "command": rebuild(sample.name),
    }


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(TRAINED)}")
    parser.add_argument("--all", action="store_true", help="train them all")
    arguments = parser.parse_args()
    names = list(TRAINED) if arguments.all else arguments.names
    try:
        if not names:
            raise UserError(f"Name a model to train, or give --all; choose one of: {', '.join(TRAINED)}")
        for sample in [pick(TRAINED, name, "model to train") for name in names]:
            card = train(sample)
            print(f"{sample.name}: test accuracy {card['accuracy']:.2%}, {card['params']:,} parameters")
    except UserError as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
