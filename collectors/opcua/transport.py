"""asyncua's client, made unable to write: any request that does not read is refused before it is
encoded."""

from __future__ import annotations

import logging
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient
from asyncua.common.shortcuts import Shortcuts
from asyncua.common.utils import Buffer

from config.errors import CollectError

logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # trouble is logged by us, and once

SESSION_S = 120.0  # a server keeps the session of a daemon that was killed so long
_NO_WATCHDOG_S = 1e6
_READING = (
    ua.GetEndpointsRequest,
    ua.CreateSessionRequest,
    ua.ActivateSessionRequest,
    ua.CloseSessionRequest,
    ua.ReadRequest,
    ua.CreateSubscriptionRequest,
    ua.CreateMonitoredItemsRequest,
    ua.PublishRequest,
)


class _ReadingTransport(UaClient):
    async def _send_request(
        self,
        request: Any,
        timeout: float | None = None,
        message_type: Any = ua.MessageType.SecureMessage,
    ) -> Buffer:
        if not isinstance(request, _READING):
            raise CollectError(f"{type(request).__name__} is not sent: kgce only reads")
        return await super()._send_request(request, timeout, message_type)


class ReadingClient(Client):
    """asyncua's client on a transport that only reads."""

    def __init__(self, url: str, timeout_s: float) -> None:
        super().__init__(url, timeout=timeout_s, watchdog_intervall=_NO_WATCHDOG_S)
        self.uaclient = _ReadingTransport(timeout_s)
        self.uaclient.pre_request_hook = self._wait_until_ready
        self.nodes = Shortcuts(self.uaclient.session)
        self.session_timeout = round(SESSION_S * 1000)
        self.name = self.description = "kgce"
        self.application_uri = "urn:kgce"
        self.product_uri = "urn:kgce"
