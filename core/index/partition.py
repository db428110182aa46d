"""A part of what is indexed: the documents that lie plain, or those that are sealed."""

from __future__ import annotations

from dataclasses import dataclass

from core.index.documents import DocumentIndex
from core.index.words import WordsIndex


@dataclass(frozen=True, slots=True)
class Partition:
    """A document index with its words. Slots mean nothing in another partition."""

    index: DocumentIndex
    words: WordsIndex
    sealed: bool = False

    @property
    def level(self) -> tuple[int, bool]:
        """The journal position that has been applied, and whether the words have come as far."""
        position = self.index.position
        return position, self.words.state == (self.index.store_id, position)
