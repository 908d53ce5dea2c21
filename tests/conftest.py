"""What all tests share: one thread each, and data sets that do not depend on the machine."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

# Before torch is imported: these tensors are too small for a second thread to pay.
os.environ.setdefault("OMP_NUM_THREADS", "1")
