"""How long a call of a tool takes over stdio and over HTTP, and how soon a server answers after its start.

    uv run python benchmarks/mcp_latency.py [--calls 300] [--starts 5]

The same calls in this process, without a protocol, stand beside them. A start counts until the list of tools is there,
which is what clients wait for; once on an idle machine, and once while two processes keep two cores busy.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mcp_clients import COMMAND, HttpClient, StdioClient

from core.config import load_settings
from core.engine import Duties
from core.model import SearchMode
from core.serving.caller import Caller, Identity
from core.serving.engine_child import EngineChild
from core.serving.tool_calls import perform
from core.serving.toolbox import Toolbox
from core.workspace import Workspace

CALLS: dict[str, dict[str, Any]] = {
    "state_get": {"key": "plan"},
    "state_put": {"key": "plan", "value": {"steps": ["read", "write"]}},
    "search": {"query": "how to draw a progress bar", "mode": "text"},
}


class Calling(Protocol):
    """What all clients have."""

    def call(self, tool: str, /, **arguments: Any) -> Any: ...


class Direct:
    """The tools in this process."""

    def __init__(self, workspace: Workspace) -> None:
        caller = Caller(workspace.agentfs, Identity("scout", own_files=True))
        engine = EngineChild(workspace.root, [])
        self._toolbox = Toolbox(workspace, caller, engine, default_mode=SearchMode.TEXT)

    def call(self, tool: str, /, **arguments: Any) -> Any:
        return perform(self._toolbox, tool, arguments)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--starts", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "workspace"
        engine = Workspace(root, load_settings(root), role="benchmark", duties=Duties.ALL)
        engine.add_package("rich", python=sys.executable)
        engine.wait_until_idle()
        direct = Direct(engine)
        direct.call("state_put", **CALLS["state_put"])
        key = engine.agentfs.agents.read_key(engine.agentfs.agents.get("scout").id)
        stdio = StdioClient(root, "--agent", "scout")
        with http_server(root) as url:
            clients: dict[str, Calling] = {"in this process": direct, "stdio": stdio, "HTTP": HttpClient(url, key)}
            print("| call, median ms (p95) | " + " | ".join(clients) + " |\n|---|" + "---|" * len(clients))
            for tool in CALLS:
                times = measure(clients, tool, options.calls)
                print(f"| {tool} | " + " | ".join(cell(times[name]) for name in clients) + " |", flush=True)
        print(f"\nThe list of tools: {len(json.dumps(stdio.tools, separators=(',', ':'), ensure_ascii=False)):,} bytes")
        stdio.close()
        print("\n| first answer, s | median | slowest |\n|---|---|---|")
        print(f"| idle | {starts(root, options.starts)} |", flush=True)
        with busy(2):
            print(f"| two cores busy | {starts(root, options.starts)} |")
        engine.close()


def measure(clients: dict[str, Calling], tool: str, calls: int) -> dict[str, list[float]]:
    """Milliseconds of each client's calls; they take turns, so that a machine that slows down slows all."""
    times: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(calls):
        for name, client in clients.items():
            times[name].append(timed(lambda client=client: client.call(tool, **CALLS[tool])) * 1000)
    return times


def timed(job: Callable[[], object]) -> float:
    """Seconds that ``job`` takes."""
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def cell(times: list[float]) -> str:
    """Median and p95, the first calls aside."""
    warm = sorted(times[5:])
    return f"{statistics.median(warm):.2f} ({warm[int(len(warm) * 0.95)]:.2f})"


def starts(root: Path, count: int) -> str:
    """Median and slowest of so many starts."""
    times = []
    for _ in range(count):
        client = StdioClient(root)
        times.append(client.first_answer)
        client.close()
    return f"{statistics.median(times):.2f} | {max(times):.2f}"


@contextmanager
def http_server(root: Path) -> Iterator[str]:
    """A server over HTTP; its address."""
    process = subprocess.Popen(
        [*COMMAND, "--http", "--port", "0", "--json", "--workspace", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())["url"]
    process.terminate()
    process.wait()


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many cores busy."""
    spinners = [multiprocessing.Process(target=spin, daemon=True) for _ in range(count)]
    for each in spinners:
        each.start()
    yield
    for each in spinners:
        each.terminate()
        each.join()


def spin() -> None:
    """Count for ever."""
    while True:
        sum(range(10_000))


if __name__ == "__main__":
    main()
