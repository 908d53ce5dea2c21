from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from compression.measure import accuracy_fields, changed
from compression.registry import UserError

CLASSES = ("ant", "bee", "cat", "dog")


def predictions(n: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, 4, generator=generator)
    labels = torch.randint(0, 3, (n,), generator=generator)  # no dog among them
    return logits, labels


def test_fields_equal_a_slow_loop() -> None:
    logits, labels = predictions()
    fields = accuracy_fields(logits, labels, CLASSES)
    right = [int(np.argmax(row)) == int(label) for row, label in zip(logits.numpy(), labels, strict=True)]
    loss = 0.0
    for row, label in zip(logits.double().numpy(), labels, strict=True):
        loss += math.log(sum(math.exp(value) for value in row)) - row[int(label)]
    assert fields["n"] == 60
    assert fields["accuracy"] == sum(right) / 60
    assert fields["loss"] == pytest.approx(loss / 60)
    for k, name in enumerate(CLASSES[:3]):
        of_class = [hit for hit, label in zip(right, labels, strict=True) if int(label) == k]
        assert fields["class_accuracy"][name] == sum(of_class) / len(of_class)
    assert "dog" not in fields["class_accuracy"]


def test_interval_solves_the_score_equation() -> None:
    # Wilson: the bounds p satisfy |accuracy - p| = z·sqrt(p(1-p)/n).
    logits, labels = predictions()
    fields = accuracy_fields(logits, labels, CLASSES)
    for bound in (fields["accuracy_low"], fields["accuracy_high"]):
        assert abs(fields["accuracy"] - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 60))
    assert fields["accuracy_low"] < fields["accuracy"] < fields["accuracy_high"]


def test_changed_lists_each_image_once() -> None:
    before, labels = predictions()
    after = before + torch.randn(60, 4, generator=torch.Generator().manual_seed(9))
    difference = changed(before, after, labels)
    lost, gained = [], []
    for i in range(60):
        was = int(before[i].argmax()) == int(labels[i])
        now = int(after[i].argmax()) == int(labels[i])
        if was and not now:
            lost.append(i)
        if now and not was:
            gained.append(i)
    assert lost and gained
    assert difference.right_to_wrong.tolist() == lost
    assert difference.wrong_to_right.tolist() == gained
    for k in range(3):
        mine = [i for i in range(60) if int(labels[i]) == k]
        net = sum(i in gained for i in mine) - sum(i in lost for i in mine)
        assert difference.class_change[k] == pytest.approx(net / len(mine))
    assert difference.class_change[3] is None
    assert difference.after[lost[0]] != labels[lost[0]] == difference.before[lost[0]]


def test_equal_predictions_change_nothing() -> None:
    logits, labels = predictions()
    same = changed(logits, logits, labels)
    assert len(same.right_to_wrong) == len(same.wrong_to_right) == 0
    assert same.class_change == (0.0, 0.0, 0.0, None)


@pytest.mark.parametrize(
    ("logits", "labels", "says"),
    [
        (torch.full((2, 4), float("nan")), torch.tensor([0, 1]), "NaN"),
        (torch.full((2, 4), float("inf")), torch.tensor([0, 1]), "infinite"),
        (torch.zeros(2, 3), torch.tensor([0, 1]), r"need \(2, 4\)"),
        (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), "at least one image"),
        (torch.zeros(2, 4), torch.tensor([0, 4]), "0 to 3"),
    ],
)
def test_bad_input_gives_one_line(logits: torch.Tensor, labels: torch.Tensor, says: str) -> None:
    with pytest.raises(UserError, match=says) as fault:
        accuracy_fields(logits, labels, CLASSES)
    assert "\n" not in str(fault.value)
