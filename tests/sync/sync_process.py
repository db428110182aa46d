"""A device as a process of its own: ``python -m tests.sync.sync_process ROOT URL SEED``.

It writes and synchronises in a loop until it is killed. On a line each it tells what it is about to replace or delete
knowingly, and what it has written: from then on that may not be lost.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
from pathlib import Path

from core.errors import BailiwickError
from core.remote.opening import open_store
from core.sync.devices import Devices
from core.sync.tables import SyncTables
from core.sync.teams import Teams
from tests.sync.syncing import Syncing
from tests.sync.two_devices import open_device

REPLACES, WROTE = "replaces", "wrote"
PATHS = tuple(f"notes/{number}" for number in range(6))


def opened(root: Path, url: str) -> Syncing:
    """The device at ``root``, which is there already."""
    return Syncing(open_device(root, root.name), open_store(url))


def registered(syncing: Syncing) -> Syncing:
    """The device with its card in the remote."""
    agentfs = syncing.device.agentfs
    Devices(agentfs, syncing.store, SyncTables(agentfs.database), Teams(agentfs)).register(syncing.device.name)
    return syncing


def main(root: Path, url: str, seed: int) -> None:
    """Until killed."""
    source = random.Random(seed)
    syncing = opened(root, url)
    area = syncing.area()
    for number in itertools.count():
        path = source.choice(PATHS)
        text = f"{root.name} {seed} {number}"
        # First what is replaced: the process may be killed after it wrote, and before it could tell of that.
        print(f"{REPLACES}\t{syncing.read(path) or ''}", flush=True)
        if source.random() < 0.15:
            syncing.delete(path)
        else:
            syncing.write(path, text)
            print(f"{WROTE}\t{text}", flush=True)
        with contextlib.suppress(BailiwickError):
            area.run(approved=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
