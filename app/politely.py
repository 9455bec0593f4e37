"""Long work on a thread beside the event loop, without keeping the interpreter from it.

A thread that computes gives the interpreter away only every 5 ms, and the loop asks for it after
each reply: half a second of work delays hundreds of polls. Work that is done politely rests after
each millisecond. It takes about three times as long.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

WORK_S, REST_S = 0.001, 0.002

T = TypeVar("T")


def politely(work: Callable[[], T]) -> T:
    """What ``work`` returns or raises."""
    works_until_s = time.perf_counter() + WORK_S

    def rest(_frame: object, _event: str, _argument: Any) -> None:
        nonlocal works_until_s
        if time.perf_counter() > works_until_s:
            time.sleep(REST_S)
            works_until_s = time.perf_counter() + WORK_S

    # Called at each call and return of this thread alone: there is no other place to rest at.
    before = sys.getprofile()
    sys.setprofile(rest)
    try:
        return work()
    finally:
        sys.setprofile(before)
