"""``espalier tune``: the smallest or fastest model that loses little, found by a search, with the evidence."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compression.cli_study import follow
from compression.cli_tables import interval, print_json
from compression.data.root import own_root
from compression.models.files import load_weights
from compression.recipe import Recipe
from compression.registry import UserError
from compression.report.compare import against, headline
from compression.report.measures import MEASURES
from compression.report.setting_words import setting_labels
from compression.report.study_tables import best_feasible, nearest_miss, settings_of
from compression.report.text import amount, percent, size, times
from compression.results import Measurement
from compression.studies import control, records
from compression.studies.presets import autotune
from compression.studies.study import Study
from compression.subject import baseline, judge, load_subject

Row = Mapping[str, Any]


def tune(arguments: argparse.Namespace) -> None:
    """Search, then say which model is best and what it does on images that no choice has seen.

    Raises:
        UserError: no setting meets what was asked for; the nearest miss is named.
    """
    subject = load_subject(arguments.model, arguments.data)
    plan = autotune(
        subject, arguments.goal, arguments.lose / 100, arguments.within or "", arguments.epochs, arguments.trials,
        arguments.seed, arguments.int8,
    )  # fmt: skip
    study = control.distinct(plan.model_copy(update={"data": arguments.data}))  # a folder is known by its path alone
    control.start(study)
    follow(study.name)
    rows = records.rows(study.name)
    best = best_feasible(rows, study.bounds, arguments.goal)
    if best is None:
        raise UserError(_missed(rows, study))
    kept = records.trial(study.name, best["trial"])
    weights = own_root() / kept["weights"]
    before, after = baseline(subject, "test")[1], judge(subject, load_weights(weights).model, "test")[1]
    recipe = Recipe.from_mapping(kept["recipe"])
    if arguments.out:
        _write(arguments.out, recipe, weights)
    if arguments.json:
        tested = {"baseline": before.model_dump(mode="json"), "best": after.model_dump(mode="json")}
        return print_json({"study": study.name, "best": best, "recipe": recipe.model_dump(mode="json"), "test": tested})
    _tell(study, rows, best, before, after, arguments.out)


def _missed(rows: Sequence[Row], study: Study) -> str:
    near = nearest_miss(rows, study.bounds)
    if near is None:
        return f"no setting of '{study.name}' could be measured; `espalier study show` says why"
    row, failed = near
    words = ", ".join(one.written() for one in failed)
    label = setting_labels(rows, settings_of(rows))[rows.index(row)]
    return f"no setting meets {words}; the nearest is {label}: {percent(row['accuracy'])}, {size(row['packed_bytes'])}"


def _tell(
    study: Study, rows: Sequence[Row], best: Row, before: Measurement, after: Measurement, out: Path | None
) -> None:
    label = setting_labels(rows, settings_of(rows))[rows.index(best)]
    start_row = records.points(study.name)[0]
    print(f"best of {len(rows)} settings: {label}")
    print(f"  on {best['n']:,} {best['split']} images: {percent(best['accuracy'], 2)}; {headline(start_row, best)}")
    if study.objectives[1] not in ("packed_bytes", "speedup"):
        print(f"  {_gained(start_row, best, study.objectives[1])}")
    ends = interval(after.accuracy_low, after.accuracy_high)
    print(f"  on {after.n:,} test images that no choice has seen: {percent(after.accuracy, 2)} {ends},")
    print(f"    {against(before.row(), after.row(), study.model)}")
    rest = f"its model and recipe are in {out}" if out else "--out DIR writes its model and recipe"
    print(f"  trial {best['trial']} of the study '{study.name}'; {rest}")


def _gained(start: Row, best: Row, goal: str) -> str:
    """What it gained of what was asked for: "1.2× fewer MACs: 17 K to 13.9 K"."""
    axis = MEASURES[goal]
    ends = " to ".join(amount(row[goal], axis.scale) for row in (start, best))
    return f"{times(start[goal] / best[goal])} {axis.gain}: {ends}"


def _write(folder: Path, recipe: Recipe, weights: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights.read_bytes())
    (folder / "recipe.yaml").write_text(recipe.to_yaml())
