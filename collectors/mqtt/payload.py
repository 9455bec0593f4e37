"""Values and times in messages: a bare number, or JSON with a path to the number.

A path is names and places: ``data.kwh``, ``points[0].v``, ``points[-1].v``, ``["a.b"].v``.
One ``[*]`` takes every element: ``points[*].v``; the times then lie along the same ``[*]``.
"""

from __future__ import annotations

import math
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from json import JSONDecoder
from typing import Final, Literal, NamedTuple

from config.errors import InputError

TimeUnit = Literal["s", "ms", "us", "iso"]
Step = str | int | None  # a name, a place, or None for every element

PATH_EXAMPLES = 'names and places, such as data.kwh, points[0].v, points[*].v, ["a.b"].v'
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # a time outside is a wrong unit or a clock never set
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_STEP = re.compile(
    r"""\.?(?P<name>[^.\[\]"'\s][^.\[\]]*) | \[(?P<place>-?\d+)\] | \[(?P<every>\*)\]
      | \[(?P<quote>["'])(?P<quoted>.+?)(?P=quote)\]""",
    re.VERBOSE | re.ASCII,
)
EVERY: Final = None
BAD_PAYLOAD: Final = "bad_payload"  # the status of a reading of what cannot be read
_from_json = JSONDecoder().decode


@dataclass(frozen=True)
class JsonPath:
    """A parsed path. ``text`` is the path as it was given."""

    text: str
    steps: tuple[Step, ...]

    @property
    def before_every(self) -> tuple[Step, ...] | None:
        """The steps before ``[*]``; None where the path has none."""
        return self.steps[: self.steps.index(EVERY)] if EVERY in self.steps else None

    def at(self, element: int) -> JsonPath:
        """The same path to one element instead of every."""
        return JsonPath(self.text, tuple(element if step is EVERY else step for step in self.steps))

    def find(self, document: object) -> object:
        """What lies at the path. Raises InputError where nothing does."""
        return _descend(document, self.steps, self.text)


def parse_path(text: str) -> JsonPath:
    """Raises InputError for a text that is no path."""
    # A leading $ is the root, but $x is a name.
    rest = text[1:] if text.startswith(("$.", "$[")) else text
    steps: list[Step] = []
    while rest:
        match = _STEP.match(rest)
        if match is None or text.startswith(".") or text == "$":
            raise InputError(f"path {text!r} cannot be read at {rest!r}", allowed=PATH_EXAMPLES)
        if match["place"] is not None:
            steps.append(int(match["place"]))
        elif match["every"] is not None:
            steps.append(EVERY)
        else:
            steps.append(match["quoted"] if match["name"] is None else match["name"])
        rest = rest[match.end() :]
        if rest and rest[0] not in ".[":
            raise InputError(f"path {text!r} cannot be read at {rest!r}", allowed=PATH_EXAMPLES)
    if not steps or steps.count(EVERY) > 1:
        raise InputError(f"path {text!r} has no step, or more than one [*]", allowed=PATH_EXAMPLES)
    return JsonPath(text, tuple(steps))


def _descend(node: object, steps: tuple[Step, ...], text: str) -> object:
    for step in steps:
        if isinstance(node, dict) and step in node:
            node = node[step]
        elif isinstance(node, dict) and isinstance(step, str):
            raise InputError(
                f"{text}: no {step!r}", allowed=_shown(", ".join(map(str, node))) or "nothing"
            )
        elif isinstance(step, int) and isinstance(node, list):
            if not -len(node) <= step < len(node):
                raise InputError(f"{text}: no element {step} of {len(node)}")
            node = node[step]
        else:
            wanted = "an object" if isinstance(step, str) else "an array"
            raise InputError(f"{text}: {_shown(node)} before {step!r}", allowed=wanted)
    return node


def _shown(value: object, most: int = 60) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= most else text[:most] + "..."


class Payload:
    """The bytes of a message; read as text or JSON once, for all the meters that it feeds."""

    __slots__ = ("_document", "_is_read", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._document: object = None
        self._is_read = False

    @property
    def text(self) -> str:
        """Raises InputError where it is not UTF-8."""
        try:
            # Not utf-8-sig, which is many times slower.
            return self._raw.removeprefix(BOM_UTF8).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"payload is not UTF-8 at byte {error.start}") from error

    @property
    def document(self) -> object:
        """Raises InputError where it is not JSON."""
        if not self._is_read:
            text = self.text
            try:
                self._document = _from_json(text)
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"payload {_shown(text)!r} is not JSON: {error}",
                    allowed="JSON, as the meter has a value_path",
                ) from error
            self._is_read = True
        return self._document


def number(given: object) -> float:
    """``given`` as a float. Raises InputError for what is no finite number.

    A text counts where it is written as a number, as many devices send it.
    """
    if type(given) is float:
        value = given
    elif isinstance(given, str) and _NUMBER.fullmatch(given.strip()):
        value = float(given)
    elif isinstance(given, int | float) and not isinstance(given, bool):
        try:
            value = float(given)
        except OverflowError:
            value = math.inf
    else:
        raise InputError(f"{_shown(given)!r} is no number", allowed="a number")
    if not math.isfinite(value):
        raise InputError(f"{_shown(given)} is no finite number", allowed="a number")
    return value


