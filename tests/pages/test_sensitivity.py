"""The Sensitivity page without a browser: what it shows is what the library computes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from compression.owner import working_for
from compression.pruning.allocation import ALLOCATIONS
from compression.pruning.budget import Budget, allocate
from compression.pruning.ground import ground_of
from compression.pruning.sensitivity import probes, scan
from compression.report.text import percent
from compression.subject import judge, layer_names, load_subject, preview, prune_subject
from compression.training import inputs
from pages import _sensitivity_scan as scans
from tests.pages.forms import Open, sound

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.timeout(300),
    # AppTest runs the script in a thread of its own, which ends with the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def open_app(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    # AppTest forgets before each run that app.py makes the menu, as a fresh server does once.
    monkeypatch.setattr("pages._workbench._enter_by_app", lambda: None)
    monkeypatch.setattr(scans, "WAIT", 60.0)
    scans._scans.clear()

    def opened(model: str = "digits-mlp", **settings: object) -> AppTest:
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=240).switch_page("pages/sensitivity.py")
        at.query_params["model"] = model
        for key, value in {"sensitivity_images": 100, **settings}.items():
            at.session_state[key] = value
        return sound(at.run())

    yield opened
    for found in scans._scans.values():
        found.stop.set()


def charts(at: AppTest) -> int:
    return len(at.get("plotly_chart"))


def test_a_quick_scan_needs_no_click_and_its_numbers_are_the_librarys(open_app: Open) -> None:
    at = open_app()
    assert not at.error
    assert charts(at) == 4
    subject = load_subject("digits-mlp", "digits")
    images, labels = inputs(subject.dataset.val, subject.dataset)[:100], subject.dataset.val.labels[:100]
    layers = layer_names(subject, "weights")
    wanted = list(scan(subject.model, probes(layers), partial(prune_subject, subject), images, labels))
    table = at.dataframe[0].value
    assert list(table.accuracy) == [reading.accuracy for reading in wanted]
    assert list(table.layer) == [reading.layer for reading in wanted]
    methods = at.dataframe[1].value
    assert list(methods.label) == [card.label for card in ALLOCATIONS.values()]
    ground = ground_of(subject.model, "weights", subject.groups, wanted, floors=dict.fromkeys(layers, 0.05))
    made, pruned = allocate(ground, Budget("sparsity", 0.5), partial(prune_subject, subject))
    assert methods.accuracy[0] == judge(subject, pruned.model, limit=100)[1].accuracy
    assert methods.predicted[0] == made.predicted


def test_lines_and_heat_map_are_two_views_of_one_scan(open_app: Open) -> None:
    at = open_app()
    lines = [chart.proto.id for chart in at.get("plotly_chart")]
    at = sound(at.segmented_control(key="sensitivity_view").set_value("map").run())
    assert charts(at) == len(lines) and len(scans._scans) == 1


@pytest.mark.parametrize("style", ["rows", "weights"])
def test_every_style_is_scanned_and_allocated(open_app: Open, style: str) -> None:
    at = open_app(sensitivity_style=style)
    assert at.selectbox(key="sensitivity_style").value == style
    assert charts(at) == 4 and not at.error
    assert ("sensitivity_balance" in {one.key for one in at.slider}) == (style != "weights")


def test_the_heads_of_a_transformer_are_counted_out_and_its_blocks_only_ranked(open_app: Open) -> None:
    at = open_app("digits-vit", sensitivity_style="heads")
    assert charts(at) == 4 and not at.error
    methods = at.dataframe[1].value
    gone = at.select_slider(key="sensitivity_heads")
    assert list(methods.sparsity) == [gone.value / (len(gone.options) + 1)] * len(methods)
    at = sound(at.selectbox(key="sensitivity_style").set_value("blocks").run())
    assert charts(at) == 2 and not at.error


def test_a_longer_scan_waits_for_its_button_shows_progress_and_can_be_cancelled(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "QUICK", 0)
    monkeypatch.setattr(scans, "WAIT", 0.0)
    at = open_app()
    assert "Press **Scan**" in at.info[0].value and not charts(at)
    with scans._turn:  # as if another scan were running
        at = sound(at.button(key="sensitivity_go").click().run())
        assert "waiting for another scan" in at.get("progress")[0].proto.text
        at = sound(at.button(key="sensitivity_cancel").click().run())
    at = sound(at.run())
    assert "Cancelled at 0%" in at.warning[0].value
    at = sound(at.button(key="sensitivity_go").click().run())
    end = time.monotonic() + 60
    while at.get("progress") and time.monotonic() < end:
        time.sleep(0.2)
        at = sound(at.run())
    assert charts(at) == 4


def test_a_scan_that_breaks_says_why(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(scans, "scan_subject", broken)
    at = open_app()
    assert at.error[0].value == "The scan failed: RuntimeError: out of memory"


def test_the_allocation_is_carried_over_to_prune(open_app: Open) -> None:
    at = open_app(sensitivity_style="rows", sensitivity_sparsity=0.4)
    at = sound(at.selectbox(key="sensitivity_method").set_value("lamp").run())
    methods = at.dataframe[1].value.set_index("label")
    at = sound(at.button(key="sensitivity_use").click().run())
    assert at.title == [] or at.title[0].value != "Sensitivity"
    subject = load_subject("digits-mlp", "digits")
    layers = layer_names(subject, "rows")
    ground = ground_of(subject.model, "rows", subject.groups, floors=dict.fromkeys(layers, 0.05))
    made, pruned = allocate(ground, Budget("sparsity", 0.4), partial(prune_subject, subject), "lamp")
    assert at.multiselect(key="prune_layers").value == list(layers)
    assert {layer: at.slider(key=f"prune_of_{layer}").value for layer in layers} == made.sparsities
    found = preview(subject, pruned).measurement
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Accuracy"] == percent(found.accuracy)
    assert methods.params["LAMP"] == found.params


def test_the_allocation_is_carried_over_to_the_pipeline(open_app: Open) -> None:
    at = open_app(sensitivity_style="rows", sensitivity_sparsity=0.4)
    at = sound(at.button(key="sensitivity_pipe").click().run())
    at = sound(at.switch_page("pages/pipeline.py").run())
    titles = [md.value for md in at.markdown if md.value.startswith("**1. ")]
    assert titles and titles[0].startswith("**1. Prune ") and "neurons" in titles[0]


def test_locked_layers_stay_whole_and_all_locked_is_one_line(open_app: Open) -> None:
    at = open_app(sensitivity_style="rows")
    layers = at.multiselect(key="sensitivity_locks").options
    at = sound(at.multiselect(key="sensitivity_locks").set_value(layers).run())
    (line,) = [fault.value for fault in at.error]
    assert "keep all 2 layers whole" in line


def test_a_budget_that_cannot_be_met_names_the_nearest(open_app: Open) -> None:
    at = open_app(sensitivity_sparsity=0.98)
    (line,) = [found.value for found in at.error]
    assert "98.00% sparsity cannot be met" in line and "95.00% sparsity" in line


def test_garbage_in_a_link_falls_back_to_the_defaults(open_app: Open) -> None:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=240)
    garbage = {"style": "<b>", "images": "-3", "sparsity": "nan", "budget": "x", "floor_stem": "7"}
    for key, value in garbage.items():
        at.query_params[f"sensitivity_{key}"] = value
    at = sound(at.switch_page("pages/sensitivity.py").run())
    assert at.selectbox(key="sensitivity_style").value == "weights"
    assert charts(at) == 4


def test_a_scan_is_stopped_by_whom_it_belongs_to_alone(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "_work", lambda subject, found: None)
    settings = scans.Settings("digits-mlp", "digits", "rows", "magnitude", 100, "")
    with working_for("a" * 16):
        found = scans.start(load_subject("digits-mlp", "digits"), settings)
    with working_for("b" * 16):
        scans.cancel(settings)
        assert not found.is_own and found.under_way and scans.present(settings) is found
    with working_for("a" * 16):
        scans.cancel(settings)
    assert found.state == "cancelled"
