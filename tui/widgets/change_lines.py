"""Differences as rows: a mark, the place, and the values before and after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from textual.content import Content

from core.agent_model import StateChange
from core.json_diff import Difference, JSONChange, differences
from core.model import JSONValue
from tui.printable import printable

LONGEST_VALUE = 400
MOST_CHANGES = 500
_MARKS = {
    Difference.ADDED: ("+", "bold $success"),
    Difference.REMOVED: ("−", "bold $error"),
    Difference.CHANGED: ("~", "bold $accent"),
}


def short_json(value: JSONValue) -> str:
    """A value in one line, its end left out where it is long."""
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def value_changes(before: list[JSONValue], after: list[JSONValue]) -> list[JSONChange]:
    """Where two values differ, each given as a list of one, or of none where there is no value."""
    return [replace(each, path=each.path.removeprefix("/0")) for each in differences(before, after)]


def changes_text(changes: Sequence[JSONChange]) -> Content:
    """Places that differ between two versions of a value."""
    blocks = [_change(each) for each in changes[:MOST_CHANGES]]
    if len(changes) > MOST_CHANGES:
        blocks.append(Content.styled(f"… {len(changes) - MOST_CHANGES:,} more places", "$muted"))
    return Content("\n").join(blocks) if blocks else Content.styled("The values are equal.", "$muted")


def _change(change: JSONChange) -> Content:
    mark, style = _MARKS[change.difference]
    lines = [Content.assemble((f"{mark} ", style), (printable(change.path) or "the whole value", "bold"))]
    if change.difference is not Difference.ADDED:
        lines.append(Content.assemble(("    before ", "$muted"), (short_json(change.before), "$error")))
    if change.difference is not Difference.REMOVED:
        lines.append(Content.assemble(("    after  ", "$muted"), (short_json(change.after), "$success")))
    return Content("\n").join(lines)


def state_changes_text(changes: Sequence[StateChange]) -> Content:
    """What a restore would do to states, one line each, by agent."""
    lines: list[Content] = []
    agent = None
    for change in changes[:MOST_CHANGES]:
        if change.agent != agent:
            agent = change.agent
            lines.append(Content.styled(printable(agent), "bold $primary"))
        lines.append(_state_change(change))
    if len(changes) > MOST_CHANGES:
        lines.append(Content.styled(f"… {len(changes) - MOST_CHANGES:,} more states", "$muted"))
    return Content("\n").join(lines)


def _state_change(change: StateChange) -> Content:
    mark, style = _MARKS[change.difference]
    versions = {
        Difference.ADDED: f"comes back as it was at version {change.after_version}",
        Difference.REMOVED: f"goes; it is at version {change.before_version}",
        Difference.CHANGED: f"version {change.before_version} becomes what version {change.after_version} was",
    }
    return Content.assemble(
        (f"  {mark} ", style), (printable(change.key), "bold"), (f"  {versions[change.difference]}", "$muted")
    )
