"""`kgce platform`: the functions of an energy-carbon platform, and the commands that show each."""

from __future__ import annotations

from functools import cache

import polars as pl
import typer

from app.options import What
from config.sheets.rubric import PLATFORM
from config.site import Site
from config.standards_files import read_dataset
from config.standards_rubric import PlatformFunctionRow


def functions(site: Site | None = None) -> pl.DataFrame:
    """One row for each function: whether all commands that show it are there, and which are not."""
    known = read_dataset(PlatformFunctionRow) if site is None else site.rows(PlatformFunctionRow)
    rows = []
    for one in known.values():
        commands = [name for name in one.commands.split("; ") if name]
        absent = [name for name in commands if not is_command(name)]
        lacks = f"not there: {', '.join(f'kgce {name}' for name in absent)}" if absent else ""
        rows.append(
            (
                one.id,
                one.name_zh,
                one.name_en,
                bool(commands) and not absent,
                "; ".join(f"kgce {name}" for name in commands if name not in absent),
                "; ".join(filter(None, (lacks, one.note))),
                one.confidence,
            )
        )
    return pl.DataFrame(rows, schema=PLATFORM.polars_schema(), orient="row")


def is_command(words: str) -> bool:
    """Whether the command line has it: a command, a command of a group, or a table to show; options
    behind it are not looked at.

    >>> is_command("show balances"), is_command("standards list"), is_command("show weather")
    (True, True, False)
    """
    name, _, rest = words.partition(" ")
    commands = _commands()
    if name not in commands or not rest or rest.startswith("--"):
        return name in commands
    return rest in (list(What) if name == "show" else commands[name])


@cache
def _commands() -> dict[str, frozenset[str]]:
    """Every command, with the commands of those that are groups."""
    import app.cli  # registers them
    from app.command import app as whole

    assert app.cli
    groups = {
        str(group.name): _names(group.typer_instance)
        for group in whole.registered_groups
        if group.typer_instance is not None
    }
    return {**dict.fromkeys(_names(whole), frozenset()), **groups}


def _names(of: typer.Typer) -> frozenset[str]:
    return frozenset(
        one.name or getattr(one.callback, "__name__", "").replace("_", "-")
        for one in of.registered_commands
    )
