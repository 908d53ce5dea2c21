"""How an engine hands out the trials of a study and takes in what comes back, one to a worker at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from distributed import Client
from distributed import Event as Flag

from compression.machine import versions
from compression.registry import UserError
from compression.studies import recording, records, spool, store
from compression.studies.control import BEAT, Told
from compression.studies.crew import Crew
from compression.studies.race import Judge, referee, stop_name
from compression.studies.study import Study
from compression.studies.tasks import Task
from compression.studies.trial import Made, carry_out


def search(study: Study, client: Client, phases: list[Iterator[Task]], told: Told) -> bool:
    """Run all tasks, one phase after the other, and stop those under way where the study cannot go on."""
    flag, judge, crew = Flag(stop_name(study), client=client), referee(study, client), Crew(client, carry_out)
    flag.clear()
    try:
        return all(_keep_busy(study, crew, flag, judge, todo, told) for todo in phases)
    except UserError:
        flag.set()
        raise
    finally:
        crew.close()


def _keep_busy(study: Study, crew: Crew, flag: Flag, judge: Judge, todo: Iterator[Task], told: Told) -> bool:
    """Give every worker a task until there are no more, or the study is to stop; whether there are no more."""
    waiting, back = deque[Task](), list[tuple[Task, Made | None]]()
    more, stopped = True, False
    while more or waiting or back or crew.running():
        if stopped or store.wanted(study.name) != "run":  # once stopped, what is under way is given up
            flag.set()
            more, stopped = False, True
            _leave(waiting)
        free = crew.free()
        while free and waiting:
            crew.give(waiting.popleft(), free.pop(0))
        lost = judge()
        for task, made in back:
            if made:
                _record(study, task, made, lost.get(task.number, ""))
            else:
                waiting.append(task)
        more = more and _refill(waiting, todo, len(free) + 1)  # one waits here, so that no worker does
        back = crew.back(0 if free and waiting else BEAT) if more or waiting or crew.running() else []
        told("running", running=crew.running(), message=crew.complaint() or crew.absence())
    told("running", running=[], message=crew.complaint())
    return not stopped


def _refill(waiting: deque[Task], todo: Iterator[Task], most: int) -> bool:
    """Have so many tasks ready, where there are that many; whether there may be more."""
    while len(waiting) < most:
        task = next(todo, None)
        if task is None:
            return False
        waiting.append(task)
    return True


def _leave(waiting: deque[Task]) -> None:
    """Note that tasks were not begun."""
    while waiting:
        task = waiting.popleft()
        if task.number != records.BASELINE:
            recording.fail(task.number, recording.STOPPED)


def _record(study: Study, task: Task, made: Made, lost: str) -> None:
    """Keep what came of a trial, or why nothing did; ``lost`` says that it fell behind in a race."""
    if task.number == records.BASELINE and made.row is None and not made.stopped:
        raise UserError(made.reason)
    if task.number == records.BASELINE:
        if made.row:
            store.keep_baseline(study.name, made.row)
    elif made.stopped and lost:
        recording.give_up(task.number, lost)
    elif made.row is None:
        recording.fail(task.number, recording.STOPPED if made.stopped else made.reason)
    else:
        about = {
            "epochs": made.epochs, "versions": versions(), "hardware": made.hardware, "seconds": made.seconds,
            "stopped": made.reason,
        }  # fmt: skip
        recording.finish(task.number, study, made.row, spool.keep(task.key, made.weights, made.row, about))
        spool.forget(task.key)
