"""The HTTP server of the metrics: one path, read only, on threads of its own."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from app.metrics_text import CONTENT_TYPE, text_of
from config.errors import InputError
from config.models import Metrics

log = logging.getLogger("kgce.metrics")

PATH = "/metrics"
REQUEST_S = 10.0


class MetricsServer:
    """Shows what a Prometheus collector collects. ``start`` once, then ``close``."""

    def __init__(self, settings: Metrics) -> None:
        self._settings = settings
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._settings.port}{PATH}"

    def start(self, collector: Collector) -> None:
        """Raises InputError where nothing can listen at the address."""
        registry = CollectorRegistry()
        registry.register(collector)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        try:
            self._server = _Server(self._settings.host, self._settings.port, registry)
        except OSError as error:
            raise self._explained(error) from error
        serve = self._server.serve_forever
        threading.Thread(target=serve, name="kgce-metrics", daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _explained(self, error: OSError) -> InputError:
        taken = error.errno == errno.EADDRINUSE
        return InputError(
            f"metrics: cannot listen at {self._settings.host}:{self._settings.port}: "
            + ("another program does" if taken else f"{error.strerror or error}"),
            allowed="an address of this machine, and a port that is free",
            data="collection goes on, without metrics",
            todo="set another metrics.port" if taken else "correct metrics.host or metrics.port",
        )


class _Server(ThreadingHTTPServer):
    block_on_close = False

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, address = found[0][0], found[0][4]
        self._registry = registry
        self._scraping = threading.Lock()
        self._trouble: str | None = None
        super().__init__((str(address[0]), int(address[1])), _Handler)

    def server_bind(self) -> None:
        # The one between asks the name service who we are, which may take long in a plant.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""

    def page(self) -> bytes:
        """The metrics; one scrape waits for the one before."""
        with self._scraping:
            try:
                return text_of(self._registry.collect())
            except Exception as error:
                if repr(error) != self._trouble:
                    self._trouble = repr(error)
                    log.exception("the metrics cannot be shown")
                raise


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_S  # else a client that says nothing holds a thread for ever

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self.send_error(404, explain=f"The metrics are at {PATH}")
            return
        try:
            body = self.server.page()
        except Exception:
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A scrape every few seconds is no news."""
