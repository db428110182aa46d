"""What other users released arrives as theirs and stays so; what no device of ours sends is refused whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sync.two_devices import PERSON, USER, Device, open_device, operation

from core.agent_model import Actor, ActorKind
from core.agentfs.items import ItemWrite
from core.disclosure.sharing import share
from core.errors import AccessDenied, BailiwickError, InvalidInput, SealBroken
from core.model import Kind, Level
from core.privacy import Audience, Purpose
from core.sync.commit import Operation
from core.sync.local_tree import LocalTree, Origin
from core.sync_model import Change

OTHER = "ben"
BEN = Actor(ActorKind.PERSON, OTHER, "cli")


@pytest.fixture
def mara(tmp_path: Path) -> Iterator[Device]:
    device = open_device(tmp_path / "desk", "desk")
    yield device
    device.agentfs.close()


@pytest.fixture
def ben(tmp_path: Path) -> Iterator[Device]:
    """Another user, with keys of his own."""
    device = open_device(tmp_path / "ben" / "desk", "ben's")
    device.tree = LocalTree(device.agentfs, OTHER, "ben's")
    yield device
    device.agentfs.close()


def released(ben: Device, path: str, text: bytes) -> tuple[Operation, bytes]:
    """An item of Ben's as the public gets it."""
    write = ItemWrite(path, Kind.DECISION, OTHER, text)
    with ben.agentfs.database.transaction() as connection:
        written = ben.agentfs.items.put(connection, write, by=BEN)
    share(ben.agentfs, written.item_id, "public", by=BEN)
    sent = ben.tree.outgoing(path, Audience.public(), Purpose.SHARE)
    assert sent is not None
    return operation(sent), sent.cleared.data


def origin_of(ben: Device) -> Origin:
    return Origin(OTHER, ben.agentfs.device, "ben's")


def test_an_item_of_another_user_arrives_read_only_and_goes_nowhere(mara: Device, ben: Device) -> None:
    told, data = released(ben, "decisions/lamp", b'{"take":"oil"}')
    assert "shares" not in (told.header or {})
    assert mara.tree.apply(told, data, expected=None, origin=origin_of(ben))
    item = mara.agentfs.items.at_path("decisions/lamp")
    assert item is not None
    assert (item.owner, item.level, mara.agentfs.items.content(item)) == (OTHER, Level.PUBLIC, b'{"take":"oil"}')
    assert mara.tree.version("decisions/lamp") == told.version
    assert mara.changes() == []
    with pytest.raises(InvalidInput, match="ben's"):
        mara.tree.outgoing("decisions/lamp")
    with pytest.raises(InvalidInput, match="mara's to delete"):
        mara.tree.delete("decisions/lamp", expected=told.version or "", origin=mara.origin)
    told, data = released(ben, "decisions/lamp", b'{"take":"gas"}')
    assert mara.tree.apply(told, data, expected=item and mara.tree.version("decisions/lamp"), origin=origin_of(ben))
    assert mara.tree.delete("decisions/lamp", expected=told.version or "", origin=origin_of(ben))
    assert mara.agentfs.items.at_path("decisions/lamp") is None


def test_nobody_puts_anything_in_the_place_of_what_is_the_users_own(mara: Device, ben: Device) -> None:
    with mara.agentfs.database.transaction() as connection:
        mara.agentfs.items.put(connection, ItemWrite("decisions/lamp", Kind.DECISION, USER, b'"mine"'), by=PERSON)
    told, data = released(ben, "decisions/lamp", b'"his"')
    with pytest.raises(InvalidInput, match="is mara's here"):
        mara.tree.apply(told, data, expected=mara.tree.version("decisions/lamp"), origin=origin_of(ben))
    item = mara.agentfs.items.at_path("decisions/lamp")
    assert item is not None
    assert mara.agentfs.items.content(item) == b'"mine"'


def test_what_was_not_shared_is_not_released(ben: Device) -> None:
    with ben.agentfs.database.transaction() as connection:
        ben.agentfs.items.put(connection, ItemWrite("decisions/own", Kind.DECISION, OTHER, b'"no"'), by=BEN)
    with pytest.raises(AccessDenied):
        ben.tree.outgoing("decisions/own", Audience.public(), Purpose.SHARE)


