"""A store read through the cache: what was seen before is there when the network is cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from caching import Opened

from core.cache.cached_store import CachedStore, beneath, forget, read_exactly
from core.cache.keeping import HINT_SECONDS, UNPROVEN_SECONDS, keeping
from core.errors import ObjectMissing, ObjectTooLarge, RemoteUnreachable
from core.ids import sha256_hex
from core.remote.folder import FolderStore
from core.remote.store import ObjectStore

DATA = bytes(range(256)) * 1_000
BLOB = f".bailiwick/blobs/u-mara/{sha256_hex(DATA)[:2]}/{sha256_hex(DATA)}"
LIBRARY = "libraries/python/harbour/v1.2.0/harbour.json"
INDEX = "libraries/index.json"
ENTRY = ".bailiwick/log/u-mara/000000000001"


class Remote:
    """A folder as the remote, whose network can be cut."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir()
        self.store = FolderStore(root)
        self.away = root.with_name("away")

    def cut(self) -> None:
        """From now on nothing answers."""
        self.root.rename(self.away)

    def mend(self) -> None:
        """It answers again."""
        self.away.rename(self.root)

    def spoil(self, key: str, data: bytes) -> None:
        """Have another content under ``key`` behind everybody's back."""
        (self.root / key).write_bytes(data)

    @property
    def reads(self) -> int:
        """Requests that were read with so far."""
        return self.store.meter.total().class_b


class At:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.moment = 1_000_000.0

    def __call__(self) -> float:
        return self.moment


@pytest.fixture
def clock() -> At:
    return At()


@pytest.fixture
def opened(tmp_path: Path, clock: At) -> Iterator[Opened]:
    made = Opened(tmp_path / "w", clock=clock)
    yield made
    made.close()


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    made = Remote(tmp_path / "remote")
    for key, data in ((BLOB, DATA), (LIBRARY, b"library"), (INDEX, b"index"), (ENTRY, b"entry")):
        made.store.put(key, data)
    return made


@pytest.fixture
def store(opened: Opened, remote: Remote) -> CachedStore:
    return CachedStore(remote.store, opened.cache)


def test_it_is_an_object_store(store: CachedStore) -> None:
    stands_for: ObjectStore = store
    assert stands_for.name == beneath(store).name
    assert beneath(beneath(store)) is beneath(store) is store.direct


def test_what_was_seen_before_is_read_with_the_network_cut(store: CachedStore, remote: Remote, opened: Opened) -> None:
    for key in (BLOB, LIBRARY, INDEX, ENTRY):
        assert not store.read(key).cached
    remote.cut()
    opened.reopen()
    later = CachedStore(remote.store, opened.cache)
    assert later.get(BLOB) == DATA
    assert later.read(LIBRARY).cached
    assert later.get(BLOB, first=1_000, length=10) == DATA[1_000:1_010]
    assert later.get(BLOB, first=len(DATA) - 3, length=10) == DATA[-3:]
    assert later.get(INDEX) == b"index"
    with pytest.raises(RemoteUnreachable):
        later.get(ENTRY)
    with pytest.raises(RemoteUnreachable):
        later.get("libraries/python/harbour/v1.2.1/harbour.json")
    with pytest.raises(RemoteUnreachable):
        later.list("")


def test_immutable_objects_are_asked_for_once(store: CachedStore, remote: Remote) -> None:
    for _ in range(3):
        assert store.get(BLOB) == DATA
        assert store.get(LIBRARY) == b"library"
        assert store.get(ENTRY) == b"entry"
    assert remote.reads == 2 + 3


def test_a_part_that_is_the_whole_is_kept_and_another_part_is_not(store: CachedStore, remote: Remote) -> None:
    assert store.get(BLOB, first=10, length=20) == DATA[10:30]
    assert store.get(BLOB, first=0, length=20) == DATA[:20]
    assert not store.read(BLOB, first=0, length=20).cached
    assert store.get(BLOB, first=0, length=len(DATA)) == DATA
    before = remote.reads
    assert store.read(BLOB, first=10, length=20).cached
    assert remote.reads == before


def test_a_hint_holds_for_a_minute_and_longer_only_with_the_network_cut(
    store: CachedStore, remote: Remote, clock: At
) -> None:
    assert store.get(INDEX) == b"index"
    remote.spoil(INDEX, b"newer")
    assert store.get(INDEX) == b"index"
    clock.moment += HINT_SECONDS + 2
    remote.cut()
    reading = store.read(INDEX)
    assert (reading.data, reading.cached, reading.offline) == (b"index", True, True)
    assert reading.age == pytest.approx(HINT_SECONDS + 2, abs=0.1)
    assert store.cache.status().offline == 1
    remote.mend()
    assert store.get(INDEX) == b"newer"


def test_a_corrected_library_is_seen_after_an_hour_or_at_once_when_somebody_knows(
    store: CachedStore, remote: Remote, clock: At
) -> None:
    assert store.get(LIBRARY) == b"library"
    remote.spoil(LIBRARY, b"corrected")
    assert store.get(LIBRARY) == b"library"
    clock.moment += UNPROVEN_SECONDS + 2
    assert store.get(LIBRARY) == b"corrected"
    store.put(LIBRARY, b"again")
    assert store.get(LIBRARY) == b"again"
    remote.spoil(LIBRARY, b"once more")
    forget(store, LIBRARY)
    forget(remote.store, LIBRARY)
    assert store.get(LIBRARY) == b"once more"


