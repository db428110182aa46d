"""A message as one line of the log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from textual.content import Content

from core.agent_model import Audience, Importance, Message, MessageStatus
from core.model import Level, Sensitivity
from tui.people import YOU
from tui.printable import printable
from tui.widgets import levels
from tui.widgets.log_sources import DenseRows
from tui.widgets.log_times import NARROW_CELLS, WIDE_CELLS, column_time

if TYPE_CHECKING:
    from core.model import JSONValue

STATUS_GLYPHS = {
    MessageStatus.QUEUED: "·",
    MessageStatus.DELIVERED: "↓",
    MessageStatus.READ: "○",
    MessageStatus.ACKNOWLEDGED: "✓",
}
STATUS_STYLES = {
    MessageStatus.QUEUED: "$muted",
    MessageStatus.DELIVERED: "$primary",
    MessageStatus.READ: "$primary",
    MessageStatus.ACKNOWLEDGED: "$success",
}
IMPORTANCE_GLYPHS = {Importance.LOW: "- ", Importance.NORMAL: "  ", Importance.HIGH: "! ", Importance.URGENT: "!!"}
IMPORTANCE_STYLES = {Importance.HIGH: "bold $warning", Importance.URGENT: "bold $error"}
UNVERIFIED = "?"
REPLY = "↳"
DAMAGED = "! what is sealed here cannot be opened"
# In place of what a glance at the log, or at the card beside another pane, should not give away.
_HELD_BACK = {
    Sensitivity.SECRET: "holds a secret: Enter",
    Sensitivity.PATTERN: "is sensitive: Enter",
}
LEGEND = (
    "`·` queued, `↓` delivered, `○` read, `✓` acknowledged by all recipients; `!` high, `!!` urgent, `-` low "
    f"importance; `↳` a reply; `?` a sender that did not show its key; {levels.LEGEND}"
)
WIDE = 96
MIDDLE = 60
MOST_PREVIEW = 400
CARD_CELLS = 38
_TEXT_KEYS = ("text", "message", "summary", "title")


class MessagesLike(Protocol):
    """What the log needs of ``core.agentfs.messages.MessageStore``."""

    def count(self) -> int: ...

    def page(self, first: int, last: int) -> list[Message]: ...

    def at(self, sequences: Sequence[int]) -> list[Message]: ...


@dataclass(frozen=True, slots=True)
class MessageLine:
    """What a line shows of a message; the content itself, up to 256 KiB, is left where it is."""

    id: str
    sequence: int
    sent_at: datetime
    sender_id: str | None
    sender: str
    recipient_id: str | None
    recipient: str
    type: str
    importance: Importance
    thread_id: str
    is_reply: bool
    status: MessageStatus
    verified: bool
    preview: str
    level: Level = Level.PRIVATE
    sensitive: Sensitivity = Sensitivity.NONE
    sealed: bool = False
    locked: bool = False


def message_line(message: Message) -> MessageLine:
    """The line of ``message``."""
    return MessageLine(
        message.id,
        message.sequence,
        message.sent_at,
        message.sender_id,
        message.sender,
        message.recipient_id,
        f"type:{message.recipient}" if message.audience is Audience.TYPE else message.recipient,
        message.type,
        message.importance,
        message.thread_id,
        message.reply_to is not None,
        message.status,
        message.verified,
        _said(message),
        message.level,
        message.sensitive,
        message.sealed,
        message.locked and not message.problem,
    )


def _said(message: Message) -> str:
    if message.problem:
        return DAMAGED
    if message.locked:
        return ""
    return _HELD_BACK.get(message.sensitive) or preview(message.content)


def withheld(line: MessageLine) -> MessageLine:
    """The line as it reads while the keys are locked."""
    return replace(line, preview="", locked=True) if line.sealed else line


def whole_log(messages: MessagesLike) -> DenseRows[MessageLine]:
    """Every message there is."""
    return DenseRows(
        1,
        messages.count,
        lambda first, last: [message_line(each) for each in messages.page(first, last)],
        lambda line: line.sequence,
    )


def read_lines(messages: MessagesLike, sequences: Sequence[int]) -> list[MessageLine]:
    """The lines of picked sequence numbers."""
    return [message_line(each) for each in messages.at(sequences)]


def preview(content: JSONValue) -> str:
    """The first line of what a message says: its text where it has one, else its JSON in brief."""
    if isinstance(content, dict):
        told = next((content[key] for key in _TEXT_KEYS if isinstance(content.get(key), str)), None)
        if isinstance(told, str) and told.strip():
            content = told
    if isinstance(content, str):
        text = content.strip("\r\n \t")
        first = text[: MOST_PREVIEW + 1].splitlines()[0] if text else ""
        return f"{first[:MOST_PREVIEW]} …" if len(first) < len(text) else first
    parts, length = [], 0
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(content):
        parts.append(part[:MOST_PREVIEW])
        length += len(parts[-1])
        if length > MOST_PREVIEW:
            break
    return "".join(parts)[:MOST_PREVIEW]


def draw_message(line: MessageLine, width: int, person_id: str, note: str) -> Content:
    """The line for ``width`` cells: the wider, the more of the date and the type; what it says comes last.

    ``note`` stands in place of what is locked.
    """
    wide, middle = width >= WIDE, width >= MIDDLE
    sender = YOU if line.sender_id == person_id else line.sender
    recipient = YOU if line.recipient_id == person_id else line.recipient
    names = _names(sender, recipient, verified=line.verified, cells=30 if wide else 20)
    kind = Content.styled(printable(line.type), "$secondary").truncate(12 if wide else 8, ellipsis=True, pad=True)
    is_new = recipient == YOU and line.status in (MessageStatus.QUEUED, MessageStatus.DELIVERED)
    return Content.assemble(
        (column_time(line.sent_at, wide=wide).ljust(WIDE_CELLS if wide else NARROW_CELLS), "$muted"),
        " ",
        (STATUS_GLYPHS[line.status], STATUS_STYLES[line.status]),
        " ",
        (IMPORTANCE_GLYPHS[line.importance], IMPORTANCE_STYLES.get(line.importance, "$muted")),
        (f"{levels.sign(line)} ", "bold $warning"),
        names,
        " ",
        *((kind, " ") if middle else ()),
        (f"{REPLY} " if line.is_reply else "  " if middle else "", "$muted"),
        (note, "italic $muted") if line.locked else (printable(line.preview), "bold" if is_new else ""),
    )


def card_line(line: MessageLine, person_id: str, note: str) -> Content:
    """The line in the few cells of a card."""
    sender = _name(YOU if line.sender_id == person_id else line.sender)
    recipient = _name(YOU if line.recipient_id == person_id else line.recipient)
    said = (f" {note if line.locked else printable(line.preview)}", "")
    return Content.assemble(sender, ("→", "$muted"), recipient, said).truncate(CARD_CELLS, ellipsis=True)


def _names(sender: str, recipient: str, *, verified: bool, cells: int) -> Content:
    """``sender → recipient`` in exactly ``cells``; of two long names each keeps its half."""
    mark = "" if verified else UNVERIFIED
    room = cells - len(" → ") - len(mark)
    one, other = (_name(each) for each in (sender, recipient))
    half = room // 2
    one = one.truncate(max(half, room - other.cell_length), ellipsis=True)
    other = other.truncate(room - one.cell_length, ellipsis=True)
    line = Content.assemble(one, (mark, "bold $warning"), (" → ", "$muted"), other)
    return line.pad_right(max(0, cells - line.cell_length))


def _name(name: str) -> Content:
    return Content.styled(printable(name), "bold $accent" if name == YOU else "")
