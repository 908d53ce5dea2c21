"""Architectures by name, and somebody's weights fitted to them: what fits computes as it did, the rest is one line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from compression.models.files import load_weights, read_weights, save_weights, weights_bytes
from compression.models.imports import import_model, without_prefix
from compression.registry import UserError

MLP: dict[str, Any] = {"inputs": 12, "hidden": [6]}
SHAPE = (3, 2, 2)


def stored(tensors: dict[str, Tensor], path: Path) -> Path:
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)
    return path


def mlp(classes: int = 4) -> dict[str, Tensor]:
    torch.manual_seed(3)
    return {
        "layers.0.weight": torch.randn(6, 12), "layers.0.bias": torch.randn(6),
        "layers.1.weight": torch.randn(classes, 6), "layers.1.bias": torch.randn(classes),
    }  # fmt: skip


def complaint(*arguments: Any, **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        import_model(*arguments, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of functions that build models, which leaves a mark where it is imported."""
    (tmp_path / "somebodys.py").write_text(
        "from pathlib import Path\n"
        "from torch import nn\n"
        f"Path({str(tmp_path / 'imported')!r}).touch()\n"
        "def net(width=5, num_classes=10):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(12, width), nn.ReLU(), nn.Linear(width, num_classes))\n"
        "def fixed():\n"
        "    return net(num_classes=2)\n"
        "def attends(num_classes):\n"
        "    from torchvision.models import VisionTransformer\n"
        "    from compression.models.heads import with_separate_heads\n"
        "    return with_separate_heads(VisionTransformer(32, 16, 1, 2, 8, 8, num_classes=num_classes))\n"
        "def nothing():\n"
        "    return 7\n"
        "def tied():\n"
        "    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 12), nn.Linear(12, 12))\n"
        "    net[2].weight = net[1].weight\n"
        "    return net\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "somebodys", raising=False)
    names = ("net", "fixed", "attends", "nothing", "tied", "absent")
    monkeypatch.setenv("ESPALIER_CODE", ",".join(f"somebodys:{name}" for name in names))
    return "somebodys:net"


# Weights


def test_weights_compute_what_they_did_in_their_own_module(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.mobilenet_v3_small(num_classes=7).eval()
    made = import_model(
        "torchvision:mobilenet_v3_small",
        input_shape=(3, 32, 32),
        weights=stored(theirs.state_dict(), tmp_path / "w.safetensors"),
    )
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(made.model(images), theirs(images))
    assert made.notes == () and made.blueprint.config["num_classes"] == 7  # as many as the weights tell apart
    again = read_weights(weights_bytes(made.model, made.blueprint), "file")
    assert torch.equal(again.model(images), theirs(images)) and again.blueprint == made.blueprint


def test_the_tensors_of_attention_find_their_new_names(code: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.VisionTransformer(32, 16, 1, 2, 8, 8, num_classes=3).eval()
    nn.init.normal_(theirs.heads.head.weight)  # its own start is zero, behind which nothing shows
    path = stored({f"model.{name}": tensor for name, tensor in theirs.state_dict().items()}, tmp_path / "w.safetensors")
    made = import_model("somebodys:attends", input_shape=(3, 32, 32), weights=path)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(made.model(images), theirs(images))
    assert made.notes == ("'model.' was taken off the names of its tensors",)
    path = stored(theirs.state_dict() | {"encoder.pos_embedding": torch.zeros(1, 9, 8)}, path)
    assert "tensor 'encoder.pos_embedding' is 1×9×8, where 1×5×8 is needed" in complaint(
        "somebodys:attends", None, 3, (3, 32, 32), path
    )


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in mlp().items()}
    model = import_model("mlp", MLP, 4, SHAPE, stored(half, tmp_path / "w.safetensors")).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.state_dict()["layers.0.weight"], half["layers.0.weight"].float())


def test_files_of_before_batches_were_counted_load(tmp_path: Path) -> None:
    theirs = torchvision.models.mnasnet0_5(num_classes=3).state_dict()
    old = {name: tensor for name, tensor in theirs.items() if "num_batches" not in name}
    path = stored(old, tmp_path / "w.safetensors")
    made = import_model("torchvision:mnasnet0_5", input_shape=(3, 32, 32), weights=path).model.state_dict()
    assert len(old) < len(theirs) and all(torch.equal(made[name], tensor) for name, tensor in theirs.items())


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod.", "model.module."])
def test_prefixes_of_wrappers_are_taken_off(prefix: str) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in mlp().items()}
    assert without_prefix(state, set(mlp())) == ({n: state[prefix + n] for n in mlp()}, prefix)


