"""One session with an OPC UA server: reads, subscriptions, and its end.

asyncua does the protocol, but does not take up a connection again on its own: what was missed
meanwhile would not be counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from collectors.opcua.keys import Certified
from collectors.opcua.reasons import MODES, why_no_session
from collectors.opcua.subscription import Subscribed
from collectors.opcua.transport import ReadingClient
from collectors.opcua.values import Sample, code_name, sample_of, time_us
from config.connections import OpcUa
from config.errors import CollectError, ConnectFailed, ReplyTimeout

logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # trouble is logged here, and once

NODES_PER_CALL = 100  # servers have limits of their own; the smallest seen is 100
QUEUE_SIZE = 10
KEEP_ALIVE_S = 10.0
OnPublish = Callable[[ua.PublishResult], Awaitable[None]]


@dataclass(frozen=True)
class Monitored:
    """What became of one monitored item: the granted sampling in seconds, or a code's name."""

    sampling_s: float
    refused: str


@dataclass(frozen=True)
class Answer:
    """Samples in the order of the question, and the server's clock: microseconds since the
    epoch, UTC, or None where it states none."""

    samples: list[Sample]
    server_now_us: int | None


CONNECT_TIMEOUTS = 10
"""A session takes several answers, each within the time-out; and the question why there is none."""


