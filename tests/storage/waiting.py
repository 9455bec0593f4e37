from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Return once ``true()``; fail after ``timeout_s``, which no machine should need."""
    give_up = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)
