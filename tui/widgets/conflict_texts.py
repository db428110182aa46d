"""What the list of conflicts says around its rows: the line above, what is known of the one at the cursor, the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from core.conflicts.records import ConflictStatus
from tui.amounts import counted
from tui.moments import clock, since
from tui.people import short_id
from tui.printable import printable
from tui.widgets.conflict_words import EDITED, OPEN, about, change_text, outcome_glyph, outcome_text, side_parts
from tui.widgets.levels import SEALED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.conflicts.arbitration import SideLabel
    from core.conflicts.summaries import ConflictSummary
    from tui.widgets.conflict_list import Sort


def empty_text(sync_key: str) -> Content:
    """What is said while there has never been a conflict."""
    return Content.assemble(
        ("✓ Nothing was changed in two ways.\n\n", "bold $success"),
        "When two machines, or two agents, change the same thing differently, both versions are kept and what fits "
        "together is merged by rule. What does not waits here for your ruling; work goes on meanwhile.\n\n",
        (sync_key, "bold $accent"),
        (" shows what is synchronised with whom.", "$muted"),
    )


def head_text(sort: Sort, shown: int, total: int, marked: int, *, is_open: bool) -> Content:
    """How many are listed, in which order, and how many are marked."""
    if not total:
        words = "Nothing is open: all of it is settled." if is_open else "Nothing was settled yet."
        return Content.styled(words, "bold $success" if is_open else "$muted")
    told = counted(total, "conflict") if shown == total else f"{shown:,} of {counted(total, 'conflict')}"
    parts: list[tuple[str, str]] = [(f"{told} · {sort.value}", "$muted")]
    if marked:
        parts.append((f" · {marked:,} marked", "bold $accent"))
    return Content.assemble(*parts)


def foot_text(summary: ConflictSummary, at: datetime) -> Content:
    """What is known of a conflict, without opening it."""
    lines = [_what(summary, at), _side("LOCAL ", "bold $primary", summary.local, at),
             _side("REMOTE", "bold $secondary", summary.remote, at)]  # fmt: skip
    outcome = summary.outcome
    if summary.status is not ConflictStatus.OPEN and outcome is not None:
        mark = outcome_glyph(outcome)
        how = f"{outcome_text(outcome)}, {clock(outcome.at)[:16]}, took {mark.words}"
        lines.append(Content.assemble((f"{mark.mark} ", "bold $success"), how))
        lines.append(Content.styled(printable(outcome.why), "bold"))
    else:
        lines.append(_waits(summary))
    return Content("\n").join(lines)


def card_text(open_: Sequence[ConflictSummary], at: datetime) -> Content:
    """How many wait, and which first."""
    if not open_:
        return Content.styled("✓ Nothing waits for your ruling.", "$success")
    first = min(open_, key=lambda each: (not each.reserved, each.opened_at, each.id))
    places = sum(each.open for each in open_)
    told = Content.assemble(
        (f"{OPEN.mark} {counted(len(open_), 'conflict')} open", "bold $error"),
        (f", {counted(places, 'place')}" if places else "", "$muted"),
    )
    reserved = f"! {printable(first.reserved)} · " if first.reserved else ""
    who = f"{reserved}{since(first.opened_at, at)}"
    return Content("\n").join([told, Content.styled(about(first), "bold"), Content.styled(who, "$muted")])


def _what(summary: ConflictSummary, at: datetime) -> Content:
    parts = [printable(summary.kind).replace("_", " "), f"found {since(summary.opened_at, at)}"]
    if summary.updated_at > summary.opened_at:
        parts.append(f"changed {since(summary.updated_at, at)}")
    if summary.is_sealed:
        parts.append(f"{SEALED} sealed")
    return Content.assemble((about(summary), "bold"), (f"  {' · '.join(parts)}", "$muted"))


def _side(title: str, style: str, label: SideLabel, at: datetime) -> Content:
    told = " · ".join([*side_parts(label, at), *([change_text(label)] if change_text(label) else [])])
    return Content.assemble((title, style), f"  {told}")


def _waits(summary: ConflictSummary) -> Content:
    parts: list[tuple[str, str]] = []
    if summary.places:
        decided = summary.places - summary.open
        parts.append((f"{OPEN.mark} {summary.open:,} of {counted(summary.places, 'place')} open", "bold $error"))
        parts.append((f", {decided:,} decided" if decided else "", "$muted"))
    if summary.has_draft:
        parts.append((f"  {EDITED} your choices are kept", "$success"))
    if summary.asked is not None:
        agent, until = printable(short_id(summary.asked.agent)), clock(summary.asked.until)[11:16]
        parts.append((f"  {agent} is asked until {until}", "$muted"))
    if summary.reserved:
        parts.append((f"  ! kept for you: {printable(summary.reserved)}", "bold $warning"))
    return Content.assemble(*parts)
