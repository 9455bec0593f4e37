"""What the daemon shows to Prometheus, read from its objects at the moment of a scrape.

Collection pays nothing for it: no poll touches a metric. Scrapes run on a thread of their own, and
read the spool beside its writer. Names and units follow Prometheus' conventions:
seconds, bytes, ``_total`` for what only grows. Labels come from the configuration, outcomes from
the program, so that their number is bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    Sample,
)
from prometheus_client.registry import Collector as PrometheusCollector

from app.politely import politely
from collectors.base import Collector
from collectors.stats import BUCKETS_S, Histogram, Stats
from config.errors import StorageError
from storage.account import MeterAccount
from storage.spool import Spool, SpoolView
from storage.writer import SpoolWriter

if TYPE_CHECKING:
    from app.daemon import Daemon

BREAKERS = {"closed": 0, "half_open": 1, "open": 2}
UP = ("up", "waiting")  # waiting is for the spool, not for the device
SPOOL_WAIT_S = 2.0
ACCOUNT_REST = 20
"""The loss account is read again after so many times as long as it took: 5 % of a core at most,
also once years have made it long."""

Rows = Iterable[tuple[Sequence[str], float]]
_BUCKETS = [*(f"{bound:g}" for bound in BUCKETS_S), "+Inf"]


class DaemonMetrics(PrometheusCollector):
    """The metrics of one daemon. `collect` may be called from any thread, by one at a time."""

    def __init__(self, daemon: Daemon, spool: Spool, writer: SpoolWriter) -> None:
        self._daemon = daemon
        self._spool = spool
        self._writer = writer
        self._account: list[MeterAccount] = []
        self._account_rests_until_s = 0.0

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names need not be known before they are asked for."""
        return ()

    def collect(self) -> Iterable[Metric]:
        yield from _of_connections(self._daemon.collectors)
        yield from self._of_spool()
        yield from self._of_meters()
        yield from self._of_daemon()

    def _of_spool(self) -> Iterator[Metric]:
        waiting_for: dict[str, float | None] = {}
        try:
            view = Spool.read_only(self._spool.path, timeout_s=SPOOL_WAIT_S)
            try:
                self._read_account(view)
                waiting_for = {"readings": view.waiting(), "bytes": view.used_bytes()}
                waiting_for["age"] = _age_s(view)
            finally:
                view.close()
        except StorageError:
            pass  # said by kgce_spool_readable; the writer tells the log
        yield _one("spool_readable", "1 where the spool could be read.", bool(waiting_for))
        yield _some("spool_bytes", "Bytes of the spool that hold data.", waiting_for.get("bytes"))
        yield _one("spool_max_bytes", "Cap of the spool.", self._spool.max_bytes)
        yield _some(
            "spool_waiting_readings",
            "Readings that the lake does not have yet.",
            waiting_for.get("readings"),
        )
        yield _some(
            "spool_oldest_waiting_age_seconds",
            "Since the oldest reading that the lake does not have was received; 0 without one.",
            waiting_for.get("age"),
        )
        yield _one(
            "queued_readings", "Readings in memory that are not on disk yet.", self._writer.queued
        )
        yield _one(
            "spool_writable",
            "1 where readings can be written; 0 at the cap, or with a full disk.",
            self._writer.trouble is None,
        )

    def _read_account(self, view: SpoolView) -> None:
        began_s = time.monotonic()
        if began_s < self._account_rests_until_s:
            return
        self._account = politely(view.account)
        now_s = time.monotonic()
        self._account_rests_until_s = now_s + ACCOUNT_REST * (now_s - began_s)

    def _of_meters(self) -> Iterator[Metric]:
        known = self._daemon.site.plant.meters
        accounts = [one for one in self._account if one.meter_id in known]

        def each(value: Callable[[MeterAccount], float]) -> Rows:
            return (((one.meter_id,), value(one)) for one in accounts)

        def by_reason(reasons: Callable[[MeterAccount], Mapping[str, int]]) -> Rows:
            return (
                ((one.meter_id, reason), count)
                for one in accounts
                for reason, count in sorted(reasons(one).items())
            )

        meter, reason = ("meter",), ("meter", "reason")
        yield _counter(
            "readings_expected",
            "Readings expected: good + missing + dropped. Since the spool was made.",
            meter,
            each(lambda one: one.expected),
        )
        yield _counter("readings_good", "Readings with a value.", meter, each(lambda one: one.good))
        yield _counter(
            "readings_missing", "Polls without a value.", reason, by_reason(lambda one: one.missing)
        )
        yield _counter(
            "readings_dropped",
            "Readings that could not be used.",
            reason,
            by_reason(lambda one: one.dropped),
        )
        yield _counter(
            "readings_duplicate",
            "Readings that came again and were refused.",
            meter,
            each(lambda one: one.duplicates),
        )
        yield _counter(
            "readings_repeated",
            "Polls of a tick that had its outcome already: the clock was set back.",
            meter,
            each(lambda one: one.repeated),
        )
        yield _counter(
            "readings_late",
            "Readings older than one that was there, or that took longer than a gap to arrive.",
            meter,
            each(lambda one: one.late),
        )
        last = {
            name: at_us
            for collector in self._daemon.collectors
            if (stats := _stats(collector)) is not None
            for name, at_us in dict(stats.last_good_us).items()
        }
        yield _gauge(
            "meter_last_good_timestamp_seconds",
            "Time of the last good reading of this run.",
            meter,
            (((name,), at_us / 1e6) for name, at_us in last.items()),
        )

    def _of_daemon(self) -> Iterator[Metric]:
        daemon = self._daemon
        jobs = dict(daemon.job_states)
        for name, text, times in (
            (
                "success",
                "When the job last did its work, in this run.",
                {job: state.last_ok_us for job, state in jobs.items()},
            ),
            (
                "failure",
                "When the job last failed, in this run.",
                {job: state.last_failed_us for job, state in jobs.items()},
            ),
        ):
            yield _gauge(
                f"job_last_{name}_timestamp_seconds",
                text,
                ("job",),
                (((job,), us / 1e6) for job, us in times.items() if us is not None),
            )
        yield _gauge(
            "job_failing",
            "1 where the job's last run failed.",
            ("job",),
            (((job,), state.trouble is not None) for job, state in jobs.items()),
        )
        reloads, site = daemon.reloads, daemon.site
        yield _counter(
            "config_changes",
            "Changes of the configuration by what became of them.",
            ("outcome",),
            ((("taken",), reloads.taken), (("refused",), reloads.refused)),
        )
        yield _one(
            "config_current",
            "1 where the configuration's files are in use; 0 where they were refused.",
            reloads.trouble is None,
        )
        yield InfoMetricFamily(
            "kgce_config",
            "The configuration in use.",
            {"plant": site.id, "hash": site.config_hash, "standards": site.library.version},
        )
        yield InfoMetricFamily("kgce_build", "The program.", {"version": version("kgce")})
        clock = daemon.clock_steps
        yield _counter("clock_steps", "Steps of the machine's wall clock.", (), [((), clock.steps)])
        yield _one(
            "clock_last_step_seconds",
            "The last step; over 0 where the clock was set ahead.",
            clock.last_step_s,
        )


