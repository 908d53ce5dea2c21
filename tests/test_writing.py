"""Files that appear whole, whoever writes them at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compression.writing import write_whole


def test_threads_that_write_one_file_leave_it_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    path, contents = tmp_path / "state", [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda content: [write_whole(path, content) for _ in range(20)], contents))
    assert path.read_bytes() in contents
    assert [one.name for one in tmp_path.iterdir()] == ["state"]
