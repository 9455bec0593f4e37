"""The installed `kgce` command, run as a person or a service manager runs it.

Every run is checked for what no run may show: a traceback or a warning.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any
from unittest.mock import patch

import pytest

from app.cli import main

PROGRAM = Path(sysconfig.get_path("scripts")) / "kgce"
PATIENCE_S = 60.0
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said: data on ``out``, messages on ``err``."""

    code: int
    out: str
    err: str

    def records(self) -> list[dict[str, Any]]:
        """The flat records of `--format json`."""
        records = json.loads(self.out)
        assert isinstance(records, list)
        return records

    def csv_rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


def kgce(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] = NOTHING,
    under: Sequence[str] = (),
) -> Ended:
    """Run `kgce` to its end, by the command ``under`` if there is one.

    ``env`` is added to the environment, which names no plant.
    """
    ran = subprocess.run(
        [*under, PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE_S * 3,
        check=False,
    )
    assert_calm(ran.stderr)
    return Ended(ran.returncode, ran.stdout, ran.stderr)


def done(*arguments: str | Path, **settings: Any) -> Ended:
    """`kgce` with these arguments, which must end well."""
    ended = kgce(*arguments, **settings)
    assert ended.code == 0, ended
    return ended


def inside(*arguments: str | Path, env: Mapping[str, str] = NOTHING) -> Ended:
    """The same command in this process, which has loaded everything: for tests that give many."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(env), clear=True),
        patch.object(sys, "argv", ["kgce", *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as exit_,
    ):
        main()
    assert_calm(err.getvalue())
    return Ended(int(exit_.value.code or 0), out.getvalue(), err.getvalue())


def environment(more: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """This process's environment, in an English locale, without a plant and a screen's size."""
    others = ("KGCE_", "LC_", "LANG", "COLUMNS", "LINES")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    return {**kept, "LANG": "C.UTF-8", **more}


def assert_calm(messages: str) -> None:
    assert "Traceback" not in messages, messages
    assert "Warning" not in messages, messages


def until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Return once ``condition`` holds; fail after a generous while."""
    give_up = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < give_up, f"did not come about: {what}"
        time.sleep(0.05)


def files_below(folder: Path) -> dict[Path, bytes | None]:
    """Every file with its content, and every folder: what a command must not touch."""
    return {p: p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


class Daemon:
    """A `kgce run` under way, or another ``program`` that is one. Its messages go to ``log``."""

    def __init__(
        self,
        plant: Path,
        log: Path,
        env: Mapping[str, str] = NOTHING,
        program: Sequence[str | Path] = (PROGRAM,),
    ) -> None:
        self.plant = plant
        self.log = log
        self._logging: IO[bytes] = log.open("ab")
        self._logged_before = log.stat().st_size
        self.process = subprocess.Popen(
            [*program, "run", "-p", str(plant)],
            stdout=self._logging,
            stderr=subprocess.STDOUT,
            env=environment(env),
        )

    @property
    def said(self) -> str:
        """What this run has said."""
        return self.log.read_bytes()[self._logged_before :].decode("utf-8")

    @property
    def collects(self) -> bool:
        return "collecting " in self.said

    def wait_until_it_collects(self) -> None:
        until(lambda: self.collects or self.process.poll() is not None, "the daemon's start")
        assert self.collects, self.said

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self._end()

    def died(self, within_s: float) -> bool:
        """Whether it was killed, within ``within_s``, by somebody else than us."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self._end()
        assert code == -signal.SIGKILL, (code, self.said)
        return True

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it in order; the exit code."""
        self.process.send_signal(number)
        return self._end()

    def _end(self) -> int:
        try:
            code = self.process.wait(PATIENCE_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self._logging.close()
        assert_calm(self.said)
        return code

    def close(self) -> None:
        """End it, if it is still there."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._logging.close()


@contextmanager
def collecting(plant: Path, log: Path) -> Iterator[Daemon]:
    """A daemon that collects already, and that does not outlive the block."""
    daemon = Daemon(plant, log)
    try:
        daemon.wait_until_it_collects()
        yield daemon
    finally:
        daemon.close()
