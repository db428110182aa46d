"""What the engine runs once there is something to index: index, words, model, reading, watching, search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.config import Settings
from core.crypto.keys import Purpose, Subkey
from core.crypto.secret import HOW_TO_UNLOCK
from core.errors import ModelUnavailable
from core.events import EventBus, Notice
from core.index.catch_up import catch_up
from core.index.corpus import Corpus
from core.index.documents import DocumentIndex
from core.index.embedder import Embedder
from core.index.embedding_worker import EmbeddingWorker
from core.index.model_files import ModelFiles, resolve_model, resolve_tokenizer
from core.index.partition import Partition
from core.index.schema import Remains
from core.index.sealed_partition import SealedPartition
from core.index.updater import IndexUpdater
from core.index.vector_cache import VectorCache
from core.index.words import WordsIndex
from core.library.ingest import Ingester
from core.library.reader_process import ReaderProcess
from core.library.watch import FolderWatcher
from core.model import Kind, ResourceLimits
from core.search.service import SearchService

SEALED_MEMORY_MB = 128


class Services:
    """Built and started by the engine, stopped and closed by it; the parts are safe from any thread."""

    def __init__(
        self,
        agentfs: AgentFS,
        bus: EventBus,
        settings: Settings,
        limits: ResourceLimits,
        cache: Path,
        flush_usage: Callable[[Services], None],
    ) -> None:
        self._agentfs = agentfs
        threads = settings.index.threads or limits.index_threads
        named_model = Path(settings.model.path).expanduser() if settings.model.path else None

        def find_model() -> ModelFiles:
            return resolve_model(
                cache,
                folder=named_model,
                allow_download=settings.model.allow_download,
                announce=lambda sentence: bus.publish(Notice(sentence)),
            )

        def find_tokenizer() -> Path | None:
            try:
                return resolve_tokenizer(cache, folder=named_model)
            except ModelUnavailable:
                return None

        def index_key() -> Subkey | None:
            return agentfs.keys.keys.subkey(Purpose.INDEX) if agentfs.keys.ready() else None

        root = agentfs.root
        has_older_files = any((root / name).exists() for name in ("words", "vectors.db"))
        self.index = DocumentIndex(
            root / "documents.duckdb",
            threads=threads,
            memory_mb=limits.index_memory_mb,
            remains=Remains.UNKNOWN if has_older_files else Remains.NONE,
        )
        self.words = WordsIndex(root / "words")
        catch_up(self.words, self.index)
        self.vectors = VectorCache(root / "vectors.db")
        plain = Partition(self.index, self.words)
        self.sealed = SealedPartition(
            root,
            index_key,
            threads=threads,
            memory_mb=max(SEALED_MEMORY_MB, limits.index_memory_mb // 2),
            announce=lambda sentence: bus.publish(Notice(sentence)),
        )
        self.corpus = Corpus(plain, self.sealed)
        self.embedder = Embedder(find_model, threads)
        self.embedding = EmbeddingWorker(
            bus, self.corpus, self.embedder, self.vectors, lambda: not (self.ingester.idle and self.updater.level)
        )
        self.updater = IndexUpdater(
            agentfs, bus, plain, self.sealed, self.vectors, self.embedding.wake, lambda: flush_usage(self)
        )
        self.ingester = Ingester(
            agentfs,
            bus,
            ReaderProcess(
                max_bytes=settings.library.max_file_mb * 1024 * 1024, time_limit=settings.library.read_seconds
            ),
            owner=settings.user.id,
            tokenizer=find_tokenizer,
            committed=self.updater.wake,
        )
        self.watcher = FolderWatcher(agentfs, bus, self.ingester.saved)
        self.search = SearchService(self.corpus, self.embedder, lambda: self.embedding.model_state, self.left_out)

    def start(self, *, work: bool, watch: bool) -> None:
        """Start following the journal, with ``work`` also reading and embedding, with ``watch`` also watching."""
        self.updater.start()
        if work:
            self.embedding.start()
            self.ingester.start()
        if watch:
            self.watcher.start()

    def stop(self) -> None:
        """End every thread, each with a bound."""
        self.watcher.stop()
        self.ingester.stop()
        self.embedding.stop()
        self.updater.stop()

    def left_out(self) -> str:
        """What a search without the sealed documents says of them; empty when there are none."""
        count = self._agentfs.items.count_sealed(Kind.DOCUMENT)
        if not count:
            return ""
        documents, are, were = ("documents", "are", "were") if count != 1 else ("document", "is", "was")
        if self._agentfs.keys.keys.is_locked:
            return f"{count:,} private {documents} {are} locked and {were} left out. {HOW_TO_UNLOCK}"
        why = self.sealed.problem or f"{'they are' if count != 1 else 'it is'} still being indexed."
        return f"{count:,} private {documents} {were} left out: {why}"

    def close(self) -> None:
        """Close the files; nothing may be called any more."""
        self.sealed.close()
        self.words.close()
        self.index.close()
        self.vectors.close()
