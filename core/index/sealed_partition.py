"""The sealed documents' part of the index: an encrypted file, its words in memory alone, open while unlocked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from core.crypto.keys import Subkey
from core.errors import BailiwickError, Locked, SealBroken
from core.index.catch_up import catch_up
from core.index.documents import DocumentIndex
from core.index.encryption import Encryption, EncryptionUnavailable
from core.index.partition import Partition
from core.index.words import WordsIndex

_log = logging.getLogger(__name__)
SEALED_FILE = "documents-sealed.duckdb"


class SealedPartition:
    """Opens and closes the encrypted part. Safe from any thread; what uses it while it is closed gets IndexClosed.

    The file is derived: under another key, or a newer generation of it, it is started anew.
    """

    def __init__(
        self,
        folder: Path,
        index_key: Callable[[], Subkey | None],
        *,
        threads: int,
        memory_mb: int,
        announce: Callable[[str], None],
    ) -> None:
        """``index_key`` gives the file's key, or ``None`` while it is locked; ``announce`` hears of a download."""
        self._path = folder / SEALED_FILE
        self._index_key = index_key
        self._threads = threads
        self._memory_mb = memory_mb
        self._announce = announce
        # Asking for the key may unlock the keys, and whoever hears of that may come back here.
        self._lock = threading.RLock()
        self._key: Subkey | None = None
        self._partition: Partition | None = None
        self.problem = ""
        """Why it cannot be opened although the keys are unlocked, as a sentence; not tried again until ``retry``."""

    @property
    def partition(self) -> Partition | None:
        """The part itself while it is open."""
        return self._partition

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self._path.exists()

    def open(self) -> Partition | None:
        """Open it, or see that it is open under the present key; ``None`` while that cannot be.

        Raises EngineHeld, StorageFull and WorkspaceUnusable.
        """
        with self._lock:
            key = None if self.problem else self._present_key()
            if self._partition is not None:
                if key is not None and self._key is not None and key.generation == self._key.generation:
                    key.secret.forget()
                    return self._partition
                self._let_go()
            if key is None:
                return None
            try:
                self._partition, self._key = self._opened(key), key
            except EncryptionUnavailable as error:
                self._give_up(error)
            except Locked:
                _log.info("the keys were locked while the index of sealed documents was opened")
            return self._partition

    def retry(self) -> None:
        """Forget why it could not be opened."""
        self.problem = ""

    def close(self) -> None:
        """Close the file, forget its words and its key; waits for whoever reads, ten seconds at most."""
        with self._lock:
            self._let_go()

    def _present_key(self) -> Subkey | None:
        try:
            return self._index_key()
        except Locked:
            return None
        except SealBroken as error:
            self._give_up(error)
            return None

    def _give_up(self, error: BailiwickError) -> None:
        _log.warning("sealed documents are not indexed: %s", error.message)
        self.problem = error.message

    def _opened(self, key: Subkey) -> Partition:
        index = DocumentIndex(
            self._path,
            threads=self._threads,
            memory_mb=self._memory_mb,
            encryption=Encryption(key.secret, self._announce),
        )
        try:
            words = WordsIndex(None)
            catch_up(words, index)
        except BaseException:
            index.close()
            raise
        return Partition(index, words, sealed=True)

    def _let_go(self) -> None:
        partition, self._partition = self._partition, None
        key, self._key = self._key, None
        if partition is not None:
            partition.index.close()
            partition.words.close()
        if key is not None:
            key.secret.forget()
