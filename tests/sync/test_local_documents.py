"""Documents on two devices: the same files are the same, what arrives is found, and what is removed goes everywhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sync.two_devices import PERSON, USER, Device, carry_changes, differ, open_device, operation

from core.agentfs.items import ItemWrite
from core.config import load_settings
from core.conflicts.records import ConflictStore
from core.content_format import decode, encode
from core.engine import Duties
from core.events import EventBus
from core.library.arrived import find_arrived, remove_arrived
from core.library.extract import ReadRequest, extract
from core.library.ingest import Ingester
from core.library.reader_process import ReaderProcess
from core.library.sources import Origin, add_path
from core.model import Kind, SearchMode
from core.search.query import Query
from core.sync.leaving import comparable
from core.sync.local_tree import LocalTree
from core.workspace import Workspace


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[tuple[Device, Device]]:
    """A desk and a laptop that seals everything private."""
    desk = open_device(tmp_path / "desk", "desk")
    laptop = open_device(tmp_path / "laptop", "laptop", keys_of=desk, seal_all=True)
    yield desk, laptop
    for each in (desk, laptop):
        each.agentfs.close()


def add(device: Device, folder: Path) -> None:
    """Add a folder, and read it."""
    add_path(device.agentfs, str(folder), Origin(), cwd=folder)
    ingester = Ingester(
        device.agentfs, EventBus(), ReaderProcess(), owner=USER, tokenizer=lambda: None, committed=lambda: None
    )
    ingester.start()
    end = time.monotonic() + 30
    while not ingester.idle:
        assert time.monotonic() < end
        time.sleep(0.01)
    ingester.stop()


def folder_of(parent: Path) -> Path:
    folder = parent / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "lamp.md").write_text("# Lamp\n\nThe lighthouse is lit.\n")
    (folder / "deep" / "bell.md").write_text("# Bell\n\nIt rings in fog.\n")
    return folder


def test_a_folder_that_both_devices_added_is_the_same_wherever_it_lies(
    devices: tuple[Device, Device], tmp_path: Path
) -> None:
    desk, laptop = devices
    add(desk, folder_of(tmp_path / "one"))
    add(laptop, folder_of(tmp_path / "another place"))
    assert desk.versions() == laptop.versions()
    assert len(desk.versions()) == 2
    path = f"user-contributions/{USER}/docs/lamp.md"
    here, there = desk.agentfs.items.at_path(path), laptop.agentfs.items.at_path(path)
    assert here is not None
    assert there is not None
    assert (here.id != there.id, here.sealed, there.sealed) == (True, False, True)


def test_a_document_arrives_without_the_place_it_lies_at_and_keeps_the_one_it_has(
    devices: tuple[Device, Device], tmp_path: Path
) -> None:
    desk, laptop = devices
    folder = folder_of(tmp_path / "one")
    add(desk, folder)
    carry_changes(desk, laptop)
    assert desk.versions() == laptop.versions()
    path = f"user-contributions/{USER}/docs/deep/bell.md"
    item = laptop.agentfs.items.at_path(path)
    assert item is not None
    assert str(tmp_path) not in str(item) + laptop.agentfs.items.content(item).decode()
    assert decode(laptop.agentfs.items.content(item)).source == item.metadata["source"] == "deep/bell.md"
    assert item.metadata["title"] == "bell.md"

    # What another device has edited keeps being the file that it is here.
    second = tmp_path / "second"
    shutil.copytree(folder, second / "docs")
    add(laptop, second / "docs")
    (folder / "deep" / "bell.md").write_text("# Bell\n\nIt rings at noon.\n")
    add(desk, folder)
    carry_changes(desk, laptop)
    item = laptop.agentfs.items.at_path(path)
    assert item is not None
    content = decode(laptop.agentfs.items.content(item))
    assert (content.source, content.passages[0].text) == (str(second / "docs/deep/bell.md"), "It rings at noon.")
    assert item.metadata["source_id"] == laptop.agentfs.sources.all()[0].id
    assert desk.versions() == laptop.versions()


def test_what_was_removed_where_it_has_no_source_is_gone_everywhere_until_it_is_added_again(
    devices: tuple[Device, Device], tmp_path: Path
) -> None:
    desk, laptop = devices
    folder = folder_of(tmp_path / "one")
    add(desk, folder)
    carry_changes(desk, laptop)
    laptop.changes()
    found = find_arrived(laptop.agentfs, "docs")
    assert [each.name for each in found] == ["docs", "docs"]
    assert find_arrived(laptop.agentfs, f"user-contributions/{USER}/docs/lamp.md") == found[1:]
    assert find_arrived(desk.agentfs, "docs") == []
    assert remove_arrived(laptop.agentfs, found, by=PERSON) == 2
    carry_changes(laptop, desk)
    assert desk.versions() == laptop.versions() == {}
    add(desk, folder)
    carry_changes(desk, laptop)
    assert len(laptop.versions()) == 2


def test_a_rename_sends_no_content_again(devices: tuple[Device, Device], tmp_path: Path) -> None:
    desk, laptop = devices

    def put(path: str) -> str:
        with desk.agentfs.database.transaction() as connection:
            write = ItemWrite(path, Kind.DECISION, USER, b'{"take":"this"}')
            return desk.agentfs.items.put(connection, write, by=PERSON).item_id

    first = put("decisions/a")
    sent = desk.tree.outgoing("decisions/a")
    with desk.agentfs.database.transaction() as connection:
        desk.agentfs.items.delete(connection, first, by=PERSON)
    put("decisions/b")
    again = desk.tree.outgoing("decisions/b")
    assert sent is not None
    assert again is not None
    assert (sent.content, sent.version) == (again.content, again.version)
    # What lies in the area is bound to its content, not to the item that brought it there.
    assert laptop.tree.opened(operation(again), sent.cleared.data) == b'{"take":"this"}'


def test_a_package_reads_the_same_wherever_it_is_installed(tmp_path: Path) -> None:
    digests = set()
    for place in ("venv/lib", "usr/share/python"):
        root = tmp_path / place / "kitchen"
        root.mkdir(parents=True)
        (root / "kettle.py").write_text('"""Boils water."""\n\ndef boil(minutes: int) -> None:\n    """Until hot."""\n')
        read = extract(ReadRequest(root / "kettle.py", root, module="kitchen.kettle", library="kitchen", version="1"))
        digests.add(comparable(Kind.DOCUMENT, encode(read.content)))
    assert len(digests) == 1


def test_documents_that_were_only_cut_differently_are_no_conflict(
    devices: tuple[Device, Device], tmp_path: Path
) -> None:
    desk, laptop = devices
    words = " ".join(f"Sentence {number} tells of the harbour and its lamps." for number in range(60))
    for device, folder, tokenizer in ((desk, "one", 200), (laptop, "another", 40)):
        place = tmp_path / folder / "docs"
        place.mkdir(parents=True)
        (place / "long.md").write_text(f"# Harbour\n\n{words}\n")
        add(device, place)
        _cut_to(device, tokenizer)
    path = f"user-contributions/{USER}/docs/long.md"
    assert desk.tree.version(path) != laptop.tree.version(path)
    assert differ(desk, laptop, path)
    assert desk.versions() == laptop.versions()
    assert ConflictStore(laptop.agentfs).all() == []


def _cut_to(device: Device, words: int) -> None:
    """Cut the one document anew, as a machine with another way to count tokens does."""
    item = device.agentfs.items.documents_since(0, 1)[0]
    content = decode(device.agentfs.items.content(item))
    text = " ".join(passage.text for passage in content.passages).split()
    first = content.passages[0]
    passages = tuple(replace(first, text=" ".join(text[start : start + words])) for start in range(0, len(text), words))
    write = ItemWrite(
        item.path,
        item.kind,
        item.owner,
        encode(replace(content, passages=passages)),
        metadata=item.metadata,
        found=item.sensitive,
    )
    with device.agentfs.database.transaction() as connection:
        device.agentfs.items.put(connection, write, by=PERSON)


def test_what_arrives_is_found_by_searching_and_removed_from_the_shell(
    devices: tuple[Device, Device], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("BAILIWICK_USER_ID", USER)
    desk, _ = devices
    add(desk, folder_of(tmp_path / "one"))
    root = tmp_path / "tablet"
    shutil.copytree(desk.agentfs.root / "keys" / "slots", root / "keys" / "slots")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "bailiwick").mkdir(parents=True)
    shutil.copytree(tmp_path / "key files", tmp_path / "config" / "bailiwick" / "keys")
    workspace = Workspace(root, load_settings(root), role="a test", duties=Duties.WORK)
    try:
        tablet = Device(workspace.agentfs, LocalTree(workspace.agentfs, USER, "tablet"), "tablet")
        carry_changes(desk, tablet)
        assert workspace.wait_until_searchable()
        answer = workspace.search(Query("lighthouse", mode=SearchMode.TEXT))
        assert [(hit.document_title, hit.source) for hit in answer.hits] == [("Lamp", "lamp.md")]
        removal = workspace.remove("docs")
        assert (removal.names, removal.documents) == (["docs"], 2)
        assert workspace.wait_until_searchable()
        assert not workspace.search(Query("lighthouse", mode=SearchMode.TEXT)).hits
        carry_changes(tablet, desk)
        assert desk.versions() == {}
    finally:
        workspace.close()
