"""One connection to the door: who may speak, how much, and how refusals read."""

from __future__ import annotations

import hmac
import json
import logging
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import BaseServer, TCPServer
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.serving.wire import encode_error

if TYPE_CHECKING:
    from core.serving.door import Door

_log = logging.getLogger(__name__)
LARGEST_BODY = 1024 * 1024
IDLE_SECONDS = 15.0
_LARGEST_DRAIN = 8 * LARGEST_BODY


class Connection:
    """An open connection; ``busy`` while it waits for an answer to a call whose sender knew the token."""

    def __init__(self, stream: socket.socket) -> None:
        self.busy = False
        self._stream = stream

    def cut(self) -> None:
        """Break it off, from any thread."""
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)


class Listener(HTTPServer):
    """Listens on a port of 127.0.0.1 that the system chooses."""

    request_queue_size = 64

    def __init__(self, door: Door) -> None:
        self.door = door
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of the host's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection on a thread of its own, if the door has room for it."""
        connection = Connection(request)
        if not self.door.admit(connection):
            self.shutdown_request(request)
            return
        threading.Thread(
            target=self._serve, args=(request, client_address, connection), name="door-connection", daemon=True
        ).start()

    def _serve(self, request: socket.socket, address: Any, connection: Connection) -> None:
        try:
            _Handler(request, address, self, connection)
        except OSError:
            _log.debug("a connection broke")
        except Exception:  # noqa: BLE001 - one connection's fault is logged and costs that connection
            _log.exception("a connection to the door failed")
        finally:
            self.shutdown_request(request)
            self.door.leave(connection)


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1 with one client until either side has enough."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1

    def __init__(self, request: Any, address: Any, server: BaseServer, connection: Connection) -> None:
        assert isinstance(server, Listener)
        self._door = server.door
        self._this = connection
        self._names = (f"127.0.0.1:{server.server_port}", f"localhost:{server.server_port}")
        super().__init__(request, address, server)

    def do_POST(self) -> None:
        """Answer one call."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else -1
        refusal = self._refusal(size)
        if refusal is not None:
            status, sentence, rule = refusal
            if rule:
                self._door.refused(f"{self.client_address[0]}:{self.client_address[1]}", rule, sentence)
            self._refuse(status, sentence)
            self._drain(size)
            return
        if not self._door.begin(self._this):
            self.close_connection = True
            return
        try:
            body = self.rfile.read(size)
            if len(body) == size:
                self._send(*self._door.answer(self.path.removeprefix("/"), body))
        finally:
            self._door.end(self._this)

    def _refusal(self, size: int) -> tuple[HTTPStatus, str, str] | None:
        """The status, the sentence and the rule; a rule is named where it is the sender that is turned away."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].strip().lower() not in self._names:
            return HTTPStatus.FORBIDDEN, "This door answers to its own address only.", "host"
        if "Origin" in self.headers:
            return HTTPStatus.FORBIDDEN, "This door does not answer to web pages.", "origin"
        given = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._door.token.encode()):
            return HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.", "token"
        if size < 0 or "Transfer-Encoding" in self.headers:
            return HTTPStatus.BAD_REQUEST, "The length of the body is not given.", ""
        if size > LARGEST_BODY:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is larger than 1 MiB.", ""
        return None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """In place of the HTML page that would quote the request."""
        self._refuse(HTTPStatus(code), "The request is not understood.")

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self.close_connection = True
        self._send(status, encode_error(InvalidInput(sentence)))

    def _send(self, status: int, document: object) -> None:
        data = json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _drain(self, size: int) -> None:
        """Take what is still being sent, within bounds: closing on it would take the answer away from the sender."""
        self.connection.settimeout(1)
        left = min(size, _LARGEST_DRAIN)
        with suppress(OSError):
            while left > 0 and (chunk := self.rfile.read(min(left, 65_536))):
                left -= len(chunk)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Say nothing: requests may quote what was asked."""
