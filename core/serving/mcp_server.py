"""The Model Context Protocol's side of the tools: lists them and passes calls on.

Only ``bailiwick mcp`` imports this file and its transports: the library takes half a second and 65 MB.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError

from core import __version__
from core.serving.tool_calls import Outcome, perform, tools
from core.serving.toolbox import Toolbox

NAME = "bailiwick"
INSTRUCTIONS = (
    "Shared memory, messages and documentation of the agents on this machine. Call `register` once with a name of your"
    " own. `search` before you guess how a library works; `lease` what you change; look into `inbox` now and then;"
    " `note` what others should know."
)
_READ_ONLY = frozenset({"state_get", "state_list", "search", "show", "conflicts"})
# These may wait for an engine that starts; everything else of a connection is done in the order in which it came.
_UNORDERED = frozenset({"search", "show"})
THREADS = 8

Context = ServerRequestContext[Any, Any]
ToolboxOf = Callable[[Context], Awaitable[Toolbox]]
"""The tools of the connection that a request came from."""


def make_server(toolbox_of: ToolboxOf) -> Server[Any]:
    """The server, for any transport."""
    listed = [_listed(name) for name in tools()]
    calls = _Calls(toolbox_of)

    async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    return Server(
        NAME, version=__version__, instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=calls.call
    )


class _Calls:
    def __init__(self, toolbox_of: ToolboxOf) -> None:
        self._toolbox_of = toolbox_of
        self._turns: WeakKeyDictionary[Toolbox, anyio.Lock] = WeakKeyDictionary()
        self._threads: anyio.CapacityLimiter | None = None

    async def call(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        if params.name not in tools():
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name[:40]!r}.")
        toolbox = await self._toolbox_of(context)
        if (client := context.session.client_params) is not None:
            toolbox.introduce(client.client_info.name, client.client_info.version)
        job = functools.partial(perform, toolbox, params.name, params.arguments or {})
        if params.name in _UNORDERED:
            return _result(await self._in_thread(job))
        async with self._turns.setdefault(toolbox, anyio.Lock()):
            return _result(await self._in_thread(job))

    async def _in_thread(self, job: Callable[[], Outcome]) -> Outcome:
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(THREADS)
        return await anyio.to_thread.run_sync(job, limiter=self._threads)


def _listed(name: str) -> types.Tool:
    shape = tools()[name]
    return types.Tool(
        name=name,
        description=shape.description,
        input_schema=dict(shape.takes),
        output_schema=dict(shape.answers),
        annotations=types.ToolAnnotations(read_only_hint=True) if name in _READ_ONLY else None,
    )


def _result(outcome: Outcome) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text=outcome.text)],
        structured_content=dict(outcome.document),
        is_error=outcome.failed,
    )
