"""The Present page through app.py: what it says is what the library tells, and every fault is one line."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from compression import presenting
from compression.report import story_words as words
from compression.report.savings import Assumptions
from compression.report.story_tables import assumption_cells, before_after_cells
from compression.studies import store
from compression.studies.study import Study
from pages._link import JOINER, inert
from tests.pages.forms import Open, sound
from tests.studies.plans import CUT_ROWS, made, measured

pytestmark = [
    pytest.mark.usefixtures("empty_store"),
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def filled() -> Study:
    return measured(CUT_ROWS)


def text_of(at: AppTest) -> str:
    return "\n".join(one.value for one in (*at.text, *at.header, *at.subheader))


def tables_of(at: AppTest) -> list[list[list[str]]]:
    """The tables as they are read, head first: what Markdown would take for its own is escaped in them."""
    found = [[list(one.value.columns), *one.value.to_numpy().tolist()] for one in at.table]
    return [[[re.sub(r"\\(.)", r"\1", cell).replace(JOINER, "") for cell in line] for line in table] for table in found]


def test_without_a_study_it_says_where_to_start_one(open_app: Open) -> None:
    at = sound(open_app("present", model="digits-mlp"))
    assert "Start one on the Trade-offs page" in at.info[0].value and not at.error


def test_the_suggested_point_is_told_as_the_library_tells_it(open_app: Open, filled: Study) -> None:
    at = sound(open_app("present", model="digits-mlp"))
    told = presenting.told("cut rows")
    point = told.points[0]
    said = text_of(at)
    for sentence in (words.headline(told, point), words.chosen_words(told), words.accuracy_words(told, point),
                     *words.harm_words(point), *words.savings_words(told, point), *words.footnote(told)):  # fmt: skip
        assert sentence in said, sentence
    tables = tables_of(at)
    assert before_after_cells(told) in tables and assumption_cells(told) in tables
    assert len(at.get("plotly_chart")) == 3 and len(at.get("download_button")) == 3


def test_a_link_brings_points_traffic_and_title_back(open_app: Open, filled: Study) -> None:
    query = {"present_study": "cut rows", "present_points": "1", "present_requests_per_day": "2000000.0",
             "present_title": "Ours <b>"}  # fmt: skip
    at = sound(open_app("present", **query))
    told = presenting.told("cut rows", (1,), Assumptions(requests_per_day=2e6))
    assert words.headline(told, told.points[0]) in text_of(at)
    assert words.savings_words(told, told.points[0])[0] in text_of(at)
    assert at.header[0].value == inert("Ours <b>") and at.multiselect(key="present_points").value == [1]
    (link,) = [code.value for code in at.code]
    assert all(part in link for part in ("present_study=cut+rows", "present_points=1", "present_title=Ours+%3Cb%3E"))


def test_the_page_has_the_title_as_a_heading_and_who_presents(open_app: Open, filled: Study) -> None:
    at = open_app("present", model="digits-mlp")
    at = at.text_input(key="present_title").set_value("Ours *1*").run()
    at = sound(at.text_input(key="present_author").set_value("Ada").run())
    assert [one.value for one in at.header] == [inert("Ours *1*")]
    told = presenting.told("cut rows")
    assert at.subheader[0].value == words.headline(told, told.points[0])
    assert any(one.value.startswith("Ada · ") for one in at.caption)
    logos = at.get("image")
    logo = io.BytesIO()
    Image.new("RGB", (30, 10), "#801650").save(logo, "PNG")
    at = sound(at.file_uploader(key="present_logo").set_value(("logo.png", logo.getvalue(), "image/png")).run())
    assert not logos and len(at.get("image")) == 1


def test_two_points_stand_side_by_side(open_app: Open, filled: Study) -> None:
    at = open_app("present", model="digits-mlp")
    at = sound(at.multiselect(key="present_points").set_value([1, 0]).run())
    told = presenting.told("cut rows", (1, 0))
    assert before_after_cells(told)[0] == tables_of(at)[0][0]
    assert f"B, {told.points[1].label}: {words.headline(told, told.points[1])}." in text_of(at)


def test_a_point_or_study_that_is_gone_is_one_line(open_app: Open, filled: Study) -> None:
    at = open_app("present", model="digits-mlp")
    at = at.multiselect(key="present_points").set_value([1]).run()
    store.delete("cut rows")
    measured(CUT_ROWS.replace("[0.25, 0.75]", "[0.5]"))
    at = sound(at.run())
    assert "is not in this study; it may have been deleted meanwhile" in at.warning[0].value
    assert at.multiselect(key="present_points").value == []
    store.delete("cut rows")
    at = sound(at.run())
    assert "There is no study to present yet" in at.info[0].value


def test_a_study_in_which_nothing_is_finished_says_what_to_do(open_app: Open) -> None:
    made(CUT_ROWS.replace("cut rows", "empty"))
    at = sound(open_app("present", model="digits-mlp"))
    assert [fault.value for fault in at.error] == ["The study 'empty' has no finished trial to present"]
    assert "go on with this one on the Trade-offs page" in at.info[0].value


@pytest.mark.parametrize("requests", [0.0, 1e12])
def test_traffic_that_is_nothing_or_enormous_is_told(open_app: Open, filled: Study, requests: float) -> None:
    at = open_app("present", model="digits-mlp")
    at = sound(at.number_input(key="present_requests_per_day").set_value(requests).run())
    told = presenting.told("cut rows", (), Assumptions(requests_per_day=requests))
    assert words.savings_words(told, told.points[0])[0] in text_of(at) and not at.error


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("present_requests_per_day", "-5", "requests_per_day is '-5'; it should be greater than or equal to 0; "
         "this is 1 million a day."),
        ("present_requests_per_day", "abc", "requests_per_day is 'abc'; it should be a valid number"),
        ("present_energy_mj", "x", "energy_mj is 'x'; it should be a valid number"),
        ("grid", "5000", "g_per_kwh is '5000'; it should be less than or equal to 2000"),
    ],
)  # fmt: skip
def test_a_link_with_a_number_that_cannot_be_says_so_once(
    open_app: Open, filled: Study, key: str, value: str, said: str
) -> None:
    at = sound(open_app("overview", **{key: value}))
    at.query_params[key] = value
    at = sound(at.switch_page("pages/present.py").run())
    plain = [warning.value.replace("\\", "") for warning in at.warning]
    assert len(plain) == 1 and said in plain[0] and "\n" not in plain[0], plain
    assert not any(one.warning for one in at.expander), "a warning in a closed expander is not seen"
    at = sound(at.run())
    assert not at.warning


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("present_energy_mj", 0.0, "energy_mj is 0.0; it should be greater than 0"),
        ("present_requests_per_day", 1e16, "requests_per_day is 1e+16; it should be less than or equal to"),
    ],
)
def test_an_assumption_that_cannot_be_is_one_line(
    open_app: Open, filled: Study, key: str, value: float, said: str
) -> None:
    at = open_app("present", model="digits-mlp")
    at = sound(at.number_input(key=key).set_value(value).run())
    assert said in at.error[0].value and "\n" not in at.error[0].value
