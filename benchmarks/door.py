"""A search through the engine's door against the same search in the engine, and how soon a commit is seen elsewhere.

    uv run python benchmarks/door.py [PACKAGE …] [--runs N]

The engine is this process, the viewer a child; both search in turn, so that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import queue
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from core.agentfs.items import ItemWrite
from core.config import load_settings
from core.engine import Duties
from core.events import Event, ItemsChanged
from core.model import Kind, SearchMode
from core.search.query import Query
from core.workspace import Workspace

QUERIES = (
    "how to draw a progress bar",
    "register a command with options",
    "parse markup into text",
    "colour of a style",
    "prompt for a password",
)


def open_workspace(root: Path, duties: Duties | None) -> Workspace:
    """The workspace of the benchmark."""
    return Workspace(root, load_settings(root), role="benchmark", duties=duties)


def latencies(workspace: Workspace, mode: SearchMode) -> list[float]:
    """Milliseconds of each query."""
    times = []
    for text in QUERIES:
        started = time.perf_counter()
        workspace.search(Query(text, mode=mode), wait_for_model=True)
        times.append((time.perf_counter() - started) * 1000)
    return times


def commit(workspace: Workspace, number: int) -> float:
    """Commit one item; answers the monotonic time, the same in all processes, when that was done."""
    with workspace.agentfs.database.transaction() as connection:
        write = ItemWrite(path=f"benchmark/{number}", kind=Kind.DECISION, owner="benchmark", data=b"x", metadata={})
        workspace.agentfs.items.put(connection, write)
    return time.monotonic()


def view(root: Path, line: Connection) -> None:
    """The child: searches or commits as it is told."""
    workspace = open_workspace(root, None)
    while (told := line.recv()) is not None:
        line.send(latencies(workspace, told) if isinstance(told, SearchMode) else commit(workspace, told))
    workspace.close()


def row(name: str, mode: str, times: list[float]) -> str:
    """One row of the table."""
    high = sorted(times)[int(len(times) * 0.95) - 1]
    return f"| {name} | {mode} | {statistics.median(times):.2f} | {high:.2f} | {len(times)} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="*", default=["rich", "click"])
    parser.add_argument("--runs", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "workspace"
        engine = open_workspace(root, Duties.ALL)
        for package in arguments.packages:
            engine.add_package(package, python=sys.executable)
        engine.wait_until_idle()
        line, theirs = get_context("spawn").Pipe()
        child = get_context("spawn").Process(target=view, args=(root, theirs), daemon=True)
        child.start()
        print(f"{engine.counts().passages:,} passages\n")
        print("| search | mode | median ms | p95 ms | searches |\n|---|---|---|---|---|")
        for mode in (SearchMode.TEXT, SearchMode.HYBRID):
            direct: list[float] = []
            through: list[float] = []
            for warm in (False, *[True] * arguments.runs):
                ours = latencies(engine, mode)
                line.send(mode)
                other = line.recv()
                if warm:
                    direct += ours
                    through += other
            print(row("in the engine", mode, direct))
            print(row("through the door", mode, through), flush=True)
        delays = commit_delays(engine, line, arguments.runs)
        print("\n| a commit of another process is seen | ms |\n|---|---|")
        print(f"| median | {statistics.median(delays):.0f} |\n| max | {max(delays):.0f} |")
        line.send(None)
        child.join()
        engine.close()


def commit_delays(engine: Workspace, line: Connection, runs: int) -> list[float]:
    """Milliseconds from each commit in the child to the event in this process."""
    seen: queue.Queue[float] = queue.Queue()

    def heard(event: Event) -> None:
        if isinstance(event, ItemsChanged):
            seen.put(time.monotonic())

    unsubscribe = engine.bus.subscribe(heard)
    delays = []
    for number in range(runs):
        line.send(number)
        delays.append((seen.get(timeout=10) - line.recv()) * 1000)
        # Commits at the watcher's own beat would always be seen equally late.
        time.sleep(0.037 * (number % 7))
    unsubscribe()
    return delays


if __name__ == "__main__":
    main()
