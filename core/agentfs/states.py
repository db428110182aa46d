"""Versioned agent state: compare-and-set writes, history, differences, restore, expiry and quota."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.agent_model import Actor, ActorKind, State, StateOperation
from core.agentfs.agents import NAMED_AGENT
from core.agentfs.database import now, to_json, to_text, translated
from core.agentfs.items import ItemWrite, Written
from core.agentfs.json_text import checked_json
from core.agentfs.kinds import STATE_KINDS, is_critical, kind_of
from core.agentfs.readable import check_readable
from core.agentfs.state_log import StateLog, is_alive, state_path
from core.errors import InvalidInput, NotFound, QuotaExceeded, StateConflict
from core.ids import sha256_hex
from core.model import JSONValue, Kind, Level, Operation, Sensitivity

LONGEST_KEY = 512
_WHOSE = f"SELECT id, owner, type FROM agents WHERE id = {NAMED_AGENT}"  # noqa: S608 - our own constant
UPSERT = """
INSERT INTO agent_states (id, agent_id, state_key, state_value, updated_at, version, kind, critical, size, expires_at,
    level, sensitive, sealed_sha256)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET state_value = excluded.state_value, updated_at = excluded.updated_at,
    version = excluded.version, kind = excluded.kind, critical = excluded.critical, size = excluded.size,
    expires_at = excluded.expires_at, level = excluded.level, sensitive = excluded.sensitive,
    sealed_sha256 = excluded.sealed_sha256
