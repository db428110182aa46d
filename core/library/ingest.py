"""Ingestion: the thread that turns what was added, and every later save, into documents of AgentFS."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import Judged
from core.agentfs.items import ItemWrite
from core.agentfs.queue import Task
from core.agentfs.sources import SourceFile, document_path
from core.complaints import Complaints
from core.content_format import encode
from core.errors import BailiwickError, ConfigurationError, Locked, SealBroken, WrongKey
from core.events import EventBus, ItemsChanged, Notice, ProblemFound, Progress, Stage
from core.library.extract import Extracted, ReadRequest
from core.library.folder import Unreadable
from core.library.listing import FileToRead, list_changed, list_files
from core.library.reader_process import ReaderProcess
from core.library.sources import LOCKED, READ_SOURCE, UNSEALABLE
from core.model import Kind, Problem, Sensitivity, Source

_log = logging.getLogger(__name__)
BATCH_DOCUMENTS = 24
BATCH_SECONDS = 0.25


@dataclass(slots=True)
class _Batch:
    """What the next transaction will write."""

    reads: list[tuple[FileToRead, Extracted]] = field(default_factory=list)
    failures: list[tuple[FileToRead, str]] = field(default_factory=list)
    touched: list[tuple[FileToRead, SourceFile]] = field(default_factory=list)
    vanished: list[SourceFile] = field(default_factory=list)
    held: list[tuple[FileToRead, str]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def __len__(self) -> int:
        return len(self.reads) + len(self.failures) + len(self.touched) + len(self.vanished)

    def is_due(self) -> bool:
        return len(self) >= BATCH_DOCUMENTS or (len(self) > 0 and time.monotonic() - self.started > BATCH_SECONDS)


class Ingester:
    """Owned by the engine. ``start`` and ``stop`` once; the other methods are safe from any thread.

    A saved file is read between two files of a bulk read, so it never waits behind one.
    """

    def __init__(
        self,
        agentfs: AgentFS,
        bus: EventBus,
        reader: ReaderProcess,
        *,
        owner: str,
        tokenizer: Callable[[], Path | None],
        committed: Callable[[], None],
    ) -> None:
        """``tokenizer`` finds the model's tokenizer file; ``committed`` is called after each transaction."""
        self._agentfs = agentfs
        self._bus = bus
        self._reader = reader
        self._owner = owner
        self._tokenizer = tokenizer
        self._committed = committed
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._cancel = threading.Event()
        self._claiming = threading.Lock()
        self._saved: deque[tuple[str, Path]] = deque()
        self._busy = threading.Event()
        self._unsealable = True
        self._complaints = Complaints(bus, _log, "Reading stopped")
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)

    def start(self) -> None:
        """Take up queued work, what a dead engine left included."""
        self._agentfs.queue.recover()
        self._thread.start()
        self._wake.set()

    def stop(self) -> None:
        """End the thread and wait for it, five seconds at most; unfinished work stays queued."""
        self._stop.set()
        self._wake.set()
        self._reader.close()
        if self._thread.is_alive():
            self._thread.join(5)

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def saved(self, source_id: str, path: Path) -> None:
        """A file or folder of a source was written, moved or deleted."""
        self._saved.append((source_id, path))
        self._wake.set()

    def cancel(self) -> None:
        """Give up the reading under way and all that waits; what is in stays in."""
        with self._claiming:
            self._agentfs.queue.cancel_waiting(READ_SOURCE)
            self._cancel.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is being read and nothing waits."""
        # What no longer waits was taken by a thread that is busy since, so that is asked last.
        return not self._saved and self._agentfs.queue.waiting() == 0 and not self._busy.is_set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(5)
            self._wake.clear()
            self._busy.set()
            try:
                if self._can_judge():
                    self._try_sealing_again()
                    self._serve_saved()
                    while not self._stop.is_set() and (task := self._claim()) is not None:
                        self._do(task)
                        self._serve_saved()
                self._complaints.settle()
            except Exception as error:  # noqa: BLE001 - what is saved and added later is to be read all the same
                self._complaints.about(error)
            finally:
                self._busy.clear()

    def _can_judge(self) -> bool:
        """Whether the boundaries can be read; while they cannot, everything waits, and housekeeping tells why."""
        try:
            return self._agentfs.guard.rules is not None
        except ConfigurationError:
            return False

    def _try_sealing_again(self) -> None:
        """Have read again what could not be sealed, once it can be."""
        if not self._unsealable:
            return
        held = self._agentfs.sources.with_problem(UNSEALABLE)
        if held:
            try:
                self._agentfs.guard.prepare()
            except BailiwickError:
                return
        self._unsealable = False
        self._queue_again(source.id for source in held)

    def _queue_again(self, source_ids: Iterable[str]) -> None:
        with self._agentfs.database.transaction() as connection:
            for source_id in source_ids:
                self._agentfs.queue.enqueue(connection, READ_SOURCE, {"source": source_id})
        self._wake.set()

    def _claim(self) -> Task | None:
        with self._claiming:
            self._cancel.clear()
            return self._agentfs.queue.claim()

    def _do(self, task: Task) -> None:
        source = self._agentfs.sources.get(str(task.payload.get("source", "")))
        error = ""
        try:
            if source is not None:
                self._read_source(source)
        except BailiwickError as failure:
            error = str(failure)
            self._bus.publish(Notice(error, "error"))
        except Exception as failure:  # noqa: BLE001 - one source must not keep the others from being read
            name = source.name if source is not None else "A source"
            error = f"{name} could not be read: something broke ({type(failure).__name__})."
            _log.exception("a source could not be read")
            self._bus.publish(Notice(f"{error} The log tells more.", "error"))
        finally:
            if not self._stop.is_set():
                self._agentfs.queue.finish(task, error, cancelled=self._cancel.is_set())

    def _read_source(self, source: Source) -> None:
        self._bus.publish(Progress(Stage.READING, source.name, 0, 0, 0.0))
        known = self._agentfs.sources.files(source.id)
        files: list[FileToRead] = []
        batch = _Batch()
        seen: set[str] = set()
        for found in list_files(source, self._agentfs.sources.all(), self._reader.public_names):
            seen.add(found.path)
            if isinstance(found, Problem):
                _add_problem(found, known.get(found.path), batch)
            else:
                files.append(found)
        batch.vanished.extend(file for path, file in known.items() if path not in seen)
        started = time.monotonic()
        for number, file in enumerate(files):
            if self._interrupted():
                break
            self._read_file(source, file, known.get(file.path), batch)
            if batch.is_due():
                batch = self._commit(source, batch)
                rate = (number + 1) / max(time.monotonic() - started, 1e-6)
                self._bus.publish(Progress(Stage.READING, source.name, number + 1, len(files), rate))
                self._serve_saved()
        self._commit(source, batch)
        done = len(files)
        self._bus.publish(
            Progress(Stage.READING, source.name, done, done, 0.0, finished=True, cancelled=self._interrupted())
        )

    def _interrupted(self) -> bool:
        return self._cancel.is_set() or self._stop.is_set()

    def _serve_saved(self) -> None:
        saved = list(self._drain_saved())
        try:
            self._read_saved(saved)
        except BaseException:
            self._queue_again(source_id for source_id, _ in saved)
            raise

    def _read_saved(self, saved: Sequence[tuple[str, Path]]) -> None:
        batches: dict[str, _Batch] = {}
        for source_id, path in saved:
            source = self._agentfs.sources.get(source_id)
            if source is None:
                continue
            batch = batches.setdefault(source_id, _Batch())
            known = self._agentfs.sources.files(source_id)
            if str(path) == source.location and str(path) not in known and not path.exists():
                # A folder that is gone as a whole may be a drive that is not mounted now; its documents stay.
                continue
            present: set[str] = set()
            for found in list_changed(source, path, self._agentfs.sources.all()):
                present.add(found.path)
                if isinstance(found, Problem):
                    _add_problem(found, known.get(found.path), batch)
                else:
                    self._read_file(source, found, known.get(found.path), batch)
            prefix = str(path)
            batch.vanished.extend(
                file
                for name, file in known.items()
                if (name == prefix or name.startswith(prefix + "/")) and name not in present
            )
        for source_id, batch in batches.items():
            source = self._agentfs.sources.get(source_id)
            if source is not None:
                self._commit(source, batch)

    def _drain_saved(self) -> Iterator[tuple[str, Path]]:
        waiting: dict[tuple[str, Path], None] = {}
        while self._saved:
            waiting[self._saved.popleft()] = None
        yield from waiting

    def _read_file(self, source: Source, file: FileToRead, known: SourceFile | None, batch: _Batch) -> None:
        if known is not None and known.size == file.size and known.modified_ns == file.modified_ns and file.size >= 0:
            return
        try:
            extracted = self._reader.read(
                ReadRequest(
                    path=file.location,
                    root=Path(source.location),
                    module=file.module,
                    language=source.language,
                    library=source.library,
                    version=source.version,
                    tokenizer=self._tokenizer(),
                    public_names=file.public_names,
                )
            )
        except Unreadable as failure:
            if not self._stop.is_set():
                batch.failures.append((file, failure.reason))
            return
        if known is not None and known.checksum == extracted.checksum and not known.problem:
            batch.touched.append((file, known))
        else:
            batch.reads.append((file, extracted))

    def _commit(self, source: Source, batch: _Batch) -> _Batch:
        if not len(batch):
            return _Batch()
        self._hold_back(source, batch)
        try:
            freed = self._write(source, batch)
        except (Locked, SealBroken, WrongKey) as error:
            # The keys were locked, or their slots changed, since it was looked whether they seal.
            if not self._hold_back(source, batch, error):
                raise
            freed = self._write(source, batch)
        if freed is None:
            return _Batch()
        self._agentfs.contents.discard_unused(freed)
        for path, reason in ((file.path, reason) for file, reason in (*batch.failures, *batch.held)):
            self._bus.publish(ProblemFound(Problem(path, reason)))
        self._committed()
        self._bus.publish(ItemsChanged(self._agentfs.items.position()))
        return _Batch()

    def _write(self, source: Source, batch: _Batch) -> list[str] | None:
        """One transaction; the answer is the hashes that items held before, ``None`` where the source was removed."""
        freed: list[str] = []
        with self._agentfs.database.transaction() as connection:
            if connection.execute("SELECT 1 FROM sources WHERE id = ?", (source.id,)).fetchone() is None:
                return None
            for file, extracted in batch.reads:
                written = self._agentfs.items.put(connection, self._write_of(source, file, extracted))
                freed.extend([written.freed] if written.freed else [])
                # The hash of a small file tells its content to who guesses it.
                checksum = "" if written.sealed else extracted.checksum
                remembered = SourceFile(file.path, written.item_id, file.size, file.modified_ns, checksum)
                self._agentfs.sources.put_file(connection, source.id, remembered)
            for file, reason in batch.failures:
                freed.extend(self._forget(connection, source, file.path))
                failed = SourceFile(file.path, None, file.size, file.modified_ns, "", reason)
                self._agentfs.sources.put_file(connection, source.id, failed)
            for file, reason in batch.held:
                known = self._agentfs.sources.file(source.id, file.path)
                waiting = SourceFile(file.path, known.item_id if known else None, -1, 0, "", reason)
                self._agentfs.sources.put_file(connection, source.id, waiting)
            for file, before in batch.touched:
                same = SourceFile(file.path, before.item_id, file.size, file.modified_ns, before.checksum)
                self._agentfs.sources.put_file(connection, source.id, same)
            for gone in batch.vanished:
                freed.extend(self._forget(connection, source, gone.path))
                self._agentfs.sources.remove_file(connection, source.id, gone.path)
        return freed

    def _hold_back(self, source: Source, batch: _Batch, refused: BailiwickError | None = None) -> bool:
        """Take out of the batch what has to be sealed, where that cannot be; its former self stays.

        ``refused`` says why it cannot; without it, that is tried. Answers whether there was anything to take out.
        """
        sealing = [each for each in batch.reads if self._judged(source, *each).seal]
        if not sealing:
            return False
        if refused is None:
            try:
                self._agentfs.guard.prepare()
            except BailiwickError as error:
                refused = error
            else:
                return False
        reason = LOCKED if isinstance(refused, Locked) else f"{UNSEALABLE}{refused}"
        self._unsealable = self._unsealable or reason != LOCKED
        batch.held += [(file, reason) for file, _ in sealing]
        batch.reads = [each for each in batch.reads if each not in sealing]
        return True

    def _judged(self, source: Source, file: FileToRead, extracted: Extracted) -> Judged:
        found = Sensitivity.SECRET if extracted.holds_secret else Sensitivity.NONE
        path = document_path(source, file.relative, self._owner)
        return self._agentfs.guard.judge(path, Kind.DOCUMENT, "", found=found)

    def _forget(self, connection: sqlite3.Connection, source: Source, path: str) -> list[str]:
        known = self._agentfs.sources.file(source.id, path)
        if known is None or known.item_id is None:
            return []
        digest = self._agentfs.items.delete(connection, known.item_id)
        return [digest] if digest else []

    def _write_of(self, source: Source, file: FileToRead, extracted: Extracted) -> ItemWrite:
        content = extracted.content
        judged = self._judged(source, file, extracted)
        return ItemWrite(
            path=document_path(source, file.relative, self._owner),
            kind=Kind.DOCUMENT,
            owner=self._owner,
            data=encode(content),
            found=judged.sensitive,
            metadata={
                # Of what is sealed only the file's name stays readable: a heading or a hash may give the content away.
                "title": file.location.name if judged.seal else content.title,
                "language": content.language,
                "library": content.library,
                "version": content.version,
                "source": content.source,
                "source_id": source.id,
                **({} if judged.seal else {"checksum": extracted.checksum}),
                "file_size_bytes": file.size,
                "passages": len(content.passages),
            },
        )


def _add_problem(problem: Problem, known: SourceFile | None, batch: _Batch) -> None:
    if known is None or known.problem != problem.reason:
        file = FileToRead(Path(problem.path), problem.path, relative="", module="", size=-1, modified_ns=0)
        batch.failures.append((file, problem.reason))
