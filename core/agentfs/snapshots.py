"""Snapshots: copies of the whole database, compared with now, and restored as new versions that can be undone."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.agent_model import Actor, Snapshot, StateChange
from core.agentfs.agents import AgentRegistry
from core.agentfs.audit import AuditTrail
from core.agentfs.database import Database, from_text, now, to_text, translated
from core.agentfs.items import ItemStore
from core.agentfs.migration import backup
from core.agentfs.permissions import Permissions
from core.agentfs.readable import check_readable
from core.agentfs.states import StateStore
from core.crypto.secret import HOW_TO_UNLOCK
from core.errors import InvalidInput, Locked, NotFound, SealBroken, WorkspaceUnusable, WrongKey
from core.ids import new_id
from core.json_diff import Difference
from core.model import JSONValue, Kind

_STATES = """
SELECT s.*, a.name AS agent FROM agent_states s JOIN agents a ON a.id = s.agent_id
WHERE s.state_value IS NOT NULL AND (s.expires_at IS NULL OR s.expires_at > :now)
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, or would do: the ``changes`` from now to the snapshot, and how to take them back."""

    changes: tuple[StateChange, ...]
    dry_run: bool
    undo: Snapshot | None


@dataclass(frozen=True, slots=True)
class _Value:
    """``text`` is ``None`` where the value is sealed and the keys are locked; ``sealed`` is the hash it lies under."""

    agent: str
    text: str | None
    version: int
    expires_at: datetime | None
    size: int
    kind: Kind
    sealed: str = ""


_Values = dict[tuple[str, str], _Value]


class SnapshotStore:
    """Safe from any thread and process."""

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        agents: AgentRegistry,
        states: StateStore,
        items: ItemStore,
        permissions: Permissions,
        folder: Path,
        acting: Actor,
    ) -> None:
        """``folder`` is where the copies lie; ``acting`` is who asks where nobody is named."""
        self._database = database
        self._items = items
        self._permissions = permissions
        self._acting = acting
        self._audit = audit
        self._agents = agents
        self._states = states
        self._folder = folder

    def take(self, name: str, *, by: Actor) -> Snapshot:
        """Copy the database while others go on using it; the copy is complete when this returns."""
        if len(name) > 200 or not (name.isprintable() or not name):
            raise InvalidInput("A snapshot's name has at most 200 printable characters.")
        check_readable(name, "The name")
        snapshot_id = new_id()
        target = self._folder / f"{snapshot_id}.db"
        temporary = target.with_suffix(".part")
        try:
            backup(self._database, temporary)
            os.chmod(temporary, 0o600)
            size, digest = temporary.stat().st_size, _file_sha256(temporary)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        snapshot = Snapshot(snapshot_id, name, now(), by.id, str(target), size, digest)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO snapshots (id, name, created_at, created_by, path, size, sha256)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (snapshot_id, name, to_text(snapshot.created_at), by.id, target.name, size, digest),
            )
            self._audit.append(connection, by, "snapshot.take", snapshot_id, {"sha256": digest, "size": size})
        return snapshot

    def all(self) -> list[Snapshot]:
        """Every snapshot, the newest first."""
        with translated(self._database.path):
            rows = self._database.connection().execute("SELECT * FROM snapshots ORDER BY created_at DESC, id DESC")
            return [self._snapshot(row) for row in rows]

    def get(self, snapshot: str) -> Snapshot:
        """The snapshot of that id, else the newest of that name; raises NotFound."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute(
                    "SELECT * FROM snapshots WHERE id = :it OR name = :it ORDER BY id = :it DESC, created_at DESC",
                    {"it": snapshot},
                )
                .fetchone()
            )
        if row is None:
            raise NotFound(f"There is no snapshot {snapshot}.", "`bailiwick sessions list` shows them.")
        return self._snapshot(row)

    def compare(
        self, snapshot: str, other: str = "", *, agent: str = "", session_id: str = "", by: Actor | None = None
    ) -> list[StateChange]:
        """How the states differ from ``snapshot`` to ``other``, or to now; all, or one agent's or one session's.

        Everyone is shown what is their own. Of what is sealed while the keys are locked, the values are left out.
        """
        before = self._values_of(self.get(snapshot))
        after = self._values_of(self.get(other)) if other else self._values_now()
        return self._scoped(_changes(before, after), agent, session_id, by or self._acting)

    def restore(
        self, snapshot: str, *, by: Actor, agent: str = "", session_id: str = "", dry_run: bool = False
    ) -> Restored:
        """Bring states back to how they were: of one agent, of what one session wrote, or all.

        Every change is a new version in one transaction, and a snapshot of now is taken first, so that a restore can
        be restored from. With ``dry_run`` nothing happens but telling. States of agents that have retired since are
        left alone, and so is what is not the own of ``by``. Raises Locked when a sealed value is among them that cannot
        be opened.
        """
        chosen = self.get(snapshot)
        values = self._values_of(chosen)
        planned = tuple(self._scoped(_changes(self._values_now(), values), agent, session_id, by))
        if dry_run or not planned:
            return Restored(planned, dry_run, None)
        if any((held := values.get((each.agent_id, each.key))) and held.text is None for each in planned):
            raise Locked("The snapshot holds sealed values that cannot be opened now.", HOW_TO_UNLOCK)
        undo = self.take(f"before restoring {chosen.name or chosen.id}", by=by)
        with self._database.transaction() as connection:
            current = self._read_values(connection)
            changes = tuple(self._scoped(_changes(current, values), agent, session_id, by))
            # What gives room comes first, so that a restore that fits in the end is never over the quota on its way.
            for change in sorted(changes, key=lambda each: _growth(current, values, each)):
                if change.difference is Difference.REMOVED:
                    self._states.delete_within(connection, change.agent_id, change.key, by=by)
                else:
                    self._states.restore_within(
                        connection,
                        change.agent_id,
                        change.key,
                        change.after,
                        by=by,
                        version=change.after_version,
                        kind=values[change.agent_id, change.key].kind,
                        expires_at=values[change.agent_id, change.key].expires_at,
                    )
            self._audit.append(
                connection, by, "snapshot.restore", chosen.id, {"changes": len(changes), "undo": undo.id}
            )
        return Restored(changes, dry_run, undo)

    def _scoped(self, changes: list[StateChange], agent: str, session_id: str, by: Actor) -> list[StateChange]:
        owner_of = self._permissions.owner_of
        changes = [each for each in changes if self._permissions.is_own(by, owner_of(each.agent_id), each.agent_id)]
        if agent:
            agent_id = self._agents.get(agent).id
            changes = [change for change in changes if change.agent_id == agent_id]
        if session_id:
            written = self._written_in(session_id)
            changes = [change for change in changes if (change.agent_id, change.key) in written]
        living = {overview.agent.id for overview in self._agents.all()}
        return [change for change in changes if change.agent_id in living]

    def _written_in(self, session_id: str) -> set[tuple[str, str]]:
        with translated(self._database.path):
            connection = self._database.connection()
            if connection.execute("SELECT 1 FROM sessions WHERE id = ?", (session_id,)).fetchone() is None:
                raise NotFound(f"There is no session {session_id}.", "`bailiwick sessions list` shows them.")
            rows = connection.execute(
                "SELECT DISTINCT s.agent_id, s.state_key FROM state_history h JOIN agent_states s ON s.id = h.state_id"
                " WHERE h.session_id = ?",
                (session_id,),
            )
            return {(row["agent_id"], row["state_key"]) for row in rows}

    def _values_now(self) -> _Values:
        with translated(self._database.path):
            return self._read_values(self._database.connection())

    def _values_of(self, snapshot: Snapshot) -> _Values:
        with _opened(snapshot) as connection:
            return self._read_values(connection)

    def _read_values(self, connection: sqlite3.Connection) -> _Values:
        rows = connection.execute(_STATES, {"now": to_text(now())}).fetchall()
        return {(row["agent_id"], row["state_key"]): self._read_value(row) for row in rows}

    def _read_value(self, row: sqlite3.Row) -> _Value:
        # Snapshots of before anything was sealed have no such column.
        sealed = (row["sealed_sha256"] if "sealed_sha256" in row.keys() else None) or ""  # noqa: SIM118 - a Row has no other
        text: str | None = row["state_value"]
        if sealed:
            try:
                text = self._items.opened(row["id"], sealed, sealed=True).decode()
            except (Locked, WrongKey, SealBroken, WorkspaceUnusable):
                text = None
        expires_at = from_text(row["expires_at"]) if row["expires_at"] else None
        return _Value(row["agent"], text, row["version"], expires_at, row["size"], Kind(row["kind"]), sealed)

    def _snapshot(self, row: sqlite3.Row) -> Snapshot:
        return Snapshot(
            id=row["id"],
            name=row["name"],
            created_at=from_text(row["created_at"]),
            created_by=row["created_by"],
            path=str(self._folder / row["path"]),
            size=row["size"],
            sha256=row["sha256"],
        )


