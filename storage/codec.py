"""A group of readings as columns, and as the compact bytes that the spool keeps of it.

One row of SQLite per group instead of one per reading: whole-number columns are kept as their
distance from the least, in as few bytes as the greatest distance needs (none where all are the
same), and each text once. A minute's poll of 30 meters takes about 20 bytes a reading. The bytes
begin with their CRC-32, so that a damaged group is known when it is read.
"""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from config.tables import Reading
from storage.account import GOOD, RESERVED_OUTCOMES

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Row = tuple[str, str, int, float | None, str, str, int, int | None]

# Years 1 to 9999: what a calendar, Parquet and SQL can all show.
MIN_TIME_US = -62_135_596_800_000_000
MAX_TIME_US = 253_402_300_799_999_999

RESERVED = frozenset(RESERVED_OUTCOMES)
_CRC_BYTES, _LENGTH_BYTES = 4, 4
_WIDTHS = ((0, 0), (1, 0xFF), (2, 0xFFFF), (4, 0xFFFF_FFFF), (8, 0xFFFF_FFFF_FFFF_FFFF))


class Unstorable(ValueError):
    """A reading that breaks the contract; the text says how."""


class Torn(ValueError):
    """Bytes that are no group: the disk changed them."""


class Columns(NamedTuple):
    """A group by column. ``meter`` to ``source`` are places in ``names``.

    ``value`` is NaN where there is none, ``sequence`` is 0 where ``scheduled`` is False. ``day`` is
    the plant's day that a reading is booked on, ``repeated`` whether its tick had its outcome
    already.
    """

    names: list[str]
    meter: Ints
    quantity: Ints
    status: Ints
    source: Ints
    time_us: Ints
    received_us: Ints
    sequence: Ints
    day: Ints
    value: Floats
    scheduled: Bools
    repeated: Bools

    @property
    def size(self) -> int:
        """The number of readings."""
        return len(self.meter)

    def part(self, start: int, stop: int) -> Columns:
        """The readings from ``start`` up to ``stop``."""
        names, *columns = self
        return Columns(names, *(column[start:stop] for column in columns))  # type: ignore[arg-type]

    def rows(self) -> list[Row]:
        """The readings one by one, as in `Reading`."""
        names = self.names
        values = [None if value != value else value for value in self.value.tolist()]
        ticks = zip(self.sequence.tolist(), self.scheduled.tolist(), strict=True)
        return list(
            zip(
                [names[n] for n in self.meter.tolist()],
                [names[n] for n in self.quantity.tolist()],
                self.time_us.tolist(),
                values,
                [names[n] for n in self.status.tolist()],
                [names[n] for n in self.source.tolist()],
                self.received_us.tolist(),
                [tick if scheduled else None for tick, scheduled in ticks],
                strict=True,
            )
        )


def columns_of(readings: Sequence[Reading]) -> Columns:
    """The columns of readings not booked yet. Raises Unstorable, naming no reading."""
    try:
        return _columns_of(readings)
    except (TypeError, ValueError, OverflowError) as error:
        raise Unstorable(str(error)) from error


def _columns_of(readings: Sequence[Reading]) -> Columns:
    meter, quantity, times, values, status, source, received, sequences = zip(
        *readings, strict=True
    )
    names = list(dict.fromkeys(chain.from_iterable(map(_few, (meter, quantity, status, source)))))
    "".join(names).encode()  # text, without halves of characters, which cannot be written
    place = {name: number for number, name in enumerate(names)}
    time_us, received_us = _whole(times), _whole(received)
    for name, column in (("time_us", time_us), ("received_us", received_us)):
        if column.min() < MIN_TIME_US or column.max() > MAX_TIME_US:
            raise Unstorable(f"{name} must lie in the years 1 to 9999")
    for outcome in RESERVED.intersection(status):
        raise Unstorable(f"the status {outcome} is the spool's own")
    statuses = _places(status, place)
    value = _values(values)
    if ((statuses == place.get(GOOD, -1)) == np.isnan(value)).any():
        raise Unstorable("a value there must be exactly when the status is good")
    if None in sequences:
        scheduled = np.array([tick is not None for tick in sequences], np.bool_)
        sequence = _whole([0 if tick is None else tick for tick in sequences])
    else:
        scheduled, sequence = np.ones(len(value), np.bool_), _whole(sequences)
    nothing = np.zeros(len(value), np.int64)
    return Columns(
        names,
        _places(meter, place),
        _places(quantity, place),
        statuses,
        _places(source, place),
        time_us,
        received_us,
        sequence,
        nothing,
        value,
        scheduled,
        nothing.astype(np.bool_),
    )


