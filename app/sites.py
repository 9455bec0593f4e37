"""The configuration as commands use it: loaded, and checked against what only the siblings know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.connections import Dlt645, Folder, ModbusRtu, file_settings
from config.errors import ConfigError
from config.load import load
from config.site import Site
from config.yaml import KeyPath, combine, read_yaml


@dataclass(frozen=True)
class _Problem:
    path: KeyPath
    given: str
    allowed: str = ""
    todo: str = ""


def load_site(file: Path) -> Site:
    """plant.yaml and all it names. Raises ConfigError that holds every problem."""
    site = load(file)
    if problems := [*_norms(site), *_files(site), *_folders(site), *_buses(site)]:
        source = read_yaml(file)  # once more, for the lines
        raise combine(
            [
                ConfigError(f"{source.place(p.path)}: {p.given}", allowed=p.allowed, todo=p.todo)
                for p in problems
            ]
        )
    return site


def _norms(site: Site) -> Iterator[_Problem]:
    from indicators.norms import why_refused

    for product_id, product in site.plant.products.items():
        for index, norm in enumerate(product.norms):
            if reason := why_refused(site.library.norms[norm], product.unit):
                yield _Problem(
                    ("products", product_id, "norms", index),
                    reason,
                    todo="remove it here; its level has to be judged by hand",
                )


def _files(site: Site) -> Iterator[_Problem]:
    for connection_id, connection in site.plant.connections.items():
        for key, path in file_settings(connection).items():
            if not (site.folder / path).is_file():
                yield _Problem(
                    ("connections", connection_id, *key),
                    f"no file {site.folder / path}",
                    allowed="a file; a relative path starts at plant.yaml",
                )


def _folders(site: Site) -> Iterator[_Problem]:
    """Whether the folder is there is for `kgce check`: a share that is away is no wrong setting."""
    watched: dict[Path, str] = {}
    for connection_id, connection in site.plant.connections.items():
        if not isinstance(connection, Folder):
            continue
        if connection.mapping not in (None, *site.plant.imports) or not site.plant.imports:
            yield _Problem(
                ("connections", connection_id, "mapping"),
                f"unknown mapping {connection.mapping!r}" if connection.mapping else "no mapping",
                allowed=", ".join(site.plant.imports) or "none is configured",
                todo="describe the files' layout under `imports:`",
            )
        other = watched.setdefault((site.folder / connection.path).resolve(), connection_id)
        if other != connection_id:
            yield _Problem(
                ("connections", connection_id, "path"),
                f"{connection.path} is watched by {other!r} already",
                todo="give each connection a folder of its own",
            )


def _buses(site: Site) -> Iterator[_Problem]:
    from collectors.dlt645 import load as dlt645
    from collectors.lines.bus import MOST_LOAD_RATIO
    from collectors.modbus import plan as modbus

    for connection_id, connection in site.plant.connections.items():
        reason = None
        if isinstance(connection, ModbusRtu):
            reason = modbus.why_unmet(site, connection_id)
        elif isinstance(connection, Dlt645):
            reason = dlt645.why_unmet(site, connection_id)
        if reason:
            yield _Problem(
                ("connections", connection_id),
                reason,
                allowed=f"at most {MOST_LOAD_RATIO:.0%}, for time-outs take the rest",
                todo="raise interval_s, raise the baud rate, or put meters on another bus",
            )
