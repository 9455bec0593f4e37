"""The points where kgce changes what is on disk, and a daemon that is killed at one of them.

usage: python -m benchmarks.write_points [--compact-s S] POINT[:N] run -p PLANT

It is `kgce` with the arguments behind, but that the process gets SIGKILL when it passes POINT for
the N-th time. Nothing in kgce knows of it: the function of the point is wrapped here, by the name
under which it is looked up. A name that no longer exists ends the process with an error, and a
point that nothing passes any more shows as never reached in `benchmarks/crash.py`.

Inside libraries the kernel is asked: a folder is watched (`fcntl.F_NOTIFY`, Linux), and the signal
that tells of a change in it is SIGKILL itself, which comes before the library's next instruction.
"""

from __future__ import annotations

import argparse
import fcntl
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

Arguments = tuple[Any, ...]


class Moment(Enum):
    """When, within a call of the point's function, the process ends."""

    BEFORE = "before it"
    AFTER = "after it returned"
    DATA_BEGUN = "a data file of the table has been begun"
    DATA_WRITTEN = "the data files are there, the commit has been begun"
    COMMITTED = "the commit has its name, the library has not returned"
    UNCOMMITTED = "everything was said, COMMIT was not"
    IN_LOG = "the first page of the transaction is in SQLite's log"
    AFTER_COMMIT = "the transaction was committed"


# What is watched in a table's folder; in that of a file where there is no pattern.
_WATCHED: Mapping[Moment, tuple[str, int]] = {
    Moment.DATA_BEGUN: ("plant_id=*/*", fcntl.DN_CREATE),
    Moment.DATA_WRITTEN: ("_delta_log", fcntl.DN_CREATE),
    Moment.COMMITTED: ("_delta_log", fcntl.DN_DELETE),
    Moment.IN_LOG: ("", fcntl.DN_MODIFY),
}
_TRANSACTION = "storage.spool_file:SpoolFile.transaction"
_OF_TRANSACTION = (Moment.UNCOMMITTED, Moment.IN_LOG, Moment.AFTER_COMMIT)


def always(_arguments: Arguments, _result: Any) -> bool:
    return True


def some(_arguments: Arguments, result: Any) -> bool:
    return bool(result)


def with_messages(arguments: Arguments, _result: Any) -> bool:
    return bool(arguments[1])


def of_table(name: str) -> Callable[[Arguments, Any], bool]:
    return lambda arguments, _result: folder_of(arguments).name == name


def first_commit(arguments: Arguments, _result: Any) -> bool:
    return list(arguments[1]) == [0]


def of_file(name: str) -> Callable[[Arguments, Any], bool]:
    return lambda arguments, _result: Path(arguments[0]).name == name


def saying(data: str) -> Callable[[Arguments, Any], bool]:
    """A transaction of the spool, by what it says becomes of the data if it fails."""
    return lambda arguments, _result: arguments[1] == data


@dataclass(frozen=True)
class Point:
    """A write point: the calls of ``where`` (module:name) that fit ``counts``, at ``moment``.

    ``passings`` is the range from which N is drawn; ``once``: it is passed only on empty storage.
    """

    name: str
    where: str
    moment: Moment
    counts: Callable[[Arguments, Any], bool] = always
    passings: tuple[int, int] = (1, 1)
    once: bool = False


def _spool(name: str, moment: Moment, data: str, passings: tuple[int, int] = (1, 1)) -> Point:
    return Point(name, _TRANSACTION, moment, saying(data), passings)


def _readings(name: str, moment: Moment) -> Point:
    where = "storage.commits:write_deltalake"
    return Point(name, where, moment, of_table("readings"), (1, 3))


_STORED, _MOVED = "none of these readings was stored", "the batch is kept and taken again"
_SYNC = "storage.commits:sync_commits"

