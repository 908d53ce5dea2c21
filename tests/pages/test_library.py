"""The Library page without a browser: uploads become data and models, which every page then offers."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

from compression import errands
from compression.data.adding import add
from compression.data.own import own_names, own_report
from compression.errands import AddData
from compression.library import add_model
from compression.models.own import own_card, own_models, remove_model
from compression.models.zoo import load
from compression.report.text import count
from tests.data.given import good, zipped
from tests.pages.forms import Open, add_data, add_mlp, column, ended, opened, press, said, sound

pytestmark = [
    pytest.mark.usefixtures("no_errands"),
    pytest.mark.timeout(300),
    # AppTest runs the script in a thread of its own, which ends with the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_a_zip_becomes_a_data_set_whose_report_is_shown(open_app: Open, tmp_path: Path) -> None:
    content = zipped(tmp_path / "z.zip", good(n=5) | {"b/no.png": b"no image"}).read_bytes()
    at = ended(add_data(opened(open_app, "data"), "mine", content), "data")
    assert own_names() == ("mine",) and "mine is a data set now" in at.success[0].value.replace("\\", "")
    assert at.selectbox(key="library_data").value == "mine"
    assert column(at, "train") == [5, 5]
    assert column(at, "file") == ["b/no.png"]
    assert dict((metric.label, metric.value) for metric in at.metric)["Left out"] == "1"
    at = press(at, "Add another")
    assert at.file_uploader(key="library_data_file") is not None


def test_a_zip_with_a_table_of_paths_and_labels_becomes_a_data_set(open_app: Open, tmp_path: Path) -> None:
    images = {name.replace("/", "-"): image for name, image in good(n=5).items()}
    lines = ["path,label,split", *(f"{name},{name[0]},{'test' if '4' in name else 'train'}" for name in images)]
    files = images | {"loose.png": images["a-0.png"], "labels.csv": "\n".join(lines).encode()}
    at = add_data(opened(open_app, "data"), "mine", zipped(tmp_path / "z.zip", files).read_bytes())
    at = ended(at, "data")
    assert (column(at, "class"), column(at, "train"), column(at, "test")) == (["a", "b"], [4, 4], [1, 1])
    assert (column(at, "file"), column(at, "why")) == (["loose.png"], ["is not in the table"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mine", None, "Still needed: a zip"),
        ("", None, "Still needed: a zip and a name"),
        ("digits", b"PK", "has a meaning of its own"),
        ("../up", b"PK", "it must be 1 to 64 letters"),
    ],
)
def test_a_form_that_cannot_be_sent_says_why_and_stays(
    open_app: Open, name: str, content: bytes | None, words: str, data_root: Path
) -> None:
    at = add_data(opened(open_app, "data"), name, content)
    assert words in said(at) and at.text_input(key="library_data_name").value == name
    assert not list(data_root.iterdir())


def test_a_model_is_added_for_data_with_weights_and_used_on_every_page(open_app: Open) -> None:
    net = load("digits-mlp").model.state_dict()
    state = {"layers.0.weight": net["layers.0.weight"][:8], "layers.0.bias": net["layers.0.bias"][:8]}
    state |= {"layers.1.weight": net["layers.2.weight"][:, :8], "layers.1.bias": net["layers.2.bias"]}
    content = io.BytesIO()
    torch.save({name: tensor.contiguous() for name, tensor in state.items()}, content)
    at = add_mlp(opened(open_app, "models"), "mine", content.getvalue(), "../../x.pth")
    at = ended(at, "model")
    assert own_models() == ("mine",) and not at.error
    assert torch.equal(load("mine").model.state_dict()["layers.1.bias"], state["layers.1.bias"])
    assert at.selectbox(key="library_model").value == "mine"
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Parameters"] == count(own_card("mine")["params"]) and shown["Classes"] == "10"
    assert "mine" in at.selectbox(key="model").options
    for page in ("prune", "distill", "sensitivity", "pipeline", "tradeoffs"):
        other = sound(open_app(page, model="mine"))
        assert not other.error and other.selectbox(key="data_digits").value == "digits"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("library_model_options", "[1]", "Options is '[1]'; give a JSON object such as"),
        ("library_model_input", "32", "Input is '32'; give channels, height and width such as 3x224x224"),
        ("library_model_name", "digits-cnn", "name is 'digits-cnn', which has a meaning of its own"),
    ],
)
def test_a_model_form_that_makes_no_sense_says_why_and_stays(
    open_app: Open, key: str, value: str, words: str, data_root: Path
) -> None:
    at = opened(open_app, "models")
    at.selectbox(key="library_model_data").set_value("other images").run()
    at.text_input(key="library_model_name").set_value("mine")
    at.text_input(key=key).set_value(value)
    at = press(at, "Add model")
    assert words in said(at) and at.text_input(key=key).value == value
    assert not (data_root / "errands").exists()


def test_own_data_goes_with_every_model_that_it_fits(open_app: Open, tmp_path: Path) -> None:
    add(zipped(tmp_path / "z.zip", good("abcdefghij", n=8)), "ten", (8, 8), True)
    add(zipped(tmp_path / "z.zip", good("ab", n=8)), "two", (8, 8), True)
    at = sound(open_app("prune", model="digits-mlp"))
    assert at.selectbox(key="data_digits").options == ["Digits 8×8", "ten"]
    at = sound(at.selectbox(key="data_digits").set_value("ten").run())
    assert not at.error and len(at.get("plotly_chart")) == 5


def test_a_model_that_no_data_fits_says_what_is_missing(open_app: Open) -> None:
    add_model("lonely", "mlp", {"hidden": [4]}, 3, (1, 5, 5))
    at = sound(open_app("prune", model="lonely"))
    assert "it takes images of 1×5×5 in 3 classes" in at.info[0].value


def test_a_model_that_only_guesses_is_told_from_one_that_knows(open_app: Open) -> None:
    add_model("mine", "mlp", {"hidden": [4]}, data="digits")
    at = sound(open_app("prune", model="mine"))
    assert "no better than guessing among 10 classes" in at.warning[0].value
    assert not sound(open_app("prune", model="digits-mlp")).warning


def test_a_model_is_not_deleted_before_it_was_confirmed(open_app: Open) -> None:
    add_model("mine", "mlp", {"hidden": [4]}, data="digits")
    at = sound(open_app("library"))
    at = sound(at.selectbox(key="library_model").set_value("mine").run())
    at = sound(at.button(key="library_model_delete").click().run())
    assert {"Delete it", "Keep it"} <= {button.label for button in at.button} and own_models() == ("mine",)


def test_what_was_deleted_is_told_and_neither_a_lost_link_nor_new_any_more(open_app: Open, tmp_path: Path) -> None:
    content = zipped(tmp_path / "z.zip", good(n=5)).read_bytes()
    at = ended(add_data(opened(open_app, "data"), "mine", content), "data")
    at = sound(at.button(key="library_data_delete").click().run())
    at = press(at, "Delete it")
    assert own_names() == () and at.selectbox(key="library_data").value == "digits"
    assert [one.value for one in at.success] == ["mine was deleted."] and not at.warning and not at.error
    assert not sound(at.run()).success


def test_what_a_second_page_sends_meanwhile_is_refused_and_kept(open_app: Open, tmp_path: Path) -> None:
    content = zipped(tmp_path / "z.zip", good(n=5)).read_bytes()
    second = opened(open_app, "data")
    errands.start(AddData(name="first"), {"images.zip": zipped(tmp_path / "many.zip", good(n=2000)).open("rb")})
    second = add_data(second, "second", content)
    assert "One is under way already" in said(second)
    assert second.text_input(key="library_data_name").value == "second"
    ended(press(ended(second, "data"), "Add data set"), "data")
    assert own_names() == ("first", "second")


def test_what_failed_is_dismissed_and_the_form_keeps_what_was_given(open_app: Open) -> None:
    at = ended(add_data(opened(open_app, "data"), "mine", b"no zip", "pics.zip"), "data")
    assert "'pics.zip' is not a zip file" in said(at) and at.text_input(key="library_data_name").value == "mine"
    assert not press(at, "Dismiss").error


def test_models_of_ones_own_come_first(open_app: Open) -> None:
    add_model("mine", "mlp", {"hidden": [4]}, data="digits")
    at = sound(open_app("library"))
    assert column(at, "model")[:2] == ["mine", "digits-cnn"]
    assert at.selectbox(key="library_model").options[:2] == ["mine", "digits-cnn"]


def test_a_damaged_card_takes_no_page_down_and_its_model_can_be_deleted(open_app: Open, data_root: Path) -> None:
    add_model("mine", "mlp", {"hidden": [4]}, data="digits")
    (data_root / "models" / "mine.json").write_text("[")
    at = sound(open_app("distill", model="digits-mlp"))
    assert not at.error and "mine" not in at.selectbox(key="model").options
    at = sound(open_app("library"))
    at = sound(at.selectbox(key="library_model").set_value("mine").run())
    assert "card of model 'mine' is damaged" in said(at)
    at = sound(at.button(key="library_model_delete").click().run())
    assert "Delete it" in {button.label for button in at.button}


def test_what_is_deleted_meanwhile_gives_way_on_every_page(open_app: Open) -> None:
    add_model("mine", "mlp", {"hidden": [4]}, data="digits")
    at = sound(open_app("prune", model="mine"))
    remove_model("mine")
    at = sound(at.run())
    assert at.selectbox(key="model").value == "digits-cnn" and not at.error


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"library_model": "gone"}, "The link's model `'gone'` is not here; this is digits-cnn."),
        (
            {"library_view": "Data sets", "library_data": "gone"},
            "The link's data set `'gone'` is not here; this is digits.",
        ),
    ],
)
def test_a_link_to_what_is_gone_says_so(open_app: Open, link: dict[str, str], words: str) -> None:
    assert [warning.value for warning in sound(open_app("library", **link)).warning] == [words]


def test_strange_names_are_text(open_app: Open, tmp_path: Path) -> None:
    wild = "<img src=x onerror=alert(1)>"
    files = good("ab") | {f"{wild}/{i}.png": image for i, image in enumerate(good("c", n=4).values())}
    add(zipped(tmp_path / "z.zip", files), "wild")
    at = opened(open_app, "data")
    at = sound(at.selectbox(key="library_data").set_value("wild").run())
    assert wild in column(at, "class") and wild in own_report("wild").classes
    assert not [element for element in at.markdown if wild in element.value and element.allow_html]