"""
HISTORY = (
    "INSERT INTO state_history (state_id, version, operation, sha256, kind, critical, actor, session_id, at,"
    " restored_from, sealed, sensitive) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class _Change:
    """What one write does to a state; ``text`` is canonical JSON, or ``None`` to take the value away."""

    agent_id: str
    key: str
    text: str | None
    operation: StateOperation
    kind: Kind | None = None
    critical: bool | None = None
    expires_at: datetime | None = None
    restored_from: int | None = None
    found: Sensitivity = Sensitivity.NONE


class StateStore(StateLog):
    """JSON values of agents by key. Safe from any thread and process.

    Versions of a key count up from 1 and never repeat, deletion and expiry included.
    """

    def put(
        self,
        agent: str,
        key: str,
        value: JSONValue,
        *,
        by: Actor,
        expect: int | None = None,
        kind: Kind | None = None,
        critical: bool | None = None,
        expires_in: float | None = None,
    ) -> State:
        """Write a new version; committed when this returns.

        ``expect`` is the version that must be current, 0 when there must be no value; ``expires_in`` are seconds.
        ``kind`` and ``critical`` follow from key and agent where they are not given. Raises StateConflict with the
        current value and version when the race is lost, QuotaExceeded, InvalidInput, NotAdmitted, NotFound.
        """
        check_key(key)
        if expires_in is not None and not 0 < expires_in <= 10 * 366 * 86400:
            raise InvalidInput("An expiry must be more than 0 seconds and at most ten years away.")
        text = checked_json(value, "The value")
        expires_at = now() + timedelta(seconds=expires_in) if expires_in is not None else None
        check_readable(key, "The key")
        _check_kind(kind)
        found = self._guard.scan(value)
        self._require_write(agent, key, by, kind)
        with self._database.transaction() as connection:
            agent_id = self._writer(connection, agent, by)
            change = _Change(agent_id, key, text, StateOperation.PUT, kind, critical, expires_at, found=found)
            return self._write(connection, change, by, expect)

    def put_within(
        self,
        connection: sqlite3.Connection,
        agent_id: str,
        key: str,
        text: str,
        *,
        by: Actor,
        found: Sensitivity,
        kind: Kind | None = None,
        critical: bool | None = None,
        expires_at: datetime | None = None,
    ) -> State:
        """As ``put``, in the caller's transaction, of canonical JSON that was scanned under a key that was checked.

        The caller has seen to it that ``by`` may. Raises InvalidInput for a kind that no state has.
        """
        _check_kind(kind)
        change = _Change(agent_id, key, text, StateOperation.PUT, kind, critical, expires_at, found=found)
        return self._write(connection, change, by, None)

    def delete(self, agent: str, key: str, *, by: Actor, expect: int | None = None) -> int:
        """Take the value away, which is a version of its own; returns it. Raises NotFound when there is no value."""
        self._require_write(agent, key, by)
        with self._database.transaction() as connection:
            agent_id = self._writer(connection, agent, by)
            row = self._row(connection, agent_id, key)
            if row is None or not is_alive(row):
                raise NotFound(f"{agent} has no state {key}.")
            return self._write(connection, _Change(agent_id, key, None, StateOperation.DELETE), by, expect).version

    def restore(self, agent: str, key: str, version: int, *, by: Actor, expect: int | None = None) -> State:
        """Make the value of an earlier version the newest one; raises NotFound when that version holds none."""
        value, kind = self._version(agent, key, version, by)
        self._require_write(agent, key, by)
        with self._database.transaction() as connection:
            agent_id = self._writer(connection, agent, by)
            return self.restore_within(
                connection, agent_id, key, value, by=by, version=version, kind=kind, expect=expect
            )

    def restore_within(
        self,
        connection: sqlite3.Connection,
        agent_id: str,
        key: str,
        value: JSONValue,
        *,
        by: Actor,
        version: int | None,
        kind: Kind,
        expect: int | None = None,
        expires_at: datetime | None = None,
    ) -> State:
        """As ``restore``, of a value at hand with the kind it had, in the caller's transaction."""
        text = to_json(value)
        change = _Change(
            agent_id,
            key,
            text,
            StateOperation.RESTORE,
            kind,
            expires_at=expires_at,
            restored_from=version,
            found=self._guard.scan(value),
        )
        return self._write(connection, change, by, expect)

    def delete_within(self, connection: sqlite3.Connection, agent_id: str, key: str, *, by: Actor) -> None:
        """As ``delete``, in the caller's transaction."""
        self._write(connection, _Change(agent_id, key, None, StateOperation.DELETE), by, None)

    def expire(self) -> int:
        """Take away what has expired, each as a version of its own; returns how many. The engine calls it."""
        moment = to_text(now())
        with translated(self._database.path):
            due = (
                self._database.connection()
                .execute("SELECT 1 FROM agent_states WHERE expires_at <= ? LIMIT 1", (moment,))
                .fetchone()
            )
        if due is None:
            return 0
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM agent_states WHERE expires_at <= ? LIMIT 500", (moment,)
            ).fetchall()
            for row in rows:
                self._expire_row(connection, row)
        return len(rows)

    # The one write

    def _write(self, connection: sqlite3.Connection, change: _Change, by: Actor, expect: int | None) -> State:
        row = self._row(connection, change.agent_id, change.key)
        if row is not None and row["state_value"] is not None and not is_alive(row):
            self._expire_row(connection, row)
            row = self._row(connection, change.agent_id, change.key)
        current = int(row["version"]) if row is not None and row["state_value"] is not None else 0
        if expect is not None and expect != current:
            raise self._lost(change.key, expect, current, row, by)
        return self._apply(connection, row, change, by)

    def _apply(self, connection: sqlite3.Connection, row: sqlite3.Row | None, change: _Change, by: Actor) -> State:
        size = len(change.text.encode()) if change.text is not None else 0
        agent = self._charge(connection, change, size - (row["size"] if row is not None else 0), size)
        kind = change.kind or (Kind(row["kind"]) if row is not None else kind_of(change.key, agent["type"]))
        critical = change.critical
        if critical is None:
            critical = bool(row["critical"]) if row is not None else is_critical(change.key)
        version = (row["version"] if row is not None else 0) + 1
        action = f"state.{change.operation}"
        told = {"agent": change.agent_id, "version": version, "key_sha256": sha256_hex(change.key.encode())}
        written: Written | None = None
        if change.text is not None:
            data = change.text.encode()
            metadata = {"agent": change.agent_id, "key": change.key, "version": version}
            write = ItemWrite(
                state_path(change.agent_id, change.key),
                kind,
                agent["owner"],
                data,
                critical=critical,
                metadata=metadata,
                agent_id=change.agent_id,
                found=change.found,
            )
            written = self._items.put(connection, write, by=by, action=action, details=told)
            state_id = written.item_id
        else:
            assert row is not None
            state_id = row["id"]
            self._items.delete(connection, state_id, by=by, action=action, details=told)
        moment = now()
        sealed = written is not None and written.sealed
        values = (
            state_id,
            change.agent_id,
            change.key,
            "" if sealed else change.text,
            to_text(moment),
            version,
            kind.value,
            int(critical),
            size,
            to_text(change.expires_at) if change.expires_at else None,
            written.level.value if written is not None else row["level"] if row is not None else Level.PRIVATE.value,
            written.sensitive.value if written is not None else "",
            written.sha256 if written is not None and sealed else None,
        )
        connection.execute(UPSERT, values)
        connection.execute(
            HISTORY,
            (
                state_id,
                version,
                change.operation.value,
                written.sha256 if written is not None else None,
                kind.value,
                int(critical),
                by.id,
                by.session_id,
                values[4],
                change.restored_from,
                int(sealed),
                values[11],
            ),
        )
        value = json.loads(change.text) if change.text is not None else None
        return State(
            state_id,
            change.agent_id,
            change.key,
            value,
            version,
            kind,
            critical,
            size,
            moment,
            change.expires_at,
            level=Level(values[10]),
            sensitive=Sensitivity(values[11]),
            sealed=sealed,
        )

    def _charge(self, connection: sqlite3.Connection, change: _Change, grown: int, size: int) -> sqlite3.Row:
        """Count the bytes against the agent's quota; a write that takes nothing more is never refused."""
        policy = self._agents.policy
        if size > policy.value_bytes and grown > 0:
            raise QuotaExceeded(
                f"The value of {change.key} is {size:,} bytes; at most {policy.value_bytes:,} are kept in one state.",
                "Keep large results in a file and its path in the state.",
            )
        row: sqlite3.Row = connection.execute(
            "UPDATE agents SET state_bytes = state_bytes + ? WHERE id = ? RETURNING state_bytes, owner, type, name",
            (grown, change.agent_id),
        ).fetchone()
        if grown > 0 and row["state_bytes"] > policy.state_bytes:
            raise QuotaExceeded(
                f"With {change.key}, the states of {row['name']} would be {row['state_bytes']:,} bytes;"
                f" {policy.state_bytes:,} are allowed.",
                "Delete states, or let them expire.",
            )
        return row

    def _expire_row(self, connection: sqlite3.Connection, row: sqlite3.Row) -> None:
        change = _Change(row["agent_id"], row["state_key"], None, StateOperation.EXPIRE)
        self._apply(connection, row, change, self._agents.engine)

    def _lost(self, key: str, expect: int, current: int, row: sqlite3.Row | None, by: Actor) -> StateConflict:
        stands = f"version {current} is current" if current else "there is no value"
        facts: dict[str, object] = {"version": current, "value": None}
        if row is not None and current:
            state = self._reading.present(row, by)
            facts["value"] = state.value if state is not None else None
        return StateConflict(
            f"{key} was expected at version {expect}, but {stands}.",
            "Read it, take the change in, and write again with the current version; or have yours kept: `--keep`.",
            facts,
        )

    def _require_write(self, agent: str, key: str, by: Actor, kind: Kind | None = None) -> None:
        """Raise AccessDenied when ``by`` may not write this state of another agent's."""
        with translated(self._database.path):
            whose = self._database.connection().execute(_WHOSE, {"agent": agent}).fetchone()
        # That there is no such agent, or none any more, is told within the transaction.
        if whose is None or self._permissions.is_own(by, whose["owner"], whose["id"]):
            return
        with translated(self._database.path):
            row = self._row(self._database.connection(), whose["id"], key)
        present = Kind(row["kind"]) if row is not None else kind_of(key, whose["type"])
        path = state_path(whose["id"], key)
        item = self._items.at_path(path) or self._permissions.not_yet(path, present, whose["owner"], whose["id"])
        self._permissions.require(by, item, Operation.WRITE)
        if kind is not None and kind is not present:
            hint = f"It is of the kind {present}: leave the kind out."
            reason = "Only its own agent and its owner say of which kind it is."
            self._permissions.refuse(by, item, Operation.WRITE, "kind", reason, hint)

    def _writer(self, connection: sqlite3.Connection, agent: str, by: Actor) -> str:
        """The id of the agent whose state it is; others may write it too, and an agent that writes needs its place."""
        agent_id = self._agents.id_of(connection, agent)
        if by.kind is ActorKind.AGENT:
            self._agents.touch(connection, by.id)
        return agent_id


def check_key(key: str) -> None:
    """Raise InvalidInput when no state can have that key."""
    if not key or len(key) > LONGEST_KEY or not key.isprintable() or key != key.strip():
        raise InvalidInput(
            f"{key[:40]!r} cannot be a state's key.",
            f"Use 1 to {LONGEST_KEY} printable characters, such as plan/today.",
        )


def _check_kind(kind: Kind | None) -> None:
    if kind is not None and kind not in STATE_KINDS:
        raise InvalidInput(f"A state cannot be a {kind}.", f"Known: {', '.join(STATE_KINDS)}.")
