"""A record of the audit trail as one line, and all about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from textual.content import Content

from core.agent_model import ActorKind, AuditRecord
from core.model import Item
from tui import moments
from tui.levels import level_words
from tui.people import People
from tui.printable import printable
from tui.widgets.facts import Fact
from tui.widgets.levels import sign
from tui.widgets.log_sources import DenseRows
from tui.widgets.log_times import NARROW_CELLS, WIDE_CELLS, column_time, short_time

WIDE = 96
MIDDLE = 60
CARD_CELLS = 38
UNVERIFIED = "?"
ENGINE = "engine"
MISSING = "is missing"
UNREADABLE = "cannot be read"


class TrailLike(Protocol):
    """What the log needs of ``core.agentfs.audit.AuditTrail``."""

    def head(self) -> tuple[int, str]: ...

    def first(self) -> int: ...

    def at(self, positions: list[int]) -> list[AuditRecord]: ...


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One position of the trail; without a ``record`` where there should be one, and ``fault`` says what is wrong."""

    position: int
    record: AuditRecord | None
    fault: str = ""


def whole_trail(trail: TrailLike) -> DenseRows[AuditLine]:
    """Every position that is not archived, from the oldest to the newest, the missing ones too."""
    return DenseRows(
        trail.first(),
        lambda: trail.head()[0],
        lambda first, last: read_lines(trail, range(first, last + 1)),
        lambda line: line.position,
    )


def read_lines(trail: TrailLike, positions: Sequence[int]) -> list[AuditLine]:
    """The lines at ``positions``, one for each, whatever was done to the records there."""
    try:
        found = {record.position: record for record in trail.at(list(positions))}
    except (ValueError, TypeError):
        # Somebody put into a record what cannot be read; the others still can.
        return [_read_line(trail, position) for position in positions]
    return [_line(position, found.get(position)) for position in positions]


def _read_line(trail: TrailLike, position: int) -> AuditLine:
    try:
        found = trail.at([position])
    except (ValueError, TypeError):
        return AuditLine(position, None, UNREADABLE)
    return _line(position, found[0] if found else None)


def _line(position: int, record: AuditRecord | None) -> AuditLine:
    return AuditLine(position, record, "" if record is not None else MISSING)


def draw_record(line: AuditLine, width: int, people: People) -> Content:
    """The line for ``width`` cells: position, time, who through which door, what to what, and the journal."""
    wide, middle = width >= WIDE, width >= MIDDLE
    position = (f"{line.position:>6,} ", "$muted")
    record = line.record
    if record is None:
        return Content.assemble(position, (f"✗ this record {line.fault}", "bold $error"))
    label = "  journal " if wide else "  j"
    right = (f"{label}{record.journal:,}" if record.journal is not None and middle else "", "$muted")
    left = Content.assemble(
        position,
        (column_time(record.at, wide=wide).ljust(WIDE_CELLS if wide else NARROW_CELLS), "$muted"),
        " ",
        _fixed(_actor(record, people), 18 if wide else 12),
        " ",
        *((_fixed(Content.styled(printable(record.door), "$muted"), 10), " ") if wide else ()),
        _fixed(Content.styled(printable(record.action), "$secondary"), 20),
        " ",
        subject_name(record, people),
    )
    room = max(1, width - len(right[0]))
    return Content.assemble(left.truncate(room, ellipsis=True, pad=True), right)


def _fixed(content: Content, cells: int) -> Content:
    return content.truncate(cells, ellipsis=True, pad=True)


def _actor(record: AuditRecord, people: People) -> Content:
    style = "bold $accent" if record.actor_kind is ActorKind.PERSON else ""
    style = "$muted" if record.actor_kind is ActorKind.ENGINE else style
    mark = "" if record.verified else UNVERIFIED
    return Content.assemble((actor_name(record, people), style), (mark, "bold $warning"))


def actor_name(record: AuditRecord, people: People) -> str:
    """Who did it: an agent's name, the person's, or the engine."""
    if record.actor_kind is ActorKind.ENGINE:
        return ENGINE
    return printable(people.name(record.actor))


def subject_name(record: AuditRecord, people: People) -> str:
    """What was changed: a name where one is known, else the end of its id, with the version and whom it concerns."""
    words = [people.name(record.subject)]
    version = record.details.get("version")
    if isinstance(version, int):
        words.append(f"v{version}")
    for role, word in (("recipient", "→"), ("agent", "of")):
        other = record.details.get(role)
        if isinstance(other, str) and other != record.subject:
            words.append(f"{word} {people.name(other)}")
    return printable(" ".join(words))


def record_facts(line: AuditLine, people: People, item: Item | None = None) -> list[Fact]:
    """Every field of a record but its details, and the level of its ``item``; of a missing one what that means."""
    record = line.record
    if record is None:
        why = "The trail only grows: this comes only of somebody's changing the database itself."
        return [("Position", Content.styled(f"{line.position:,} {line.fault}", "bold $error")), ("", Content(why))]
    named = record.actor if record.actor_kind is ActorKind.PERSON else people.names.get(record.actor, "")
    known = people.names.get(record.subject, "")
    verified = ("yes", "") if record.verified else ("? no: it did not show its key", "$warning")
    facts: tuple[tuple[str, str, str], ...] = (
        ("Position", f"{record.position:,}", ""),
        ("At", moments.clock(record.at), ""),
        ("Actor", f"{record.actor_kind} {named}".strip(), "bold"),
        ("", "" if named == record.actor else record.actor, "$muted"),
        ("Verified", *verified),
        ("Door", record.door, ""),
        ("Session", record.session_id or "", ""),
        ("Action", record.action, "$secondary"),
        ("Subject", known or record.subject, ""),
        ("", record.subject if known else "", "$muted"),
        ("Level", f"{sign(item)} {level_words(item)}".strip() if item is not None else "", ""),
        ("Journal", "" if record.journal is None else f"{record.journal:,}", ""),
        ("Device", record.device, "$muted"),
        ("Hash", record.hash, "$muted"),
    )
    return [(label, Content.styled(printable(text), style)) for label, text, style in facts if text]


def card_record(line: AuditLine, people: People) -> Content:
    """The line in the few cells of a card."""
    record = line.record
    if record is None:
        return Content.styled(f"{line.position:,} {line.fault}", "bold $error")
    who = actor_name(record, people)
    text = f"{line.position:,} {short_time(record.at)} {who} {printable(record.action)}"
    return Content(text).truncate(CARD_CELLS, ellipsis=True)
