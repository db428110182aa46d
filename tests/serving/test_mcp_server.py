"""The tools over MCP: the library's own client in process, over stdio and over HTTP, and older clients' raw lines."""

from __future__ import annotations

import ast
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from tools_at_work import Bench, bench

import core
import tui
from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.engine_lock import EngineLock
from core.serving.mcp_server import INSTRUCTIONS, make_server
from core.serving.tool_calls import tools
from tests.workspace.engines import PATIENCE_SECONDS, until

CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("register", {"name": "nia", "type": "research"}),
    ("heartbeat", {"tool": "grep"}),
    ("state_put", {"key": "plan", "value": {"steps": [1, None]}, "expect": 0}),
    ("state_get", {"key": "plan"}),
    ("state_list", {}),
    ("send", {"to": "nia", "content": "a word with myself"}),
    ("inbox", {}),
    ("lease", {"action": "take", "resource": "src/**"}),
    ("note", {"title": "Kettle", "text": "The kettle boils water."}),
    ("search", {"query": "kettle"}),
    ("session", {"action": "start", "title": "now"}),
)


MALFORMED = (
    ("this is not JSON", -32700),
    ("[1, 2]", -32600),
    ("[" * 100_000, -32700),
    ('{"jsonrpc": "2.0", "id": {}, "method": "ping"}', -32600),
    ('{"jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": {"name": "show", "arguments": [1]}}', -32602),
    ('{"jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": {"arguments": {}}}', -32602),
    ('{"jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": {"name": "\\ud800"}}', -32700),
)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "w") as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace of a server in a process of its own, which has no model."""
    for name, value in {
        "MODEL_ALLOW_DOWNLOAD": "false",
        "MODEL_PATH": str(tmp_path / "no-model"),
        "USER_ID": "ada",
        "AGENTS_MAX_CONCURRENT": "8",
    }.items():
        monkeypatch.setenv(f"BAILIWICK_{name}", value)
    for name in ("AGENT", "AGENT_KEY", "SESSION"):
        monkeypatch.delenv(f"BAILIWICK_{name}", raising=False)
    return tmp_path / "w"


def command(root: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tui", "mcp", *arguments, "--workspace", str(root)]


# In this process


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_librarys_own_client_calls_every_tool(work: Bench, mode: str) -> None:
    toolbox = work.connect().toolbox

    async def the_toolbox(_: object) -> Any:
        return toolbox

    async with Client(make_server(the_toolbox), mode=mode) as client:
        assert client.instructions == INSTRUCTIONS
        listed = (await client.list_tools()).tools
        assert [each.name for each in listed] == list(tools())
        answers = {}
        for name, arguments in CALLS:
            # The client checks what comes back against the schema that the list gave it.
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result.content
            answers[name] = result.structured_content
            assert json.loads(result.content[0].text) == result.structured_content
        shown = await client.call_tool("show", {"id": answers["search"]["hits"][0]["id"]})
        assert shown.structured_content["shown"][0]["text"] == "The kettle boils water."
        lost = await client.call_tool("state_put", {"key": "plan", "value": 1, "expect": 0})
        assert lost.is_error
        assert lost.structured_content["version"] == 1
        assert lost.content[0].text.startswith("plan was expected at version 0, but version 1 is current.")
    assert work.workspace.agentfs.agents.get("nia").client.startswith("mcp")


async def test_calls_of_one_connection_are_done_in_their_order(work: Bench) -> None:
    toolbox = work.connect().toolbox

    async def the_toolbox(_: object) -> Any:
        return toolbox

    import anyio

    async with Client(make_server(the_toolbox), mode="legacy") as client:
        await client.call_tool("register", {"name": "nia"})
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(client.call_tool, "state_put", {"key": "count", "value": number})
                await anyio.lowlevel.checkpoint()
    agentfs, by = work.workspace.agentfs, work.workspace.person
    values = [agentfs.states.value_at("nia", "count", version, by=by) for version in range(1, 13)]
    assert values == list(range(12))


# Standard input and output


class Lines:
    """A client that writes lines and reads lines."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            command(root, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.number = 0

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, method: str, **params: Any) -> Any:
        self.number += 1
        self.write(json.dumps({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}))
        answer = self.read()
        assert answer["id"] == self.number
        return answer

    def call(self, tool: str, /, **arguments: Any) -> Any:
        return self.ask("tools/call", name=tool, arguments=arguments)["result"]

    def greet(self, version: str) -> Any:
        answer = self.ask(
            "initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "old", "version": "0.1"}
        )
        self.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        return answer["result"]


