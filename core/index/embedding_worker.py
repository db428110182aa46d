"""Gives every passage its vector, newest first, found again by content hash before anything is embedded twice."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import zip_longest

from core.complaints import Complaints
from core.errors import ModelUnavailable
from core.events import EventBus, LibrariesChanged, ModelStateChanged, Progress, Stage
from core.index.corpus import Corpus
from core.index.embedder import Embedder
from core.index.partition import Partition
from core.index.rows import PendingPassage
from core.index.storage_errors import IndexGone
from core.index.vector_cache import VectorCache
from core.index.vectors import ModelIdentity
from core.model import MODEL_LOADING

_log = logging.getLogger(__name__)
WINDOW_PASSAGES = 256
ROUND_PASSAGES = 32
RATE_ROUNDS = 24
READING_FIRST_SECONDS = 20.0


class EmbeddingWorker:
    """A daemon thread of the engine. It loads the model when there is first something to embed, or when asked to.

    The partitions of the corpus take turns. Vectors of sealed passages are kept in their own index alone.
    """

    def __init__(
        self,
        bus: EventBus,
        corpus: Corpus,
        embedder: Embedder,
        cache: VectorCache,
        reading: Callable[[], bool] = lambda: False,
    ) -> None:
        """While ``reading`` says that much is being read, embedding waits its turn, for some seconds at most."""
        self._bus = bus
        self._corpus = corpus
        self._embedder = embedder
        self._cache = cache
        self._reading = reading
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._wanted = threading.Event()
        self._unavailable = False
        self._reason = MODEL_LOADING
        self._thread = threading.Thread(target=self._run, name="embed", daemon=True)
        self._newer = threading.Event()
        self._complaints = Complaints(bus, _log, "Embedding stopped")
        self._recent: deque[tuple[float, int]] = deque(maxlen=RATE_ROUNDS)

    def start(self) -> None:
        """Embed what has no vector yet, then what comes."""
        self._wake.set()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, five seconds at most."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def wake(self) -> None:
        """Passages came into the index."""
        self._newer.set()
        self._wake.set()

    def want_model(self) -> None:
        """Load the model now, for a query, whether or not there is something to embed."""
        self._wanted.set()
        self._wake.set()

    def pause(self) -> None:
        """Leave the rest without vectors until ``resume``; they are found by words."""
        self._paused.set()

    def resume(self) -> None:
        """Go on."""
        self._paused.clear()
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to embed, or nothing can be embedded."""
        return self._corpus.pending_count() == 0 or self.paused or self._unavailable

    @property
    def paused(self) -> bool:
        """Whether ``pause`` is in force."""
        return self._paused.is_set()

    @property
    def model_state(self) -> str:
        """Why there are no vectors now, in words that end a sentence; empty when the model is ready."""
        return self._reason

    def load_model(self) -> bool:
        """Load the model in the calling thread; says whether it is ready."""
        if self._embedder.identity is not None and not self._reason:
            return True
        self._bus.publish(Progress(Stage.MODEL, "loading", 0, 0, 0.0))
        try:
            identity = self._embedder.load()
        except ModelUnavailable as error:
            self._reason = str(error)
            self._unavailable = True
            self._bus.publish(ModelStateChanged(ready=False, reason=str(error)))
            return False
        finally:
            self._bus.publish(Progress(Stage.MODEL, "loading", 0, 0, 0.0, finished=True))
        self._corpus.from_each(lambda partition: self._use_model(partition, identity))
        self._reason = ""
        self._unavailable = False
        self._bus.publish(ModelStateChanged(ready=True))
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                if self._wanted.is_set() and not self.load_model():
                    self._wanted.clear()
                self._embed_all()
                self._complaints.settle()
            except Exception as error:  # noqa: BLE001 - what comes later is to have its vectors all the same
                self._complaints.about(error)

    def _embed_all(self) -> None:
        self._let_reading_go_first()
        done = 0
        if self._interrupted() or not (left := self._corpus.pending_count()):
            return
        self._publish(done, left, finished=False)
        done = sum(self._corpus.from_each(self._take_known))
        while not self._interrupted() and (rounds := self._next_rounds()) and self.load_model():
            self._newer.clear()
            for partition, waiting in rounds:
                # What was saved a moment ago has the newest slots and must not wait for the rest of this window.
                if self._interrupted() or self._newer.is_set():
                    break
                try:
                    done += self._embed_round(partition, waiting)
                except IndexGone:
                    if not partition.sealed:
                        raise
                    break
                self._publish(done, self._corpus.pending_count(), finished=False)
        self._publish(done, self._corpus.pending_count(), finished=True)
        if done:
            self._bus.publish(LibrariesChanged())

    def _take_known(self, partition: Partition) -> int:
        """Give passages the vectors that are kept of their texts, the newest first, as far as that needs no model."""
        taken = 0
        while not self._interrupted() and (waiting := partition.index.pending(WINDOW_PASSAGES)):
            digests = [passage.text_sha256 for passage in waiting]
            key = partition.index.model_key
            if not key and (models := self._cache.models_of(digests)):
                # No model was ever loaded here: until one is, that of whoever embedded them will do.
                key = models[0][0]
                partition.index.use_model(ModelIdentity.of_key(key))
            vectors = self._cache.get_many(key, digests) if key else {}
            if not vectors:
                break
            partition.index.store_vectors(key, vectors)
            taken += len(vectors)
        return taken

    def _next_rounds(self) -> list[tuple[Partition, list[PendingPassage]]]:
        """The newest passages without a vector, a round of one partition after a round of the other."""
        turns = zip_longest(*self._corpus.from_each(self._window))
        return [each for turn in turns for each in turn if each is not None]

    def _window(self, partition: Partition) -> list[tuple[Partition, list[PendingPassage]]]:
        if (identity := self._embedder.identity) is not None:
            self._use_model(partition, identity)
        waiting = sorted(partition.index.pending(WINDOW_PASSAGES), key=lambda passage: len(passage.text))
        return [
            (partition, waiting[start : start + ROUND_PASSAGES]) for start in range(0, len(waiting), ROUND_PASSAGES)
        ]

    @staticmethod
    def _use_model(partition: Partition, identity: ModelIdentity) -> None:
        if partition.index.model_key != identity.key:
            partition.index.use_model(identity)

    def _let_reading_go_first(self) -> None:
        """Both at once would keep every core busy and the screen waiting; what is read is found by words at once."""
        deadline = time.monotonic() + READING_FIRST_SECONDS
        while self._reading() and time.monotonic() < deadline and not self._interrupted():
            self._stop.wait(0.1)

    def _interrupted(self) -> bool:
        return self._stop.is_set() or self._paused.is_set()

    def _embed_round(self, partition: Partition, waiting: Sequence[PendingPassage]) -> int:
        identity = self._embedder.identity
        assert identity is not None
        vectors = self._cache.get_many(identity.key, [passage.text_sha256 for passage in waiting])
        missing = [passage for passage in waiting if passage.text_sha256 not in vectors]
        if missing:
            fresh = self._embedder.embed_passages([passage.text for passage in missing])
            made = {passage.text_sha256: vector for passage, vector in zip(missing, fresh, strict=True)}
            if not partition.sealed:
                self._cache.put_many(identity.key, made)
            vectors.update(made)
        partition.index.store_vectors(identity.key, vectors)
        self._recent.append((time.monotonic(), len(waiting)))
        return len(waiting)

    def _publish(self, done: int, left: int, *, finished: bool) -> None:
        span = time.monotonic() - self._recent[0][0] if self._recent else 0.0
        # The first round marks the start of the span, so its passages are not counted.
        rate = sum(count for _, count in list(self._recent)[1:]) / span if span > 0 and len(self._recent) > 1 else 0.0
        cancelled = finished and left > 0 and not self._unavailable
        self._bus.publish(Progress(Stage.EMBEDDING, "passages", done, done + left, rate, finished, cancelled))
