"""One query of a production database, in a session that cannot write.

PostgreSQL, MySQL and Oracle are told that the session is read only, SQLite opens the file so; the
query is one SELECT. A password comes from a file or the environment, and never into a message.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from collectors.files import headings
from collectors.files.table import Table, table_of
from config.connections import SqlDatabase
from config.errors import CollectError, ConfigError, ConnectFailed, InputError
from config.site import Site
from config.sql_query import query_parameters, with_text_escaped

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.engine import Connection

FIRST_DAY = date(1990, 1, 1)
READINGS = ("meter", "time", "value")
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "production": (headings.PRODUCTION, headings.PRODUCTION_OPTIONAL),
    "statements": (headings.STATEMENTS, headings.STATEMENTS_OPTIONAL),
    "readings": (READINGS, ()),
}
"""Columns that the query must give, and may give, by what the rows are."""
_DRIVERS = {"postgresql": "postgresql+psycopg"}
_READ_ONLY = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}


@dataclass(frozen=True)
class Database:
    """What is needed to ask: settings, where its paths start, the session's zone."""

    connection_id: str
    settings: SqlDatabase
    folder: Path
    zone: str

    @staticmethod
    def of(site: Site, connection_id: str) -> Database:
        """Raises ConfigError where the connection is no database."""
        settings = site.connection(connection_id, "sql", SqlDatabase)
        return Database(connection_id, settings, site.folder, site.plant.plant.timezone)

    def fetch(self, since: datetime) -> Table:
        """The query's rows; ``since`` (aware) is its parameter of that name.

        Raises CollectError where the database cannot be asked, and InputError for an answer of
        other columns, or of too many rows.
        """
        columns, records = self._ask(since)
        chosen = self._chosen(columns)
        return table_of(
            ({ours: record[theirs] for ours, theirs in chosen.items()} for record in records),
            list(chosen),
            hashlib.sha256(repr(records).encode()).hexdigest(),
        )

    def _ask(self, since: datetime) -> tuple[list[str], list[dict[str, Any]]]:
        from sqlalchemy import text
        from sqlalchemy.exc import SQLAlchemyError

        password = self._password()
        most = self.settings.max_rows
        with self._explained(password, SQLAlchemyError):
            engine, url = self._engine(password)
            given = {"since": self._bound(since, url)}
            wanted = query_parameters(self.settings.query)
            try:
                with engine.connect() as connection:
                    _refuse_writes(connection, url)
                    statement = text(with_text_escaped(self.settings.query))
                    result = connection.execute(
                        statement, {name: given[name] for name in given if name in wanted}
                    )
                    columns = [str(name) for name in result.keys()]  # noqa: SIM118 - a result iterates over its rows
                    records = [dict(row) for row in result.mappings().fetchmany(most + 1)]
                    connection.rollback()
            finally:
                engine.dispose()
        if len(records) > most:
            raise InputError(
                f"connection {self.connection_id}: more than {most} rows",
                data="nothing was taken",
                todo="bound the query by :since, or raise max_rows",
            )
        return columns, records

    def _chosen(self, columns: list[str]) -> dict[str, str]:
        """Our columns, each with the query's."""
        must, may = COLUMNS[self.settings.holds]
        place = f"connection {self.connection_id}: the query"
        if repeated := sorted({name for name in columns if columns.count(name) > 1}):
            raise InputError(f"{place} gives column {repeated[0]!r} twice")
        chosen = {ours: self.settings.columns.get(ours, ours) for ours in (*must, *may)}
        for ours, theirs in self.settings.columns.items():
            if theirs not in columns:
                raise InputError(
                    f"{place} gives no column {theirs!r} for {ours!r}", allowed=", ".join(columns)
                )
        there = {ours: theirs for ours, theirs in chosen.items() if theirs in columns}
        for ours in must:
            if ours not in there:
                raise InputError(
                    f"{place} gives no column {ours!r}",
                    allowed=", ".join(columns),
                    todo=f"name it in the query, or say under columns which one is {ours}",
                )
        if strange := [name for name in columns if name not in there.values()]:
            raise InputError(
                f"{place} gives a column {strange[0]!r} that nobody asked for",
                allowed=", ".join((*must, *may)),
                todo="leave it out, or say under columns what it is",
            )
        return there

    def _password(self) -> str | None:
        settings = self.settings
        if settings.password_env is not None:
            password = os.environ.get(settings.password_env)
            if password is None:
                raise ConnectFailed(
                    f"connection {self.connection_id}: the environment has no "
                    f"{settings.password_env}",
                    todo="set it for the service, or use password_file",
                )
            return password
        if settings.password_file is None:
            return None
        file = self.folder / settings.password_file
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise ConnectFailed(
                f"connection {self.connection_id}: {file} cannot be read as a password"
            ) from error

    def _engine(self, password: str | None) -> tuple[Engine, URL]:
        from sqlalchemy import create_engine, make_url
        from sqlalchemy.pool import NullPool

        url = make_url(self.settings.url)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        if password is not None:
            url = url.set(password=password)
        dialect = url.get_backend_name()
        shared: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
        if dialect == "sqlite":
            return create_engine(url, creator=lambda: self._open_sqlite(url), **shared), url
        arguments = self._postgresql_arguments() if dialect == "postgresql" else {}
        return create_engine(url, connect_args=arguments, **shared), url

    def _postgresql_arguments(self) -> dict[str, Any]:
        seconds = self.settings.timeout_s
        return {
            "connect_timeout": max(2, round(min(seconds, 30))),
            "tcp_user_timeout": round(seconds * 1000),
            "application_name": "kgce",
            "options": "-c default_transaction_read_only=on "
            f"-c statement_timeout={round(seconds * 1000)} -c TimeZone={self.zone}",
        }

    def _open_sqlite(self, url: URL) -> sqlite3.Connection:
        file = self.folder / (url.database or "")
        address = f"file:{quote(str(file.absolute()))}?mode=ro"
        return sqlite3.connect(
            address, uri=True, timeout=self.settings.timeout_s, check_same_thread=False
        )

    def _bound(self, since: datetime, url: URL) -> datetime | str:
        """``since`` as the database compares it; without a zone it is in the plant's time."""
        dialect = url.get_backend_name()
        if dialect == "postgresql":
            return since
        # SQLite compares texts: a date alone is before every time of its day, and not after it.
        return since.date().isoformat() if dialect == "sqlite" else since.replace(tzinfo=None)

    @contextmanager
    def _explained(self, password: str | None, library_error: type[Exception]) -> Iterator[None]:
        try:
            yield
        except (library_error, ImportError, sqlite3.Error) as error:
            from sqlalchemy.exc import InterfaceError, OperationalError

            cause = getattr(error, "orig", None) or error
            told = " ".join(str(cause).split())[:400]
            if password:
                told = told.replace(password, "***")
            down = isinstance(error, OperationalError | InterfaceError | ImportError)
            kind = ConnectFailed if down else CollectError
            raise kind(
                f"connection {self.connection_id}: {type(cause).__name__}: {told}",
                data="nothing was taken",
                todo="check the server, the account and the query; it is asked again",
            ) from None  # the library's own text may hold the address


