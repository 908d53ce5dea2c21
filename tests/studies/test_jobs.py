"""Jobs: a process of its own that a page can start once, read, cancel and find dead."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from compression.registry import UserError
from compression.studies import jobs, watch
from compression.studies import sweep as sweeping
from compression.studies.plan import Sweep
from compression.studies.sweep import sweep
from compression.studies.teaching import Teaching

QUICK = Sweep(model="digits-mlp", granularities=("weights", "rows"), sparsities=(0.001, 0.5), limit=50)
TAUGHT = Teaching(model="digits-mlp", data="digits", temperatures=(1, 4), seeds=2)
LONG = Sweep(model="digits-cnn", granularities=("weights",), sparsities=(0.1, 0.2, 0.3, 0.4), epochs=500)


@pytest.fixture(autouse=True)
def own_folder(data_root: Path) -> Iterator[None]:
    """Jobs of a test live in its own data root, and none outlives it."""
    yield
    for process in processes(data_root):
        process.kill()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of QUICK, run to its end once."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESPALIER_DATA", str(root))
        name = jobs.start(QUICK)
        until(lambda: jobs.state(name).state not in jobs.UNDER_WAY)
        return root / "sweeps" / name


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 100
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def processes(root: Path) -> list[psutil.Process]:
    """Every living process whose command names a folder under this root."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(root) in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def made(state: dict[str, object] | str, plan: jobs.Plan = QUICK, **files: str) -> str:
    """A job folder as a job would leave it; its name."""
    folder = jobs.own_root() / "sweeps" / "abc123"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.model_dump_json())
    (folder / "state.json").write_text(state if isinstance(state, str) else json.dumps(state))
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return "abc123"


def adopted(finished: Path, data_root: Path) -> str:
    """The finished job, copied into this test's data root."""
    shutil.copytree(finished, data_root / "sweeps" / finished.name)
    return finished.name


# A job from start to end


def test_a_finished_job_has_the_rows_of_the_sweep_in_the_order_of_the_plan(finished: Path, data_root: Path) -> None:
    name = adopted(finished, data_root)
    expected = [done.row for done in sweep(QUICK) if done.row]
    assert jobs.rows(name) == expected
    assert [row["point"] for row in expected] == [0, 1, 2, 4]
    present = jobs.state(name)
    assert (present.state, present.done, present.total, present.seconds_left) == ("done", 5, 5, None)
    assert len(present.failures) == 1
    assert present.failures[0].startswith("rows by magnitude at 0.1 %, seed 0: Nothing pruned: sparsity 0.001")
    assert 0 < present.started <= present.updated
    assert jobs.plan(name) == QUICK
    assert (finished / "log.txt").read_text() == ""  # no warnings either


def test_the_same_plan_is_not_run_again_unless_asked(finished: Path, data_root: Path) -> None:
    name = adopted(finished, data_root)
    before = (data_root / "sweeps" / name / "state.json").stat().st_mtime_ns
    assert jobs.start(QUICK) == name
    assert (data_root / "sweeps" / name / "state.json").stat().st_mtime_ns == before
    assert processes(data_root) == []
    assert jobs.start(QUICK, fresh=True) == name
    assert jobs.state(name).state in jobs.UNDER_WAY
    assert jobs.rows(name) == []


def test_other_plans_and_other_weights_have_other_names(tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"one")
    names = [jobs._name(plan) for plan in (QUICK, LONG, QUICK.model_copy(update={"model": str(mine)}))]
    mine.write_bytes(b"two")
    names.append(jobs._name(QUICK.model_copy(update={"model": str(mine)})))
    assert len(set(names)) == 4
    assert jobs._name(QUICK) == names[0]
    assert all(name.isalnum() for name in names)


def test_starting_twice_at_once_is_one_process_and_cancelling_leaves_none(data_root: Path) -> None:
    name = jobs.start(LONG)
    assert jobs.start(LONG) == jobs.start(LONG, fresh=True) == name
    # One job process, and one worker a core as soon as the points are begun.
    until(lambda: len(jobs.rows(name)) == 1 and len(processes(data_root)) == 1 + sweeping.cores())
    assert jobs.state(name).state == "running"
    pid = int((data_root / "sweeps" / name / "pid").read_text())
    assert {p.pid for p in processes(data_root)} == {pid, *(p.pid for p in psutil.Process(pid).children())}
    jobs.cancel(name)
    assert processes(data_root) == []
    present = jobs.state(name)
    assert (present.state, present.done, present.total) == ("cancelled", 1, 5)
    assert [row["granularity"] for row in jobs.rows(name)] == ["baseline"]  # what was done is kept
    jobs.cancel(name)  # and again does no harm
    assert jobs.state(name) == present


