"""Configuration that changes under a running daemon: seen, judged whole, and what it changes.

Nothing here touches a collector; `app.daemon` does, and only once everything has been found right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from collectors.base import Collector
from config.connections import POLLED, Files, file_settings
from config.errors import ConfigError
from config.site import Site

LOOK_S = 2.0
"""How often the files are looked at. A change is taken once it has stood still for one look."""

NOT_COLLECTED_BY = (
    "name", "node", "role", "rated_per_h", "accuracy_class", "calibrated_on", "calibration_due",
)  # fmt: skip
"""Columns of the ledger that the figures need and no collector reads."""

Signature = dict[Path, tuple[int, int, int] | None]


class ConfigFiles:
    """The files of a plant's configuration, and whether they have changed.

    plant.yaml, the ledger, certificates and password files that it names, and the register maps
    beside it. The package's own register maps are part of the program: they change with an
    upgrade, after which the daemon is started anew.
    """

    def __init__(self, plant: Path) -> None:
        self._plant = plant
        self._named = tuple(_named_by(plant))
        self._taken = self._seen = self._signature()

    def have_changed(self) -> bool:
        """Whether the files differ from those last taken, and have stood still since last asked.

        A file that is still being written is thus left alone until its writer rests.
        """
        before, self._seen = self._seen, self._signature()
        return self._seen != self._taken and self._seen == before

    def take(self) -> None:
        """Remember that the files were read as they stood when last asked, rightly or not."""
        seen = self._seen
        # A new name is followed also where what it names is not right yet.
        self._named = tuple(_named_by(self._plant))
        self._taken = {f: seen.get(f, found) for f, found in self._signature().items()}

    def _signature(self) -> Signature:
        maps = sorted((self._plant.parent / "devices").glob("*.yaml"))
        return {file: _time_and_size(file) for file in (self._plant, *self._named, *maps)}


def _time_and_size(file: Path) -> tuple[int, int, int] | None:
    """None for a file that is not there. The inode tells a file that was put in its place."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _named_by(plant: Path) -> Iterator[Path]:
    """The files that plant.yaml names, as far as it can be read: what is wrong in it is no error
    here."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        tree = YAML(typ="safe").load(plant.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, YAMLError):
        return
    if not isinstance(tree, dict):
        return
    if isinstance(tree.get("meters"), str):
        yield plant.parent / tree["meters"]
    yield from (plant.parent / name for name in _file_names(tree.get("connections")))


def _file_names(tree: object) -> Iterator[str]:
    """The values of keys such as ``password_file``, at any depth."""
    for key, value in tree.items() if isinstance(tree, dict) else ():
        if isinstance(value, str) and str(key).endswith("_file"):
            yield value
        else:
            yield from _file_names(value)


@dataclass(frozen=True)
class Swap:
    """Connections by what a change of the configuration does to their collectors."""

    started: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.started or self.restarted or self.stopped)

    def __str__(self) -> str:
        parts = [
            f"{verb} {', '.join(names)}"
            for verb, names in (
                ("started", self.started),
                ("restarted", self.restarted),
                ("stopped", self.stopped),
            )
            if names
        ]
        return "; ".join([*parts, f"{len(self.kept)} connections go on untouched"])


def fingerprints(site: Site) -> dict[str, str]:
    """What each collector is made from, by connection: settings, meters, maps, files."""
    meters: dict[str, list[object]] = {
        name: []
        for name, connection in site.plant.connections.items()
        if not isinstance(connection, Files)
    }
    for meter in site.plant.meters.values():
        if meter.connection in meters:
            device = site.devices[meter.device] if meter.device is not None else None
            meters[meter.connection] += [
                meter.model_dump(mode="json", exclude=set(NOT_COLLECTED_BY)),
                site.plant.interval_s(meter),
                device and device.model_dump(mode="json"),
            ]
    zone = site.plant.plant.timezone  # of times that messages state without one
    return {name: _digest([zone, _connection(site, name), meters[name]]) for name in meters}


def _connection(site: Site, name: str) -> list[object]:
    connection = site.plant.connections[name]
    files = file_settings(connection).values()
    contents = [_content(site.folder / path) for path in files]
    return [connection.model_dump(mode="json"), contents]


def _content(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        return str(error)


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def swap_between(old: dict[str, str], new: dict[str, str]) -> Swap:
    """What is to be done to get from one to the other; both by `fingerprints`."""
    return Swap(
        started=tuple(name for name in new if name not in old),
        restarted=tuple(name for name in new if name in old and new[name] != old[name]),
        stopped=tuple(name for name in old if name not in new),
        kept=tuple(name for name in new if new[name] == old.get(name)),
    )


def polled_intervals_s(site: Site, interval_s: float | None = None) -> dict[str, float]:
    """Seconds between polls of each polled meter; ``interval_s`` goes before the configured."""
    plant = site.plant
    return {
        meter_id: interval_s or plant.interval_s(meter)
        for meter_id, meter in plant.meters.items()
        if meter.connection is not None and isinstance(plant.connections[meter.connection], POLLED)
    }


@dataclass(frozen=True)
class Prepared:
    """A configuration that was found right, and the collectors that it needs, made but not run.

    ``made_from``: its `fingerprints`.
    """

    site: Site
    made_from: dict[str, str]
    swap: Swap
    collectors: dict[str, Collector]


def prepare(
    old: Site,
    made_from: dict[str, str],
    load_site: Callable[[Path], Site],
    make: Callable[[Site, str], Collector],
) -> Prepared:
    """The configuration as its files are now. Raises ConfigError."""
    site = load_site(old.file)
    _refuse_what_needs_a_restart(old, site)
    new = fingerprints(site)
    swap = swap_between(made_from, new)
    made = {name: make(site, name) for name in (*swap.started, *swap.restarted)}
    return Prepared(site, new, swap, made)


def _refuse_what_needs_a_restart(old: Site, new: Site) -> None:
    for key, before, after in (
        ("plant.id", old.id, new.id),
        ("storage.path", str(old.storage_path), str(new.storage_path)),
    ):
        if before != after:
            raise ConfigError(
                f"{new.file}: {key} changed from {before} to {after} while the daemon runs",
                allowed="other settings; this one says where the data goes",
                data="the daemon goes on with the configuration that it had",
                todo="restart `kgce run`, or set it back",
            )


@dataclass
class Reloads:
    """What became of changes of the configuration since the start; shown by `kgce status`."""

    taken: int = 0
    refused: int = 0
    trouble: str | None = None
