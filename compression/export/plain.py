"""A model as one file of plain Python: its layers at their pruned widths and its forward pass, written out.

The pass is traced with torch.fx, so nothing is said of an architecture here: what is written is
what the module does. The text is then run, and counts only if it gives the module's very answers.
Tracing changes nn.Module for the whole process while it lasts: a server exports in a process of its own.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import textwrap
from string import Template
from typing import Any

import torch
from torch import Tensor, fx, nn

from compression.measure.tracing import evaluating
from compression.registry import UserError, in_a_line

TEMPLATE = Template('''\
"""$title, in plain torch: nothing else of Espalier is needed.

    from load_model import load_model

    model = load_model()
    logits = model(images)    # N×$shape floats; card.json says how they are normalised

Traced from the model in eval() mode. Each value is set to None after its last use, which frees its memory.
"""

from pathlib import Path

$imports

FOLDER = Path(__file__).resolve().parent


class Model(nn.Module):
    """The layers, by the names that their weights have in the file."""

    def __init__(self):
        super().__init__()
$layers

    def forward(self, x):
        """Logits N×K."""
$forward


def put(model, name, part):
    """Put a layer, a parameter or a buffer where its dotted name says."""
    *parents, last = name.split(".")
    for parent in parents:
        if not hasattr(model, parent):
            model.add_module(parent, nn.Module())
        model = getattr(model, parent)
    setattr(model, last, part)


def load_model(path=FOLDER / "$weights"):
    """The model in eval() mode with its weights: those of a .safetensors file, or of a .packed one."""
    model = Model()
    model.load_state_dict(read(Path(path)))
    return model.eval()


def read(path):
    """The tensors of a file by their names."""
    if path.suffix == ".packed":
        from packing import unpack

        return unpack(path.read_bytes())
    from safetensors.torch import load_file

    return load_file(path)
''')


def plain_python(model: nn.Module, images: Tensor, title: str, weights: str) -> str:
    """The text of ``load_model.py``, which has given the model's outputs bit for bit.

    Args:
        model: in ``eval()`` mode; it is left as it is.
        images: N×C×H×W, on which the outputs are compared, all of them and the first alone.
        title: what the model is called.
        weights: the file beside it that is loaded where no other is named.

    Raises:
        UserError: the model does what cannot be written with torch alone; one line.
    """
    # A title from somebody's recipe is text within a text: nothing in it may end the docstring.
    title = re.sub(r"[^\w .:,/()+-]", "", title)[:80]
    with evaluating(model):
        text = _written(model, tuple(images.shape[1:]), title, weights)
        _compare(model, images, text)
    return text


def _written(model: nn.Module, shape: tuple[int, ...], title: str, weights: str) -> str:
    try:
        graph = fx.Tracer().trace(model)
    except Exception as fault:  # whatever a module does that depends on its input's values
        raise _refused(in_a_line(fault)) from None
    for node in graph.nodes:
        node.type = None
        if node.op == "placeholder":
            node.target = "x"
        if node.op == "call_function" and getattr(node.target, "__name__", "") == "stochastic_depth":
            node.replace_all_uses_with(node.args[0])  # the identity, unless the model is in training
            graph.erase_node(node)
    called = {str(node.target) for node in graph.nodes if node.op == "call_module"}
    body, imports = _body(graph)
    return TEMPLATE.substitute(
        title=title,
        shape="×".join(map(str, shape)),
        imports="\n".join(imports),
        layers=textwrap.indent("\n".join(_layers(model, called)), " " * 8),
        forward=textwrap.indent(body, " " * 8),
        weights=weights,
    )


def _body(graph: fx.Graph) -> tuple[str, list[str]]:
    """The lines of the forward pass, and the imports that they need."""
    lines = textwrap.dedent(graph.python_code("self").src.split(":\n", 1)[1]).strip()
    names = [node for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    free = {node.id for node in names if not hasattr(builtins, node.id)} - stored - {"self", "x", "torch"}
    known = {"inf": "from math import inf", "nan": "from math import nan", "device": "from torch import device"}
    if strange := sorted(free - set(known)):
        raise _refused(f"it calls {', '.join(strange)[:200]}")
    # The public names of the same functions.
    return lines.replace("torch._C._nn.", "torch.nn.functional."), [
        *(known[name] for name in sorted(free)),
        "import torch",
        "from torch import nn",
    ]


def _layers(model: nn.Module, called: set[str]) -> list[str]:
    """A line for every layer that is called, and for every tensor that belongs to no such layer."""
    lines, written = [], list[str]()
    for name, module in model.named_modules():
        if any(name.startswith(f"{parent}.") for parent in written):
            continue
        if name in called or (_of_torch(module) and not list(module.children())):
            lines.append(f"put(self, {name!r}, {_constructor(module)})")
            written.append(name)
            continue
        prefix = f"{name}." if name else ""
        own: dict[str, Tensor] = {
            **dict(module.named_parameters(recurse=False)),
            **dict(module.named_buffers(recurse=False)),
        }
        for part, tensor in own.items():
            kind = "Parameter" if isinstance(tensor, nn.Parameter) else "Buffer"
            empty = f"torch.empty({tuple(tensor.shape)}, dtype={tensor.dtype})"
            lines.append(f"put(self, {prefix + part!r}, nn.{kind}({empty}))")
    return lines


def _of_torch(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.modules")


def _constructor(module: nn.Module) -> str:
    """The expression that makes a layer of torch.nn again: what differs from the defaults, as plain values."""
    kind = type(module)
    if not _of_torch(module):
        raise _refused(f"it holds a {kind.__name__}, which is not torch's")
    arguments = []
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        if name in ("self", "device", "dtype") or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        required = parameter.default is inspect.Parameter.empty
        value = _plain(name, getattr(module, name, parameter.default))
        if not required and value == parameter.default:
            continue
        try:
            ast.literal_eval(repr(value))
        except (ValueError, SyntaxError):
            raise _refused(f"{name} of {kind.__name__} is no plain value") from None
        arguments.append(f"{value!r}" if required else f"{name}={value!r}")
    return f"nn.{kind.__name__}({', '.join(arguments)})"


def _plain(name: str, value: Any) -> Any:
    if name == "bias":  # asked for as yes or no, and kept as a tensor or None
        return value is True or isinstance(value, Tensor)
    return tuple(value) if isinstance(value, torch.Size) else value


def _compare(model: nn.Module, images: Tensor, text: str) -> None:
    names: dict[str, Any] = {"__name__": "load_model", "__file__": "load_model.py"}
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            exec(compile(text, "load_model.py", "exec"), names)
            again = names["Model"]()
            again.load_state_dict(model.state_dict())
            same = all(torch.equal(again.eval()(batch), model(batch)) for batch in (images, images[:1]))
    except Exception as fault:
        raise _refused(in_a_line(fault)) from None
    if not same:
        raise _refused("its text gives other outputs")


def _refused(reason: str) -> UserError:
    return UserError(f"The model cannot be written as plain Python ({reason})")
