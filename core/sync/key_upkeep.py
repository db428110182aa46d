"""When keys are exchanged with the remote: after a change here, for what cannot be opened, and now and then."""

from __future__ import annotations

import logging
import threading
import time

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, to_text
from core.crypto.generations import generation_names
from core.errors import Locked
from core.ids import stable_id
from core.remote.store import ObjectStore
from core.sync.key_exchange import exchange_keys

_log = logging.getLogger(__name__)
_EXCHANGED = "sync.keys_exchanged"
HOURS = 6.0
"""So often the remote is asked for slots that another device added or removed, where nothing else asks for it."""
AGAIN_SECONDS = 60.0


class KeyUpkeep:
    """The keys of one workspace and its remote. Safe from any thread."""

    def __init__(self, agentfs: AgentFS, store: ObjectStore) -> None:
        self._agentfs = agentfs
        self._store = store
        self._lock = threading.Lock()
        self._asked_at = float("-inf")

    def if_due(self) -> None:
        """Exchange the keys where they are others than when that was done last, or it is long ago.

        Raises Locked when the remote holds a generation that this device was not given, and what the store raises.
        """
        last = self._agentfs.settings.get(_EXCHANGED)
        if isinstance(last, list) and len(last) == 2 and last[0] == self._present():
            hours = (now() - from_text(str(last[1]))).total_seconds() / 3600
            if 0 <= hours < HOURS:
                return
        self._exchange()

    def after_wrong_key(self) -> bool:
        """Exchange the keys for something that those here do not open; whether others are here now.

        At most once a minute: what a stranger sealed is opened by none.
        """
        with self._lock:
            if time.monotonic() - self._asked_at < AGAIN_SECONDS:
                return False
            self._asked_at = time.monotonic()
        before = self._present()
        try:
            self._exchange()
        except Locked as error:
            _log.warning("%s", error.message)
        return self._present() != before

    def _exchange(self) -> None:
        if self._store.read_only:
            return
        exchanged = exchange_keys(self._agentfs, self._store)
        for damage in exchanged.refused:
            _log.warning("%s", damage.reason)
        self.note()

    def note(self) -> None:
        """Remember that the keys here and there are the same now."""
        self._agentfs.settings.put(_EXCHANGED, [self._present(), to_text(now())])

    def _present(self) -> str:
        slots = self._agentfs.keys.keys.slots
        return stable_id(*slots.ids(), "", *generation_names(slots.folder))
