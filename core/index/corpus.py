"""All that is indexed and can be searched now, in one or two partitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from core.agentfs.items import Usage
from core.index.partition import Partition
from core.index.sealed_partition import SealedPartition
from core.index.storage_errors import IndexGone
from core.model import IndexCounts

T = TypeVar("T")


class Corpus:
    """The plain partition, and beside it the sealed one while it is open. Safe from any thread."""

    def __init__(self, plain: Partition, sealed: SealedPartition | None = None) -> None:
        self.plain = plain
        self._sealed = sealed

    def partitions(self) -> list[Partition]:
        """The plain one first. The sealed one may be closed at any moment: then it raises IndexClosed."""
        sealed = self._sealed.partition if self._sealed is not None else None
        return [self.plain] if sealed is None else [self.plain, sealed]

    def from_each(self, ask: Callable[[Partition], T]) -> list[T]:
        """The answers of all partitions; one that is sealed and closed meanwhile gives none."""
        answers = []
        for partition in self.partitions():
            if partition.sealed:
                with suppress(IndexGone):
                    answers.append(ask(partition))
            else:
                answers.append(ask(partition))
        return answers

    def counts(self) -> IndexCounts:
        """How much is in all of them."""
        counted = self.from_each(lambda partition: partition.index.counts())
        return IndexCounts(
            documents=sum(each.documents for each in counted),
            passages=sum(each.passages for each in counted),
            pending=sum(each.pending for each in counted),
        )

    def pending_count(self) -> int:
        """How many passages have no vector of the current model."""
        return sum(self.from_each(lambda partition: partition.index.pending_count()))

    def record_access(self, usage: Mapping[str, Usage]) -> None:
        """Take over what is known of how often documents were opened."""
        self.from_each(lambda partition: partition.index.record_access(usage))
