"""What a subject's criteria see: gathered once, whatever the amount, and only what the model can show."""

from __future__ import annotations

import pytest
import torch

from compression.pruning import CRITERIA, observe, prune
from compression.recipe import Prune
from compression.subject import Subject, _seen, criteria, evidence_of, load_subject, prune_subject


@pytest.fixture(scope="module")
def cnn() -> Subject:
    return load_subject("digits-cnn")


def stage(**fields: object) -> Prune:
    return Prune.model_validate({"sparsity": 0.5, "images": 20, **fields})


@pytest.mark.parametrize(("granularity", "criterion"), [("weights", "wanda"), ("channels", "taylor")])
def test_pruning_a_subject_shows_its_criterion_the_training_images(
    cnn: Subject, granularity: str, criterion: str
) -> None:
    asked = stage(granularity=granularity, criterion=criterion)
    shown = observe(cnn.model, cnn.dataset, criterion, images=20, seed=3)
    by_hand = prune(cnn.model, asked, (1, 8, 8), 3, cnn.groups, shown).model.state_dict()
    for name, tensor in prune_subject(cnn, asked, seed=3).model.state_dict().items():
        assert torch.equal(tensor, by_hand[name])


def test_a_slider_looks_once_and_criteria_share_what_they_see(cnn: Subject) -> None:
    _seen.cache_clear()
    for sparsity in (0.3, 0.6, 0.9):
        prune_subject(cnn, stage(criterion="snip", sparsity=sparsity))
    prune_subject(cnn, stage(criterion="taylor"))
    prune_subject(cnn, stage(criterion="magnitude"))
    assert _seen.cache_info().misses == 1
    assert evidence_of(cnn, stage(criterion="snip")) is evidence_of(cnn, stage(criterion="taylor"))
    assert evidence_of(cnn, stage(criterion="snip", images=30)).images == 30
    assert not evidence_of(cnn, stage()).tensors


def test_the_menu_offers_what_the_model_can_show(cnn: Subject) -> None:
    # Every hidden layer of both networks ends in ReLU; the linear one has no BatchNorm.
    assert set(criteria(cnn, "channels")) == set(CRITERIA) - {"wanda"}
    assert {"wanda", "snip", "movement"} <= set(criteria(cnn, "1:4"))
    assert set(criteria(load_subject("digits-mlp"), "rows")) == set(CRITERIA) - {"wanda", "batchnorm"}
