"""Two and three devices of one user, level with each other through a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.conflicts.records import ConflictStore
from core.remote.folder import FolderStore
from core.sync.outbox import AsksFirst
from core.sync.pulling import FetchPolicy
from tests.sync.syncing import Syncing, join


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Syncing, Syncing]]:
    (tmp_path / "remote").mkdir()
    store = FolderStore(tmp_path / "remote")
    laptop = join(tmp_path / "laptop", "laptop", store)
    desk = join(tmp_path / "desk", "desk", store, first=laptop)
    yield laptop, desk
    laptop.device.agentfs.close()
    desk.device.agentfs.close()


def level(*devices: Syncing) -> None:
    for _ in range(2):
        for each in devices:
            each.sync()


def test_what_is_written_on_one_is_on_the_other(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/heat", "the kettle is hot")
    assert laptop.sync().sent == 1
    assert desk.sync().received == 1
    assert desk.read("notes/heat") == "the kettle is hot"
    desk.write("notes/heat", "it has cooled")
    level(desk, laptop)
    assert laptop.texts() == desk.texts() == {"notes/heat": "it has cooled"}
    laptop.delete("notes/heat")
    level(laptop, desk)
    assert laptop.texts() == desk.texts() == {}


def test_nothing_new_asks_once_and_sends_nothing(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/heat", "hot")
    level(laptop, desk)
    area = laptop.area()
    area.run()
    before = laptop.store.meter.total()
    area.run()
    used = laptop.store.meter.total() - before
    assert (used.class_a, used.class_b) == (0, 1)


def test_two_edits_are_a_conflict_and_both_are_kept(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/heat", "warm")
    level(laptop, desk)
    laptop.write("notes/heat", "hot")
    desk.write("notes/heat", "cold")
    laptop.sync()
    assert desk.sync().conflicts == 1
    level(laptop, desk)
    assert laptop.texts() == desk.texts() == {"notes/heat": "hot"}
    for each in pair:
        store = ConflictStore(each.device.agentfs)
        (entry,) = store.all()
        conflict = store.get(entry.id)
        assert conflict.base is not None
        assert (conflict.base.content, conflict.local.content, conflict.remote.content) == (b"warm", b"cold", b"hot")


def test_what_was_not_fetched_is_known_and_comes_when_asked_for(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/large", "x" * 5000)
    laptop.sync()
    desk.sync(FetchPolicy(at_most=1000))
    assert desk.read("notes/large") is None
    level(desk, laptop)
    assert laptop.read("notes/large") == "x" * 5000
    desk.area().fetch(["notes/large"])
    assert desk.read("notes/large") == "x" * 5000
    assert desk.sync().sent == 0


def test_what_was_not_fetched_comes_by_itself_once_it_is_wanted(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/large", "x" * 5000)
    laptop.sync()
    desk.sync(FetchPolicy(at_most=1000))
    desk.sync()
    assert desk.read("notes/large") == "x" * 5000


def test_content_that_was_damaged_on_its_way_comes_with_the_next_sync(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/heat", "hot")
    laptop.sync()
    (blob,) = (laptop.device.agentfs.root.parent / "remote").rglob("blobs/*/*/*")
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1])
    area = desk.area()
    (problem, *_) = area.run().problems
    assert "is not what was sent" in problem
    assert desk.read("notes/heat") is None
    blob.write_bytes(whole)
    assert desk.area().run().problems == []
    assert desk.read("notes/heat") == "hot"


def test_deleting_more_than_half_asks_first(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    for number in range(20):
        laptop.write(f"notes/{number}", str(number))
    level(laptop, desk)
    for number in range(15):
        laptop.delete(f"notes/{number}")
    with pytest.raises(AsksFirst, match="15 of 20"):
        laptop.sync()
    assert len(desk.texts()) == 20
    laptop.sync(approved=True)
    desk.sync()
    assert len(desk.texts()) == 5
