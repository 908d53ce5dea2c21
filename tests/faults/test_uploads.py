"""Uploads that mean harm, through the page that takes them: nothing is run, nothing escapes, one line says why."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from compression.data.own import own_names, own_report
from compression.models.own import own_models
from tests.data.given import good, png, zipped
from tests.models.test_weights import Evil
from tests.pages.conftest import open_app
from tests.pages.forms import Open, add_data, add_mlp, column, ended, opened, said

__all__ = ["open_app"]
pytestmark = [
    pytest.mark.usefixtures("no_errands"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
    # AppTest runs the script in a thread of its own, which ends with the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
PAGE = "<script>alert(1)</script>"
NAMES = {
    "../../evil.png": "leads elsewhere",
    "/etc/evil.png": "absolute name",
    "C:\\evil.png": "backslash",
    f"a/{'x' * 300}.png": "more than 255 characters",
    "a/gnp.\u202eevil.png": "invisible characters",
    "a/evil.zip": "archives within a data set are not opened",
    "a/program.png": "cannot identify its format",
    "a/empty.png": "cannot identify its format",
    "a/huge.png": "at most 25,000,000 are read",
}


def saved(body: object) -> bytes:
    content = io.BytesIO()
    torch.save(body, content)
    return content.getvalue()


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and "errands" not in path.parts}


def test_what_means_harm_in_a_zip_is_left_out_and_shown_as_text(
    open_app: Open, data_root: Path, tmp_path: Path
) -> None:
    content = {"a/program.png": b"MZ\x90", "a/empty.png": b"", "a/huge.png": png(9000, 9000)}
    wild = {f"{PAGE.replace('/', '')}/{i}.png": image for i, image in enumerate(good("c").values())}
    files_in = {**good(), **wild, **{name: content.get(name, next(iter(good().values()))) for name in NAMES}}
    before = files(tmp_path)
    at = add_data(opened(open_app, "data"), "mine", zipped(tmp_path / "x.zip", files_in).read_bytes(), f"{PAGE}.zip")
    at = ended(at, "data")
    left_out = dict(zip(column(at, "file"), column(at, "why"), strict=True))
    assert len(left_out) == len(NAMES)
    for name, reason in NAMES.items():
        assert reason in next(why for file, why in left_out.items() if file == name or file == name[:255])
    assert PAGE.replace("/", "") in own_report("mine").classes
    assert not any("<script>" in element.value for element in (*at.markdown, *at.caption, *at.success))
    assert files(tmp_path) - before == {"x.zip", "data-root/own/mine.safetensors"}


@pytest.mark.parametrize(
    ("content", "called", "words"),
    [
        (b"", "empty.zip", "'empty.zip' is not a zip file"),
        (b"Rar!\x1a\x07\x00" + bytes(99), "renamed.zip", "'renamed.zip' is not a zip file"),
        (b"PK\x03\x04" + bytes(99), "../../cut.zip", "'../../cut.zip' is not a readable zip file"),
        ("bomb", "bomb.zip", "times its size, as zip bombs do; at most 200 are read"),
    ],
    ids=["empty", "renamed", "cut", "bomb"],
)
def test_a_file_that_is_no_sound_zip_makes_nothing(
    content: bytes | str, called: str, words: str, open_app: Open, data_root: Path, tmp_path: Path
) -> None:
    if isinstance(content, str):
        content = zipped(tmp_path / "b.zip", good() | {"a/b.png": bytes(50_000_000)}).read_bytes()
    at = ended(add_data(opened(open_app, "data"), "mine", content, called), "data")
    assert words in said(at) and "Traceback" not in said(at) and str(data_root) not in said(at)
    assert own_names() == () and files(data_root) == set()


@pytest.mark.parametrize(
    ("case", "called", "words"),
    [
        ("code", "weights.pt", "holds code or objects"),
        ("module", "weights.pt", "holds code or objects, torch.nn.modules.linear.Linear"),
        ("code", "renamed.safetensors", "'renamed.safetensors' is not a whole safetensors file"),
        ("zip", "renamed.pt", "'renamed.pt' is not a whole file of tensors"),
        ("empty", "weights.pt", "'weights.pt' is empty"),
        ("nan", "weights.safetensors", "holds NaN or infinite values"),
        ("stride", "weights.pt", "would take"),
    ],
)
def test_weights_that_mean_harm_make_no_model(
    case: str, called: str, words: str, open_app: Open, data_root: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    cases = {
        "code": lambda: saved({"layers.0.weight": torch.zeros(2), "more": Evil(mark)}),
        "module": lambda: saved(nn.Linear(2, 2)),
        "zip": lambda: zipped(tmp_path / "z.zip", good(), zipfile.ZIP_STORED).read_bytes(),
        "empty": lambda: b"",
        "nan": lambda: save({"layers.0.weight": torch.full((8, 64), torch.nan)}),
        "stride": lambda: saved({"layers.0.weight": torch.zeros(1).expand(10_000_000)}),
    }
    at = ended(add_mlp(opened(open_app, "models"), "mine", cases[case](), called), "model")
    assert words in said(at) and str(data_root) not in said(at)
    assert own_models() == () and not mark.exists()
    assert files(data_root) == set()
