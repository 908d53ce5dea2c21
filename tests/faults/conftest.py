"""What the tests of faults share with those of studies."""

from __future__ import annotations

from tests.studies.conftest import cluster, own_store

__all__ = ["cluster", "own_store"]
