"""What a connection counted since it started: plain numbers, for whoever shows them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Durations in seconds, counted by bucket. ``counts[i]`` holds those up to ``BUCKETS_S[i]``
    and over the bucket before; the last one holds all that took longer."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, duration_s: float) -> None:
        self.counts[bisect_left(BUCKETS_S, duration_s)] += 1
        self.sum_s += duration_s


@dataclass
class Stats:
    """Counted by one task or thread; may be read from any."""

    requests: Counter[str] = field(default_factory=Counter)
    """Requests (polled lines) or messages (MQTT, OPC UA) by outcome: good, timeout,
    exception_2, bad_reply, not_connected, bad_payload and so on."""
    latency: Histogram = field(default_factory=Histogram)
    """From request to reply, of requests that were answered."""
    lag: Histogram = field(default_factory=Histogram)
    """From the moment that a poll was due to the moment that it began."""
    ticks: int = 0
    """Ticks polled."""
    skipped_ticks: int = 0
    """Ticks that passed while the ones before them were still under way."""
    late_replies: int = 0
    """Replies that came after their time-out; passed over."""
    connects: int = 0
    """Connections that were made."""
    breakers: dict[str, str] = field(default_factory=dict)
    """State of each unit's breaker: closed, open, half_open."""
    last_good_us: dict[str, int] = field(default_factory=dict)
    """Time of each meter's last good reading: microseconds since the epoch, UTC."""
    clock_offset_s: dict[str, float] = field(default_factory=dict)
    """Seconds by which each meter's own clock ran ahead of this machine's; behind: negative."""