class ReadOnlyClient:
    """One session with a server. Errors are CollectErrors; ``lost`` is set when it is over,
    and ``why_lost`` says why."""

    def __init__(
        self,
        settings: OpcUa,
        password: str | None = None,
        certified: Certified | None = None,
    ) -> None:
        self._settings = settings
        self._certified = certified
        self._client = ReadingClient(settings.url, settings.timeout_s)
        if settings.username is not None:
            self._client.set_user(settings.username)
            self._client.set_password(password or "")
        if certified is not None and certified.application_uri is not None:
            self._client.application_uri = certified.application_uri
        self.lost = asyncio.Event()
        self.why_lost = ""
        self._client.connection_lost_callback = self._on_lost

    async def connect(self) -> None:
        """Raises ConnectFailed, which says what a person can do."""
        within_s = CONNECT_TIMEOUTS * self._settings.timeout_s
        try:
            async with asyncio.timeout(within_s):
                await self._connect()
        except TimeoutError:
            peer = self._settings.peer
            raise ConnectFailed(f"{peer}: no session in {within_s:g} s") from None

    async def _connect(self) -> None:
        try:
            if self._certified is not None:
                await self._secure(self._certified)
            await self._client.connect()
        except Exception as error:
            # asyncua passes on whatever its parser, OpenSSL or the socket raise.
            reason = await why_no_session(error, self._settings, self._certified)
            raise ConnectFailed(f"{self._settings.peer}: {reason}") from error

    async def _secure(self, certified: Certified) -> None:
        await self._client.set_security(
            SecurityPolicyBasic256Sha256,
            CertProperties(certified.certificate, "der"),
            CertProperties(certified.key, "pem" if certified.key_is_pem else "der"),
            server_certificate=CertProperties(certified.server_certificate, "der"),
            mode=MODES[self._settings.security],
        )

    async def namespaces(self) -> list[str]:
        """The server's namespace URIs by index. Raises CollectError."""
        node = ua.NodeId(ua.Int32(ObjectIds.Server_NamespaceArray))
        value = (await self._read([node])).Results[0].Value
        return [str(uri) for uri in value.Value] if value and value.Value else []

    async def read(self, nodes: Sequence[ua.NodeId]) -> Answer:
        """What the nodes hold now, each node judged alone. Raises CollectError."""
        samples: list[Sample] = []
        server_now_us = None
        for start in range(0, len(nodes), NODES_PER_CALL):
            some = nodes[start : start + NODES_PER_CALL]
            response = await self._read(some)
            samples += [sample_of(data) for data in response.Results]
            # The first one: values of a later answer were true at that time too, or are newer.
            server_now_us = server_now_us or time_us(response.ResponseHeader.Timestamp)
        return Answer(samples, server_now_us)

    async def _read(self, nodes: Sequence[ua.NodeId]) -> Any:
        request = ua.ReadRequest()
        request.Parameters.MaxAge = 0.0
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        for node in nodes:
            wanted = ua.ReadValueId()
            wanted.NodeId, wanted.AttributeId = node, AttributeIds.Value
            request.Parameters.NodesToRead.append(wanted)
        response: Any = await self._call(request, ua.ReadResponse)
        if len(response.Results or []) != len(nodes):
            raise CollectError(
                f"{self._settings.peer}: {len(response.Results or [])} values for {len(nodes)}"
            )
        return response

    async def subscribe(self, interval_s: float, on_publish: OnPublish) -> Subscribed:
        """A subscription that is heard of at least every ``quiet_s``. Raises CollectError."""
        keep_alive = max(1, round(KEEP_ALIVE_S / interval_s))
        wanted = ua.CreateSubscriptionParameters()
        wanted.RequestedPublishingInterval = interval_s * 1000
        wanted.RequestedMaxKeepAliveCount = ua.UInt32(keep_alive)
        wanted.RequestedLifetimeCount = ua.UInt32(10 * keep_alive)
        wanted.MaxNotificationsPerPublish = ua.UInt32(1000)
        granted = await self._told(
            self._client.uaclient.session.create_subscription(wanted, on_publish)
        )
        publishing_s = granted.RevisedPublishingInterval / 1000
        quiet_s = publishing_s * (granted.RevisedMaxKeepAliveCount + 1)
        return Subscribed(granted.SubscriptionId, publishing_s, quiet_s)

    async def monitor(
        self, subscription_id: int, items: Sequence[tuple[int, ua.NodeId]], sampling_s: float
    ) -> list[Monitored]:
        """Watch nodes under handles of ours. Raises CollectError where the server takes none."""
        results: list[Monitored] = []
        for start in range(0, len(items), NODES_PER_CALL):
            wanted = ua.CreateMonitoredItemsParameters()
            wanted.SubscriptionId = ua.UInt32(subscription_id)
            wanted.TimestampsToReturn = ua.TimestampsToReturn.Both
            wanted.ItemsToCreate = [
                _item(handle, node, sampling_s)
                for handle, node in items[start : start + NODES_PER_CALL]
            ]
            results += [
                Monitored(
                    one.RevisedSamplingInterval / 1000,
                    "" if one.StatusCode.is_good() else code_name(one.StatusCode.value),
                )
                for one in await self._told(
                    self._client.uaclient.session.create_monitored_items(wanted)
                )
            ]
        return results

    async def close(self) -> None:
        """End the session, or what is left of it. Takes no longer than the time-out."""
        client, transport = self._client, self._client.uaclient
        politely = not self.lost.is_set()
        if not politely:
            self._abort()
            await asyncio.sleep(0)
        # Ends asyncua's tasks too. Whatever a dying connection raises, it is over.
        with suppress(Exception):
            async with asyncio.timeout(self._settings.timeout_s):
                await client.disconnect()
        self._abort()
        publishing = transport.session._publish_task
        if publishing is not None:
            publishing.cancel()
            # Not awaited without end: a task of a library may not hear that it is cancelled.
            await asyncio.wait({publishing}, timeout=self._settings.timeout_s)

    def _abort(self) -> None:
        protocol = self._client.uaclient.protocol
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abort()

    def give_up(self, why: str) -> None:
        """This session is of no use any more."""
        if not self.lost.is_set():
            self.why_lost = why
            self.lost.set()

    async def _on_lost(self, _error: Exception) -> None:
        self.give_up("the connection was lost")

    async def _call(self, request: Any, kind: type[Any]) -> Any:
        async def call() -> Any:
            data = await self._client.uaclient._send_request(request)
            response: Any = struct_from_binary(kind, data)
            response.ResponseHeader.ServiceResult.check()
            return response

        return await self._told(call())

    async def _told(self, answer: Awaitable[Any]) -> Any:
        """The answer; raises CollectError instead of whatever asyncua raises."""
        peer = self._settings.peer
        try:
            return await answer
        except CollectError:
            raise
        except TimeoutError as error:
            raise ReplyTimeout(f"{peer}: no answer in {self._settings.timeout_s:g} s") from error
        except UaStatusCodeError as error:
            raise CollectError(f"{peer}: the server says {code_name(error.code)}") from error
        except Exception as error:
            raise ConnectFailed(f"{peer}: {error or type(error).__name__}") from error


def _item(handle: int, node: ua.NodeId, sampling_s: float) -> ua.MonitoredItemCreateRequest:
    item = ua.MonitoredItemCreateRequest()
    item.ItemToMonitor.NodeId = node
    item.ItemToMonitor.AttributeId = AttributeIds.Value
    item.MonitoringMode = ua.MonitoringMode.Reporting
    item.RequestedParameters.ClientHandle = ua.UInt32(handle)
    item.RequestedParameters.SamplingInterval = sampling_s * 1000
    item.RequestedParameters.QueueSize = ua.UInt32(QUEUE_SIZE)
    item.RequestedParameters.DiscardOldest = True
    return item
