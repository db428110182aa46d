"""What both devices changed so that it fits together: merged where it is found, with all facts of it, and sent on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sync.two_devices import PERSON, USER, Device, carry_changes, differ, former, open_device

from core.agent_model import Actor, ActorKind
from core.agentfs.items import ItemWrite
from core.agentfs.shares import ShareRecord
from core.conflicts.outcomes import RuledBy, Took
from core.conflicts.records import ConflictRecord, ConflictStatus, ConflictStore
from core.content_format import decode, encode
from core.model import DocumentContent, JSONValue, Kind, Level, Passage
from core.sync.header_merge import merged_header
from core.sync.item_header import ItemHeader

DOCUMENT = "user-contributions/mara/docs/gate.md"


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[tuple[Device, Device]]:
    """A desk with an agent, and a laptop that knows it."""
    desk = open_device(tmp_path / "desk", "desk")
    laptop = open_device(tmp_path / "laptop", "laptop", keys_of=desk)
    scout = desk.agent("scout")
    desk.agentfs.states.put("scout", "plan", {"a": 1, "b": 1, "c": 1}, by=scout)
    carry_changes(desk, laptop)
    laptop.changes()
    yield desk, laptop
    for each in (desk, laptop):
        assert each.agentfs.audit_check.verify().whole
        each.agentfs.close()


def path_of_plan(device: Device) -> str:
    return f"agents/{device.agentfs.agents.get('scout').id}/state/plan"


def plan(device: Device) -> JSONValue:
    return device.agentfs.states.get("scout", "plan", by=PERSON).value


def the_record(device: Device) -> ConflictRecord:
    store = ConflictStore(device.agentfs)
    (entry,) = store.all()
    return store.get(entry.id)


def test_a_state_is_merged_where_it_is_found_and_sent_on(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    path = path_of_plan(desk)
    base = former(desk, path)
    scout = Actor(ActorKind.AGENT, desk.agentfs.agents.get("scout").id, "cli")
    desk.agentfs.states.put("scout", "plan", {"a": 2, "b": 1, "c": 1}, by=scout)
    laptop.agentfs.states.put("scout", "plan", {"a": 1, "b": 1, "c": 3}, by=PERSON)
    assert differ(desk, laptop, path, base) is ConflictStatus.RESOLVED
    assert plan(laptop) == {"a": 2, "b": 1, "c": 3}
    record = the_record(laptop)
    assert record.outcome is not None
    assert (record.outcome.by, record.outcome.took) == (RuledBy.AUTOMATIC, Took.MERGED)
    assert (record.local.who, record.remote.who) == (USER, f"{USER} · scout")
    told = carry_changes(laptop, desk)
    assert {path, record.item_path} <= set(told)
    assert plan(desk) == plan(laptop)
    assert the_record(desk) == record
    assert desk.versions() == laptop.versions()


def test_a_merge_that_cannot_be_written_is_left_open(
    devices: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, laptop = devices
    path = path_of_plan(desk)
    base = former(desk, path)
    for device, name in ((desk, "d"), (laptop, "l")):
        value: dict[str, JSONValue] = {"a": 1, "b": 1, "c": 1, name: "x" * 200}
        device.agentfs.states.put("scout", "plan", value, by=PERSON)
    small = replace(laptop.agentfs.agents.policy, value_bytes=300)
    monkeypatch.setattr(laptop.agentfs.agents.places, "policy", small)
    assert differ(desk, laptop, path, base) is ConflictStatus.OPEN
    assert isinstance(plan(laptop), dict)
    assert plan(laptop) == plan(desk)
    record = the_record(laptop)
    assert record.status is ConflictStatus.OPEN
    assert b"x" * 200 in (record.local.content or b"")


def test_a_document_is_merged_by_its_lines(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices

    def put(device: Device, first: str, second: str) -> None:
        passages = (Passage("One", (), first, 1), Passage("Two", (), second, 9))
        data = encode(DocumentContent("Gate", "", "", "", "gate.md", passages))
        with device.agentfs.database.transaction() as connection:
            device.agentfs.items.put(connection, ItemWrite(DOCUMENT, Kind.DOCUMENT, USER, data), by=PERSON)

    put(desk, "It opens.", "Ring.")
    carry_changes(desk, laptop)
    base = former(desk, DOCUMENT)
    put(desk, "It opens at six.", "Ring.")
    put(laptop, "It opens.", "Ring twice.")
    assert differ(desk, laptop, DOCUMENT, base) is ConflictStatus.RESOLVED
    item = laptop.agentfs.items.at_path(DOCUMENT)
    assert item is not None
    made = decode(laptop.agentfs.items.content(item))
    assert [each.text for each in made.passages] == ["It opens at six.", "Ring twice."]


@pytest.mark.parametrize("settles", [True, False])
def test_what_was_taken_back_here_stays_taken_back(devices: tuple[Device, Device], settles: bool) -> None:
    desk, laptop = devices
    path = "decisions/gate"

    def put(device: Device, text: str, *, critical: bool = False) -> str:
        write = ItemWrite(path, Kind.DECISION, USER, text.encode(), critical=critical)
        with device.agentfs.database.transaction() as connection:
            return device.agentfs.items.put(connection, write, by=PERSON).item_id

    item_id = put(desk, "one\ntwo\nthree\n")
    desk.agentfs.shares.put(item_id, "team", "harbour", by=PERSON)
    carry_changes(desk, laptop)
    base = former(desk, path)
    put(desk, "ONE\ntwo\nthree\n")
    item = laptop.agentfs.items.at_path(path)
    assert item is not None
    assert len(laptop.agentfs.shares.of(item.id)) == 1
    laptop.agentfs.shares.remove(item.id, by=PERSON)
    put(laptop, "one\ntwo\nTHREE\n" if settles else "uno\ntwo\nthree\n")
    became = differ(desk, laptop, path, base)
    assert became is (ConflictStatus.RESOLVED if settles else ConflictStatus.OPEN)
    item = laptop.agentfs.items.at_path(path)
    assert item is not None
    assert laptop.agentfs.items.content(item) == (b"ONE\ntwo\nTHREE\n" if settles else b"ONE\ntwo\nthree\n")
    assert laptop.agentfs.shares.of(item.id) == []
    # It goes up as something new, and takes the share back there.
    carry_changes(laptop, desk)
    item = desk.agentfs.items.at_path(path)
    assert item is not None
    assert desk.agentfs.shares.of(item.id) == []


def header(level: Level = Level.PRIVATE, *, critical: bool = False, **metadata: JSONValue) -> ItemHeader:
    return ItemHeader("decision", USER, level, critical, metadata)


def test_each_fact_is_as_the_side_has_it_that_changed_it() -> None:
    base = header(Level.TEAM, a=1, b=1, title="old")
    local, remote = (
        header(Level.TEAM, critical=True, a=2, title="mine"),
        header(Level.PUBLIC, a=1, b=1, c=3, title="its"),
    )
    merged = merged_header(base.to_json(), local, remote, "item")
    assert (merged.level, merged.critical) == (Level.PUBLIC, True)
    assert merged.metadata == {"a": 2, "c": 3, "title": "its"}
    assert merged_header(base.to_json(), remote, local, "item").level is Level.PUBLIC
    assert merged_header(base.to_json(), header(Level.PRIVATE), remote, "item").level is Level.PRIVATE
    assert merged_header(None, local, remote, "item").level is Level.TEAM
    assert merged_header(None, local, remote, "item").metadata == {"a": 1, "b": 1, "c": 3, "title": "its"}


def test_shares_are_made_by_either_and_taken_back_by_either() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def shared(*names: str, opted_out: bool = False) -> ItemHeader:
        shares = tuple(ShareRecord("item", "team", name, True, opted_out, USER, at) for name in names)
        return replace(header(), shares=shares)

    def teams(base: ItemHeader | None, local: ItemHeader, remote: ItemHeader) -> list[str]:
        told = base.to_json() if base is not None else None
        return [each.name for each in merged_header(told, local, remote, "item").shares]

    assert teams(shared("a", "b"), shared("a", "c"), shared("b", "d")) == ["c", "d"]
    assert teams(shared("a"), shared("a"), shared("a")) == ["a"]
    assert teams(None, shared("a"), shared("b")) == ["a", "b"]
    out = merged_header(shared("a").to_json(), shared("a", opted_out=True), shared("a"), "item")
    assert [each.opted_out for each in out.shares] == [True]
