"""The models that are here, a card of each, and the way to add one."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from compression.errands import AddModel
from compression.models.own import damaged, own_models, remove_model
from compression.models.zoo import SAMPLES, available, cards
from compression.pruning import GRANULARITIES
from compression.report.text import count, percent
from pages._cache import card_of
from pages._errand import just_done
from pages._library_add_model import add_model
from pages._library_delete import confirm, say_deleted
from pages._link import inert, lost

Card = dict[str, Any]
CHOSEN = "library_model"


def models() -> None:
    """A table of all models, the card of one, and the form for another."""
    if isinstance(order := just_done("model"), AddModel):
        st.session_state[CHOSEN] = order.name
    say_deleted()
    own = own_models()
    known = sorted(cards(), key=lambda card: card["name"] in SAMPLES)
    names = tuple(card["name"] for card in known)
    st.dataframe(_table(known, own), hide_index=True, key="library_models")
    add_model()
    lost(CHOSEN, names, "model")
    name = st.selectbox(
        "Card of", names, key=CHOSEN, bind="query-params", width=380,
        help="What the model is made of, what of it can be pruned, and why the rest cannot.",
    )  # fmt: skip
    name = name if name in names else names[0]
    if fault := damaged().get(name):
        st.error(inert(fault), icon=":material/error:")
        return _delete(name)
    st.text(known[names.index(name)]["sentence"])
    with st.spinner(f"Looking at {name}"):
        card = card_of(name)
    _actions(name, card, name in own)
    _card(card)


def _table(cards: list[Card], own: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        {
            "model": card["name"],
            "whose": "yours" if card["name"] in own else "sample",
            "for data": card["data"] or "",
            "test accuracy": percent(card["accuracy"], 2) if "accuracy" in card else "not measured",
            "parameters": count(card["params"]) if "params" in card else "",
            "what it is": card["sentence"],
        }
        for card in cards
    ]
    return pd.DataFrame(rows)


def _actions(name: str, card: Card, own: bool) -> None:
    with st.container(horizontal=True):
        if st.button(
            "Work with it", icon=":material/arrow_forward:", key="library_use", on_click=_use, args=(name,),
            help="Chooses it in the sidebar and opens the Prune page.",
        ):  # fmt: skip
            st.switch_page("pages/prune.py", query_params={})
        st.download_button(
            "Card (JSON)", lambda: json.dumps(card, indent=2, ensure_ascii=False), f"{name}-card.json",
            icon=":material/download:", key="library_card", on_click="ignore", help="All that is below, for programs.",
        )  # fmt: skip
        if own:
            _delete(name)


def _delete(name: str) -> None:
    if st.button("Delete", icon=":material/delete:", key="library_model_delete", type="tertiary"):
        stays = "goes with its weights and card. Studies that used it keep what they measured."
        confirm(name, stays, CHOSEN, next(one for one in available() if one != name), remove_model)


def _use(name: str) -> None:
    st.session_state["model"] = name


def _card(card: Card) -> None:
    with st.container(horizontal=True):
        st.metric("Parameters", count(card["params"]), help=f"{card['params']:,} numbers that training found.")
        st.metric("MACs an image", count(card["macs"]), help="Multiply-accumulates of one forward pass.")
        st.metric("Input", "×".join(map(str, card["input_shape"])), help="Channels × height × width of an image.")
        st.metric("Classes", f"{card['classes']:,}", help="How many it tells apart.")
    for note in card["notes"]:
        st.caption(inert(note))
    st.markdown("**What can be pruned**")
    prune = [
        {
            "style": GRANULARITIES[row["granularity"]].label,
            "layers": row["layers"],
            "units": row["units"],
            "why not": row["why"],
        }
        for row in card["prune"]
    ]
    whole = st.column_config.NumberColumn(format="localized")
    st.dataframe(
        pd.DataFrame(prune), hide_index=True, key="library_prune", column_config={"layers": whole, "units": whole}
    )
    with st.expander(f"{len(card['layers'])} layers with weights"):
        layers = pd.DataFrame(card["layers"])
        layers["shape"] = layers["shape"].map(lambda shape: "×".join(map(str, shape)))
        st.dataframe(
            layers, hide_index=True, key="library_layers",
            column_config={"cut": "can be cut out", "why": "why not", "macs": "MACs", "params": "parameters"},
        )  # fmt: skip
