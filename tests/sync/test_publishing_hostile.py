"""Published libraries of those who mean harm, and public addresses that serve anything: one sentence, nothing taken."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BailiwickError, SealBroken
from core.ids import sha256_hex
from core.library.published_format import METADATA
from core.remote.folder import FolderStore
from core.remote.https import HttpsStore
from core.sync.area_sync import AreaResult
from core.sync.commit import Operation, Place
from core.sync.library_catalogue import INDEX, remote_libraries
from core.sync.library_pull import pull
from core.sync.outbox import Draft
from core.sync.packing import Encoding
from core.sync.publishing import push
from core.sync_model import Change
from tests.agentfs.canaries import files_with, new_canary
from tests.sync.machines import Machines
from tests.sync.publishers import PREFIX, Publisher, contents, know_each_other, publisher

BOIL = "The kettle boils at a hundred degrees."
Objects = dict[str, bytes]


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    (tmp_path / "remote").mkdir()
    return tmp_path / "remote"


@pytest.fixture
def everybody(tmp_path: Path, remote: Path) -> Iterator[list[Publisher]]:
    """Mara publishes, Otto means harm, Ines reads."""
    with Machines(tmp_path) as machines:
        made = [publisher(machines, user, user, FolderStore(remote)) for user in ("mara", "otto", "ines")]
        know_each_other("harbour", *made)
        yield made


def told(
    who: Publisher, path: str, data: bytes, *, owner: str, key: str = "", kind: str = "library", base: str | None = None
) -> Operation:
    stored = gzip.compress(data, mtime=0)
    digest = sha256_hex(stored)
    where = key or f".bailiwick/blobs/shared/{digest[:2]}/{digest}"
    with contextlib.suppress(BailiwickError):
        who.store.put(where, stored)
    place = Place(where, 0, len(stored), digest, Encoding.NONE)
    header: dict[str, Any] = {"kind": kind, "owner": owner, "file": path.rpartition("/")[2]}
    version = sha256_hex(data)
    return Operation(path, Change.PUT, base, version, kind, "0" * 16, header, version, len(data), place)


def commit(who: Publisher, *operations: Operation) -> None:
    area, once = who.area(), [[Draft(each) for each in operations]]
    area.pull(AreaResult())
    area.commit(lambda: once.pop() if once else [], AreaResult())


@pytest.mark.parametrize("reads_between", [True, False])
@pytest.mark.parametrize("owner", ["mara", "otto"])
def test_nobody_changes_what_another_published(everybody: list[Publisher], reads_between: bool, owner: str) -> None:
    mara, otto, ines = everybody
    mara.document("boil.md", BOIL)
    mara.push()
    if reads_between:
        ines.sync()
    files = [PREFIX + "kettle.json", PREFIX + METADATA]
    commit(otto, *(told(otto, path, b"{}", owner=owner) for path in files))
    commit(otto, *(Operation(path, Change.DELETE, None, None) for path in files))
    commit(otto, *(told(otto, path, b"{}", owner=owner, kind="document") for path in files))
    for who in (ines, otto):
        who.area().pull(AreaResult())
        assert [each.published_by for each in remote_libraries(who.agentfs, who.tables)] == ["mara"]
    assert pull(ines.agentfs, ines.store, "kettle", by=ines.person).documents == 1
    item = ines.agentfs.items.at_path(PREFIX + "boil.md")
    assert item is not None
    assert BOIL.encode() in ines.agentfs.items.content(item)
    mara.document("boil.md", "Corrected.")
    assert mara.push().changed


def test_what_is_told_elsewhere_in_the_name_of_a_library_is_passed_over(everybody: list[Publisher]) -> None:
    _, otto, ines = everybody
    commit(
        otto,
        told(otto, "notes/heat", b"hot", owner="otto"),
        told(otto, "libraries/x/y/v1/y.json", b"{}", owner="otto", key=".bailiwick/log/shared/000000000009"),
        told(otto, "libraries/x/y/v1/metadata.json", b"{}", owner="ines"),
    )
    ines.sync()
    assert remote_libraries(ines.agentfs, ines.tables) == []
    assert ines.tables.base("shared", "notes/heat") is None
    assert ines.tables.base("shared", "libraries/x/y/v1/y.json") is None
    assert ines.agentfs.items.at_path("notes/heat") is None


class _Answers(BaseHTTPRequestHandler):
    answer: Callable[[str], tuple[int, dict[str, str], bytes]]

    def do_GET(self) -> None:
        status, headers, body = type(self).answer(self.path.lstrip("/"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is named there
        pass


@contextlib.contextmanager
def public(objects: Objects, *, says_gzip: bool = True, changes: dict[str, Any] | None = None) -> Iterator[HttpsStore]:
    """A public address that serves ``objects``; ``changes`` are headers or a status of its own, by key."""

    def answer(key: str) -> tuple[int, dict[str, str], bytes]:
        if key not in objects:
            return 404, {}, b""
        headers = {"Content-Encoding": "gzip"} if says_gzip else {}
        return 200, headers | (changes or {}).get(key, {}), objects[key]

    handler = type("Answers", (_Answers,), {"answer": staticmethod(answer)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield HttpsStore(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """A library as it lies in the remote."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "remote").mkdir()
    with Machines(folder) as machines:
        mara = publisher(machines, "mara", "mara", FolderStore(folder / "remote"))
        mara.document("boil.md", BOIL)
        mara.embed(BOIL)
        push(mara.agentfs, mara.store, mara.area(), "kettle", by=mara.person)
    return {key: data for key, data in contents(folder / "remote").items() if key.startswith("libraries/")}


