"""The other side of the door: calls to the engine in another process."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

from core.errors import BailiwickError, Unreachable
from core.serving.wire import WireError, decode_error, not_understood

CONNECT_SECONDS = 5.0
CALL_SECONDS = 30.0
SEARCH_SECONDS = 600.0
KEPT_CONNECTIONS = 4
_NOT_OURS = (401, 403)


class DoorClosed(Unreachable):
    """Nobody answers at this door any more: the engine ended, or another took its place."""


class DoorClient:
    """Calls through one engine's door. Safe from any thread: each call in progress has a connection of its own."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._lock = threading.Lock()
        self._idle: list[HTTPConnection] = []
        self._open: set[HTTPConnection] = set()
        self._closed = False

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Run a call and return the JSON it answered; a connection that broke is tried anew once.

        Raises what the call raised in the engine; DoorClosed; Unreachable when the engine takes too long, or answers
        what this version does not understand.
        """
        body = json.dumps(arguments).encode()
        while True:
            connection, fresh = self._connection()
            try:
                status, data = self._exchange(connection, name, body)
            except TimeoutError:
                self._drop(connection)
                raise Unreachable("The engine takes too long to answer.", "Try again, or end its process.") from None
            except (OSError, HTTPException):
                self._drop(connection)
                if fresh or self._closed:
                    raise DoorClosed("The engine's door is closed.") from None
                continue
            self._put_back(connection)
            return _result(status, data)

    def close(self) -> None:
        """Break off every connection; calls under way raise DoorClosed."""
        with self._lock:
            self._closed = True
            connections, self._open, self._idle = self._open, set(), []
        for connection in connections:
            stream = connection.sock
            if isinstance(stream, socket.socket):
                with suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)

    def _connection(self) -> tuple[HTTPConnection, bool]:
        """A connection, and whether it is a new one."""
        with self._lock:
            if self._closed:
                raise DoorClosed("The engine's door was left.")
            if self._idle:
                return self._idle.pop(), False
            connection = HTTPConnection("127.0.0.1", self._port, timeout=CONNECT_SECONDS)
            self._open.add(connection)
        return connection, True

    def _exchange(self, connection: HTTPConnection, name: str, body: bytes) -> tuple[int, bytes]:
        if connection.sock is None:
            connection.connect()
        if self._closed:
            raise ConnectionAbortedError
        # The model may have to be downloaded before a search is answered.
        connection.sock.settimeout(SEARCH_SECONDS if name == "search" else CALL_SECONDS)
        connection.request("POST", f"/{name}", body, self._headers)
        response = connection.getresponse()
        return response.status, response.read()

    def _put_back(self, connection: HTTPConnection) -> None:
        with self._lock:
            keep = not self._closed and connection.sock is not None and len(self._idle) < KEPT_CONNECTIONS
            if keep:
                self._idle.append(connection)
        if not keep:
            self._drop(connection)

    def _drop(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()


def _result(status: int, data: bytes) -> Any:
    if status in _NOT_OURS:
        raise DoorClosed("Another process answers where the engine was.")
    failure: BailiwickError
    try:
        document = json.loads(data)
        if status == 200:
            return document
        failure = decode_error(document)
    except (ValueError, WireError):
        failure = not_understood()
    raise failure
