"""A device that was away for long, and logs that are not what they were or claim to be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.agentfs.database import now
from core.crypto.secret import Secret
from core.errors import BailiwickError
from core.ids import new_id
from core.remote.folder import FolderStore
from core.sync.areas import AreaLocks
from core.sync.commit import AuditHead, Commit, Operation, Place, body_of, encode, log_key, stored_hash
from core.sync.packing import Encoding, compress
from core.sync.segments import SEGMENT, read_segment, segment_key, write_segment
from core.sync.signing import Signer, device_signer
from core.sync.tables import SyncTables
from core.sync_model import Change
from tests.sync.syncing import AREA, Syncing, join

COMMITS = 2100
PATH = "notes/heat"


class Writer:
    """Writes commits of one device into the log, right ones and others."""

    def __init__(self, syncing: Syncing) -> None:
        self.agentfs = syncing.device.agentfs
        self.locks = AreaLocks(self.agentfs, AREA)
        self.signer = device_signer(self.agentfs)
        self.tables = SyncTables(self.agentfs.database)
        position = self.tables.position(AREA.id)
        self.seq, self.prev = position.seq, position.hash

    def commit(self, *operations: Operation) -> Commit:
        """The next one, as nobody stored it yet."""
        head = AuditHead(*self.agentfs.audit.head())
        return Commit(AREA.id, self.seq + 1, self.prev, new_id(), self.agentfs.device, now(), operations, head)

    def stored(self, commit: Commit, signer: Signer | None = None) -> bytes:
        """Its bytes as they lie there."""
        body = body_of(commit)
        return self.locks.close(encode(body, (signer or self.signer).sign(body)))


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Syncing]]:
    """A laptop that has sent two versions of a note, and then put now one there and now the other, 2,100 times."""
    root = tmp_path_factory.mktemp("away")
    (root / "remote").mkdir()
    store = FolderStore(root / "remote")
    laptop = join(root / "laptop", "laptop", store)
    versions = []
    for text in ("hot", "cold"):
        laptop.write(PATH, text)
        laptop.sync()
        base = SyncTables(laptop.device.agentfs.database).base(AREA.id, PATH)
        assert base is not None
        versions.append(
            Operation(
                PATH, Change.PUT, None, base.version, base.kind, base.item_id, base.header, base.content, base.size,
                base.place,
            )
        )  # fmt: skip
    writer = Writer(laptop)
    kept = [store.get(log_key(AREA.id, seq)) for seq in (1, 2)]
    while writer.seq < COMMITS:
        told = replace(versions[writer.seq % 2], base=versions[1 - writer.seq % 2].version)
        data = writer.stored(writer.commit(told))
        writer.seq, writer.prev = writer.seq + 1, stored_hash(data)
        (store.root / log_key(AREA.id, writer.seq)).write_bytes(data)
        kept.append(data)
    for first in range(1, COMMITS - SEGMENT, SEGMENT):
        write_segment(store, AREA.id, first, kept[first - 1 : first - 1 + SEGMENT])
    yield root, laptop
    laptop.device.agentfs.close()


def spoilt(data: bytes) -> bytes:
    return data[:40_000] + bytes([data[40_000] ^ 1]) + data[40_001:]


@pytest.mark.parametrize(
    ("spoil", "most"),
    [
        (None, 110),
        (lambda data: None, 110 + SEGMENT),
        (lambda data: data[: len(data) // 2], 110 + SEGMENT),
        (spoilt, 120),
        (lambda data: b"\xff" * len(data), 110 + SEGMENT),
    ],
    ids=["whole", "missing", "truncated", "one bit", "another"],
)
def test_a_new_device_catches_up_through_segments(
    away: tuple[Path, Syncing], tmp_path: Path, spoil: Callable[[bytes], bytes | None] | None, most: int
) -> None:
    root, laptop = away
    store = FolderStore(root / "remote")
    segment = store.root / segment_key(AREA.id, 2 * SEGMENT + 1)
    whole = segment.read_bytes()
    try:
        if spoil is not None:
            segment.unlink()
            if (data := spoil(whole)) is not None:
                segment.write_bytes(data)
        desk = join(root / tmp_path.name, "desk", store, first=laptop)
        before = store.meter.total()
        desk.sync()
        used = store.meter.total() - before
        assert desk.texts() == {PATH: "cold"}
        assert SyncTables(desk.device.agentfs.database).position(AREA.id).seq == COMMITS
        print(f"{used.class_b} requests for {COMMITS} commits")
        assert used.class_b <= most
        desk.device.agentfs.close()
    finally:
        segment.write_bytes(whole)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Syncing, Syncing]]:
    """A laptop three commits ahead of a desk that has taken in two."""
    (tmp_path / "remote").mkdir()
    store = FolderStore(tmp_path / "remote")
    laptop = join(tmp_path / "laptop", "laptop", store)
    desk = join(tmp_path / "desk", "desk", store, first=laptop)
    for number in range(2):
        laptop.write(f"notes/{number}", "old")
        laptop.sync()
    desk.sync()
    for number in range(3):
        laptop.write(f"notes/{number}", "new")
        laptop.sync()
    desk.write("notes/own", "of the desk")
    yield laptop, desk
    laptop.device.agentfs.close()
    desk.device.agentfs.close()


Deed = Callable[[Writer, Path], None]
"""Does something to the log, which lies in a folder."""


def at(log: Path, seq: int) -> Path:
    return log / f"{seq:012d}"


def third(writer: Writer, log: Path) -> Writer:
    """As it was when the laptop wrote the third commit."""
    writer.seq, writer.prev = 2, stored_hash(at(log, 2).read_bytes())
    return writer


def forge(writer: Writer, log: Path) -> None:
    commit = third(writer, log).commit(Operation("notes/0", Change.DELETE, None, None))
    at(log, 3).write_bytes(writer.stored(commit, Signer(Secret(bytes(32)))))


def replay(writer: Writer, log: Path) -> None:
    at(log, 3).write_bytes(at(log, 2).read_bytes())


def reorder(writer: Writer, log: Path) -> None:
    third_one, fourth = at(log, 3).read_bytes(), at(log, 4).read_bytes()
    at(log, 3).write_bytes(fourth)
    at(log, 4).write_bytes(third_one)


def write_as_a_newer_version(writer: Writer, log: Path) -> None:
    body = json.loads(body_of(third(writer, log).commit()))
    text = json.dumps({**body, "v": 2}, sort_keys=True, separators=(",", ":")).encode()
    at(log, 3).write_bytes(writer.locks.close(encode(text, writer.signer.sign(text))))


def roll_back(writer: Writer, log: Path) -> None:
    for seq in range(2, 6):
        at(log, seq).unlink()


def fork_at_the_last(writer: Writer, log: Path) -> None:
    writer.seq, writer.prev = 1, stored_hash(at(log, 1).read_bytes())
    at(log, 2).write_bytes(writer.stored(writer.commit()))


def fork_after_it(writer: Writer, log: Path) -> None:
    third(writer, log).prev = "0" * 64
    at(log, 3).write_bytes(writer.stored(writer.commit()))


def put_a_zip_bomb(writer: Writer, log: Path) -> None:
    at(log, 3).write_bytes(writer.locks.close(compress(bytes(200 * 1024 * 1024))))


def claim_ten_gigabytes(writer: Writer, log: Path) -> None:
    with at(log, 3).open("wb") as file:
        file.truncate(10 * 1024**3)


def cut_one_out(writer: Writer, log: Path) -> None:
    at(log, 3).write_bytes(at(log, 5).read_bytes())


@pytest.mark.parametrize(
    ("deed", "sentence"),
    [
        (forge, "Commit 3 of u-mara was not signed by a device that is trusted there: it is forged."),
        (replay, "Commit 3 of u-mara is another one, put in its place."),
        (reorder, "Commit 3 of u-mara is another one, put in its place."),
        (cut_one_out, "Commit 3 of u-mara is another one, put in its place."),
        (write_as_a_newer_version, "A newer version of Bailiwick has written to this remote."),
        (roll_back, "The log of u-mara was rolled back: this device took in commit 2, and it is gone."),
        (fork_at_the_last, "The log of u-mara was forked: commit 2 is another than this device took in."),
        (fork_after_it, "Commit 3 of u-mara does not follow the one that this device took in: the log was forked."),
        (put_a_zip_bomb, "Commit 3 of u-mara is damaged or not Bailiwick's (SealBroken)."),
        (claim_ten_gigabytes, "Commit 3 of u-mara is larger than any of ours."),
    ],
)
def test_a_log_that_is_not_what_it_was_is_named_and_changes_nothing(
    pair: tuple[Syncing, Syncing], deed: Deed, sentence: str
) -> None:
    laptop, desk = pair
    log = laptop.device.agentfs.root.parent / "remote" / log_key(AREA.id, 1).rpartition("/")[0]
    deed(Writer(laptop), log)
    before, there = desk.texts(), sorted(path.name for path in log.iterdir())
    tables = SyncTables(desk.device.agentfs.database)
    position = tables.position(AREA.id)
    with pytest.raises(BailiwickError) as raised:
        desk.sync()
    assert raised.value.message == sentence
    assert raised.value.hint
    assert desk.texts() == before
    assert tables.position(AREA.id) == position
    assert sorted(path.name for path in log.iterdir()) == there


def test_content_that_claims_ten_gigabytes_is_not_read(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    remote = laptop.device.agentfs.root.parent / "remote"
    desk.sync()
    laptop.sync()
    base = SyncTables(laptop.device.agentfs.database).base(AREA.id, "notes/0")
    assert base is not None
    digest = "ab" * 32
    key, size = f".bailiwick/blobs/{AREA.id}/ab/{digest}", 10 * 1024**3
    (remote / key).parent.mkdir(parents=True, exist_ok=True)
    with (remote / key).open("wb") as file:
        file.truncate(size)
    place = Place(key, 0, size, digest, Encoding.ZSTD_AGE)
    writer = Writer(laptop)
    told = Operation("notes/huge", Change.PUT, None, "cd" * 32, base.kind, new_id(), base.header, "ef" * 32, 5, place)
    data = writer.stored(writer.commit(told))
    (remote / log_key(AREA.id, writer.seq + 1)).write_bytes(data)
    (problem, *_) = desk.sync().problems
    assert problem.startswith("notes/huge: ")
    assert "10,737,418,240 bytes" in problem
    assert desk.read("notes/huge") is None
    assert desk.read("notes/own") == "of the desk"


def test_whoever_writes_the_last_commit_of_a_segment_cuts_it(tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    store = FolderStore(tmp_path / "remote")
    laptop = join(tmp_path / "laptop", "laptop", store)
    writer = Writer(laptop)
    log = store.root / log_key(AREA.id, 1)
    log.parent.mkdir(parents=True)
    while writer.seq < SEGMENT - 1:
        data = writer.stored(writer.commit())
        writer.seq, writer.prev = writer.seq + 1, stored_hash(data)
        (log.parent / f"{writer.seq:012d}").write_bytes(data)
    laptop.write(PATH, "hot")
    laptop.sync()
    commits = read_segment(store, AREA.id, 1)
    assert commits == [store.get(log_key(AREA.id, seq)) for seq in range(1, SEGMENT + 1)]
    laptop.device.agentfs.close()