def test_a_prefix_that_is_not_on_all_names_or_not_needed_stays() -> None:
    some = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert without_prefix(some, {"a", "c"}) == (some, "")
    own = {"model.a": torch.zeros(1)}
    assert without_prefix(own, {"model.a"}) == (own, "")


def test_a_head_for_other_classes_is_replaced_and_said_so(tmp_path: Path) -> None:
    path = stored(mlp(classes=4), tmp_path / "w.safetensors")
    made = import_model("mlp", MLP, 3, SHAPE, path)
    assert made.notes == ("the head is for 4 classes in the file: layers.1.weight, layers.1.bias start random, for 3",)
    assert torch.equal(made.model.state_dict()["layers.0.weight"], mlp()["layers.0.weight"])
    assert made.model(torch.zeros(2, *SHAPE)).shape == (2, 3)


def test_a_backbone_alone_gets_a_head(tmp_path: Path) -> None:
    body = {name: tensor for name, tensor in mlp().items() if "layers.1" not in name}
    made = import_model("mlp", MLP, 3, SHAPE, stored(body, tmp_path / "w.safetensors"))
    assert made.notes == ("the head is absent in the file: layers.1.weight, layers.1.bias start random, for 3",)


def test_densenets_of_old_are_known_by_their_names_of_then(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = {"growth_rate": 4, "num_init_features": 4}
    theirs = torchvision.models.DenseNet(**small, block_config=(1, 1, 1, 1), num_classes=2).state_dict()
    old = {n.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): t for n, t in theirs.items()}
    assert set(old) != set(theirs)
    from compression.models import imports

    assert set(imports._modern(old)) == set(theirs)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers.0.weight": torch.zeros(6, 13)}, "'layers.0.weight' is 6×13, where 6×12 is needed (1 of 4 differ)"),
        ({"layers.0.bias": torch.zeros(())}, "tensor 'layers.0.bias' is a number, where 6 is needed"),
        ({"layers.9.weight": torch.zeros(1)}, "it has 1 more, such as 'layers.9.weight'"),
        ({"<b>" + "x" * 300: torch.zeros(1)}, "it has 1 more, such as '<b>xxx"),
        ({"layers.0.weight": torch.full((6, 12), torch.nan)}, "Tensor 'layers.0.weight' of "),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_one_line(changes: dict[str, Tensor], words: str, tmp_path: Path) -> None:
    message = complaint("mlp", MLP, 4, SHAPE, stored(mlp() | changes, tmp_path / "w.safetensors"))
    assert words in message and len(message) < 400


def test_weights_of_another_architecture_are_one_line(tmp_path: Path) -> None:
    path = stored({"conv.weight": torch.zeros(2)}, tmp_path / "w.safetensors")
    assert complaint("mlp", MLP, 4, SHAPE, path).endswith(
        "does not fit the architecture's 4 tensors: "
        "it lacks 2, such as 'layers.0.weight'; it has 1 more, such as 'conv.weight'"
    )


# Architectures


