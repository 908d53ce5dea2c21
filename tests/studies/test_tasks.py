"""What a study has to do next: every setting once, within its budget, whatever a sampler asks for again."""

from __future__ import annotations

from collections import Counter

import pytest
from optuna.trial import TrialState

from compression.data.root import data_root
from compression.studies import control, keys, proposals, recording, records, store
from compression.studies.study import Study
from compression.studies.tasks import tasks

pytestmark = pytest.mark.usefixtures("own_store")
WEIGHTS = "weights"
BOTH = """
name: both
model: digits-mlp
recipes:
  zeros: [{kind: prune, sparsity: {low: 0.1, high: 0.9, step: 0.2}}]
  smaller: [{kind: prune, granularity: rows, sparsity: {choose: [0.3, 0.5, 0.7]}}]
"""


def carried_out(study: Study, most: int = 1000) -> list[str]:
    """Give every task numbers, as if it had been measured; the keys that needed that."""
    store.create(study)
    (data_root() / WEIGHTS).touch()
    keys = []
    for task in tasks(study):
        row = {"accuracy": 1 - len(keys) / 100, "packed_bytes": 100 + len(keys), "seed": 0, **task.trial.setting}
        if task.number == records.BASELINE:
            store.keep_baseline(study.name, row)
        else:
            keys.append(task.key)
            about = dict.fromkeys(("epochs", "versions", "hardware", "seconds"))
            recording.finish(task.number, study, row, {**about, "weights": WEIGHTS})
        if len(keys) == most:
            break
    return keys


def searching(search: str, trials: int, **more: object) -> Study:
    return Study.model_validate({**Study.from_yaml(BOTH).model_dump(), "search": search, "trials": trials, **more})


@pytest.mark.slow
@pytest.mark.parametrize("search", ["random", "tpe", "nsga2"])
@pytest.mark.parametrize("trials", [5, 12])
def test_what_a_sampler_asks_for_again_is_not_measured_again_and_costs_nothing(search: str, trials: int) -> None:
    study = searching(search, trials)
    keys = carried_out(study)
    # 12 are more than there are, and a sampler that asks for the same over and over has paid for it.
    assert max(Counter(keys).values()) == 1 and (3 <= len(keys) <= 5 if trials == 5 else 5 < len(keys) <= 8)
    rows = records.rows("both")
    assert len(rows) == len(keys) and len({row["trial"] for row in rows}) == len(rows)
    assert control.status("both").failed == ()
    assert trials == 5 or carried_out(study) == []


def test_a_search_that_goes_on_does_not_begin_again() -> None:
    study = searching("random", 6)
    first = carried_out(study, most=3)
    before = len(recording.trials("both"))
    rest = carried_out(study)
    assert len(set(first) | set(rest)) == len(first) + len(rest) == 6
    again = sum(one.state == TrialState.COMPLETE for one in recording.trials("both")) - 6
    assert again < before, "the first trials are not drawn once more"


def test_a_search_by_steps_has_the_settings_of_the_grid() -> None:
    grid = Study.from_yaml(BOTH)
    on_grid = {keys.key_of(one.recipe, grid) for one in proposals.proposals(grid) if one.recipe}
    assert set(carried_out(searching("random", 8))) <= on_grid and len(on_grid) == 8


def test_nsga2_crosses_the_fields_of_all_recipes_and_sets_those_of_one() -> None:
    carried_out(searching("nsga2", 6))
    for trial in recording.trials("both"):
        assert set(trial.params) == {"recipe", "zeros.1.prune.sparsity", "smaller.1.prune.sparsity"}
        recipe = trial.params["recipe"]
        assert set(trial.user_attrs["setting"]) == {"recipe", f"{recipe}.1.prune.sparsity"}


def test_a_setting_under_way_is_not_begun_a_second_time() -> None:
    study = searching("random", 8)
    store.create(study)
    store.keep_baseline("both", {})
    keys = [task.key for task in tasks(study)]  # nobody finishes any
    assert max(Counter(keys).values()) == 1
    ended = [one for one in recording.trials("both") if one.state == TrialState.FAIL]
    assert {one.user_attrs["reason"] for one in ended} <= {recording.REPEATED}
    assert control.status("both").failed == ()


def test_a_setting_that_contradicts_itself_is_told_once() -> None:
    body = {"kind": "prune", "granularity": {"choose": ["weights", "2:4"]}, "sparsity": {"choose": [0.3, 0.5, 0.7]}}
    study = searching("random", 6, recipes={"recipe": [body]})
    assert 1 <= len(carried_out(study)) <= 4
    failed = control.status("both").failed
    assert 1 <= len(failed) == len(set(failed)) <= 2 and all("granularity 2:4, " in line for line in failed)
