"""Production out of a real PostgreSQL and out of SQLite: what changed there is a correction."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app import jobs
from app.databases import SqlCollector, fetch_connection
from app.imports import enter
from app.options import Kind
from app.sites import load_site
from config.errors import CollectError, ConfigError, InputError
from config.tables import OUTPUTS, READINGS
from tests.app.commands import collecting, inside, until
from tests.app.works import METERS, SECTIONS, write_works
from tests.postgres import Server, running_postgres

NOW = datetime(2025, 11, 1, tzinfo=UTC)
QUERY = """
SELECT product, day AS date, tonnes AS quantity, 't' AS unit -- made: 'good'
FROM production WHERE day >= :since AND note <> 'a: b' ORDER BY day
"""
COLUMNS = {"product_id": "product", "qualified_quantity": "quantity"}
TABLE = (
    "CREATE TABLE production (product text, day date, tonnes numeric(12,3), note text DEFAULT '')"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Server]:
    with running_postgres() as server:
        server.run("CREATE ROLE kgce LOGIN PASSWORD 'let me: read'")
        yield server


@pytest.fixture
def server(cluster: Server) -> Server:
    """The cluster with two days of clinker."""
    cluster.run(
        "DROP TABLE IF EXISTS production",
        TABLE,
        "INSERT INTO production VALUES ('clinker', '2025-09-01', 100.5), "
        "('clinker', '2025-09-02', 200)",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON production TO kgce",
    )
    return cluster


def plant_of(folder: Path, url: str, **settings: Any) -> Path:
    """plant.yaml of the works, whose production comes from the database ``mes``."""
    sql = {"type": "sql", "url": url, "query": QUERY, "columns": COLUMNS, **settings}
    return write_works(folder, connections={**SECTIONS["connections"], "mes": sql})


def works(folder: Path, server: Server, **settings: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "secret").write_text("let me: read\n", encoding="utf-8")
    url = server.url.replace("postgres@", "kgce@")
    return plant_of(folder, url, **{"password_file": "secret", **settings})


def fetch(plant: Path, **settings: Any) -> Any:
    return fetch_connection(load_site(plant), "mes", now=NOW, **settings)


def stored(plant: Path) -> pl.DataFrame:
    site = load_site(plant)
    return jobs.open_lake(site).scan(OUTPUTS, site.id).collect().sort("start_utc", "entered_utc")


def quantities(plant: Path) -> list[float]:
    return stored(plant)["qualified_quantity"].to_list()


def test_rows_come_in_and_corrections_follow(tmp_path: Path, server: Server) -> None:
    plant = works(tmp_path, server, look_back_days=400)
    assert fetch(plant).taken == 2
    again = fetch(plant)
    assert (again.taken, again.known, again.corrected) == (0, 2, ())
    server.run(
        "UPDATE production SET tonnes = 210 WHERE day = '2025-09-02'",
        "INSERT INTO production VALUES ('clinker', '2025-10-30', 3)",
    )
    changed = fetch(plant)
    assert (changed.taken, changed.known, len(changed.corrected)) == (2, 1, 1)
    assert "clinker 2025-09-02: qualified_quantity 200 -> 210 [t]" in changed.corrected[0]
    rows = stored(plant)
    assert rows["qualified_quantity"].to_list() == [100.5, 200, 210, 3]
    assert rows["reason"].to_list() == [None, None, "source changed", None]
    assert rows["source"].unique().to_list() == ["sql:mes"]
    assert rows["start_utc"][0] == datetime(2025, 8, 31, 16, tzinfo=UTC)


def test_what_is_read_again(tmp_path: Path, server: Server) -> None:
    """From the days before the last answer on; another query begins at its first day."""
    plant = works(tmp_path, server, look_back_days=40, first_day="2025-09-02")
    assert fetch(plant).taken == 1
    server.run("UPDATE production SET tonnes = 1")
    later = fetch_connection(load_site(plant), "mes", now=NOW - timedelta(days=25))
    assert (later.taken, later.known) == (0, 0)  # 40 days before 1 November is 22 September
    assert fetch(plant).taken == 2  # 40 days before 7 October is 28 August
    works(tmp_path, server, look_back_days=1, first_day="2025-09-01", query=QUERY + " LIMIT 5")
    assert fetch(plant).known == 2


def test_a_value_that_goes_back_is_a_correction_too(tmp_path: Path, server: Server) -> None:
    plant = works(tmp_path, server, look_back_days=400)
    for tonnes in (200, 210, 200):
        server.run(f"UPDATE production SET tonnes = {tonnes} WHERE day = '2025-09-02'")
        fetch(plant)
    assert quantities(plant) == [100.5, 200, 210, 200]
    last = stored(plant).filter(pl.col("entered_utc") == pl.col("entered_utc").max())
    assert last["qualified_quantity"].to_list() == [200]


def test_what_a_person_corrected_stays(tmp_path: Path, server: Server) -> None:
    """Until the database itself says something new."""
    plant = works(tmp_path, server, look_back_days=400)
    fetch(plant)
    cells = {"product_id": "clinker", "qualified_quantity": "195", "date": "2025-09-02"}
    enter(load_site(plant), Kind.production, cells, reason="weighed again", now=NOW)
    assert fetch(plant).taken == 0
    assert quantities(plant) == [100.5, 200, 195]
    server.run("UPDATE production SET tonnes = 196 WHERE day = '2025-09-02'")
    assert fetch(plant).taken == 1
    assert quantities(plant) == [100.5, 200, 195, 196]


def test_wrong_rows_are_refused_whole_or_by_themselves(tmp_path: Path, server: Server) -> None:
    server.run(
        "INSERT INTO production VALUES ('clinker', '2025-09-03', -1), ('slag', '2025-09-04', 1), "
        "('clinker', '2025-12-01', 1), ('clinker', '2025-09-05', 'NaN'), "
        "('clinker', '2025-09-06', NULL)"
    )
    plant = works(tmp_path, server)
    with pytest.raises(InputError, match=r"sql:mes:3: qualified_quantity -1\.000 is neg") as why:
        fetch(plant)
    assert "0 rows taken, 5 of 7 refused" in why.value.data
    assert stored(plant).is_empty()
    assert not (plant.parent / "data" / "sql-mes.json").exists()
    taken = fetch(plant, partial=True)
    assert (taken.taken, taken.refused) == (2, 5)
    reasons = pl.read_csv(taken.refused_file)["reason"].to_list()
    assert sorted(reason.split(";")[0] for reason in reasons) == [
        "qualified_quantity -1.000 is negative",
        "qualified_quantity is 'NaN', not a number",
        "qualified_quantity is empty, not a number",
        "the end of 2025-12-01 is in the future",
        "unknown product 'slag'",
    ]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 'clinker' AS product, current_date AS date, nextval('numbers') AS quantity",
        "SELECT 'clinker' AS product, current_date AS date, wipe() AS quantity",
    ],
)
def test_the_server_refuses_to_write(tmp_path: Path, server: Server, query: str) -> None:
    """A SELECT that writes by a function, of an account that may write."""
    server.run(
        "DROP SEQUENCE IF EXISTS numbers",
        "CREATE SEQUENCE numbers",
        "GRANT ALL ON SEQUENCE numbers TO kgce",
        "CREATE OR REPLACE FUNCTION wipe() RETURNS int LANGUAGE sql AS "
        "'DELETE FROM production; SELECT 1'",
    )
    plant = works(tmp_path, server, query=query)
    with pytest.raises(CollectError, match="read-only transaction"):
        fetch(plant)
    assert server.run("SELECT count(*) FROM production") == [(2,)]


def test_passwords_are_never_told(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    plant = works(tmp_path, server)
    (tmp_path / "secret").write_text("not the password", encoding="utf-8")
    with pytest.raises(CollectError, match='password authentication failed for user "kgce"') as why:
        fetch(plant)
    assert "not the password" not in str(why.value)
    assert why.value.__cause__ is None
    site = load_site(plant)
    collector = SqlCollector(lambda: site, "mes")
    with caplog.at_level(logging.DEBUG):
        asyncio.run(collector.look())
    assert collector.health.state == "down"
    assert "password authentication failed" in collector.health.detail
    assert "not the password" not in caplog.text + collector.health.detail
    plant = works(tmp_path, server, password_file=None, password_env="KGCE_TEST_PASSWORD")
    with pytest.raises(CollectError, match="the environment has no KGCE_TEST_PASSWORD"):
        fetch(plant)
    monkeypatch.setenv("KGCE_TEST_PASSWORD", "let me: read")
    assert fetch(plant).taken == 2


def test_a_url_with_a_password_is_refused_without_it(tmp_path: Path) -> None:
    for url in ("postgresql://kgce:hunter2@10.0.0.9/mes", "mysql://10.0.0.9/mes?password=hunter2"):
        with pytest.raises(ConfigError, match="url: it holds a password") as why:
            load_site(plant_of(tmp_path, url))
        assert "hunter2" not in str(why.value)


def test_a_database_that_stops_and_comes_again(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Trouble is logged when it begins and when it ends, and what came meanwhile is taken."""
    site = load_site(works(tmp_path, server, every_s=3600, look_back_days=400))
    collector = SqlCollector(lambda: site, "mes")
    caplog.set_level(logging.INFO, "kgce.databases")
    assert asyncio.run(collector.look()) == 3600
    assert (collector.health.state, collector.health.good) == ("up", 2)
    server.stop()
    try:
        for _ in range(3):
            assert asyncio.run(collector.look()) <= 30
        assert collector.health.state == "down"
    finally:
        server.start()
    server.run("INSERT INTO production VALUES ('clinker', '2026-10-03', 300)")
    asyncio.run(collector.look())
    assert (collector.health.state, collector.health.good) == ("up", 3)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1, caplog.text
    assert "mes: good again, after down" in caplog.text
    assert collector.stats.requests == {"good": 2, "not_connected": 3}


