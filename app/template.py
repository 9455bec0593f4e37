"""The plant that `kgce init` makes."""

from __future__ import annotations

from pathlib import Path

from config.errors import InputError

TEMPLATES = Path(__file__).parent / "templates"


def write_template(folder: Path) -> list[Path]:
    """Write plant.yaml and meters.csv; returns the files. Raises InputError where one exists."""
    targets = [folder / file.name for file in sorted(TEMPLATES.iterdir())]
    if there := [str(target) for target in targets if target.exists()]:
        raise InputError(
            f"{' and '.join(there)} exist already",
            data="nothing was written",
            todo="name another folder",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target in targets:
            target.write_bytes((TEMPLATES / target.name).read_bytes())
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror or error}") from error
    return targets
