"""Write the parts of docs/ that follow from the code: settings, tables, JSON schemas.

python docs/generate.py           write them
python docs/generate.py --check   exit 1 and name the files that are not as the code says
"""

from __future__ import annotations

import argparse
import json
import sys
import types
import typing
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))  # the checkout's packages, installed or not

from config.base import IDENTIFIER  # noqa: E402
from config.models import Meter, Plant  # noqa: E402
from config.park import Park  # noqa: E402
from config.register_map import Device  # noqa: E402
from config.rubric_document import document_schema  # noqa: E402
from config.sheets import SHEETS  # noqa: E402
from config.standards import read_library  # noqa: E402
from config.tables import TABLES, Column, Table  # noqa: E402
from config.units import AMOUNT_UNITS, RATE_UNITS  # noqa: E402

SCHEMAS = (
    "consumption", "indicators", "findings", "intervals", "losses", "meter_periods", "balances",
)  # fmt: skip
GENERATED = "<!-- Written by docs/generate.py from the code. Change the code, then run it. -->"

CONFIGURATION = f"""\
{GENERATED}

# Configuration

A plant is one folder with `plant.yaml`, the meter ledger `meters.csv`, and, where a meter needs it,
register maps under `devices/`. `kgce check` reads all of it, and reports every problem at once,
each with file, line and key.

- An unknown key is an error, with the nearest known key as a suggestion. So is a key that stands
  twice.
- Files are UTF-8, with or without byte order mark. A ledger that a spreadsheet saved as GBK is
  refused: save it as "CSV UTF-8".
- *id* is a lower-case name: letters, digits, `_` and `-`, at most 63 characters.
- *text* that looks like a number goes into quotes: `industry: "0610"`.
- In the column *default*, **required** means that there is none.

## plant.yaml
"""

LEDGER = """\
## The meter ledger

`meters: meters.csv` names a CSV file beside `plant.yaml`: one row a meter, the columns below in any
order. An empty cell takes the default, and a column that no meter needs may be left out. A small
plant may write its meters into `plant.yaml` instead, under `meters`, by id, with the same keys.
"""

VIRTUAL = """\
## Virtual meters

A virtual meter is computed from others and counts like them: in its node, by its role.

```yaml
virtual:
  line2:                  # what the main meter shows beyond line 1 and the lighting, which lose 2 %
    name: Line 2
    node: mill
    energy: electricity
    expression: main - (line1 + lighting) * 1.02
  boiler-heat:            # m3 of gas at 35.9 MJ/m3
    name: Heat of the boiler
    node: boiler
    energy: heat
    role: check
    expression: gas * 35.9
    unit: MJ
  kiln-fans:              # never below zero
    name: Fans of the kiln
    node: kiln
    energy: electricity
    role: check
    expression: max(line1 - [2-mill], 0)
```

- Meters stand by their id. A minus needs blanks: `a-b` is the meter "a-b", `a - b` a difference.
  Brackets hold any id, such as one that begins with a digit: `[2-mill]`. Text that begins with a
  bracket goes into quotes.
- `+ - * /`, parentheses, `min()`, `max()`, `abs()` and `clip(x, low, high)`; nothing else. Virtual
  meters may be made of others, but not of themselves.
- Each meter enters as a number in the unit that its energy or product is counted in. What is added
  or compared has one unit; only 0 fits any. A factor to another dimension needs `unit:`, the unit
  that it leads to. Other units of one dimension are converted, without a factor.
- The result has to add up over time, so as many amounts are multiplied as divided by, and one more:
  `main * line1 / (line1 + line2)`, but not `main / line1`.
- A weighted sum of meters, such as `line2` above, is computed **by period** (day, month ...): a gap
  inside a month leaves the month exact. Every other expression is computed **by interval** of 15
  minutes and added up: a gap of one meter bounds each interval of it.
- A missing part is never zero. The coverage is the weakest part's, and low and high are what the
  parts' bounds allow. By period, an unknown part makes the sum unknown; by interval, an interval
  that one part lacks has no row. Divided by 0 is unknown, without bounds; where a share is meant,
  `clip(line1 / (line1 + line2), 0, 1)` keeps it between nothing and all.
"""

DEVICES = """\
## Register maps

`devices/<maker>-<model>.yaml` beside `plant.yaml`, or one of the package's own (`config/devices/`).
A meter names its map in the column `device`, and one of the map's fields in the column `quantity`.
Fields may not overlap, and a field must fit into one request.
"""

PARK = """\
## park.yaml

What `kgce park` reads: the plants of a park, and what they pass to one another.
"""

