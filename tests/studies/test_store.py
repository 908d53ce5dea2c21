"""The store of studies: what goes in comes out, nothing is counted twice, and every fault is one line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest

from compression.registry import UserError
from compression.studies import database, recording, records, store
from compression.studies.keys import key_of
from compression.studies.space import recipe_at
from compression.studies.study import Study

STUDY = Study.from_yaml("""
name: first
model: digits-mlp
stages:
- {kind: prune, granularity: {choose: [weights, rows]}, sparsity: {low: 0.3, high: 0.9, step: 0.3}}
- {kind: train, epochs: {low: 1, high: 3}, lr: {low: 0.001, high: 0.1, log: true}}
search: random
trials: 4
""")
ROW = {"accuracy": 0.9, "packed_bytes": 1000, "macs": 50}


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(database.VARIABLE, f"sqlite:///{tmp_path / 'deep' / 'studies.db'}")
    yield
    database.let_go()


def begun(sparsity: float = 0.3, study: Study = STUDY) -> tuple[int, str]:
    values = dict.fromkeys(study.space.open("recipe"), 1) | {
        "recipe.1.prune.granularity": "rows", "recipe.1.prune.sparsity": sparsity, "recipe.2.train.lr": 0.01,
    }  # fmt: skip
    recipe = recipe_at(study.base, study.space.stages("recipe", values))
    key = key_of(recipe, study)
    return recording.begin(study.name, key, recipe, study.space.open("recipe"), values), key


def test_a_study_comes_back_and_may_be_put_in_twice() -> None:
    store.create(STUDY)
    store.create(STUDY)
    assert (store.names(), store.plan("first")) == (("first",), STUDY)


def test_another_study_of_the_same_name_is_refused() -> None:
    store.create(STUDY)
    with pytest.raises(UserError, match="There is another study named 'first'; choose another name, or delete it"):
        store.create(STUDY.model_copy(update={"trials": 5}))
    store.delete("first")
    assert store.names() == ()


def test_what_a_trial_measured_comes_back_once() -> None:
    store.create(STUDY)
    number, key = begun()
    assert records.rows("first") == []
    recording.finish(number, STUDY, ROW, {"epochs": [{"epoch": 1}]})
    again, same = begun()
    recording.finish(again, STUDY, ROW, {})
    assert key == same
    assert records.rows("first") == [{"trial": 0, **ROW}]
    assert records.measured(key).user_attrs["row"] == ROW and records.measured("0" * 16) is None


def test_optuna_reads_the_same_trials() -> None:
    store.create(STUDY)
    recording.finish(begun()[0], STUDY, ROW, {})
    study = optuna.load_study(study_name="first", storage=database.storage_url())
    (trial,) = study.trials
    assert trial.values == [0.9, 1000.0]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert trial.params == {
        "recipe.1.prune.granularity": "rows", "recipe.1.prune.sparsity": 0.3, "recipe.2.train.epochs": 1,
        "recipe.2.train.lr": 0.01,
    }  # fmt: skip
    assert len(study.best_trials) == 1


def test_a_search_for_speed_goes_by_macs_until_the_times_are_taken() -> None:
    fast = STUDY.model_copy(update={"name": "fast", "objectives": ("accuracy", "speedup"), "latency": True})
    store.create(fast)
    number, _ = begun(study=fast)
    recording.finish(number, fast, ROW, {})
    assert optuna.load_study(study_name="fast", storage=database.storage_url()).trials[0].values == [0.9, 50.0]
    store.add_timing("fast", number, {"speedup": 2.0})
    assert records.rows("fast")[0]["speedup"] == 2.0


def test_trials_that_nobody_runs_are_given_up() -> None:
    store.create(STUDY)
    recording.finish(begun()[0], STUDY, ROW, {})
    begun(0.6)
    assert (recording.release("first"), recording.release("first")) == (1, 0)
    states = [(trial.state.name, trial.user_attrs.get("reason")) for trial in recording.trials("first")]
    assert states == [("COMPLETE", None), ("FAIL", "its engine ended")]
    recording.fail(begun(0.9)[0], "All units would be removed")
    assert recording.trials("first")[-1].user_attrs["reason"] == "All units would be removed"


def test_an_engine_that_dies_between_the_two_writes_of_a_start_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(STUDY)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recording, "_keep", die)
        with pytest.raises(KeyboardInterrupt):
            begun()
    assert recording.release("first") == 1
    recording.finish(begun()[0], STUDY, ROW, {})
    assert [row["accuracy"] for row in records.rows("first")] == [0.9]


def test_a_trial_that_was_deleted_with_its_study_takes_no_more() -> None:
    store.create(STUDY)
    number, _ = begun()
    store.delete("first")
    recording.fail(number, "too late")
    assert store.names() == ()


def test_sqlite_writes_ahead_and_does_not_wait_for_the_disk() -> None:
    store.create(STUDY)
    begun()
    with database.talking() as storage, storage.engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert found == ["wal", 1]


def test_a_study_of_another_program_has_no_plan() -> None:
    optuna.create_study(storage=database.storage_url().replace("/deep", ""), study_name="theirs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(database.VARIABLE, database.storage_url().replace("/deep", ""))
        with pytest.raises(UserError, match="The study 'theirs' has no plan: another program made it"):
            store.plan("theirs")


def test_an_unknown_study_is_named() -> None:
    with pytest.raises(UserError, match="Unknown study 'frist'; choose one of: none yet"):
        store.plan("frist")
    store.create(STUDY)
    with pytest.raises(UserError, match=r"Unknown study 'frist' \(did you mean 'first'\?\)"):
        store.delete("frist")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://me:secret@127.0.0.1:1/studies", r"The studies in postgresql\+psycopg://me:\*\*\*@127"),
        ("sqlite:////proc/none/studies.db", "The studies in sqlite:////proc/none/studies.db cannot be reached"),
        ("nonsense", "The studies in 'nonsense' cannot be reached"),
        ("oracle://x", "The studies in oracle://x cannot be reached"),
    ],
)
def test_a_database_that_does_not_answer_is_one_line_without_the_password(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(database.VARIABLE, url)
    began = time.monotonic()
    with pytest.raises(UserError, match=words) as fault:
        store.names()
    assert "secret" not in str(fault.value) and "\n" not in str(fault.value)
    assert time.monotonic() - began < database.SECONDS


def test_samplers_are_told_by_how_much_a_constraint_is_missed() -> None:
    bounds = ("accuracy >= 80 %", "packed_bytes <= 500", "speedup >= 2")
    bound = STUDY.model_copy(update={"name": "bound", "constraints": bounds})
    store.create(bound)
    recording.finish(begun(study=bound)[0], bound, ROW, {})
    (trial,) = optuna.load_study(study_name="bound", storage=database.storage_url()).trials
    assert trial.constraints == pytest.approx({"accuracy >= 0.8": -0.125, "packed_bytes <= 500": 1.0})


def test_threads_that_open_a_new_database_at_once_are_not_in_each_others_way() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: store.names(), range(8))) == {()}
    database.let_go()
    assert store.names() == ()
