from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.errors import StorageBusy, StorageError
from storage.lake import Lake


def test_the_second_process_is_told_who_holds_it(lake: Lake) -> None:
    script = (
        "import sys; from pathlib import Path; from storage.lake import Lake\n"
        "with Lake(Path(sys.argv[1])).lock(5):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(lake.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StorageBusy, match=f"process {holder.pid} "), lake.lock(0.1):
        pass
    holder.kill()  # and the system frees the lock
    holder.communicate()
    with lake.lock(5):
        pass


def test_it_is_free_again_afterwards(lake: Lake) -> None:
    for _ in range(2):
        with lake.lock(0):
            assert (lake.path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_is_none_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught, Lake(tmp_path / "file").lock(0):
        pass
    assert "storage.path" in caught.value.todo
