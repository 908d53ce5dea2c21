"""Every preset is a recipe that runs, sized for its model, or says why it does not fit."""

from __future__ import annotations

import pytest

from compression.pipeline import run
from compression.presets import PRESETS
from compression.recipe import Recipe
from compression.registry import UserError
from compression.subject import load_subject


@pytest.mark.parametrize("key", PRESETS)
def test_every_preset_runs_and_comes_back_from_yaml(key: str) -> None:
    stages = PRESETS[key].build(load_subject("digits-cnn"))
    recipe = Recipe(model="digits-cnn", stages=stages)
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    short = tuple(stage.model_copy(update={"epochs": 1} if hasattr(stage, "epochs") else {}) for stage in stages)
    result = run(recipe.model_copy(update={"stages": short}), split="val")
    assert len(result.stages) == len(stages)
    assert result.final.nonzero < result.baseline.nonzero
    assert not result.stopped


def test_network_slimming_names_what_the_model_lacks() -> None:
    with pytest.raises(UserError, match="Network slimming needs BatchNorm, and digits-mlp has none"):
        PRESETS["slimming"].build(load_subject("digits-mlp"))


def test_slimming_draws_scales_down_and_the_model_lives() -> None:
    stages = PRESETS["slimming"].build(load_subject("digits-cnn"))
    result = run(Recipe(model="digits-cnn", stages=stages), split="val")
    drift = result.stages[0].drift
    assert dict(drift[-1].below)[1.0] > dict(drift[0].below)[1.0] + 0.3
    assert result.stages[0].measurement.accuracy > 0.97
    assert result.final.accuracy > 0.97
    assert result.final.params < result.baseline.params / 3


def test_every_card_has_a_paper() -> None:
    assert all(preset.sentence.endswith(".") and preset.paper for preset in PRESETS.values())
