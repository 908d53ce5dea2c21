"""The lines of Python that reproduce a recipe."""

from __future__ import annotations

from compression.recipe import Recipe


def script(recipe: Recipe) -> str:
    """A short script that runs the recipe and prints what it came to."""
    names = ", ".join(sorted({type(stage).__name__ for stage in recipe.stages} | {"Recipe", "run"}, key=_order))
    stages = "".join(f"        {_call(stage)},\n" for stage in recipe.stages)
    data = f"    data={recipe.data!r},\n" if recipe.data else ""
    body = f"    model={recipe.model!r},\n{data}    seed={recipe.seed},\n    stages=(\n{stages}    ),\n"
    return (
        f"from compression import {names}\n\nrecipe = Recipe(\n{body})\n"
        "result = run(recipe)\nprint(result.final.accuracy, result.final.packed_bytes)\n"
    )


def _call(stage: object) -> str:
    body = stage.model_dump(exclude_defaults=True)  # type: ignore[attr-defined]
    fields = ", ".join(f"{name}={value!r}" for name, value in body.items() if name != "kind")
    return f"{type(stage).__name__}({fields})"


def _order(name: str) -> tuple[bool, str]:
    return name.islower(), name
