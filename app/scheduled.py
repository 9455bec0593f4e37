"""The jobs of the daemon, each on an interval of its own, and none twice at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import KgceError
from config.site import Site

log = logging.getLogger("kgce.daemon")

Work = Callable[[], object]


@dataclass
class JobState:
    """What a scheduled job last did; shown by `kgce status`."""

    last_ok_us: int | None = None
    last_failed_us: int | None = None
    trouble: str | None = None


def intervals_s(site: Site) -> dict[str, float]:
    """Seconds between two runs of each job."""
    every = site.plant.intervals
    return {"flush": every.flush_s, "refresh": every.refresh_s, "compact": every.compact_h * 3600}


class Scheduled:
    """Runs ``work`` by name on threads of its own, and keeps what came of it in ``states``."""

    def __init__(
        self, work: Mapping[str, Work], every_s: Mapping[str, float], states: dict[str, JobState]
    ) -> None:
        from apscheduler.schedulers.background import BackgroundScheduler

        self._work = dict(work)
        self._every_s = dict(every_s)
        self._states = states
        self._scheduler: Any = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1}
        )
        for name in self._work:
            states[name] = JobState()
            self._scheduler.add_job(
                self.run,
                "interval",
                args=(name,),
                seconds=every_s[name],
                id=name,
                misfire_grace_time=None,
            )
        self._scheduler.start()

    def change(self, every_s: Mapping[str, float]) -> None:
        """Go on at other intervals; a job whose interval stays is not touched."""
        for name, seconds in every_s.items():
            if seconds != self._every_s[name]:
                self._scheduler.reschedule_job(name, trigger="interval", seconds=seconds)
        self._every_s = dict(every_s)

    def end(self) -> None:
        """Return when the jobs under way have ended; none is begun."""
        self._scheduler.shutdown()

    def run(self, name: str) -> None:
        """Run a job; its trouble is logged when it changes, and the next run tries again."""
        state = self._states[name]
        try:
            self._work[name]()
        except Exception as error:
            expected = isinstance(error, KgceError)
            text = str(error) if expected else f"{type(error).__name__}: {error}"
            if text != state.trouble:
                log.error("%s: %s", name, text, exc_info=not expected)
            state.last_failed_us, state.trouble = time.time_ns() // 1000, text
        else:
            if state.trouble is not None:
                log.info("%s works again", name)
            state.last_ok_us, state.trouble = time.time_ns() // 1000, None
