"""All about one message: who, when, its thread, how far it came with whom, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from core.agent_model import Audience, Importance, Message, MessageStatus, Receipt
from core.errors import NotFound
from tui import moments
from tui.people import YOU, short_id
from tui.printable import printable
from tui.widgets.facts import Fact, Facts
from tui.widgets.json_view import JsonView
from tui.widgets.levels import level_content, sealed_note
from tui.widgets.log_times import short_time
from tui.widgets.message_lines import IMPORTANCE_STYLES, STATUS_GLYPHS, STATUS_STYLES, preview

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult

    class ReadableMessages(Protocol):
        """What a detail needs of ``core.agentfs.messages.MessageStore``."""

        def get(self, message_id: str) -> Message: ...

        def receipts(self, message_id: str) -> list[Receipt]: ...


MOST_RECEIPTS = 100
MOST_QUOTE = 120


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """A message with what belongs to it; ``first`` began its thread, ``answered`` is what it replies to."""

    message: Message
    receipts: tuple[Receipt, ...]
    first: Message | None
    answered: Message | None


def read_facts(messages: ReadableMessages, message_id: str) -> MessageFacts:
    """All about a message; raises NotFound."""
    message = messages.get(message_id)
    return MessageFacts(
        message,
        tuple(messages.receipts(message_id)),
        None if message.thread_id == message_id else _other(messages, message.thread_id),
        None if message.reply_to is None else _other(messages, message.reply_to),
    )


def _other(messages: ReadableMessages, message_id: str) -> Message | None:
    try:
        return messages.get(message_id)
    except NotFound:
        return None


class MessageDetail(Vertical):
    """The facts above, the content below; the content keeps its place when only the facts are new."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: MessageFacts | None = None
        self.content_view = JsonView(id="message-content")
        self._told = Facts()

    def compose(self) -> ComposeResult:
        """Facts that scroll when they are long, and the content."""
        with VerticalScroll(id="message-facts"):
            yield self._told
        yield self.content_view

    def show(self, facts: MessageFacts, person_id: str) -> None:
        """Show a message, or what is new about the one that is shown."""
        before, self.facts = self.facts, facts
        message, note = facts.message, sealed_note(self.app)
        self._told.show(message_facts(facts, person_id, note))
        if message.locked:
            self.content_view.say(message.problem or note)
        elif before is None or (before.message.id, before.message.locked) != (message.id, False):
            self.content_view.show("", message.content)

    def clear(self) -> None:
        """Show nothing."""
        self.facts = None
        self._told.show(())
        self.content_view.clear()

    def withhold(self) -> None:
        """The keys are locked: what is sealed, or quotes what is, goes from the screen until it is read again."""
        facts = self.facts
        if facts is not None and any(
            each is not None and each.sealed for each in (facts.message, facts.first, facts.answered)
        ):
            self.clear()
            self.content_view.say(sealed_note(self.app))


def message_facts(facts: MessageFacts, person_id: str, note: str) -> list[Fact]:
    """Everything but the content; ``note`` stands in place of what is locked."""
    message = facts.message
    told: list[Fact] = [
        ("From", _who(message, person_id)),
        ("To", _recipient(message, person_id)),
        ("Sent", Content(moments.clock(message.sent_at))),
        ("Number", Content(f"{message.sequence:,}")),
        ("Type", _kind(message)),
        ("Level", level_content(message)),
    ]
    if message.reply_to is not None:
        told.append(("Reply to", _quote(facts.answered, person_id, note)))
    if facts.first is not None and (facts.answered is None or facts.first.id != facts.answered.id):
        told.append(("Thread of", _quote(facts.first, person_id, note)))
    told.append(("Thread", Content.styled(short_id(message.thread_id), "$muted")))
    for number, receipt in enumerate(facts.receipts[:MOST_RECEIPTS]):
        told.append(("" if number else "Receipts", _receipt(receipt, person_id)))
    rest = facts.receipts[MOST_RECEIPTS:]
    if rest:
        told.append(("", Content.styled(f"and {len(rest):,} more: {_tally(rest)}", "$muted")))
    return told


def _who(message: Message, person_id: str) -> Content:
    name = YOU if message.sender_id == person_id else printable(message.sender)
    if message.verified:
        return Content.styled(name, "bold")
    return Content.assemble((name, "bold"), ("  ? did not show its key", "$warning"))


def _recipient(message: Message, person_id: str) -> Content:
    name = printable(message.recipient)
    if message.recipient_id == person_id:
        name = YOU
    elif message.audience is Audience.TYPE:
        name = f"every agent of type {name}"
    return Content.styled(name, "bold")


def _kind(message: Message) -> Content:
    kind = Content.styled(printable(message.type), "$secondary")
    if message.importance is Importance.NORMAL:
        return kind
    style = IMPORTANCE_STYLES.get(message.importance, "$muted")
    return Content.assemble(kind, " · ", (str(message.importance), style))


def _quote(message: Message | None, person_id: str, note: str) -> Content:
    if message is None:
        return Content.styled("a message that is not here", "$muted")
    who = YOU if message.sender_id == person_id else printable(message.sender)
    if message.locked:
        said = Content.styled(message.problem or note, "italic $muted")
    else:
        said = Content(printable(preview(message.content)))
    text = said.truncate(MOST_QUOTE, ellipsis=True)
    return Content.assemble((who, "bold"), f" {short_time(message.sent_at)}  ", text)


def _receipt(receipt: Receipt, person_id: str) -> Content:
    name = YOU if receipt.agent_id == person_id else printable(receipt.agent)
    steps: tuple[tuple[MessageStatus, datetime | None], ...] = (
        (MessageStatus.DELIVERED, receipt.delivered_at),
        (MessageStatus.READ, receipt.read_at),
        (MessageStatus.ACKNOWLEDGED, receipt.acknowledged_at),
    )
    reached = [f"{status} {short_time(at)}" for status, at in steps if at is not None]
    told = " · ".join(reached or [f"{MessageStatus.QUEUED} {short_time(receipt.queued_at)}"])
    glyph = (f"{STATUS_GLYPHS[receipt.status]} ", STATUS_STYLES[receipt.status])
    return Content.assemble(glyph, (name, "bold"), f"  {told}")


def _tally(receipts: Sequence[Receipt]) -> str:
    counts = {status: sum(each.status is status for each in receipts) for status in MessageStatus}
    return ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
