"""Studies ready to run, sized for the model at hand: sweeps, presets to learn from, and searches for one answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from typing import Any, Literal, get_args

from torch.nn.modules.batchnorm import _BatchNorm

from compression.pruning.criteria import allowed
from compression.quantization import MODES
from compression.recipe import STRUCTURED, fixed_sparsity, validated
from compression.registry import UserError, pick
from compression.studies.plan import Sweep, spaced
from compression.studies.space import Body
from compression.studies.study import Study
from compression.subject import Subject, baseline, criteria, granularities, live_limit

Goal = Literal["packed_bytes", "macs", "speedup", "energy_mj"]
GOALS: dict[Goal, str] = {
    "packed_bytes": "smallest",
    "macs": "fewest MACs",
    "speedup": "fastest",
    "energy_mj": "least energy",
}
"""What a tuned model can be the best at, and the word for it."""


@dataclass(frozen=True)
class StudyPreset:
    """A study by name: ``build`` sizes it for a model, or raises UserError where it does not fit."""

    key: str
    label: str
    sentence: str
    build: Callable[[Subject], Study]


def sweep_study(plan: Sweep, name: str) -> Study:
    """A sweep as a study: a recipe for each granularity, its criteria and sparsities open."""
    recipes: dict[str, list[Body]] = {}
    for granularity in plan.granularities:
        ranked = [criterion for criterion in plan.criteria if criterion in allowed(granularity)]
        stage: Body = {"kind": "prune", "granularity": granularity, "criterion": _open(ranked), "scope": plan.scope}
        stage |= {"round_to": plan.round_to, "images": plan.images}
        stage["sparsity"] = fixed_sparsity(granularity) or _open([amount for amount in plan.sparsities if amount > 0])
        train = [{"kind": "train", "epochs": plan.epochs, "lr": plan.lr}] if plan.epochs else []
        recipes[granularity] = [stage, *train]
    shared = plan.model_dump(include={"model", "data", "seeds", "split", "limit", "latency"})
    return _made(name, recipes, **shared)


def first_look(subject: Subject) -> Study:
    """Single weights and the largest units, one-shot, at nine sparsities."""
    return _swept(subject, "first look", ("weights", *_units(subject)[-1:]), ("magnitude",))


def sparsity_is_not_speed(subject: Subject) -> Study:
    """Zeros beside removed units at equal sparsities, timed."""
    styles = ("weights", *_needed(subject)[-1:])
    plan = _sweep(subject, styles, ("magnitude",), (0.25, 0.5, 0.75), latency=True)
    return sweep_study(plan, _name(subject, "sparsity is not speed"))


def who_ranks_best(subject: Subject) -> Study:
    """Every criterion that ranks single weights in this model, random among them, at five sparsities."""
    usable = criteria(subject, "weights")
    return sweep_study(
        _sweep(subject, ("weights",), usable, (0.5, 0.7, 0.8, 0.9, 0.95)), _name(subject, "who ranks best")
    )


def healing(subject: Subject) -> Study:
    """Units removed at four sparsities: as they are, with BatchNorm counted anew, and fine-tuned."""
    cut: Body = {"kind": "prune", "granularity": _needed(subject)[-1], "scope": "layer"}
    cut |= {"sparsity": {"choose": [0.2, 0.4, 0.6, 0.8]}}
    counted = _counted(subject)
    recipes: dict[str, list[Body]] = {
        "as cut": [cut],
        "fine-tuned": [cut, *counted, {"kind": "train", "epochs": {"choose": [1, 2]}}],
    }
    if counted:
        recipes["recounted"] = [cut, *counted]
    return _made(_name(subject, "how training heals"), recipes, **_place(subject))


def temperatures(subject: Subject) -> Study:
    """A student of half the width, taught at five temperatures and two weights of the teacher's word."""
    stage: Body = {"kind": "distill", "student": "narrower", "epochs": 3}
    stage |= {"temperature": {"choose": [1, 2, 4, 8, 16]}, "alpha": {"choose": [0.5, 0.9]}}
    return _made(_name(subject, "which temperature"), {"student": [stage]}, **_place(subject))