def test_random_weights_are_the_same_always_and_draw_from_nobody() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, other = (import_model("mlp", MLP, 4, SHAPE) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))
    assert one.notes == ("random weights",) and not one.model.training


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resnet18",), "Unknown architecture 'resnet18' (did you mean 'resnet'?); choose one of: mlp, "),
        (("torchvision:resnet81", {}, 3), "cannot be built (ValueError: torchvision has no classification"),
        (("torchvision:fasterrcnn_resnet50_fpn",), "torchvision has no classification model"),
        (("torchvision:resnet18", {"widht": 3}), "cannot be built (TypeError: "),
        (("torchvision:resnet18", {"weights": "DEFAULT"}), "cannot be built (TypeError: "),
        (("mlp", {"hidden": 7}, 4), "cannot be built (TypeError: "),
        (("mlp", MLP), "Architecture 'mlp' needs a number of classes; give --classes"),
        (("mlp", MLP, 0), "The number of classes is 0; it must be a whole number from 1 to 1,000,000"),
        (("mlp", MLP | {"classes": "4"}), "The number of classes is '4'"),
        (("mlp", MLP, 4, (3, 3, 3)), "Architecture 'mlp' does not run on 3×3×3 images ("),
        (("mlp", MLP, 4, (3, 9999, 9999)), "The input is 3×9999×9999; give C×H×W of at most 4,000,000 values"),
        (("mlp", MLP, 4, (12,)), "The input is 12; give C×H×W"),
        (("n" * 300,), "Unknown architecture 'nnn"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_or_run_is_one_line(arguments: tuple[Any, ...], words: str) -> None:
    assert words in complaint(*arguments)


@pytest.mark.parametrize("architecture", ["mlp", "lenet5", "resnet", "vit"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 30, 30)])
def test_ours_suit_the_images_where_nothing_else_is_asked(architecture: str, shape: tuple[int, int, int]) -> None:
    if architecture == "lenet5" and shape != (1, 28, 28):
        assert "does not run on" in complaint(architecture, {}, 4, shape)
    else:
        assert import_model(architecture, {}, 4, shape).model(torch.zeros(2, *shape)).shape == (2, 4)


# Code


def test_a_function_that_is_trusted_builds_the_model_and_builds_it_again(code: str, tmp_path: Path) -> None:
    made = import_model(code, {"width": 6}, 4, SHAPE)
    assert [tuple(p.shape) for p in made.model.parameters()] == [(6, 12), (6,), (4, 6), (4,)]
    save_weights(made.model, made.blueprint, tmp_path / "m.safetensors")
    again = load_weights(tmp_path / "m.safetensors").model
    images = torch.randn(2, *SHAPE)
    assert torch.equal(again(images), made.model(images))


@pytest.mark.parametrize("trusted", ["", "somebodys", "somebodys:fixed", "somebodys:net2"])
def test_a_file_runs_no_code_that_was_not_named(
    code: str, trusted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = import_model(code, None, 4, SHAPE)
    save_weights(made.model, made.blueprint, tmp_path / "m.safetensors")
    (tmp_path / "imported").unlink()
    monkeypatch.delitem(sys.modules, "somebodys")
    monkeypatch.setenv("ESPALIER_CODE", trusted)
    with pytest.raises(UserError, match="is built by code, 'somebodys:net', which is not run unless you trust it"):
        load_weights(tmp_path / "m.safetensors")
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("somebodys:fixed", "answers one image with 1×2; 1×4 is needed: one number for each class"),
        ("somebodys:nothing", "Function 'somebodys:nothing' returned a int, not a torch module"),
        ("somebodys:tied", "has tensors of two names, which a file could not say"),
        ("somebodys:absent", "No function 'somebodys:absent' can be imported (module 'somebodys' has no attribute"),
    ],
)
def test_functions_that_build_no_such_model_are_one_line(code: str, function: str, words: str) -> None:
    assert words in complaint(function, None, 4, SHAPE)


def test_a_function_that_takes_no_number_of_classes_is_called_without(code: str) -> None:
    assert import_model("somebodys:fixed", None, 2, SHAPE).model(torch.zeros(1, *SHAPE)).shape == (1, 2)


# timm


def test_without_timm_its_models_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert complaint("timm:resnet18") == (
        "Architecture 'timm' needs the package timm; install it with: pip install timm"
    )


