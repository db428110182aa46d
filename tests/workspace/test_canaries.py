"""A secret that comes in through every door lies in plain in no file that Bailiwick writes, nor in what it says."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from engines import idle, opened, until

from core.agent_model import Actor, ActorKind, AgentStatus
from core.agentfs.backup import write_backup
from core.errors import BailiwickError, StateConflict
from core.events import Event
from core.model import SearchMode
from core.search.query import Query
from core.workspace import Workspace
from tests.agentfs.canaries import files_with, new_canary
from tui.logs import start_logging


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("BAILIWICK_HOME", raising=False)


def _hand_in(workspace: Workspace, canary: str) -> list[str]:
    """Bring the secret in wherever something is taken in; the answer is everything that was said."""
    agentfs, person = workspace.agentfs, workspace.person
    agent = agentfs.agents.register("scout", "research", owner=person.id, by=person).agent
    scout = Actor(ActorKind.AGENT, agent.id, "mcp")
    agentfs.states.put("scout", "plan", {"token": canary}, by=scout)
    agentfs.states.put("scout", "large", {"log": ["line"] * 30_000, "token": canary}, by=scout)
    agentfs.messages.send("scout", "person", {"text": f"export TOKEN={canary}"}, by=scout)
    agentfs.messages.send("person", "scout", {canary: 1}, by=person)
    call = agentfs.sessions.begin_call("scout", f"curl -H {canary}", by=scout)
    agentfs.sessions.finish_call(call, by=scout, error=f"401 for {canary}")
    agentfs.agents.heartbeat("scout", by=scout, status=AgentStatus.ERROR, note=f"refused {canary}")
    agentfs.leases.take("scout", "src/**", by=scout, reason=f"rotating {canary}")
    said = []
    for refused in (
        lambda: agentfs.states.put("scout", canary, 1, by=scout),
        lambda: agentfs.states.put("scout", "plan", 2, by=scout, expect=7),
        lambda: agentfs.states.get(canary, "plan"),
        lambda: agentfs.leases.take("scout", f"src/{canary}", by=scout),
        lambda: agentfs.snapshots.take(canary, by=person),
        lambda: agentfs.sessions.start("scout", by=scout, title=canary),
        lambda: agentfs.agents.register("other", "research", {"tools": [canary]}, owner=person.id, by=person),
    ):
        with pytest.raises(BailiwickError) as raised:
            refused()
        if not isinstance(raised.value, StateConflict):  # which answers its own value to whom it belongs
            said.append(repr(raised.value.facts))
    with suppress(BailiwickError):
        workspace.search(Query(canary, mode=SearchMode.TEXT))
    agentfs.snapshots.take("with secrets", by=person)
    try:
        raise ValueError(f"a library quotes {canary}")
    except ValueError:
        logging.getLogger("core.test").exception("it broke with %s", canary)
    return said


def test_a_secret_lies_in_plain_nowhere(tmp_path: Path) -> None:
    canary, heard = new_canary(), list[Event]()
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "deploy.md").write_text(f"# Deploying the lighthouse\n\nRun it with `TOKEN={canary}`.\n")
    root = tmp_path / "w"
    with opened(root) as workspace:
        workspace.bus.subscribe(heard.append)
        start_logging(root)
        workspace.add_path(str(documents))
        said = _hand_in(workspace, canary)
        idle(workspace)
        hits = workspace.search(Query("lighthouse", mode=SearchMode.TEXT)).hits
        assert [canary in hit.text for hit in hits] == [True]
        until(lambda: (root / "audit-head.json").exists(), "the signature")
        assert files_with(root, canary) == []
        write_backup(workspace.agentfs, tmp_path / "backup.tar.gz", by=workspace.person)
    subprocess.run(["tar", "xzf", "backup.tar.gz"], cwd=tmp_path, check=True)
    (documents / "deploy.md").unlink()
    assert files_with(tmp_path, canary) == []
    assert canary not in repr(heard)
    assert all(canary not in each for each in said)


def test_a_crash_says_nothing_of_it(tmp_path: Path) -> None:
    canary = new_canary()
    ended = subprocess.run(
        [sys.executable, "-m", "tui", "state", "put", "scout", f"key {canary}", f'{{"token": "{canary}"', "--json"],
        env={"PATH": "/usr/bin", "BAILIWICK_HOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert canary not in ended.stdout + ended.stderr
    assert files_with(tmp_path, canary) == []
