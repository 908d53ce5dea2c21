"""A store with many trials at once, shaped as measured ones are, for whoever asks how fast they are read."""

from __future__ import annotations

import datetime
import json
import math
import random
import time
from collections.abc import Iterator
from typing import Any

from optuna.distributions import distribution_to_json
from sqlalchemy import MetaData, func, insert, select

from compression.machine import versions
from compression.pipeline import run
from compression.results import wilson
from compression.studies import database, keys, recording, store
from compression.studies.space import RECIPE, Choice, Open, recipe_at
from compression.studies.study import Study

SPARSITY = {"low": 0.05, "high": 0.95, "step": 0.0001}
RECIPES = {
    "zeros": [
        {"kind": "prune", "scope": {"choose": ["layer", "global"]}, "sparsity": SPARSITY,
         "criterion": {"choose": ["magnitude", "lamp", "taylor", "random"]}},
    ],
    "smaller then trained": [
        {"kind": "prune", "granularity": "channels", "sparsity": SPARSITY, "scope": {"choose": ["layer", "global"]}},
        {"kind": "train", "epochs": {"low": 1, "high": 5}, "lr": {"low": 0.001, "high": 0.1, "log": True}},
    ],
}  # fmt: skip
TABLES = ("trials", "trial_params", "trial_values", "trial_user_attributes")
Row = dict[str, Any]


def filled(name: str, trials: int, model: str = "digits-cnn", search: str = "random") -> Study:
    """A finished study with so many trials, whose accuracies and sizes are made up from their settings.

    The baseline is measured. Everything is written in four statements, since a benchmark of reading
    need not wait for the writing.
    """
    study = Study(
        name=name, model=model, recipes=RECIPES, search=search, trials=trials, constraints=("accuracy >= 90 %",)
    )
    store.create(study)
    baseline = run(study.base, split=study.split).final.row()
    about = {"model": model, "data": "digits", "seed": 0, "granularity": "baseline", "criterion": "", "scope": ""}
    store.keep_baseline(name, {**about, "sparsity": 0.0, "epochs": 0, "achieved_sparsity": 0.0, **baseline})
    _write(study, [_trial(study, baseline, random.Random(number)) for number in range(trials)])
    store.tell(name, {"state": "done", "seen": time.time()})
    return study


def _trial(study: Study, baseline: Row, draw: random.Random) -> Row:
    """What is kept of one trial, by the names that the store has for it."""
    name = draw.choice(list(study.recipes))
    given = study.space.open(name)
    values = {parameter: draw.choice(one.values()) if isinstance(one, Choice) else _between(one, draw)
              for parameter, one in given.items()}  # fmt: skip
    setting = {RECIPE: name, **values}
    recipe = recipe_at(study.base, study.space.stages(name, values))
    stages = recipe.stages
    epochs = [_epoch(number, draw) for number in range(stages[-1].epochs)] if stages[-1].kind == "train" else []
    row = _row(study, baseline, stages[0], len(epochs), setting, draw)
    return {
        "key": keys.key_of(recipe, study), "recipe": recipe.model_dump(mode="json"), "seed": 0, "setting": setting,
        "epochs": epochs, "versions": versions(), "hardware": {"cpu": "none", "cores": 2}, "seconds": 1.0 + len(epochs),
        "weights": "studies/none.safetensors", "stopped": "", "row": row,
    }  # fmt: skip


def _between(given: Any, draw: random.Random) -> float:
    if given.log:
        return math.exp(draw.uniform(math.log(given.low), math.log(given.high)))
    steps = round((given.high - given.low) / (given.step or 1))
    value = round(given.low + draw.randint(0, steps) * (given.step or 1), 10)
    return int(value) if given.whole else value


def _row(study: Study, baseline: Row, prune: Any, epochs: int, setting: Row, draw: random.Random) -> Row:
    left = 1 - prune.sparsity
    fallen = 0.9 * prune.sparsity ** (6 + epochs) + draw.gauss(0, 0.004)
    right = round(baseline["n"] * min(1.0, max(0.1, baseline["accuracy"] - fallen)))
    low, high = wilson(right, baseline["n"])
    cut = left if prune.granularity == "channels" else 1.0
    return {
        **baseline, "model": study.model, "data": "digits", "seed": 0, "granularity": prune.granularity,
        "criterion": prune.criterion, "scope": prune.scope, "sparsity": prune.sparsity, "epochs": epochs, **setting,
        "achieved_sparsity": prune.sparsity, "accuracy": right / baseline["n"], "accuracy_low": low,
        "accuracy_high": high, "packed_bytes": round(baseline["packed_bytes"] * left),
        **{key: round(baseline[key] * cut) for key in ("params", "macs", "file_bytes", "memory_bytes")},
        "nonzero": round(baseline["nonzero"] * left), "energy_mj": baseline["energy_mj"] * cut,
    }  # fmt: skip


def _epoch(number: int, draw: random.Random) -> Row:
    return {
        "epoch": number + 1, "train_loss": 0.3 / (number + 1), "train_accuracy": 0.95, "val_loss": 0.2,
        "val_accuracy": draw.gauss(0.9, 0.01), "lr": 0.01, "seconds": 0.5, "stage": 1,
    }  # fmt: skip


def _write(study: Study, kept: list[Row]) -> None:
    with database.talking() as storage, storage.engine.begin() as connection:
        known = MetaData()
        known.reflect(connection, only=TABLES)
        trials = known.tables["trials"]
        first = (connection.execute(select(func.max(trials.c.trial_id))).scalar() or 0) + 1
        own = storage.get_study_id_from_name(study.name)
        rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        for number, one in enumerate(kept):
            for table, row in _lines(study, own, number, first + number, one):
                rows[table].append(row)
        for table in TABLES:
            connection.execute(insert(known.tables[table]), rows[table])


def _lines(study: Study, own: int, number: int, trial: int, kept: Row) -> Iterator[tuple[str, Row]]:
    """A trial as rows of Optuna's tables."""
    now = datetime.datetime.now()
    at = {"study_id": own, "datetime_start": now, "datetime_complete": now}
    yield "trials", {"trial_id": trial, "number": number, "state": "COMPLETE", **at}
    chosen: dict[str, Open] = {RECIPE: Choice(choose=tuple(study.recipes))}
    for parameter, one in (chosen | study.space.open(kept["setting"][RECIPE])).items():
        given = recording.distribution(one)
        value = given.to_internal_repr(kept["setting"][parameter])
        named = {"param_name": parameter, "param_value": value, "distribution_json": distribution_to_json(given)}
        yield "trial_params", {"trial_id": trial, **named}
    for place, objective in enumerate(study.objectives):
        value = {"objective": place, "value": float(kept["row"][objective]), "value_type": "FINITE"}
        yield "trial_values", {"trial_id": trial, **value}
    for key, value in kept.items():
        yield "trial_user_attributes", {"trial_id": trial, "key": key, "value_json": json.dumps(value)}