def test_it_asks_on_its_schedule_until_it_is_cancelled(tmp_path: Path, server: Server) -> None:
    site = load_site(works(tmp_path, server, every_s=1))
    collector = SqlCollector(lambda: site, "mes")

    async def main() -> None:
        running = asyncio.create_task(collector.run())
        while collector.stats.requests["good"] < 3:
            await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
    assert collector.health.state == "stopped"
    assert collector.health.good == 2


def test_a_query_without_an_end_does_not_hold_up_the_daemons(
    tmp_path: Path, server: Server
) -> None:
    """A cancelled collector leaves its query; the server ends one that takes too long."""
    slow = "SELECT 'clinker' AS product, date '2025-09-01' AS date, 1 AS quantity, pg_sleep(600)"
    site = load_site(works(tmp_path, server, query=slow, timeout_s=5))
    collector = SqlCollector(lambda: site, "mes")

    async def main() -> None:
        running = asyncio.create_task(collector.run())
        while not server.run(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND usename = 'kgce'"
        ):
            await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
    assert collector.health.state == "stopped"
    with pytest.raises(CollectError, match="statement timeout"):
        fetch_connection(load_site(works(tmp_path, server, query=slow, timeout_s=0.2)), "mes")


@pytest.fixture
def mes(tmp_path: Path) -> Path:
    """A SQLite file with the same two days."""
    file = tmp_path / "mes.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(TABLE)
        database.executemany(
            "INSERT INTO production(product, day, tonnes) VALUES (?, ?, ?)",
            [("clinker", "2025-09-01", 100.5), ("clinker", "2025-09-02", 200)],
        )
    return file


