"""Brings the words index level with the document index after a crash or a deletion of either."""

from __future__ import annotations

from core.index.documents import DocumentIndex
from core.index.words import WordsIndex

BATCH = 5_000


def catch_up(words: WordsIndex, index: DocumentIndex) -> bool:
    """Fill ``words`` anew from ``index`` unless it is at the same place of the same store; says whether it had to be.

    Slots tell what was added but not what was taken away, so only an equal position is trusted.
    """
    level = (index.store_id, index.position)
    if words.state == level:
        return False
    words.clear()
    after = -1
    while passages := index.words_passages(after, BATCH):
        words.apply(passages, [], (index.store_id, -1))
        after = passages[-1].slot
    words.apply([], [], level)
    return True