@pytest.fixture
def reader(tmp_path: Path, remote: Path) -> Iterator[Publisher]:
    """Ines, who reads, in a workspace of her own."""
    with Machines(tmp_path) as machines:
        yield Publisher(machines.open("ines", user="ines"), FolderStore(remote), "ines")


@pytest.fixture(scope="module")
def steadfast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    """A reader to whom nothing may happen."""
    folder = tmp_path_factory.mktemp("steadfast")
    with Machines(folder) as machines:
        yield Publisher(machines.open("ines", user="ines"), FolderStore(folder), "ines")


@pytest.mark.parametrize("says_gzip", [True, False])
def test_a_public_tree_is_read_without_keys(reader: Publisher, tree: Objects, says_gzip: bool) -> None:
    ines = reader
    with public(tree, says_gzip=says_gzip) as store:
        pulled = pull(ines.agentfs, store, "kettle", by=ines.person)
    assert (pulled.documents, pulled.vectors) == (1, True)
    item = ines.agentfs.items.at_path(PREFIX + "boil.md")
    assert item is not None
    assert item.owner.startswith("mara@127.0.0.1")


def unzipped(tree: Objects, file: str) -> bytes:
    return gzip.decompress(tree[PREFIX + file])


def with_file(tree: Objects, file: str, data: bytes) -> Objects:
    """The tree with another file, of which ``metadata.json`` says the truth."""
    metadata = json.loads(unzipped(tree, METADATA))
    metadata["files"][file] = {"size": len(data), "sha256": sha256_hex(data)}
    return tree | {
        PREFIX + file: gzip.compress(data),
        PREFIX + METADATA: gzip.compress(json.dumps(metadata).encode()),
    }


def with_documents(tree: Objects, old: str, new: str) -> Objects:
    text = unzipped(tree, "kettle.json").decode()
    assert old in text
    return with_file(tree, "kettle.json", text.replace(old, new).encode())


HOSTILE: dict[str, Callable[[Objects], Objects]] = {
    "other bytes": lambda tree: tree | {PREFIX + "kettle.json": gzip.compress(b"{}")},
    "other bytes in the right form": lambda tree: (
        tree
        | {
            PREFIX + "kettle.json": gzip.compress(
                unzipped(tree, "kettle.json").replace(b'"format": "bail', b'"format":"bail')
            )
        }
    ),
    "cut off": lambda tree: tree | {PREFIX + "kettle.json": tree[PREFIX + "kettle.json"][:50]},
    "missing": lambda tree: {key: data for key, data in tree.items() if not key.endswith("kettle.json")},
    "a bomb": lambda tree: tree | {PREFIX + "kettle.json": gzip.compress(bytes(50_000_000))},
    "a bomb in metadata": lambda tree: tree | {PREFIX + METADATA: gzip.compress(b" " * 50_000_000)},
    "a path out": lambda tree: with_documents(tree, '"boil.md"', '"../../../../etc/passwd"'),
    "a line for ever": lambda tree: with_documents(tree, '"line": 1', f'"line": {2**40}'),
    "a lone surrogate": lambda tree: with_documents(tree, BOIL, "\\ud800"),
    "an escape sequence": lambda tree: with_documents(tree, BOIL, "\\u001b[2J"),
    "vectors without number": lambda tree: with_file(tree, "vectors.f16", np.full(384, np.nan, "<f2").tobytes()),
    "vectors of others": lambda tree: with_documents(tree, BOIL, "Something else."),
    "an index of nothing": lambda tree: tree | {INDEX: gzip.compress(b"[1,2]")},
    "an index of deep": lambda tree: tree | {INDEX: gzip.compress(b"[" * 100_000)},
    "an index that leads out": lambda tree: tree | {INDEX: tree_index(library="../../x")},
    "an index of control characters": lambda tree: tree | {INDEX: tree_index(published_by="\x1b[2J")},
    "a newer index": lambda tree: tree | {INDEX: gzip.compress(b'{"format":"bailiwick-libraries","version":9}')},
    "no index": lambda tree: {key: data for key, data in tree.items() if key != INDEX},
}