def time_us(given: object, unit: TimeUnit, zone: tzinfo) -> int:
    """``given`` as microseconds since the epoch, UTC.

    ``unit`` s, ms, us: Unix time as a number or its text; iso: ISO 8601, in ``zone`` where the text
    names none (an hour that happens twice is its first). Raises InputError for anything else, and
    for a time outside the years 2000 to 2099.
    """
    moment_us = _iso_us(given, zone) if unit == "iso" else _unix_us(given, unit)
    if not _EARLIEST_US <= moment_us < _LATEST_US:
        raise InputError(
            f"time {_shown(given)!r} in {unit}",
            allowed=f"{EARLIEST:%Y} to {LATEST.year - 1}",
            todo="check time_unit and the device's clock",
        )
    return int(moment_us)


def _since_epoch_us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


_EARLIEST_US, _LATEST_US = _since_epoch_us(EARLIEST), _since_epoch_us(LATEST)


def _iso_us(given: object, zone: tzinfo) -> int:
    if isinstance(given, str):
        try:
            moment = datetime.fromisoformat(given.strip())
            return _since_epoch_us(moment if moment.tzinfo else moment.replace(tzinfo=zone))
        except (ValueError, OverflowError):
            pass
    raise InputError(
        f"time {_shown(given)!r} is not ISO 8601",
        allowed="such as 2026-10-01T08:00:00+08:00",
        todo="set time_unit to s, ms or us for Unix time",
    )


def _unix_us(given: object, unit: str) -> Decimal | int:
    if type(given) is int:  # no bool
        return given * _MICROSECONDS[unit]
    text = str(given).strip()
    if isinstance(given, bool) or not _NUMBER.fullmatch(text):
        raise InputError(f"time {_shown(given)!r} is no Unix time in {unit}", allowed="a number")
    # Decimal: a float times a million would lose the last microsecond.
    return (Decimal(text) * _MICROSECONDS[unit]).to_integral_value()


class Sample(NamedTuple):
    """A value, and its time in microseconds since the epoch, UTC, where the message has one."""

    value: float
    time_us: int | None


@dataclass(frozen=True)
class PayloadFormat:
    """How one meter's samples are found in a payload."""

    value_path: JsonPath | None
    time_path: JsonPath | None
    time_unit: TimeUnit
    zone: tzinfo
    has_many: bool  # whether one message holds several samples: the paths have [*]

    def read(self, payload: Payload) -> tuple[list[Sample], InputError | None]:
        """The samples that can be read, and the first error where some could not."""
        samples: list[Sample] = []
        first_error: InputError | None = None
        if not self.has_many:
            try:
                return [self._sample(payload, self.value_path, self.time_path)], None
            except InputError as error:
                return samples, error
        try:
            for value_path, time_path in self._paths(payload):
                try:
                    samples.append(self._sample(payload, value_path, time_path))
                except InputError as error:
                    first_error = first_error or error
        except InputError as error:
            first_error = error
        return samples, first_error

    def _paths(self, payload: Payload) -> Iterator[tuple[JsonPath, JsonPath | None]]:
        """The paths of each element."""
        before = self.value_path.before_every if self.value_path else None
        if self.value_path is None or before is None:
            return
        elements = _descend(payload.document, before, self.value_path.text)
        if not isinstance(elements, list):
            raise InputError(
                f"{self.value_path.text}: {_shown(elements)} before [*]", allowed="an array"
            )
        for place in range(len(elements)):
            yield self.value_path.at(place), self.time_path and self.time_path.at(place)

    def _sample(
        self, payload: Payload, value_path: JsonPath | None, time_path: JsonPath | None
    ) -> Sample:
        if value_path is None:
            return Sample(number(payload.text), None)
        value = number(value_path.find(payload.document))
        if time_path is None:
            return Sample(value, None)
        found = time_path.find(payload.document)
        return Sample(value, time_us(found, self.time_unit, self.zone))


def payload_format(
    value_path: str | None, time_path: str | None, time_unit: TimeUnit | None, zone: tzinfo
) -> PayloadFormat:
    """The format that a meter's ``value_path``, ``time_path`` and ``time_unit`` describe.

    Raises InputError for a path that cannot be read, a time without a value path, and times that do
    not lie along the values' ``[*]``: each value needs a time of its own.
    """
    values = parse_path(value_path) if value_path else None
    times = parse_path(time_path) if time_path else None
    if times is not None and values is None:
        raise InputError(
            f"time_path {time_path!r} without value_path",
            allowed="both: a bare number has no time beside it",
        )
    before_values = values.before_every if values else None
    before_times = times.before_every if times else None
    if before_values != before_times:
        raise InputError(
            f"value_path {value_path!r} with time_path {time_path!r}",
            allowed="the same [*] in both, such as points[*].v and points[*].t",
        )
    return PayloadFormat(values, times, time_unit or "iso", zone, before_values is not None)
