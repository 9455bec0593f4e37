"""Long work that rests, so that others come to their turn."""

from __future__ import annotations

import sys

import pytest

from app import politely as module
from app.politely import REST_S, WORK_S, politely


class Time:
    """A clock that goes on by a tenth of a millisecond each time that it is asked."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.rests: list[float] = []

    def perf_counter(self) -> float:
        self.now_s += 0.0001
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)


def _calls(count: int) -> int:
    return sum(_one() for _ in range(count))


def _one() -> int:
    return 1


def test_work_is_done_with_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Time()
    monkeypatch.setattr(module, "time", clock)
    before = sys.getprofile()
    assert politely(lambda: _calls(1000)) == 1000
    assert sys.getprofile() is before
    assert set(clock.rests) == {REST_S}
    # Each call and each return is a place to rest at; ten of them are a millisecond here.
    assert len(clock.rests) >= 2000 * 0.0001 / WORK_S / 2


def test_an_error_comes_out_as_it_is() -> None:
    before = sys.getprofile()
    with pytest.raises(ZeroDivisionError):
        politely(lambda: 1 / 0)
    assert sys.getprofile() is before