def _refuse_writes(connection: Connection, url: URL) -> None:
    dialect = url.get_backend_name()
    if dialect == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    elif dialect in _READ_ONLY:
        connection.exec_driver_sql(_READ_ONLY[dialect])
        if dialect in ("mysql", "mariadb"):
            connection.rollback()  # it holds from the next transaction on


def since_of(settings: SqlDatabase, last_taken: datetime | None, site: Site) -> datetime:
    """``:since``: the start of the day so long before the last answer that was taken; of the first
    answer, the first day. A whole day, for the query may compare it with dates."""
    zone = site.plant.plant.zone
    day = settings.first_day or FIRST_DAY
    if last_taken is not None:
        day = (last_taken - timedelta(days=settings.look_back_days)).astimezone(zone).date()
    return datetime.combine(day, time(), zone)


def describe_sql(site: Site, connection_id: str) -> str:
    """What would be asked, for ``kgce check``; nothing is opened. Raises ConfigError."""
    settings = site.connection(connection_id, "sql", SqlDatabase)
    if find_spec("sqlalchemy") is None:
        raise ConfigError(
            f"connection {connection_id}: databases need the extra `sql`, which is not installed",
            todo="install it: `uv tool install 'kgce[sql]'`, or `pip install 'kgce[sql]'`",
        )
    must, may = COLUMNS[settings.holds]
    if strange := [name for name in settings.columns if name not in (*must, *may)]:
        raise ConfigError(
            f"connection {connection_id}: columns names {strange[0]!r}, which {settings.holds} do "
            "not have",
            allowed=", ".join((*must, *may)),
        )
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(settings.url)
        dialect = url.get_backend_name()
        url.set(drivername=_DRIVERS.get(url.drivername, url.drivername)).get_dialect()
    except (ArgumentError, ImportError) as error:
        raise ConfigError(
            f"connection {connection_id}: url: {error}",
            allowed="postgresql, sqlite, or another dialect whose driver is installed",
        ) from None
    safe = dialect == "sqlite" or dialect in _READ_ONLY
    note = "" if safe else f"; kgce cannot make {dialect} read only: use an account that is"
    return (
        f"{connection_id}: {settings.holds} from {dialect} {url.host or url.database or ''} every "
        f"{settings.every_s:g} s, {settings.look_back_days:g} days back{note}"
    )