UNITS = """\
## Units

Units convert inside one dimension. Where a density or a calorific value links two of them, it goes
into the meter's `multiplier`, and the unit is the one after it.
"""

ENERGIES = """\
## Energies

The codes of `energy`. Amounts of an energy are kept in its unit. Coefficients to standard coal are
dated rows of `config/standards/factors.csv`; where *own factor* says yes, none of them is a single
number that holds on the calorific basis, and the plant states its own under `factors`.
"""

TABLES_HEAD = f"""\
{GENERATED}

# Tables

Every table of the lake, as Parquet in a Delta table of the same name, partitioned by `plant_id` and
by the UTC month of its time column. The JSON that commands and the API print has the same columns;
its schemas are in [schemas/](schemas/).

- Times are UTC, with microseconds.
- Empty is unknown, and never zero. Only columns marked *may be empty* have empty cells.
- A `_ratio` is 0 to 1, a `_pct` 0 to 100.
- The unit *unit* is the one that the row's column `unit` states.
"""

SHEETS_HEAD = """\
# Sheets

What commands compute from the published figures when they are asked, with the same columns in every
format. A sheet is not stored: the same figures, standards data and configuration give it again.
"""


def cell(text: str) -> str:
    """Text that stands in one cell of a Markdown table; `<` is HTML but inside backticks."""
    parts = text.replace("|", "\\|").replace("\n", " ").split("`")
    return "`".join(p.replace("<", "&lt;") if i % 2 == 0 else p for i, p in enumerate(parts))


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(map(cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def unwrapped(annotation: Any) -> Any:
    """The type without Annotated and without ``| None``."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        if len(options) == 1:
            return unwrapped(options[0])
    return annotation


def is_id(annotation: Any, metadata: list[Any]) -> bool:
    """Whether the type is ``Identifier``; pydantic keeps a bare one's pattern in the metadata."""
    return unwrapped(annotation) is str and IDENTIFIER in f"{annotation!r} {metadata!r}"


def type_name(annotation: Any, metadata: list[Any]) -> str:
    if is_id(annotation, metadata):
        return "id"
    bare = unwrapped(annotation)
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if origin is dict:
        return f"{type_name(arguments[1], [])} by {'id' if is_id(arguments[0], []) else 'name'}"
    if origin is tuple:
        return f"list of {type_name(arguments[0], [])}"
    if origin is Literal:
        return "integer" if all(isinstance(choice, int) for choice in arguments) else "text"
    if models_of(bare):
        return "section"
    if origin in (typing.Union, types.UnionType):
        parts = [type_name(part, []) for part in arguments if part is not type(None)]
        return "number" if {*parts} == {"integer", "number"} else " or ".join(dict.fromkeys(parts))
    names = {
        str: "text", float: "number", int: "integer", bool: "true or false",
        Path: "path", date: "YYYY-MM-DD", datetime: "YYYY-MM-DD hh:mm",
    }  # fmt: skip
    return names[bare]


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The models that the type is made of, in the order in which they are written."""
    bare = unwrapped(annotation)
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return [bare]
    return [model for option in typing.get_args(bare) for model in models_of(option)]


def metadata_of(annotation: Any) -> Iterator[Any]:
    """The constraints inside the type, as in ``Annotated[int, Field(ge=1)] | None``."""
    yield from getattr(annotation, "__metadata__", ())
    for part in typing.get_args(annotation):
        yield from metadata_of(part)


def constraints(field: FieldInfo) -> Iterator[Any]:
    for item in (*field.metadata, *metadata_of(field.annotation)):
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def allowed(field: FieldInfo) -> str:
    bare = unwrapped(field.annotation)
    choices = [
        choice
        for option in (bare, *typing.get_args(bare))
        if typing.get_origin(option) is Literal
        for choice in typing.get_args(option)
    ]
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = []
    for item in constraints(field):
        for attribute, sign in signs.items():
            if (limit := getattr(item, attribute, None)) is not None:
                limits.append(f"{sign} {limit:g}")
        for attribute, words in (("min_length", "at least"), ("max_length", "at most")):
            if (limit := getattr(item, attribute, None)) is not None:
                limits.append(f"{words} {limit}")
        if (pattern := getattr(item, "pattern", None)) not in (None, IDENTIFIER):
            limits.append(f"`{pattern}`")
    return ", ".join(limits)


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if isinstance(value, dict | tuple):
        return ", ".join(f"`{item or '(empty)'}`" for item in value)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def keys(model: type[BaseModel]) -> str:
    rows = (
        (
            f"`{field.alias or name}`",
            type_name(field.annotation, field.metadata),
            allowed(field),
            default(field),
            field.description or "",
        )
        for name, field in model.model_fields.items()
    )
    return table(("key", "type", "allowed", "default", "meaning"), rows)


def sections(model: type[BaseModel], path: str, depth: int) -> Iterator[str]:
    """The keys of the model, then of each model inside it, but for the ledger."""
    yield keys(model)
    for name, field in model.model_fields.items():
        inside = [found for found in models_of(field.annotation) if found is not Meter]
        origin = typing.get_origin(unwrapped(field.annotation))
        step = {dict: f"{name}.<id>", tuple: f"{name}[]"}.get(origin, name)
        for found in inside:
            place = f"{path}.{step}" if path else step
            kind = f" of type {kind_of(found)}" if len(inside) > 1 else ""
            yield f"{'#' * depth} `{place}`{kind}\n\n{found.__doc__}\n"
            yield from sections(found, place, depth + 1)


def kind_of(model: type[BaseModel]) -> str:
    return f"`{typing.get_args(model.model_fields['type'].annotation)[0]}`"


def configuration() -> str:
    parts = [CONFIGURATION, *sections(Plant, "", 3)]
    parts += [LEDGER, keys(Meter), VIRTUAL]
    parts += [PARK, *sections(Park, "", 3)]
    parts += [DEVICES, *sections(Device, "", 3)]
    parts += [UNITS, units(), ENERGIES, energies()]
    return "\n".join(parts)


def units() -> str:
    amounts: dict[str, list[str]] = {}
    for unit, (dimension, _) in AMOUNT_UNITS.items():
        amounts.setdefault(dimension, []).append(unit)
    rates: dict[str, list[str]] = {}
    for unit, amount in RATE_UNITS.items():
        rates.setdefault(AMOUNT_UNITS[amount][0], []).append(unit)
    rows = (
        (
            dimension,
            *(", ".join(f"`{u}`" for u in of.get(dimension, ())) for of in (amounts, rates)),
        )
        for dimension in amounts
    )
    return table(("dimension", "amounts", "rates (of a gauge)"), rows)


def energies() -> str:
    library = read_library()

    def row(code: str) -> tuple[str, ...]:
        factor = library.factor(code, "calorific", date.max)
        own = factor is None or factor.kgce_per_unit is None
        names = (library.energy_name(code, lang) for lang in ("en", "zh"))
        return (f"`{code}`", f"`{library.energies[code]}`", *names, "yes" if own else "")

    return table(("code", "unit", "energy", "能源品种", "own factor"), map(row, library.energies))


def tables() -> str:
    stored = (table_section(one) for one in TABLES.values())
    return "\n".join([TABLES_HEAD, *stored, SHEETS_HEAD, *map(table_section, SHEETS.values())])


def table_section(one: Table) -> str:
    key = ", ".join(f"`{name}`" for name in one.key)
    head = ("column", "type", "unit", "may be empty", "meaning", "含义")
    intro = f"Key: {key}." + (f" Time column: `{one.time_column}`." if one.time_column else "")
    if one.name in (*SCHEMAS, *SHEETS):
        intro += f" Schema: [{one.name}.schema.json](schemas/{one.name}.schema.json)."
    return f"## {one.name}\n\n{intro}\n\n{table(head, map(column_row, one.columns))}"


def column_row(column: Column) -> tuple[str, ...]:
    empty = "yes" if column.nullable else ""
    return (f"`{column.name}`", column.type, column.unit, empty, column.en, column.zh)


def documents() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    schemas = {
        DOCS / "schemas" / f"{name}.schema.json": json.dumps(
            one.json_schema(), indent=2, ensure_ascii=False
        )
        + "\n"
        for name, one in {**{name: TABLES[name] for name in SCHEMAS}, **SHEETS}.items()
    }
    document = json.dumps(document_schema(), indent=2, ensure_ascii=False) + "\n"
    return {
        DOCS / "schemas" / "rubric-document.schema.json": document,
        DOCS / "configuration.md": configuration(),
        DOCS / "tables.md": tables(),
        **schemas,
    }


def stale(wanted: dict[Path, str]) -> list[Path]:
    """Generated files that are missing or not as wanted, and schemas of no table."""
    differing = [
        file
        for file, text in wanted.items()
        if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]
    return differing + [f for f in (DOCS / "schemas").glob("*.schema.json") if f not in wanted]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    check = parser.parse_args().check
    wanted = documents()
    old = stale(wanted)
    if not check:
        for file, text in wanted.items():
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        old = stale(wanted)
    for file in old:
        sys.stderr.write(f"{file}: not as the code says; run python docs/generate.py\n")
    sys.stdout.write(f"{len(wanted) - len(old)} of {len(wanted)} generated files are up to date\n")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
