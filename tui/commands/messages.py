"""``bailiwick messages``: what agents and the person say to each other."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from core.agent_model import Actor, ActorKind, Importance, Message, MessageFilters, MessageStatus, Receipt
from core.agentfs.message_log import PERSON
from core.agentfs.messages import MessageStore
from core.errors import InvalidInput
from core.model import JSONValue
from tui.commands.acting import Acting, acting_options
from tui.commands.given import json_of, text_of
from tui.commands.nouns import Opened, answer, count_option, noun, opened_agentfs, plain
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.levels import level_words
from tui.moments import clock

_ONE_LINE = 100


@noun
def messages() -> None:
    """Send messages between agents and you, and follow each from queued to acknowledged."""


@messages.command("list")
@click.option("--agent", default="", metavar="A", help="From or to this agent, or `person`.")
@click.option("--type", "kind", default="", metavar="T")
@click.option("--thread", default="", metavar="ID")
@click.option("--text", default="", metavar="S", help="What the content contains.")
@count_option(50, "How many, the newest ones.")
@acting_options(session=False)
@common_options
@pass_invocation
def list_messages(
    invocation: Invocation, agent: str, kind: str, thread: str, text: str, limit: int, acting: Acting
) -> None:
    """List the newest messages, the oldest of them first; of an agent that asks, those it sent or got."""
    with opened_agentfs(invocation) as opened:
        filters, by = MessageFilters(_party(opened, agent), kind, thread, text), acting.actor(opened)
        store = opened.agentfs.messages
        if filters or by.kind is ActorKind.AGENT:
            found = store.at(_visible(store, filters, by)[-limit:], by=by)
        else:
            newest = store.count()
            found = store.page(newest - limit + 1, newest, by=by)
    answer(invocation, {"messages": found}, map(_line, found) if found else ["There are no such messages."])


@messages.command()
@click.argument("agent", metavar="AGENT|person")
@click.option("--all", "everything", is_flag=True, help="Those that were read too.")
@count_option(50, "How many, the oldest ones.")
@acting_options()
@common_options
@pass_invocation
def inbox(invocation: Invocation, agent: str, everything: bool, limit: int, acting: Acting) -> None:
    """Fetch unread messages; they count as delivered from now on."""
    with opened_agentfs(invocation) as opened:
        by = _recipient(opened, agent, acting)
        found = opened.agentfs.messages.inbox(agent, by=by, limit=limit, unread_only=not everything)
    answer(invocation, {"messages": found}, map(_line, found) if found else ["Nothing is unread."])


@messages.command()
@click.argument("identifier", metavar="ID")
@acting_options(session=False)
@common_options
@pass_invocation
def show(invocation: Invocation, identifier: str, acting: Acting) -> None:
    """Show one message, and how far it has come with each recipient."""
    with opened_agentfs(invocation) as opened:
        by = acting.actor(opened)
        message = opened.agentfs.messages.get(identifier, by=by)
        receipts = opened.agentfs.messages.receipts(identifier, by=by)
    document = plain(message)
    assert isinstance(document, dict)
    answer(invocation, {**document, "receipts": receipts}, _details(message, receipts))


@messages.command()
@click.argument("text")
@click.option("--from", "sender", default="", metavar="AGENT", help="Who speaks; without it you do.")
@click.option("--to", required=True, metavar="AGENT|type:T|everyone|person")
@click.option("--type", "kind", default="note", show_default=True, metavar="T")
@click.option("--importance", type=click.Choice([each.value for each in Importance]), default=Importance.NORMAL.value)
@click.option("--reply-to", default=None, metavar="ID", help="The message that this one answers.")
@click.option("--content-json", is_flag=True, help="TEXT is a JSON object or array.")
@acting_options()
@common_options
@pass_invocation
def send(
    invocation: Invocation,
    text: str,
    sender: str,
    to: str,
    kind: str,
    importance: str,
    reply_to: str | None,
    content_json: bool,
    acting: Acting,
) -> None:
    """Send TEXT (- reads it from standard input)."""
    content = _content(text, content_json=content_json)
    with opened_agentfs(invocation) as opened:
        speaker = sender or acting.named or PERSON
        by = acting.actor(opened, speaker)
        _check_speaker(opened, speaker, by)
        message = opened.agentfs.messages.send(
            speaker, to, content, by=by, type=kind, importance=Importance(importance), reply_to=reply_to
        )
    answer(invocation, message, [f"{message.id} is on its way to {message.recipient}."])


def _marking(name: str, status: MessageStatus, sentence: str) -> Callable[..., None]:
    @messages.command(name, help=sentence)
    @click.argument("agent", metavar="AGENT|person")
    @click.argument("identifiers", nargs=-1, required=True, metavar="ID…")
    @acting_options()
    @common_options
    @pass_invocation
    def mark(invocation: Invocation, agent: str, identifiers: tuple[str, ...], acting: Acting) -> None:
        with opened_agentfs(invocation) as opened:
            by = _recipient(opened, agent, acting)
            found = opened.agentfs.messages.mark(agent, identifiers, status, by=by)
        answer(invocation, {"messages": found}, [f"{each.id} is {status} by {agent}." for each in found])

    return mark


read = _marking("read", MessageStatus.READ, "Note that AGENT has read messages.")
ack = _marking("ack", MessageStatus.ACKNOWLEDGED, "Acknowledge messages to AGENT, which includes reading them.")


def _recipient(opened: Opened, agent: str, acting: Acting) -> Actor:
    """Who acts on an inbox: its owner unless another is named; the person's is the person's alone."""
    if agent != PERSON:
        return acting.actor(opened, agent)
    if acting.named not in ("", PERSON):
        raise InvalidInput("The messages to you are yours to read, not an agent's.", "Say --as person.")
    return opened.person


def _check_speaker(opened: Opened, speaker: str, by: Actor) -> None:
    if by != opened.person and (speaker == PERSON or opened.agentfs.agents.get(speaker).id != by.id):
        raise InvalidInput(f"An agent speaks only for itself, not for {speaker}.", "Leave --from or --as away.")


def _visible(store: MessageStore, filters: MessageFilters, by: Actor) -> list[int]:
    """The sequence numbers of what matches; for an agent, of what it sent or got."""
    found = store.matching(filters)
    if by.kind is not ActorKind.AGENT:
        return list(found)
    own = set(store.matching(MessageFilters(by.id)))
    return [sequence for sequence in found if sequence in own]


def _party(opened: Opened, agent: str) -> str:
    """The id under which an agent or the person sends and receives."""
    if agent == PERSON:
        return opened.agentfs.agents.person_id(opened.settings.user.id)
    return opened.agentfs.agents.get(agent).id if agent else ""


def _content(text: str, *, content_json: bool) -> JSONValue:
    if not content_json:
        return text_of(text, "The message").removesuffix("\n") if text == "-" else text
    value = json_of(text, "The message")
    if not isinstance(value, dict | list):
        raise InvalidInput("The message is not a JSON object or array.", "Leave --content-json away for plain text.")
    return value


def _text(message: Message) -> str:
    if message.locked:
        return "sealed; `bailiwick keys unlock`"
    content = message.content
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _sender(message: Message) -> str:
    return message.sender if message.verified else f"{message.sender} (unverified)"


def _line(message: Message) -> str:
    told = message.type if message.importance is Importance.NORMAL else f"{message.type}, {message.importance}"
    if message.sealed:
        told = f"{told}, sealed"
    text = "holds a secret; `bailiwick messages show` shows it" if message.sensitive else _text(message)
    shown = text if len(text) <= _ONE_LINE else f"{text[: _ONE_LINE - 1]}…"
    head = f"{clock(message.sent_at)}  {_sender(message)} → {message.recipient}  [{told}]"
    return f"{head}  {shown}  {message.status}  {message.id}"


def _details(message: Message, receipts: list[Receipt]) -> list[str]:
    lines = [
        f"{_sender(message)} → {message.recipient}  {clock(message.sent_at)}",
        f"{message.type}, {message.importance}, {message.status}, thread {message.thread_id}"
        + (f", answers {message.reply_to}" if message.reply_to else "")
        + f", {level_words(message)}",
        "",
        *_text(message).split("\n"),
        "",
    ]
    for receipt in receipts:
        steps = {
            "delivered": receipt.delivered_at,
            "read": receipt.read_at,
            "acknowledged": receipt.acknowledged_at,
        }
        told = [f"{step} {clock(at)}" for step, at in steps.items() if at is not None]
        lines.append(f"{receipt.agent}: {', '.join(told) or 'not fetched yet'}")
    return lines