def tree_index(**change: str) -> bytes:
    entry = {"language": "python", "library": "kettle", "version": "1.2", "published_by": "mara"} | change
    return gzip.compress(json.dumps({"format": "bailiwick-libraries", "version": 1, "libraries": [entry]}).encode())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_address_is_one_sentence_and_nothing_is_taken(
    steadfast: Publisher, tree: Objects, hostile: str
) -> None:
    ines, folder = steadfast, steadfast.agentfs.root.parent
    before = sorted(path for path in folder.rglob("*") if path.suffix not in (".db-wal", ".db-shm"))
    with public(HOSTILE[hostile](tree)) as store, pytest.raises(BailiwickError) as refused:
        pull(ines.agentfs, store, "kettle", by=ines.person)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert ines.agentfs.items.at_path(PREFIX + "boil.md") is None
    assert sorted(path for path in folder.rglob("*") if path.suffix not in (".db-wal", ".db-shm")) == before


def test_a_length_beyond_all_bounds_is_refused_before_it_is_read(steadfast: Publisher, tree: Objects) -> None:
    ines = steadfast
    for key in (INDEX, PREFIX + METADATA, PREFIX + "kettle.json"):
        changes = {key: {"Content-Length": str(10 * 2**30)}}
        with public(tree, changes=changes) as store, pytest.raises(BailiwickError):
            pull(ines.agentfs, store, "kettle", by=ines.person)


def test_the_log_cannot_promise_more_than_a_file_can_have(everybody: list[Publisher], remote: Path) -> None:
    _, otto, ines = everybody
    told_of = [told(otto, f"libraries/x/y/v1/{file}", b"{}", owner="otto") for file in ("y.json", METADATA)]
    place = told_of[1].place
    assert place is not None
    commit(otto, told_of[0], replace(told_of[1], place=replace(place, length=10 * 2**30)))
    ines.sync()
    with pytest.raises(SealBroken, match="more than it can have"):
        pull(ines.agentfs, ines.store, "y", by=ines.person)


def test_an_address_that_says_who_published_makes_nobody_the_owner(tmp_path: Path, tree: Objects) -> None:
    with Machines(tmp_path) as machines, public(tree) as store:
        mara = Publisher(machines.open("mara", user="mara"), FolderStore(tmp_path), "mara")
        pull(mara.agentfs, store, "kettle", by=mara.person)
        item = mara.agentfs.items.at_path(PREFIX + "boil.md")
        assert item is not None
        assert item.owner.startswith("mara@127.0.0.1")


def test_a_secret_that_another_published_is_sealed_here(reader: Publisher, tree: Objects) -> None:
    ines, canary = reader, new_canary()
    metadata = json.loads(unzipped(tree, METADATA))
    metadata["vectors"] = None
    del metadata["files"]["vectors.f16"]
    bare = {key: data for key, data in tree.items() if "vectors" not in key}
    bare[PREFIX + METADATA] = gzip.compress(json.dumps(metadata).encode())
    with public(with_documents(bare, BOIL, f"TOKEN={canary}")) as store:
        assert not pull(ines.agentfs, store, "kettle", by=ines.person).vectors
    item = ines.agentfs.items.at_path(PREFIX + "boil.md")
    assert item is not None
    assert (item.sealed, item.level.value) == (True, "private")
    assert files_with(ines.agentfs.root, canary) == []