def int8(subject: Subject) -> Study:
    """Units removed at three sparsities and healed, in float and in int8, and int8 alone; timed."""
    healed: list[Body] = [*_cut(subject, [0.25, 0.5, 0.75]), {"kind": "train", "epochs": 3, "lr": 0.02}]
    return _made(_name(subject, "pruned and int8"), _both({"pruned": healed}), **_place(subject), latency=True)


def together(subject: Subject) -> Study:
    """Units removed at two sparsities, fine-tuned or taught by the whole model, each in float and in int8; timed."""
    cut = _cut(subject, [0.5, 0.75])
    ways: dict[str, list[Body]] = {
        "fine-tuned": [*cut, {"kind": "train", "epochs": 3, "lr": 0.02}],
        "distilled": [*cut, {"kind": "distill", "student": "same", "lr": 0.01, "epochs": 3}],
    }
    return _made(_name(subject, "prune, distil, int8"), _both(ways), **_place(subject), latency=True)


def autotune(
    subject: Subject,
    goal: Goal = "packed_bytes",
    lose: float = 0.005,
    within: str = "",
    epochs: int = 1,
    trials: int = 30,
    seed: int = 0,
    rounded: bool = False,
) -> Study:
    """A search for the one model that is best at a goal and loses at most so much accuracy.

    Args:
        subject: the model and its data.
        goal: what counts, a key of GOALS.
        lose: the loss of validation accuracy that is allowed, as a fraction.
        within: a further constraint, such as ``packed_bytes <= 100 KB``; empty for none.
        epochs: of fine-tuning after each pruning; 0 searches among one-shot recipes.
        trials: how many settings are tried.
        seed: of the search and of the trainings.
        rounded: whether every recipe may end in int8, too.

    Raises:
        UserError: an unknown goal, or numbers that are out of range.
    """
    pick(dict.fromkeys(get_args(Goal)), goal, "goal")
    if not 0 <= lose < 1:
        raise UserError(f"lose is {lose:g}; it must lie in [0, 1)")
    start = baseline(subject, "val", None)[1].accuracy
    recipes = _searched(subject, epochs, masked=goal == "packed_bytes")
    recipes = _both(recipes) if rounded else recipes
    return _made(
        _name(subject, f"{GOALS[goal]} within {100 * lose:g} point{'' if lose == 0.01 else 's'}"),
        recipes,
        **_place(subject),
        objectives=("accuracy", goal),
        constraints=(f"accuracy >= {floor(1e4 * (start - lose)) / 100:g} %", *([within] if within else [])),
        search="nsga2" if trials >= 100 else "tpe",
        trials=trials,
        seed=seed,
        halving=epochs > 1,
        latency=goal == "speedup" or "speedup" in within,
    )


def _both(recipes: dict[str, list[Body]]) -> dict[str, list[Body]]:
    """The recipes, each of them once more with int8 at its end, and int8 alone."""
    last: Body = {"kind": "quantize", "mode": _open(tuple(MODES))}
    return recipes | {f"{name} int8": [*stages, last] for name, stages in recipes.items()} | {"int8 alone": [last]}


def _cut(subject: Subject, amounts: list[float]) -> list[Body]:
    """Units cut at some sparsities, and BatchNorm counted anew where there is any."""
    cut: Body = {"kind": "prune", "granularity": _needed(subject)[-1], "scope": "layer", "sparsity": _open(amounts)}
    return [cut, *_counted(subject)]


def _counted(subject: Subject) -> list[Body]:
    return [{"kind": "recalibrate"}] if _normalised(subject) else []