def test_sqlite_by_the_command(tmp_path: Path, mes: Path) -> None:
    plant = plant_of(tmp_path, "sqlite:///mes.db")
    ended = inside("import", "production", "--connection", "mes", "-p", plant, "--no-refresh")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "sql:mes: 2 rows taken, 0 known already, 0 refused\n"
    assert quantities(plant) == [100.5, 200]
    check = inside("check", "-p", plant)
    assert "mes: production from sqlite mes.db every 3600 s, 3 days back\n" in check.out
    for arguments, says in (
        (("readings", "--connection", "mes"), "connection mes holds production, not readings"),
        (("production", "--connection", "historian"), "'historian' is no sql connection"),
        (("production",), "give files, or --connection"),
    ):
        ended = inside("import", *arguments, "-p", plant)
        assert ended.code == 2
        assert says in ended.err


def test_the_daemon_asks_on_its_own(tmp_path: Path, mes: Path) -> None:
    """A new row comes in by itself; a file that is away is told, and hurts nobody."""
    plant = plant_of(tmp_path, "sqlite:///mes.db", every_s=1, first_day="2025-09-01")
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: quantities(plant) == [100.5, 200], "the two rows")
        with closing(sqlite3.connect(mes)) as database, database:
            day = datetime.now(UTC).date() - timedelta(days=2)
            database.execute(
                "INSERT INTO production(product, day, tonnes) VALUES ('clinker', ?, 7)", (str(day),)
            )
        until(lambda: quantities(plant) == [100.5, 200, 7], "the third row")
        mes.rename(tmp_path / "away.db")
        until(lambda: "connection mes is down" in inside("status", "-p", plant).err, "the trouble")
        assert daemon.stop() == 0
        assert daemon.said.count("unable to open database file") == 1