@contextmanager
def _opened(snapshot: Snapshot) -> Iterator[sqlite3.Connection]:
    """A snapshot's file, read-only; raises WorkspaceUnusable when it is missing or not as it was written."""
    path = Path(snapshot.path)
    if not path.is_file():
        raise WorkspaceUnusable(f"The snapshot's file {path} is missing.", "Choose another snapshot.")
    if _file_sha256(path) != snapshot.sha256:
        raise WorkspaceUnusable(f"The snapshot's file {path} was changed since.", "Choose another snapshot.")
    with (
        translated(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection,
    ):
        connection.row_factory = sqlite3.Row
        yield connection


def _changes(before: _Values, after: _Values) -> list[StateChange]:
    changes = []
    for place in sorted(before.keys() | after.keys()):
        old, new = before.get(place), after.get(place)
        if old is not None and new is not None and _is_same(old, new):
            continue
        difference = Difference.ADDED if old is None else Difference.REMOVED if new is None else Difference.CHANGED
        named = new or old
        assert named is not None
        changes.append(
            StateChange(
                agent_id=place[0],
                agent=named.agent,
                key=place[1],
                difference=difference,
                before=_value(old),
                after=_value(new),
                before_version=old.version if old else None,
                after_version=new.version if new else None,
            )
        )
    return changes


def _growth(before: _Values, after: _Values, change: StateChange) -> int:
    """How many bytes the value takes more than before."""
    old, new = (values.get((change.agent_id, change.key)) for values in (before, after))
    return (new.size if new else 0) - (old.size if old else 0)


def _is_same(old: _Value, new: _Value) -> bool:
    """Whether both hold the same value, as far as can be told while one is locked."""
    return old.sealed == new.sealed if old.text is None or new.text is None else old.text == new.text


def _value(held: _Value | None) -> JSONValue:
    value: JSONValue = json.loads(held.text) if held is not None and held.text is not None else None
    return value


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
