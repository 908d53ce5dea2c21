"""An epoch of distilling with the teacher's answers kept, against the loop that asks it at every step."""

from __future__ import annotations

import copy
from statistics import median

from torch import nn

from benchmarks.report import Row
from compression.data.sets import DATASETS
from compression.distillation.lesson import Lesson, lesson
from compression.distillation.students import fresh, student_blueprint
from compression.distillation.targets import Targets
from compression.models.zoo import SAMPLES
from compression.recipe import Distill
from compression.results import Epoch
from compression.subject import Subject, load_subject
from compression.training import fit, prepare_process

TEACHER = "mnist-mlp-1200"
BARS = {(30,): 5.0, (800, 800): 1.4}
PAIRS = 5


def rows(quick: bool = False) -> list[Row]:
    """For each student how many times faster an epoch is, and whether the same weights come out."""
    data = SAMPLES[TEACHER].data
    if not DATASETS[data].here():
        return [Row(TEACHER, "–", "≥ 5×, ≥ 1.4×", None, f"the data set {data} is not on this machine")]
    prepare_process(threads=1)
    subject = load_subject(TEACHER)
    return [_compared(subject, hidden, bar, 1 if quick else PAIRS) for hidden, bar in BARS.items()]


def _compared(subject: Subject, hidden: tuple[int, ...], bar: float, pairs: int) -> Row:
    stage = Distill(student="mlp", hidden=hidden, temperature=20, alpha=1, epochs=1, lr=0.05)
    start = fresh(student_blueprint(stage, subject.blueprint), seed=0)
    kept = lesson(stage, start, subject.model, subject.dataset)
    asked = Lesson(stage, Targets(subject.model, (), (), ""), ())
    ratios = []
    for turn in range(pairs):
        done = {}
        for goal in (kept, asked) if turn % 2 else (asked, kept):
            student = copy.deepcopy(start)
            done[goal] = _epoch(student, subject, stage, goal)
        ratios.append(done[asked].seconds / done[kept].seconds)
    with_, without = done[kept], done[asked]
    shape = "-".join(map(str, hidden))
    how = (
        f"one epoch of {TEACHER} into {shape} units at T = 20, median of {pairs} pairs in turn, one thread; the "
        f"plain loop is ours with the teacher run for every batch. With its answers kept an epoch takes "
        f"{with_.seconds:.2f} s, without {without.seconds:.2f} s; running the teacher once beforehand is not in. The "
        f"same numbers come out but for the rounding to float16: training loss {with_.train_loss:.4f} and "
        f"{without.train_loss:.4f}, validation accuracy {with_.val_accuracy:.2%} and {without.val_accuracy:.2%}."
    )
    found = median(ratios)
    return Row(f"{shape} units: an epoch with kept answers", f"{found:.1f}×", f"≥ {bar:g}×", found >= bar, how)


def _epoch(student: nn.Module, subject: Subject, stage: Distill, goal: Lesson) -> Epoch:
    settings = {"epochs": 1, "lr": stage.lr, "batch_size": stage.batch_size}
    [epoch] = fit(student, subject.dataset, objective=goal, **settings)
    return epoch
