"""Every kind of thing really arrives on another device of the same user, and goes on living there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from sync.two_devices import PERSON, USER, Device, carry_changes, open_device

from core.agent_model import Actor, ActorKind, Importance, MessageStatus
from core.agentfs.items import ItemWrite
from core.disclosure.sharing import share, unshare
from core.errors import InvalidInput, Locked
from core.library.notes import Note, add_note
from core.model import Kind, Level, Sensitivity

SECRET = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[tuple[Device, Device]]:
    """A desk and a laptop, equal as far as both are empty."""
    desk = open_device(tmp_path / "desk", "desk")
    laptop = open_device(tmp_path / "laptop", "laptop", keys_of=desk)
    yield desk, laptop
    for each in (desk, laptop):
        assert each.agentfs.audit_check.verify().whole
        each.agentfs.close()


def settle(one: Device, other: Device) -> None:
    """Carry changes both ways until there are none; three rounds have to do."""
    for _ in range(3):
        carry_changes(one, other)
        carry_changes(other, one)
    assert one.versions() == other.versions()


def test_an_agent_with_its_states_and_their_history(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    scout = desk.agent("scout")
    states = desk.agentfs.states
    states.put("scout", "plan", {"step": 1}, by=scout)
    states.put("scout", "plan", {"step": 2}, by=scout)
    states.put("scout", "token", {"value": SECRET}, by=scout, expires_in=3600)
    settle(desk, laptop)
    agent = laptop.agentfs.agents.get("scout")
    assert (agent.id, agent.device) == (scout.id, desk.agentfs.device)
    there = laptop.agentfs.states
    assert there.get("scout", "plan", by=PERSON).value == {"step": 2}
    assert [each.actor for each in there.history("scout", "plan", by=PERSON)] == [scout.id, scout.id]
    assert there.value_at("scout", "plan", 1, by=PERSON) == {"step": 1}
    token = there.get("scout", "token", by=PERSON)
    assert (token.value, token.sealed, token.sensitive) == ({"value": SECRET}, True, Sensitivity.SECRET)
    assert token.expires_at == states.get("scout", "token", by=PERSON).expires_at
    assert SECRET.encode() not in (laptop.agentfs.root / "agentfs.db").read_bytes()

    there.put("scout", "plan", {"step": 3}, by=PERSON)
    there.delete("scout", "token", by=PERSON)
    settle(desk, laptop)
    assert states.get("scout", "plan", by=PERSON).value == {"step": 3}
    assert states.get("scout", "plan", by=PERSON).version == 3
    assert [each.key for each in states.all("scout", by=PERSON)] == ["plan"]
    assert desk.agentfs.agents.get("scout").device == ""


def test_messages_reach_agents_that_live_there_once_and_their_receipts_come_back(
    devices: tuple[Device, Device],
) -> None:
    desk, laptop = devices
    scout, writer = desk.agent("scout"), laptop.agent("writer", "documentation")
    settle(desk, laptop)
    sent = desk.agentfs.messages.send(
        "scout", "writer", {"text": "look"}, by=scout, importance=Importance.HIGH, type="finding"
    )
    settle(desk, laptop)
    inbox = laptop.agentfs.messages.inbox("writer", by=writer)
    assert [(each.id, each.sender, each.content, each.importance) for each in inbox] == [
        (sent.id, "scout", {"text": "look"}, Importance.HIGH)
    ]
    laptop.agentfs.messages.mark("writer", [sent.id], MessageStatus.READ, by=writer)
    assert laptop.agentfs.messages.inbox("writer", by=writer) == []
    settle(desk, laptop)
    assert desk.agentfs.messages.get(sent.id, by=PERSON).status is MessageStatus.READ
    assert laptop.agentfs.messages.inbox("writer", by=writer) == []
    laptop.agentfs.messages.mark("writer", [sent.id], MessageStatus.ACKNOWLEDGED, by=writer)
    answer = laptop.agentfs.messages.send("writer", "scout", "seen", by=writer, reply_to=sent.id)
    settle(desk, laptop)
    assert [each.id for each in desk.agentfs.messages.thread(sent.id, by=PERSON)] == [sent.id, answer.id]
    assert desk.agentfs.messages.receipts(sent.id, by=PERSON) == laptop.agentfs.messages.receipts(sent.id, by=PERSON)
    assert desk.agentfs.messages.get(sent.id, by=PERSON).status is MessageStatus.ACKNOWLEDGED


def test_a_message_to_everyone_reaches_agents_of_the_other_device_and_not_those_that_came_later(
    devices: tuple[Device, Device],
) -> None:
    desk, laptop = devices
    laptop.agent("writer")
    scout = desk.agent("scout")
    desk.agent("helper")
    sent = desk.agentfs.messages.send("scout", "everyone", "hello", by=scout)
    late = laptop.agent("late")
    settle(desk, laptop)
    recipients = {each.agent for each in desk.agentfs.messages.receipts(sent.id, by=PERSON)}
    assert recipients == {"helper", "writer"}
    assert laptop.agentfs.messages.inbox("late", by=late) == []


def test_receipts_that_both_devices_change_come_together(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    scout, writer = desk.agent("scout"), laptop.agent("writer")
    helper = desk.agent("helper")
    settle(desk, laptop)
    sent = desk.agentfs.messages.send("scout", "everyone", "hello", by=scout)
    settle(desk, laptop)
    desk.agentfs.messages.mark("helper", [sent.id], MessageStatus.ACKNOWLEDGED, by=helper)
    laptop.agentfs.messages.mark("writer", [sent.id], MessageStatus.READ, by=writer)
    settle(desk, laptop)
    for each in (desk, laptop):
        steps = {receipt.agent: receipt.status for receipt in each.agentfs.messages.receipts(sent.id, by=PERSON)}
        assert steps == {"helper": MessageStatus.ACKNOWLEDGED, "writer": MessageStatus.READ}
    assert desk.changes() == laptop.changes() == []


def test_a_message_to_the_person_is_read_once_on_whichever_device(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    scout = desk.agent("scout")
    sent = desk.agentfs.messages.send("scout", "person", f"the token is {SECRET}", by=scout)
    settle(desk, laptop)
    assert laptop.agentfs.messages.unread("person", user_id=USER) == 1
    (message,) = laptop.agentfs.messages.inbox("person", by=PERSON)
    assert (message.content, message.sealed) == (f"the token is {SECRET}", True)
    laptop.agentfs.messages.mark("person", [sent.id], MessageStatus.READ, by=PERSON)
    settle(desk, laptop)
    assert desk.agentfs.messages.unread("person", user_id=USER) == 0


def test_sessions_with_their_calls(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    scout = desk.agent("scout")
    session = desk.agentfs.sessions.start("scout", by=scout, title="reading", external_id="abc")
    within = Actor(ActorKind.AGENT, scout.id, "cli", session_id=session.id)
    call = desk.agentfs.sessions.begin_call("scout", "grep", by=within)
    settle(desk, laptop)
    assert laptop.agentfs.sessions.get(session.id).ended_at is None
    desk.agentfs.sessions.finish_call(call, by=within, error="no such file")
    desk.agentfs.sessions.end(session.id, by=within)
    settle(desk, laptop)
    there = laptop.agentfs.sessions.get(session.id)
    assert (there.title, there.agent, there.calls) == ("reading", "scout", 1)
    assert there.ended_at == desk.agentfs.sessions.get(session.id).ended_at
    assert laptop.agentfs.sessions.calls(session_id=session.id) == desk.agentfs.sessions.calls(session_id=session.id)


def test_documents_decisions_shares_and_opt_outs(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    scout, _ = desk.agent("scout"), desk.agent("helper")
    author = desk.agentfs.agents.get("scout")
    note = add_note(desk.agentfs, author, Note("Lamps", "# Lamps\n\nThe lighthouse is lit."), by=scout)
    secret = add_note(desk.agentfs, author, Note("Token", f"It is {SECRET}."), by=scout)
    decision = ItemWrite("decisions/pick", Kind.DECISION, USER, b'{"take":"sqlite"}', critical=True)
    with desk.agentfs.database.transaction() as connection:
        desk.agentfs.items.put(connection, decision, by=PERSON)
    share(desk.agentfs, note.id, "public", by=PERSON)
    settle(desk, laptop)
    items = laptop.agentfs.items
    there = items.get(note.id)
    assert there is not None
    assert (there.path, there.metadata["title"], there.level) == (note.path, "Lamps", note.level)
    assert there.created_at == note.created_at
    kept = items.get(secret.id)
    assert kept is not None
    assert (kept.sealed, kept.level, kept.agent_id) == (True, Level.PRIVATE, scout.id)
    assert SECRET.encode() in items.content(kept)
    picked = items.at_path("decisions/pick")
    assert picked is not None
    assert (items.content(picked), picked.critical) == (b'{"take":"sqlite"}', True)
    assert [each.audience for each in laptop.agentfs.shares.of(note.id)] == ["public"]
    unshare(laptop.agentfs, note.id, by=PERSON)
    settle(desk, laptop)
    assert [each for each in desk.agentfs.shares.of(note.id) if not each.opted_out] == []
    with laptop.agentfs.database.transaction() as connection:
        items.delete(connection, note.id, by=PERSON)
    settle(desk, laptop)
    assert desk.agentfs.items.at_path(note.path) is None


def test_agents_of_another_device_take_no_place_act_there_and_are_told_apart_by_its_name(
    devices: tuple[Device, Device],
) -> None:
    desk, laptop = devices
    there = desk.agent("scout")
    here = laptop.agent("scout")
    settle(desk, laptop)
    shown = {each.agent.name: each.agent for each in laptop.agentfs.agents.all()}
    assert set(shown) == {"scout", "scout@desk"}
    assert (shown["scout"].id, shown["scout@desk"].id) == (here.id, there.id)
    assert shown["scout@desk"].place is None
    for refused in (
        lambda: laptop.agentfs.states.put("scout@desk", "plan", 1, by=there),
        lambda: laptop.agentfs.messages.send("scout@desk", "scout", "hi", by=PERSON),
        lambda: laptop.agentfs.agents.heartbeat("scout@desk", by=there),
        lambda: laptop.agentfs.sessions.start("scout@desk", by=PERSON),
    ):
        with pytest.raises(InvalidInput, match="lives on desk"):
            refused()
    assert laptop.agentfs.agents.verify_key(there.id, "") is False
    laptop.agentfs.agents.retire("scout@desk", by=PERSON, reason="done")
    settle(desk, laptop)
    assert not desk.agentfs.agents.key_path(there.id).exists()
    with pytest.raises(InvalidInput, match="retired"):
        desk.agentfs.states.put("scout", "plan", 1, by=there)
    assert desk.agentfs.agents.get(there.id).retired_at == laptop.agentfs.agents.get(there.id).retired_at


def test_a_name_that_an_agent_here_takes_is_its_own(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    there = desk.agent("scout")
    settle(desk, laptop)
    assert laptop.agentfs.agents.get("scout").id == there.id
    here = laptop.agent("scout")
    assert laptop.agentfs.agents.get("scout").id == here.id != there.id
    assert laptop.agentfs.agents.get("scout@desk").id == there.id
    settle(desk, laptop)
    assert desk.agentfs.agents.get("scout").id == there.id
    assert desk.agentfs.agents.get("scout@laptop").id == here.id


def test_nothing_goes_out_or_comes_in_while_the_keys_are_locked(devices: tuple[Device, Device]) -> None:
    desk, laptop = devices
    scout = desk.agent("scout")
    desk.agentfs.states.put("scout", "token", {"value": SECRET}, by=scout)
    path = f"agents/{scout.id}/state/token"
    sent = desk.tree.outgoing(path)
    assert sent is not None
    head = laptop.agentfs.audit.head()
    laptop.agentfs.keys.lock()
    for refused in (
        lambda: laptop.tree.version(f"agents/{scout.id}"),
        lambda: carry_changes(desk, laptop),
        lambda: laptop.tree.delete(path, expected=sent.version, origin=desk.origin),
    ):
        with pytest.raises(Locked):
            refused()
    assert laptop.agentfs.audit.head() == head
    desk.agentfs.keys.lock()
    with pytest.raises(Locked):
        desk.tree.outgoing(path)


def test_a_key_may_hold_whatever_its_agent_likes_and_what_no_commit_can_name_stays(
    devices: tuple[Device, Device],
) -> None:
    desk, laptop = devices
    scout = desk.agent("scout")
    desk.agentfs.states.put("scout", "a//b/../c/", 1, by=scout)
    with desk.agentfs.database.transaction() as connection:
        for path in ("user-contributions/mara/docs/two\nlines.md", "decisions/../x"):
            desk.agentfs.items.put(connection, ItemWrite(path, Kind.DECISION, USER, b"1"), by=PERSON)
    settle(desk, laptop)
    assert laptop.agentfs.states.get("scout", "a//b/../c/", by=PERSON).value == 1
    assert {each.partition("/")[0] for each in laptop.versions()} == {"agents"}


def test_changes_come_in_pages_and_no_further_than_they_are(devices: tuple[Device, Device]) -> None:
    desk, _ = devices
    scout = desk.agent("scout")
    for number in range(5):
        desk.agentfs.states.put("scout", f"key {number}", number, by=scout)
    paths: list[str] = []
    position = 0
    while True:
        page, position = desk.tree.changed_since(position, 2)
        if not page:
            break
        assert len(page) <= 2
        paths += [each.path for each in page]
    assert len(paths) == len(set(paths)) == 6
    desk.agentfs.states.put("scout", "key 1", "new", by=scout)
    (changed,), _ = desk.tree.changed_since(position)
    assert changed.path == f"agents/{scout.id}/state/key 1"


def test_agents_of_a_workspace_from_before_go_out_too(tmp_path: Path) -> None:
    root = tmp_path / "old"
    root.mkdir(mode=0o700)
    scripts = sorted((resources.files("core.agentfs") / "migrations").iterdir(), key=lambda entry: entry.name)
    old = sqlite3.connect(root / "agentfs.db")
    for script in scripts[:4]:
        old.executescript(script.read_text())
    old.execute(
        "INSERT INTO agents (id, name, type, created_at, last_activity, owner, admission, key_sha256)"
        " VALUES ('01hzzzzzzzzzzzzzzzzzzzzzzz', 'scout', 'poc', '2026-01-01T00:00:00+00:00',"
        " '2026-01-01T00:00:00+00:00', 'mara', 'admitted', '')"
    )
    old.execute("PRAGMA user_version = 4")
    old.commit()
    old.close()
    device = open_device(root, "old")
    assert [each.path for each in device.changes()] == ["agents/01hzzzzzzzzzzzzzzzzzzzzzzz"]
    assert device.changes() == []
    device.agent("writer")
    assert len(device.changes()) == 1
    device.agentfs.close()


def test_the_narrower_boundaries_of_one_device_hold_on_both_and_that_settles(tmp_path: Path) -> None:
    desk = open_device(tmp_path / "desk", "desk")
    laptop = open_device(tmp_path / "laptop", "laptop", keys_of=desk)
    (tmp_path / "laptop" / "privacy_config.yml").write_text(
        "privacy:\n  boundaries:\n    custom_private_patterns: [decisions/*]\n"
    )
    write = ItemWrite("decisions/pick", Kind.DECISION, USER, b'"sqlite"', level=Level.TEAM)
    with desk.agentfs.database.transaction() as connection:
        desk.agentfs.items.put(connection, write, by=PERSON)
    assert carry_changes(desk, laptop) == ["decisions/pick"]
    assert carry_changes(laptop, desk) == ["decisions/pick"]
    assert carry_changes(desk, laptop) == ["decisions/pick"]
    assert laptop.changes() == desk.changes() == []
    assert desk.versions() == laptop.versions()
    for device, sealed in ((desk, True), (laptop, True)):
        item = device.agentfs.items.at_path("decisions/pick")
        assert item is not None
        assert (item.level, item.sealed, device.agentfs.items.content(item)) == (Level.PRIVATE, sealed, b'"sqlite"')
        device.agentfs.close()
