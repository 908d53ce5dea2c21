"""Espalier: prune and distil neural networks and see what each choice costs and buys.

A tour in ten lines:

    >>> from compression import Prune, Recipe, Train, load_data, load_model, measure, run
    >>> model, data = load_model("digits-mlp"), load_data("digits")
    >>> measure(model, data).params
    17226
    >>> half = Prune(granularity="rows", criterion="magnitude", scope="layer", sparsity=0.5)
    >>> result = run(Recipe(model="digits-mlp", seed=0, stages=(half, Train(epochs=3))))
    >>> result.final.params < result.baseline.params / 2
    True
    >>> result.final.accuracy > 0.9
    True
    >>> measure(result.model(), data) == result.final
    True
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compression.data.sets import Dataset, load_data
    from compression.export import export_model, load_packed
    from compression.models.zoo import load_model, model_card
    from compression.pipeline import Event, RunResult, load_result, measure, run
    from compression.recipe import Distill, Gradual, Lottery, Prune, Quantize, Recalibrate, Recipe, Sparsify, Train
    from compression.registry import UserError
    from compression.results import Measurement, Result
    from compression.studies.plan import Sweep
    from compression.studies.teaching import Teaching

__all__ = [
    "Dataset",
    "Distill",
    "Event",
    "Gradual",
    "Lottery",
    "Measurement",
    "Prune",
    "Quantize",
    "Recalibrate",
    "Recipe",
    "Result",
    "RunResult",
    "Sparsify",
    "Sweep",
    "Teaching",
    "Train",
    "UserError",
    "export_model",
    "load_data",
    "load_model",
    "load_packed",
    "load_result",
    "measure",
    "model_card",
    "run",
]

_HOMES = {
    "data.sets": ("Dataset", "load_data"),
    "export": ("export_model", "load_packed"),
    "models.zoo": ("load_model", "model_card"),
    "pipeline": ("Event", "RunResult", "load_result", "measure", "run"),
    "recipe": ("Distill", "Gradual", "Lottery", "Prune", "Quantize", "Recalibrate", "Recipe", "Sparsify", "Train"),
    "registry": ("UserError",),
    "results": ("Measurement", "Result"),
    "studies.plan": ("Sweep",),
    "studies.teaching": ("Teaching",),
}
"""Where each public name lives. It is fetched at first use, so that recipes and reports need no torch."""


class _Package(ModuleType):
    """This package, in which ``measure`` is the public function and not the folder of that name.

    Importing ``compression.measure`` would set that attribute to the folder; ``from
    compression.measure import ...`` finds the folder without it.
    """

    def __getattr__(self, name: str) -> Any:
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{home}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "measure":
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *__all__]


sys.modules[__name__].__class__ = _Package
