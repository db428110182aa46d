"""``bailiwick mcp``: the tools for agents, over the Model Context Protocol."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass

import click

from core.agentfs.agentfs import AgentFS
from core.agentfs.identification import agent_with_key, is_verified, key_in
from core.agentfs.message_log import PERSON
from core.config import load_settings
from core.errors import InvalidInput
from core.model import SearchMode
from core.serving.access_token import TOKEN_FILE, own_token
from core.serving.caller import Caller, Identity
from core.serving.engine_child import EngineChild
from core.serving.toolbox import Toolbox
from core.workspace import Workspace
from tui.commands.acting import AGENT_VARIABLE, KEY_VARIABLE, SESSION_VARIABLE
from tui.commands.mcp_config import DEFAULT_PORT, config
from tui.commands.options import Invocation, common_options
from tui.logs import start_logging

# What is being done when the client leaves may come to its end for so long; what is not committed then was not done.
GRACE_SECONDS = 3.0


@click.group(invoke_without_command=True, no_args_is_help=False)
@click.option("--http", is_flag=True, help="Serve any number of clients on 127.0.0.1 instead of standard input.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, metavar="N")
@click.option("--agent", default="", metavar="NAME", help="The agent that the client is; it registers by itself.")
@click.option("--key-file", default="", metavar="FILE", help="The key that the agent shows.")
@common_options
@click.pass_context
def mcp(context: click.Context, http: bool, port: int, agent: str, key_file: str) -> None:
    """Give agents their tools over MCP: on standard input and output for the client that starts this, or over HTTP.

    A search that finds no engine running starts one, which ends with this process.
    """
    if context.invoked_subcommand is not None:
        return
    invocation = context.ensure_object(Invocation)
    if http and (agent or key_file):
        raise InvalidInput("Over HTTP each client says who it is.", "Leave --agent and --key-file away.")
    os.umask(0o077)
    root = invocation.workspace_folder()
    workspace = Workspace(root, load_settings(root), role="bailiwick mcp", duties=None)
    engine = EngineChild(root, [sys.executable, "-P", "-m", "tui", "serve", "--with-stdin", "--workspace", str(root)])
    try:
        start_logging(root)
        tools = _Tools(workspace, engine)
        if http:
            _serve_http(invocation, workspace, tools, port)
        else:
            _serve_stdio(workspace.agentfs, tools, agent, key_file)
    finally:
        engine.close()
        workspace.close()


@dataclass(frozen=True, slots=True)
class _Tools:
    """Makes the tools of one connection after another."""

    workspace: Workspace
    engine: EngineChild

    def __call__(self, identity: Identity) -> Toolbox:
        mode = SearchMode(self.workspace.config.search.mode)
        return Toolbox(self.workspace, Caller(self.workspace.agentfs, identity), self.engine, default_mode=mode)


def _serve_stdio(agentfs: AgentFS, tools: _Tools, agent: str, key_file: str) -> None:
    identity = _identity(agentfs, agent or os.environ.get(AGENT_VARIABLE, ""), key_file)
    # Imported here: the library takes half a second, and nothing else of the command line needs it.
    from core.serving.mcp_stdio import serve_stdio

    if sys.stdin.isatty():
        Invocation.say("This speaks MCP on standard input: `bailiwick mcp config CLIENT` says how a client starts it.")
    serve_stdio(tools(identity), _end_soon)


def _identity(agentfs: AgentFS, name: str, key_file: str) -> Identity:
    """Who the client is, as far as that can be told before it speaks. Raises InvalidInput for a wrong key."""
    key = key_in(key_file) if key_file else os.environ.get(KEY_VARIABLE, "")
    session = os.environ.get(SESSION_VARIABLE, "")
    if name in ("", PERSON):
        if not key:
            return Identity(own_files=True, session=session)
        known = agent_with_key(agentfs, key)
        if known is None:
            raise InvalidInput("The key shown is no agent's here.", "Name the agent it belongs to with --agent.")
        return Identity(known.id, key, own_files=True, session=session)
    if key:
        is_verified(agentfs.agents, agentfs.agents.get(name), key)
    return Identity(name, key, own_files=True, session=session)


def _serve_http(invocation: Invocation, workspace: Workspace, tools: _Tools, port: int) -> None:
    from core.serving.mcp_http import HOST, PATH, open_port, serve_http

    listener = open_port(port)
    token = own_token(workspace.root)
    url = f"http://{HOST}:{listener.getsockname()[1]}{PATH}"
    token_file = str(workspace.root / TOKEN_FILE)
    Invocation.say(f"Serving MCP at {url} as process {os.getpid()}; the token is in {token_file}. Ctrl+C ends it.")
    invocation.answer({"url": url, "token_file": token_file, "process": os.getpid()}, [])
    sys.stdout.flush()
    serve_http(workspace.agentfs, token, tools, listener, _end_soon)


def _end_soon() -> None:
    """End this process in any case, also when something that was asked for does not come to its end."""
    patience = threading.Timer(GRACE_SECONDS, os._exit, (0,))
    patience.daemon = True
    patience.start()


mcp.add_command(config)