def _of_connections(collectors: Sequence[Collector]) -> Iterator[Metric]:
    here, healths = ("connection",), [collector.health for collector in collectors]
    yield _gauge(
        "connection_up",
        "1 where the connection works, in the words of `kgce status`: up, or waiting.",
        here,
        (((health.connection,), health.state in UP) for health in healths),
    )
    yield _gauge(
        "connection_last_good_timestamp_seconds",
        "Time of the last good reading of this run.",
        here,
        (((h.connection,), h.last_good_us / 1e6) for h in healths if h.last_good_us is not None),
    )
    yield _counter(
        "connection_readings",
        "Readings by outcome since the connection was started.",
        (*here, "outcome"),
        (
            ((health.connection, outcome), getattr(health, outcome))
            for health in healths
            for outcome in ("good", "missing", "dropped")
        ),
    )
    found = [(c.health.connection, s) for c in collectors if (s := _stats(c)) is not None]
    yield _counter(
        "requests",
        "Requests, or messages, by outcome: good, timeout, exception_N, bad_reply and so on.",
        (*here, "outcome"),
        (((n, outcome), k) for n, s in found for outcome, k in sorted(dict(s.requests).items())),
    )
    yield _histogram(
        "request_latency_seconds",
        "From request to reply, of requests that were answered.",
        ((name, stats.latency) for name, stats in found),
    )
    yield _histogram(
        "poll_lag_seconds",
        "From the moment that a poll was due to the moment that it began.",
        ((name, stats.lag) for name, stats in found),
    )
    counts: tuple[tuple[str, str, Callable[[Stats], int]], ...] = (
        ("ticks", "Ticks polled.", lambda stats: stats.ticks),
        (
            "ticks_skipped",
            "Ticks that passed while the ones before them were under way.",
            lambda stats: stats.skipped_ticks,
        ),
        ("late_replies", "Replies after their time-out; passed over.", lambda s: s.late_replies),
        ("connects", "Connections that were made.", lambda stats: stats.connects),
    )
    for name, text, count in counts:
        yield _counter(name, text, here, (((n,), count(stats)) for n, stats in found))
    yield _gauge(
        "breaker_state",
        "Breaker of a unit: 0 closed, 1 half open, 2 open.",
        (*here, "unit"),
        (
            ((name, unit), BREAKERS[state])
            for name, stats in found
            for unit, state in sorted(dict(stats.breakers).items())
            if state in BREAKERS
        ),
    )
    yield _gauge(
        "device_clock_offset_seconds",
        "How far the device's clock ran ahead of this machine's when it was last read.",
        (*here, "meter"),
        (
            ((name, meter_id), offset_s)
            for name, stats in found
            for meter_id, offset_s in sorted(dict(stats.clock_offset_s).items())
        ),
    )


