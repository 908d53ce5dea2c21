"""A small hand-made teacher and what came of its students."""

import math
from types import SimpleNamespace

from compression.report.distill_tables import dark_table, softening_table
from compression.results import Epoch, wilson

ANIMALS = ("ant", "bee", "cat", "dog")
LOGITS = (1.0, 2.0, 9.0, 5.0)
"""A cat that looks most like a dog."""


def chances(logits, temperature):
    powers = [math.exp(z / temperature) for z in logits]
    return [power / sum(powers) for power in powers]


def answer(logits=LOGITS, classes=ANIMALS, label=2, temperature=4.0):
    """The two tables of one answer: its softening, and its wrong classes in no order."""
    soft = chances(logits, temperature)
    wrong = [
        SimpleNamespace(index=at, probability=soft[at], ratio=soft[at] / soft[label])
        for at in range(len(classes))
        if at != label
    ]
    return softening_table(classes, chances(logits, 1), soft, label), dark_table(classes, wrong)


def gradient(*triples):
    return [SimpleNamespace(temperature=t, plain=plain, scaled=scaled) for t, plain, scaled in triples]


def epochs(*accuracies, parts=True):
    return [
        Epoch(stage=1, epoch=at, train_loss=9 / at, train_accuracy=0.9, val_loss=1, val_accuracy=accuracy, lr=0.1,
              seconds=1, parts={"hard": 2 / at, "teacher": 0.1 / at} if parts else {})
        for at, accuracy in enumerate(accuracies, 1)
    ]  # fmt: skip


def judged(n=10_000, **errors):
    """Flat rows of runs: how many of n images each seed gets wrong."""
    return [
        {"run": run, "seed": seed, "accuracy": 1 - wrong / n, "n": n, "split": "test"}
        for run, own in errors.items()
        for seed, wrong in enumerate(own)
    ]


def bins(*full, side=10):
    """Reliability of (count, confidence, accuracy) in the last bins, those before are empty."""
    empty = side - len(full)
    return SimpleNamespace(
        edges=[at / side for at in range(side + 1)],
        counts=[0] * empty + [count for count, _, _ in full],
        confidence=[None] * empty + [confidence for _, confidence, _ in full],
        accuracy=[None] * empty + [accuracy for _, _, accuracy in full],
    )


def swept(by_temperature, *, n=1000, alpha=0.9, method="soft targets"):
    """Flat rows: for each temperature (None: the student alone) how many of n images each seed gets right."""
    rows = []
    for temperature, rights in by_temperature.items():
        for seed, right in enumerate(rights):
            low, high = wilson(right, n)
            rows.append({"temperature": temperature, "alpha": alpha, "method": method, "seed": seed,
                         "accuracy": right / n, "accuracy_low": low, "accuracy_high": high, "n": n,
                         "split": "val"})  # fmt: skip
    return rows


PEAK = {None: (940, 942, 944), 1: (950, 952, 954), 4: (970, 972, 974), 20: (950, 951, 955)}
FLAT = {None: (940, 942, 944), 1: (950, 952, 954), 4: (951, 953, 955), 20: (950, 951, 955)}


SIZES = {"teacher": (1_200_000, 2_400_000, 4_800_000)}
"""Parameters, MACs and packed bytes; a student that is not named has 34 times fewer."""
TRIO = {"teacher": (120,), "alone": (480, 495, 500), "distilled": (320, 330, 335)}
"""Errors of 10,000: 1.2 %, 4.9 % and 3.3 % on average, so that 3.7 points are lost and 1.6 won back."""


def costed(n=10_000, sizes=SIZES, **wrong):
    """Flat rows of runs: how many of n images each seed gets wrong, and what the model costs."""
    rows = []
    for row in judged(n, **wrong):
        low, high = wilson(round(n * row["accuracy"]), n)
        costs = sizes.get(row["run"], (35_294, 70_588, 141_176))
        rows.append(row | {"accuracy_low": low, "accuracy_high": high}
                    | dict(zip(("params", "macs", "packed_bytes"), costs, strict=True)))  # fmt: skip
    return rows
