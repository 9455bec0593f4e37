"""What is known of one subscription, to see that it lives and that nothing is missing."""

from __future__ import annotations

import time
from dataclasses import dataclass

QUIET_PERIODS = 3  # a subscription that missed so many signs of life is dead


@dataclass(frozen=True)
class Subscribed:
    """A subscription as the server granted it. ``quiet_s``: the longest it may say nothing."""

    id: int
    publishing_s: float
    quiet_s: float


class Subscription:
    """Whether messages come, and each of them."""

    def __init__(self, granted: Subscribed) -> None:
        self.granted = granted
        self._heard_s = time.monotonic()
        self._sequence: int | None = None

    def hear(self) -> None:
        """A message came, or nothing was asked for until now."""
        self._heard_s = time.monotonic()

    def is_dead(self) -> bool:
        return time.monotonic() - self._heard_s > QUIET_PERIODS * self.granted.quiet_s

    def missed(self, sequence: int) -> bool:
        """Whether a message before this one did not come (Part 4, 7.26: 1 follows 2^32 - 1)."""
        last, self._sequence = self._sequence, sequence
        return last is not None and sequence != last % 0xFFFFFFFF + 1
