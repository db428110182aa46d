"""What this workspace holds, as synchronising sees it: versions by path, what goes out, and what arrives.

Paths are those of items; an agent is the path ``agents/<id>``. A version tells equal content from other content on
every device, however it is sealed there and whatever its id is: a keyed hash for what is the user's own, which the
user's devices alone can make, a plain one for what others own.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.config import ConflictSettings
from core.conflicts.outcomes import Took
from core.conflicts.records import ConflictStatus
from core.disclosure.release import release, release_packed
from core.errors import InvalidInput, SealBroken, WorkspaceUnusable
from core.model import Item, JSONObject, Level
from core.privacy import Audience, AudienceKind, Cleared, Purpose
from core.sync import things
from core.sync.arriving import Arrival, Arrivals
from core.sync.commit import Operation, checked_path
from core.sync.conflicting import Conflicting
from core.sync.item_header import ItemHeader
from core.sync.leaving import Leaving, Travellers, agent_header, agent_version
from core.sync.origin import FormerVersion, Origin
from core.sync.packing import Encoding, compress, decompress
from core.sync.things import Thing, agent_path, last_part, thing_at
from core.sync.upholding import Upholding
from core.sync.versions import RECEIVED, PlainKey, VersionKey, Versions
from core.sync_model import Change

__all__ = ["FormerVersion", "LocalTree", "LocalVersion", "Origin", "Outgoing"]
_log = logging.getLogger(__name__)
_PRIVATE_METADATA = frozenset({"source", "source_id", "checksum"})
_LEVELS = {AudienceKind.TEAM: Level.TEAM, AudienceKind.PUBLIC: Level.PUBLIC}


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


class LocalTree:
    """The local side of one workspace. Safe from any thread.

    Everything raises Locked while the keys are locked, before anything is changed: versions need them. What is taken in
    is noted in the audit trail as the engine's, through the door ``sync``.
    """

    def __init__(
        self,
        agentfs: AgentFS,
        user: str,
        device_name: str = "",
        conflicts: ConflictSettings = ConflictSettings(),  # noqa: B008 - frozen
    ) -> None:
        """``user`` is whose items go out; ``device_name`` is how the other devices call this one.

        ``conflicts`` says what is settled without a person.
        """
        self._agentfs = agentfs
        self._user = user
        self._thread = threading.local()
        self._travellers = Travellers(agentfs, device_name)
        self._leaving = Leaving(agentfs, self._travellers)
        self._versions = Versions(agentfs)
        self._arrivals = Arrivals(agentfs, self._travellers, user)
        self._conflicting = Conflicting(agentfs, conflicts, self._leaving, self._arrivals.by, user)
        self.upholding = Upholding(agentfs, self._arrivals, self._conflicting)

    # What is here

    def changed_since(self, position: int, limit: int = 1000) -> tuple[list[LocalVersion], int]:
        """The user's own items, and agents, that changed after journal ``position``: at most ``limit``, oldest first.

        The number is the position up to which they are all; ask again with it until nothing comes. What is damaged
        or lies at a path that no commit can name is left out, and the log names it.
        """
        newest = self._newest()
        changes: list[tuple[int, Item | str]] = [
            (item.position, item) for item in self._agentfs.items.own_changes_since(self._user, position, limit)
        ]
        changes += [
            (at, agent_id) for agent_id, at in self._travellers.agents.changed_since(self._user, position, limit)
        ]
        changes.sort(key=lambda change: change[0])
        changes = changes[:limit]
        if not changes:
            return [], max(position, newest)
        key = self._versions.key()
        made: list[tuple[str, int, str, str]] = []
        found = [each for _, what in changes if (each := self._local(what, key, made)) is not None]
        self._versions.remember(made)
        return found, changes[-1][0] if len(changes) == limit else max(newest, changes[-1][0])

    def _newest(self) -> int:
        with translated(self._agentfs.database.path):
            row = self._agentfs.database.connection().execute("SELECT max(position) FROM journal").fetchone()
        return int(row[0] or 0)

    def _local(self, what: Item | str, key: VersionKey, made: list[tuple[str, int, str, str]]) -> LocalVersion | None:
        if isinstance(what, str):
            version = self._agent_version(what, key)
            return LocalVersion(agent_path(what), version) if version is not None else None
        if what.deleted:
            return LocalVersion(what.path, None) if _travels(what.path) else None
        try:
            checked_path(what.path)
            version = self._versions.known(what.id, what.position, key.identity)
            if version is None:
                version = self._leaving.version(what, key)
                made.append((what.id, what.position, key.identity, version))
        except (WorkspaceUnusable, SealBroken, InvalidInput) as error:
            latest = self._agentfs.items.get(what.id)
            if latest is None or latest.position == what.position:
                _log.warning("item %s cannot be read and does not travel: %s", what.id, error.message)
            return None
        return LocalVersion(what.path, version, what.size)

    def version(self, path: str) -> str | None:
        """The version at ``path``, ``None`` where nothing is now. Raises WorkspaceUnusable for what is damaged."""
        return self._version(path, self._versions.key())

    def _version(self, path: str, key: VersionKey) -> str | None:
        if thing_at(path) is Thing.AGENT:
            return self._agent_version(last_part(path), key)
        item = self._agentfs.items.at_path(path)
        if item is None:
            return None
        known = self._versions.known(item.id, item.position, key.identity)
        if known is not None:
            return known
        return self._leaving.version(item, key if item.owner == self._user else PlainKey())

    def _agent_version(self, agent_id: str, key: VersionKey) -> str | None:
        record = self._travellers.agents.record(agent_id)
        return agent_version(record, key) if record is not None else None

    # What goes out

    def outgoing(self, path: str, audience: Audience | None = None, purpose: Purpose = Purpose.SYNC) -> Outgoing | None:
        """What is at ``path`` as it leaves for ``audience``, the user's own devices by itself; ``None``: nothing is.

        For a team or the public it is the released form, whose version that of the item need not be. Raises
        AccessDenied with the rule, InvalidInput for what is not the user's own.
        """
        if thing_at(path) is Thing.AGENT:
            return self._outgoing_agent(path, audience)
        item = self._agentfs.items.at_path(path)
        if item is None:
            return None
        if item.owner != self._user:
            raise InvalidInput(f"{path} is {item.owner}'s: only its owner sends it.")
        if audience is not None and audience.kind is not AudienceKind.OWN_DEVICES:
            return self._released(item, audience, purpose)
        key = self._versions.key()
        header, plain = self._leaving.header(item), self._leaving.plain(item)
        packed = self._leaving.packed(item, plain)
        version = key.version(header.counted(key.content(plain)))
        return self._sealed(path, item, header, version, packed, key)

    def _outgoing_agent(self, path: str, audience: Audience | None) -> Outgoing | None:
        record = self._travellers.agents.record(last_part(path))
        if record is None:
            return None
        if record.party.owner != self._user or (audience and audience.kind is not AudienceKind.OWN_DEVICES):
            raise InvalidInput("An agent goes to its user's own devices alone.")
        key = self._versions.key()
        return self._sealed(path, None, agent_header(record), agent_version(record, key), record.to_bytes(), key)

    def _sealed(
        self, path: str, item: Item | None, header: ItemHeader, version: str, packed: bytes, key: VersionKey
    ) -> Outgoing:
        content = key.content(packed)
        cleared = release_packed(self._agentfs, item, _seal_name(content), compress(packed))
        item_id = item.id if item is not None else last_part(path)
        return Outgoing(
            path, header.kind, item_id, version, header.to_json(), content, len(packed), cleared, Encoding.ZSTD_AGE
        )

    def _released(self, item: Item, audience: Audience, purpose: Purpose) -> Outgoing:
        cleared = release(self._agentfs, item, audience, purpose, by=self._arrivals.by)
        whole = self._leaving.header(item)
        metadata = {name: value for name, value in whole.metadata.items() if name not in _PRIVATE_METADATA}
        header = replace(
            whole,
            level=_LEVELS.get(audience.kind, whole.level),
            metadata=metadata,
            agent="",
            shares=(),
            about={},
            parties=(),
        )
        key = PlainKey()
        content = key.content(cleared.data)
        return Outgoing(
            item.path,
            header.kind,
            item.id,
            key.version(header.counted(content)),
            header.to_json(),
            content,
            len(cleared.data),
            cleared,
            Encoding.NONE,
        )

    # What arrives

    def opened(self, operation: Operation, stored: bytes) -> bytes:
        """The content of an operation out of its stored bytes (``place`` says where they lie) of the user's own area.

        Raises SealBroken, WrongKey.
        """
        return decompress(self._agentfs.guard.open(_seal_name(operation.content), stored))

    @staticmethod
    def order(path: str) -> int:
        """In which order the operations of one commit or snapshot are applied, lowest first: agents before theirs."""
        return things.order(path)

    @staticmethod
    def merges(path: str) -> bool:
        """Whether two versions of what is at ``path`` always merge by themselves, so that there is no conflict.

        Then ``apply`` is given the version that is here now as ``expected``, and what it makes of both goes up by the
        next scan where it is not the remote's.
        """
        return thing_at(path) in things.MERGING

    def apply(self, operation: Operation, content: bytes, *, expected: str | None, origin: Origin) -> bool:
        """Take in an operation that puts something, where the version here is ``expected``.

        False: it is not, for the user changed it meanwhile; nothing was done. One transaction, audited. Raises
        InvalidInput for what no device of ours sends, or what is not ``origin.user``'s to send (nothing is done), and
        what another user may not put in the place of an item of the user's own.
        """
        arrival = self._arrivals.read(operation, content, origin.user)
        key = self._versions.key()
        with self._changing() as (connection, freed):
            if self._version(arrival.path, key) != expected:
                return False
            freed += self._take(connection, arrival, key)
        return True

    @contextmanager
    def together(self) -> Iterator[None]:
        """Within the block, what this thread takes in is one transaction, committed at its end: many at once are quick.

        What raises takes back its own part alone; what leaves the block takes back all. Nothing else of this thread may
        begin a transaction in the block.
        """
        freed: list[str] = []
        with self._agentfs.database.transaction():
            self._thread.freed = freed
            try:
                yield
            finally:
                self._thread.freed = None
        self._agentfs.contents.discard_unused(freed)

    @contextmanager
    def _changing(self) -> Iterator[tuple[sqlite3.Connection, list[str]]]:
        """A transaction, or a part of the one that ``together`` began, with the list of what is not held any more."""
        together: list[str] | None = getattr(self._thread, "freed", None)
        freed: list[str] = []
        if together is None:
            with self._agentfs.database.transaction() as connection:
                yield connection, freed
            self._agentfs.contents.discard_unused(freed)
            return
        connection = self._agentfs.database.connection()
        connection.execute("SAVEPOINT arriving")
        try:
            yield connection, freed
        except BaseException:
            connection.execute("ROLLBACK TO arriving")
            connection.execute("RELEASE arriving")
            raise
        connection.execute("RELEASE arriving")
        together += freed

    def _take(
        self, connection: sqlite3.Connection, arrival: Arrival, key: VersionKey, told: Arrival | None = None
    ) -> list[str]:
        """Take in what arrives; ``told`` is what did, where other facts are to be here than were told."""
        freed = self._arrivals.take(connection, arrival)
        if arrival.thing is Thing.AGENT:
            return freed
        item = self._agentfs.items.at_path(arrival.path)
        assert item is not None
        if arrival.received:
            self._versions.remember_within(connection, item.id, item.position, RECEIVED, arrival.version)
        elif (
            arrival.thing not in things.MERGING
            and item.level is arrival.header.level
            and (told is None or told.header == arrival.header)
        ):
            self._versions.remember_within(connection, item.id, item.position, key.identity, arrival.version)
        return freed

    def delete(self, path: str, *, expected: str, origin: Origin) -> bool:
        """As ``apply``, of an operation that deletes. What cannot be deleted, a message, say, stays."""
        if thing_at(path) in things.LASTING:
            return self.version(path) == expected
        key = self._versions.key()
        with self._changing() as (connection, freed):
            item = self._agentfs.items.at_path(path)
            if item is None or self._version(path, key) != expected:
                return False
            if item.owner != origin.user:
                raise InvalidInput(f"{path[:80]} is not {origin.user}'s to delete.")
            freed += self._arrivals.drop(connection, item)
        return True

    def conflict(
        self,
        operation: Operation,
        content: bytes | None,
        *,
        expected: str | None,
        base: FormerVersion | None,
        origin: Origin,
    ) -> ConflictStatus | None:
        """What the version here, ``expected``, and the operation's make, which were both made of ``base``.

        Both are kept in a record. What rules settle is here then, and goes up by the next scan where it is not the
        operation's version; where somebody has to rule, the operation's is here, or the one that is there at all where
        either side deleted. Of two rulings on one conflict the one that holds is here, and there is no record of it.
        What merges by itself (``merges``), and documents that are the same but for where they were cut, leave none
        either. All of it is one transaction. ``None``: the version here is no longer ``expected``; nothing was done.
        """
        puts = operation.change is not Change.DELETE
        if puts and content is None:
            raise InvalidInput(f"The content of {operation.path[:80]} is not at hand.")
        arrival = self._arrivals.read(operation, content or b"", origin.user) if puts else None
        if arrival is not None and (arrival.received or arrival.thing in things.MERGING):
            done = self.apply(operation, content or b"", expected=expected, origin=origin)
            return ConflictStatus.RESOLVED if done else None
        if origin.user != self._user:
            raise InvalidInput(f"{operation.path[:80]} is not {origin.user}'s to change.")
        former = self._former(operation, base)
        key = self._versions.key()
        with self._changing() as (connection, freed):
            if self._version(operation.path, key) != expected:
                return None
            here = self._conflicting.here(connection, operation.path, expected)
            ruled = self._conflicting.ruled_here(here, arrival, operation)
            if ruled is not None:
                if ruled is Took.REMOTE:
                    freed += self._take_or_drop(connection, arrival, here.item, key)
                return ConflictStatus.RESOLVED
            if arrival is not None:
                freed += self._take(connection, self._conflicting.with_facts(here, arrival, base), key, arrival)
            status, more = self._conflicting.settle(connection, operation, here, arrival, base, former, origin)
            freed += more
        return status

    def _take_or_drop(
        self, connection: sqlite3.Connection, arrival: Arrival | None, item: Item | None, key: VersionKey
    ) -> list[str]:
        if arrival is not None:
            return self._take(connection, arrival, key)
        return self._arrivals.drop(connection, item) if item is not None else []

    def _former(self, operation: Operation, base: FormerVersion | None) -> bytes | None:
        """The base's content as it is compared, where it is at hand and whole."""
        if base is None or base.content is None or base.header is None:
            return None
        told = replace(
            operation,
            change=Change.PUT,
            version=base.version,
            header=base.header,
            kind=str(base.header.get("kind", "")),
        )
        try:
            return self._arrivals.read(told, base.content, self._user).content
        except InvalidInput:
            return None


def _travels(path: str) -> bool:
    try:
        checked_path(path)
    except InvalidInput:
        return False
    return True


def _seal_name(content: str) -> str:
    """What the seal of content is bound to; it holds no blank."""
    return f"content:{content}"
