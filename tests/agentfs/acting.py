"""Who acts in these tests, and how time passes in them."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import Database, to_text
from core.agentfs.policy import AgentPolicy

ADA = Actor(ActorKind.PERSON, "ada", "cli")
_MOMENTS = (
    ("agents", "id", "last_activity"),
    ("agent_states", "id", "expires_at"),
    ("leases", "id", "acquired_at"),
    ("leases", "id", "expires_at"),
)


def join(agentfs: AgentFS, name: str, type: str = "research", session_id: str | None = None) -> Actor:  # noqa: A002
    """Register an agent of Ada's; the answer acts as it."""
    agent = agentfs.agents.register(name, type, owner="ada", by=ADA).agent
    return Actor(ActorKind.AGENT, agent.id, "mcp", session_id=session_id)


def reopened(root: Path, policy: AgentPolicy) -> closing[AgentFS]:
    """The workspace at ``root`` under another policy, as a second process would open it."""
    return closing(AgentFS(root, policy))


def pass_time(database: Database, seconds: float) -> None:
    """Put every moment that something waits for ``seconds`` back, which is what waiting so long comes to."""
    with database.transaction() as connection:
        for table, key, column in _MOMENTS:
            statement = f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608 - names of ours
            for row in connection.execute(statement).fetchall():
                earlier = to_text(datetime.fromisoformat(row[1]) - timedelta(seconds=seconds))
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (earlier, row[0]))  # noqa: S608
