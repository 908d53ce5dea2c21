"""The cached calls, in one place: plain data in ``cache_data``, live objects in ``cache_resource``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import wraps
from typing import Any

import pandas as pd
import streamlit as st
from torch import Tensor, nn

from compression.card import model_card_of
from compression.data.root import own_root
from compression.goals import Constraint
from compression.measure import latencies, macs
from compression.models.files import load_weights
from compression.models.zoo import SAMPLES, load, model_card
from compression.pipeline import run
from compression.presenting import evidence, studied
from compression.pruning import Pruned, ScoreIndex, score_index, weight_index
from compression.pruning.criteria import ABSOLUTE
from compression.pruning.sensitivity import probes
from compression.recipe import Distill, Prune, Recalibrate, Recipe
from compression.report.story import Evidence, Studied
from compression.report.study_cloud import cloud_table
from compression.report.study_view import StudyView, study_view
from compression.results import Latency, Measurement, StageResult
from compression.stages import Outcome, after, carry_out, finished, student_of
from compression.studies import jobs, records, store
from compression.studies.plan import Sweep
from compression.studies.study import Study
from compression.studies.sweep import run_point
from compression.subject import (
    Preview,
    baseline,
    identity,
    judge,
    layer_names,
    live_limit,
    load_subject,
    preview,
    prune_subject,
    scan_subject,
    scores,
)

Row = dict[str, Any]
SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def kept_apart(cache: Callable[..., Any], whose: Callable[..., str], **options: Any) -> Callable[..., Any]:
    """One of Streamlit's caches, which all users of a server share, that knows whose each result is.

    Args:
        cache: ``st.cache_data`` or ``st.cache_resource``.
        whose: what tells equal arguments of different people apart; it is given the arguments.
        options: of that cache.
    """

    def decorated(compute: Callable[..., Any]) -> Callable[..., Any]:
        @cache(show_spinner=False, **options)
        @wraps(compute)
        def remembered(*given: Any, apart: str) -> Any:
            return compute(*given)

        @wraps(compute)
        def called(*given: Any) -> Any:
            return remembered(*given, apart=whose(*given))

        return called

    return decorated


def by_subject(model: str, data: str | None, *rest: Any) -> str:
    """Sample models on data sets of the catalogue are remembered for all; one's own for oneself."""
    return identity(model, data)


def by_student(model: str, data: str, before: str, stage: str) -> str:
    """As ``by_subject``, for a stage whose student may be a model of one's own too."""
    return by_subject(model, data) + identity(Distill.model_validate_json(stage).student, None)


def by_owner(*given: Any) -> str:
    """Jobs and studies are everybody's own."""
    return str(own_root())


def live_plan(model: str, data: str, **fields: Any) -> Sweep:
    """A one-shot sweep over all sparsities on as many validation images as a live page can judge."""
    limit = live_limit(load_subject(model, data))
    return Sweep(model=model, data=data, sparsities=SPARSITIES, limit=limit, **fields)


def live_rows(plan: Sweep, every: int = 1) -> list[Row]:
    """The rows of a sweep, run in the page; each point is computed once and remembered.

    A point that cannot be made, such as a few channels of a narrow layer, is left out. ``every``
    runs each so many-th point only, for a chart that cannot wait for the rest.
    """
    text = plan.model_dump_json()
    indices = range(0, len(plan.points()), every)
    place = st.empty()
    found = []
    for done, index in enumerate(indices):
        with place:
            st.progress(done / len(indices), f"Measuring point {done + 1} of {len(indices)}")
        found.append(_row(plan.model, plan.data, text, index))
    place.empty()
    return [row for row in found if row]


@kept_apart(st.cache_data, by_subject, max_entries=4000)
def _row(model: str, data: str | None, plan: str, index: int) -> Row | None:
    sweep = Sweep.model_validate_json(plan)
    return run_point(sweep.points()[index], sweep.split, sweep.limit, keep=False).row


def heed_clicks(*done: Any) -> None:
    """For what takes seconds inside a cached call, where nothing can be drawn: whoever has moved on ends it here."""
    st.session_state.get("learn_step")  # where Streamlit sees that a click asks for another run


