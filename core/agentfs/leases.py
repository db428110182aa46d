"""Leases: time-limited claims on paths and named resources, so that two agents do not work on the same thing."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from core.agent_model import Actor, Importance, Lease, LeaseMode
from core.agentfs.agents import AgentRegistry
from core.agentfs.audit import AuditTrail
from core.agentfs.database import Database, from_text, now, to_text, translated
from core.agentfs.globs import normalised, overlap
from core.agentfs.messages import MessageStore
from core.agentfs.readable import check_readable, without_secrets
from core.errors import InvalidInput, LeaseHeld, NotFound
from core.ids import new_id, sha256_hex
from core.model import JSONObject, JSONValue

RESOURCE_PREFIX = "resource:"
DEFAULT_SECONDS = 300
LONGEST_SECONDS = 24 * 3600
MOST_PARTS = 64
LONGEST_PART = 200
_SELECT = "SELECT l.*, a.name AS agent FROM leases l JOIN agents a ON a.id = l.agent_id"
_HELD = "l.ended_at IS NULL AND l.expires_at > ?"


class LeaseStore:
    """Who may work on what. Safe from any thread and process; two overlapping exclusive leases are never both held."""

    def __init__(self, database: Database, audit: AuditTrail, agents: AgentRegistry, messages: MessageStore) -> None:
        self._database = database
        self._audit = audit
        self._agents = agents
        self._messages = messages

    def take(
        self,
        agent: str,
        resource: str,
        *,
        by: Actor,
        mode: LeaseMode = LeaseMode.EXCLUSIVE,
        seconds: int = DEFAULT_SECONDS,
        reason: str = "",
    ) -> Lease:
        """Claim a path, a glob, or ``resource:NAME`` (a port, a database) for ``seconds``; heartbeats renew it.

        An agent that holds the same thing already renews it, with the new mode. Raises LeaseHeld naming the holder,
        the time left and what to do; InvalidInput, NotFound, NotAdmitted.
        """
        wanted, reason = checked_resource(resource, seconds), without_secrets(reason)
        with self._database.transaction() as connection:
            agent_id = self._agents.acting(connection, agent, by)
            self._end_expired(connection)
            for lease in self.blocking_within(connection, agent_id, wanted, mode):
                raise refusal(resource, lease)
            return self.grant_within(connection, agent_id, wanted, by=by, mode=mode, seconds=seconds, reason=reason)

    def blocking_within(
        self, connection: sqlite3.Connection, agent_id: str, wanted: str, mode: LeaseMode
    ) -> list[Lease]:
        """The leases of other agents that keep the agent from taking what ``checked_resource`` gave, oldest first."""
        rows = connection.execute(
            f"{_SELECT} WHERE {_HELD} AND l.agent_id <> ? ORDER BY l.acquired_at, l.id", (to_text(now()), agent_id)
        )
        return [held for row in rows.fetchall() if clash(wanted, mode, held := _lease(row))]

    def grant_within(
        self,
        connection: sqlite3.Connection,
        agent_id: str,
        wanted: str,
        *,
        by: Actor,
        mode: LeaseMode,
        seconds: int,
        reason: str,
    ) -> Lease:
        """Give or renew a lease in the caller's transaction, which has seen that nothing blocks it."""
        moment = now()
        own = connection.execute(
            f"SELECT l.id FROM leases l WHERE {_HELD} AND l.agent_id = ? AND l.resource = ?",  # noqa: S608 - ours
            (to_text(moment), agent_id, wanted),
        ).fetchone()
        lease_id = own["id"] if own is not None else new_id()
        connection.execute(
            "INSERT INTO leases (id, agent_id, resource, mode, reason, seconds, acquired_at, expires_at,"
            " session_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET mode = excluded.mode,"
            " reason = excluded.reason, seconds = excluded.seconds, expires_at = excluded.expires_at",
            (
                lease_id,
                agent_id,
                wanted,
                mode.value,
                reason,
                seconds,
                to_text(moment),
                to_text(moment + timedelta(seconds=seconds)),
                by.session_id,
            ),
        )
        action = "lease.renew" if own is not None else "lease.take"
        told: JSONObject = {
            "agent": agent_id,
            "mode": mode.value,
            "seconds": seconds,
            "resource_sha256": sha256_hex(wanted.encode()),
        }
        self._audit.append(connection, by, action, lease_id, told)
        return _lease(connection.execute(f"{_SELECT} WHERE l.id = ?", (lease_id,)).fetchone())

    def rule_out_within(self, connection: sqlite3.Connection, lease: Lease, *, by: Actor) -> None:
        """End a lease because somebody ruled for another claim, in the caller's transaction, which tells the holder."""
        self._end(connection, lease.id, "ruled")
        self._audit.append(connection, by, "lease.rule", lease.id, {"agent": lease.agent_id})

    def release(self, agent: str, resource: str, *, by: Actor) -> Lease:
        """Give up what ``resource`` (or a lease's id) names; raises NotFound when the agent does not hold it."""
        wanted = resource if resource.startswith(RESOURCE_PREFIX) else normalised(resource)
        with self._database.transaction() as connection:
            agent_id = self._agents.acting(connection, agent, by, changes=False)
            self._end_expired(connection)
            row = connection.execute(
                f"SELECT l.id FROM leases l WHERE {_HELD} AND l.agent_id = ? AND (l.id = ? OR l.resource = ?)",  # noqa: S608 - ours
                (to_text(now()), agent_id, resource, wanted),
            ).fetchone()
            if row is None:
                raise NotFound(
                    f"{agent} holds no lease on {resource}.", "`bailiwick leases list` shows who holds what."
                )
            self._end(connection, row["id"], "released")
            self._audit.append(connection, by, "lease.release", row["id"], {"agent": agent_id})
            return _lease(connection.execute(f"{_SELECT} WHERE l.id = ?", (row["id"],)).fetchone())

    def held(self, agent: str = "") -> list[Lease]:
        """The leases in force, of one agent or of all, those that end first first."""
        agent_id = self._agents.get(agent).id if agent else ""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                f"{_SELECT} WHERE {_HELD} AND (? = '' OR l.agent_id = ?) ORDER BY l.expires_at",
                (to_text(now()), agent_id, agent_id),
            )
            return [_lease(row) for row in rows]

    def in_force_within(self, connection: sqlite3.Connection, *, resource: str = "", lease_id: str = "") -> list[Lease]:
        """The leases in force on exactly that resource, or the one with that id; the oldest first."""
        rows = connection.execute(
            f"{_SELECT} WHERE {_HELD} AND (l.resource = ? OR l.id = ?) ORDER BY l.acquired_at, l.id",
            (to_text(now()), resource, lease_id),
        )
        return [_lease(row) for row in rows.fetchall()]

    def end_expired(self) -> int:
        """End what has run out and tell the holders; returns how many. The engine calls it now and then."""
        with translated(self._database.path):
            due = (
                self._database.connection()
                .execute("SELECT 1 FROM leases WHERE ended_at IS NULL AND expires_at <= ? LIMIT 1", (to_text(now()),))
                .fetchone()
            )
        if due is None:
            return 0
        with self._database.transaction() as connection:
            return self._end_expired(connection)

    def _end_expired(self, connection: sqlite3.Connection) -> int:
        """As ``end_expired``. What has run out binds nobody; it ends when its holder can be told of it.

        That cannot be while the message would have to be sealed and the keys are locked.
        """
        rows = connection.execute(
            f"{_SELECT} WHERE l.ended_at IS NULL AND l.expires_at <= ?",
            (to_text(now()),),
        ).fetchall()
        for ended, row in enumerate(rows):
            content: JSONValue = {
                "resource": row["resource"],
                "lease": row["id"],
                "text": f"Your lease on {row['resource']} has run out.",
            }
            if not self._messages.tell(
                connection, row["agent_id"], content, type="lease.expired", importance=Importance.HIGH
            ):
                return ended
            self._end(connection, row["id"], "expired")
            self._audit.append(connection, self._agents.engine, "lease.expire", row["id"], {"agent": row["agent_id"]})
        return len(rows)

    @staticmethod
    def _end(connection: sqlite3.Connection, lease_id: str, because: str) -> None:
        connection.execute(
            "UPDATE leases SET ended_at = ?, ended_because = ? WHERE id = ?", (to_text(now()), because, lease_id)
        )


