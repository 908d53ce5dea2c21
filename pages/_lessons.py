"""Lessons as data: one file each beside the pages, a YAML head and the explanation in Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from compression.recipe import Frozen, Stage, validated, yaml_fault
from compression.registry import UserError
from compression.report.text import percent, points

FOLDER = Path(__file__).parent / "lessons"
Value = float | str


@dataclass(frozen=True)
class Answer:
    """What an experiment has measured: the value that predictions are compared with, and how it is said."""

    value: Value
    words: str


class Pick(Frozen):
    """One of some choices, each up to a measured number, or a measured name; the last may have no end."""

    kind: Literal["pick"] = "pick"
    choices: dict[str, Value | None] = Field(min_length=2)

    def right(self, value: Value) -> str:
        """The choice that the measured value bears out, or the value itself where none does."""
        for said, end in self.choices.items():
            if end is None or end == value:
                return said
            if not isinstance(end, str) and not isinstance(value, str) and value <= end:
                return said
        return str(value)


class Share(Frozen):
    """A percentage, on a slider."""

    kind: Literal["share"] = "share"
    label: str

    def apart(self, guess: float, value: float) -> str:
        """How far a guess was from what was measured."""
        off = points(abs(guess - value)).removeprefix("+")
        return f"You said {percent(guess, 0)}: {off} too {'high' if guess > value else 'low'}."


class Curve(Frozen):
    """A curve drawn by hand: a percentage at each sparsity."""

    kind: Literal["curve"] = "curve"
    label: str


class Check(Frozen):
    """A question with one right choice, and why it is right."""

    question: str
    choices: tuple[str, ...] = Field(min_length=2)
    right: int
    why: str

    @model_validator(mode="after")
    def _right_is_there(self) -> Self:
        if not 0 <= self.right < len(self.choices):
            raise ValueError(f"right is {self.right}; it must lie in 0 to {len(self.choices) - 1}")
        return self

    @property
    def answer(self) -> str:
        """The right choice."""
        return self.choices[self.right]


class Onward(Frozen):
    """The page that a lesson hands over to, with its settings as that page's link has them, or a pipeline's stages."""

    page: str
    label: str
    query: dict[str, str]
    stages: tuple[Stage, ...] = ()


class Lesson(Frozen):
    """A question, a prediction, an experiment, an explanation and a check.

    ``experiment`` names an entry of the experiments, ``settings`` its arguments; ``picture``
    names an interactive picture shown with the explanation.
    """

    number: int
    title: str
    question: str
    about: str
    predict: Annotated[Pick | Share | Curve, Field(discriminator="kind")]
    experiment: str
    settings: dict[str, Any]
    explanation: str
    formula: str
    paper: str
    picture: str | None = None
    try_this: str
    check: Check
    onward: Onward


def read_lesson(path: Path) -> Lesson:
    """The lesson in a file. Raises UserError, one line, where it is not one."""
    _, head, body = path.read_text().split("---\n", 2)
    try:
        fields = yaml.safe_load(head)
    except yaml.YAMLError as fault:
        raise UserError(f"Lesson {path.name} is not valid YAML: {yaml_fault(fault)}") from None
    return validated(Lesson, fields | {"number": int(path.name[:2]), "explanation": body.strip()})


@cache
def lessons() -> dict[str, Lesson]:
    """All lessons in their order, by title."""
    found = [read_lesson(path) for path in sorted(FOLDER.glob("[0-9]*.md"))]
    return {lesson.title: lesson for lesson in found}