def sent(device: Device, path: str) -> tuple[Operation, bytes]:
    out = device.tree.outgoing(path)
    assert out is not None
    told = operation(out)
    return told, device.tree.opened(told, out.cleared.data)


def changed(told: Operation, **fields: Any) -> Operation:
    """``told`` with other fields in its header."""
    return replace(told, header={**(told.header or {}), **fields})


def test_what_no_device_of_ours_sends_is_refused_and_nothing_is_done(mara: Device, tmp_path: Path) -> None:
    laptop = open_device(tmp_path / "laptop", "laptop", keys_of=mara)
    scout, helper = mara.agent("scout"), mara.agent("helper")
    mara.agentfs.states.put("scout", "plan", {"step": 1}, by=scout)
    message = mara.agentfs.messages.send("scout", "helper", "hi", by=scout)
    session = mara.agentfs.sessions.start("scout", by=scout)
    state, value = sent(mara, f"agents/{scout.id}/state/plan")
    agent, record = sent(mara, f"agents/{scout.id}")
    note, text = sent(mara, f"messages/{message.id}")
    stretch, calls = sent(mara, f"sessions/{session.id}")
    about = (note.header or {})["about"]
    assert isinstance(about, dict)
    hostile: list[tuple[Operation, bytes]] = [
        (changed(state, owner=OTHER), value),
        (changed(state, v=2), value),
        (changed(state, kind="document"), value),
        (changed(state, level="secret"), value),
        (changed(state, metadata=[]), value),
        (changed(state, parties=[]), value),
        (changed(state, parties=[["../../x", "a", "b", USER, "c", ""]]), value),
        (changed(state, shares=[["world", "", False, False, USER, "2026-01-01T00:00:00+00:00"]]), value),
        (changed(state, created_at="yesterday"), value),
        (changed(state, about={"expires_at": 3}), value),
        (state, b"{"),
        (state, b'{"value":1,"history":[]}'),
        (state, value.replace(b'"put"', b'"invent"')),
        (replace(state, version=None), value),
        (replace(state, header=None), value),
        (replace(state, path="agents/not-an-id/state/plan"), value),
        (agent, b"[" * 100_000),
        (agent, record.replace(b'"scout"', b'"\xe2\x80\xae"')),
        (replace(agent, path=f"agents/{helper.id}/state/x", kind="agent"), record),
        (changed(note, about={**about, "receipts": [["no id"]]}), text),
        (changed(note, about={**about, "from": helper.id}), text),
        (replace(note, path=f"messages/{session.id}"), text),
        (stretch, calls.replace(b'"agent_id"', b'"agent_di"')),
        (replace(stretch, path=f"sessions/{message.id}"), calls),
    ]
    head = laptop.agentfs.audit.head()
    for told, content in hostile:
        with pytest.raises(InvalidInput):
            laptop.tree.apply(told, content, expected=None, origin=mara.origin)
    with pytest.raises(InvalidInput):
        laptop.tree.apply(state, value, expected=None, origin=Origin(OTHER, mara.agentfs.device))
    with pytest.raises(SealBroken):
        laptop.tree.opened(replace(state, content=note.content), sealed(mara, state.path))
    assert laptop.agentfs.audit.head() == head
    laptop.agentfs.close()


def sealed(device: Device, path: str) -> bytes:
    out = device.tree.outgoing(path)
    assert out is not None
    return out.cleared.data


def test_another_user_sends_no_agents_messages_or_deletions_of_what_is_not_his(mara: Device, ben: Device) -> None:
    scout = ben.agentfs.agents.register("scout", "research", owner=OTHER, by=BEN).agent
    out = ben.tree.outgoing(f"agents/{scout.id}")
    assert out is not None
    content = ben.tree.opened(operation(out), out.cleared.data)
    with pytest.raises(InvalidInput):
        mara.tree.apply(operation(out), content, expected=None, origin=origin_of(ben))
    with pytest.raises(BailiwickError):
        mara.tree.opened(operation(out), out.cleared.data)
    told = Operation("decisions/x", Change.DELETE, None, None)
    with pytest.raises(InvalidInput):
        mara.tree.conflict(told, None, expected=None, base=None, origin=origin_of(ben))
