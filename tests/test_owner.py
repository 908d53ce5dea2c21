"""Whose things are whose: two users of one server choose the same names, and neither meets what the other has."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streamlit as st

from compression import owner
from compression.data.adding import add
from compression.data.own import own_digest, own_names, remove
from compression.data.root import data_root as shared_root
from compression.data.root import own_root
from compression.data.sets import load_data
from compression.library import add_model
from compression.models.files import save_weights
from compression.models.imports import import_model
from compression.models.own import own_models, remove_model
from compression.models.zoo import load
from compression.owner import known_by, owner_id, working_for
from compression.recipe import Distill, Prune, Recipe
from compression.registry import UserError
from compression.studies import database, jobs, launch, recording, records, spool, store
from compression.studies.plan import Sweep
from compression.studies.race import stop_name
from compression.studies.study import Study
from compression.subject import identity, load_subject
from pages._cache import by_owner, by_subject, kept_apart, student_facts
from tests.data.given import good, unpacked

ANNA, BEN = owner_id("https://login.example anna"), owner_id("https://login.example ben")
STUDY = Study.from_yaml("""
name: ours
model: digits-mlp
stages: [{kind: prune, sparsity: {choose: [0.3, 0.5]}}]
""")
OTHER = STUDY.model_copy(update={"seeds": 2})
RECIPE = Recipe(model="digits-mlp", stages=(Prune(granularity="weights", sparsity=0.5),))
ROW = {"accuracy": 0.9, "packed_bytes": 1000, "seed": 0}


@pytest.fixture(autouse=True)
def room(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(database.VARIABLE, raising=False)
    monkeypatch.delenv(owner.VARIABLE, raising=False)
    yield
    known_by(None)
    database.let_go()


@pytest.fixture(params=["a file each", "one database"])
def storage(request: pytest.FixtureRequest, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "one database":
        monkeypatch.setenv(database.VARIABLE, f"sqlite:///{data_root / 'team.db'}")


def measured(key: str) -> None:
    """A trial of the study as an engine leaves it."""
    number = recording.begin("ours", key, RECIPE, {}, {})
    recording.finish(number, STUDY, ROW, spool.keep(key, b"weights", ROW, {"seconds": 1.0}))


# Who it is


def test_an_id_is_the_start_of_the_logins_digest_and_says_nothing_else() -> None:
    assert owner_id("anna@example.org") == "a3bf86238a1c59bd"  # printf anna@example.org | sha256sum
    assert ANNA != BEN and owner.ID.fullmatch(ANNA)


def test_without_an_owner_everything_is_in_the_data_root() -> None:
    assert (owner.owner(), own_root()) == ("", shared_root())


def test_an_owner_has_a_room_and_shares_what_was_fetched(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(owner.VARIABLE, ANNA)
    assert (own_root(), shared_root()) == (data_root / "users" / ANNA, data_root)


@pytest.mark.parametrize("given", ["../../etc", "anna", "A" * 16, ANNA + "\n", "/" + ANNA[1:]])
def test_what_is_no_id_never_becomes_a_folder(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(owner.VARIABLE, given)
    with pytest.raises(UserError, match="ESPALIER_OWNER is .*; it must be sixteen hexadecimal digits, or empty"):
        own_root()


def test_the_servers_present_user_goes_before_the_variable_and_a_trials_owner_before_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(owner.VARIABLE, ANNA)
    known_by(lambda: BEN)
    assert owner.owner() == BEN
    with working_for(ANNA):
        assert owner.owner() == ANNA
        with ThreadPoolExecutor(1) as pool:  # another thread works for whom it worked for before
            assert pool.submit(owner.owner).result() == BEN
    assert owner.owner() == BEN


def test_two_threads_work_for_two_owners_at_once() -> None:
    found, both = {}, threading.Barrier(2)

    def work(whom: str) -> None:
        with working_for(whom):
            both.wait(10)
            found[whom] = own_root().name

    threads = [threading.Thread(target=work, args=(whom,)) for whom in (ANNA, BEN)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == {ANNA: ANNA, BEN: BEN}


def test_a_process_goes_on_for_the_owner_that_starts_it(tmp_path: Path) -> None:
    (tmp_path / "whose.py").write_text("from compression.owner import owner\nprint(owner(), flush=True)\n")
    sys.path.append(str(tmp_path))
    try:
        with working_for(ANNA), (tmp_path / "log").open("wb") as log:
            launch.launch(log, "whose")
        for _ in range(600):
            if said := (tmp_path / "log").read_text():
                break
            threading.Event().wait(0.05)
    finally:
        sys.path.remove(str(tmp_path))
    assert said == f"{ANNA}\n"


# The same names


def test_data_of_the_same_name_are_two(tmp_path: Path) -> None:
    digests = {}
    for first, whom in enumerate((ANNA, BEN)):
        with working_for(whom):
            add(unpacked(tmp_path / whom, good(first=1000 * first)), "mine")
            digests[whom] = own_digest("mine")
    assert digests[ANNA] != digests[BEN]
    with working_for(BEN):
        remove("mine")
        assert own_names() == ()
    with working_for(ANNA):
        assert (own_names(), own_digest("mine")) == (("mine",), digests[ANNA])
    assert own_names() == ()


@pytest.mark.usefixtures("storage")
def test_studies_of_the_same_name_are_two() -> None:
    with working_for(ANNA):
        store.create(STUDY)
        measured("k" * 16)
    with working_for(BEN):
        store.create(OTHER)
        assert (store.names(), store.plan("ours")) == (("ours",), OTHER)
        assert records.rows("ours") == [] and records.measured("k" * 16) is None and spool.left("k" * 16) is None
        store.delete("ours")
        assert store.names() == ()
    assert store.names() == ()
    with working_for(ANNA):
        assert (store.names(), store.plan("ours")) == (("ours",), STUDY)
        assert len(records.rows("ours")) == 1 and records.measured("k" * 16)


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("whom", [BEN, ""])
@pytest.mark.parametrize("name", ["ours", f"{ANNA}/ours", f"../{ANNA}/ours"])
def test_a_guessed_study_is_not_here(whom: str, name: str) -> None:
    with working_for(ANNA):
        store.create(STUDY)
        measured("k" * 16)
    asked: list[Callable[[], object]] = [
        lambda: store.plan(name), lambda: records.trial(name, 0), lambda: records.rows(name),
        lambda: store.delete(name), lambda: store.ask(name, "cancel"),
    ]  # fmt: skip
    with working_for(whom):
        for ask in asked:
            with pytest.raises(UserError, match="Unknown study|has no finished trial"):
                ask()
    with working_for(ANNA):
        assert store.wanted("ours") == "run"


@pytest.mark.parametrize("way", ["{anna}", "{ben}/../{anna_id}", "{ben}/link", "/etc", "..", "pages", "/\0"])
def test_no_path_leads_out_of_ones_room(way: str, tmp_path: Path) -> None:
    with working_for(ANNA):
        anna = unpacked(own_root(), good(folder="pictures/")).absolute()
        save_weights(load("digits-mlp").model, load("digits-mlp").blueprint, anna / "net.safetensors")
    with working_for(BEN):
        own_root().mkdir()
        (own_root() / "link").symlink_to(anna)
        way = way.format(anna=anna, ben=own_root(), anna_id=ANNA)
        for ask in (
            lambda: load(f"{way}/net.safetensors"),
            lambda: load_data(f"{way}/pictures"),
            lambda: import_model(f"hf:{way}/net"),
        ):
            with pytest.raises(UserError, match="is a path; on this server models and data sets go by their names$"):
                ask()
    with working_for(ANNA):
        assert load(f"{anna}/net.safetensors").model and load_data(f"{anna}/pictures").classes == ("a", "b")


def test_events_on_a_common_cluster_are_each_owners_own() -> None:
    names = []
    for whom in (ANNA, BEN):
        with working_for(whom):
            names.append(stop_name(STUDY))
    assert names == [f"stop {ANNA}/ours", f"stop {BEN}/ours"]


def test_a_guessed_job_is_not_here() -> None:
    with working_for(ANNA):
        folder = own_root() / "sweeps" / "abc123"
        folder.mkdir(parents=True)
        plan = Sweep(model="digits-mlp", data="digits", sparsities=(0.5,))
        (folder / "plan.json").write_text(plan.model_dump_json())
        (folder / "state.json").write_text(json.dumps({"state": "done"}))
        (folder / "point-0.safetensors").write_bytes(b"weights")
        assert jobs.exists("abc123") and jobs.latest("prune", "digits-mlp", "digits") == "abc123"
    for name in ("abc123", f"../users/{ANNA}/sweeps/abc123", f"../../{ANNA}/sweeps/abc123"):
        with working_for(BEN):
            assert not jobs.exists(name) and jobs.linked(name, "prune", "digits-mlp", "digits") is None
            with pytest.raises(UserError, match="No study named"):
                jobs.weights(name, 0)


def test_a_trial_finds_its_owners_data_in_whatever_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compression.studies import making, trial

    seen = []
    monkeypatch.setattr(making, "made", lambda *given: seen.append(own_root().name))
    monkeypatch.setitem(sys.modules, "distributed", type("Cluster", (), {"Event": lambda *_, **__: None,
                        "get_client": lambda: None, "get_worker": lambda: None}))  # fmt: skip
    trial.carry_out(trial.Trial(RECIPE, {}, "val", None, "stop", "", "", 0, ANNA))
    assert seen == [ANNA] and own_root() == shared_root()


# What a server remembers


def test_what_all_share_is_loaded_once_for_all() -> None:
    known = []
    for whom in (ANNA, BEN):
        with working_for(whom):
            known.append(load_subject("digits-mlp"))
    assert known[0] is known[1] and identity("digits-mlp", "digits") == ""


def test_own_data_of_one_name_are_told_apart_by_owner_and_by_content(tmp_path: Path) -> None:
    found = set()
    for whom in (ANNA, BEN):
        with working_for(whom):
            add(unpacked(tmp_path / whom, good()), "mine")  # the very same images
            found.add(identity("digits-mlp", "mine"))
    with working_for(ANNA):
        remove("mine")
        add(unpacked(tmp_path / "later", good(first=5000)), "mine")
        found.add(identity("digits-mlp", "mine"))
    assert len(found) == 3


@pytest.mark.parametrize("cache", [st.cache_data, st.cache_resource])
def test_a_cache_gives_nobody_what_another_asked_for(cache: Callable[..., object], tmp_path: Path) -> None:
    asked: list[str] = []

    @kept_apart(cache, by_owner, max_entries=8)
    def answers(job: str) -> str:
        asked.append(owner.owner())
        return f"{job} of {owner.owner()}"

    @kept_apart(cache, by_subject, max_entries=8)
    def facts(model: str, data: str) -> str:
        asked.append(data)
        return data

    for whom in (ANNA, BEN, ANNA):
        with working_for(whom):
            assert answers("job") == f"job of {whom}"
    assert asked == [ANNA, BEN]
    asked.clear()
    for whom in (ANNA, BEN, ANNA):
        with working_for(whom):
            if "mine" not in own_names():
                add(unpacked(tmp_path / whom, good()), "mine")
            assert (facts("digits-mlp", "digits"), facts("digits-mlp", "mine")) == ("digits", "mine")
    assert asked == ["digits", "mine", "mine"]


def test_a_student_is_its_owners_own_and_the_one_that_has_the_name_now() -> None:
    stage, found = Distill(student="mine").model_dump_json(), []
    for whom, width in ((ANNA, 4), (BEN, 5), (BEN, 6)):
        with working_for(whom):
            if "mine" in own_models():
                remove_model("mine")
            add_model("mine", "mlp", {"hidden": [width]}, data="digits")
            found.append(student_facts("digits-mlp", "digits", "", stage)[0])
    assert found == [64 * width + width + 10 * width + 10 for width in (4, 5, 6)]


def test_every_cache_of_the_pages_knows_whose_it_holds() -> None:
    pages = Path(__file__).parents[1] / "pages"
    bare = r"@st\.cache_\w+\b[^@]*?\ndef (\w+)"
    known = {name for path in pages.glob("*.py") for name in re.findall(bare, path.read_text())}
    # The settings of the first say whose they are; the others are the same for all.
    assert known == {"_allocated", "sample_card", "_small", "_pupil"}
