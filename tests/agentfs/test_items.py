"""Items, journal and contents behave like a plain dictionary with a history of changes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.agentfs.agentfs import AgentFS
from core.agentfs.contents import INLINE_BYTES
from core.agentfs.items import ItemWrite
from core.errors import WorkspaceUnusable
from core.ids import sha256_hex
from core.model import Kind

PATHS = st.sampled_from(["a", "b", "c/d"])
CHANGES = st.lists(st.tuples(PATHS, st.one_of(st.none(), st.binary(max_size=20))), max_size=20)


def put(agentfs: AgentFS, path: str, data: bytes, **metadata: str) -> tuple[str, str | None]:
    with agentfs.database.transaction() as connection:
        write = ItemWrite(path, Kind.DOCUMENT, "ada", data, metadata=dict(metadata))
        written = agentfs.items.put(connection, write)
        return written.item_id, written.freed


def delete(agentfs: AgentFS, item_id: str) -> str | None:
    with agentfs.database.transaction() as connection:
        return agentfs.items.delete(connection, item_id)


@settings(max_examples=30, deadline=None)
@given(changes=CHANGES)
def test_changes_since_rebuilds_the_truth_from_any_position(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, bytes | None]]
) -> None:
    agentfs = AgentFS(tmp_path_factory.mktemp("w"))
    expected: dict[str, bytes] = {}
    follower: dict[str, str] = {}
    position = 0
    for number, (path, data) in enumerate(changes):
        item = agentfs.items.at_path(path)
        if data is not None:
            put(agentfs, path, data)
            expected[path] = data
        elif item is not None:
            delete(agentfs, item.id)
            del expected[path]
        if number % 3 == 0:
            position = follow(agentfs, follower, position)
    follow(agentfs, follower, position)
    assert follower == {path: sha256_hex(data) for path, data in expected.items()}
    agentfs.close()


def follow(agentfs: AgentFS, follower: dict[str, str], position: int) -> int:
    while changes := agentfs.items.changes_since(position, 2):
        for item in changes:
            if item.deleted:
                follower.pop(item.path, None)
            else:
                follower[item.path] = item.sha256
        position = changes[-1].position
    return position


def test_an_equal_write_is_no_change(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    first, _ = put(agentfs, "a", b"1", key="v")
    before = agentfs.items.position()
    second, freed = put(agentfs, "a", b"1", key="v")
    assert (second, freed, agentfs.items.position()) == (first, None, before)
    put(agentfs, "a", b"1", key="other")
    assert agentfs.items.position() > before
    agentfs.close()


def test_a_change_names_what_it_was_based_on(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    put(agentfs, "a", b"1")
    item_id, freed = put(agentfs, "a", b"2")
    item = agentfs.items.get(item_id)
    assert item is not None
    assert item.base_sha256 == sha256_hex(b"1") == freed
    assert item.version == 2
    agentfs.close()


def test_a_deleted_path_can_be_written_again_under_its_old_id(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    item_id, _ = put(agentfs, "a", b"1")
    delete(agentfs, item_id)
    assert agentfs.items.at_path("a") is None
    assert delete(agentfs, item_id) is None
    again, _ = put(agentfs, "a", b"1")
    assert again == item_id
    assert agentfs.items.at_path("a") is not None
    agentfs.close()


@pytest.mark.parametrize("size", [10, INLINE_BYTES, INLINE_BYTES + 1])
def test_contents_are_kept_once_and_go_with_their_last_item(tmp_path: Path, size: int) -> None:
    agentfs = AgentFS(tmp_path)
    data = b"x" * size
    first, _ = put(agentfs, "a", data)
    second, _ = put(agentfs, "b", data)
    delete(agentfs, first)
    agentfs.contents.discard_unused([sha256_hex(data)])
    assert agentfs.contents.read(sha256_hex(data)) == data
    delete(agentfs, second)
    agentfs.contents.discard_unused([sha256_hex(data)])
    with pytest.raises(WorkspaceUnusable, match="missing"):
        agentfs.contents.read(sha256_hex(data))
    agentfs.close()


def test_a_flipped_bit_is_noticed_when_read(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    data = b"x" * (INLINE_BYTES + 1)
    put(agentfs, "a", data)
    digest = sha256_hex(data)
    (tmp_path / "files" / digest[:2] / digest).write_bytes(data[:-1] + b"y")
    with pytest.raises(WorkspaceUnusable, match="damaged"):
        agentfs.contents.read(digest)
    assert agentfs.contents.damaged() == [digest]
    agentfs.close()


def test_usage_adds_up_and_ignores_what_is_no_item(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    item_id, _ = put(agentfs, "a", b"1")
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    agentfs.items.record_usage({item_id: 2, "unknown": 1}, late)
    agentfs.items.record_usage({item_id: 3}, early)
    usage = agentfs.items.usage([item_id, "unknown"])
    assert set(usage) == {item_id}
    assert (usage[item_id].access_count, usage[item_id].last_accessed) == (5, late)
    agentfs.close()
