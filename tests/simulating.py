"""A `kgce simulate` under way."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.app.commands import PROGRAM, assert_calm, environment

PATIENCE_S = 120.0
READY = "Ctrl-C ends\n"


@dataclass
class Simulation:
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)  # before it was ready
    summary: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.said[0].rpartition(":")[2])

    def end(self, number: int = signal.SIGINT) -> None:
        """Ask it to end as a person does, and read what it did."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        self.summary = out.splitlines()
        assert_calm(err)
        assert self.process.returncode == 0, (out, err)


@contextmanager
def simulating(*arguments: str | Path) -> Iterator[Simulation]:
    """It serves when the block begins, and is gone when it ends."""
    command = [PROGRAM, "simulate", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    simulation = Simulation(process)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line == READY:
                break
            simulation.said.append(line.rstrip("\n"))
        else:
            raise AssertionError(process.communicate()[1])
        yield simulation
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
