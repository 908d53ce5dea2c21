"""What a page has done for it in a process of its own: files from strangers read, data fetched, models shipped."""

from __future__ import annotations

from compression.errands.folder import cancel, file, found, order, place_of, start, state, under_way
from compression.errands.orders import AddData, AddModel, Export, Fetch, Order

__all__ = [
    "AddData",
    "AddModel",
    "Export",
    "Fetch",
    "Order",
    "cancel",
    "file",
    "found",
    "order",
    "place_of",
    "start",
    "state",
    "under_way",
]
