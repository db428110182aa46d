"""What goes wrong beyond the network: content that cannot be taken in, older copies, what was never fetched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.agentfs.database import now
from core.agentfs.items import ItemWrite
from core.conflicts.records import ConflictStore
from core.errors import SealBroken
from core.ids import new_id
from core.model import Kind
from core.remote.folder import FolderStore
from core.sync import area_sync
from core.sync.areas import AreaLocks
from core.sync.commit import AuditHead, Commit, Operation, body_of, decode, encode, log_key
from core.sync.pulling import FetchPolicy
from core.sync.signing import device_signer
from core.sync.tables import SyncTables
from core.sync_model import Change
from tests.sync.syncing import AREA, Syncing, join
from tests.sync.two_devices import USER, Device, open_device

SMALL = FetchPolicy(at_most=100)
NEWER = {"v": 2, "what": "this version does not know"}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Syncing, Syncing]]:
    (tmp_path / "remote").mkdir()
    store = FolderStore(tmp_path / "remote")
    laptop = join(tmp_path / "laptop", "laptop", store)
    desk = join(tmp_path / "desk", "desk", store, first=laptop)
    yield laptop, desk
    laptop.device.agentfs.close()
    desk.device.agentfs.close()


def tables(syncing: Syncing) -> SyncTables:
    return SyncTables(syncing.device.agentfs.database)


def told(syncing: Syncing) -> list[Operation]:
    """Every operation of the log."""
    locks, found = AreaLocks(syncing.device.agentfs, AREA), []
    for seq in range(1, tables(syncing).position(AREA.id).seq + 1):
        data = locks.open(syncing.store.get(log_key(AREA.id, seq)), "a commit")
        found += decode(data, AREA.id, seq).commit.operations
    return found


def commit(syncing: Syncing, operation: Operation) -> None:
    """Have the device commit what its own program would not."""
    agentfs, position = syncing.device.agentfs, tables(syncing).position(AREA.id)
    head = AuditHead(*agentfs.audit.head())
    made = Commit(AREA.id, position.seq + 1, position.hash, new_id(), agentfs.device, now(), (operation,), head)
    body = body_of(made)
    data = AreaLocks(agentfs, AREA).close(encode(body, device_signer(agentfs).sign(body)))
    assert syncing.store.put_if_absent(log_key(AREA.id, made.seq), data)


def newer(syncing: Syncing, path: str, base: str | None) -> Operation:
    """What a newer version puts at a path, in terms that this one does not understand."""
    known = tables(syncing).base(AREA.id, "notes/known")
    assert known is not None
    return Operation(
        path, Change.PUT, base, "ab" * 32, known.kind, new_id(), NEWER, known.content, known.size, known.place
    )


def test_what_a_device_does_not_understand_it_neither_deletes_nor_reverts(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/known", "old")
    laptop.sync()
    desk.sync()
    base = tables(laptop).base(AREA.id, "notes/known")
    assert base is not None
    commit(laptop, newer(laptop, "notes/new", None))
    laptop.sync()
    commit(laptop, newer(laptop, "notes/known", base.version))
    result = desk.sync()
    assert any("newer version" in each for each in result.problems)
    for _ in range(2):
        desk.sync()
        laptop.sync()
    assert [each.path for each in told(laptop)] == ["notes/known", "notes/new", "notes/known"]
    assert desk.texts() == {"notes/known": "old"}
    desk.write("notes/other", "is sent all the same")
    desk.sync()
    laptop.sync()
    assert laptop.read("notes/other") == "is sent all the same"


def test_what_is_written_where_something_was_not_fetched_is_a_conflict(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/large", "of the laptop" * 100)
    laptop.sync()
    desk.sync(SMALL)
    desk.write("notes/large", "of the desk")
    assert desk.sync(SMALL).conflicts == 1
    laptop.sync()
    assert laptop.texts() == desk.texts() == {"notes/large": "of the laptop" * 100}
    for each in pair:
        store = ConflictStore(each.device.agentfs)
        (entry,) = store.all()
        assert store.get(entry.id).local.content == b"of the desk"


def test_an_older_copy_of_a_workspace_takes_what_it_once_committed(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    desk.write("notes/heat", "old")
    desk.write("notes/gone", "deleted later")
    desk.sync()
    root = desk.device.agentfs.root
    desk.device.agentfs.close()
    shutil.copytree(root, root.with_name("copy"))
    desk.device = opened_again(root, desk.device)
    desk.write("notes/heat", "new")
    desk.delete("notes/gone")
    desk.sync()
    desk.device.agentfs.close()
    shutil.rmtree(root)
    root.with_name("copy").rename(root)
    desk.device = opened_again(root, desk.device)
    desk.write("notes/since", "written in the copy")
    desk.sync()
    laptop.sync()
    assert laptop.texts() == desk.texts() == {"notes/heat": "new", "notes/since": "written in the copy"}


def opened_again(root: Path, device: Device) -> Device:
    return open_device(root, device.name)


def test_areas_are_read_in_any_order_and_no_audit_trail_was_cut_off_for_that(pair: tuple[Syncing, Syncing]) -> None:
    laptop, _ = pair
    held, device = tables(laptop), new_id()

    def shown(area: str, seq: int, position: int) -> str:
        head = AuditHead(position, f"{position:064x}")
        with held.database.transaction() as connection:
            return held.note_audit_head(connection, Commit(area, seq, "", new_id(), device, now(), (), head))

    assert shown("shared", 1, 105) == ""
    assert shown(AREA.id, 1, 100) == ""
    assert shown(AREA.id, 2, 105) == ""
    assert "cut off" in shown(AREA.id, 3, 104)
    assert "cut off" in shown("shared", 2, 110), "what was seen once stays said"


def test_one_item_that_is_too_large_to_be_told_of_holds_nothing_up(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    agentfs = laptop.device.agentfs
    with agentfs.database.transaction() as connection:
        huge = ItemWrite("notes/huge", Kind.ASSUMPTION, USER, b"small", metadata={"note": "x" * 5_000_000})
        agentfs.items.put(connection, huge)
    for number in range(12):
        with agentfs.database.transaction() as connection:
            large = ItemWrite(f"notes/{number}", Kind.ASSUMPTION, USER, b"small", metadata={"note": "x" * 900_000})
            agentfs.items.put(connection, large)
    laptop.write("notes/heat", "hot")
    result = laptop.sync()
    assert [each for each in result.problems if each.startswith("notes/huge: ")]
    desk.sync()
    assert desk.read("notes/heat") == "hot"
    assert len(desk.texts()) == 13


def test_content_that_is_gone_holds_up_its_path_alone(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/heat", "warm")
    laptop.sync()
    desk.sync()
    laptop.write("notes/heat", "hot")
    laptop.write("notes/more", "x")
    laptop.sync()
    lost = tables(laptop).base(AREA.id, "notes/heat")
    assert lost is not None
    assert lost.place is not None
    data = laptop.store.get(lost.place.key)
    laptop.store.delete([lost.place.key])
    desk.write("notes/desk", "of the desk")
    assert any(each.startswith("notes/heat: ") for each in desk.sync().problems)
    assert desk.read("notes/heat") == "warm"
    laptop.sync()
    assert laptop.read("notes/desk") == "of the desk"
    assert laptop.read("notes/heat") == "hot"
    laptop.store.put_if_absent(lost.place.key, data)
    desk.sync()
    assert desk.texts() == laptop.texts() == {"notes/heat": "hot", "notes/more": "x", "notes/desk": "of the desk"}


def test_an_edit_of_what_waits_for_its_newer_content_is_a_conflict(pair: tuple[Syncing, Syncing]) -> None:
    laptop, desk = pair
    laptop.write("notes/heat", "warm")
    laptop.sync()
    desk.sync()
    laptop.write("notes/heat", "hot")
    laptop.sync()
    lost = tables(laptop).base(AREA.id, "notes/heat")
    assert lost is not None
    assert lost.place is not None
    data = laptop.store.get(lost.place.key)
    laptop.store.delete([lost.place.key])
    desk.sync()
    desk.write("notes/heat", "cold")
    desk.sync()
    laptop.sync()
    assert laptop.read("notes/heat") == "hot"
    laptop.store.put_if_absent(lost.place.key, data)
    assert desk.sync().conflicts == 1
    laptop.sync()
    assert laptop.texts() == desk.texts() == {"notes/heat": "hot"}
    (entry,) = ConflictStore(laptop.device.agentfs).all()
    assert ConflictStore(laptop.device.agentfs).get(entry.id).local.content == b"cold"


def test_a_log_that_is_rolled_back_while_a_process_runs_is_not_written_to(
    pair: tuple[Syncing, Syncing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(area_sync, "COMMIT_LOOK_SECONDS", -1.0)
    laptop, _ = pair
    laptop.write("notes/heat", "hot")
    laptop.sync()
    laptop.write("notes/heat", "cold")
    area = laptop.area()
    area.run()
    remote = laptop.device.agentfs.root.parent / "remote"
    (remote / log_key(AREA.id, 2)).unlink()
    laptop.write("notes/heat", "warm")
    with pytest.raises(SealBroken, match="rolled back"):
        area.run()
    assert not (remote / log_key(AREA.id, 3)).exists()