def test_timm_is_asked_for_a_known_name_and_never_for_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    timm, asked = ModuleType("timm"), []

    def create_model(name: str, **options: Any) -> nn.Module:
        asked.append((name, options))
        return nn.Sequential(nn.Flatten(), nn.Linear(4, options["num_classes"]))

    timm.list_models = lambda: ["small"]  # type: ignore[attr-defined]
    timm.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", timm)
    made = import_model("timm:small", {"depth": 2}, 5, (1, 2, 2))
    plain = {"pretrained": False, "checkpoint_path": "", "num_classes": 5, "in_chans": 1, "depth": 2}
    assert asked[-1] == ("small", plain)
    assert made.model(torch.zeros(1, 1, 2, 2)).shape == (1, 5)
    assert "timm has no model 'hf-hub:somebody/model'" in complaint("timm:hf-hub:somebody/model")
    assert "cannot be built (TypeError" in complaint("timm:small", {"checkpoint_path": "evil.pth"})


def test_trained_weights_of_timm_come_with_their_images_shape_and_normalisation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def create_model(name: str, num_classes: int = 3, pretrained: bool = False, **_: Any) -> nn.Module:
        made = nn.Sequential(nn.Flatten(), nn.Linear(12, num_classes))
        if pretrained:
            if name == "small.gone":
                raise OSError("no network")
            nn.init.constant_(made[1].weight, 0.5)
            made.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2,) * 3, "input_size": (3, 2, 2)}
        return made

    timm = ModuleType("timm")
    timm.list_models = lambda: ["small"]  # type: ignore[attr-defined]
    timm.list_pretrained = lambda pattern: ["small.tag", "small.gone"]  # type: ignore[attr-defined]
    timm.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", timm)
    for name, full in (("DEFAULT", "small"), ("tag", "small.tag")):
        made = import_model("timm:small", pretrained=name)
        assert set(made.model.state_dict()["1.weight"].unique().tolist()) == {0.5}
        assert (made.blueprint.input_shape, made.blueprint.config["num_classes"]) == ((3, 2, 2), 3)
        assert made.blueprint.normalisation == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2)) and made.notes == (f"timm's {full}",)
    stranger = "hf-hub:somebody/model"
    assert complaint(f"timm:{stranger}", pretrained="DEFAULT") == f"timm has no model '{stranger}'"
    assert "choose one of: DEFAULT, tag, gone" in complaint("timm:small", pretrained="other")
    assert "timm cannot fetch the weights of 'small.gone' (OSError: no net" in complaint(
        "timm:small", pretrained="gone"
    )


def test_a_model_of_timm_goes_all_the_way() -> None:
    pytest.importorskip("timm")
    made = import_model("timm:resnet10t", None, 5, (3, 32, 32))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(
        read_weights(weights_bytes(made.model, made.blueprint), "file").model(images), made.model(images)
    )


# Trained weights of torchvision


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps what it fetches: empty, and no network."""

    def unreachable(url: str, *_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    return tmp_path / "hub" / "checkpoints"


def test_without_a_network_trained_weights_are_one_line(hub: Path) -> None:
    assert complaint("torchvision:squeezenet1_1", pretrained="DEFAULT") == (
        "The weights cannot be fetched from https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth "
        "(<urlopen error Name or service not known>)"
    )
    assert "choose one of: IMAGENET1K_V1, DEFAULT" in complaint("torchvision:resnet18", pretrained="IMAGENET")
    assert complaint("mlp", MLP, 4, pretrained="DEFAULT").startswith(
        "pretrained is for torchvision:NAME and timm:NAME, not 'mlp'"
    )
    assert "torchvision has no classification model 'net'" in complaint("torchvision:net", pretrained="DEFAULT")
    assert "both given" in complaint("torchvision:net", weights=Path("w"), pretrained="DEFAULT")


def test_trained_weights_that_were_fetched_are_used(hub: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.squeezenet1_1().eval()
    hub.mkdir(parents=True)
    torch.save(theirs.state_dict(), hub / "squeezenet1_1-b8a52dc0.pth")
    made = import_model("torchvision:squeezenet1_1", pretrained="DEFAULT")
    images = torch.randn(1, 3, 224, 224)
    assert made.blueprint.input_shape == (3, 224, 224)
    assert torch.equal(made.model(images), theirs(images))
    assert made.blueprint.normalisation == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