POINTS: tuple[Point, ...] = (
    # A new plant.
    Point("spool opened", "storage.spool_file:open_read_write", Moment.AFTER),
    Point("table made, not synced", _SYNC, Moment.BEFORE, first_commit, once=True),
    _spool("schedule stored", Moment.AFTER_COMMIT, "the old schedule holds"),
    # A reading comes.
    Point("group written", "storage.spool:store", Moment.AFTER, passings=(1, 40)),
    _spool("group in the log", Moment.IN_LOG, _STORED, (1, 40)),
    _spool("group committed", Moment.AFTER_COMMIT, _STORED, (1, 40)),
    Point(
        "message not acknowledged", "collectors.mqtt.session:Session.acknowledge", Moment.BEFORE,
        with_messages, (1, 40),
    ),
    Point(
        "acknowledgement queued", "collectors.mqtt.session:Session.acknowledge", Moment.AFTER,
        with_messages, (1, 40),
    ),
    # Before the first acknowledgement CONNECT and SUBSCRIBE are sent.
    Point(
        "acknowledgement sent", "collectors.mqtt.session:Session.loop_write", Moment.AFTER,
        passings=(4, 40),
    ),
    _spool("state being stored", Moment.IN_LOG, "the state shown is the one before"),
    # From the spool to the lake.
    Point("batch taken", "storage.spool:Spool.take_batch", Moment.AFTER, some, (1, 3)),
    _readings("batch not in the lake", Moment.BEFORE),
    _readings("lake file begun", Moment.DATA_BEGUN),
    _readings("lake file written, not committed", Moment.DATA_WRITTEN),
    _readings("lake committed, not told", Moment.COMMITTED),
    _readings("lake committed, not synced", Moment.AFTER),
    Point("lake half synced", "storage.durable:_sync", Moment.AFTER, passings=(1, 9)),
    Point("lake synced, not accepted", _SYNC, Moment.AFTER, of_table("readings"), (1, 3)),
    _spool("watermark moved, not committed", Moment.UNCOMMITTED, _MOVED, (1, 3)),
    _spool("watermark in the log", Moment.IN_LOG, _MOVED, (1, 3)),
    _spool("watermark committed, groups deleted", Moment.AFTER_COMMIT, _MOVED, (1, 3)),
    _spool("fingerprints deleted", Moment.AFTER_COMMIT, "nothing was forgotten", (1, 3)),
    # A file comes.
    Point("file not imported", "app.folders:import_file", Moment.BEFORE),
    Point("file imported, not moved", "app.folders:import_file", Moment.AFTER),
    Point("file moved", "app.folders:_moved", Moment.AFTER),
)  # fmt: skip

COMPACTION: tuple[Point, ...] = (
    Point("compaction begun", "storage.compaction:_merge", Moment.BEFORE),
    Point("compaction written, not committed", "storage.compaction:_merge", Moment.DATA_WRITTEN),
    Point("compaction committed, not synced", "storage.compaction:sync_commits", Moment.BEFORE),
    Point("compaction synced", "storage.compaction:sync_commits", Moment.AFTER),
    Point(
        "checkpoint begun", "storage.compaction:DeltaTable.create_checkpoint", Moment.DATA_WRITTEN,
        passings=(1, 5),
    ),
    Point(
        "checkpoint written", "storage.compaction:DeltaTable.create_checkpoint", Moment.AFTER,
        passings=(1, 5),
    ),
    Point(
        "log cleaned", "storage.compaction:DeltaTable.cleanup_metadata", Moment.AFTER,
        passings=(1, 5),
    ),
)  # fmt: skip
"""These need a compaction that comes soon: see ``--compact-s``."""


def _refresh(name: str, moment: Moment, table: str) -> Point:
    return Point(name, "storage.lake:commit_actions", moment, of_table(table))


def _noted(name: str, moment: Moment) -> Point:
    return Point(name, "pathlib:Path.replace", moment, of_file("progress.part"))


REFRESH: tuple[Point, ...] = (
    _refresh("intervals written, not committed", Moment.BEFORE, "intervals"),
    _refresh("intervals commit begun", Moment.DATA_WRITTEN, "intervals"),
    _refresh("intervals committed", Moment.AFTER, "intervals"),
    _refresh("gaps committed", Moment.AFTER, "gaps"),
    Point("readings measured", "app.jobs:remeasure", Moment.AFTER),
    _refresh("meter periods committed", Moment.AFTER, "meter_periods"),
    Point("meters summed", "app.jobs:sum_meters", Moment.AFTER),
    Point("figures computed", "app.jobs:compute", Moment.AFTER),
    _refresh("consumption not committed", Moment.BEFORE, "consumption"),
    _refresh("consumption committed", Moment.AFTER, "consumption"),
    _refresh("indicators not committed", Moment.BEFORE, "indicators"),
    Point("figures put", "app.jobs:put", Moment.AFTER),
    _noted("progress written, not in place", Moment.BEFORE),
    _noted("progress in place", Moment.AFTER),
)

