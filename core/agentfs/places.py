"""The places that the hardware allows agents, and the line of those who wait for one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta

from core.agent_model import PERSON_TYPE, Actor
from core.agentfs.audit import AuditTrail
from core.agentfs.database import Database, now, to_text, translated
from core.agentfs.policy import AgentPolicy


class Places:
    """First come, first served. Safe from any thread and process."""

    def __init__(self, database: Database, audit: AuditTrail, policy: AgentPolicy, engine: Actor) -> None:
        """``engine`` is who gives and takes places; ``on_admitted`` may be set to hear of agents that got one."""
        self.policy = policy
        self.on_admitted: Callable[[sqlite3.Connection, str], None] = lambda connection, agent_id: None
        self._database = database
        self._audit = audit
        self._engine = engine

    def admit_waiting(self) -> None:
        """Give free places to those who wait; cheap when nobody does. The engine calls it now and then."""
        with translated(self._database.path):
            waiting = self._database.connection().execute("SELECT 1 FROM agents WHERE admission = 'waiting' LIMIT 1")
            if waiting.fetchone() is None:
                return
        with self._database.transaction() as connection:
            self.admit(connection)

    def admit(self, connection: sqlite3.Connection, newcomer: str = "") -> None:
        """As ``admit_waiting``, in the caller's transaction; an inactive agent gives its place up for one that waits.

        A ``newcomer`` that gets a place at once hears of it in the answer to its registration.
        """
        alive = self._alive()
        waiting = connection.execute(
            "SELECT id FROM agents WHERE admission = 'waiting' AND last_activity > ? ORDER BY waiting_since", (alive,)
        ).fetchall()
        for candidate in waiting:
            taken = connection.execute(
                "SELECT count(*) AS n FROM agents WHERE admission = 'admitted' AND type <> ? AND device = ''",
                (PERSON_TYPE,),
            ).fetchone()["n"]
            if taken >= self.policy.max_agents:
                idle = connection.execute(
                    "SELECT id FROM agents WHERE admission = 'admitted' AND type <> ? AND device = ''"
                    " AND last_activity <= ? ORDER BY last_activity LIMIT 1",
                    (PERSON_TYPE, alive),
                ).fetchone()
                if idle is None:
                    return
                connection.execute(
                    "UPDATE agents SET admission = 'waiting', waiting_since = ? WHERE id = ?",
                    (next_ticket(connection), idle["id"]),
                )
                self._audit.append(connection, self._engine, "agent.yield", idle["id"])
            connection.execute(
                "UPDATE agents SET admission = 'admitted', waiting_since = NULL WHERE id = ?", (candidate["id"],)
            )
            self._audit.append(connection, self._engine, "agent.admit", candidate["id"])
            if candidate["id"] != newcomer:
                self.on_admitted(connection, candidate["id"])

    def line(self, connection: sqlite3.Connection) -> dict[str, int]:
        """The 1-based place in line of who waits, by id; those without a sign of life come after all others."""
        rows = connection.execute(
            "SELECT id FROM agents WHERE admission = 'waiting' ORDER BY last_activity <= ?, waiting_since",
            (self._alive(),),
        )
        return {row["id"]: place for place, row in enumerate(rows, start=1)}

    def reason(self) -> str:
        """Why somebody waits, in words that end a sentence."""
        count = self.policy.max_agents
        return f"this machine allows {count} agent{'' if count == 1 else 's'} at once."

    def _alive(self) -> str:
        return to_text(now() - timedelta(seconds=self.policy.idle_seconds))


def next_ticket(connection: sqlite3.Connection) -> int:
    """What puts an agent at the end of the line."""
    return int(connection.execute("SELECT coalesce(max(waiting_since), 0) + 1 FROM agents").fetchone()[0])
