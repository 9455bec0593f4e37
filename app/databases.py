"""Production databases: what a query gives is taken as a file's rows are, again and again.

An answer that says what was said before changes nothing; a quantity that changed in the database
is a correction of what the database said. What a person corrected stays until the database itself
says something new.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from app import jobs
from app.entries import Rules
from app.imports import TABLE_OF, Imported, take, user
from app.options import Kind
from collectors.base import GOOD, Health
from collectors.changes import Changes
from collectors.files import production_of, readings_of, statements_of
from collectors.files.table import Table
from collectors.sql.client import Database, describe_sql, since_of
from collectors.stats import Stats
from config.connections import SqlDatabase
from config.errors import CollectError, ConfigError, InputError, KgceError, StorageError
from config.models import ImportMapping, TimeColumns
from config.site import Site

log = logging.getLogger("kgce.databases")

RETRY_S = 30.0
"""A database that cannot be asked is asked again so soon at most."""
_READINGS = ImportMapping(
    time=TimeColumns(columns=("time",)), meter_column="meter", value_column="value"
)

_Result = TypeVar("_Result")


def fetch_connection(
    site: Site,
    connection_id: str,
    *,
    partial: bool = False,
    entered_by: str | None = None,
    reason: str | None = None,
    now: datetime | None = None,
) -> Imported:
    """Ask a database once, and take what it says. Raises KgceError."""
    asked = now or datetime.now(UTC)
    answer = _ask(site, connection_id)
    return _take(
        site, connection_id, answer, asked, partial=partial, entered_by=entered_by, reason=reason
    )


def fetch_kind(
    site: Site,
    kind: Kind,
    connection_id: str,
    *,
    partial: bool = False,
    entered_by: str | None = None,
    reason: str | None = None,
) -> Imported:
    """`fetch_connection` of a connection that holds the ``kind``. Raises ConfigError if not."""
    describe_sql(site, connection_id)
    holds = site.connection(connection_id, "sql", SqlDatabase).holds
    if holds != kind.value:
        raise ConfigError(
            f"connection {connection_id} holds {holds}, not {kind.value}",
            todo=f"`kgce import {holds} --connection {connection_id}`",
        )
    return fetch_connection(
        site, connection_id, partial=partial, entered_by=entered_by, reason=reason
    )


def _ask(site: Site, connection_id: str) -> Table:
    database = Database.of(site, connection_id)
    last = _last_taken(site, connection_id, database.settings)
    return database.fetch(since_of(database.settings, last, site))


def _take(
    site: Site,
    connection_id: str,
    answer: Table,
    asked: datetime,
    *,
    partial: bool = False,
    entered_by: str | None = None,
    reason: str | None = None,
) -> Imported:
    """Take an answer into the lake; afterwards remember that it was."""
    settings = site.connection(connection_id, "sql", SqlDatabase)
    kind, source, who = Kind(settings.holds), f"sql:{connection_id}", entered_by or user()
    if kind is Kind.readings:
        read = readings_of(answer, _READINGS, site, source, now=asked)
    else:
        entries_of = production_of if kind is Kind.production else statements_of
        read = entries_of(answer, site, source, who, now=asked)
    rules = Rules(reason=reason, or_else="source changed", own_source=True)
    lake = jobs.open_lake(site)
    with lake.lock(jobs.LOCK_TIMEOUT_S):
        taken = take(
            site,
            lake,
            TABLE_OF[kind],
            read,
            Path(source),
            rules,
            partial=partial or settings.partial,
            kept_as=f"sql-{connection_id}",
        )
    _remember(site, connection_id, settings, asked)
    return taken


def _state_file(site: Site, connection_id: str) -> Path:
    return site.storage_path / f"sql-{connection_id}.json"


def _identity(settings: SqlDatabase) -> str:
    """Of what is asked: another question begins at the first day again."""
    asked = (settings.url, settings.query, settings.holds, sorted(settings.columns.items()))
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


def _last_taken(site: Site, connection_id: str, settings: SqlDatabase) -> datetime | None:
    try:
        state = json.loads(_state_file(site, connection_id).read_text(encoding="utf-8"))
        if state["asks"] == _identity(settings):
            return datetime.fromisoformat(state["taken_utc"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # without it everything is read again, which changes nothing
    return None


def _remember(site: Site, connection_id: str, settings: SqlDatabase, asked: datetime) -> None:
    state = {"asks": _identity(settings), "taken_utc": asked.astimezone(UTC).isoformat()}
    jobs.storage_folder(site)
    file = _state_file(site, connection_id)
    beside = file.with_suffix(".new")
    try:
        beside.write_text(json.dumps(state), encoding="utf-8")
        os.replace(beside, file)  # noqa: PTH105 - replaces what is there, on every system
    except OSError as error:
        raise StorageError(
            f"{file}: {error.strerror or error}",
            data="the rows were taken; they will be asked for again",
        ) from error


class SqlCollector:
    """Asks one database on its schedule; satisfies the collectors' ``Collector``.

    ``site`` gives the configuration as it is now. ``health`` counts rows: good ones were taken,
    dropped ones refused; ``stats.requests`` counts queries by their outcome.
    """

    def __init__(self, site: Callable[[], Site], connection_id: str) -> None:
        self._site = site
        self._id = connection_id
        self._changes = Changes(log)
        self.health = Health(connection_id)
        self.stats = Stats()

    async def run(self) -> None:
        """Ask until cancelled. A query under way is given up then, what is being taken is not."""
        try:
            while True:
                await asyncio.sleep(await self.look())
        finally:
            self.health.state = "stopped"

    async def look(self) -> float:
        """Ask once; seconds to the next time. Trouble is recorded, not raised."""
        site = self._site()
        settings = site.plant.connections.get(self._id)
        if not isinstance(settings, SqlDatabase):
            return 1.0  # the configuration changes at this moment: this collector is to be stopped
        self.stats.ticks += 1
        asked = datetime.now(UTC)
        try:
            answer = await _in_thread(lambda: _ask(site, self._id))
            taken = await _to_its_end(lambda: _take(site, self._id, answer, asked))
        except InputError as error:
            self._tell("refused", str(error), "refused")
        except CollectError as error:
            self._tell("down", str(error), error.status)
            return min(settings.every_s, RETRY_S)
        except KgceError as error:  # the lake is busy, or its disk is full: it is asked again
            self._tell("waiting", str(error), "not_taken")
            return min(settings.every_s, RETRY_S)
        except Exception as error:
            log.error("%s: what was asked could not be taken", self._id, exc_info=error)
            self._tell("down", f"{type(error).__name__}: {error}", "failed")
        else:
            self._taken(taken)
        return settings.every_s

    def _taken(self, taken: Imported) -> None:
        self.health.good += taken.taken
        self.health.dropped += taken.refused
        self.health.last_good_us = time.time_ns() // 1000
        detail = f"{taken.refused} rows are refused, see {taken.refused_file}"
        self._tell("up", detail if taken.refused else "", GOOD)
        if taken.taken or taken.refused:
            log.info(
                "%s: %d rows taken, %d of them corrections, %d known already, %d refused",
                self._id, taken.taken, len(taken.corrected), taken.known, taken.refused,
            )  # fmt: skip
        for change in taken.corrected[:20]:
            log.info("%s: corrected: %s", self._id, change)

    def _tell(self, state: str, detail: str, outcome: str) -> None:
        self.stats.requests[outcome] += 1
        self.health.state, self.health.detail = state, detail
        self._changes.note(self._id, GOOD if state == "up" else state, detail)


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """``work`` in a thread of its own, which may be left behind: a server that says nothing must
    not keep the daemon from its end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Result] = loop.create_future()

    def put(result: _Result | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, trouble = None, None
        try:
            result = work()
        except BaseException as error:  # raised again where it is awaited
            trouble = error
        with suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(put, result, trouble)

    threading.Thread(target=run, name="kgce-sql", daemon=True).start()
    return await done


async def _to_its_end(work: Callable[[], _Result]) -> _Result:
    """``work`` in a thread; cancelled, it is finished first."""
    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        with suppress(KgceError):
            await working
        raise