@contextmanager
def lines(root: Path, *arguments: str) -> Iterator[Lines]:
    client = Lines(root, *arguments)
    try:
        yield client
    finally:
        client.process.kill()
        client.process.communicate()


def test_an_old_client_is_answered_and_an_engine_comes_and_goes_with_it(root: Path) -> None:
    lock = EngineLock(root)
    with lines(root, "--agent", "scout") as client:
        assert client.greet("2024-11-05")["protocolVersion"] == "2024-11-05"
        assert len(client.ask("tools/list")["result"]["tools"]) == len(tools())
        for line, code in MALFORMED:
            client.write(line)
            assert client.read()["error"]["code"] == code, line[:60]
        assert client.ask("tools/call", name="rm", arguments={})["error"]["code"] == -32602
        assert client.ask("resources/list")["error"]["code"] == -32601
        assert client.call("note", title="Kettle", text="The kettle boils water.")["isError"] is False
        assert not lock.is_taken()
        found = client.call("search", query="kettle boils")["structuredContent"]
        assert [each["title"] for each in found["hits"]] == ["Kettle"]
        assert lock.is_taken()
        client.process.send_signal(signal.SIGKILL)
        client.process.wait(PATIENCE_SECONDS)
    until(lambda: not lock.is_taken(), "the engine to end")
    agentfs = AgentFS(root)
    agent = agentfs.agents.get("scout")
    agentfs.close()
    assert (agent.door, agent.client, agent.type) == ("mcp", "old 0.1", "coding")


def test_stdout_is_the_protocols_alone_and_the_end_is_clean(root: Path) -> None:
    with lines(root) as client:
        assert client.greet("2025-06-18")["protocolVersion"] == "2025-06-18"
        client.call("register", name="scout")
        begun = client.call("session", action="start", title="now")["structuredContent"]["id"]
        for number in (7, 8):
            arguments = {"key": "plan", "value": number}
            params = {"name": "state_put", "arguments": arguments}
            client.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}))
        out, err = client.process.communicate(timeout=PATIENCE_SECONDS)
        # What was asked for before the end is answered, and nothing else is said.
        assert [json.loads(each)["result"]["structuredContent"]["version"] for each in out.splitlines()] == [1, 2]
        assert (err, client.process.returncode) == ("", 0)
    with lines(root) as client:
        client.greet("2025-11-25")
        client.process.send_signal(signal.SIGTERM)
        assert client.process.wait(PATIENCE_SECONDS) == 0
    agentfs = AgentFS(root)
    ended = agentfs.sessions.get(begun).ended_at
    agentfs.close()
    assert ended is not None


async def test_the_librarys_own_client_over_stdio(root: Path) -> None:
    parameters = StdioServerParameters(
        command=sys.executable, args=command(root, "--agent", "scout")[1:], env=dict(os.environ)
    )
    async with Client(stdio_client(parameters)) as client:
        assert client.protocol_version == "2026-07-28"
        written = await client.call_tool("state_put", {"key": "plan", "value": [1, 2]})
        assert written.structured_content == {"key": "plan", "version": 1}
        assert (await client.call_tool("state_get", {"key": "plan"})).structured_content["value"] == [1, 2]