def _stats(collector: Collector) -> Stats | None:
    return getattr(collector, "stats", None)


def _age_s(view: SpoolView) -> float | None:
    """Of the oldest reading that waits for the lake; 0 where none waits."""
    oldest: Callable[[], int | None] | None = getattr(view, "oldest_waiting_us", None)
    if oldest is None:
        return None
    since_us = oldest()
    return 0.0 if since_us is None else max(0.0, time.time() - since_us / 1e6)


def _counter(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    return _family(CounterMetricFamily(f"kgce_{name}", text), f"kgce_{name}_total", labels, rows)


def _gauge(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    return _family(GaugeMetricFamily(f"kgce_{name}", text), f"kgce_{name}", labels, rows)


def _family(family: Metric, name: str, labels: Sequence[str], rows: Rows) -> Metric:
    """The family with a sample a row, each made when it is asked for: a hundred thousand at a time
    would set off the garbage collector, for which everybody waits."""
    samples = (Sample(name, dict(zip(labels, values, strict=True)), n) for values, n in rows)
    family.samples = samples  # type: ignore[assignment]
    return family


def _one(name: str, text: str, number: float) -> Metric:
    return _gauge(name, text, (), [((), number)])


def _some(name: str, text: str, number: float | None) -> Metric:
    """No sample where the number is not known."""
    return _gauge(name, text, (), [] if number is None else [((), number)])


def _histogram(name: str, text: str, rows: Iterable[tuple[str, Histogram]]) -> Metric:
    family = HistogramMetricFamily(f"kgce_{name}", text, labels=["connection"])
    for connection, histogram in rows:
        so_far = accumulate(list(histogram.counts))
        buckets = list(zip(_BUCKETS, map(float, so_far), strict=True))
        family.add_metric([connection], buckets, histogram.sum_s)
    return family
