"""Watches the added files and folders and tells ingestion what was saved."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.complaints import Complaints
from core.events import EventBus, Notice
from core.model import Source, SourceKind

_log = logging.getLogger(__name__)
DEBOUNCE_MILLISECONDS = 150
STEP_MILLISECONDS = 40


class FolderWatcher:
    """A daemon thread of the engine around the system's file notifications.

    ``sources_changed`` makes it look again at what is to be watched; ``saved`` is called in its thread.
    """

    def __init__(self, agentfs: AgentFS, bus: EventBus, saved: Callable[[str, Path], None]) -> None:
        self._agentfs = agentfs
        self._bus = bus
        self._saved = saved
        self._stop = threading.Event()
        self._again = threading.Event()
        self._polling = False
        self._complaints = Complaints(bus, _log, "Saved files are not noticed")
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch every path source."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, two seconds at most."""
        self._stop.set()
        self._again.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def sources_changed(self) -> None:
        """A source was added or removed."""
        self._again.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._again.clear()
            try:
                self._follow_sources()
            except Exception as error:  # noqa: BLE001 - what is saved later is to be noticed all the same
                self._complaints.about(error)
                self._stop.wait(1)

    def _follow_sources(self) -> None:
        sources = {
            Path(source.location): source
            for source in self._agentfs.sources.all()
            if source.kind is SourceKind.PATH and Path(source.location).exists()
        }
        if not sources:
            self._again.wait()
            return
        try:
            self._watch(sources)
        except OSError as error:
            if self._polling:
                self._bus.publish(Notice(f"Saved files are not noticed: {error.strerror or error}.", "warning"))
                self._again.wait(60)
            self._polling = True
            _log.warning("file notifications failed, polling instead: %s", error)

    def _watch(self, sources: dict[Path, Source]) -> None:
        # Imported here: the watcher's library is not needed before the first source is.
        from watchfiles import watch

        unchecked = True
        for changes in watch(
            *sources,
            watch_filter=None,
            yield_on_timeout=True,
            debounce=DEBOUNCE_MILLISECONDS,
            step=STEP_MILLISECONDS,
            stop_event=self._again,
            raise_interrupt=False,
            force_polling=self._polling,
            rust_timeout=1_000,
        ):
            if unchecked:
                # What was saved before the watch stood is found by looking once at everything.
                unchecked = False
                for root, source in sources.items():
                    self._saved(source.id, root)
            for _, name in changes:
                path = Path(name)
                owner = max(
                    (root for root in sources if root == path or root in path.parents),
                    key=lambda root: len(root.parts),
                    default=None,
                )
                if owner is not None:
                    self._saved(sources[owner].id, path)
