"""Takes what was deleted out of the plain files of the index, once something that lay in them is sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from core.index.catch_up import fill
from core.index.partition import Partition
from core.index.schema import Remains
from core.index.vector_cache import VectorCache

_BATCH = 2_000


def remove_residue(
    plain: Partition, vectors: VectorCache, something_is_sealed: bool, should_stop: Callable[[], bool]
) -> bool:
    """Write vectors, words and documents anew without what was deleted, if that may hold something that is sealed now.

    Says whether it did. Killed in the middle, or stopped by ``should_stop``, it is begun again by the next call: the
    file of documents is written last, and with it what it says of ``remains``. Call it where ``plain`` is changed.
    """
    remains = plain.index.remains
    if remains is Remains.NONE or (remains is Remains.UNKNOWN and not something_is_sealed):
        return False
    return (
        vectors.keep_only(_hashes(plain), should_stop)
        and plain.words.rewrite(lambda fresh: fill(fresh, plain.index, should_stop))
        and plain.index.rewrite(should_stop)
    )


def _hashes(plain: Partition) -> Iterator[Sequence[str]]:
    after = -1
    while found := plain.index.text_hashes(after, _BATCH):
        yield [digest for _, digest in found]
        after = found[-1][0]
