"""Messages: to whom they go, threads, how far they have come with each recipient, and the log that only grows."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from acting import ADA, join

from core.agent_model import (
    Actor,
    ActorKind,
    Audience,
    Importance,
    Message,
    MessageFilters,
    MessageStatus,
)
from core.agentfs.agentfs import AgentFS
from core.agentfs.messages import LARGEST_MESSAGE
from core.errors import AccessDenied, InvalidInput, NotFound, QuotaExceeded
from core.model import JSONValue, Kind

QUEUED, DELIVERED, READ, ACKNOWLEDGED = MessageStatus


def contents(messages: list[Message]) -> list[JSONValue]:
    return [message.content for message in messages]


def heard_by(agentfs: AgentFS, message: Message) -> list[str]:
    return [receipt.agent for receipt in agentfs.messages.receipts(message.id)]


# To whom


def test_a_message_and_how_far_it_came_are_its_parties_affair(agentfs: AgentFS) -> None:
    nia, sam, kim = join(agentfs, "nia"), join(agentfs, "sam"), join(agentfs, "kim")
    sent = agentfs.messages.send("nia", "sam", "between us", by=nia)
    for party in (nia, sam):
        assert [receipt.agent for receipt in agentfs.messages.receipts(sent.id, by=party)] == ["sam"]
    for stranger in (kim, replace(nia, verified=False), Actor(ActorKind.PERSON, "tom", "cli")):
        with pytest.raises(AccessDenied):
            agentfs.messages.receipts(sent.id, by=stranger)
    assert agentfs.messages.receipts("nothing", by=kim) == []
    with pytest.raises(AccessDenied, match="Private resource"):
        agentfs.messages.send("kim", "nia", "me too", by=kim, reply_to=sent.id)
    assert len(agentfs.messages.thread(sent.id)) == 1
    # Whoever got it may answer, without its key too: that shows with what it sends.
    answer = agentfs.messages.send("sam", "nia", "yes", by=replace(sam, verified=False), reply_to=sent.id)
    assert (answer.thread_id, answer.verified) == (sent.id, False)
    assert agentfs.messages.send("person", "sam", "no", by=ADA, reply_to=sent.id).thread_id == sent.id


def test_a_message_to_one_agent_reaches_it_alone(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    join(agentfs, "kim")
    sent = agentfs.messages.send("nia", "sam", {"text": "hello", "n": 1.0}, by=nia, importance=Importance.URGENT)
    assert (sent.sender, sent.sender_id, sent.recipient, sent.recipient_id) == ("nia", nia.id, "sam", sam.id)
    assert (sent.audience, sent.type, sent.importance) == (Audience.AGENT, "note", Importance.URGENT)
    assert (sent.sequence, sent.status, sent.thread_id, sent.reply_to) == (1, QUEUED, sent.id, None)
    assert agentfs.messages.get(sent.id) == sent
    assert heard_by(agentfs, sent) == ["sam"]
    assert contents(agentfs.messages.inbox("sam", by=sam)) == [{"text": "hello", "n": 1.0}]
    assert agentfs.messages.inbox("kim", by=ADA) == []
    assert agentfs.messages.inbox("nia", by=nia) == []
    by_id = agentfs.messages.send(nia.id, sam.id, "by id", by=nia)
    assert by_id.recipient == "sam"


def test_a_message_to_a_type_reaches_those_who_are_of_it_now(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia", "poc")
    join(agentfs, "sam", "poc")
    join(agentfs, "kim", "poc")
    join(agentfs, "lee", "validation")
    agentfs.agents.retire("kim", by=ADA)
    sent = agentfs.messages.send("nia", "type:poc", "hello", by=nia)
    late = join(agentfs, "late", "poc")
    assert (sent.audience, sent.recipient, sent.recipient_id) == (Audience.TYPE, "poc", None)
    assert heard_by(agentfs, sent) == ["sam"]
    assert agentfs.messages.inbox("late", by=late) == []


def test_a_message_to_everyone_reaches_all_other_agents(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    join(agentfs, "sam", "poc")
    join(agentfs, "kim")
    sent = agentfs.messages.send("nia", "everyone", "hello", by=nia)
    assert (sent.audience, sent.recipient) == (Audience.EVERYONE, "everyone")
    assert heard_by(agentfs, sent) == ["kim", "sam"]
    from_ada = agentfs.messages.send("person", "everyone", "hello", by=ADA)
    assert heard_by(agentfs, from_ada) == ["kim", "nia", "sam"]


def test_the_person_is_written_to_and_writes(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    question = agentfs.messages.send("nia", "person", "May I?", by=nia)
    assert (question.recipient, question.recipient_id) == ("ada", agentfs.agents.person_id("ada"))
    assert agentfs.messages.unread("person", user_id="ada") == 1
    assert agentfs.messages.unread("person", user_id="bob") == 0
    assert contents(agentfs.messages.inbox("person", by=ADA)) == ["May I?"]
    agentfs.messages.mark("person", [question.id], ACKNOWLEDGED, by=ADA)
    assert agentfs.messages.unread("person", user_id="ada") == 0
    answer = agentfs.messages.send("person", "nia", "Yes.", by=ADA, reply_to=question.id)
    assert (answer.sender, answer.thread_id) == ("ada", question.id)


def test_a_message_says_whether_its_sender_showed_a_key_and_its_session(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    join(agentfs, "sam")
    claimed = Actor(ActorKind.AGENT, nia.id, "mcp", verified=False, session_id="s1")
    assert agentfs.messages.send("nia", "sam", 1, by=nia).verified
    sent = agentfs.messages.send("nia", "sam", 1, by=claimed)
    assert (sent.verified, sent.session_id) == (False, "s1")


@pytest.mark.parametrize("to", ["nobody", "", "type:poet", "everyone", "Everyone", "type:person"])
def test_a_recipient_that_is_not_here_is_refused(agentfs: AgentFS, to: str) -> None:
    nia = join(agentfs, "nia")
    agentfs.messages.send("nia", "person", "so that there is a person", by=nia)
    with pytest.raises(NotFound) as refusal:
        agentfs.messages.send("nia", to, "hello", by=nia)
    assert refusal.value.hint
    assert agentfs.messages.count() == 1


def test_no_recipient_means_everyone_by_mistake(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    join(agentfs, "sam")
    with pytest.raises(InvalidInput):
        agentfs.messages.send("nia", "type:", "hello", by=nia)
    assert agentfs.messages.count() == 0


def test_a_retired_recipient_or_sender_is_refused_with_the_reason(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    agentfs.agents.retire("sam", by=ADA, reason="its work is done")
    for to in ("sam", sam.id):
        with pytest.raises(InvalidInput, match=r"sam was retired \(its work is done\)"):
            agentfs.messages.send("nia", to, "hello", by=nia)
    with pytest.raises(InvalidInput, match="sam was retired"):
        agentfs.messages.send("sam", "nia", "hello", by=sam)
    with pytest.raises(InvalidInput, match="sam was retired"):
        agentfs.messages.inbox("sam", by=sam)
    successor = join(agentfs, "sam")
    assert agentfs.messages.send("nia", "sam", "hello", by=nia).recipient_id == successor.id


def test_large_or_unusable_content_is_refused_whole(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    join(agentfs, "sam")
    largest = "é" * ((LARGEST_MESSAGE - 2) // 2)
    agentfs.messages.send("nia", "sam", largest, by=nia)
    before = (agentfs.items.position(), agentfs.audit.head())
    with pytest.raises(QuotaExceeded, match=f"{LARGEST_MESSAGE + 2:,} bytes"):
        agentfs.messages.send("nia", "sam", largest + "é", by=nia)
    for content in (float("nan"), "\ud800", b"x"):
        with pytest.raises(InvalidInput, match="not JSON"):
            agentfs.messages.send("nia", "sam", content, by=nia)  # type: ignore[arg-type]
    deep: JSONValue = 1
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(InvalidInput, match="nested"):
        agentfs.messages.send("nia", "sam", deep, by=nia)
    for kind in ("", "x" * 65, "a\nb"):
        with pytest.raises(InvalidInput, match="cannot be a message's type"):
            agentfs.messages.send("nia", "sam", 1, by=nia, type=kind)
    assert (agentfs.items.position(), agentfs.audit.head()) == before
    assert contents(agentfs.messages.inbox("sam", by=ADA)) == [largest]


def test_a_message_is_an_item_that_travels(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    sent = agentfs.messages.send("nia", "person", {"b": 1, "a": 2}, by=nia)
    item = agentfs.items.at_path(f"messages/{sent.id}")
    assert item is not None
    assert (item.kind, item.owner) == (Kind.MESSAGE, "ada")
    assert agentfs.contents.read(item.sha256) == b'{"a":2,"b":1}'


# Threads


def test_replies_join_the_thread_of_what_they_answer(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    first = agentfs.messages.send("nia", "sam", 1, by=nia)
    other = agentfs.messages.send("nia", "sam", "another thread", by=nia)
    second = agentfs.messages.send("sam", "nia", 2, by=sam, reply_to=first.id)
    third = agentfs.messages.send("nia", "everyone", 3, by=nia, reply_to=second.id)
    assert (second.thread_id, second.reply_to) == (first.id, first.id)
    assert (third.thread_id, third.reply_to) == (first.id, second.id)
    assert contents(agentfs.messages.thread(first.id)) == [1, 2, 3]
    assert agentfs.messages.thread(other.id) == [other]
    assert agentfs.messages.thread("nothing") == []
    with pytest.raises(NotFound, match="There is no message nothing to reply to"):
        agentfs.messages.send("nia", "sam", 4, by=nia, reply_to="nothing")
    with pytest.raises(NotFound):
        agentfs.messages.get("nothing")


# How far they have come


def test_each_step_is_noted_once_with_its_time(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    sent = agentfs.messages.send("nia", "sam", 1, by=nia)
    (receipt,) = agentfs.messages.receipts(sent.id)
    assert (receipt.agent_id, receipt.status, receipt.queued_at) == (sam.id, QUEUED, sent.sent_at)
    assert (receipt.delivered_at, receipt.read_at, receipt.acknowledged_at) == (None, None, None)
    (given,) = agentfs.messages.inbox("sam", by=sam)
    assert given.status is DELIVERED
    delivered_at = agentfs.messages.receipts(sent.id)[0].delivered_at
    assert delivered_at is not None
    (acknowledged,) = agentfs.messages.mark("sam", [sent.id], ACKNOWLEDGED, by=sam)
    assert acknowledged.status is ACKNOWLEDGED
    (receipt,) = agentfs.messages.receipts(sent.id)
    assert (receipt.delivered_at, receipt.status) == (delivered_at, ACKNOWLEDGED)
    assert receipt.read_at == receipt.acknowledged_at
    assert receipt.read_at is not None
    assert receipt.queued_at <= delivered_at <= receipt.read_at
    (again,) = agentfs.messages.mark("sam", [sent.id], READ, by=sam)
    assert again.status is ACKNOWLEDGED
    assert agentfs.messages.receipts(sent.id) == [receipt]


@pytest.mark.parametrize("steps", list(itertools.product(MessageStatus, repeat=2)))
def test_a_message_is_as_far_as_the_slowest_of_its_recipients(
    agentfs: AgentFS, steps: tuple[MessageStatus, MessageStatus]
) -> None:
    nia = join(agentfs, "nia")
    recipients = [join(agentfs, "sam"), join(agentfs, "kim")]
    sent = agentfs.messages.send("nia", "everyone", 1, by=nia)
    for recipient, status in zip(recipients, steps, strict=True):
        if status is not QUEUED:
            agentfs.messages.mark(recipient.id, [sent.id], status, by=recipient)
    slowest = min(steps, key=list(MessageStatus).index)
    assert agentfs.messages.get(sent.id).status is slowest
    reached = {receipt.agent_id: receipt.status for receipt in agentfs.messages.receipts(sent.id)}
    assert reached == {recipient.id: status for recipient, status in zip(recipients, steps, strict=True)}


def test_only_what_was_sent_to_an_agent_can_be_marked_and_only_forward(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    mine = agentfs.messages.send("nia", "sam", 1, by=nia)
    other = agentfs.messages.send("sam", "nia", 2, by=sam)
    with pytest.raises(NotFound, match=f"sam was sent no message {other.id}"):
        agentfs.messages.mark("sam", [mine.id, other.id], READ, by=sam)
    assert agentfs.messages.get(mine.id).status is QUEUED
    with pytest.raises(InvalidInput):
        agentfs.messages.mark("sam", [mine.id], QUEUED, by=sam)


def test_an_inbox_gives_the_oldest_first_and_counts_as_delivery_only_of_what_it_gives(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    sent = [agentfs.messages.send("nia", "sam", number, by=nia) for number in range(5)]
    assert contents(agentfs.messages.inbox("sam", by=sam, limit=2)) == [0, 1]
    assert [agentfs.messages.get(each.id).status for each in sent] == [DELIVERED] * 2 + [QUEUED] * 3
    assert agentfs.messages.unread("sam") == 5
    agentfs.messages.mark("sam", [sent[0].id, sent[1].id], READ, by=sam)
    assert agentfs.messages.unread("sam") == 3
    assert contents(agentfs.messages.inbox("sam", by=sam)) == [2, 3, 4]
    assert contents(agentfs.messages.inbox("sam", by=sam, unread_only=False)) == [0, 1, 2, 3, 4]
    assert contents(agentfs.messages.inbox("sam", by=sam)) == [2, 3, 4]


# The log


@pytest.fixture
def log(agentfs: AgentFS) -> AgentFS:
    """Ten messages of several kinds; messages 3, 6 and 9 are findings of Sam's in one thread."""
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    join(agentfs, "kim", "poc")
    thread: str | None = None
    for number in range(1, 11):
        if number % 3 == 0:
            sent = agentfs.messages.send("sam", "nia", f"Größe {number}", by=sam, type="finding", reply_to=thread)
            thread = thread or sent.id
        elif number % 2:
            agentfs.messages.send("nia", "everyone", {"text": f'say "{number}"\\'}, by=nia)
        else:
            agentfs.messages.send("nia", "type:poc", f"Line {number}\nend", by=nia)
    return agentfs


