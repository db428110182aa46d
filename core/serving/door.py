"""The engine's local door: HTTP and JSON on loopback, for processes that know the token in ``engine.json``."""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from core.errors import BailiwickError, InvalidInput, Unreachable
from core.serving.calls import CallShape, shapes
from core.serving.connection import Connection, Listener
from core.serving.wire import WireError, encode, encode_error

_log = logging.getLogger(__name__)
MOST_CONNECTIONS = 32
CLOSE_SECONDS = 2.0
CRASHED = 70


class Door:
    """Answers calls on ``127.0.0.1:port`` from construction to ``close``, to whoever knows ``token``.

    At most 32 connections are open, each on a daemon thread of its own; when one more comes, the one that has been idle
    the longest makes room. All methods are safe from any thread.
    """

    def __init__(
        self, *offers: tuple[type, object], refused: Callable[[str, str, str], None] = lambda peer, rule, reason: None
    ) -> None:
        """Open; each offer is a protocol of calls and the object whose methods answer them.

        ``refused`` hears of who was turned away at the door itself: its address, the rule, and the reason.
        """
        self.refused = refused
        self.token = secrets.token_urlsafe(32)
        self._calls: dict[str, tuple[CallShape, Callable[..., Any]]] = {
            name: (shape, getattr(target, name))
            for protocol, target in offers
            for name, shape in shapes(protocol).items()
        }
        self._changed = threading.Condition()
        self._connections: dict[Connection, float] = {}
        self._closing = False
        self._listener = Listener(self)
        self.port: int = self._listener.server_port
        self._thread = threading.Thread(target=self._accept, name="door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept nothing more, let calls under way end, two seconds at most, and drop every connection."""
        with self._changed:
            self._closing = True
        # Nothing else wakes a thread that waits for a connection, on every system.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._thread.join(CLOSE_SECONDS)
        self._wait_until(lambda: not any(each.busy for each in self._connections))
        with self._changed:
            for connection in self._connections:
                connection.cut()
        self._wait_until(lambda: not self._connections)

    def _accept(self) -> None:
        with self._listener:
            while not self._closing:
                try:
                    self._listener.handle_request()
                except Exception:  # noqa: BLE001 - one caller that cannot be let in must shut nobody out
                    _log.exception("a connection could not be accepted")
                    time.sleep(0.1)

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(reached, CLOSE_SECONDS)

    def admit(self, connection: Connection) -> bool:
        """Whether a new connection is to be served."""
        with self._changed:
            if self._closing:
                return False
            if len(self._connections) >= MOST_CONNECTIONS:
                idle = [each for each in self._connections if not each.busy]
                if not idle:
                    return False
                oldest = min(idle, key=self._connections.__getitem__)
                del self._connections[oldest]
                oldest.cut()
            self._connections[connection] = time.monotonic()
        return True

    def begin(self, connection: Connection) -> bool:
        """Whether a call that came in is to be answered; its sender knew the token."""
        with self._changed:
            connection.busy = connection in self._connections and not self._closing
            return connection.busy

    def end(self, connection: Connection) -> None:
        """The call that began was answered."""
        with self._changed:
            connection.busy = False
            if connection in self._connections:
                self._connections[connection] = time.monotonic()
            self._changed.notify_all()

    def leave(self, connection: Connection) -> None:
        """The connection ended."""
        with self._changed:
            self._connections.pop(connection, None)
            self._changed.notify_all()

    def answer(self, name: str, body: bytes) -> tuple[int, object]:
        """Run a call; the answer is the status and the document to send back."""
        if name not in self._calls:
            return _refusal(HTTPStatus.NOT_FOUND, Unreachable("The engine knows no such call.", _VERSIONS))
        shape, function = self._calls[name]
        try:
            arguments = shape.read(_parsed(body))
        except WireError as error:
            return _refusal(HTTPStatus.BAD_REQUEST, InvalidInput(f"The call does not fit: {error}."))
        except BailiwickError as error:
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, error)
        try:
            return HTTPStatus.OK, encode(function(**arguments))
        except BailiwickError as error:
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, error)
        except Exception as error:  # noqa: BLE001 - the caller gets a sentence, the log the rest
            _log.error("the call %s failed", name, exc_info=error)
            fault = BailiwickError(
                f"Something broke inside the engine ({type(error).__name__}).", "Its log tells more."
            )
            fault.exit_code = CRASHED
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, fault)


_VERSIONS = "It may be another version of Bailiwick: end it and start it again."


def _refusal(status: HTTPStatus, error: BailiwickError) -> tuple[int, object]:
    from core.privacy import scrub

    error.message, error.hint = scrub(error.message), scrub(error.hint)
    return status, encode_error(error)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise WireError("the body is not JSON") from None
