"""Reads the meters of one OPC UA server: changes by subscription, what stands still by a read.

Each interval yields at least one reading of every meter: the changes that the server reported, else
what a read of the node says, else why nothing can be known. So a counter that stands still is no
gap, and a server that says nothing is one. Readings carry no tick number: a server may report
several changes in an interval, and all are kept. Statuses besides ``good``:

    bad_quality     the server calls the value Bad or Uncertain; the code is in the log
    bad_payload     the value is no number
    not_a_number    NaN or an infinity
    unknown_node    the server has no such node or namespace
    overflow        the server's queue was full: values before the next reading are lost
    timeout         connected, no answer in time
    not_connected   no session with the server
    failed          the server refused to read at all
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress

from asyncua import ua

from collectors.base import Clock, Sink, WallClock
from collectors.lines.schedule import Schedule
from collectors.opcua.client import ReadOnlyClient
from collectors.opcua.keys import certified, password_of
from collectors.opcua.meters import Watched, node_id_of, opcua_connection, watched_meters
from collectors.opcua.outcomes import UNKNOWN_NODE, Outcomes
from collectors.opcua.subscription import Subscription
from collectors.opcua.values import Sample, code_name, sample_of, time_us
from config.errors import CollectError, ConnectFailed
from config.site import Site
from config.tables import Reading

log = logging.getLogger("kgce.collectors.opcua")

OVERFLOW = "overflow"
LONGEST_PUBLISHING_S = 5.0  # a change of a slow meter is not kept waiting for long
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # before a new attempt to connect
STEADY_S = 10.0  # a session that lasted so long ends a series of failures
LOOK_S = 1.0


class OpcUaCollector:
    """Takes the values of one server. One subscription for each interval of its meters."""

    def __init__(
        self, site: Site, connection_id: str, sink: Sink, clock: Clock | None = None
    ) -> None:
        """Raises ConfigError for node ids and files that cannot be used."""
        self._settings = opcua_connection(site, connection_id)
        place = f"connection {connection_id}"
        self._password = password_of(site.folder, self._settings, place)
        self._certified = certified(site.folder, self._settings, place)
        self._meters = watched_meters(site, connection_id)
        self._by_handle = {meter.handle: meter for meter in self._meters}
        self._id = connection_id
        self._clock: Clock = clock or WallClock()
        self._client: ReadOnlyClient | None = None
        self._subscriptions: dict[float, Subscription] = {}
        self._trouble: CollectError = ConnectFailed("not connected yet")
        self._tried = asyncio.Event()
        self._taking = False
        self._handing_over: set[asyncio.Task[None]] = set()
        self._outcomes = Outcomes(connection_id, sink)
        self.health = self._outcomes.health
        self.stats = self._outcomes.stats

    async def run(self) -> None:
        """Read until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stay_connected())
                for interval_s in sorted({meter.interval_s for meter in self._meters}):
                    tasks.create_task(self._run_interval(interval_s))
        finally:
            self._forget_what_waits()
            self.health.state = "stopped"

    def _forget_what_waits(self) -> None:
        for task in self._handing_over:
            task.cancel()
        if self._handing_over:
            log.warning("%s: the sink is full; what the server reported is lost", self._id)

    async def _stay_connected(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            since_s = time.monotonic()
            self._trouble = await self._serve_session()
            self._outcomes.tell("down", str(self._trouble))
            self._tried.set()
            if time.monotonic() - since_s > STEADY_S:
                wait_s = FIRST_WAIT_S
            await asyncio.sleep(wait_s * random.uniform(0.75, 1.25))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _serve_session(self) -> CollectError:
        """One session from its beginning to its end; why it ended."""
        client = ReadOnlyClient(self._settings, self._password, self._certified)
        try:
            await client.connect()
            self.stats.connects += 1
            await self._subscribe(client)
            self._client = client
            self._outcomes.tell("up")
            self._tried.set()
            return await self._until_over(client)
        except CollectError as error:
            return error
        finally:
            self._client = None
            self._subscriptions.clear()
            await client.close()

    async def _until_over(self, client: ReadOnlyClient) -> CollectError:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await client.lost.wait()
                return ConnectFailed(f"{self._settings.peer}: {client.why_lost}")
            subscriptions = self._subscriptions.values()
            if self._taking:
                continue  # nothing is asked of the server while the sink is full
            if any(one.is_dead() for one in subscriptions):
                client.give_up("no sign of life of the subscription")

    async def _subscribe(self, client: ReadOnlyClient) -> None:
        """Watch every node; one that the server does not take is tried again at each tick."""
        namespaces = []
        if any(meter.node.namespace_uri is not None for meter in self._meters):
            namespaces = await client.namespaces()
        for meter in self._meters:
            meter.begin()
            meter.node_id = node_id_of(meter.node, namespaces)
        self._subscriptions.clear()
        for interval_s in sorted({meter.interval_s for meter in self._meters}):
            await self._subscribe_interval(client, interval_s)

    async def _subscribe_interval(self, client: ReadOnlyClient, interval_s: float) -> None:
        ready = asyncio.Event()  # a report may come before the answer that names its subscription

        async def on_publish(result: ua.PublishResult) -> None:
            await ready.wait()
            await self._take(client, interval_s, result)

        granted = await client.subscribe(min(interval_s, LONGEST_PUBLISHING_S), on_publish)
        self._subscriptions[interval_s] = Subscription(granted)
        ready.set()
        await self._monitor(client, interval_s)

    async def _monitor(self, client: ReadOnlyClient, interval_s: float) -> None:
        """Monitor the nodes of an interval that are not monitored."""
        meters = [m for m in self._meters if m.interval_s == interval_s and not m.monitored]
        items = [(meter.handle, meter.node_id) for meter in meters if meter.node_id is not None]
        if not items:
            return
        subscription_id = self._subscriptions[interval_s].granted.id
        results = await client.monitor(subscription_id, items, interval_s)
        for (handle, _), result in zip(items, results, strict=True):
            meter = self._by_handle[handle]
            meter.monitored = not result.refused
            if meter.monitored:
                self._outcomes.note_sampling(meter, result.sampling_s)

    async def _take(
        self, client: ReadOnlyClient, interval_s: float, result: ua.PublishResult
    ) -> None:
        """Hand over what was published. While this waits, the server keeps what comes after."""
        subscription = self._subscriptions.get(interval_s)
        if subscription is None:
            return
        message, arrived_us = result.NotificationMessage, self._clock.now_us()
        self._taking, begun_s = True, time.monotonic()
        try:
            if message.NotificationData and subscription.missed(int(message.SequenceNumber)):
                # A new session begins with every node's value.
                client.give_up("a message of the server did not come")
            published_us = time_us(message.PublishTime) or arrived_us
            for notification in message.NotificationData or []:
                if isinstance(notification, ua.DataChangeNotification):
                    await self._take_changes(notification.MonitoredItems, published_us)
                elif isinstance(notification, ua.StatusChangeNotification):
                    client.give_up(f"the server ended it: {code_name(notification.Status.value)}")
        except Exception as error:
            log.exception("%s: in what the server reported", self._id)
            client.give_up(f"{type(error).__name__}: {error}")  # asyncua would pass over it
        finally:
            self._taking = False
            waited = time.monotonic() - begun_s > LOOK_S
            for one in self._subscriptions.values() if waited else (subscription,):
                one.hear()

    async def _take_changes(self, items: list[ua.MonitoredItemNotification], now_us: int) -> None:
        readings: list[Reading] = []
        for item in items:
            meter = self._by_handle.get(item.ClientHandle)
            if meter is None or item.Value is None:
                continue
            sample = sample_of(item.Value)
            at_us = meter.reported_us(sample, now_us)
            self._outcomes.note(meter, sample)
            if at_us is None:
                continue
            meter.heard = True
            if sample.overflow:
                readings.append(self._outcomes.reading(meter, at_us - 1, OVERFLOW))
            readings.append(self._outcomes.reading_of(meter, sample, at_us))
        # It goes on when the session ends meanwhile: these changes are not reported again.
        task = asyncio.create_task(self._outcomes.hand_over(readings))
        self._handing_over.add(task)
        task.add_done_callback(self._handing_over.discard)
        await asyncio.shield(task)

    async def _run_interval(self, interval_s: float) -> None:
        await self._tried.wait()
        schedule = Schedule(interval_s, self._clock)
        meters = [meter for meter in self._meters if meter.interval_s == interval_s]
        while True:
            due = await schedule.next_due()
            self.stats.ticks += 1
            self.stats.skipped_ticks += len(due.missed)
            due_us = schedule.time_us(due.tick)
            self.stats.lag.add(max(0.0, (self._clock.now_us() - due_us) / 1e6))
            quiet = [meter for meter in meters if not meter.heard]
            for meter in meters:
                meter.heard = False
            if quiet:
                await self._outcomes.hand_over(await self._read(quiet, interval_s, due_us))

    async def _read(self, meters: list[Watched], interval_s: float, due_us: int) -> list[Reading]:
        """One reading of each meter of which nothing was heard since the last tick."""
        client = self._client
        if client is None:
            return self._failed(meters, due_us, self._trouble)
        known = [(meter, meter.node_id) for meter in meters if meter.node_id is not None]
        begun_s, asked_us = time.monotonic(), self._clock.now_us()
        try:
            answer = await client.read([node_id for _, node_id in known])
        except CollectError as error:
            client.give_up(error.given.removeprefix(f"{self._settings.peer}: "))
            return self._failed(meters, due_us, error)
        self.stats.latency.add(time.monotonic() - begun_s)
        readings = [
            reading
            for (meter, _), sample in zip(known, answer.samples, strict=True)
            if (reading := self._reading_of(meter, sample, answer.server_now_us or asked_us))
        ]
        for meter in meters:
            if meter.node_id is None:
                why = f"no namespace {meter.node.namespace_uri}"
                self._outcomes.note_status(meter, UNKNOWN_NODE, why)
                readings.append(self._outcomes.reading(meter, due_us, UNKNOWN_NODE))
        if any(not m.monitored and not self._outcomes.is_wrong(m) for m, _ in known):
            with suppress(CollectError):  # told by the next read, if it lasts
                await self._monitor(client, interval_s)
        return readings

    def _reading_of(self, meter: Watched, sample: Sample, now_us: int) -> Reading | None:
        self._outcomes.note(meter, sample)
        at_us = meter.read_us(sample, now_us)
        return None if at_us is None else self._outcomes.reading_of(meter, sample, at_us)

    def _failed(self, meters: list[Watched], at_us: int, error: CollectError) -> list[Reading]:
        return [self._outcomes.reading(meter, at_us, error.status) for meter in meters]
