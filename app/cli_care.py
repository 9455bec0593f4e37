"""Commands that care for the data: backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.command import DEFAULT_PLANT, PlantOption, app, say, site_of

if TYPE_CHECKING:
    from app.restore import Restored


@app.command()
def backup(
    target: Annotated[
        Path, typer.Argument(help="A new .tar file, or a folder to put one named by time into.")
    ],
    plant: PlantOption = DEFAULT_PLANT,
) -> None:
    """Back up the lake, the spool and the configuration, while the daemon goes on."""
    from app.backup import backup as back_up

    done = back_up(site_of(plant), target)
    rows = ", ".join(f"{name} {count}" for name, count in done.rows.items()) or "none"
    say(f"{done.file}: {done.files} files, {done.size / 1e6:.1f} MB")
    say(f"rows: {rows}; {done.waiting} readings in the spool")
    say(f"next: `kgce restore {done.file} --verify` proves that it can be used")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A file that `kgce backup` made.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Empty or new folder to restore into.")
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Restore into a temporary folder, and check everything."),
    ] = False,
) -> None:
    """Put a backup into a new folder, or prove that it can be used. Exit code 1: it is damaged."""
    from app import restore as restoring
    from storage.archive import BackupDamaged

    if (folder is None) != verify:
        raise typer.BadParameter("give either a folder to restore into, or --verify")
    try:
        if folder is None:
            for line in restoring.verify(source):
                typer.echo(line)
            say(f"{source} is whole and can be used")
            return
        restored = restoring.restore(source, folder)
    except BackupDamaged as damaged:
        for line in damaged.damage:
            say(f"! {line}")
        say(f"{source} is damaged; {damaged.data}. {damaged.todo}")
        raise typer.Exit(1) from None
    _say_restored(restored)


def _say_restored(restored: Restored) -> None:
    say(f"restored into {restored.folder}; the data are in {restored.storage}")
    for path, original in restored.moved.items():
        say(f"! plant.yaml names {original}: it is in {path}, put it back")
    if restored.wants_path:
        say(
            f"! storage.path in plant.yaml is {restored.manifest['storage']}, outside the folder: "
            f"set it to {restored.storage}, or move the data there"
        )
    plant = restored.folder / restored.manifest["plant_file"]
    say(f"next: `kgce check -p {plant}`, then `kgce run`")
