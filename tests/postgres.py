"""A real PostgreSQL on loopback, for tests: a cluster of its own in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "correct horse/battery@staple"
PATIENCE_S = 60.0


def program(name: str) -> str:
    """Fails where PostgreSQL is missing: a test that is skipped proves nothing."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    assert path, "PostgreSQL is missing: apt install postgresql"
    return path


@dataclass
class Server:
    """A cluster, and how it is run. Its superuser is ``postgres`` with `PASSWORD`."""

    folder: Path
    port: int
    account: pwd.struct_passwd | None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    program("postgres"), "-D", str(self.folder / "cluster"), "-p", str(self.port),
                    "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                    "-c", f"unix_socket_directories={self.folder}",
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
                **self._as_account(),
            )  # fmt: skip
        give_up = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < give_up, "PostgreSQL did not start"
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, with every session."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(PATIENCE_S)
            self.process = None

    def run(self, *statements: str) -> list[tuple[object, ...]]:
        """Execute as the superuser; the rows of the last one, if it gives any."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", password=PASSWORD, autocommit=True
        ) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def make(self) -> None:
        secret = self.folder / "secret"
        secret.write_text(PASSWORD, encoding="utf-8")
        if self.account is not None:
            for path in (self.folder, secret):
                os.chown(path, self.account.pw_uid, self.account.pw_gid)
        subprocess.run(
            [
                program("initdb"), "-D", str(self.folder / "cluster"), "-U", "postgres",
                "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-locale",
                "--no-sync",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **self._as_account(),
        )  # fmt: skip

    def _answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except Exception:  # not yet
            return False
        return True

    def _as_account(self) -> dict[str, Any]:
        if self.account is None:
            return {"cwd": self.folder}
        group = self.account.pw_gid
        return {
            "user": self.account.pw_uid, "group": group, "extra_groups": [], "cwd": self.folder,
        }  # fmt: skip


@contextmanager
def running_postgres() -> Iterator[Server]:
    """PostgreSQL refuses to run as root: then it runs as ``postgres``, or as ``nobody``."""
    account = None
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    with tempfile.TemporaryDirectory(prefix="kgce-pg-", ignore_cleanup_errors=True) as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = Server(Path(folder), port, account)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