def live_runs(recipes: Sequence[Recipe]) -> list[StageResult]:
    """The last stage of each recipe, run in the page on validation images; each is trained once and remembered."""
    place = st.empty()
    found = []
    for done, recipe in enumerate(recipes):
        with place:
            st.progress(done / len(recipes), f"Training {done + 1} of {len(recipes)}")
        found.append(_last_stage(recipe.model, recipe.data, recipe.to_json()))
    place.empty()
    return found


@kept_apart(st.cache_data, by_subject, max_entries=500)
def _last_stage(model: str, data: str | None, recipe: str) -> StageResult:
    return run(Recipe.from_json(recipe), on_event=heed_clicks, split="val").stages[-1]


@kept_apart(st.cache_data, by_subject, max_entries=16)
def layer_readings(model: str, data: str | None, granularity: str) -> list[Row]:
    """Each layer cut alone, at nine sparsities."""
    subject = load_subject(model, data)
    found = []
    for reading in scan_subject(subject, probes(layer_names(subject, granularity), granularity)):
        heed_clicks()
        found.append(asdict(reading))
    return found


@kept_apart(st.cache_resource, by_subject, max_entries=2)
def weights_of(model: str, data: str) -> ScoreIndex:
    """The sorted weights of a model, for its histogram."""
    return weight_index(load_subject(model, data).model)


def scores_index(model: str, data: str, granularity: str, criterion: str) -> ScoreIndex | None:
    """The sorted scores that a threshold cuts; None for criteria that only rank."""
    if criterion not in ABSOLUTE:
        return None
    if (granularity, criterion) == ("weights", "magnitude"):  # |w| is cut at both ends of the sorted w
        return weights_of(model, data)
    return _scores_index(model, data, granularity, criterion)


@kept_apart(st.cache_resource, by_subject, max_entries=2)
def _scores_index(model: str, data: str, granularity: str, criterion: str) -> ScoreIndex:
    stage = Prune(granularity=granularity, criterion=criterion, sparsity=0.5)
    return score_index(scores(load_subject(model, data), stage))


@kept_apart(st.cache_resource, by_subject, max_entries=2)
def fallen(model: str, data: str, stage: str) -> Pruned:
    """The pruned model of a stage, given as JSON: all that the histogram waits for."""
    return prune_subject(load_subject(model, data), Prune.model_validate_json(stage))


@kept_apart(st.cache_resource, by_subject, max_entries=2)
def tried(model: str, data: str, stage: str) -> Preview:
    """The pruned model with its measurement; the last one is kept, since a chart's own controls redraw it."""
    subject = load_subject(model, data)
    return preview(subject, fallen(model, data, stage), limit=live_limit(subject))


@kept_apart(st.cache_data, by_subject, max_entries=16)
def recalibrated(model: str, data: str, stage: str, how: str) -> Measurement:
    """What is measured of a pruned model after a recalibration; both stages as JSON."""
    subject = load_subject(model, data)
    cut = after(Outcome(subject), fallen(model, data, stage))
    healed = finished(carry_out(cut, Recalibrate.model_validate_json(how), subject, seed=0, number=1))
    return judge(healed.subject, healed.subject.model, limit=live_limit(subject))[1]


@kept_apart(st.cache_resource, by_student, max_entries=2)
def student_module(model: str, data: str, before: str, stage: str) -> nn.Module:
    """The untrained student of a distilling stage, after a pruning if ``before`` holds one; both as JSON."""
    subject = present = load_subject(model, data)
    if before:
        present = replace(subject, model=fallen(model, data, before).model)
    return student_of(Distill.model_validate_json(stage), present, subject, seed=0).model


@kept_apart(st.cache_data, by_student, max_entries=256)
def student_facts(model: str, data: str, before: str, stage: str) -> tuple[int, int]:
    """Parameters and MACs of an untrained student."""
    student = student_module(model, data, before, stage)
    return sum(p.numel() for p in student.parameters()), macs(student, load_subject(model, data).blueprint.input_shape)


@kept_apart(st.cache_data, by_owner, max_entries=32)
def answers_of(job: str, point: int, split: str) -> Tensor:
    """Logits N×K of a student that a job trained."""
    plan = jobs.plan(job)
    subject = load_subject(plan.model, plan.data)
    return judge(subject, load_weights(jobs.weights(job, point)).model, split)[0]


