"""Keeps the index level with AgentFS: it follows the journal, so it can be deleted at any time and catches up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from core.agentfs.agentfs import AgentFS
from core.complaints import Complaints
from core.content_format import decode
from core.errors import BailiwickError, Locked
from core.events import EventBus, LibrariesChanged, Notice, Progress, Stage
from core.index.catch_up import catch_up
from core.index.partition import Partition
from core.index.residue import remove_residue
from core.index.rows import IndexedDocument
from core.index.sealed_partition import SealedPartition
from core.index.storage_errors import IndexClosed, IndexDamaged, IndexGone
from core.index.vector_cache import VectorCache
from core.model import Item, Kind

_log = logging.getLogger(__name__)
BATCH_DOCUMENTS = 16
LOOKED_AT = 1_000
USAGE_SECONDS = 5.0
# Where much is being sealed, one rewriting of the plain files at the end of it has to do.
SETTLE_SECONDS = 5.0
AGAIN_SECONDS = 60.0


class IndexUpdater:
    """A daemon thread of the engine: applies changed documents to the partition that they belong to.

    Each partition keeps the journal position it has reached; the sealed one is opened here, once there is something
    sealed and the keys are unlocked. ``wake`` is safe from any thread; ``applied`` is called after each batch and
    ``regularly`` every few seconds, in this thread.
    """

    def __init__(
        self,
        agentfs: AgentFS,
        bus: EventBus,
        plain: Partition,
        sealed: SealedPartition,
        vectors: VectorCache,
        applied: Callable[[], None],
        regularly: Callable[[], None],
    ) -> None:
        self._agentfs = agentfs
        self._bus = bus
        self._plain = plain
        self._sealed = sealed
        self._vectors = vectors
        self._applied = applied
        self._regularly = regularly
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._keys = object()
        self._tried: tuple[object, int] = (None, 0)
        self._residue_due: float | None = 0.0
        self._complaints = Complaints(bus, _log, "The index is behind")
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)

    def start(self) -> None:
        """Catch up, then follow."""
        self._wake.set()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, five seconds at most."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def wake(self) -> None:
        """Items were committed."""
        self._wake.set()

    def keys_changed(self) -> None:
        """The keys may open the sealed partition now."""
        self._keys = object()
        self._wake.set()

    @property
    def level(self) -> bool:
        """Whether everything committed so far has been applied, to the words as well, which are written last.

        What is sealed counts as far as it can be opened.
        """
        newest = self._agentfs.items.document_position()
        return _is_level(self._plain, newest) and self._is_sealed_level(newest)

    def _is_sealed_level(self, newest: int) -> bool:
        try:
            partition = self._sealed.partition
            if partition is not None:
                return _is_level(partition, newest)
        except IndexGone:
            return False
        keys, position = self._tried
        return (keys is self._keys and position >= newest) or not self._agentfs.items.count_sealed(Kind.DOCUMENT)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(USAGE_SECONDS)
            self._wake.clear()
            try:
                while not self._stop.is_set() and self._apply_batch(self._plain):
                    pass
                self._follow_sealed()
                if self._residue_due is not None and time.monotonic() >= self._residue_due:
                    self._remove_residue()
                self._regularly()
                self._complaints.settle()
            except Exception as error:  # noqa: BLE001 - what comes later is to be found all the same
                if self._stop.is_set():
                    return
                self._complaints.about(error)
                self._stop.wait(2)
                self._wake.set()

    def _follow_sealed(self) -> None:
        keys, newest = self._keys, self._agentfs.items.document_position()
        partition = self._sealed.partition
        if partition is not None or self._sealed.exists or self._agentfs.items.count_sealed(Kind.DOCUMENT):
            before, partition = partition, self._sealed.open()
            if before is None and partition is not None:
                self._bus.publish(LibrariesChanged())
        try:
            # What is plain must not wait for a long catching up of what is sealed.
            while partition is not None and not self._stop.is_set() and self._apply_batch(partition):
                if self._wake.is_set():
                    return
            self._tried = (keys, newest)
        except (IndexClosed, Locked):
            _log.info("the keys were locked while sealed documents were indexed")
            self._tried = (keys, newest)
        except IndexDamaged:
            self._wake.set()

    def _apply_batch(self, partition: Partition) -> bool:
        started = time.monotonic()
        index, words = partition.index, partition.words
        # Words that missed a batch would be taken for level once the next batch is written.
        catch_up(words, index)
        before = index.position
        changes, position = self._changes(partition, before)
        if position == before:
            return False
        upserts: list[IndexedDocument] = []
        removed: list[Item] = []
        for item in changes:
            document = self._document(item) if _belongs(item, partition) else None
            if document is None:
                removed.append(item)
            else:
                upserts.append(document)
        applied = index.apply(
            upserts, [item.id for item in removed], position, sealed=self._leaves_secrets(partition, removed)
        )
        gone = [document.id for document in upserts] + [item.id for item in removed]
        words.apply(applied.passages, gone, (applied.store_id, position))
        if changes:
            self._tell(len(changes), position, started)
        return True

    def _changes(self, partition: Partition, after: int) -> tuple[list[Item], int]:
        """The next changes that concern ``partition``, and the journal position up to which they are all."""
        if not partition.sealed:
            changes = self._agentfs.items.documents_since(after, BATCH_DOCUMENTS)
            return changes, changes[-1].position if changes else after
        changes = self._agentfs.items.documents_since(after, LOOKED_AT)
        held = partition.index.holding([item.id for item in changes])
        concerned = [item for item in changes if item.id in held or _belongs(item, partition)]
        if len(concerned) > BATCH_DOCUMENTS:
            return concerned[:BATCH_DOCUMENTS], concerned[BATCH_DOCUMENTS - 1].position
        return concerned, changes[-1].position if changes else after

    def _leaves_secrets(self, partition: Partition, removed: Sequence[Item]) -> bool:
        """Whether something goes out of the plain partition because it is sealed now, and must leave no trace."""
        # One that cannot be read may have been sealed a moment ago, and a deleted one before.
        suspects = [item.id for item in removed if item.sealed or not item.deleted]
        if partition.sealed or not suspects:
            return False
        self._residue_due = time.monotonic() + SETTLE_SECONDS
        return bool(partition.index.holding(suspects))

    def _tell(self, changes: int, position: int, started: float) -> None:
        self._applied()
        self._bus.publish(LibrariesChanged())
        total = self._agentfs.items.document_position()
        rate = changes / max(time.monotonic() - started, 1e-6)
        remaining = total - position
        self._bus.publish(Progress(Stage.INDEXING, "index", position, total, rate, finished=remaining <= 0))

    def _document(self, item: Item) -> IndexedDocument | None:
        try:
            content = decode(self._agentfs.items.content(item))
        except Locked:
            raise
        except (BailiwickError, ValueError):
            latest = self._agentfs.items.get(item.id)
            if latest is None or latest.position == item.position:
                _log.warning("document %s cannot be read and is left out of the index", item.id)
            return None
        return IndexedDocument(
            id=item.id,
            content=content,
            r2_location=remote_location(item.path),
            file_size_bytes=_whole(item.metadata.get("file_size_bytes"), item.size),
            checksum=str(item.metadata.get("checksum", item.sha256)),
            created_at=item.created_at,
        )

    def _remove_residue(self) -> None:
        something_is_sealed = self._agentfs.items.count_sealed(Kind.DOCUMENT) > 0
        self._residue_due = time.monotonic() + AGAIN_SECONDS
        try:
            removed = remove_residue(self._plain, self._vectors, something_is_sealed, self._stop.is_set)
        except (BailiwickError, OSError) as error:
            if not self._stop.is_set():
                _log.exception("the plain index could not be written anew")
                reason = error if isinstance(error, BailiwickError) else error.strerror
                self._bus.publish(Notice(f"Remains of what is sealed now still lie in the index: {reason}", "error"))
            return
        if removed:
            _log.info("the plain index was written anew without what is sealed now")
        self._residue_due = None


def _belongs(item: Item, partition: Partition) -> bool:
    return not item.deleted and item.sealed == partition.sealed


def _is_level(partition: Partition, newest: int) -> bool:
    position, words_too = partition.level
    return position >= newest and words_too


def remote_location(path: str) -> str:
    """The remote key a document has, or would have: a library's documents share the library's own file."""
    parts = path.split("/")
    if parts[0] == "libraries" and len(parts) > 4:
        return "/".join([*parts[:4], f"{parts[2]}.json"])
    return path


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
