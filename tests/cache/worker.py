"""One of several processes at one cache: worker.py ROOT SEED OPERATIONS; each value that was kept is a line on stdout.

Every value begins with its name, so that whoever reads it knows whether it is whole and where it belongs.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from caching import TINY, Opened


def value_of(name: str, seed: int) -> bytes:
    """A value that tells what it is."""
    chance = random.Random(f"{name} {seed}")
    return f"{name}:{seed}:".encode() + chance.randbytes(chance.choice((50, 800, 1_500, 3_000, 3_900)))


def is_whole(name: str, value: bytes) -> bool:
    """Whether ``value`` is one that was put under ``name``."""
    named, seed, _ = value.split(b":", 2)
    return named.decode() == name and value == value_of(name, int(seed))


def main(root: Path, seed: int, operations: int) -> None:
    """Put and get by chance."""
    opened = Opened(root, TINY)
    chance = random.Random(seed)
    for _ in range(operations):
        name = f"n{chance.randrange(40)}"
        if chance.random() < 0.5:
            if opened.cache.put(name, value_of(name, chance.randrange(3))):
                os.write(1, f"{name}\n".encode())
        else:
            value = opened.cache.get(name)
            if value is not None and not is_whole(name, value):
                sys.exit(f"{name} was not whole")
        if chance.random() < 0.05:
            opened.cache.tidy()
    opened.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
