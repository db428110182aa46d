"""The longest gap of a 10 ms tick of the dashboard's event loop, idle and while it reads, indexes and embeds.

    uv run python benchmarks/tick.py [PACKAGE …] [--seconds N]

A bare Textual app in the same run is the peer.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from textual.app import App

from core.config import load_settings
from core.engine import Duties
from core.workspace import Workspace
from tui.app import BailiwickApp

TICK = 0.010


async def gaps(seconds: float) -> list[float]:
    """How much later than asked each tick came, in milliseconds."""
    late = []
    end = time.perf_counter() + seconds
    last = time.perf_counter()
    while last < end:
        await asyncio.sleep(TICK)
        now = time.perf_counter()
        late.append((now - last - TICK) * 1000)
        last = now
    return late


def row(name: str, late: list[float]) -> str:
    """One row of the table."""
    ordered = sorted(late)
    high = ordered[int(len(ordered) * 0.999) - 1]
    return f"| {name} | {max(late):.0f} | {high:.0f} | {statistics.median(late):.2f} | {len(late):,} |"


async def bare(seconds: float) -> list[float]:
    """A Textual app that does nothing."""
    async with App[None]().run_test(size=(160, 48)):
        return await gaps(seconds)


async def ours(packages: list[str], seconds: float) -> tuple[list[float], list[float]]:
    """The dashboard at rest, then with work."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        workspaces: list[Workspace] = []

        def open_workspace() -> Workspace:
            workspaces.append(Workspace(root, load_settings(root), role="benchmark", duties=Duties.ALL))
            return workspaces[0]

        app = BailiwickApp(open_workspace, config_folder=root / "none")
        async with app.run_test(size=(160, 48)):
            while app.workspace is None:
                await asyncio.sleep(0.05)
            await asyncio.sleep(1)
            at_rest = await gaps(3)
            measuring = asyncio.ensure_future(gaps(seconds))
            for package in packages:
                await asyncio.to_thread(workspaces[0].add_package, package, python=sys.executable)
            busy = await measuring
            print(f"at the end: {workspaces[0].counts()}", file=sys.stderr)
        app.close_workspace()
    return at_rest, busy


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="*", default=["textual", "rich", "huggingface-hub", "boto3"])
    parser.add_argument("--seconds", type=float, default=40)
    arguments = parser.parse_args()
    at_rest, busy = asyncio.run(ours(arguments.packages, arguments.seconds))
    print("| | longest gap ms | p99.9 ms | median ms | ticks |\n|---|---|---|---|---|")
    print(row("bare Textual", asyncio.run(bare(3))))
    print(row("Bailiwick at rest", at_rest))
    print(row("Bailiwick reading and embedding", busy))


if __name__ == "__main__":
    main()
