"""What came of a server's meters: readings for the sink, health for people, a log of changes."""

from __future__ import annotations

import logging
import time

from collectors.base import GOOD, Health, Sink, offer_until_taken
from collectors.changes import Changes
from collectors.opcua.meters import Watched
from collectors.opcua.values import BAD_PAYLOAD, Sample
from collectors.stats import Stats
from config.tables import Reading

log = logging.getLogger("kgce.collectors.opcua")

UNKNOWN_NODE = "unknown_node"
CLOCK_OFF_S = 600.0  # from here on a source's stamps are worth a line in the log
MOST_NAMED = 5
_NO_SUCH_NODE = ("BadNodeIdUnknown", "BadNodeIdInvalid", "BadAttributeIdInvalid")


class Outcomes:
    """The outcomes of one connection."""

    def __init__(self, connection_id: str, sink: Sink) -> None:
        self._id = connection_id
        self._sink = sink
        self._changes = Changes(log)
        self._state = ("starting", "")
        self._wrong: dict[str, str] = {}
        self.health = Health(connection_id)
        self.stats = Stats()

    def tell(self, state: str, detail: str = "") -> None:
        """How the session stands; ``detail`` is logged when it changes."""
        self._state = (state, detail)
        self._show()
        self._changes.note(self._id, GOOD if state == "up" else detail)

    def is_wrong(self, meter: Watched) -> bool:
        return meter.meter_id in self._wrong

    def reading_of(self, meter: Watched, sample: Sample, at_us: int) -> Reading:
        return self.reading(meter, at_us, _status(sample), sample.value)

    def reading(
        self, meter: Watched, at_us: int, status: str, value: float | None = None
    ) -> Reading:
        received_us = time.time_ns() // 1000
        return Reading(meter.meter_id, meter.quantity, at_us, value, status, self._id, received_us)

    def note(self, meter: Watched, sample: Sample) -> None:
        """What is wrong with a meter's value, or right again."""
        self.note_status(meter, _status(sample), f"{sample.detail} at {meter.node.local_text}")
        behind_s = meter.behind_us / 1e6
        self._changes.note(
            f"meter {meter.meter_id}: clock of the source",
            GOOD if abs(behind_s) <= CLOCK_OFF_S else "off",
            f"its stamps are {behind_s:.0f} s behind the clock of {self._id}",
        )

    def note_status(self, meter: Watched, status: str, detail: str) -> None:
        self._changes.note(f"meter {meter.meter_id}", status, detail)
        if status == GOOD:
            self._wrong.pop(meter.meter_id, None)
        else:
            self._wrong[meter.meter_id] = f"{meter.meter_id}: {status} ({detail})"
        self._show()

    def note_sampling(self, meter: Watched, granted_s: float) -> None:
        """How often the server looks at a node, which it decides itself."""
        self._changes.note(
            f"meter {meter.meter_id}: sampling by {self._id}",
            "slow" if granted_s > 1.5 * meter.interval_s else GOOD,
            f"every {granted_s:g} s instead of {meter.interval_s:g} s",
        )

    async def hand_over(self, readings: list[Reading]) -> None:
        """Give readings to the sink, waiting while it is full, and count them."""
        if not readings:
            return
        await offer_until_taken(self._sink, readings, self.health)
        self._show()
        for reading in readings:
            self.stats.requests[reading.status] += 1
            if reading.status == GOOD:
                self.health.good += 1
                self.health.last_good_us = reading.time_us
                self.stats.last_good_us[reading.meter_id] = reading.time_us
            elif reading.status == BAD_PAYLOAD:
                self.health.dropped += 1
            else:
                self.health.missing += 1

    def _show(self) -> None:
        state, detail = self._state
        self.health.state, self.health.detail = state, detail or self._wrong_text()

    def _wrong_text(self) -> str:
        shown = [self._wrong[meter_id] for meter_id in sorted(self._wrong)[:MOST_NAMED]]
        more = len(self._wrong) - len(shown)
        return "; ".join(shown) + (f"; and {more} more" if more else "")


def _status(sample: Sample) -> str:
    return UNKNOWN_NODE if sample.detail in _NO_SUCH_NODE else sample.status
