"""What this workspace holds, as synchronising sees it: versions by path, what goes out, and what arrives.

Paths are those of items; an agent is the path ``agents/<id>``. A version tells equal content from other content on
every device, however it is sealed there and whatever its id is: a keyed hash for what is the user's own, which the
user's devices alone can make, a plain one for what others own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.agentfs.agentfs import AgentFS
from core.model import JSONObject
from core.privacy import Audience, Purpose
from core.privacy.cleared import Cleared
from core.sync.commit import Operation
from core.sync.packing import Encoding


@dataclass(frozen=True, slots=True)
class LocalVersion:
    """What is at a path now; ``version`` is ``None`` where it was deleted, ``size`` that of the content in bytes."""

    path: str
    version: str | None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One item as it leaves. ``version``, ``header`` and ``content`` are for the operation of the same names.

    ``content`` tells equal contents, so that what lies in the area already need not be sent; ``size`` is that of the
    content before it was packed. ``cleared`` is what may be sent, packed as ``encoding`` says: for the user's own
    devices compressed and sealed, for others the plain content, which the sender packs as its area demands.
    """

    path: str
    kind: str
    item_id: str
    version: str
    header: JSONObject
    content: str
    size: int
    cleared: Cleared
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operation came from: the user whose device signed its commit, the device, and when (advisory)."""

    user: str
    device: str
    device_name: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FormerVersion:
    """The version that both sides of a conflict began with; ``content`` as ``opened`` gave it, where it is at hand."""

    version: str
    header: JSONObject | None = None
    content: bytes | None = None


class LocalTree:
    """The local side of one workspace. Safe from any thread.

    Everything raises Locked while the keys are locked, before anything is changed: versions need them.
    """

    def __init__(self, agentfs: AgentFS, user: str, device_name: str = "") -> None:
        """``user`` is whose items go out; ``device_name`` is how the other devices call this one."""
        self._agentfs = agentfs
        self._user = user
        self._device_name = device_name

    def changed_since(self, position: int, limit: int = 1000) -> tuple[list[LocalVersion], int]:
        """The user's own items, and agents, that changed after journal ``position``: at most ``limit``, oldest first.

        The number is the position up to which they are all; ask again with it until nothing comes.
        """
        raise NotImplementedError

    def version(self, path: str) -> str | None:
        """The version at ``path``, ``None`` where there is nothing now."""
        raise NotImplementedError

    def outgoing(self, path: str, audience: Audience | None = None, purpose: Purpose = Purpose.SYNC) -> Outgoing | None:
        """What is at ``path`` as it leaves for ``audience``, the user's own devices by itself; ``None``: nothing is.

        For a team or the public it is the released form, whose version that of the item need not be. Raises
        AccessDenied with the rule.
        """
        raise NotImplementedError

    def opened(self, operation: Operation, stored: bytes) -> bytes:
        """The content of an operation out of its stored bytes (``place`` says where they lie) of the user's own area.

        Raises SealBroken, WrongKey.
        """
        raise NotImplementedError

    @staticmethod
    def order(path: str) -> int:
        """In which order the operations of one commit or snapshot are applied, lowest first: agents before theirs."""
        raise NotImplementedError

    @staticmethod
    def merges(path: str) -> bool:
        """Whether two versions of what is at ``path`` always merge by themselves, so that there is no conflict.

        Then ``apply`` is given the version that is here now as ``expected``, and what it makes of both goes up by the
        next scan where it is not the remote's.
        """
        raise NotImplementedError

    def apply(self, operation: Operation, content: bytes, *, expected: str | None, origin: Origin) -> bool:
        """Take in an operation that puts something, where the version here is ``expected``.

        False: it is not, for the user changed it meanwhile; nothing was done. One transaction, audited. Raises
        InvalidInput for what no device of ours sends, or what is not ``origin.user``'s to send (nothing is done), and
        what another user may not put in the place of an item of the user's own.
        """
        raise NotImplementedError

    def delete(self, path: str, *, expected: str, origin: Origin) -> bool:
        """As ``apply``, of an operation that deletes. What cannot be deleted, a message, say, stays."""
        raise NotImplementedError

    def conflict(
        self,
        operation: Operation,
        content: bytes | None,
        *,
        expected: str | None,
        base: FormerVersion | None,
        origin: Origin,
    ) -> bool:
        """Record that the version here, ``expected``, and the operation's were both made of ``base``; keep both.

        The operation's version becomes the one here, in the same transaction; where either side deleted, the edit
        stays or comes back. False: the version here is no longer ``expected``; nothing was done.
        """
        raise NotImplementedError
