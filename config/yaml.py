"""YAML with line numbers, and validation errors that name file, line and key path."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from config.errors import ConfigError

KeyPath = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass
class Source:
    """Parsed data and where each key of it stands. Lines count from 1."""

    file: Path
    data: Any
    lines: dict[KeyPath, tuple[Path, int]] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """``file:line (key.path)`` of the key, or of the nearest key above it that is written."""
        near = path
        while near and near not in self.lines:
            near = near[:-1]
        file, line = self.lines.get(near, (self.file, 1))
        dotted = ".".join(str(part) for part in path)
        return f"{file}:{line}" + (f" ({dotted})" if dotted else "")


def read_yaml(file: Path) -> Source:
    """Parse a YAML file. Raises ConfigError for a missing file or wrong syntax."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"{file}: {error.strerror or error}",
            todo="`kgce init DIR` makes a plant; `-p PATH` or KGCE_PLANT names its plant.yaml",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: not UTF-8 at byte {error.start}", todo="save it as UTF-8"
        ) from error
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = str(error.problem or error).split("\n", 1)[0]
        raise ConfigError(f"{file}:{line}: wrong YAML: {problem}") from error
    except (YAMLError, ValueError) as error:  # a control character; a date such as 2026-02-30
        problem = str(error).split("\n", 1)[0]
        raise ConfigError(f"{file}: wrong YAML: {problem}") from error
    source = Source(file, None)
    source.data = _plain(tree, (), source)
    return source


def _plain(value: Any, path: KeyPath, source: Source) -> Any:
    if isinstance(value, Mapping):
        positions = getattr(getattr(value, "lc", None), "data", None) or {}
        for key, position in positions.items():
            source.lines[(*path, key)] = (source.file, position[0] + 1)
        return {key: _plain(item, (*path, key), source) for key, item in value.items()}
    if isinstance(value, list):
        positions = getattr(getattr(value, "lc", None), "data", None) or {}
        for index, position in positions.items():
            source.lines[(*path, index)] = (source.file, position[0] + 1)
        return [_plain(item, (*path, i), source) for i, item in enumerate(value)]
    for plain in (bool, int, float, str):
        if isinstance(value, plain):
            return plain(value)
    return value


def validate(model: type[M], source: Source) -> M:
    """The model made of the source. Raises one ConfigError that holds every problem."""
    data = source.data if source.data is not None else {}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = tuple(_problem(model, source, details) for details in error.errors())
        raise combine(problems) from error


def combine(problems: typing.Sequence[ConfigError]) -> ConfigError:
    """One error that shows all of ``problems`` (at least one)."""
    if len(problems) == 1:
        return problems[0]
    return ConfigError("\n".join(str(problem) for problem in problems), problems=tuple(problems))


def _problem(model: type[BaseModel], source: Source, details: Any) -> ConfigError:
    path, here = _written_path(model, details["loc"])
    place, given = source.place(path), details.get("input")
    if details["type"] == "extra_forbidden":
        allowed = _keys(here)
        near = difflib.get_close_matches(str(path[-1]), allowed, 1)
        return ConfigError(
            f"{place}: unknown key {path[-1]!r}",
            allowed=", ".join(allowed),
            todo=f"did you mean {near[0]!r}?" if near else "remove it",
        )
    if details["type"] == "missing":
        return ConfigError(f"{place}: {path[-1]!r} is missing", todo=f"add {path[-1]!r}")
    if details["type"] == "union_tag_not_found":
        return ConfigError(f"{place}: 'type' is missing", todo="add 'type'")
    message = details["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(given, dict | list) or repr(given) in message else f"{given!r}: "
    quotable = details["type"] == "string_type" and isinstance(given, int | float | date)
    return ConfigError(f"{place}: {shown}{message}", todo="put it in quotes" if quotable else "")


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [f.alias or name for name, f in model.model_fields.items()] if model else []


def _written_path(root: type[BaseModel], loc: KeyPath) -> tuple[KeyPath, type[BaseModel] | None]:
    """The key path as written (without union tags), and the model that holds its last key."""
    here: Any = root
    holder: type[BaseModel] | None = root
    path: list[str | int] = []
    for part in loc:
        if part == "[key]":  # the key itself is wrong; its path is complete
            continue
        here = _unwrap(here)
        if isinstance(here, type) and issubclass(here, BaseModel):
            holder = here
            path.append(part)
            named = {f.alias or name: f for name, f in here.model_fields.items()}
            found = named.get(str(part))
            here = found.annotation if found else None
        elif typing.get_origin(here) in (dict, tuple, list):
            path.append(part)
            here = typing.get_args(here)[-1 if typing.get_origin(here) is dict else 0]
        elif (chosen := _tagged(here, part)) is not None:
            here = chosen
        else:
            path.append(part)
    return tuple(path), holder


def _unwrap(annotation: Any) -> Any:
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(options) == 1:
            return _unwrap(options[0])
    return annotation


def _tagged(annotation: Any, tag: str | int) -> type[BaseModel] | None:
    for option in typing.get_args(annotation):
        fields = getattr(option, "model_fields", {})
        if "type" in fields and tag in typing.get_args(fields["type"].annotation):
            return typing.cast(type[BaseModel], option)
    return None