def _searched(subject: Subject, epochs: int, masked: bool) -> dict[str, list[Body]]:
    """What a search may do: cut units out, or zero weights too where that makes the file smaller."""
    heal = _counted(subject)
    heal += [{"kind": "train", "epochs": epochs, "lr": {"choose": [0.003, 0.01, 0.03]}}] if epochs else []
    recipes: dict[str, list[Body]] = {}
    for style in _units(subject):
        ranked = [key for key in ("magnitude", "taylor") if key in criteria(subject, style)]
        cut = {"kind": "prune", "granularity": style, "criterion": _open(ranked)}
        cut |= {"scope": _open(["layer", "global"] if style != "blocks" else ["global"])}
        recipes[style] = [cut | {"sparsity": {"low": 0.05, "high": 0.9, "step": 0.05}}, *heal]
    if masked or not recipes:
        zero = {"kind": "prune", "scope": "global", "sparsity": {"low": 0.5, "high": 0.98, "step": 0.02}}
        recipes["weights"] = [zero, *heal]
    return recipes


STUDY_PRESETS: dict[str, StudyPreset] = {
    preset.key: preset
    for preset in (
        StudyPreset("first_look", "A first look", "Zeros and removed units at nine sparsities, untrained.", first_look),
        StudyPreset(
            "not_speed",
            "Sparsity is not speed",
            "Zeros beside removed units at equal sparsities, with their measured speed.",
            sparsity_is_not_speed,
        ),
        StudyPreset(
            "criteria",
            "Who ranks best?",
            "Every criterion for single weights, random among them, at five sparsities.",
            who_ranks_best,
        ),
        StudyPreset(
            "healing", "How training heals", "Units removed: as cut, recounted, and after one and two epochs.", healing
        ),
        StudyPreset(
            "temperature",
            "Which temperature?",
            "A student of half the width, taught at five temperatures and two weights of the teacher.",
            temperatures,
        ),
        StudyPreset("int8", "Pruned and int8", "Units removed and healed, in float and in int8, with speed.", int8),
        StudyPreset(
            "together",
            "Prune, distil, int8",
            "Units removed, then fine-tuned or taught by the whole model, in float and in int8, with speed.",
            together,
        ),
    )
}
"""In the order of the menu; those that train take minutes on a large model."""


def _swept(subject: Subject, label: str, styles: tuple[str, ...], ranked: tuple[str, ...]) -> Study:
    return sweep_study(_sweep(subject, styles, ranked, spaced(0.1, 0.9, 9)), _name(subject, label))


def _sweep(
    subject: Subject, styles: tuple[str, ...], ranked: tuple[str, ...], amounts: tuple[float, ...], **more: Any
) -> Sweep:
    body = {**_place(subject), "granularities": styles, "criteria": ranked, "sparsities": amounts, **more}
    plan: Sweep = validated(Sweep, body | {"limit": live_limit(subject)})
    return plan


def _made(name: str, recipes: dict[str, list[Body]], **fields: Any) -> Study:
    study: Study = validated(Study, {"name": name, "recipes": recipes, **fields})
    return study


def _place(subject: Subject) -> dict[str, Any]:
    return {"model": subject.name, "data": subject.dataset.name}


def _name(subject: Subject, label: str) -> str:
    """Letters, digits and a few signs, 64 at most: what names a study."""
    plain = "".join(sign if sign.isalnum() or sign in " ._-" else " " for sign in f"{subject.name} {label}")
    return " ".join(plain.encode("ascii", "ignore").decode().split())[:64].strip()


def _open(values: Any) -> Any:
    return {"choose": list(values)} if len(values) > 1 else values[0]


def _units(subject: Subject) -> list[str]:
    return [style for style in granularities(subject) if style in STRUCTURED]


def _needed(subject: Subject) -> list[str]:
    found = _units(subject)
    if not found:
        raise UserError(f"{subject.name} has no units that can be cut out; choose another preset")
    return found


def _normalised(subject: Subject) -> bool:
    return any(isinstance(module, _BatchNorm) for module in subject.model.modules())
