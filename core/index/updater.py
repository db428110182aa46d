"""Keeps the index level with AgentFS: it follows the journal, so it can be deleted at any time and catches up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from core.agentfs.agentfs import AgentFS
from core.content_format import decode
from core.errors import BailiwickError
from core.events import EventBus, LibrariesChanged, Notice, Progress, Stage
from core.index.catch_up import catch_up
from core.index.documents import DocumentIndex
from core.index.rows import IndexedDocument
from core.index.words import WordsIndex
from core.model import Item

_log = logging.getLogger(__name__)
BATCH_DOCUMENTS = 16
USAGE_SECONDS = 5.0


class IndexUpdater:
    """A daemon thread of the engine: applies changed documents to DuckDB and to the words index.

    ``wake`` is safe from any thread; ``applied`` is called after each batch and ``regularly`` every few
    seconds, in this thread.
    """

    def __init__(
        self,
        agentfs: AgentFS,
        bus: EventBus,
        index: DocumentIndex,
        words: WordsIndex,
        applied: Callable[[], None],
        regularly: Callable[[], None],
    ) -> None:
        self._agentfs = agentfs
        self._bus = bus
        self._index = index
        self._words = words
        self._applied = applied
        self._regularly = regularly
        self._wake = threading.Event()
        self._stop = threading.Event()
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

    @property
    def level(self) -> bool:
        """Whether everything committed so far has been applied, to the words as well, which are written last."""
        position = self._index.position
        newest = self._agentfs.items.document_position()
        return position >= newest and self._words.state == (self._index.store_id, position)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(USAGE_SECONDS)
            self._wake.clear()
            try:
                while not self._stop.is_set() and self._apply_batch():
                    pass
                self._regularly()
            except BailiwickError as error:
                _log.exception("the index could not be brought up to date")
                self._bus.publish(Notice(f"The index is behind: {error}", "error"))
                self._stop.wait(2)
                self._wake.set()

    def _apply_batch(self) -> bool:
        started = time.monotonic()
        # Words that missed a batch would be taken for level once the next batch is written.
        catch_up(self._words, self._index)
        before = self._index.position
        changes = self._agentfs.items.documents_since(before, BATCH_DOCUMENTS)
        if not changes:
            return False
        upserts: list[IndexedDocument] = []
        removed: list[str] = []
        for item in changes:
            document = None if item.deleted else self._document(item)
            if document is None:
                removed.append(item.id)
            else:
                upserts.append(document)
        position = changes[-1].position
        applied = self._index.apply(upserts, removed, position)
        gone = [document.id for document in upserts] + removed
        self._words.apply(applied.passages, gone, (applied.store_id, position))
        self._applied()
        self._bus.publish(LibrariesChanged())
        total = self._agentfs.items.document_position()
        rate = len(changes) / max(time.monotonic() - started, 1e-6)
        remaining = total - position
        self._bus.publish(Progress(Stage.INDEXING, "index", position, total, rate, finished=remaining <= 0))
        return True

    def _document(self, item: Item) -> IndexedDocument | None:
        try:
            content = decode(self._agentfs.contents.read(item.sha256))
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


def remote_location(path: str) -> str:
    """The remote key a document has, or would have: a library's documents share the library's own file."""
    parts = path.split("/")
    if parts[0] == "libraries" and len(parts) > 4:
        return "/".join([*parts[:4], f"{parts[2]}.json"])
    return path


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
