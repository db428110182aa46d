"""Rulings on one conflict that were made on two devices at once: the one that holds stands at the object afterwards.

What met is noted in the transaction that takes the other's record in, and forgotten when its object was seen to: a
crash in between changes nothing.
"""

from __future__ import annotations

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.conflicts.meeting import Meetings
from core.conflicts.outcomes import Took
from core.sync.arriving import Arrivals
from core.sync.commit import Operation
from core.sync.conflicting import Conflicting
from core.sync.failpoints import reached
from core.sync.origin import Origin


class Upholding:
    """Safe from any thread; everything raises Locked while the keys are locked."""

    def __init__(self, agentfs: AgentFS, arrivals: Arrivals, conflicting: Conflicting) -> None:
        self._agentfs = agentfs
        self._arrivals = arrivals
        self._conflicting = conflicting
        self._meetings = Meetings(agentfs)

    def met(self) -> dict[str, str]:
        """The conflicts of which two rulings met since ``done``, by the paths of their objects."""
        with translated(self._agentfs.database.path):
            return self._meetings.noted_within(self._agentfs.database.connection())

    def stays(self, operation: Operation, content: bytes | None, origin: Origin) -> bool:
        """Whether what is here is the ruling that holds, and the operation tells of the one that does not.

        ``content`` is that of the operation, ``None`` where it deletes. Raises InvalidInput for what no device sends.
        """
        arrival = self._arrivals.read(operation, content, origin.user) if content is not None else None
        here = self._conflicting.here(self._agentfs.database.connection(), operation.path, None)
        return self._conflicting.ruled_here(here, arrival, operation) is Took.LOCAL

    def uphold(self, path: str, conflict: str) -> bool:
        """Have the ruling that holds stand at ``path`` where one that was made here stands and does not hold.

        Says whether something was written. Raises NotFound, and as writing the object does.
        """
        with self._agentfs.database.transaction() as connection:
            written, freed = self._conflicting.uphold(connection, path, conflict)
        self._agentfs.contents.discard_unused(freed)
        return written

    def done(self) -> None:
        """Everything that follows from rulings that met is done."""
        reached("after-uphold")
        with self._agentfs.database.transaction() as connection:
            self._meetings.forget_within(connection)
