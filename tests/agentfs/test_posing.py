"""Nobody poses as another, rewrites a record, or works without a place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.policy import AgentPolicy
from core.errors import AccessDenied, InvalidInput, NotAdmitted
from tests.agentfs.acting import join

ADA = Actor(ActorKind.PERSON, "ada", "cli")


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    opened = AgentFS(tmp_path / "w", AgentPolicy(max_agents=1))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "name", ["B\u0430iliwick", "bailiwick ", "ada", "Ada", "BAILIWICK", "scout\u00a0", "\uff53cout"]
)
def test_a_name_that_could_be_taken_for_another_is_refused(agentfs: AgentFS, name: str) -> None:
    with pytest.raises(InvalidInput):
        agentfs.agents.register(name, "research", owner="ada", by=ADA)


@pytest.mark.parametrize(
    "act",
    [
        lambda agentfs, by: agentfs.sessions.start("second", by=by),
        lambda agentfs, by: agentfs.sessions.begin_call("second", "grep", by=by),
    ],
    ids=["session", "call"],
)
def test_an_agent_that_waits_begins_nothing(agentfs: AgentFS, act: Callable[[AgentFS, Actor], object]) -> None:
    agentfs.agents.register("first", "research", owner="ada", by=ADA)
    second = agentfs.agents.register("second", "research", owner="ada", by=ADA).agent
    with pytest.raises(NotAdmitted):
        act(agentfs, Actor(ActorKind.AGENT, second.id, "cli"))


@pytest.mark.parametrize("change", [str, str.upper])
def test_an_agent_is_not_named_like_anothers_id(agentfs: AgentFS, change: Callable[[str], str]) -> None:
    first = agentfs.agents.register("first", "research", owner="ada", by=ADA).agent
    for taken in (first.id, agentfs.agents.person_id("ada")):
        with pytest.raises(InvalidInput, match="cannot be an agent's name"):
            agentfs.agents.register(change(taken), "research", owner="ada", by=ADA)
    assert agentfs.agents.register("Documentation-of-everything", "research", owner="ada", by=ADA).created


def test_what_an_agent_does_no_other_does_for_it(tmp_path: Path) -> None:
    with closing(AgentFS(tmp_path / "w")) as agentfs:
        scout, critic = join(agentfs, "scout"), join(agentfs, "critic")
        session = agentfs.sessions.start("scout", by=scout)
        call = agentfs.sessions.begin_call("scout", "grep", by=scout)
        for forged in (
            lambda: agentfs.agents.heartbeat("scout", by=critic, note="I am dead", tool="rm"),
            lambda: agentfs.agents.retire("scout", by=critic),
            lambda: agentfs.agents.register("scout", "poc", {"tools": ["rm"]}, owner="ada", by=critic),
            lambda: agentfs.sessions.end(session.id, by=critic),
            lambda: agentfs.sessions.finish_call(call, by=critic, error="forged"),
        ):
            with pytest.raises(InvalidInput, match="An agent cannot act as another"):
                forged()
        with pytest.raises(AccessDenied, match="showed no key"):
            agentfs.agents.retire("scout", by=replace(scout, verified=False))
        present = agentfs.agents.get("scout")
        assert (present.note, present.current_tool, present.type) == ("", "grep", "research")
        assert agentfs.sessions.get(session.id).ended_at is None
        for by in (scout, ADA):
            assert agentfs.agents.heartbeat("scout", by=by, note=by.id).note == by.id
        assert agentfs.sessions.finish_call(call, by=ADA).completed_at is not None
        assert agentfs.sessions.end(session.id, by=scout).ended_at is not None
        assert agentfs.agents.retire("scout", by=scout).retired_at is not None
        assert agentfs.audit_check.verify().whole


def test_a_record_cannot_be_replaced(agentfs: AgentFS, tmp_path: Path) -> None:
    for number in range(3):
        agentfs.settings.put("n", number)
    columns = "device, at, actor_kind, actor, verified, door, session_id, action, subject, details"
    with closing(sqlite3.connect(tmp_path / "w" / "agentfs.db")) as connection:
        for position in (2, 1):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(
                    f"INSERT OR REPLACE INTO audit (position, {columns}, journal, hash)"  # noqa: S608 - our own names
                    f" SELECT ?, {columns}, NULL, hash FROM audit WHERE position = 3",
                    (position,),
                )
    assert agentfs.audit_check.verify().whole


def test_damaged_bytes_are_mended_by_writing_them_again(agentfs: AgentFS, tmp_path: Path) -> None:
    data = b"x" * 100_000
    with agentfs.database.transaction() as connection:
        digest = agentfs.contents.write(connection, data)
    file = next(path for path in (tmp_path / "w" / "files").rglob("*") if path.is_file())
    file.chmod(0o600)
    file.write_bytes(b"damaged")
    with agentfs.database.transaction() as connection:
        agentfs.contents.write(connection, data)
    assert agentfs.contents.read(digest) == data
