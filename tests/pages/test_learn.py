"""Lessons, cards and words as data: whole, true to the tables that the menus read, and computed in time."""

from __future__ import annotations

import inspect
import re
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import ButtonGroup, Selectbox

from compression.models.zoo import load_model
from compression.pruning.masks import prunable
from compression.registry import UserError
from pages._classroom import CHOSEN, LOCKS, SHOWN
from pages._experiments import EXPERIMENTS
from pages._lessons import Check, Curve, Lesson, Pick, lessons, read_lesson
from pages._method_cards import TABLES, advice, words
from pages._pictures import PICTURES

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 20
Open = Callable[..., AppTest]
EACH = pytest.mark.parametrize("lesson", lessons().values(), ids=lambda lesson: f"{lesson.number:02}")

pytestmark = [
    pytest.mark.timeout(300),
    # AppTest runs the script in a thread of its own, which ends with the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def at_step(open_app: Open, lesson: Lesson, step: str, **query: str) -> AppTest:
    named = {
        "learn_lesson": f"{lesson.number} {lesson.title}",
        "learn_step": step,
        "learn_drawn": "_".join(["50"] * 10),
    }
    if not isinstance(lesson.predict, Curve):
        first = list(lesson.predict.choices)[0] if isinstance(lesson.predict, Pick) else "0.25"
        named[f"learn_guess_{lesson.number}"] = first
    at = open_app("learn", **named | query)
    assert not at.exception and not at.error, [*at.exception, *at.error]
    return at


def measured(at: AppTest) -> str:
    (line,) = [box.value for box in [*at.info, *at.success] if box.value.startswith("**Measured:")]
    return line


def seconds() -> float:
    """What this process and those that it has waited for have computed."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def test_there_are_twelve_lessons_numbered_in_order() -> None:
    assert [lesson.number for lesson in lessons().values()] == list(range(1, 13))


@EACH
def test_a_lesson_names_what_there_is(lesson: Lesson) -> None:
    drawn = {"drawn": ()} if isinstance(lesson.predict, Curve) else {}
    inspect.signature(EXPERIMENTS[lesson.experiment]).bind(**lesson.settings, **drawn)
    assert lesson.picture is None or lesson.picture in PICTURES
    assert (ROOT / lesson.onward.page).is_file()
    assert lesson.settings["model"] == lesson.onward.query["model"], "it hands over the model that it spoke of"
    assert not lesson.onward.stages or lesson.onward.page == "pages/pipeline.py"


def said(widget: Any) -> list[str | float]:
    """What a widget shows: the words that are chosen, the number, or the text."""
    if isinstance(widget, ButtonGroup):
        return [widget.options[place] for place in widget.indices]
    return [widget.options[widget.index] if isinstance(widget, Selectbox) else widget.value]


@EACH
def test_the_page_that_opens_has_the_lessons_settings(open_app: Open, lesson: Lesson) -> None:
    at = open_app(Path(lesson.onward.page).stem, **lesson.onward.query)
    assert not at.exception and not at.error
    kinds = (at.selectbox, at.slider, at.number_input, at.button_group, at.text_input)
    shown = {widget.key: said(widget) for kind in kinds for widget in kind if widget.key in lesson.onward.query}
    assert set(shown) == set(lesson.onward.query)
    for key, (value,) in shown.items():
        asked = lesson.onward.query[key]
        assert value == (asked if isinstance(value, str) else float(asked)), key


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever leaves this machine fails."""
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if host not in ("", "127.0.0.1", "::1", "localhost"):
            raise OSError(f"A lesson asked for {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
@EACH
def test_an_experiment_needs_no_network_and_computes_no_more_than_twenty_seconds(
    open_app: Open, lesson: Lesson
) -> None:
    open_app("overview")  # what is imported once does not count
    before = seconds()
    at = at_step(open_app, lesson, "Experiment")
    assert len(measured(at)) > 20
    assert seconds() - before < MOST_SECONDS
    settings = {widget.key for widget in [*at.slider, *at.number_input]} - {f"learn_guess_{lesson.number}"}
    assert settings <= set(CHOSEN), "a link carries all that can be set"


@pytest.mark.parametrize("number", [1, 2, 3], ids=["to draw", "to move", "to pick"])
def test_nothing_is_shown_before_a_prediction(open_app: Open, number: int) -> None:
    title = list(lessons())[number - 1]
    at = open_app("learn", learn_lesson=f"{number} {title}", learn_step="Experiment")
    assert [box.value for box in at.info][0].startswith("Predict first")
    assert not at.get("plotly_chart")
    assert at.button(key="learn_on").disabled


def test_a_lesson_is_done_once_its_check_is_right(open_app: Open) -> None:
    lesson = list(lessons().values())[3]
    at = at_step(open_app, lesson, "Check")
    wrong = (lesson.check.right + 1) % len(lesson.check.choices)
    for choice, marks in ((lesson.check.choices[wrong], 0), (lesson.check.answer, 1)):
        at = at.radio(key="learn_check_4").set_value(choice).run()
        captions = list(at.radio(key="learn_lesson").proto.captions)
        assert captions.count("done") == marks
    assert captions[3] == "done"
    assert any(lesson.check.why in box.value for box in at.success)


def test_charts_of_other_pages_are_not_those_of_a_presenter(open_app: Open) -> None:
    """The switch's key outlives its page: Streamlit keeps what is bound to the address."""
    at = open_app("learn", learn_present="true")
    assert at.session_state[SHOWN]
    at = at.switch_page("pages/prune.py").run()
    assert not at.exception and not at.session_state[SHOWN]


def test_the_share_below_a_threshold_is_counted(open_app: Open) -> None:
    lesson = list(lessons().values())[1]
    model = load_model("digits-mlp")
    sizes = np.concatenate([layer.weight.detach().abs().numpy().ravel() for layer in prunable(model).values()])
    share = 100 * (sizes < lesson.settings["threshold"]).mean()
    at = at_step(open_app, lesson, "Experiment", learn_guess_2="0.5")
    assert f"{share:.1f} % of the weights are smaller" in measured(at)
    assert f"You said 50 %: {50 - share:.1f} points too high." in measured(at)


def test_the_right_choice_is_the_first_that_the_value_reaches() -> None:
    by_number = Pick(choices={"little": 1.2, "some": 3, "much": None})
    assert [by_number.right(value) for value in (-4.0, 1.2, 1.3, 3.0, 99.0)] == ["little"] * 2 + ["some"] * 2 + ["much"]
    by_name = Pick(choices={"the first": "stem", "the last": "head"})
    assert [by_name.right(value) for value in ("head", "stem", "other")] == ["the last", "the first", "other"]


def test_a_fault_in_a_lesson_is_one_line(tmp_path: Path) -> None:
    text = (ROOT / "pages" / "lessons" / "03-speed.md").read_text()
    path = tmp_path / "03-speed.md"
    path.write_text(text.replace("title:", "tittle:", 1))
    with pytest.raises(UserError, match="^title is missing; tittle is not a field of a lesson") as fault:
        read_lesson(path)
    assert "\n" not in str(fault.value)
    with pytest.raises(ValueError, match="right is 2; it must lie in 0 to 1"):
        Check(question="?", choices=("a", "b"), right=2, why="")


@pytest.mark.parametrize(
    ("table", "key"), [(name, key) for name, table in TABLES.items() for key in table.methods], ids=str
)
def test_every_method_has_a_whole_card(table: str, key: str) -> None:
    card, told = TABLES[table].methods[key], advice()[table][key]
    assert card.sentence.endswith(".") and card.formula and any(letter.isdigit() for letter in card.paper)
    assert set(told) == {"when", "costs"} and all(text.endswith(".") and len(text) > 15 for text in told.values())


def test_no_card_tells_of_a_method_that_is_gone() -> None:
    assert {name: set(keys) for name, keys in advice().items()} == {n: set(t.methods) for n, t in TABLES.items()}


def test_every_word_has_a_meaning_and_a_lesson() -> None:
    for told in words().values():
        assert told["means"].endswith(".") and 1 <= told["lesson"] <= len(lessons())


def at_card(open_app: Open, table: str, key: str) -> AppTest:
    label = TABLES[table].methods[key].label
    at = open_app("learn", learn_view="Methods", learn_table=TABLES[table].label, **{f"learn_card_{table}": label})
    assert not at.exception and not at.error
    card = TABLES[table].methods[key]
    assert [box.value for box in at.header] == [card.label]
    assert any(card.paper in caption.value for caption in at.caption)
    return at


@pytest.mark.parametrize(("table", "key"), [(name, next(iter(table.methods))) for name, table in TABLES.items()])
def test_a_card_is_shown_with_its_source_and_picture(open_app: Open, table: str, key: str) -> None:
    assert len(at_card(open_app, table, key).get("image" if table == "datasets" else "plotly_chart"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "key"), [(name, key) for name, table in TABLES.items() for key in list(table.methods)[1:]], ids=str
)
def test_every_other_card_has_its_picture(open_app: Open, table: str, key: str) -> None:
    at = at_card(open_app, table, key)
    if table == "datasets":
        assert "not on this machine" in at.info[0].value
    else:
        assert len(at.get("plotly_chart")) == 1


def test_every_control_that_a_link_can_hide_is_documented() -> None:
    text = (ROOT / "docs" / "lessons.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)[: len(LOCKS)] == [
        (word, about) for word, (about, _) in LOCKS.items()
    ]


def test_every_field_of_a_lesson_is_documented() -> None:
    told = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "lessons.md").read_text().split("## Writing one")[1]))
    assert told >= set(Lesson.model_fields) - {"number", "explanation"}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn(open_app: Open, name: str) -> None:
    at = open_app("learn", learn_view="Pictures", learn_picture=PICTURES[name].title)
    assert not at.exception and not at.error
    assert len(at.get("plotly_chart")) == 1


def test_the_glossary_finds_a_word(open_app: Open) -> None:
    at = open_app("learn", learn_view="Glossary")
    whole = len(at.table[0].value)
    at = at.text_input(key="learn_find").set_value("TEMPERATURE").run()
    found = at.table[0].value
    methods = sum(len(table.methods) for table in TABLES.values())
    assert "Temperature" in found.index and 0 < len(found) < whole == len(words()) + methods
    assert found.loc["Soft targets", "what it means"].tolist() == [
        words()["Soft targets"]["means"],
        TABLES["distillations"].methods["soft_targets"].sentence,
    ]
    at = at.text_input(key="learn_find").set_value("no such word").run()
    assert not at.table and "No word here" in at.info[0].value
