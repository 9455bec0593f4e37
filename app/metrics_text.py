"""Prometheus' text format 0.0.4, written in small pieces.

A large plant has a hundred thousand samples. Whoever formats them in one go keeps the interpreter
from the collectors for a second, and replies would come too late; so this pauses every
millisecond or so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PIECE = 200
"""Samples between two pauses: less than a millisecond's work."""
PAUSE_S = 0.001
_SUFFIXES = {"counter": "_total", "info": "_info"}
_TYPES = {"info": "gauge", "stateset": "gauge", "unknown": "untyped"}
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

T = TypeVar("T")


def in_pieces(items: Iterable[T]) -> Iterator[T]:
    """The items, with pauses that leave the interpreter to others."""
    for index, item in enumerate(items, start=1):
        yield item
        if index % PIECE == 0:
            time.sleep(PAUSE_S)


def text_of(families: Iterable[Metric]) -> bytes:
    """The page that Prometheus scrapes."""
    return "".join(in_pieces(line for family in families for line in _lines(family))).encode()


def _lines(family: Metric) -> Iterator[str]:
    name = family.name + _SUFFIXES.get(family.type, "")
    meaning = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {meaning}\n"
    yield f"# TYPE {name} {_TYPES.get(family.type, family.type)}\n"
    for sample in family.samples:
        labels = ",".join(f'{k}="{v.translate(_ESCAPES)}"' for k, v in sample.labels.items())
        shown = f"{sample.name}{{{labels}}}" if labels else sample.name
        yield f"{shown} {_number(sample.value)}\n"


def _number(value: float) -> str:
    """
    >>> _number(3), _number(0.25), _number(float("inf")), _number(float("nan"))
    ('3.0', '0.25', '+Inf', 'NaN')
    """
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(float(value))
