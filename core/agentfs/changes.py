"""Notices commits, those of other processes included, through SQLite's ``data_version``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import Database
from core.errors import BailiwickError
from core.model import Source

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 0.2
AGENT_NOUNS = frozenset({"agent", "state", "lease", "session", "call", "snapshot", "message"})

CONFLICT_NOUNS = frozenset({"conflict", "decision"})
"""What is told of conflicts: by those who rule, and of records that arrive."""


class ChangeWatcher:
    """A daemon thread that calls ``changed`` once at its start and within a quarter second of any commit.

    Commits of this process' other threads count too, so ``changed`` has to look what is different.
    """

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        self._database = database
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, two seconds at most."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def _run(self) -> None:
        known: int | None = None
        while not self._stop.wait(INTERVAL_SECONDS):
            try:
                version = self._database.data_version()
                if version != known:
                    known = version
                    self._changed()
            except BailiwickError:
                _log.warning("the workspace could not be asked for changes", exc_info=True)
            except Exception:  # noqa: BLE001 - whatever one commit brings about, later ones are to be noticed
                _log.exception("a change was not taken up")


@dataclass(frozen=True, slots=True)
class TruthChange:
    """What a commit changed: items up to journal ``position``, what was added as a source, agents and all that is
    theirs, messages, audit records up to ``audited``, conflicts, and what synchronising tells of itself.
    """

    position: int
    audited: int
    items: bool
    sources: bool
    agents: bool
    messages: bool
    records: bool
    sync: bool = False
    conflicts: bool = False


class TruthWatcher:
    """A ChangeWatcher that finds out what is different; ``changed`` is called in its thread after every commit."""

    def __init__(self, agentfs: AgentFS, changed: Callable[[TruthChange], None]) -> None:
        self._agentfs = agentfs
        self._changed = changed
        self._sources: frozenset[Source] = frozenset()
        self._position = 0
        self._audited = 0
        self._activity = ""
        self._sync = 0
        self._watcher = ChangeWatcher(agentfs.database, self._look)

    def start(self) -> None:
        """Begin to watch; the first change tells all that is there."""
        self._watcher.start()

    def stop(self) -> None:
        """End the thread and wait for it, two seconds at most."""
        self._watcher.stop()

    def _look(self) -> None:
        sources, position = frozenset(self._agentfs.sources.all()), self._agentfs.items.position()
        audited, activity = self._agentfs.audit.head()[0], self._agentfs.agents.last_activity()
        nouns = self._agentfs.audit.nouns_since(self._audited) if audited != self._audited else frozenset()
        sync = self._agentfs.database.sync_number()
        change = TruthChange(
            position=position,
            audited=audited,
            items=position != self._position,
            sources=sources != self._sources,
            agents=activity != self._activity or not AGENT_NOUNS.isdisjoint(nouns),
            messages="message" in nouns,
            records=audited != self._audited,
            sync=sync != self._sync,
            conflicts=not CONFLICT_NOUNS.isdisjoint(nouns),
        )
        self._sources, self._position, self._audited, self._activity = sources, position, audited, activity
        self._changed(change)