def test_the_log_is_dense_and_read_by_place(log: AgentFS) -> None:
    assert log.messages.count() == 10
    everything = log.messages.page(1, 100)
    assert [message.sequence for message in everything] == list(range(1, 11))
    assert log.messages.page(4, 6) == everything[3:6]
    assert log.messages.page(11, 20) == []
    assert log.messages.at([7, 2, 99]) == [everything[1], everything[6]]
    assert log.messages.types() == ["finding", "note"]


def test_a_refused_message_leaves_no_gap_in_the_log(log: AgentFS) -> None:
    for to in ("nobody", "type:poet"):
        with pytest.raises(NotFound):
            log.messages.send("nia", to, "x", by=ADA)
    assert log.messages.send("nia", "sam", "next", by=ADA).sequence == 11


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (MessageFilters(), list(range(1, 11))),
        (MessageFilters(type="finding"), [3, 6, 9]),
        (MessageFilters(type="nothing"), []),
        (MessageFilters(text="line"), [2, 4, 8, 10]),
        (MessageFilters(text="LINE 1"), [10]),
        (MessageFilters(text='say "5"'), [5]),
        (MessageFilters(text='"\\'), [1, 5, 7]),
        (MessageFilters(text="4\nEND"), [4]),
        (MessageFilters(text="größe"), [3, 6, 9]),
        (MessageFilters(text="GRÖSSE 6"), [6]),
        (MessageFilters(text="öße 9", type="finding"), [9]),
        (MessageFilters(text="%"), []),
        (MessageFilters(text="5", type="finding"), []),
    ],
    ids=repr,
)
def test_filters_find_what_a_person_means(log: AgentFS, filters: MessageFilters, expected: list[int]) -> None:
    assert list(log.messages.matching(filters)) == expected


def test_filters_by_agent_and_thread(log: AgentFS) -> None:
    nia, sam, kim = (log.agents.get(name).id for name in ("nia", "sam", "kim"))
    assert list(log.messages.matching(MessageFilters(agent_id=nia))) == list(range(1, 11))
    assert list(log.messages.matching(MessageFilters(agent_id=sam))) == [1, 3, 5, 6, 7, 9]
    assert list(log.messages.matching(MessageFilters(agent_id=kim))) == [1, 2, 4, 5, 7, 8, 10]
    thread = log.messages.page(3, 3)[0].id
    assert list(log.messages.matching(MessageFilters(thread_id=thread))) == [3, 6, 9]
    assert list(log.messages.matching(MessageFilters(agent_id=kim, thread_id=thread))) == []
