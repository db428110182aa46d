"""Brings the words index level with the document index after a crash or a deletion of either."""

from __future__ import annotations

from collections.abc import Callable

from core.index.documents import DocumentIndex
from core.index.words import WordsIndex

BATCH = 5_000


def catch_up(words: WordsIndex, index: DocumentIndex) -> bool:
    """Fill ``words`` anew from ``index`` unless it is at the same place of the same store; says whether it had to be.

    Slots tell what was added but not what was taken away, so only an equal position is trusted.
    """
    if words.state == (index.store_id, index.position):
        return False
    words.clear()
    return fill(words, index, lambda: False)


def fill(words: WordsIndex, index: DocumentIndex, should_stop: Callable[[], bool]) -> bool:
    """Bring everything in ``index`` into ``words``, which is empty; false when ``should_stop`` said so first."""
    level = (index.store_id, index.position)
    after = -1
    while passages := index.words_passages(after, BATCH):
        if should_stop():
            return False
        words.apply(passages, [], (index.store_id, -1))
        after = passages[-1].slot
    words.apply([], [], level)
    return True
