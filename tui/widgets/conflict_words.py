"""Conflicts in words and marks: who made a side, what is chosen at a place, how a conflict was settled."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from core.conflicts.merging.decisions import ABSENT, Absent, Choice, DecisionKind, same
from core.conflicts.merging.line_changes import LineMark, line_changes
from core.conflicts.outcomes import RuledBy, Took
from tui.amounts import counted, size_text
from tui.moments import since
from tui.people import short_id
from tui.printable import printable

if TYPE_CHECKING:
    from datetime import datetime

    from core.conflicts.arbitration import Arbitration, Counts, SideLabel
    from core.conflicts.merging.decisions import Content, Decision
    from core.conflicts.outcomes import Outcome
    from core.conflicts.summaries import Applied, ConflictSummary, Refused

HERE = "this device"
EDITED = "✎"
NOTHING = "∅"


class Column(StrEnum):
    """What can be seen of a conflict."""

    LOCAL = "local"
    BASE = "base"
    REMOTE = "remote"
    RESULT = "result"


CHOICES = {Column.LOCAL: Choice.LOCAL, Column.BASE: Choice.BASE, Column.REMOTE: Choice.REMOTE}


class Glyph(NamedTuple):
    """A mark, the component that draws it, and what it means."""

    mark: str
    part: str
    words: str


def about(conflict: ConflictSummary | Arbitration | Applied | Refused) -> str:
    """What the conflict is about, as a person reads it."""
    return printable(conflict.about or conflict.path)


OPEN = Glyph("●", "open", "open")
_GLYPHS = {
    Choice.UNRESOLVED: OPEN,
    Choice.LOCAL: Glyph("L", "local", "local"),
    Choice.REMOTE: Glyph("R", "remote", "remote"),
    Choice.BASE: Glyph("B", "base", "base"),
    Choice.BOTH_LOCAL_FIRST: Glyph("±", "made", "both, local first"),
    Choice.BOTH_REMOTE_FIRST: Glyph("±", "made", "both, remote first"),
    Choice.CUSTOM: Glyph(EDITED, "made", "edited"),
}
_TOOK = {
    Took.LOCAL: Glyph("L", "local", "local"),
    Took.REMOTE: Glyph("R", "remote", "remote"),
    Took.BASE: Glyph("B", "base", "base"),
    Took.MERGED: Glyph("~", "auto", "merged"),
    Took.CHOSEN: Glyph("±", "made", "place by place"),
}
_RULERS = {
    RuledBy.AUTOMATIC: "by rule",
    RuledBy.SUPERVISOR: "by responsibilities",
    RuledBy.AGENT: "by the supervisor",
    RuledBy.PERSON: "by a person",
}


def glyph(decision: Decision) -> Glyph:
    """What is chosen at a place."""
    if decision.auto and not decision.is_open:
        return Glyph("~", "auto", f"auto: {_why_auto(decision)}")
    return _GLYPHS[decision.choice]


def outcome_glyph(outcome: Outcome | None) -> Glyph:
    """How a conflict was settled."""
    return _TOOK[outcome.took] if outcome is not None else OPEN


def outcome_text(outcome: Outcome) -> str:
    """Who ruled."""
    who = f" ({printable(short_id(outcome.who))})" if outcome.who else ""
    return f"{_RULERS[outcome.by]}{who}"


def sentence(decision: Decision) -> str:
    """How the sides differ, where that is more than two values."""
    match decision.kind:
        case DecisionKind.DELETE_MODIFY:
            if _is_gone(decision.local):
                return f"local deleted this; remote changed {_how_much(decision.base, decision.remote)}"
            return f"remote deleted this; local changed {_how_much(decision.base, decision.local)}"
        case DecisionKind.TYPE:
            return f"base has {_type(decision.base)}, local {_type(decision.local)}, remote {_type(decision.remote)}"
        case DecisionKind.ADD_ADD:
            return "both added this, differently"
        case DecisionKind.LIST_ORDER:
            return "both have the elements in another order" if decision.is_open else "the order of the elements"
    return ""


def side_parts(label: SideLabel, at: datetime) -> list[str]:
    """Whose a side is: the device, who, when."""
    device = HERE if label.is_here else printable(label.device_name or short_id(label.device))
    who = printable(short_id(label.who))
    return [each for each in (device, who, when(label.at, at)) if each]


def change_text(label: SideLabel) -> str:
    """How much a side changed of base."""
    if label.is_deleted:
        return "deleted"
    return " ".join(
        f"{sign}{count:,}" for sign, count in (("+", label.added), ("−", label.removed)) if count
    )  # fmt: skip


def when(moment: datetime | None, at: datetime) -> str:
    """A moment by the clock of its day, with the day where that is another."""
    if moment is None:
        return ""
    local, today = moment.astimezone(), at.astimezone().date()
    if local.date() == today:
        return f"{local:%H:%M}"
    return f"{local:%m-%d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d}"


def age(moment: datetime, at: datetime) -> str:
    """How long ago, without the word."""
    return since(moment, at).removesuffix(" ago")


def counts_text(counts: Counts) -> str:
    """What was chosen: ``7 local, 3 remote, 2 edited``."""
    named = (
        (counts.local, "local"),
        (counts.remote, "remote"),
        (counts.both, "both"),
        (counts.base, "base"),
        (counts.custom, "edited"),
        (counts.auto, "merged by rule"),
    )
    return ", ".join(f"{count:,} {name}" for count, name in named if count) or "nothing chosen"


def taken_text(arbitration: Arbitration) -> str:
    """What applying would do."""
    return "written by hand as a whole" if arbitration.is_written else counts_text(arbitration.counts)


def open_text(count: int) -> str:
    """How many places are open."""
    return f"{counted(count, 'place')} open" if count else "nothing open"


def who_text(label: SideLabel) -> str:
    """The shortest name of a side."""
    if label.is_here:
        return printable(short_id(label.who)) or "here"
    return printable(short_id(label.who) or label.device_name or short_id(label.device)) or "?"


def against(summary: ConflictSummary) -> str:
    """Who against who."""
    one, other = who_text(summary.local), who_text(summary.remote)
    if one == other:
        places = (HERE if each.is_here else printable(each.device_name or short_id(each.device))
                  for each in (summary.local, summary.remote))  # fmt: skip
        return " / ".join(places)
    return f"{one} / {other}"


def note_of(content: Content, *, is_base: bool, had_base: bool) -> str:
    """What is said in place of a side that cannot be read; empty for one that can."""
    if isinstance(content, Absent):
        return "nothing here" if is_base or not had_base else "deleted"
    if isinstance(content, bytes):
        return f"{size_text(len(content))} that are no text"
    return ""


def _why_auto(decision: Decision) -> str:
    if same(decision.local, decision.remote):
        return "both did the same"
    if same(decision.remote, decision.base):
        return "only local changed it"
    if same(decision.local, decision.base):
        return "only remote changed it"
    return "both fit together"


def _how_much(base: Content, side: Content) -> str:
    """How much a side changed, as far as that can be counted."""
    if isinstance(base, dict) and isinstance(side, dict):
        fields = [key for key in {*base, *side} if not same(base.get(key, ABSENT), side.get(key, ABSENT))]
        return counted(len(fields), "field")
    if isinstance(base, str) and isinstance(side, str):
        changed = sum(each.mark is not LineMark.KEPT for each in line_changes(base, side))
        return counted(changed, "line")
    return "it"


def _is_gone(side: Content) -> bool:
    return isinstance(side, Absent) or side == []


def _type(side: Content) -> str:
    match side:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "null"
    return "nothing"
