"""Texts merged by lines: Markdown, code and whatever else people write; and what a side changed, word by word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from core.conflicts.merging.alignment import blocks
from core.conflicts.merging.decisions import Choice, Decision, DecisionKind, Decisions, Form
from core.conflicts.merging.three_way import Origin, Region, regions

WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_CHOICES = {
    Origin.UNCHANGED: Choice.BASE,
    Origin.LOCAL: Choice.LOCAL,
    Origin.REMOTE: Choice.REMOTE,
    Origin.SAME: Choice.LOCAL,
    Origin.CONFLICT: Choice.UNRESOLVED,
}


def merge_text(base: str, local: str, remote: str) -> Decisions:
    """A decision for each hunk, in order; together they are all three texts. Pure.

    Lines that nobody changed are hunks of three equal sides. Line ends are kept; where one side alone gave the whole
    text other ones, that is taken from it and does not make every line a conflict.
    """
    ends = _ends(base, local, remote)
    if ends is not None:
        base, local, remote = (text.replace("\r\n", "\n").replace("\n", ends) for text in (base, local, remote))
    return Decisions(
        Form.TEXT, tuple(_decision(region) for region in regions(lines(base), lines(local), lines(remote)))
    )


def lines(text: str) -> list[str]:
    """The lines of ``text`` with their ends; joined, they are the text."""
    parts = text.split("\n")
    last = parts.pop()
    return [f"{part}\n" for part in parts] + ([last] if last else [])


class Mark(StrEnum):
    """What became of a word."""

    KEPT = "kept"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Words:
    """Words of the same mark, one after the other, with the space between them."""

    mark: Mark
    text: str


def word_changes(base: str, side: str) -> list[Words]:
    """What ``side`` changed of ``base``: what was kept and removed is base, what was kept and added is side. Pure."""
    one, other = WORDS.findall(base), WORDS.findall(side)
    found: list[Words] = []
    at = right = 0
    for block in (*blocks(one, other), None):
        first, second = (block.first, block.second) if block else (len(one), len(other))
        length = block.length if block else 0
        for mark, words in (
            (Mark.REMOVED, one[at:first]),
            (Mark.ADDED, other[right:second]),
            (Mark.KEPT, one[first : first + length]),
        ):
            if words:
                found.append(Words(mark, "".join(words)))
        at, right = first + length, second + length
    return found


def _decision(region: Region) -> Decision:
    return Decision(
        f"line {region.at + 1}",
        DecisionKind.TEXT_HUNK,
        "".join(region.base),
        "".join(region.local),
        "".join(region.remote),
        _CHOICES[region.origin],
        auto=region.origin is not Origin.CONFLICT,
    )


def _ends(base: str, local: str, remote: str) -> str | None:
    """The line ends of the result where one side changed all of them, ``None`` where nothing is to be done."""
    styles = [_style(text) for text in (base, local, remote)]
    if None in styles or len(set(styles)) == 1:
        return None
    was, mine, theirs = styles
    return theirs if mine == was else mine


def _style(text: str) -> str | None:
    """What all lines of ``text`` end with; ``None`` where they differ."""
    count, with_return = text.count("\n"), text.count("\r\n")
    if count == 0 or 0 < with_return < count:
        return None
    return "\r\n" if with_return else "\n"
