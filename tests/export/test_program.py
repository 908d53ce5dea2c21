"""The torch.export program as a file of its own; what it holds is compared in ``test_export``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compression.export.program import program_outputs, save_program
from compression.registry import UserError

ROOT = Path(__file__).parents[2]
FORKS = """
import os, sys
from pathlib import Path
import torch
from compression.export.program import save_program

model, x = torch.nn.Linear(3, 2).eval(), torch.randn(2, 3)
save_program(model, x, Path(sys.argv[1]))
model(x).sum().backward()
child = os.fork()
if not child:
    try:
        model(x).sum().backward()
    except RuntimeError:
        os._exit(1)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


class Chooses(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_batch_of_any_length_gives_the_modules_outputs(tmp_path: Path) -> None:
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval(), torch.randn(7, 3)
    save_program(model, x, tmp_path / "m.pt2")
    for n in (1, 2, 7):
        torch.testing.assert_close(program_outputs(tmp_path / "m.pt2", x[:n]), model(x[:n]).detach())


def test_what_cannot_be_expressed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="^The export with torch.export failed ") as caught:
        save_program(Chooses().eval(), torch.randn(2, 3), tmp_path / "m.pt2")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are not forked")
def test_who_exported_can_still_fork_workers_that_train(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORKS, str(tmp_path / "m.pt2")], cwd=ROOT, check=True)