def test_a_wrong_body_is_handed_on_and_not_kept(store: CachedStore, remote: Remote) -> None:
    remote.spoil(BLOB, DATA[:-1])
    assert store.get(BLOB) == DATA[:-1]
    remote.spoil(BLOB, DATA)
    assert store.get(BLOB) == DATA
    remote.spoil(BLOB, b"")
    assert store.get(BLOB) == DATA
    assert beneath(store).get(BLOB) == b"", "whoever checks the remote sees what lies there"


def test_what_was_deleted_or_is_missing_is_forgotten(store: CachedStore, remote: Remote, clock: At) -> None:
    store.get(LIBRARY)
    store.delete([LIBRARY])
    with pytest.raises(ObjectMissing):
        store.get(LIBRARY)
    store.get(INDEX)
    (remote.root / INDEX).unlink()
    clock.moment += HINT_SECONDS + 2
    with pytest.raises(ObjectMissing):
        store.get(INDEX)
    remote.cut()
    with pytest.raises(RemoteUnreachable):
        store.get(INDEX)


def test_writing_keeps_nothing(store: CachedStore, remote: Remote) -> None:
    key = LIBRARY.replace("1.2.0", "1.3.0")
    assert store.put_if_absent(key, b"new")
    assert not store.put_if_absent(key, b"other")
    remote.cut()
    with pytest.raises(RemoteUnreachable):
        store.get(key)


def test_the_bounds_of_the_reader_hold_for_what_is_kept(store: CachedStore, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store.get(BLOB)
    assert store.get(BLOB, progress=lambda done, total: seen.append((done, total))) == DATA
    assert seen == [(len(DATA), len(DATA))]
    with pytest.raises(ObjectTooLarge):
        store.get(BLOB, at_most=100)
    assert store.get(BLOB, first=5, length=100, at_most=100) == DATA[5:105]
    with pytest.raises(ObjectTooLarge):
        store.get_to(BLOB, tmp_path / "target", at_most=100)
    assert not (tmp_path / "target").exists()


def test_files_are_read_through_the_cache_too(store: CachedStore, remote: Remote, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert store.get_to(BLOB, target) == sha256_hex(DATA)
    assert store.get_to(LIBRARY, target) == sha256_hex(b"library")
    remote.cut()
    assert store.get_to(BLOB, target) == sha256_hex(DATA)
    assert target.read_bytes() == DATA
    assert store.get_to(LIBRARY, target) == sha256_hex(b"library")
    assert target.read_bytes() == b"library"
    head = store.head(BLOB)
    assert head is not None
    assert (head.size, head.sha256) == (len(DATA), sha256_hex(DATA))
    with pytest.raises(RemoteUnreachable):
        store.get_to(ENTRY, target)
    with pytest.raises(RemoteUnreachable):
        store.head(ENTRY)


def test_pieces_whose_hash_is_known_are_kept_by_it(store: CachedStore, remote: Remote) -> None:
    piece = DATA[300:900]
    remote.spoil(LIBRARY, b"corrected")
    assert read_exactly(store, LIBRARY, sha256_hex(b"library")) == b"corrected", "the caller sees that it is another"
    remote.spoil(LIBRARY, b"library")
    assert read_exactly(store, BLOB, sha256_hex(piece), first=300, length=600) == piece
    assert read_exactly(store, LIBRARY, sha256_hex(b"library"), at_most=100) == b"library"
    remote.cut()
    assert read_exactly(store, BLOB, sha256_hex(piece), first=300, length=600) == piece
    assert read_exactly(store, LIBRARY, sha256_hex(b"library")) == b"library"
    with pytest.raises(RemoteUnreachable):
        read_exactly(beneath(store), LIBRARY, sha256_hex(b"library"))


def test_a_wrong_body_in_a_file_is_not_kept(store: CachedStore, remote: Remote, tmp_path: Path) -> None:
    remote.spoil(BLOB, b"wrong" * 20_000)
    store.get_to(BLOB, tmp_path / "target")
    remote.cut()
    with pytest.raises(RemoteUnreachable):
        store.get_to(BLOB, tmp_path / "target")


def test_what_lies_sealed_in_the_remote_lies_sealed_in_the_cache(store: CachedStore, opened: Opened) -> None:
    canary = b"the lighthouse keeper's secret"
    sealed = b"age-encryption.org/v1\n" + sha256_hex(canary).encode()
    key = f".bailiwick/blobs/u-mara/{sha256_hex(sealed)[:2]}/{sha256_hex(sealed)}"
    store.put(key, sealed)
    assert store.get(key) == sealed
    opened.close()
    lying = b"".join(path.read_bytes() for path in opened.root.rglob("*") if path.is_file())
    assert sealed in lying
    assert canary not in lying
    opened.open()


def test_another_remote_has_other_objects_under_the_same_keys(
    store: CachedStore, opened: Opened, tmp_path: Path
) -> None:
    store.get(LIBRARY)
    other = Remote(tmp_path / "other")
    other.store.put(LIBRARY, b"of another")
    assert CachedStore(other.store, opened.cache).get(LIBRARY) == b"of another"
    assert store.get(LIBRARY) == b"library"


def test_what_is_pinned_stays(store: CachedStore) -> None:
    store.get(LIBRARY)
    store.pin(LIBRARY)
    assert store.cache.status().pinned == 1
    store.unpin(LIBRARY)
    assert store.cache.status().pinned == 0


@pytest.mark.parametrize(
    "key",
    [
        ENTRY,
        ".bailiwick/format",
        ".bailiwick/keys/abc/slots/1.age",
        ".bailiwick/devices/abc",
        ".bailiwick/blobs/u-mara/ab/readable-name",
        "libraries/python/index.json",
        "user-contributions/mara/notes.md",
        "temp/abc/20261125/x",
    ],
)
def test_what_changes_is_not_kept(key: str) -> None:
    assert keeping(key) is None