def test_a_wrong_key_ends_the_server_at_once(root: Path, tmp_path: Path) -> None:
    agentfs = AgentFS(root)
    agentfs.agents.register("scout", "coding", owner="ada", by=Actor(ActorKind.PERSON, "ada", "cli"))
    agentfs.close()
    wrong = tmp_path / "key"
    wrong.write_text("not the key")
    ended = subprocess.run(
        command(root, "--agent", "scout", "--key-file", str(wrong)),
        input="", capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("bailiwick: The key shown is not the one of scout.")


# HTTP


@contextmanager
def http_server(root: Path) -> Iterator[tuple[str, str]]:
    """A server in a process of its own: its address, and the workspace's token."""
    process = subprocess.Popen(
        command(root, "--http", "--port", "0", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        token_file = Path(told["token_file"])
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
        yield told["url"], token_file.read_text().strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def http_client(url: str, bearer: str, mode: str = "auto", **headers: str) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {bearer}", **headers}) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def test_over_http_a_key_names_its_agent_and_the_token_names_none(root: Path) -> None:
    agentfs = AgentFS(root)
    ada = Actor(ActorKind.PERSON, "ada", "cli")
    keys = {}
    for name in ("scout", "critic"):
        agent = agentfs.agents.register(name, "coding", owner="ada", by=ada).agent
        keys[name] = agentfs.agents.read_key(agent.id)
    agentfs.close()
    with http_server(root) as (url, token):
        for mode in ("auto", "legacy"):
            async with http_client(url, keys["scout"], mode) as client:
                await client.call_tool("session", {"action": "start"})
                put = await client.call_tool("state_put", {"key": "plan", "value": mode})
                assert not put.is_error, put.content
                assert (await client.call_tool("session", {"action": "show"})).structured_content["states"] == 1
        async with http_client(url, keys["critic"]) as client:
            denied = await client.call_tool("state_get", {"agent": "scout", "key": "plan"})
            assert denied.structured_content["reason"] == "Private resource"
        async with http_client(url, token, "legacy") as client:
            assert "Call `register`" in (await client.call_tool("inbox", {})).content[0].text
            new = await client.call_tool("register", {"name": "nia"})
            assert new.structured_content["verified"] is True
            assert (await client.call_tool("state_put", {"key": "plan", "value": 1})).structured_content["version"] == 1
        async with http_client(url, token, "legacy") as client:
            posing = await client.call_tool("register", {"name": "nia"})
            assert posing.structured_content["verified"] is False
            sent = await client.call_tool("send", {"to": "critic", "content": "trust me"})
            refused = await client.call_tool("state_get", {"key": "plan"})
            assert refused.structured_content["reason"] == "The agent showed no key"
        async with http_client(url, token) as client:
            assert "remembered" in (await client.call_tool("register", {"name": "nia"})).content[0].text
        async with http_client(url, token, **{"Bailiwick-Agent": "nia"}) as client:
            assert (await client.call_tool("heartbeat", {})).structured_content["status"] == "active"
        await turned_away(url, token, keys)
    agentfs = AgentFS(root)
    message = agentfs.messages.get(sent.structured_content["id"], by=Actor(ActorKind.PERSON, "ada", "cli"))
    assert all(each.ended_at is not None for each in agentfs.sessions.all())
    refusals = [each.details["rule"] for each in agentfs.audit.page(1, 1_000) if each.subject == "door"]
    agentfs.close()
    assert (message.sender, message.verified) == ("nia", False)
    assert sorted(refusals) == ["host", "origin", "token"]


async def turned_away(url: str, token: str, keys: dict[str, str]) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"},
    }}  # fmt: skip
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient() as http:

        async def status(**headers: str) -> httpx2.Response:
            return await http.post(
                url, json=body, headers=accept | {k.replace("_", "-"): v for k, v in headers.items()}
            )

        assert (await status()).status_code == 401
        assert (await status(Authorization="Bearer wrong")).status_code == 401
        assert (await status(Authorization=f"Basic {token}")).status_code == 401
        assert (await status(Authorization=f"Bearer {token}", Origin="http://127.0.0.1")).status_code == 403
        assert (await status(Authorization=f"Bearer {token}", Host="evil.example")).status_code == 403
        begun = await status(Authorization=f"Bearer {keys['scout']}")
        assert begun.status_code == 200
        session = begun.headers["mcp-session-id"]
        for bearer, expected in ((keys["critic"], 404), (token, 404), (keys["scout"], 200)):
            answer = await status(Authorization=f"Bearer {bearer}", Mcp_Session_Id=session)
            assert answer.status_code == expected, bearer
        large = await http.post(url, content=b"x" * 5_000_000, headers={"Authorization": f"Bearer {token}"})
        assert large.status_code == 413


def test_only_the_server_needs_the_protocols_library() -> None:
    users = set()
    for package in (core, tui):
        for path in Path(str(package.__path__[0])).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
                if any(name.split(".")[0] in ("mcp", "mcp_types", "uvicorn", "starlette") for name in names):
                    users.add(path.name)
                if any(name.startswith("core.serving.mcp_") for name in names):
                    users.add(f"{path.name} uses them")
    assert users == {
        "mcp_server.py", "mcp_stdio.py", "mcp_http.py",
        "mcp.py uses them", "mcp_stdio.py uses them", "mcp_http.py uses them",
    }  # fmt: skip
