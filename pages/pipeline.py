"""Pipeline: a recipe as a list of stages, run beside its controls, and the model's lineage."""

import streamlit as st

from compression.recipe import Recipe
from compression.registry import UserError
from compression.studies import jobs
from compression.studies.lineage import lineage as planned_lineage
from compression.subject import Subject
from pages._lineage import ended, lineage, progress, take_along
from pages._stages import build, check_stages, plain, presets, replace_stages
from pages._workbench import choose_subject


def run_button(recipe: Recipe) -> Recipe:
    """How it is run, and the button that starts it in a process of its own; the recipe with its seed."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seeds = st.select_slider("Seeds", (1, 2, 3, 5), 1, key="pipeline_seeds", bind="query-params", width=160)
        controls = st.toggle(
            "With controls", True, key="pipeline_controls", bind="query-params",
            help="The same stages pruned at random, and a small dense model of the same size trained from scratch "
            "for as many epochs.",
        )  # fmt: skip
        st.session_state.setdefault("pipeline_seed", 0)  # which a recipe from elsewhere may have set
        seed = st.number_input("First seed", 0, 2**31 - 1, key="pipeline_seed", bind="query-params", width=140)
        recipe = recipe.model_copy(update={"seed": seed})
        latency = st.toggle("Measure speed", True, key="pipeline_latency", bind="query-params")
        if st.button("Run", type="primary", icon=":material/play_arrow:", key="pipeline_run"):
            with st.spinner("Planning"):
                plan = planned_lineage(recipe, controls, seeds=seeds, latency=latency)
            st.query_params["run"] = jobs.start(plan)
    return recipe


def from_yaml(subject: Subject) -> None:
    """Take a recipe's stages and seed from pasted text; model and data stay those of the sidebar, and that is said."""
    with st.popover("From YAML", icon=":material/upload:"):
        text = st.text_area("Recipe", key="pipeline_yaml", placeholder="stages:\n- {kind: prune, sparsity: 0.5}")
        if st.button("Take these stages", key="pipeline_take") and text.strip():
            head = "" if "model:" in text else f"model: {subject.name}\n"
            taken = Recipe.from_yaml(head + text)
            check_stages(subject, taken.stages)
            replace_stages([plain(stage) for stage in taken.stages])
            st.session_state.update(pipeline_taken=taken, pipeline_seed=taken.seed)
            st.rerun()
    if taken := st.session_state.get("pipeline_taken"):
        if (taken.model, taken.data or subject.dataset.name) != (subject.name, subject.dataset.name):
            st.caption(f"Taken from a recipe for {taken.model}; it runs with {subject.name} here.")


subject = choose_subject()
st.title("Pipeline")
recipe = None
try:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        presets(subject)
        from_yaml(subject)
    recipe = build(subject)
    recipe = run_button(recipe)
except UserError as fault:
    st.error(str(fault), icon=":material/error:")
named = st.query_params.get("run")
job = jobs.linked(named, "pipeline", subject.name, subject.dataset.name)
if job and job != named and (recipe is None or recipe.stages != jobs.plan(job).recipe.stages):
    job = None  # the latest run is somebody's, of other stages
if job:
    st.query_params["run"] = job
    if jobs.state(job).state in jobs.UNDER_WAY:
        progress(job)
    else:
        ended(job)
        if recipe and recipe.stages != jobs.plan(job).recipe.stages:
            st.info("The stages above have changed since: press **Run** for theirs.", icon=":material/history:")
        lineage(job)
else:
    st.info("Press **Run**: the model's lineage appears here, with accuracy, size, work and speed after every stage.")
if recipe:
    take_along(recipe, job)
