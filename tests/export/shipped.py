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
PLAIN = """
import sys, importlib
from pathlib import Path
import numpy as np, torch

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("compression", "torchvision"):
            raise ImportError(f"{name} is not to be had here")

sys.meta_path.insert(0, Refused())
torch.set_num_threads(1)
for folder in map(Path, sys.argv[1:]):
    sys.path[:0] = [str(folder)]
    loader = importlib.import_module("load_model")
    x = torch.from_numpy(np.load(folder / "images.npy"))
    for file in (None, folder / "model.safetensors", folder / "model.packed"):
        model = loader.load_model(file) if file else loader.load_model()
        with torch.no_grad():
            assert np.array_equal(model(x).numpy(), np.load(folder / "logits.npy")), (folder, file)
    sys.path.remove(str(folder))
    del sys.modules["load_model"]
    sys.modules.pop("packing", None)
    print(folder.name)
"""
"""Without Espalier, and without torchvision: what ``load_model.py`` and ``packing.py`` make of each folder's weights."""
OWN = """
import sys
from pathlib import Path
import numpy as np, torch
from compression import load_model, load_packed

torch.set_num_threads(1)
for folder in map(Path, sys.argv[1:]):
    x = torch.from_numpy(np.load(folder / "images.npy"))
    model = load_model(folder)
    assert list(model.state_dict()) == list(load_packed(folder / "model.packed"))
    for state in (model.state_dict(), load_packed(folder / "model.packed")):
        model.load_state_dict(state)
        with torch.no_grad():
            assert np.array_equal(model(x).numpy(), np.load(folder / "logits.npy")), folder
    print(folder.name)
"""
"""With Espalier: what its public names make of them."""


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


def loaded_afresh(code: str, folders: Sequence[Path], cwd: Path) -> list[str]:
    """The names of the folders that a fresh process loaded; what it complained of fails the test."""
    command = [sys.executable, "-c", code, *map(str, folders)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
