"""What the pages hand out without a browser: the zip of a model that is just what the page shows."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as read

from compression.models.files import load_weights
from compression.recipe import Prune, Recipe
from compression.studies import jobs, watch
from compression.studies.lineage import Lineage
from compression.studies.sweep import main as carry_out
from compression.subject import load_subject, prune_subject
from tests.pages.forms import Open, handed_out, sound

pytestmark = [
    pytest.mark.usefixtures("no_errands"),
    pytest.mark.timeout(300),
    # AppTest runs the script in a thread of its own, which ends with the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_the_prune_page_hands_out_the_model_that_it_shows(open_app: Open, data_root: Path) -> None:
    at = sound(open_app("prune", model="digits-mlp"))
    files = handed_out(at.slider(key="prune_sparsity").set_value(0.8).run(), "prune", data_root)
    shown = prune_subject(load_subject("digits-mlp", "digits"), Prune(sparsity=0.8)).model.state_dict()
    shipped = read(files["model.safetensors"])
    assert all(torch.equal(shipped[name], tensor) for name, tensor in shown.items())
    assert Recipe.from_yaml(files["recipe.yaml"].decode()).stages == (Prune(sparsity=0.8),)


def test_the_pipeline_page_hands_out_its_last_model_with_the_recipe_that_made_it(
    open_app: Open, data_root: Path
) -> None:
    recipe = Recipe(model="digits-mlp", data="digits", stages=(Prune(sparsity=0.5),))
    plan = Lineage(recipe=recipe, latency=False)
    folder = data_root / "sweeps" / jobs._name(plan)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.model_dump_json())
    assert carry_out(folder) == 0
    at = sound(open_app("pipeline", run=folder.name, model="digits-mlp"))
    files = handed_out(at, "pipeline", data_root)
    kept = load_weights(jobs.weights(folder.name, 0)).model.state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in read(files["model.safetensors"]).items())
    assert Recipe.from_yaml(files["recipe.yaml"].decode()) == recipe


def test_what_the_page_showed_before_can_still_be_stopped(open_app: Open, data_root: Path) -> None:
    folder = data_root / "errands" / "export-before"
    folder.mkdir(parents=True)
    watch.write_state(folder, watch.State(state="running", total=100, started=time.time()))
    command = [sys.executable, "-c", "import time; time.sleep(200)", str(folder)]
    with subprocess.Popen(command, start_new_session=True) as process:
        (folder / "pid").write_text(str(process.pid))
        at = sound(open_app("prune", model="digits-mlp"))
        at = sound(at.button(key="export-before_cancel").click().run())
        process.wait(10)
        assert not folder.exists()
    assert "prune_make" in {button.key for button in at.button}
