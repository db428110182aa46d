"""What the sections of the privacy pane show of what was read: facts, rows, and what is at a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from tui.panes.privacy_reading import Boundaries, Leaving, Receiver, Section, SharedItem
from tui.widgets import privacy_rows
from tui.widgets.facts import Fact
from tui.widgets.keyed_list import KeyedRow

if TYPE_CHECKING:
    from core.disclosure.report import Refusal
    from core.model import Item
    from core.privacy import Decision, PatternReport

_EMPTY = {
    Section.LEAVES: "It would get nothing.",
    Section.SHARED: "Nothing is shared, and nothing kept back. {} shares an item, in Would leave.",
    Section.REFUSALS: "Nobody was refused anything.",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """How the keys read that texts name."""

    lock: str
    code: str
    share: str


@dataclass(slots=True)
class Contents:
    """What was read so far, ``None`` where nothing was; ``section`` is in view, ``receiver`` chosen.

    ``seen`` is how many items a preview has looked at, and of how many.
    """

    section: Section = Section.RULES
    boundaries: Boundaries | None = None
    receivers: tuple[Receiver, ...] = ()
    receiver: Receiver | None = None
    leaving: Leaving | None = None
    seen: tuple[int, int] | None = None
    shared: tuple[SharedItem, ...] | None = None
    refusals: tuple[Refusal, ...] | None = None

    @property
    def left(self) -> Leaving | None:
        """What the chosen audience would get, once that is known."""
        told, receiver = self.leaving, self.receiver
        return told if told is not None and receiver is not None and told.receiver.text == receiver.text else None

    # The section in view

    def facts(self, keys: Keys) -> list[Fact]:
        """What stands above the rows."""
        match self.section:
            case Section.RULES if self.boundaries is not None:
                return privacy_rows.rules_facts(self.boundaries, keys.lock, keys.code)
            case Section.LEAVES:
                return privacy_rows.leaving_facts(self.receiver, self.left, self.seen)
            case Section.SHARED if self.shared is not None:
                return privacy_rows.shared_facts(self.shared)
            case Section.REFUSALS if self.refusals is not None:
                return privacy_rows.refusals_facts(self.refusals)
        return []

    def rows(self, width: int, words: str, keys: Keys) -> list[KeyedRow]:
        """The rows that have all ``words``; or a note that there are none, once that is known."""
        rows = self._rows(width)
        if rows is None:
            return []
        wanted = words.casefold().split()
        found = [row for row in rows if all(word in row.content.plain.casefold() for word in wanted)]
        if wanted and not any(row.enabled for row in found):
            return [_note("No row has these words.")]
        return found or [_note(_EMPTY[self.section].format(keys.share))]

    def _rows(self, width: int) -> list[KeyedRow] | None:
        match self.section:
            case Section.RULES if self.boundaries is not None:
                return privacy_rows.rules_rows(self.boundaries, width)
            case Section.LEAVES if self.left is not None:
                return privacy_rows.leaving_rows(self.left, width)
            case Section.SHARED if self.shared is not None:
                return privacy_rows.shared_rows(self.shared, width)
            case Section.REFUSALS if self.refusals is not None:
                return privacy_rows.refusal_rows(self.refusals, width)
        return None

    # The row with a key

    def foot(self, key: str) -> Content:
        """What is known of the row."""
        if (leaving := self._leaving(key)) is not None:
            return privacy_rows.leaving_foot(*leaving)
        if (shared := self._shared(key)) is not None:
            return privacy_rows.shared_foot(shared)
        if (refusal := self._refusal(key)) is not None:
            return privacy_rows.refusal_foot(refusal)
        return Content("")

    def pattern(self, key: str) -> PatternReport | None:
        """The pattern in the row."""
        if self.section is not Section.RULES or self.boundaries is None or not key.startswith("pattern:"):
            return None
        return self.boundaries.rules.patterns[int(key.removeprefix("pattern:"))]

    def target(self, key: str) -> tuple[str, str] | None:
        """The id or path of the item in the row, and its path for people."""
        if (leaving := self._leaving(key)) is not None:
            return leaving[0].id, leaving[2]
        if (shared := self._shared(key)) is not None:
            return shared.record.item_id, shared.path
        if (refusal := self._refusal(key)) is not None and refusal.path:
            return refusal.path, refusal.path
        return None

    def loser(self, key: str) -> tuple[str, str] | None:
        """From whom the item in the row can be taken: what the doors understand, and what a person calls it."""
        shared, receiver = self._shared(key), self.receiver
        if shared is not None and not shared.record.opted_out:
            return shared.text, shared.receiver
        if self._leaving(key) is not None and receiver is not None and receiver.can_lose:
            return receiver.text, receiver.name
        return None

    def _leaving(self, key: str) -> tuple[Item, Decision, str] | None:
        rows = self.left.rows if self.section is Section.LEAVES and self.left is not None else ()
        return next((row for row in rows if row[0].id == key), None)

    def _shared(self, key: str) -> SharedItem | None:
        shared = self.shared or () if self.section is Section.SHARED else ()
        return next((each for each in shared if each.key == key), None)

    def _refusal(self, key: str) -> Refusal | None:
        refusals = self.refusals or () if self.section is Section.REFUSALS else ()
        keys = privacy_rows.refusal_keys(refusals)
        return next((each for found, each in zip(keys, refusals, strict=True) if found == key), None)


def path_with_names(path: str, names: Mapping[str, str]) -> str:
    """A path with its agent's name in place of the id."""
    head, _, rest = path.removeprefix("agents/").partition("/")
    return f"agents/{names[head]}/{rest}" if path.startswith("agents/") and head in names else path


def _note(text: str) -> KeyedRow:
    return KeyedRow("note", Content.styled(text, "$muted"), enabled=False)
