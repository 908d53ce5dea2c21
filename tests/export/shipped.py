"""Pruned sample models in folders, and the fresh processes that load them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from compression.data.sets import load_data
from compression.models.files import Blueprint, Loaded, save_weights
from compression.models.zoo import load
from compression.pruning import prune
from compression.recipe import Prune, fixed_sparsity, validated
from compression.subject import Subject, granularities

ROOT = Path(__file__).parents[2]
LOADERS = """
import sys, importlib
from pathlib import Path
import numpy as np, torch

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("compression", "torchvision"):
            raise ImportError(f"{name} is not to be had here")

def check(model, folder):
    with torch.no_grad():
        given = model(torch.from_numpy(np.load(folder / "images.npy"))).numpy()
    assert np.array_equal(given, np.load(folder / "logits.npy")), folder
    assert not model.training

sys.meta_path.insert(0, Refused())
torch.set_num_threads(1)
folders = list(map(Path, sys.argv[1:]))
for folder in folders:
    sys.path.insert(0, str(folder))
    loader = importlib.import_module("load_model")
    check(loader.load_model(), folder)
    check(loader.load_model(folder / "model.packed"), folder)
    sys.path.remove(str(folder))
    sys.modules.pop("load_model"), sys.modules.pop("packing")
    print("plain", folder.name)

del sys.meta_path[0]
from compression import load_model, load_packed

for folder in folders:
    model = load_model(folder)
    check(model, folder)
    model.load_state_dict(load_packed(folder / "model.packed"))
    check(model, folder)
    print("own", folder.name)
"""
"""Each folder's files first without Espalier and torchvision, by ``load_model.py``, and then by the public names."""


def real_images(shape: Sequence[int], n: int = 6) -> Tensor:
    """Test images of digits, as large as a model wants them; plain layout, as a stranger would give them."""
    digits = load_data("digits").test.images[:n].float() / 128 - 1
    resized = F.interpolate(digits, size=tuple(shape[1:]), mode="bilinear")
    return resized.expand(n, *shape).contiguous()


def pruned_samples(names: Iterable[str]) -> dict[str, Loaded]:
    """Each sample model pruned in every granularity that it can bear, and as it is."""
    made = {}
    for name in names:
        loaded = load(name)
        subject = Subject(name, loaded.model, loaded.blueprint, load_data("digits"))
        made[name] = loaded
        for granularity in granularities(subject):
            amount = fixed_sparsity(granularity) or (0.3 if granularity == "blocks" else 0.5)
            stage = validated(Prune, {"granularity": granularity, "sparsity": amount})
            smaller = prune(loaded.model, stage, loaded.blueprint.input_shape, 0, subject.groups).model
            made[f"{name}-{granularity.replace(':', 'of')}"] = Loaded(smaller, loaded.blueprint)
    return made


def saved(model: torch.nn.Module, blueprint: Blueprint, path: Path) -> str:
    """The path of a model file, which is written here."""
    save_weights(model, blueprint, path)
    return str(path)


def keep_answers(loaded: Loaded, folder: Path) -> None:
    """Put images, and what the model makes of them, beside what was exported."""
    x = real_images(loaded.blueprint.input_shape)
    np.save(folder / "images.npy", x.numpy())
    with torch.no_grad():
        np.save(folder / "logits.npy", loaded.model(x).numpy())


def loaded_afresh(folders: Sequence[Path]) -> list[str]:
    """What a fresh process loaded, and how; what it complained of fails the test."""
    command = [sys.executable, "-c", LOADERS, *map(str, folders)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
