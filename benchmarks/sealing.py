"""Sealing and opening against the ``age`` program in the same run, and what unlocking a slot costs.

    uv run python benchmarks/sealing.py [--runs N]

Prints markdown. The program is started anew for each of its files, as whoever uses it must; its figures for small files
are those of starting a process. All files lie in memory (``/dev/shm``) where the system has that.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core.crypto.age_format import open_by_passphrase, seal_by_passphrase
from core.crypto.identity import new_key_pair
from core.crypto.sealing import open_sealed, open_stream, seal, seal_stream
from core.crypto.secret import Secret
from core.crypto.slots import PASSPHRASE_WORK_FACTOR, RANDOM_WORK_FACTOR

SIZES = (("1 KiB", 1 << 10), ("64 KiB", 1 << 16), ("64 MiB", 1 << 26))


def seconds(work: Callable[[], object], runs: int, times: int = 1) -> float:
    """The median time of one ``work``."""
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(times):
            work()
        taken.append((time.perf_counter() - started) / times)
    return statistics.median(taken)


def shown(size: int, duration: float) -> str:
    """Throughput, and the time of one file."""
    unit = f"{duration * 1e6:,.0f} µs" if duration < 0.01 else f"{duration * 1e3:,.0f} ms"
    return f"{size / duration / 1e6:,.1f} MB/s ({unit})"


def compare(folder: Path, name: str, size: int, runs: int) -> str:
    """One row of the table."""
    key, data = new_key_pair(), os.urandom(size)
    plain, sealed, keys, back = (folder / each for each in ("plain", "sealed", "keys", "back"))
    plain.write_bytes(data)
    sealed.write_bytes(seal(data, [key.recipient]))
    keys.touch(0o600)
    keys.write_text(key.secret.text())
    in_memory = sealed.read_bytes()
    times = max(1, (1 << 22) // size // 8)

    def by_stream(work: Callable[..., None], source: Path, whose: object) -> None:
        with source.open("rb") as reading, back.open("wb") as writing:
            work(reading, writing, whose)

    def program(*arguments: str | Path) -> None:
        subprocess.run(["age", *map(str, arguments)], check=True, capture_output=True)

    cells = [
        seconds(lambda: seal(data, [key.recipient]), runs, times),
        seconds(lambda: open_sealed(in_memory, [key.secret]), runs, times),
        seconds(lambda: by_stream(seal_stream, plain, [key.recipient]), runs),
        seconds(lambda: by_stream(open_stream, sealed, [key.secret]), runs),
    ]
    if shutil.which("age"):
        cells.append(seconds(lambda: program("-r", key.recipient, "-o", back, plain), runs))
        cells.append(seconds(lambda: program("-d", "-i", keys, "-o", back, sealed), runs))
    return f"| {name} | " + " | ".join(shown(size, cell) for cell in cells) + " |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    heads = ["seal", "open", "seal a file", "open a file"]
    if shutil.which("age"):
        heads += ["`age -r`", "`age -d`"]
    print(f"| size | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}")
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for name, size in SIZES:
            print(compare(Path(folder), name, size, runs))
    print("\n| slot | one guess or unlocking |\n|---|---|")
    for name, factor in (("passphrase", PASSPHRASE_WORK_FACTOR), ("random", RANDOM_WORK_FACTOR)):
        sealed = seal_by_passphrase(Secret(b"x" * 300), Secret("correct horse battery"), factor)
        taken = seconds(lambda sealed=sealed: open_by_passphrase(sealed, Secret("correct horse battery"), "It"), 3)
        print(f"| {name} (2^{factor}) | {taken * 1000:,.0f} ms |")


if __name__ == "__main__":
    main()
