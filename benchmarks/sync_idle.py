"""Synchronising many items: sending them, getting them on a second device, a sync with no change, and its memory.

    uv run python benchmarks/sync_idle.py [--items 100000] [--looks 20]

Every part is a process of its own over one folder. Memory is what the process had at most while it synchronised, beyond
what it had with its workspace open. Requests per hour are counted with the schedule of each strategy, while nobody
changes anything for an hour; by price they are all of class B.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from core.agentfs.items import ItemWrite
from core.config import load_settings
from core.model import Kind
from core.remote.folder import FolderStore
from core.sync.schedule import Schedule
from core.sync.strategy import pace_of
from core.sync_model import SyncStrategy
from tests.sync.syncing import Syncing, join
from tests.sync.two_devices import USER

TEXT = "What was found out about the kettle, and why it is believed to hold. " * 8
TOGETHER = 2000


def memory(name: str) -> float:
    """``VmRSS`` or ``VmHWM`` of this process in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def reset_peak() -> None:
    """Begin to look for the most memory anew."""
    Path("/proc/self/clear_refs").write_text("5")


def written(device: Syncing, count: int) -> None:
    """Put ``count`` items of about half a KiB."""
    agentfs = device.device.agentfs
    for first in range(0, count, TOGETHER):
        with agentfs.database.transaction() as connection:
            for number in range(first, min(count, first + TOGETHER)):
                write = ItemWrite(f"notes/{number % 97}/{number}", Kind.ASSUMPTION, USER, f"{number} {TEXT}".encode())
                agentfs.items.put(connection, write)


def measured(device: Syncing) -> dict[str, float]:
    """One sync: seconds, requests, MiB above idle."""
    area = device.area()
    reset_peak()
    idle, before, started = memory("VmRSS"), device.store.meter.total(), time.perf_counter()
    result = area.run()
    seconds, used = time.perf_counter() - started, device.store.meter.total() - before
    return {
        "seconds": seconds,
        "sent": result.sent,
        "received": result.received,
        "class_a": used.class_a,
        "class_b": used.class_b,
        "mib": memory("VmHWM") - idle,
        "problems": len(result.problems),
    }


def part(name: str, root: Path, count: int) -> dict[str, float]:
    """What one process does."""
    store = FolderStore(root / "remote")
    laptop = join(root / "laptop", "laptop", store)
    if name == "write":
        started = time.perf_counter()
        written(laptop, count)
        return {"seconds": time.perf_counter() - started}
    if name == "send":
        return measured(laptop)
    if name == "get":
        laptop.device.agentfs.close()
        return measured(join(root / "desk", "desk", store, first=laptop))
    device = laptop
    device.area().run()
    if name == "one":
        device.write("notes/0/0", "changed")
        return measured(device)
    area = device.area()
    area.run()
    before, started = store.meter.total(), time.perf_counter()
    for _ in range(count):
        area.run()
    used, seconds = store.meter.total() - before, (time.perf_counter() - started) / count
    return {"ms": seconds * 1000, "class_a": used.class_a / count, "class_b": used.class_b / count}


def requests_per_hour(strategy: SyncStrategy, looks: float) -> float:
    """How often an hour in which nobody changes anything asks, at ``looks`` requests each."""
    schedule, pace = Schedule(0.0, jitter=lambda: 1.0), pace_of(strategy, load_settings(Path()).sync)
    moment, asked = 0.0, 0
    schedule.ran(0.0, 0.0, received=False, failed=False)
    while (due := schedule.due_at(pace, moment)) is not None and due < 3600.0:
        moment, asked = due, asked + 1
        schedule.ran(moment, moment, received=False, failed=False)
    return asked * looks


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--looks", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="where the workspaces and the remote are made")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.part:
        print(json.dumps(part(told.part, told.folder, told.looks if told.part == "idle" else told.items)))
        return
    root = Path(tempfile.mkdtemp(prefix="bailiwick-idle-", dir=told.folder))
    (root / "remote").mkdir()
    try:
        for name in ("write", "send", "get", "idle", "one"):
            numbers = ["--items", str(told.items), "--looks", str(told.looks)]
            done = subprocess.run(
                [sys.executable, __file__, "--part", name, "--folder", str(root), *numbers],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.exit(done.stderr)
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"{name:6}", ", ".join(f"{key} {value:,.2f}" for key, value in found.items()), flush=True)
            if name == "idle":
                for strategy in SyncStrategy:
                    asked = requests_per_hour(strategy, found["class_a"] + found["class_b"])
                    print(f"       {strategy}: {asked:,.0f} requests in an hour without changes")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