@kept_apart(st.cache_data, by_subject, max_entries=64)
def timed(model: str, data: str, stage: str) -> tuple[Latency, ...]:
    """The measured latency of a pruned model against its baseline; takes some seconds."""
    subject = load_subject(model, data)
    pruned = tried(model, data, stage).pruned.model
    shape = subject.blueprint.input_shape
    return latencies({"it": pruned}, subject.model, shape, on_progress=heed_clicks)["it"]


@kept_apart(st.cache_data, by_subject, max_entries=16)
def timed_styles(model: str, data: str | None, granularities: tuple[str, ...], sparsity: float) -> list[Row]:
    """The baseline and the model pruned in each style, timed together in ONNX Runtime; takes some seconds."""
    subject = load_subject(model, data)
    stages = {kind: Prune(granularity=kind, scope="layer", sparsity=sparsity) for kind in granularities}
    made = {kind: preview(subject, prune_subject(subject, stage)) for kind, stage in stages.items()}
    models = {kind: each.pruned.model for kind, each in made.items()}
    shape, runtimes = subject.blueprint.input_shape, ("onnxruntime",)
    timings = latencies(models, subject.model, shape, runtimes, seconds=0.5, on_progress=heed_clicks)
    start = {"granularity": "baseline", "sparsity": 0.0, **baseline(subject)[1].row()}
    return [start] + [
        {"granularity": kind, "sparsity": sparsity,
         **each.measurement.model_copy(update={"latency": timings[kind]}).row()}
        for kind, each in made.items()
    ]  # fmt: skip


@kept_apart(st.cache_resource, by_owner, max_entries=16)
def viewed(names: tuple[str, ...], known: tuple[tuple[int, int], ...]) -> StudyView:
    """The trials of studies, not to be changed; ``known`` is ``records.known`` of each, which changes with them."""
    return study_view(row for name in names for row in records.points(name))


@kept_apart(st.cache_resource, by_owner, max_entries=16)
def planned(names: tuple[str, ...], known: tuple[tuple[int, int], ...]) -> tuple[Study, ...]:
    """The plans of studies, whose reading takes as long as all that the store says of them; ``known`` as above."""
    return tuple(map(store.plan, names))


@kept_apart(st.cache_resource, by_owner, max_entries=32, hash_funcs={Constraint: repr})
def clouded(
    names: tuple[str, ...],
    known: tuple[tuple[int, int], ...],
    x: str,
    y: str,
    group: str,
    constraints: tuple[Constraint, ...],
    g_per_kwh: float,
) -> pd.DataFrame:
    """All these trials on two measures, not to be changed; a filter takes from it."""
    return cloud_table(viewed(names, known).rows, x, y, group, constraints, g_per_kwh)


def card_of(name: str) -> Row:
    """The whole card of a model: your own have theirs beside them, those of the samples are made here."""
    return sample_card(name) if name in SAMPLES else model_card(name)


@st.cache_data(max_entries=16, show_spinner=False)
def sample_card(name: str) -> Row:
    """The card of a sample model, with what can be pruned of it."""
    loaded = load(name)
    return model_card_of(name, loaded.model, loaded.blueprint) | {"sentence": SAMPLES[name].sentence}


@kept_apart(st.cache_data, by_owner, max_entries=64)
def tested(model: str, data: str | None, weights: str) -> tuple[Measurement, Measurement]:
    """The test accuracy of a model as it is, and of the trial that left these weights."""
    subject = load_subject(model, data)
    return baseline(subject, "test")[1], judge(subject, load_weights(own_root() / weights).model, "test")[1]


@kept_apart(st.cache_resource, by_owner, max_entries=16)
def studied_of(name: str, known: tuple[int, int]) -> Studied:
    """A study as its story needs it, not to be changed; ``known`` is ``records.known`` of it."""
    return studied(name)


@kept_apart(st.cache_resource, by_owner, max_entries=64)
def answered(name: str, known: tuple[int, int], trial: int) -> Evidence | None:
    """How a trial's model answers the test images beside its baseline."""
    return evidence(name, trial)