def checked_resource(resource: str, seconds: int = DEFAULT_SECONDS) -> str:
    """The resource as it is leased for ``seconds``; raises InvalidInput when it cannot be."""
    wanted = resource if resource.startswith(RESOURCE_PREFIX) else normalised(resource)
    if not wanted.removeprefix(RESOURCE_PREFIX).strip() or len(resource) > 1024 or not resource.isprintable():
        raise InvalidInput(
            f"{resource[:40]!r} cannot be leased.", "Name a path, a glob such as src/**, or resource:NAME."
        )
    parts = wanted.split("/")
    if len(parts) > MOST_PARTS or any(len(part) > LONGEST_PART for part in parts):
        raise InvalidInput(f"A leased path has at most {MOST_PARTS} parts of {LONGEST_PART} characters.")
    if ".." in parts:
        raise InvalidInput("A leased path must not contain `..`.", "Name the path itself.")
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise InvalidInput(f"A lease lasts 1 to {LONGEST_SECONDS:,} seconds.", "Heartbeats renew it.")
    check_readable(wanted, "The resource")
    return wanted


def clash(wanted: str, mode: LeaseMode, held: Lease) -> bool:
    """Whether nobody else may have ``wanted`` in that mode while the lease is held."""
    if mode is LeaseMode.SHARED and held.mode is LeaseMode.SHARED:
        return False
    if wanted.startswith(RESOURCE_PREFIX) or held.resource.startswith(RESOURCE_PREFIX):
        return wanted == held.resource
    return overlap(wanted, held.resource)


def refusal(resource: str, held: Lease) -> LeaseHeld:
    """What keeps another agent from ``resource``: the holder, the time left and what to do."""
    left = max(1, round((held.expires_at - now()).total_seconds()))
    why = f" ({held.reason})" if held.reason else ""
    following = f"Wait {left} s, or ask: `bailiwick messages send --to {held.agent} …`."
    return LeaseHeld(
        f"{resource} cannot be leased: {held.agent} holds {held.resource} ({held.mode}) for {left} s more{why}.",
        following,
        {"holder": held.agent, "resource": held.resource, "seconds_left": left, "next": following},
    )


def _lease(row: sqlite3.Row) -> Lease:
    return Lease(
        id=row["id"],
        agent_id=row["agent_id"],
        agent=row["agent"],
        resource=row["resource"],
        mode=LeaseMode(row["mode"]),
        reason=row["reason"],
        seconds=row["seconds"],
        acquired_at=from_text(row["acquired_at"]),
        expires_at=from_text(row["expires_at"]),
        session_id=row["session_id"],
        ended_at=from_text(row["ended_at"]) if row["ended_at"] else None,
        ended_because=row["ended_because"],
    )
