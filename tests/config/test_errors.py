"""The tree of exceptions is the one drawn at the top of the module."""

from __future__ import annotations

import re

import pytest

from config import errors
from config.errors import CollectError, ConfigError, DeviceException, KgceError

_ENDINGS = "Error|Failed|Timeout|Exception|Refused|Busy|Asked|Short"
DRAWN = re.findall(rf"(?:├─|└─)?\s*(\w+(?:{_ENDINGS})) ", errors.__doc__ or "")


def test_every_class_is_drawn() -> None:
    classes = {
        name
        for name, item in vars(errors).items()
        if isinstance(item, type) and issubclass(item, KgceError)
    }
    assert len(classes) >= 9
    assert set(DRAWN) == classes


def test_text_has_the_four_parts_that_are_given() -> None:
    error = KgceError("a", allowed="b", data="c", todo="d")
    assert str(error) == "a\n  allowed: b\n  data: c\n  to do: d"
    assert str(KgceError("a", todo="d")) == "a\n  to do: d"


def test_a_single_problem_is_its_own_list() -> None:
    error = ConfigError("a")
    assert error.problems == (error,)


@pytest.mark.parametrize("kind", CollectError.__subclasses__())
def test_statuses_of_readings_are_short_and_not_good(kind: type[CollectError]) -> None:
    error = kind("a", 2) if kind is DeviceException else kind("a")
    assert re.fullmatch(r"[a-z0-9_]+", error.status)
    assert error.status != "good"