def test_of_two_starts_at_the_same_moment_one_begins(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Path] = []

    def begin(folder: Path, module: str) -> None:
        time.sleep(0.2)  # long enough for the other one to look in
        watch.write_state(folder, jobs.State(state="running"))
        (folder / "pid").write_text(str(os.getpid()))
        begun.append(folder)

    monkeypatch.setattr(watch, "begin", begin)
    monkeypatch.setattr(watch, "alive", lambda folder: True)
    monkeypatch.setattr(jobs, "check_turn", lambda: time.sleep(0.2))
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(jobs.start, [LONG] * 4))) == 1
    assert len(begun) == 1
    assert list((data_root / "sweeps").iterdir()) == begun


def test_a_job_that_dies_is_failed_with_its_last_words_and_can_be_started_again(data_root: Path) -> None:
    name = jobs.start(LONG)
    folder = data_root / "sweeps" / name
    with (folder / "log.txt").open("a") as log:
        log.write("Killed\n")
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    until(lambda: jobs.state(name).state == "failed")
    assert jobs.state(name).message == "the process ended early: Killed"
    assert jobs.start(LONG) == name
    assert jobs.state(name).state in jobs.UNDER_WAY
    jobs.cancel(name)
    assert jobs.state(name).state == "cancelled"


def test_a_job_that_cannot_run_says_why(data_root: Path) -> None:
    name = made({"state": "waiting", "started": 1.0})
    folder = data_root / "sweeps" / name
    (folder / "plan.json").write_text(QUICK.model_copy(update={"model": "digits-mpl"}).model_dump_json())
    assert sweeping.main(folder) == 2
    present = jobs.state(name)
    assert present.state == "failed"
    assert present.message.startswith("Unknown model 'digits-mpl' (did you mean 'digits-mlp'?)")


def test_a_fault_of_ours_is_told_and_not_hidden(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(plan: Sweep, workers: int, folder: Path) -> Iterator[sweeping.Done]:
        yield sweeping.Done(plan.points()[0], {"point": 0})
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(sweeping, "sweep", broken)
    name = made({"state": "waiting", "started": 1.0})
    with pytest.raises(ZeroDivisionError):
        sweeping.main(data_root / "sweeps" / name)
    present = jobs.state(name)
    assert (present.state, present.message, present.done) == ("failed", "ZeroDivisionError: by zero", 1)
    assert jobs.rows(name) == [{"point": 0}]


# What is read


def test_time_left_follows_from_the_pace() -> None:
    present = jobs.State(state="running", done=4, total=10, started=100.0, updated=120.0)
    assert present.seconds_left == 30  # 5 seconds a point, 6 to go
    assert present.model_copy(update={"done": 0}).seconds_left is None
    assert present.model_copy(update={"state": "cancelled"}).seconds_left is None


def test_a_point_that_was_timed_has_its_later_row_and_half_a_line_is_passed_over() -> None:
    lines = ['{"point": 2, "a": 1}', '{"point": 0, "a": 1}', '{"point": 2, "a": 2}', '{"point": 1, "a"']
    name = made({"state": "done"}, rows_jsonl="\n".join(lines))
    assert jobs.rows(name) == [{"point": 0, "a": 1}, {"point": 2, "a": 2}]


def test_rows_of_garbage_are_passed_over() -> None:
    name = made({"state": "done"}, rows_jsonl='7\n[]\n"x"\n{"a": 1}\n{"point": "x"}\n\n{"point": 3}\nnull\n')
    assert jobs.rows(name) == [{"point": 3}]


def test_a_process_that_only_has_the_number_is_not_the_job() -> None:
    # After a restart of the machine the number may belong to anybody: here, to this very test.
    name = made({"state": "running", "started": 1.0}, pid=str(os.getpid()))
    assert jobs.state(name).state == "failed"
    jobs.cancel(name)  # does not end this test


def test_the_last_words_of_a_job_count_even_when_they_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    name = made({"state": "running", "started": 1.0}, pid=str(os.getpid()))

    def ended(folder: Path) -> bool:
        (folder / "state.json").write_text('{"state": "done"}')  # between the reading and the look
        return False

    monkeypatch.setattr(watch, "alive", ended)
    assert jobs.state(name).state == "done"


def test_the_moment_before_a_job_has_its_number_is_not_its_end() -> None:
    assert jobs.state(made({"state": "waiting", "started": 1.0})).state == "waiting"


@pytest.mark.parametrize("garbage", ["", "{", "[1]", "7", '{"state": "dancing"}', '{"colour": 1}'])
def test_a_garbage_state_is_one_line_and_is_replaced_by_a_new_start(garbage: str, data_root: Path) -> None:
    name = made(garbage)
    with pytest.raises(UserError, match=f"^The state of sweep '{name}' cannot be read; start it again$"):
        jobs.state(name)
    folder = data_root / "sweeps" / name
    folder.rename(folder.with_name(jobs._name(LONG)))
    again = jobs.start(LONG)
    assert jobs.state(again).state in jobs.UNDER_WAY


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"model": 7}', '{"model": "m", "colour": 1}'])
def test_a_garbage_plan_is_one_line_and_never_the_latest(garbage: str, data_root: Path) -> None:
    name = made({"state": "done"})
    (data_root / "sweeps" / name / "plan.json").write_text(garbage)
    with pytest.raises(UserError) as caught:
        jobs.plan(name)
    assert "\n" not in str(caught.value)
    assert jobs.latest("prune", "digits-mlp", "digits") is None


