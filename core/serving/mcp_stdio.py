"""MCP over standard input and output, one JSON message a line, for the one client that started this process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from core.serving.mcp_server import make_server
from core.serving.toolbox import Toolbox

LARGEST_LINE = 8 * 1024 * 1024
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_CHUNK = 256 * 1024
_LOOK_SECONDS = 0.02


class _NotUnderstood(Exception):
    """A line that is no message, with the protocol's code for that."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def serve_stdio(toolbox: Toolbox, ending: Callable[[], None]) -> None:
    """Answer until the client closes standard input or a signal comes; ``ending`` is called when one of these did.

    Meanwhile nothing else in this process can read the client's messages or write between them.
    """
    wire_in, wire_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    anyio.run(_serve, toolbox, wire_in, wire_out, ending)
    toolbox.leave()


async def _serve(toolbox: Toolbox, wire_in: int, wire_out: int, ending: Callable[[], None]) -> None:
    async def the_toolbox(_: object) -> Toolbox:
        return toolbox

    server = make_server(the_toolbox)
    incoming, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write_stream, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    unanswered: set[types.RequestId] = set()

    async def read() -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await take_in()

    async def take_in() -> None:
        async with incoming:
            async for line in _lines(wire_in):
                try:
                    message = _message(line)
                except _NotUnderstood as told:
                    error = types.ErrorData(code=told.code, message=str(told))
                    await write_stream.send(SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=None, error=error)))
                else:
                    _note_request(message, unanswered)
                    await incoming.send(SessionMessage(message))
            ending()
            # Who writes its requests and closes at once still hears what came of them.
            while unanswered:
                await anyio.sleep(_LOOK_SECONDS)

    async def write() -> None:
        async for each in outgoing:
            text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                await anyio.to_thread.run_sync(_write, wire_out, text.encode() + b"\n")
            except OSError:
                # A client that went away while it was being answered needs no answer.
                tasks.cancel_scope.cancel()
            if isinstance(each.message, types.JSONRPCResponse | types.JSONRPCError):
                unanswered.discard(each.message.id)

    async def end_on_signal() -> None:
        wanted = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        with anyio.open_signal_receiver(*wanted) as signals:
            async for _ in signals:
                ending()
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(end_on_signal)
        tasks.start_soon(write)
        tasks.start_soon(read)
        await server.run(read_stream, write_stream, server.create_initialization_options())
        tasks.cancel_scope.cancel()


def _note_request(message: types.JSONRPCMessage, unanswered: set[types.RequestId]) -> None:
    """Keep count of what has to be answered; what the client cancelled has not."""
    if isinstance(message, types.JSONRPCRequest):
        unanswered.add(message.id)
    elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
        cancelled = (message.params or {}).get("requestId")
        if isinstance(cancelled, str | int):
            unanswered.discard(cancelled)


async def _lines(descriptor: int) -> AsyncIterator[bytes]:
    """The lines that come in, as soon as they do; of one that is too long only the end is given, which is no JSON."""
    kept = b""
    while True:
        # A regular file is always ready, and cannot be waited for.
        with suppress(PermissionError):
            await anyio.wait_readable(descriptor)
        data = os.read(descriptor, _CHUNK)
        if not data:
            if kept.strip():
                yield kept
            return
        *whole, rest = data.split(b"\n")
        for line in whole:
            line, kept = kept + line, b""
            if line.strip():
                yield line
        kept += rest
        if len(kept) > LARGEST_LINE:
            kept = b"!"


def _message(line: bytes) -> types.JSONRPCMessage:
    """What the client said; raises _NotUnderstood."""
    try:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        told = error.errors(include_input=False, include_url=False)
        if any(each["type"] == "json_invalid" for each in told):
            raise _NotUnderstood(types.PARSE_ERROR, "This is not JSON.") from None
        raise _NotUnderstood(types.INVALID_REQUEST, "This is no JSON-RPC message.") from None
    if isinstance(message, types.JSONRPCNotification) and b'"id"' in line and "id" in json.loads(line):
        raise _NotUnderstood(types.INVALID_REQUEST, "The id of this request is neither a text nor a whole number.")
    return message


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
