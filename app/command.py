"""What all commands share: the application, its options, and how messages are said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.language import Lang, default_lang
from app.options import Format, Language

if TYPE_CHECKING:
    from app.published import Published
    from config.site import Site

app = typer.Typer(
    name="kgce",
    help="From factory meters to unit-product energy: kgce per tonne, with coverage and bounds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich's help screen takes longer to load than the rest of `--help`
    context_settings={"help_option_names": ["-h", "--help"]},
)

PlantOption = Annotated[
    Path, typer.Option("--plant", "-p", envvar="KGCE_PLANT", help="The plant's plant.yaml.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How data is written.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write to instead of the screen.")
]
LangOption = Annotated[
    Language | None, typer.Option("--lang", help="Language of the screen; default the locale's.")
]
DEFAULT_PLANT = Path("plant.yaml")


def say(text: str) -> None:
    """A message, to standard error: data alone goes to standard output."""
    typer.echo(text, err=True)


def lang_of(language: Language | None) -> Lang:
    """The language asked for, or else the locale's."""
    return language.value if language is not None else default_lang()


def site_of(plant: Path) -> Site:
    """The plant's configuration, checked. Raises ConfigError."""
    from app.sites import load_site

    return load_site(plant)


def published_of(plant: Path) -> Published:
    """What is published of the plant, for sheets. Raises ConfigError."""
    from app.published import Published

    return Published.of_site(site_of(plant))