def test_the_latest_job_is_that_of_the_model_and_its_data(finished: Path, data_root: Path) -> None:
    assert jobs.latest("prune", "digits-mlp", "digits") is None
    name = adopted(finished, data_root)
    os.utime(data_root / "sweeps" / name / "plan.json", (1, 1))
    assert jobs.latest("prune", "digits-mlp", "digits") == name
    assert jobs.latest("prune", "digits-cnn", "digits") is None
    newer = made({"state": "done"})
    assert jobs.latest("prune", "digits-mlp", "digits") == newer
    (data_root / "sweeps" / newer / "state.json").write_text("{")
    assert jobs.latest("prune", "digits-mlp", "digits") == name


def test_a_link_is_followed_to_a_job_of_its_page_and_else_the_latest_is_shown(data_root: Path) -> None:
    def shown(named: str | None, kind: str = "distill", model: str = "digits-mlp", data: str = "digits") -> str | None:
        return jobs.linked(named, kind, model, data)

    old = made({"state": "done"}, TAUGHT)
    newest = old.replace("abc", "new")
    shutil.copytree(data_root / "sweeps" / old, data_root / "sweeps" / newest)
    os.utime(data_root / "sweeps" / old / "plan.json", (1, 1))
    assert shown(old) == old
    assert shown(None) == shown("") == shown("absent") == shown("../" + old) == newest
    assert shown(old, kind="prune") is None
    assert shown(old, model="digits-cnn") is None
    assert shown(old, data="mnist") is None, "its students are not judged on other images"
    (data_root / "sweeps" / old / "plan.json").write_text("{")
    assert shown(old) == newest


def test_a_teacher_is_no_training() -> None:
    name = made({"state": "running", "done": 1, "total": 7, "started": 1.0}, TAUGHT)
    assert jobs.trainings(name) == (1, 6), "alone and at two temperatures, two seeds each"
    row = jobs.own_root() / "sweeps" / name / "rows.jsonl"
    row.write_text('{"point": 0}')
    assert jobs.trainings(name) == (0, 6), "what is done is to ask the teacher"
    row.write_text('{"point": 2}\n{"point": 0}\n{"point": 1}')
    assert jobs.trainings(name) == (0, 6), "rows are written before they are counted"


@pytest.mark.parametrize(("plan", "word"), [(QUICK, "sweep"), (TAUGHT, "lesson")])
def test_a_job_is_called_what_it_is(
    plan: jobs.Plan, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = made("{", plan)
    with pytest.raises(UserError, match=f"^The state of {word} '{name}' cannot be read"):
        jobs.state(name)
    with pytest.raises(UserError, match=f"^{word.capitalize()} '{name}' kept no weights of point 3"):
        jobs.weights(name, 3)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ESPALIER_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match=f"^{word.capitalize()}s cannot be kept in "):
        jobs.start(plan)


@pytest.mark.parametrize("name", ["", "..", "../secret", "/etc", "a/b", "nothere", "abc123\n", "a" * 300, "abc\0"])
def test_names_reach_no_other_folder(name: str, data_root: Path) -> None:
    made({"state": "done"})
    secret = data_root / "secret"
    secret.mkdir()
    for file in ("plan.json", "state.json", "rows.jsonl"):
        (secret / file).write_text("{}")
    assert not jobs.exists(name)
    for function in (jobs.state, jobs.rows, jobs.plan, jobs.cancel):
        with pytest.raises(UserError, match="^No study named ") as caught:
            function(name)
        assert "\n" not in str(caught.value)


def test_a_data_root_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ESPALIER_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match="^Sweeps cannot be kept in .*; set ESPALIER_DATA to another folder$"):
        jobs.start(QUICK)
