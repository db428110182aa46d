"""MCP over HTTP on the loopback address, for any number of clients that show a key or the workspace's token."""

from __future__ import annotations

import functools
import hmac
import json
import logging
import os
import signal
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread
import uvicorn
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from core.agentfs.agentfs import AgentFS
from core.agentfs.identification import agent_with_key
from core.errors import BailiwickError, Unreachable
from core.serving.caller import Identity
from core.serving.mcp_server import Context, make_server
from core.serving.toolbox import Toolbox

_log = logging.getLogger(__name__)
HOST = "127.0.0.1"
PATH = "/mcp"
AGENT_HEADER = "bailiwick-agent"
MOST_SESSIONS = 256
GRACE_SECONDS = 2
_SESSION_HEADER = "mcp-session-id"
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_IDENTITY = "bailiwick.identity"


def open_port(port: int) -> socket.socket:
    """Listen on a port of the loopback address, on any free one for 0. Raises Unreachable when it is taken."""
    # Where the protocol is left to be guessed, asyncio lets small answers wait for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise Unreachable(
            f"Nothing can listen on port {port} of {HOST} ({os.strerror(error.errno or 0)}).", "Name another: --port N."
        ) from None
    return listener


def serve_http(
    agentfs: AgentFS,
    token: str,
    toolbox: Callable[[Identity], Toolbox],
    listener: socket.socket,
    ending: Callable[[], None],
) -> None:
    """Answer on ``listener`` until a signal comes; ``ending`` is called when it did.

    ``toolbox`` makes the tools of whoever is told, once for each session; who neither shows ``token`` nor an agent's
    key is turned away.
    """
    port = listener.getsockname()[1]
    sessions = _Sessions(toolbox)
    names = [f"{HOST}:{port}", f"localhost:{port}"]
    app = make_server(sessions.toolbox_of).streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        max_sessions=MOST_SESSIONS,
        transport_security=TransportSecuritySettings(allowed_hosts=names, allowed_origins=[]),
    )
    gate = _Gate(app, agentfs, token, frozenset(names))
    server = _Server(
        uvicorn.Config(
            gate,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )

    async def serve() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_on_signal)
            await server.serve([listener])
            tasks.cancel_scope.cancel()

    async def end_on_signal() -> None:
        wanted = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        with anyio.open_signal_receiver(*wanted) as signals:
            async for _ in signals:
                ending()
                server.should_exit = True

    anyio.run(serve)
    sessions.end()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever runs this server."""
        yield


class _Sessions:
    """The tools of each MCP session; without sessions, of each agent that shows its key."""

    def __init__(self, make: Callable[[Identity], Toolbox]) -> None:
        self._make = make
        self._kept: OrderedDict[tuple[str, str, str], Toolbox] = OrderedDict()

    async def toolbox_of(self, context: Context) -> Toolbox:
        """The tools of the session that a request belongs to, which the protocol's library has checked is its own."""
        request = context.request
        assert isinstance(request, Request)
        identity: Identity = request.scope[_IDENTITY]
        session = request.headers.get(_SESSION_HEADER, "")
        key = (session, identity.agent, identity.key)
        if not session and not identity.agent:
            return self._make(identity)
        if (known := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return known
        made = self._kept[key] = self._make(identity)
        while len(self._kept) > MOST_SESSIONS:
            self._kept.popitem(last=False)[1].leave()
        return made

    def end(self) -> None:
        """Every connection has ended."""
        for toolbox in self._kept.values():
            toolbox.leave()


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    rule: str
    sentence: str


class _Gate:
    """Lets a request through with who it is from: to its own address, from no web page, with a key or the token."""

    def __init__(self, app: ASGIApp, agentfs: AgentFS, token: str, names: frozenset[str]) -> None:
        self._app = app
        self._agentfs = agentfs
        self._token = token.encode()
        self._names = names
        self._lock = threading.Lock()
        self._recorded: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        checked = self._checked(request)
        if isinstance(checked, _Refusal):
            await anyio.to_thread.run_sync(functools.partial(self._record, _peer(request), checked))
            await _refuse(send, checked)
            return
        # The library lets a session be used by the one it was begun by alone, whom it knows by this name.
        whose = AccessToken(token="", client_id=checked.key and checked.agent, scopes=[])
        scope["user"] = AuthenticatedUser(whose)
        scope[_IDENTITY] = checked
        await self._app(scope, receive, send)

    def _checked(self, request: Request) -> Identity | _Refusal:
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or hosts[0].strip().lower() not in self._names:
            return _Refusal(403, "host", "This server answers to its own address only.")
        if "origin" in request.headers:
            return _Refusal(403, "origin", "This server does not answer to web pages.")
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        shown = shown.strip()
        lasting = bool(request.headers.get(_SESSION_HEADER))
        if scheme.lower() == "bearer" and shown:
            if hmac.compare_digest(shown.encode("utf-8", "replace"), self._token):
                claimed = request.headers.get(AGENT_HEADER, "")
                return Identity(claimed, peer=_peer(request), lasting=lasting)
            if (agent := agent_with_key(self._agentfs, shown)) is not None:
                return Identity(agent.id, shown, peer=_peer(request), lasting=lasting)
        return _Refusal(401, "token", "The key or token is missing or wrong.")

    def _record(self, peer: str, refusal: _Refusal) -> None:
        moment = time.monotonic()
        with self._lock:
            if moment - self._recorded.get(refusal.rule, -1.0) < 1.0:
                return
            self._recorded[refusal.rule] = moment
        try:
            self._agentfs.permissions.refuse_peer(peer, refusal.rule, refusal.sentence)
        except BailiwickError:
            _log.warning("a refusal could not be recorded", exc_info=True)


def _peer(request: Request) -> str:
    return request.client.host if request.client is not None else ""


async def _refuse(send: Send, refusal: _Refusal) -> None:
    body = json.dumps({"error": refusal.sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
