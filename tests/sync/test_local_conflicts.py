"""What both devices changed differently: both versions are kept, one works on, and nothing is taken in halves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sync.two_devices import PERSON, USER, Device, carry, carry_changes, differ, former, open_device, operation

from core.agentfs.items import ItemWrite
from core.conflicts.outcomes import Took
from core.conflicts.records import ConflictStatus, ConflictStore
from core.errors import InvalidInput, Locked
from core.model import Kind, Level, Sensitivity
from core.sync.local_tree import FormerVersion

SECRET = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[tuple[Device, Device]]:
    """A desk with an agent that has a plan, and a laptop that has it too."""
    desk = open_device(tmp_path / "desk", "desk")
    laptop = open_device(tmp_path / "laptop", "laptop", keys_of=desk)
    scout = desk.agent("scout")
    desk.agentfs.states.put("scout", "plan", {"step": 1}, by=scout)
    carry_changes(desk, laptop)
    yield desk, laptop
    for each in (desk, laptop):
        assert each.agentfs.audit_check.verify().whole
        each.agentfs.close()


def plan(device: Device) -> str:
    """The path of the plan."""
    return f"agents/{device.agentfs.agents.get('scout').id}/state/plan"


def write(device: Device, step: int) -> None:
    device.agentfs.states.put("scout", "plan", {"step": step}, by=PERSON)


def test_two_edits_keep_both_and_the_remote_one_works_on(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    path, base = plan(desk), former(desk, plan(desk))
    write(desk, 2)
    write(laptop, 3)
    assert differ(desk, laptop, path, base)
    assert laptop.agentfs.states.get("scout", "plan", by=PERSON).value == {"step": 2}
    history = laptop.agentfs.states.history("scout", "plan", by=PERSON)
    values = [laptop.agentfs.states.value_at("scout", "plan", each.version, by=PERSON) for each in history]
    assert values == [{"step": 2}, {"step": 3}, {"step": 1}]
    store = ConflictStore(laptop.agentfs)
    (entry,) = store.all()
    record = store.get(entry.id)
    assert record.base is not None
    assert (record.path, record.kind, record.status) == (path, "research_finding", ConflictStatus.OPEN)
    assert (record.base.content, record.local.content, record.remote.content) == (
        b'{"step":1}',
        b'{"step":3}',
        b'{"step":2}',
    )
    assert (record.local.device, record.remote.device) == (laptop.agentfs.device, desk.agentfs.device)
    assert (record.base.version, record.remote.version) == (base.version, desk.tree.version(path))
    assert store.count_open() == 1

    # The conflict travels, and another version over the same base joins it.
    carry_changes(laptop, desk)
    assert ConflictStore(desk.agentfs).get(entry.id) == record
    write(laptop, 4)
    write(desk, 5)
    assert differ(desk, laptop, path, base)
    (later,) = store.all()
    assert later.id == entry.id
    grown = store.get(entry.id)
    sides = {each.content for each in (grown.local, grown.remote, *grown.others)}
    assert sides == {b'{"step":2}', b'{"step":3}', b'{"step":4}', b'{"step":5}'}


def test_the_user_who_goes_on_meanwhile_loses_nothing(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    path = plan(desk)
    before = laptop.tree.version(path)
    write(desk, 2)
    sent = desk.tree.outgoing(path)
    assert sent is not None
    assert before is not None
    told = operation(sent, before)
    content = laptop.tree.opened(told, sent.cleared.data)
    write(laptop, 3)
    head = laptop.agentfs.audit.head()
    assert not laptop.tree.apply(told, content, expected=before, origin=desk.origin)
    assert not laptop.tree.delete(path, expected=before, origin=desk.origin)
    assert not laptop.tree.conflict(told, content, expected=before, base=None, origin=desk.origin)
    assert not laptop.tree.apply(told, content, expected=None, origin=desk.origin)
    assert laptop.agentfs.audit.head() == head
    assert laptop.agentfs.states.get("scout", "plan", by=PERSON).value == {"step": 3}


def test_what_is_taken_in_together_is_there_together_or_not_at_all(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    path = plan(desk)
    desk.agentfs.states.put("scout", "other", 1, by=PERSON)
    write(desk, 2)
    told = {}
    for each in (path, path.replace("plan", "other")):
        sent = desk.tree.outgoing(each)
        assert sent is not None
        told[each] = operation(sent), laptop.tree.opened(operation(sent), sent.cleared.data)
    before, head = laptop.versions(), laptop.agentfs.audit.head()

    def take(*, gives_up: bool) -> None:
        with laptop.tree.together():
            for each, (said, content) in told.items():
                with pytest.raises(InvalidInput):
                    laptop.tree.apply(said, b"{", expected=before.get(each), origin=desk.origin)
                assert not laptop.tree.apply(said, content, expected="0" * 64, origin=desk.origin)
                assert laptop.tree.apply(said, content, expected=before.get(each), origin=desk.origin)
            if gives_up:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(gives_up=True)
    assert (laptop.versions(), laptop.agentfs.audit.head()) == (before, head)
    take(gives_up=False)
    assert laptop.versions() == desk.versions()


@pytest.mark.parametrize("deletes", ["desk", "laptop"])
def test_an_edit_wins_over_a_deletion_and_that_is_recorded(devices: tuple[Device, Device], deletes: str) -> None:
    desk, laptop = devices
    path, base = plan(desk), former(desk, plan(desk))
    deleting, editing = (desk, laptop) if deletes == "desk" else (laptop, desk)
    deleting.agentfs.states.delete("scout", "plan", by=PERSON)
    write(editing, 7)
    assert differ(desk, laptop, path, base)
    assert laptop.agentfs.states.get("scout", "plan", by=PERSON).value == {"step": 7}
    store = ConflictStore(laptop.agentfs)
    record = store.get(store.all()[0].id)
    assert (record.status, store.count_open()) == (ConflictStatus.RESOLVED, 0)
    assert {record.local.version is None, record.remote.version is None} == {True, False}
    assert record.outcome is not None
    assert record.local.version is None
    assert record.outcome.took is Took.REMOTE


def test_a_secret_in_any_of_the_versions_seals_the_record(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    path = plan(desk)
    desk.agentfs.states.put("scout", "plan", {"token": SECRET}, by=PERSON)
    carry_changes(desk, laptop)
    base = former(desk, path)
    write(desk, 2)
    write(laptop, 3)
    assert differ(desk, laptop, path, base)
    store = ConflictStore(laptop.agentfs)
    item = laptop.agentfs.items.at_path(f"conflicts/{store.all()[0].id}")
    assert item is not None
    assert (item.sealed, item.level, item.kind) == (True, Level.PRIVATE, Kind.DECISION)
    assert item.sensitive is Sensitivity.SECRET
    laptop.agentfs.keys.lock()
    assert store.count_open() == 1
    with pytest.raises(Locked):
        store.get(item.path)


def test_records_of_two_devices_become_one(devices: tuple[Device, Device], tmp_path: Path) -> None:
    desk, laptop = devices
    tablet = open_device(tmp_path / "tablet", "tablet", keys_of=desk)
    carry(desk, tablet, list(desk.versions()))
    path, base = plan(desk), former(desk, plan(desk))
    for device, step in ((desk, 2), (laptop, 3), (tablet, 4)):
        write(device, step)
    assert differ(desk, laptop, path, base)
    assert differ(desk, tablet, path, base)
    conflict = f"conflicts/{ConflictStore(laptop.agentfs).all()[0].id}"
    assert laptop.tree.merges(conflict)
    carry(laptop, tablet, [conflict])
    carry(tablet, laptop, [conflict])
    assert laptop.tree.version(conflict) == tablet.tree.version(conflict)
    record = ConflictStore(tablet.agentfs).get(conflict)
    sides = {each.content for each in (record.local, record.remote, *record.others)}
    assert sides == {b'{"step":2}', b'{"step":3}', b'{"step":4}'}
    assert ConflictStore(tablet.agentfs).count_open() == 1
    tablet.agentfs.close()


def test_what_was_added_twice_alike_is_adopted_and_unlike_kept_twice(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices

    def put(device: Device, path: str, data: bytes) -> None:
        with device.agentfs.database.transaction() as connection:
            device.agentfs.items.put(connection, ItemWrite(path, Kind.DECISION, USER, data), by=PERSON)

    for device, text in ((desk, b'"one"'), (laptop, b'"other"')):
        put(device, "decisions/alike", b'"same"')
        put(device, "decisions/unlike", text)
    here, there = (each.agentfs.items.at_path("decisions/alike") for each in devices)
    assert here is not None
    assert there is not None
    assert here.id != there.id
    assert desk.tree.version("decisions/alike") == laptop.tree.version("decisions/alike")
    assert differ(desk, laptop, "decisions/unlike")
    store = ConflictStore(laptop.agentfs)
    record = store.get(store.all()[0].id)
    assert (record.base, record.local.content, record.remote.content) == (None, b'"other"', b'"one"')


def test_a_base_that_is_not_at_hand_is_none_the_less_named(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    path, base = plan(desk), former(desk, plan(desk))
    write(desk, 2)
    write(laptop, 3)
    assert differ(desk, laptop, path, FormerVersion(base.version))
    store = ConflictStore(laptop.agentfs)
    record = store.get(store.all()[0].id)
    assert record.base is not None
    assert (record.base.version, record.base.content) == (base.version, None)