def pack(columns: Columns) -> bytes:
    """The bytes of a group, which must not be empty."""
    names, *arrays = columns
    widths: list[tuple[int, int]] = []
    parts: list[bytes] = []
    for numbers in arrays[:8]:
        low = int(numbers.min())
        span = int(numbers.max()) - low
        width = next(width for width, greatest in _WIDTHS if span <= greatest)
        widths.append((low, width))
        if width:
            # Distances wrap around like the numbers themselves.
            distance = np.subtract(numbers, low).view(np.uint64)
            parts.append(distance.astype(f"<u{width}").tobytes())
    parts.append(columns.value.astype("<f8", copy=False).tobytes())
    flags: list[int] = []
    for truths in (columns.scheduled, columns.repeated):
        count = int(np.count_nonzero(truths))
        flags.append(0 if count == 0 else 1 if count == len(truths) else 2)
        if flags[-1] == 2:
            parts.append(np.packbits(truths).tobytes())
    given = [columns.size, widths, flags, names]
    header = json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode()
    body = b"".join((len(header).to_bytes(_LENGTH_BYTES, "little"), header, *parts))
    return _crc(body).to_bytes(_CRC_BYTES, "little") + body


def is_whole(body: bytes) -> bool:
    """Whether a group's bytes are as they were made."""
    return int.from_bytes(body[:_CRC_BYTES], "little") == _crc(memoryview(body)[_CRC_BYTES:])


def _crc(body: bytes | memoryview) -> int:
    return zlib.crc32(body, 1)  # begun with 1, so that zeros are no group


def unpack(body: bytes) -> Columns:
    """The group of these bytes. Raises Torn."""
    if not is_whole(body):
        raise Torn("a group of readings does not have its checksum")
    start = _CRC_BYTES + _LENGTH_BYTES
    at = start + int.from_bytes(body[_CRC_BYTES:start], "little")
    rows, widths, flags, names = json.loads(body[start:at])
    numbers: list[Ints] = []
    for low, width in widths:
        if width:
            distance = np.frombuffer(body, f"<u{width}", rows, at).astype(np.uint64)
            numbers.append(np.add(distance.view(np.int64), low))
            at += rows * width
        else:
            numbers.append(np.full(rows, low, np.int64))
    value = np.frombuffer(body, "<f8", rows, at)
    at += 8 * rows
    truths: list[Bools] = []
    for flag in flags:
        if flag == 2:
            size = -(-rows // 8)
            bits = np.frombuffer(body, np.uint8, size, at)
            truths.append(np.unpackbits(bits, count=rows).astype(np.bool_))
            at += size
        else:
            truths.append(np.full(rows, flag == 1, np.bool_))
    return Columns(names, *numbers, value, *truths)  # type: ignore[call-arg, arg-type]


def _whole(numbers: Sequence[int]) -> Ints:
    """Exact, unlike numpy's own conversion, which cuts 1.5 down to 1."""
    return np.frombuffer(array("q", numbers), np.int64)


def _values(values: Sequence[float | None]) -> Floats:
    try:
        numbers = array("d", cast("Sequence[float]", values))
    except TypeError:
        numbers = array("d", [float("nan") if value is None else value for value in values])
    return np.frombuffer(numbers, np.float64)


def _few(texts: Sequence[str]) -> Sequence[str]:
    """Each text at least once; quick where all are the same, as often."""
    return texts[:1] if texts.count(texts[0]) == len(texts) else texts


def _places(texts: Sequence[str], place: Mapping[str, int]) -> Ints:
    if len(_few(texts)) == 1:
        return np.full(len(texts), place[texts[0]], np.int64)
    return np.frombuffer(array("q", map(place.__getitem__, texts)), np.int64)