ALL: Mapping[str, Point] = {point.name: point for point in (*POINTS, *COMPACTION, *REFRESH)}


def folder_of(arguments: Arguments) -> Path:
    """The folder that a call writes to: that of its Delta table, its file, or its spool."""
    for argument in arguments:
        if isinstance(argument, Path):
            return argument if argument.is_dir() else argument.parent
        if hasattr(argument, "table_uri"):
            return Path(str(argument.table_uri).removeprefix("file://"))
        if hasattr(argument, "path"):
            return Path(argument.path).parent
    raise TypeError(f"no folder among {arguments!r}")


def end_at(point: Point, passing: int) -> None:
    """Let this process end by SIGKILL when it passes ``point`` for the ``passing``-th time.

    A call in which nothing changes, like a checkpoint that is there already, is survived; then
    the next one ends it. Raises AttributeError or ImportError where the point's function is not
    there.
    """
    passed = 0
    lock = threading.Lock()

    def is_it(arguments: Arguments, result: Any = None) -> bool:
        nonlocal passed
        with lock:
            passed += point.counts(arguments, result)
            return passed >= passing and point.counts(arguments, result)

    wrap = _transaction if point.moment in _OF_TRANSACTION else _call
    owner, name = _found(point.where)
    setattr(owner, name, wrap(getattr(owner, name), point.moment, is_it))


def _found(where: str) -> tuple[Any, str]:
    """What holds the function, and its name there."""
    module, _, path = where.partition(":")
    owner: Any = import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    getattr(owner, name)
    return owner, name


def _call(real: Callable[..., Any], moment: Moment, is_it: Callable[..., bool]) -> Any:
    @functools.wraps(real)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if moment is Moment.AFTER:
            result = real(*arguments, **named)
            if is_it(arguments, result):
                die()
            return result
        if not is_it(arguments):
            return real(*arguments, **named)
        if moment is Moment.BEFORE:
            die()
        with dying_on_change(folder_of(arguments), moment):
            return real(*arguments, **named)

    return wrapped


def _transaction(real: Callable[..., Any], moment: Moment, is_it: Callable[..., bool]) -> Any:
    @contextmanager
    @functools.wraps(real)
    def wrapped(*arguments: Any) -> Iterator[Any]:
        ends = is_it(arguments)
        with real(*arguments) as cursor:
            yield cursor
            if ends and moment is Moment.UNCOMMITTED:
                die()
            if ends and moment is Moment.IN_LOG:
                _watch(arguments[0].path.parent, moment)
        if ends and moment is Moment.AFTER_COMMIT:
            die()

    return wrapped


@contextmanager
def dying_on_change(folder: Path, moment: Moment) -> Iterator[None]:
    """Until the block ends, the first change that fits ``moment`` ends this process."""
    handles = _watch(folder, moment)
    try:
        yield
    finally:
        for handle in handles:
            os.close(handle)


def _watch(folder: Path, moment: Moment) -> list[int]:
    pattern, changes = _WATCHED[moment]
    handles = []
    for watched in folder.glob(pattern) if pattern else [folder]:
        handle = os.open(watched, os.O_RDONLY)
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(handle, fcntl.F_NOTIFY, changes)
        handles.append(handle)
    return handles


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def compact_every(seconds: float) -> None:
    """Let the daemon compact so often; plant.yaml allows no less than an hour."""
    from app import daemon
    from app.scheduled import intervals_s

    def often(site: Any) -> dict[str, float]:
        return {**intervals_s(site), "compact": seconds}

    patch.object(daemon, "intervals_s", often).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("point", help="name[:N]; a dash for none")
    parser.add_argument("--compact-s", type=float)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="arguments of kgce")
    given = parser.parse_args()
    if given.point != "-":
        name, _, passing = given.point.partition(":")
        end_at(ALL[name], int(passing or 1))
    if given.compact_s:
        compact_every(given.compact_s)
    from app.cli import main as kgce

    sys.argv = ["kgce", *given.command]
    kgce()


if __name__ == "__main__":
    main()