def test_sqlite_is_opened_read_only(tmp_path: Path, mes: Path) -> None:
    before = mes.read_bytes()
    assert fetch(plant_of(tmp_path, "sqlite:///mes.db")).taken == 2
    assert mes.read_bytes() == before
    mes.unlink()
    with pytest.raises(CollectError, match="unable to open database file"):
        fetch(plant_of(tmp_path, "sqlite:///mes.db"))
    assert not mes.exists()


def test_readings_from_a_database(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mes.db")) as database, database:
        database.execute("CREATE TABLE counts (tag text, at text, kwh real)")
        database.executemany(
            "INSERT INTO counts VALUES (?, ?, ?)",
            [("e-kiln", f"2025-09-01 00:{minute}", 1000.0 + minute) for minute in (15, 30, 45)],
        )
    meters = [{**row, "connection": "mes" if row.get("connection") else ""} for row in METERS]
    sql = {
        "type": "sql",
        "url": "sqlite:///mes.db",
        "holds": "readings",
        "query": "SELECT tag, at, kwh FROM counts WHERE at >= :since",
        "columns": {"meter": "tag", "time": "at", "value": "kwh"},
    }
    plant = write_works(tmp_path, meters=meters, connections={"mes": sql})
    assert (fetch(plant).taken, fetch(plant).known) == (3, 0)
    site = load_site(plant)
    rows = jobs.open_lake(site).scan(READINGS, site.id).collect().sort("time_utc")
    assert rows["value"].to_list() == [1015, 1030, 1045]
    assert rows["time_utc"][0] == datetime(2025, 8, 31, 16, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"query": "SELECT product, day FROM production", "columns": {"product_id": "product"}},
         "the query gives no column 'qualified_quantity'"),
        ({"columns": {**COLUMNS, "batch": "lot"}}, "gives no column 'lot' for 'batch'"),
        ({"query": "SELECT product, day AS date, tonnes AS quantity, note FROM production"},
         "gives a column 'note' that nobody asked for"),
        ({"query": "SELECT product, product, tonnes AS quantity FROM production"},
         "gives column 'product' twice"),
        ({"query": QUERY.replace("tonnes", "tons")}, "no such column: tons"),
        ({"max_rows": 1}, "more than 1 rows"),
    ],
)  # fmt: skip
def test_answers_that_do_not_fit(
    tmp_path: Path, mes: Path, settings: dict[str, Any], why: str
) -> None:
    with pytest.raises((InputError, CollectError), match=why):
        fetch(plant_of(tmp_path, "sqlite:///mes.db", **settings))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"query": "DELETE FROM production"}, "query: it begins with 'delete'"),
        ({"query": "SELECT 1; DROP TABLE production"}, "holds more than one statement"),
        ({"query": "SELECT :day"}, "parameter :day; allowed: :since"),
        ({"password_file": "a", "password_env": "B"}, "allowed: one of the two"),
        ({"url": "mes.db"}, "url: no URL"),
        ({"password_file": "absent"}, "no file"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load_site(plant_of(tmp_path, settings.pop("url", "sqlite:///mes.db"), **settings))


def test_check_names_columns_and_drivers_that_are_none(tmp_path: Path) -> None:
    plant = plant_of(tmp_path, "sqlite:///mes.db", columns={"quantity": "tonnes"})
    ended = inside("check", "-p", plant)
    assert ended.code == 2
    assert "columns names 'quantity', which production do not have" in ended.err
    ended = inside("check", "-p", plant_of(tmp_path, "nosuch://10.0.0.9/mes"))
    assert (ended.code, "connection mes: url: " in ended.err) == (2, True)
