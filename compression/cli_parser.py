"""The arguments of the ``espalier`` command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from compression.carbon import GRIDS
from compression.data.quota import QUOTAS
from compression.data.sets import DATASETS
from compression.report.savings import ASSUMED, Assumptions

Command = Callable[[argparse.Namespace], int | None]


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print the one line and leave."""
        self.exit(2, f"{self.prog}: {message}\n")


def listed(text: str) -> list[str]:
    """The parts of a list that is given with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def command_parser(commands: Mapping[str, Command]) -> Parser:
    """The parser of ``espalier``; what it parses carries the ``command`` that is to be called with it."""
    parser = Parser(prog="espalier", description="Prune and distil neural networks, and see what it costs.")
    added = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for name, command in commands.items():
        about, arguments = ARGUMENTS[name]
        own = added.add_parser(name, help=about, description=about)
        own.set_defaults(command=command)
        arguments(own)
    return parser


def _json(own: Parser) -> None:
    own.add_argument("--json", action="store_true", help="print JSON for programs")


def _grid(own: Parser) -> None:
    own.add_argument("--grid", default="world", help=f"g of CO₂ per kWh, or {', '.join(GRIDS)} (default: world)")


def _models(own: Parser) -> None:
    own.add_argument("action", nargs="?", choices=("rm",), help="rm deletes a model of your own")
    own.add_argument("what", nargs="?", help="of rm: a model's name")
    own.add_argument("--yes", action="store_true", help="of rm: yes, delete it")
    _json(own)


def _data(own: Parser) -> None:
    known = f"one of: {', '.join(DATASETS)}; one that you added; or a folder of images"
    own.add_argument("set", nargs="?", help=f"{known}; or add, rm, clean")
    own.add_argument("what", nargs="?", help="of add: a folder, .zip or .csv of images; of rm: a data set's name")
    own.add_argument("--get", action="store_true", help="fetch it")
    own.add_argument("--name", help="of add: what to call it")
    own.add_argument("--size", help="of add: HEIGHTxWIDTH; by default the size that all images have, or 64x64")
    own.add_argument("--grey", action="store_true", help="of add: one channel, also where images have colours")
    own.add_argument("--days", type=float, help="of clean: old is what was brought so many days ago and no study uses")
    own.add_argument("--yes", action="store_true", help="of rm and clean: yes, delete it")
    _json(own)


def _import(own: Parser) -> None:
    own.add_argument(
        "architecture",
        help="mlp, lenet5, resnet, vit, torchvision:NAME, timm:NAME, hf:FOLDER or package.module:function",
    )
    own.add_argument("--weights", type=Path, help="a .safetensors file, or a state dict; by default random weights")
    own.add_argument("--pretrained", default="", help="torchvision's or timm's own weights by name, such as DEFAULT")
    own.add_argument("--classes", type=int, help="how many to tell apart (default: as many as the weights do)")
    own.add_argument("--input", help="channels × height × width of an image (default: 3x224x224)")
    own.add_argument("--mean", default="", help="that images were normalised with, as 0.485,0.456,0.406 of 0 to 1")
    own.add_argument("--std", default="", help="that images were normalised with (default: each data set's own)")
    own.add_argument("--config", default="{}", help="options of the architecture, as JSON")
    own.add_argument("--out", type=Path, help="a .safetensors file; its card goes beside it (default: by the name)")
    own.add_argument(
        "--name", help="in place of --out: keep it, to be used by this name wherever a sample model's goes"
    )
    own.add_argument("--data", help="with --name: the data set that it is for, which gives --classes and --input")
    _json(own)


def _measure(own: Parser) -> None:
    own.add_argument("model", help="a model by its name, or a .safetensors file")
    own.add_argument("--data", help="data set or folder of images; by default the model's own")
    own.add_argument("--split", default="test", help="train, val or test (default: test)")
    own.add_argument("--no-latency", action="store_true", help="leave the timing out")
    _grid(own)
    _json(own)


def _run(own: Parser) -> None:
    own.add_argument("recipe", type=Path, help="a YAML or JSON file")
    own.add_argument("--out", type=Path, help="folder for the result and the model")
    own.add_argument("--split", default="test", help="train, val or test (default: test)")
    own.add_argument("--latency", action="store_true", help="measure latency too")
    _json(own)


def _sweep(own: Parser) -> None:
    own.add_argument("--model", required=True)
    own.add_argument("--data")
    own.add_argument("--granularity", default="weights,channels", help="comma-separated")
    own.add_argument("--criterion", default="magnitude", help="comma-separated")
    own.add_argument("--scope", default="global", help="layer or global (default: global)")
    own.add_argument("--sparsity", default="0:0.9:0.1", help="FROM:TO:STEP, or a comma-separated list")
    own.add_argument("--epochs", default=0, help="of fine-tuning after pruning (default: 0)")
    own.add_argument("--seeds", default=1, help="number of seeds (default: 1)")
    own.add_argument("--split", default="val", help="val or test (default: val)")
    own.add_argument("--round-to", default=8, help="keep widths at multiples of this (default: 8)")
    own.add_argument("--images", default=512, help="training images a criterion may look at (default: 512)")
    own.add_argument("--latency", action="store_true", help="measure latency too, afterwards")
    _json(own)


def _sensitivity(own: Parser) -> None:
    own.add_argument("model", help="a model by its name, or a .safetensors file")
    own.add_argument("--data", help="data set or folder of images; by default the model's own")
    own.add_argument("--granularity", default="weights", help="what goes (default: weights)")
    own.add_argument("--criterion", default="magnitude", help="what goes first (default: magnitude)")
    own.add_argument("--images", default=500, help="of the validation split, to judge by (default: 500)")
    own.add_argument("--budget", help="sparsity=0.5, or a share left: params=0.5, macs=0.5, bytes=0.5")
    own.add_argument("--keep", default="", help="layers that lose nothing, comma-separated")
    own.add_argument("--round-to", default=8, help="keep widths at multiples of this (default: 8)")
    own.add_argument("--method", default="sensitivity", help="the allocation that --out keeps (default: sensitivity)")
    own.add_argument("--out", type=Path, help="a YAML file for the allocation, as a recipe")
    _json(own)


def _distill(own: Parser) -> None:
    own.add_argument("--teacher", required=True, help="a model by its name, or a .safetensors file")
    own.add_argument("--student", default="narrower", help="same, narrower, shallower, mlp, or a model by its name")
    own.add_argument("--width", default=0.5, help="of a narrower student, as a fraction (default: 0.5)")
    own.add_argument("--depth", default=0.5, help="of a shallower student, as a fraction (default: 0.5)")
    own.add_argument("--hidden", default="800,800", help="units of each layer of an mlp (default: 800,800)")
    own.add_argument("--data", help="data set or folder of images; by default the teacher's own")
    own.add_argument("--method", default="soft_targets", help="comma-separated (default: soft_targets)")
    own.add_argument("--temperature", default="4", help="comma-separated (default: 4)")
    own.add_argument("--alpha", default="0.9", help="weight of the teacher, comma-separated (default: 0.9)")
    own.add_argument("--without", default="", help="classes that the student never sees, comma-separated")
    own.add_argument("--epochs", default=5, help="of training (default: 5)")
    own.add_argument("--lr", default=0.05, help="the highest learning rate (default: 0.05)")
    own.add_argument("--augment", default="none", help="none, jitter, crop_flip or reflect_flip (default: none)")
    own.add_argument("--copies", default=0, help="fixed augmented copies instead of new ones (default: 0)")
    own.add_argument("--seeds", default=1, help="number of seeds (default: 1)")
    split = "val or test (default: test for one way of teaching, val to choose among several)"
    own.add_argument("--split", help=split)
    _json(own)


def _study(own: Parser) -> None:
    actions = ("run", "plan", "ls", "show", "resume", "pause", "cancel", "rm", "export")
    own.add_argument("action", choices=actions)
    own.add_argument("what", nargs="?", default="", help="a study's name; for run a YAML file, for plan a preset")
    own.add_argument("--model", default="digits-cnn", help="of plan: the model that it is sized for")
    own.add_argument("--cluster", help="address of a Dask scheduler; by default a local one is started")
    own.add_argument("--insecure", action="store_true", help="allow plain tcp to another machine")
    own.add_argument("--detach", action="store_true", help="do not wait for its end")
    own.add_argument("--most", type=int, default=20, help="rows to show, the best first (default: 20)")
    own.add_argument("--yes", action="store_true", help="of rm: yes, delete it")
    own.add_argument("--out", type=Path, help="of export: a .csv, .json or .parquet file")
    _json(own)


def _tune(own: Parser) -> None:
    own.add_argument("model", help="a model by its name, or a .safetensors file")
    own.add_argument("--data", help="data set or folder of images; by default the model's own")
    own.add_argument("--goal", default="packed_bytes", help="packed_bytes (default), macs, speedup or energy_mj")
    own.add_argument("--lose", type=float, default=0.5, help="points of accuracy that may be lost (default: 0.5)")
    own.add_argument("--within", help="a further constraint, such as 'packed_bytes <= 100 KB'")
    own.add_argument("--epochs", type=int, default=1, help="after each pruning; 0 tries one-shot recipes (default: 1)")
    own.add_argument("--trials", type=int, default=30, help="settings to try (default: 30)")
    own.add_argument("--int8", action="store_true", help="try every recipe with int8 at its end, too")
    own.add_argument("--seed", type=int, default=0)
    own.add_argument("--out", type=Path, help="folder for the best model and its recipe")
    _json(own)


def _report(own: Parser) -> None:
    own.add_argument("study", help="the name of a study")
    own.add_argument("--out", type=Path, help="a .html, .pptx or .csv file (default: print it)")
    trial = "to present, up to three times; by default the one that the study's chart names"
    own.add_argument("--trial", type=int, action="append", default=[], help=trial)
    own.add_argument("--axis", default="", help="the measure beside accuracy (default: the study's own objective)")
    own.add_argument("--title", default="")
    own.add_argument("--author", default="")
    own.add_argument("--accent", default="", help="a colour as #rrggbb")
    own.add_argument("--logo", type=Path, help="a PNG, JPEG, GIF or WebP file")
    own.add_argument("--decimal", default=".", help="mark in a CSV: . or , (default: .)")
    for name, about in ASSUMED.items():
        first = Assumptions.model_fields[name].default
        known = about.source if first is None else f"{first:g}, {about.source}"
        words = f"{about.label.lower()}, {about.unit} (default: {known})"
        if name != "g_per_kwh":  # which has names, too
            own.add_argument(f"--{name.replace('_', '-')}", metavar="N", help=words)
    _grid(own)
    own.add_argument("--currency", help="of the price (default: $)")


def _export(own: Parser) -> None:
    own.add_argument(
        "result", help="a folder that `espalier run --out` wrote, a .safetensors file, or a model by its name"
    )
    own.add_argument("--to", type=Path, required=True, help="folder for the files")
    formats = "safetensors, onnx, torch, packed; comma-separated (default: safetensors)"
    own.add_argument("--as", dest="formats", default="safetensors", help=formats)
    own.add_argument("--data", help="data set or folder of images to compare on; by default the recipe's")
    _json(own)


def _serve(own: Parser) -> None:
    own.add_argument("--port", type=int, default=8501)
    own.add_argument("--address", default="127.0.0.1", help="where to listen (default: this machine alone)")
    own.add_argument("--team", action="store_true", help="ask for a login; each user has a room of their own")
    own.add_argument("--allow", type=Path, help="of --team: a file with those who may enter, name@domain or @domain")
    own.add_argument("--insecure", action="store_true", help="serve others without a login, or one unencrypted")
    own.add_argument(
        "--keep-days", type=float, metavar="N", help="remove what users brought so many days ago, unless a study has it"
    )
    for key, quota in QUOTAS.items():
        own.add_argument(f"--{key}", metavar="N", help=f"of users: {quota.sentence} (default: {quota.default:g})")


ARGUMENTS: dict[str, tuple[str, Callable[[Parser], None]]] = {
    "models": ("models by name: the samples and your own; rm: delete one of these", _models),
    "data": ("data sets: what is here, what can be fetched; add, rm, clean: your own images", _data),
    "import": ("a model of your own, torchvision's, timm's or Hugging Face's as a model file, with its card", _import),
    "measure": ("accuracy, size, MACs and latency of a model", _measure),
    "run": ("run one recipe; prints before and after each stage", _run),
    "sensitivity": ("each layer cut alone, and a budget spread over them", _sensitivity),
    "sweep": ("measure a grid of prunings of one model", _sweep),
    "distill": ("a student alone beside what a teacher makes of it", _distill),
    "tune": ("the smallest or fastest model that loses little", _tune),
    "study": ("hundreds of settings: run, plan, ls, show, resume, pause, cancel, rm, export", _study),
    "report": ("what a study came to, for those who decide: HTML, PowerPoint or CSV", _report),
    "export": ("a model as files to ship: safetensors, ONNX, torch.export, packed weights", _export),
    "serve": ("the dashboard, in the browser", _serve),
}
"""For each command what it does, and what adds its arguments to a parser."""
